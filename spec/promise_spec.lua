local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"

local Promise = futures.Promise

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function class_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return type(err) == "table" and err.class or err
end

describe("A Promise", function()
  it("has a pending future, the same each time", function()
    local p = Promise()
    local f = p:future()
    assert.is_true(rawequal(f, p:future()))
    assert.same({false, false, false}, {f:running(), f:done(), f:cancelled()})
    assert.matches("^Future%(pending%)", tostring(f))
  end)

  it("gives its future any number of results", function()
    for _, results in ipairs {{n = 0}, {n = 1}, {n = 3, 1, nil, "x"}, {n = 2, {1, {2}}, false}} do
      local p = Promise()
      p:set_result(table.unpack(results, 1, results.n))
      assert.same(results, table.pack(p:future():result(0)))
      assert.is_nil(p:future():exception(0))
    end
  end)

  it("fails its future with any error value", function()
    for _, err in ipairs {"text", 42, false, {code = 1}} do
      local p = Promise()
      p:set_exception(err)
      local ok, raised = pcall(p:future().result, p:future(), 0)
      assert.is_false(ok)
      assert.same(err, raised)
      assert.same(err, p:future():exception(0))
    end
    local p = Promise()
    p:set_exception(nil)
    assert.same({false, nil}, {pcall(p:future().result, p:future(), 0)})
    assert.matches("^Future%(failed%)", tostring(p:future()))
    p = Promise()
    p:set_exception(conc.Error.new("TimeoutError", "mine"))
    assert.equal("TimeoutError", p:future():exception(0).class)
  end)

  it("says that it is running, and then cannot be cancelled", function()
    local p = Promise()
    assert.is_true(p:set_running_or_notify_cancel())
    assert.is_true(p:future():running())
    assert.is_false(p:future():cancel())
    p:set_result(1)
    assert.equal(1, p:future():result(0))
  end)

  it("hears that its future was cancelled", function()
    local p = Promise()
    assert.is_true(p:future():cancel())
    assert.is_false(p:set_running_or_notify_cancel())
    assert.is_false(p:set_running_or_notify_cancel())
    assert.equal("InvalidStateError", class_of(p.set_result, p, 1))
    assert.equal("InvalidStateError", class_of(p.set_exception, p, 1))
    assert.is_true(p:future():cancelled())
  end)

  it("is resolved once; the first result stays", function()
    local first = {
      function(p) p:set_result "first" end,
      function(p) p:set_exception "first" end,
    }
    for i, resolve in ipairs(first) do
      local p = Promise()
      resolve(p)
      assert.equal("InvalidStateError", class_of(p.set_result, p, "second"))
      assert.equal("InvalidStateError", class_of(p.set_exception, p, "second"))
      assert.equal("InvalidStateError", class_of(p.set_running_or_notify_cancel, p))
      assert.is_false(p:future():cancel())
      assert.equal("first", i == 1 and p:future():result() or p:future():exception())
    end
    local p = Promise()
    p:set_running_or_notify_cancel()
    local ok, err = pcall(p.set_running_or_notify_cancel, p)
    assert.is_false(ok)
    assert.matches("InvalidStateError: the future is running already", tostring(err))
    p:set_result()
  end)

  it("is as before when a result cannot travel", function()
    local p = Promise()
    assert.error_matches(function() p:set_result({coroutine.create(print)}) end,
      "result%[1%]: cannot send a coroutine")
    assert.error_matches(function() p:set_exception(coroutine.create(print)) end,
      "error: cannot send a coroutine")
    assert.is_false(p:future():done())
    p:set_result(1)
    assert.equal(1, p:future():result())
  end)

  it("travels, so that any thread resolves it", function()
    local p = Promise()
    local finish = helper.thread(function(promise)
      promise:set_result("from there", 7)
      return tostring(promise:future()):match "%a+%(%a+%)"
    end, p)
    assert.same({"from there", 7}, {p:future():result(helper.patience)})
    assert.equal("Future(finished)", finish())
  end)

  it("wakes all who wait for its future", function()
    local p, ready, ends = Promise(), queue.SimpleQueue(), {}
    for i = 1, 4 do
      ends[i] = helper.thread(function(f, log)
        log:put(true)
        return f:result()
      end, p:future(), ready)
    end
    for _ = 1, 4 do ready:get(helper.patience) end
    p:set_result "x"
    for i = 1, 4 do assert.equal("x", ends[i]()) end
  end)

  it("fails its future when the last of it is dropped", function()
    local p = Promise()
    local f = p:future()
    local q = queue.SimpleQueue()
    q:put {p}
    p = nil -- luacheck: ignore 311
    collectgarbage()
    assert.is_false(f:done())
    local err = select(2, pcall(function()
      q:get()
      collectgarbage()
      return f:result(helper.patience)
    end))
    assert.equal("BrokenPromise", err.class)
    assert.equal("BrokenPromise", f:exception().class)
    assert.equal("", f:traceback())
  end)

  it("works with wait, as_completed and select", function()
    local a, b = Promise(), Promise()
    b:set_result(2)
    local done, not_done = futures.wait({a:future(), b:future()}, nil, "FIRST_COMPLETED")
    assert.same({{b:future()}, {a:future()}}, {done, not_done})
    local i, f = conc.select {a:future(), b:future()}
    assert.equal(2, i)
    assert.equal(b:future(), f)
    a:set_exception "no"
    local n = 0
    for _ in futures.as_completed {a:future(), b:future()} do n = n + 1 end
    assert.equal(2, n)
    assert.equal("no", a:future():exception())
  end)

  it("is resolved by one of many that try", function()
    for _ = 1, helper.scale(50) do
      local p = Promise()
      local wins = helper.threads(4, function(i, promise)
        return (pcall(promise.set_result, promise, i))
      end, p)
      local n = 0
      for i = 1, 4 do
        if wins[i] then
          n = n + 1
          assert.equal(i, p:future():result(0))
        end
      end
      assert.equal(1, n)
    end
  end)

  it("names the argument that is wrong", function()
    assert.error_matches(function() Promise(1) end, "surplus argument")
    local p = Promise()
    for _, method in ipairs {"future", "set_running_or_notify_cancel"} do
      assert.error_matches(function() p[method](p, 1) end, "surplus argument")
    end
    assert.error_matches(function() p:set_exception() end, "value expected")
    assert.error_matches(function() p:set_exception(1, 2) end, "surplus argument")
    for _, method in ipairs {"future", "set_result", "set_exception",
      "set_running_or_notify_cancel"} do
      for _, self in ipairs {false, 1, {}, io.stdout, p:future()} do
        assert.error_matches(function() p[method](self, 1) end, "Promise expected")
      end
    end
    assert.is_false(p:future():done())
  end)

  it("leaves nothing behind when there is no memory for it", function()
    assert.is_true(helper.fail_each(function()
      local p = Promise()
      p:set_result(("x"):rep(1000))
      p:future():result()
    end) >= 2)
    assert.is_true(helper.fail_each(function()
      local p = Promise()
      p:set_exception {("x"):rep(1000)}
      p:future():exception()
    end) >= 2)
  end)
end)

