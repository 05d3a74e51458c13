local behaviour = require "spec.support.connection_behaviour"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"

local Pipe, Process = multiprocessing.Pipe, multiprocessing.Process
local TIMEOUT, CLOSED = behaviour.TIMEOUT, behaviour.CLOSED

describe("multiprocessing.Pipe", function()
  behaviour.check(Pipe)

  it("says closed to who sends when nobody will receive", function()
    local a, b = Pipe()
    b:close()
    assert.same(CLOSED, table.pack(a:send(1)))
    assert.same(CLOSED, table.pack(a:send_bytes "x"))
    assert.same(CLOSED, table.pack(a:send(("x"):rep(100000))))
  end)

  it("goes one way: the first connection receives, the second sends", function()
    for _, make in ipairs {function() return Pipe(false) end,
      function() return Pipe {duplex = false} end} do
      local r, s = make()
      assert.same({true, false}, {r:readable(), r:writable()})
      assert.same({false, true}, {s:readable(), s:writable()})
      s:send(5)
      assert.equal(5, r:recv())
      assert.error_matches(function() r:send(1) end, "only receives")
      assert.error_matches(function() r:send_bytes "" end, "only receives")
      assert.error_matches(function() s:recv() end, "only sends")
      assert.error_matches(function() s:recv_bytes() end, "only sends")
      assert.error_matches(function() s:poll() end, "only sends")
      r:close()
      assert.same(CLOSED, table.pack(s:send(1)))
    end
    local a, b = Pipe {duplex = true}
    assert.same({true, true, true, true}, {a:readable(), a:writable(), b:readable(), b:writable()})
  end)

  it("lets who sends wait while much is on its way", function()
    local r, s = Pipe(false)
    local finish = helper.thread(function(c)
      local n = 0
      while c:send(("x"):rep(1000)) do n = n + 1 end
      return n
    end, s)
    s:close()
    assert.is_true(r:poll(helper.patience))
    for _ = 1, 200 do assert.equal(1000, #r:recv(helper.patience)) end
    r:close()
    assert.is_true(finish() >= 200)
  end)

  it("goes to a process, which answers", function()
    local mine, theirs = Pipe()
    local p = Process {
      target = function(c)
        for _ = 1, 3 do c:send {c:recv(), "!"} end
      end,
      args = {theirs},
    }
    p:start()
    theirs:close()
    for i = 1, 3 do
      mine:send(i)
      assert.same({i, "!"}, mine:recv(helper.patience))
    end
    assert.same(CLOSED, table.pack(mine:recv(helper.patience)))
    assert.same(CLOSED, table.pack(mine:send(4)))
    p:join()
    assert.equal(0, p:exitcode())
  end)

  it("is closed by the death of who has the other end", function()
    local mine, theirs = Pipe()
    local p = Process {
      target = function(c)
        c:send "here"
        c:recv()
      end,
      args = {theirs},
    }
    p:start()
    theirs:close()
    assert.equal("here", mine:recv(helper.patience))
    assert.same(TIMEOUT, table.pack(mine:recv(0.02)))
    p:kill()
    assert.same(CLOSED, table.pack(mine:recv(helper.patience)))
    p:join()
  end)

  it("stays open while anybody has the end: a thread, a message on its way", function()
    local a, b = Pipe()
    local c, d = Pipe()
    c:send(b)
    b:close()
    assert.same(TIMEOUT, table.pack(a:recv(0)))
    local again = d:recv()
    again:send "through"
    assert.equal("through", a:recv(0))
    c:send(again)
    again:close()
    assert.same(TIMEOUT, table.pack(a:recv(0)))
    d:close() -- with the message
    assert.same(CLOSED, table.pack(a:recv(0)))
    c:close()
  end)

  it("carries functions, queues and connections to other processes", function()
    local mine, theirs = Pipe()
    local q = multiprocessing.Queue()
    local p = Process {
      target = function(c)
        local f, to, conn = table.unpack(c:recv())
        to:put(f(20))
        conn:send "done"
      end,
      args = {theirs},
    }
    p:start()
    local r, s = Pipe(false)
    local two = 2
    mine:send {function(x) return two * x end, q, s}
    assert.equal(40, q:get(helper.patience))
    assert.equal("done", r:recv(helper.patience))
    p:join()
    mine:close()
    theirs:close()
    r:close()
    s:close()
  end)

  it("refuses what is no choice", function()
    assert.error_matches(function() Pipe(1) end, "duplex: boolean expected, got number")
    assert.error_matches(function() Pipe {both = true} end, "unknown option 'both'")
    assert.error_matches(function() Pipe(true, 1) end, "surplus argument")
  end)

  it("leaves nothing behind when memory is short", function()
    assert.is_true(helper.fail_each(function()
      local a, b = Pipe()
      local first <close> = a
      local second <close> = b
      assert(first:send {second} and second:recv())
    end) >= 5)
  end)
end)
