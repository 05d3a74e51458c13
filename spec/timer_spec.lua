local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Timer = threading.Timer

local put = helper.portable(function(q, ...) q:put(table.pack(...)) end)

describe("A Timer", function()
  it("calls its function with its arguments, not before the interval is over", function()
    local q = queue.SimpleQueue()
    local began = conc.time()
    local t = Timer(0.05, put, {q, 1, "two"}):start()
    assert.same({n = 2, 1, "two"}, q:get())
    assert.is_true(conc.time() - began >= 0.05)
    assert.is_true(t:join(helper.patience))
  end)

  it("takes its arguments by name, and args.n counts the nils", function()
    local q = queue.SimpleQueue()
    Timer {interval = 0, fn = put, args = {n = 3, q, nil, nil}}:start():join()
    assert.same({n = 2}, q:get())
    Timer {interval = 0, fn = helper.portable(function() end)}:start():join()
  end)

  it("does nothing before its start", function()
    local q = queue.SimpleQueue()
    local t = Timer(0, put, {q})
    assert.is_false(t:is_alive())
    assert.same({nil, "timeout"}, {q:get(0.02)})
    t:start():join()
    assert.same({n = 0}, q:get())
  end)

  it("is cancelled while it waits, and ends at once", function()
    local q = queue.SimpleQueue()
    local t = Timer(1e9, put, {q}):start()
    assert.is_true(t:is_alive())
    assert.equal(0, select("#", t:cancel()))
    assert.is_true(t:join(helper.patience))
    t:cancel()
    assert.is_true(q:empty())
  end)

  it("is cancelled before it starts, too", function()
    local q = queue.SimpleQueue()
    local t = Timer(0, put, {q})
    t:cancel()
    t:start():join()
    assert.is_true(q:empty())
  end)

  it("is not cancelled any more once its function runs", function()
    local q, go = queue.SimpleQueue(), threading.Event()
    local t = Timer(0, helper.portable(function(out, e)
      out:put "begun"
      e:wait()
      out:put "ended"
    end), {q, go}):start()
    assert.equal("begun", q:get())
    t:cancel()
    go:set()
    assert.equal("ended", q:get())
    t:join()
  end)

  it("waits for ever with math.huge", function()
    local t = Timer(math.huge, put, {queue.SimpleQueue()}):start()
    assert.same({nil, "timeout"}, {t:join(0.01)})
    t:cancel()
    t:join()
  end)

  it("is a thread: it has a name, numbers, and is started once", function()
    local t = Timer(1e9, put, {queue.SimpleQueue()})
    assert.matches("^Thread%-%d+$", t:name())
    t:set_name "my timer"
    t:set_daemon(true)
    assert.same({"my timer", true}, {t:name(), t:daemon()})
    assert.is_nil(t:ident())
    assert.error_matches(function() t:join() end, "before it is started")
    assert.equal(t, t:start())
    assert.error_matches(function() t:start() end, "threads can only be started once")
    assert.is_true(t:ident() ~= 0 and t:native_id() > 0)
    t:cancel()
    t:join()
  end)

  it("may be cancelled by another thread, even by its own function's", function()
    local q = queue.SimpleQueue()
    local t = Timer(1e9, put, {q}):start()
    helper.thread(function(timer)
      timer:cancel()
      timer:join()
    end, t)()
    assert.is_false(t:is_alive())
    assert.is_true(q:empty())
  end)

  it("is the same one when it comes back, and says what it is", function()
    local q, t, other = queue.SimpleQueue(), Timer(1, print), Timer(1, print)
    q:put(t)
    assert.is_true(q:get() == t and t ~= other and t ~= 5)
    assert.matches("^Timer%(Thread%-%d+, initial%)$", tostring(t))
  end)

  it("blames who calls a method in vain", function()
    local t = Timer(1, print)
    for text, f in pairs {
      ["to 'join' %(timeout: must not be"] = function() t:join(-1) end,
      ["before it is started"] = function() t:join() end,
      ["to 'start' %(surplus argument%)"] = function() t:start(1) end,
      ["to 'cancel' %(surplus argument%)"] = function() t:cancel(1) end,
    } do
      assert.matches("timer_spec.lua:%d+: .*" .. text, select(2, pcall(f)))
    end
    assert.error_matches(function() Timer(1, print, {n = "1"}) end, "its field n is no integer")
    assert.error_matches(function() Timer(1, print, {n = 1e9 // 1 | 0}) end, "0 to 9000 of them")
  end)

  it("names the argument that is wrong", function()
    local co = coroutine.create(print)
    for _, bad in ipairs {-1, 0 / 0, "1", true, {}} do
      assert.error_matches(function() Timer(bad, print) end, "interval: number >= 0 expected")
    end
    assert.error_matches(function() Timer() end, "interval: number >= 0 expected")
    assert.error_matches(function() Timer {fn = print} end, "interval: number >= 0 expected")
    assert.error_matches(function() Timer(1) end, "fn: function expected, got nil")
    assert.error_matches(function() Timer(1, 2) end, "fn: function expected, got number")
    assert.error_matches(function() Timer(1, print, 2) end, "args: table expected, got number")
    assert.error_matches(function() Timer(1, print, {}, 3) end, "surplus argument")
    assert.error_matches(function() Timer {interval = 1, fn = print, name = "x"} end,
      "unknown option 'name'")
    assert.error_matches(function() Timer(1, print, {5, {co}}) end,
      "args%[2%]%[1%]: cannot send a coroutine")
    assert.error_matches(function() Timer(1, function() return co end) end,
      "fn %(upvalue 'co'%): cannot send a coroutine")
  end)
end)