describe("An error that nobody looked at", function()
  local function told(code)
    local list = {}
    for _, line in ipairs(helper.child([[
      local conc, futures = require "conc", require "conc.futures"
      local ex = futures.ThreadPoolExecutor(1)
      local function failed(...)
        local f = ex:submit(error, ...)
        while not f:done() do conc.sleep(0.001) end
        return f
      end
    ]] .. code .. [[
      collectgarbage()
      collectgarbage()
      ex:shutdown()
    ]])) do
      list[#list + 1] = line:match "^conc: nobody looked at the error of a future: (.*)"
    end
    return list
  end

  it("is told on stderr when its future is collected", function()
    assert.same({"oops", "42", "TimeoutError: mine"}, told [[
      failed("oops", 0)
      collectgarbage() collectgarbage()
      failed(42)
      collectgarbage() collectgarbage()
      failed(conc.Error.new("TimeoutError", "mine"))
    ]])
  end)

  it("is not told when somebody looked, in whatever way", function()
    assert.same({}, told [[
      pcall(function() failed("a"):result() end)
      failed("b"):exception()
      failed("c"):traceback()
      failed("d"):next(print):exception()
      failed("e"):catch(function() end):result()
      failed("f"):timeout(1):exception()
      futures.all {failed("g")}:exception()
      futures.any {failed("h")}:exception()
      pcall(function()
        local g <close> = futures.TaskGroup(ex)
        g:submit(error, "j")
        g:submit(error, "k")
      end)
      local p = futures.Promise()
      p:future():cancel()
    ]])
  end)

  it("is told of the last of a chain that nobody looked at", function()
    assert.same({"a"}, told [[
      local f = failed("a", 0):next(print)
      while not f:done() do conc.sleep(0.001) end
    ]])
  end)
end)
