local conc = require "conc"
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

  it("is a case of select: receiving, and sending", function()
    local a, b = Pipe()
    b:send {1}
    local i, got = conc.select {a, timeout = helper.patience}
    assert.same({1, {1}}, {i, got})
    b:send_bytes "raw"
    assert.same({1, "raw"}, {conc.select {a, 10}})
    assert.same({nil, "timeout"}, {conc.select {a, timeout = 0.02}})
    assert.same({1, true}, {conc.select {{a, put = {b}}, timeout = 1}})
    assert.equal(b, b:recv(0)[1])
    local finish = helper.thread(function(c)
      return require "conc".select {c, timeout = 60}
    end, a)
    b:send "woken"
    assert.same({1, "woken"}, {finish()})
    b:close()
    assert.same({n = 3, 1, nil, "closed"}, table.pack(conc.select {a}))
    assert.same({n = 3, 1, nil, "closed"}, table.pack(conc.select {{a, put = 1}}))
    a:close()
    local r, s = Pipe(false)
    assert.error_matches(function() conc.select {s} end, "bad case 1: this connection only sends")
    assert.error_matches(function() conc.select {{r, put = 1}} end, "only receives")
    r:close()
    s:close()
  end)

  it("can be waited for, with other things, and nothing is taken", function()
    local a, b = Pipe()
    local c, d = Pipe()
    local q = multiprocessing.Queue()
    assert.same({}, multiprocessing.wait({a, c, q}, 0.02))
    b:send "x"
    assert.same({a}, multiprocessing.wait({a, c, q}, helper.patience))
    q:put(1)
    assert.same({a, q}, multiprocessing.wait({a, c, q}))
    assert.equal("x", a:recv(0))
    assert.equal(1, q:get(0))
    local p = Process {target = function(conn) conn:send "there" end, args = {d}}
    p:start()
    assert.same({c}, multiprocessing.wait({a, c, q}, helper.patience))
    assert.equal("there", c:recv(0))
    p:join()
    d:close()
    assert.same({c}, multiprocessing.wait({a, c, q}, helper.patience))
    a:close()
    b:close()
    c:close()
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
