--- What connections promise alike, over sockets and over pipes.

local assert = require "luassert"
local busted = require "busted"
local conc = require "conc"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local threading = require "conc.threading"

local it = busted.it
local TIMEOUT = {n = 2, nil, "timeout"}
local CLOSED = {n = 2, nil, "closed"}

local behaviour = {TIMEOUT = TIMEOUT, CLOSED = CLOSED}

--- `pair` gives two connections, each the other side of the other.
function behaviour.check(pair)
  local function both(f)
    return function()
      local a, b = pair()
      f(a, b)
      a:close()
      b:close()
    end
  end

  it("carries values both ways", both(function(a, b)
    for _, c in ipairs {{a, b}, {b, a}} do
      local from, to = c[1], c[2]
      local t = {1, "two", {three = 3.5}, false}
      t[5] = t
      assert.same({n = 1, true}, table.pack(from:send(t)))
      local got = to:recv()
      assert.same({1, "two", {three = 3.5}, false}, {table.unpack(got, 1, 4)})
      assert.equal(got, got[5])
      assert.is_true(from:send(nil))
      assert.same({n = 1}, table.pack(to:recv()))
    end
  end))

  it("carries bytes, and keeps messages apart, empty ones too", both(function(a, b)
    a:send_bytes "abc\0def"
    a:send_bytes ""
    a:send_bytes("abcdef", 2)
    a:send_bytes("abcdef", 2, 3)
    a:send_bytes("abcdef", -2)
    a:send_bytes("abcdef", 5, 4)
    a:send_bytes("abcdef", -100, 100)
    for _, text in ipairs {"abc\0def", "", "bcdef", "bc", "ef", "", "abcdef"} do
      assert.equal(text, b:recv_bytes())
    end
  end))

  it("carries messages larger than any buffer", both(function(a, b)
    local finish = helper.thread(function(c) return #c:recv(), #c:recv_bytes() end, b)
    assert.is_true(a:send(("x"):rep(5000000)))
    assert.is_true(a:send_bytes(("x"):rep(3000000)))
    assert.same({5000000, 3000000}, {finish()})
  end))

  it("says timeout when nothing comes", both(function(a, b)
    assert.same(TIMEOUT, table.pack(b:recv(0)))
    assert.same(TIMEOUT, table.pack(b:recv(0.02)))
    assert.same(TIMEOUT, table.pack(b:recv_bytes(nil, 0.02)))
    a:send "later"
    assert.equal("later", b:recv(helper.patience))
  end))

  it("tells whether there is a message, and takes nothing", both(function(a, b)
    assert.is_false(b:poll())
    assert.is_false(b:poll(0))
    assert.is_false(b:poll(0.02))
    a:send(1)
    assert.is_true(b:poll(helper.patience))
    assert.is_true(b:poll())
    assert.equal(1, b:recv())
    assert.is_false(b:poll())
  end))

  it("ends when the other side closes, after what was sent", both(function(a, b)
    a:send "last"
    a:close()
    assert.is_true(a:closed())
    assert.equal("last", b:recv(helper.patience))
    assert.is_true(b:poll(helper.patience))
    assert.same(CLOSED, table.pack(b:recv(helper.patience)))
    assert.same(CLOSED, table.pack(b:recv_bytes(nil, helper.patience)))
    assert.is_false(b:closed())
  end))

  it("wakes who waits when the other side closes", both(function(a, b)
    local log = threading.Event()
    local finish = helper.thread(function(c, begun)
      begun:set()
      return c:recv()
    end, b, log)
    log:wait(helper.patience)
    a:close()
    assert.same({nil, "closed"}, {finish()})
  end))

  it("does not mix up values and bytes", both(function(a, b)
    a:send "value"
    a:send_bytes "bytes"
    assert.error_matches(function() b:recv_bytes() end, "the next message is a value: use recv")
    assert.equal("value", b:recv())
    assert.error_matches(function() b:recv() end, "the next message is bytes: use recv_bytes")
    assert.equal("bytes", b:recv_bytes())
  end))

  it("receives into an array of either kind", both(function(a, b)
    for _, module in ipairs {threading, multiprocessing} do
      local array = module.Array("B", 5)
      a:send_bytes "ab"
      a:send_bytes "c"
      a:send_bytes "too long"
      assert.equal(2, b:recv_bytes_into(array))
      assert.equal(1, b:recv_bytes_into(array, 4))
      assert.same({97, 98, 0, 0, 99}, array:slice())
      local ok, err = pcall(b.recv_bytes_into, b, array, 0)
      assert.is_false(ok)
      assert.equal("BufferTooShort", err.class)
      assert.equal("too long", err.bytes)
    end
    assert.same(TIMEOUT, table.pack(b:recv_bytes_into(threading.Array("B", 1), 0, 0)))
  end))

  it("receives into shared memory", both(function(a, b)
    local shm <close> = multiprocessing.SharedMemory {create = true, size = 16}
    a:send_bytes "abc"
    a:send_bytes(("x"):rep(shm:size() + 1))
    assert.equal(3, b:recv_bytes_into(shm, 2))
    assert.equal("\0\0abc\0", shm:read(0, 6))
    assert.equal("BufferTooShort", (select(2, pcall(b.recv_bytes_into, b, shm))).class)
    assert.equal("\0\0abc\0", shm:read(0, 6))
    shm:unlink()
  end))

  it("only sends after a message longer than maxlength", both(function(a, b)
    a:send_bytes "abc"
    a:send_bytes "abcd"
    a:send "more"
    assert.equal("abc", b:recv_bytes(3))
    assert.is_true(b:readable())
    assert.error_matches(function() b:recv_bytes(3) end,
      "4 bytes, longer than maxlength: the connection only sends from now on")
    assert.is_false(b:closed())
    assert.is_false(b:readable())
    assert.is_true(b:writable())
    for _, call in ipairs {"recv", "recv_bytes", "poll"} do
      assert.error_matches(function() b[call](b) end, "this connection only sends")
    end
    assert.error_matches(function() conc.select {b, timeout = 0} end,
      "bad case 1: this connection only sends")
    assert.is_true(b:send "still")
    assert.equal("still", a:recv())
    assert.is_true(a:readable())
  end))

  it("is used by several threads at once", both(function(a, b)
    local n = helper.scale(300)
    local finish = helper.thread(function(c, times)
      local sums = require "conc.queue".Queue()
      local function add(from, k, to)
        local total = 0
        for _ = 1, k do total = total + from:recv() end
        to:put(total)
      end
      local Thread = require "conc.threading".Thread
      local first = Thread {target = add, args = {c, times, sums}}:start()
      add(c, times, sums)
      first:join()
      local sum = sums:get() + sums:get()
      return sum
    end, b, n)
    helper.threads(2, function(_, c, times) for i = 1, times do c:send(i) end end, a, n)
    assert.equal(n * (n + 1), finish())
  end))

  it("refuses in send what cannot leave the process", both(function(a, b)
    assert.error_matches(function() a:send {x = {coroutine.create(print)}} end,
      "value%.x%[1%]: cannot send a coroutine")
    assert.same(TIMEOUT, table.pack(b:recv(0)))
  end))

  it("raises when it is used after it was closed", function()
    local a, b = pair()
    do
      local c <close> = a
      assert.is_false(c:closed())
    end
    assert.is_true(a:closed())
    a:close()
    assert.error_matches(function() a:send(1) end, "the connection is closed")
    for _, method in ipairs {"recv", "recv_bytes", "poll", "readable", "writable"} do
      assert.error_matches(function() a[method](a) end, "the connection is closed")
    end
    b:close()
  end)

  it("refuses bad arguments", both(function(a)
    helper.refuses_timeouts(function(t) return a:recv(t) end)
    helper.refuses_timeouts(function(t) return a:poll(t) end)
    helper.refuses_timeouts(function(t) return a:recv_bytes(nil, t) end)
    assert.error_matches(function() a:send() end, "value expected")
    assert.error_matches(function() a:send(1, 2) end, "surplus argument")
    assert.error_matches(function() a:send_bytes(1) end, "s: string expected, got number")
    assert.error_matches(function() a:send_bytes("x", 1.5) end, "no integer representation")
    assert.error_matches(function() a:recv_bytes(-1) end, "maxlength")
    assert.error_matches(function() a:recv_bytes_into({}) end, "Array expected")
    assert.error_matches(function() a:recv_bytes_into(threading.Array("B", 3), 4) end, "offset")
    assert.error_matches(function() a.send(1, 2) end, "Connection expected, got number")
  end))
end

return behaviour
