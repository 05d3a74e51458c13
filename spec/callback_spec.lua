local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor, Promise = futures.ThreadPoolExecutor, futures.Promise

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function echo(...) return ... end
local function fail(v) error(v, 0) end

-- A future that is pending until resolve(...) is called.
local function open()
  local p = Promise()
  return p:future(), function(...) p:set_result(...) end, p
end

local function class_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return type(err) == "table" and err.class or err
end

describe("add_done_callback", function()
  it("calls a function with the future, once, at once when it is done", function()
    local f, resolve = open()
    resolve(7)
    local seen = {}
    assert.equal(f, f:add_done_callback(function(...) seen[#seen + 1] = table.pack(...) end))
    assert.same({{n = 1, f}}, seen)
    assert.is_true(rawequal(f, seen[1][1]))
    f:result()
    f:result()
    assert.equal(1, #seen)
  end)

  it("calls it when this state next calls conc after the end", function()
    local ex <close> = Executor(1)
    for _, call in ipairs {
      conc.cancelled and function(f) f:result() end, function(f) f:exception() end,
      function(f) f:traceback() end, function(f) f:result(60) end,
      function(f) futures.wait {f} end,
      function(f) for _ in futures.as_completed {f} do end end,
      function() conc.sleep(0.02) end,
      function(f) return helper.eventually(function() return f:done() end) end,
    } do
      local count = 0
      local f = ex:submit(echo)
      f:add_done_callback(function() count = count + 1 end)
      call(f)
      helper.eventually(function()
        conc.sleep(0)
        return count == 1
      end)
      conc.sleep(0)
      assert.equal(1, count)
    end
  end)

  it("has called it when result, wait or as_completed return", function()
    local ex <close> = Executor(2)
    for i, call in ipairs {
      function(f) f:result() end, function(f) f:exception() end, function(f) f:traceback() end,
      function(f) for _ in futures.as_completed {f} do end end, function(f) futures.wait {f} end,
    } do
      for _ = 1, helper.scale(200) do
        local called = false
        local f = ex:submit(echo)
        f:add_done_callback(function() called = true end)
        call(f)
        assert.is_true(called, "call " .. i)
      end
    end
  end)

  it("calls it while the state is blocked in conc", function()
    local q, ex = queue.SimpleQueue(), Executor(1)
    local gate = threading.Event()
    ex:submit(function(g) g:wait() end, gate):add_done_callback(function() q:put "called" end)
    gate:set()
    assert.equal("called", q:get(helper.patience)) -- put while it waits for it
    local lock <close> = threading.Lock():acquire()
    ex:submit(echo):add_done_callback(function() q:put "again" end)
    assert.is_false(lock:acquire(0.05))
    assert.equal("again", q:get(0))
    ex:shutdown()
  end)

  it("calls those of one future in the order of adding", function()
    local f, resolve = open()
    local log = {}
    for i = 1, 100 do f:add_done_callback(function() log[i] = #log + 1 end) end
    resolve()
    f:result()
    f:add_done_callback(function() log[101] = #log + 1 end)
    assert.equal(101, #log)
    for i = 1, 101 do assert.equal(i, log[i]) end
  end)

  it("calls it after any end", function()
    local ex <close> = Executor(1)
    local log = {}
    local function note(f) log[#log + 1] = tostring(f):match "%((%a+)%)" end
    local done, failed = ex:submit(echo), ex:submit(fail, 1)
    local cancelled = Promise():future()
    cancelled:cancel()
    local broken = Promise()
    for _, f in ipairs {done, failed, cancelled} do
      f:add_done_callback(note)
      f:exception()
    end
    local orphan = broken:future()
    orphan:add_done_callback(note)
    broken = nil -- luacheck: ignore 311
    collectgarbage()
    orphan:exception(helper.patience)
    assert.same({"finished", "failed", "cancelled", "failed"}, log)
  end)

  it("keeps its error from the resolver, and calls the others", function()
    assert.same({"nil", "second", "third"}, (function()
      local lines = helper.child [[
        local futures = require "conc.futures"
        local p = futures.Promise()
        local f = p:future()
        f:add_done_callback(function() error "mine" end)
        f:add_done_callback(function() print "second" end)
        f:add_done_callback(function() error(setmetatable({}, {__tostring = error})) end)
        print(p:set_result(1))
        f:add_done_callback(function() print "third" end)
      ]]
      local out, told = {}, 0
      for _, line in ipairs(lines) do
        if line:find "^conc: error in a done callback: " then
          told = told + 1
        elseif line == "second" or line == "nil" or line == "third" or line == "" then
          out[#out + 1] = line == "" and "nil" or line
        end
      end
      assert.equal(2, told)
      return out
    end)())
  end)

  it("may add another one, to this and to other futures", function()
    local f, resolve = open()
    local g, resolve_g = open()
    local log = {}
    f:add_done_callback(function()
      log[#log + 1] = "f"
      f:add_done_callback(function() log[#log + 1] = "f again" end)
      g:add_done_callback(function() log[#log + 1] = "g" end)
      resolve_g()
    end)
    f:add_done_callback(function() log[#log + 1] = "f last" end)
    resolve()
    f:result()
    g:result()
    assert.equal("f", log[1])
    assert.equal("f again", log[2])
    table.sort(log)
    assert.same({"f", "f again", "f last", "g"}, log)
  end)

  it("is not called inside another that only looks at futures", function()
    local ex <close> = Executor(2)
    local n, depth, deepest, sum = helper.scale(5000), 0, 0, 0
    for i = 1, n do
      ex:submit(echo, i):add_done_callback(function(f)
        depth = depth + 1
        deepest = math.max(deepest, depth)
        sum = sum + f:result(0)
        depth = depth - 1
      end)
    end
    helper.eventually(function()
      conc.sleep(0)
      return sum == n * (n + 1) // 2
    end)
    assert.equal(1, deepest)
  end)

  it("may wait for what another one gives", function()
    local f, resolve = open()
    local first, resolve_first = open()
    local second, resolve_second = open()
    local log = {}
    first:add_done_callback(function()
      log[#log + 1] = f:next(function(x) return x + 1 end):result(helper.patience)
    end)
    second:add_done_callback(function() resolve(5) end)
    resolve_first()
    resolve_second()
    conc.sleep(0)
    assert.same({6}, log)
  end)

  it("may wait, also for other futures", function()
    local ex <close> = Executor(1)
    local sum = 0
    local f = ex:submit(echo, 1)
    f:add_done_callback(function(done)
      sum = done:result() + ex:submit(echo, 2):result(helper.patience)
    end)
    f:result()
    assert.equal(3, sum)
  end)

  it("calls in each state what was added there", function()
    local f, resolve = open()
    local log, ready = queue.SimpleQueue(), queue.SimpleQueue()
    local ends = {}
    for i = 1, 3 do
      ends[i] = helper.thread(function(n, future, to, began)
        local ident = require "conc.threading".get_ident()
        future:add_done_callback(function(done)
          to:put {n, done:result(), require "conc.threading".get_ident() == ident}
        end)
        began:put(true)
        future:result()
      end, i, f, log, ready)
    end
    for _ = 1, 3 do ready:get(helper.patience) end
    resolve "x"
    local seen = {}
    for _ = 1, 3 do
      local item = log:get(helper.patience)
      seen[item[1]] = true
      assert.same({item[1], "x", true}, item)
    end
    assert.same({true, true, true}, seen)
    for i = 1, 3 do ends[i]() end
  end)

  it("drops what a thread has added that ends before", function()
    local f, resolve = open()
    helper.thread(function(future)
      future:add_done_callback(function() error "called" end)
    end, f)()
    resolve()
    assert.is_nil(f:result())
  end)

  it("calls in a worker what a task has added, also when that never waits again", function()
    local ex <close> = Executor(1)
    local f, resolve = open()
    local log = queue.SimpleQueue()
    ex:submit(function(future, to)
      future:add_done_callback(function() to:put "called" end)
    end, f, log):result()
    local gate, began = threading.Event(), threading.Event()
    ex:submit(function(g, b)
      b:set()
      while not g:is_set() do end
    end, gate, began)
    began:wait()
    local fs = {}
    for i = 1, 50 do fs[i] = ex:submit(echo, i) end
    resolve()
    gate:set()
    assert.equal("called", log:get(helper.patience))
    futures.wait(fs)
  end)

  it("ends with the task in which it is run when that is cancelled", function()
    local lines = helper.child [[
      local conc, futures = require "conc", require "conc.futures"
      local threading = require "conc.threading"
      local ex <close> = futures.ThreadPoolExecutor(1)
      local began = threading.Event()
      local f = ex:submit(function(b)
        local p = require "conc.futures".Promise()
        p:future():add_done_callback(function()
          b:set()
          require "conc".sleep(1000)
        end)
        p:set_result()
        p:future():result()
        require "conc".sleep(1000)
      end, began)
      began:wait()
      f:cancel {running = true}
      print(f:exception(60).class, f:cancelled())
    ]]
    assert.equal("CancelledError\ttrue", lines[#lines])
  end)

  it("refuses what is no function, and other futures' methods too", function()
    local promise = Promise() -- a dropped one would end its future
    local f = promise:future()
    assert.error_matches(function() f:add_done_callback() end,
      "fn: function expected, got no value")
    assert.error_matches(function() f:add_done_callback(1) end, "fn: function expected, got number")
    for _, method in ipairs {"add_done_callback", "next", "catch"} do
      assert.error_matches(function() f[method](f, echo, nil) end, "surplus argument")
      for _, self in ipairs {false, 1, {}, io.stdout, queue.SimpleQueue()} do
        assert.error_matches(function() f[method](self, echo) end, "Future expected")
      end
    end
    for _, method in ipairs {"next", "catch"} do
      assert.error_matches(function() f[method](f, {}) end, "fn: function expected, got table")
    end
    assert.is_false(f:done())
    promise:set_result()
  end)

  it("calls each of many exactly once, whoever resolves #stress", function()
    local ex <close> = Executor(2)
    local n, count, sum = helper.scale(20000), 0, 0
    for i = 1, n do
      local f = ex:submit(echo, i)
      f:add_done_callback(function(g)
        count = count + 1
        sum = sum + g:result(0)
      end)
    end
    helper.eventually(function()
      conc.sleep(0)
      return count >= n
    end)
    conc.sleep(0.01)
    assert.same({n, n * (n + 1) // 2}, {count, sum})
  end)

  it("leaves nothing behind when there is no memory for it", function()
    local f, resolve = open()
    assert.is_true(helper.fail_each(function()
      local p = Promise()
      p:future():add_done_callback(echo)
      p:set_result(1)
      p:future():result()
    end) >= 1)
    resolve()
    f:result()
  end)
end)

describe("next", function()
  it("gives a future of what its function makes of the results", function()
    local ex <close> = Executor(1)
    local f = ex:submit(echo, 1, nil, 3):next(function(...) return select("#", ...), ... end)
    assert.same({n = 4, 3, 1, nil, 3}, table.pack(f:result(helper.patience)))
    assert.equal(0, select("#", ex:submit(echo):next(function() end):result()))
  end)

  it("runs its function in the state that called it", function()
    local ex <close> = Executor(1)
    local mine = {}
    local f = ex:submit(echo, 1):next(function(x)
      mine.x = x
      return threading.get_ident()
    end)
    assert.equal(threading.get_ident(), f:result(helper.patience))
    assert.equal(1, mine.x)
  end)

  it("fails when its function does", function()
    local f, resolve = open()
    local g = f:next(function(x) error({x}) end)
    resolve "bad"
    assert.same({"bad"}, g:exception(helper.patience))
    assert.matches("traceback", g:traceback())
  end)

  it("passes an error and a cancellation on, and does not call its function", function()
    local ex <close> = Executor(1)
    local called = false
    local function call() called = true end
    local f = ex:submit(fail, {"e"}):next(call):next(call)
    assert.same({"e"}, f:exception(helper.patience))
    local g = Promise():future()
    local h = g:next(call)
    g:cancel()
    assert.equal("CancelledError", class_of(h.result, h, helper.patience))
    assert.is_true(h:cancelled())
    assert.is_false(called)
  end)

  it("may be cancelled, and then does not call its function", function()
    local f, resolve = open()
    local called = false
    local g = f:next(function() called = true end)
    assert.is_true(g:cancel())
    resolve(1)
    assert.equal(1, f:result())
    assert.is_false(called)
    assert.is_true(g:cancelled())
    assert.is_false(f:cancelled())
  end)

  it("fails with a result that cannot travel", function()
    local f, resolve = open()
    local g = f:next(function() return coroutine.create(print) end)
    resolve()
    assert.equal("result: cannot send a coroutine", g:exception(helper.patience))
  end)

  it("makes chains of any length", function()
    local f, resolve = open()
    local last = f
    for _ = 1, 1000 do last = last:next(function(x) return x + 1 end) end
    resolve(0)
    assert.equal(1000, last:result(helper.patience))
  end)

  it("leaves nothing behind when there is no memory for it", function()
    assert.is_true(helper.fail_each(function()
      local p = Promise()
      local f = p:future():next(echo):catch(echo)
      p:set_result(1)
      assert(f:result() == 1)
    end) >= 3)
  end)
end)

describe("catch", function()
  it("gives the results of a future that has finished", function()
    local f, resolve = open()
    local g = f:catch(fail)
    resolve(1, nil)
    assert.same({n = 2, 1, nil}, table.pack(g:result(helper.patience)))
  end)

  it("gives what its function makes of the error", function()
    local ex <close> = Executor(1)
    local f = ex:submit(fail, {code = 7}):catch(function(e) return e.code, "more" end)
    assert.same({7, "more"}, {f:result(helper.patience)})
    f = ex:submit(error, nil):catch(function(e) return e == nil end)
    assert.is_true(f:result(helper.patience))
  end)

  it("is called with the CancelledError of a future that was cancelled", function()
    local f = Promise():future()
    local g = f:catch(function(e) return e.class end)
    f:cancel()
    assert.equal("CancelledError", g:result(helper.patience))
  end)

  it("fails when its function does", function()
    local ex <close> = Executor(1)
    local f = ex:submit(fail, 1):catch(function(e) error(e + 1, 0) end)
    assert.equal(2, f:exception(helper.patience))
  end)
end)

describe("timeout", function()
  it("gives a future that ends as the first one does", function()
    local ex <close> = Executor(1)
    assert.same({n = 2, 1, nil}, table.pack(ex:submit(echo, 1, nil):timeout(60):result()))
    assert.same({"e"}, ex:submit(fail, {"e"}):timeout(60):exception())
    local f = Promise():future()
    local g = f:timeout(60)
    f:cancel()
    assert.equal("CancelledError", class_of(g.result, g, helper.patience))
    assert.equal(5, ex:submit(echo, 5):timeout(math.huge):result())
  end)

  it("fails with a TimeoutError after that time; the first one goes on", function()
    local f, resolve = open()
    local start = conc.time()
    local g = f:timeout(0.03)
    assert.equal("TimeoutError", class_of(g.result, g, helper.patience))
    assert.is_true(conc.time() - start >= 0.03)
    assert.is_false(f:done())
    resolve(1)
    assert.equal(1, f:result())
    assert.equal("TimeoutError", class_of(g.result, g, 0))
  end)

  it("of zero fails at once unless it is done", function()
    local f, resolve = open()
    local g = f:timeout(0)
    assert.equal("TimeoutError", class_of(g.result, g, helper.patience))
    resolve(1)
    assert.equal(1, f:timeout(60):result(helper.patience))
  end)

  it("may be cancelled, which leaves the first one alone", function()
    local f, resolve = open()
    local g = f:timeout(60)
    assert.is_true(g:cancel())
    resolve(1)
    assert.equal(1, f:result())
    assert.is_true(g:cancelled())
  end)

  it("works together with the others", function()
    local f = Promise():future()
    local g = f:timeout(0.01)
      :catch(function(e) return e.class end)
      :next(function(c) return c, 2 end)
    assert.same({"TimeoutError", 2}, {g:result(helper.patience)})
  end)

  it("refuses what is no time", function()
    local f = Promise():future()
    assert.error_matches(function() f:timeout() end, "value expected")
    for _, case in ipairs {{-1, "must not be negative"}, {0 / 0, "must not be NaN"},
      {"1", "number of seconds expected, got string"}} do
      assert.error_matches(function() f:timeout(case[1]) end, "seconds: " .. case[2])
    end
  end)

  it("leaves nothing behind when there is no memory for it", function()
    local f, resolve = open()
    f:timeout(60):cancel()
    assert.is_true(helper.fail_each_everywhere(function()
      local p = Promise()
      local g = p:future():timeout(60)
      p:set_result(1)
      assert(g:result() == 1)
    end) >= 2)
    resolve()
  end)
end)
