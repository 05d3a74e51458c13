local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor = futures.ThreadPoolExecutor

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local before_each, after_each = before_each, after_each
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

-- An executor whose only worker waits until 'gate' is set; the running future.
local function busy()
  local ex, gate, began = Executor(1), threading.Event(), threading.Event()
  local running = ex:submit(function(g, b)
    b:set()
    g:wait()
    return "done"
  end, gate, began)
  began:wait()
  return ex, gate, running
end

describe("A Future", function()
  local shared
  before_each(function() shared = Executor(2) end)
  after_each(function()
    shared:shutdown()
    shared = nil
  end)

  it("returns everything that the task returned", function()
    local f = shared:submit(function(...) return ... end, 1, nil, "x", nil)
    assert.same({n = 4, 1, nil, "x", nil}, table.pack(f:result()))
    assert.equal(0, select("#", shared:submit(function() end):result()))
    assert.same({n = 1}, table.pack(shared:submit(function() return nil end):result()))
    assert.same({n = 1, false}, table.pack(shared:submit(function() return false end):result()))
    local many = table.pack(shared:submit(function()
      return table.unpack({}, 1, 200)
    end):result())
    assert.equal(200, many.n)
  end)

  it("returns the same each time, tables as copies of their own", function()
    local f = shared:submit(function() return {1}, "x" end)
    local first, second = f:result(), f:result()
    assert.same({1}, first)
    assert.same({1}, second)
    first[1] = 2
    assert.same({1}, (f:result()))
    assert.equal("x", select(2, f:result(0)))
  end)

  it("is pending, running and finished in turn", function()
    local ex, gate, running = busy()
    local pending = ex:submit(function() return 1 end)
    assert.same({true, false, false}, {running:running(), running:done(), running:cancelled()})
    assert.same({false, false, false}, {pending:running(), pending:done(), pending:cancelled()})
    assert.matches("^Future%(running%): ", tostring(running))
    assert.matches("^Future%(pending%): ", tostring(pending))
    gate:set()
    assert.equal(1, pending:result())
    assert.same({false, true, false}, {running:running(), running:done(), running:cancelled()})
    assert.matches("^Future%(finished%): ", tostring(running))
    local failed = ex:submit(error)
    failed:exception()
    assert.same({false, true, false}, {failed:running(), failed:done(), failed:cancelled()})
    assert.matches("^Future%(failed%): ", tostring(failed))
    ex:shutdown()
  end)

  it("raises a TimeoutError when it is not done in time, which does not cancel", function()
    local ex, gate, running = busy()
    local began = conc.time()
    local err = raised(running.result, running, 0.05)
    assert.is_true(conc.time() - began >= 0.05)
    assert.is_true(conc.Error.is(err, "TimeoutError"))
    assert.is_true(conc.Error.is(raised(running.result, running, 0), "TimeoutError"))
    assert.same({n = 2, nil, "timeout"}, table.pack(running:exception(0)))
    assert.same({n = 2, nil, "timeout"}, table.pack(running:traceback(0.001)))
    gate:set()
    assert.equal("done", running:result(helper.patience))
    for _, timeout in ipairs {0, 1e-300, 1, 1e300, math.huge, math.maxinteger} do
      assert.equal("done", running:result(timeout))
      assert.same({n = 1}, table.pack(running:exception(timeout)))
    end
    ex:shutdown()
  end)

  it("raises the task's own error value, unchanged", function()
    for _, value in ipairs {"text", 42, 1.5, true, false} do
      local f = shared:submit(function(v) error(v, 0) end, value)
      assert.equal(value, raised(f.result, f))
      assert.equal(value, f:exception())
    end
    local f = shared:submit(function() error {code = 7, {nested = true}} end)
    assert.same({code = 7, {nested = true}}, raised(f.result, f))
    assert.same({code = 7, {nested = true}}, raised(f.result, f))
    assert.same({code = 7, {nested = true}}, (f:exception()))
    f = shared:submit(function() error(nil) end)
    assert.is_nil(raised(f.result, f))
    assert.is_nil(f:exception())
    assert.matches("traceback", f:traceback())
  end)

  it("raises conc's own errors with their class, fields and cause", function()
    local f = shared:submit(function()
      local err = require "conc".Error.new("TimeoutError", "mine", {1})
      err.extra = "x"
      error(err)
    end)
    local err = raised(f.result, f)
    assert.is_true(conc.Error.is(err, "TimeoutError"))
    assert.same({"mine", {1}, "x"}, {err.message, err.cause, err.extra})
    assert.matches("^TimeoutError: mine", tostring(err))
  end)

  it("keeps where a string error was raised, and the task's traceback", function()
    local f = shared:submit(function()
      local function inner() error "deep" end
      inner()
      return 1
    end)
    assert.matches("future_spec.lua:%d+: deep$", raised(f.result, f))
    local text = f:traceback()
    assert.matches("^stack traceback:", text)
    assert.matches("in upvalue 'inner'", text:gsub("local 'inner'", "upvalue 'inner'"))
    assert.matches("future_spec.lua:%d+:", text)
  end)

  it("has neither exception nor traceback when the task went well", function()
    local f = shared:submit(function() return 1 end)
    assert.same({n = 1}, table.pack(f:exception()))
    assert.same({n = 1}, table.pack(f:traceback()))
  end)

  it("fails when a result cannot travel, and says which", function()
    local f = shared:submit(function() return 1, {x = {coroutine.create(print)}} end)
    assert.equal("result[2].x[1]: cannot send a coroutine", raised(f.result, f))
    assert.equal("result[2].x[1]: cannot send a coroutine", f:exception())
    assert.equal(1, shared:submit(function() return 1 end):result())
  end)

  it("fails with the text of an error value that cannot travel", function()
    local f = shared:submit(function()
      error(setmetatable({coroutine.create(print)}, {__tostring = function() return "odd" end}))
    end)
    assert.equal("odd", raised(f.result, f))
    assert.matches("traceback", f:traceback())
  end)

  it("fails with the error value though its __tostring raises", function()
    local f = shared:submit(function()
      error(setmetatable({code = 7}, {__tostring = function() error "no text" end}))
    end)
    assert.equal(7, raised(f.result, f).code)
    f = shared:submit(function()
      error(setmetatable({coroutine.create(print)}, {__tostring = error}))
    end)
    assert.matches("^table: %x", raised(f.result, f))
  end)

  it("is of the class futures.Future, which holds the methods", function()
    local f = shared:submit(function() return 1, 2 end)
    assert.same({1, 2}, {futures.Future.result(f)})
    assert.equal(f.cancel, futures.Future.cancel)
    assert.error_matches(function() futures.Future() end, "made by submit, or by a Promise")
    assert.equal(3, shared:submit(futures.Future.result, shared:submit(math.max, 1, 3)):result())
  end)

  it("fails when the stack of its task overflows", function()
    local f = shared:submit(function()
      local function again() return 1 + again() end
      return again()
    end)
    assert.matches("stack overflow", raised(f.result, f))
    assert.equal(2, shared:submit(function() return 2 end):result())
  end)

  it("fails with a SystemExit when its task calls os.exit", function()
    local f = shared:submit(function() os.exit(3) end)
    local err = raised(f.result, f)
    assert.is_true(conc.Error.is(err, "SystemExit"))
    assert.equal(3, err.code)
  end)

  it("is cancelled while it is pending, and then never runs", function()
    local ex, gate, running = busy()
    local log = queue.SimpleQueue()
    local f = ex:submit(function(q) q:put "ran" end, log)
    assert.is_true(f:cancel())
    assert.is_true(f:cancel())
    assert.same({true, true, false}, {f:cancelled(), f:done(), f:running()})
    assert.matches("^Future%(cancelled%): ", tostring(f))
    assert.is_true(conc.Error.is(raised(f.result, f), "CancelledError"))
    assert.is_true(conc.Error.is(raised(f.result, f, 0), "CancelledError"))
    assert.is_true(conc.Error.is(f:exception(), "CancelledError"))
    assert.is_nil(f:traceback())
    gate:set()
    ex:shutdown()
    assert.equal("done", running:result())
    assert.is_true(log:empty())
  end)

  it("is not cancelled once it runs or is done", function()
    local ex, gate, running = busy()
    assert.is_false(running:cancel())
    assert.is_false(running:cancelled())
    gate:set()
    assert.equal("done", running:result())
    assert.is_false(running:cancel())
    assert.equal("done", running:result())
    local failed = ex:submit(error, "x")
    failed:exception()
    assert.is_false(failed:cancel())
    ex:shutdown()
  end)

  it("wakes all who wait for it, wherever they are", function()
    local ex, gate, running = busy()
    local began, ends = queue.SimpleQueue(), {}
    for i = 1, 4 do
      ends[i] = helper.thread(function(f, log)
        log:put(true)
        return f:result(), f:exception()
      end, running, began)
    end
    for _ = 1, 4 do began:get() end
    gate:set()
    for i = 1, 4 do assert.equal("done", (ends[i]())) end
    ex:shutdown()
  end)

  it("wakes those who wait when it is cancelled", function()
    local ex, gate = busy()
    local pending, began = ex:submit(print), queue.SimpleQueue()
    local finish = helper.thread(function(f, log)
      log:put(true)
      local ok, err = pcall(f.result, f)
      return ok, require "conc".Error.is(err, "CancelledError")
    end, pending, began)
    began:get()
    assert.is_true(pending:cancel())
    assert.same({false, true}, {finish()})
    gate:set()
    ex:shutdown()
  end)

  it("is one userdata within a state, and good for a table's key", function()
    local f = shared:submit(function() return 1 end)
    local q = queue.SimpleQueue()
    q:put {f}
    local back = q:get()[1]
    assert.equal(f, back)
    assert.is_true(rawequal(f, back))
    local names = {[f] = "name"}
    assert.equal("name", names[back])
    assert.are_not.equal(f, shared:submit(function() return 1 end))
    f:result()
  end)

  it("may be awaited by another task", function()
    local first = shared:submit(function() return 20 end)
    local second = shared:submit(function(f) return f:result() + 22 end, first)
    assert.equal(42, second:result(helper.patience))
  end)

  it("outlives its executor", function()
    local f
    do
      local ex <close> = Executor(1)
      f = ex:submit(function() return {1} end)
    end
    collectgarbage()
    assert.same({1}, (f:result(0)))
  end)

  it("may be forgotten before it is done", function()
    local ex <close> = Executor(2)
    for i = 1, 100 do ex:submit(function(n) return {n} end, i) end
    collectgarbage()
  end)

  it("names the argument that is wrong, and is as before", function()
    local ex, gate, running = busy()
    local methods = {
      result = 1, exception = 1, traceback = 1, cancel = 1, cancelled = 0, running = 0, done = 0,
    }
    for _ = 1, 2 do
      helper.refuses_timeouts(function(timeout) running:result(timeout) end)
      helper.refuses_timeouts(function(timeout) running:exception(timeout) end)
      helper.refuses_timeouts(function(timeout) running:traceback(timeout) end)
      helper.refuses_strangers(running, methods)
      assert.is_nil(running.no_such_method)
      gate:set()
      assert.equal("done", running:result())
    end
    ex:shutdown()
  end)
end)
