local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor, TaskGroup = futures.ThreadPoolExecutor, futures.TaskGroup

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function echo(...) return ... end
local function fail(v) error(v, 0) end
local function sleep(began)
  if began then began:put(true) end
  require "conc".sleep(1000)
end

-- Call body(group) in the scope of a group; returns the error, or nil.
local function scope(ex, options, body)
  local ok, err = pcall(function()
    local g <close> = TaskGroup(ex, options)
    body(g)
  end)
  return not ok and err or nil
end

describe("A TaskGroup", function()
  it("waits for all its tasks at the end of its scope", function()
    local ex <close> = Executor(2)
    local fs = {}
    assert.is_nil(scope(ex, nil, function(g)
      for i = 1, 20 do fs[i] = g:submit(echo, i, nil, "x") end
    end))
    for i = 1, 20 do assert.same({n = 3, i, nil, "x"}, table.pack(fs[i]:result(0))) end
    assert.is_nil(scope(ex, nil, function() end))
  end)

  it("cancels the others when one fails, also those that run, and raises all errors", function()
    local ex <close> = Executor(2)
    local began, fs, group = queue.SimpleQueue(), {}, nil
    local err = scope(ex, nil, function(g)
      group = g
      fs[1] = g:submit(sleep, began)
      began:get()
      fs[2] = g:submit(fail, {code = 7})
      for i = 3, 10 do fs[i] = g:submit(sleep) end
    end)
    assert.equal("TaskGroupError", err.class)
    assert.same({{code = 7}}, err.errors)
    assert.same({code = 7}, err.cause)
    assert.same({{code = 7}}, group.errors)
    assert.is_true(fs[1]:cancelled())
    for i = 3, 10 do assert.is_true(fs[i]:cancelled()) end
    assert.equal(1, ex:submit(echo, 1):result(helper.patience))
  end)

  it("keeps the errors in the order in which they came", function()
    local ex <close> = Executor(1)
    local err = scope(ex, {policy = "collect"}, function(g)
      for i = 1, 5 do g:submit(fail, i) end
      g:wait()
      assert.same({1, 2, 3, 4, 5}, g.errors)
      error("mine", 0)
    end)
    assert.equal("mine", err)
  end)

  it('with "first" ends with the first that finishes', function()
    local ex <close> = Executor(2)
    local began, fs = queue.SimpleQueue(), {}
    assert.is_nil(scope(ex, {policy = "first"}, function(g)
      fs[1] = g:submit(sleep, began)
      began:get()
      fs[2] = g:submit(fail, "no")
      fs[3] = g:submit(echo, "yes")
      fs[4] = g:submit(sleep)
    end))
    assert.equal("yes", fs[3]:result(0))
    assert.is_true(fs[1]:cancelled() and fs[4]:cancelled())
    assert.equal("no", fs[2]:exception(0))
  end)

  it('with "first" raises when none finishes', function()
    local ex <close> = Executor(2)
    local err = scope(ex, {policy = "first"}, function(g)
      for i = 1, 3 do g:submit(fail, i) end
    end)
    assert.equal("TaskGroupError", err.class)
    table.sort(err.errors)
    assert.same({1, 2, 3}, err.errors)
    assert.is_nil(scope(ex, {policy = "first"}, function() end))
  end)

  it('with "collect" raises nothing and cancels none', function()
    local ex <close> = Executor(2)
    local fs, group = {}, nil
    assert.is_nil(scope(ex, {policy = "collect"}, function(g)
      group = g
      for i = 1, 10 do fs[i] = g:submit(i % 2 == 0 and fail or echo, i) end
    end))
    table.sort(group.errors)
    assert.same({2, 4, 6, 8, 10}, group.errors)
    for i = 1, 10, 2 do assert.equal(i, fs[i]:result(0)) end
  end)

  it("is cancelled by an error in its scope, which goes on", function()
    local ex <close> = Executor(1)
    local began, fs = queue.SimpleQueue(), {}
    local err = scope(ex, nil, function(g)
      fs[1] = g:submit(sleep, began)
      fs[2] = g:submit(echo, 1)
      began:get()
      error("mine", 0)
    end)
    assert.equal("mine", err)
    assert.is_true(fs[1]:cancelled() and fs[2]:cancelled())
  end)

  it("has a deadline, after which all are cancelled", function()
    local ex <close> = Executor(1)
    local fs, start = {}, conc.time()
    local err = scope(ex, {timeout = 0.03}, function(g)
      for i = 1, 3 do fs[i] = g:submit(sleep) end
    end)
    assert.equal("TimeoutError", err.class)
    assert.is_true(conc.time() - start >= 0.03)
    for i = 1, 3 do assert.is_true(fs[i]:cancelled()) end
    assert.is_nil(scope(ex, {timeout = 1000}, function(g) g:submit(echo) end))
    assert.is_nil(scope(ex, {timeout = math.huge}, function(g) g:submit(echo) end))
  end)

  it("cancels what is submitted after its cancellation", function()
    local ex <close> = Executor(1)
    local f, h
    assert.is_nil(scope(ex, nil, function(g)
      f = g:submit(sleep)
      g:cancel()
      g:cancel()
      h = g:submit(sleep)
    end))
    assert.is_true(f:cancelled() and h:cancelled())
  end)

  it("waits before the end of its scope when it is asked to", function()
    local ex <close> = Executor(1)
    local gate = threading.Event()
    assert.is_nil(scope(ex, nil, function(g)
      local f = g:submit(function(e) return e:wait() end, gate)
      assert.same({false, "timeout"}, {g:wait(0.01)})
      assert.same({false, "timeout"}, {g:wait(0)})
      assert.is_false(f:done())
      gate:set()
      assert.is_true(g:wait())
      assert.is_true(f:done())
      assert.is_true(g:wait(0))
    end))
  end)

  it("has submit_with, and the shared executor by default", function()
    assert.same({"TimeoutError", "2"}, helper.child [[
      local futures = require "conc.futures"
      local f, h
      pcall(function()
        local g <close> = futures.TaskGroup()
        f = g:submit(function() return 2 end)
        f:result()
        h = g:submit_with({timeout = 0.01}, require "conc".sleep, 1000)
      end)
      print(h:exception().class)
      print(f:result())
    ]])
  end)

  it("may be inside another", function()
    local ex <close> = Executor(1)
    local err = scope(ex, nil, function(outer)
      outer:submit(function(self)
        local g <close> = require "conc.futures".TaskGroup(self)
        g:submit(error, "inner", 0)
      end, ex)
    end)
    assert.equal("TaskGroupError", err.class)
    assert.equal("TaskGroupError", err.cause.class)
    assert.equal("inner", err.cause.cause)
  end)

  it("ends with its tasks when the task that has it is cancelled", function()
    local ex <close> = Executor(2)
    local began, box = queue.SimpleQueue(), queue.SimpleQueue()
    local f = ex:submit(function(self, b, to, task)
      local g <close> = require "conc.futures".TaskGroup(self)
      to:put(g:submit(task, b))
    end, ex, began, box, sleep)
    local inner = box:get(helper.patience)
    began:get(helper.patience)
    f:cancel {running = true}
    inner:cancel {running = true} -- which may run inside the other one
    assert.equal("CancelledError", f:exception(helper.patience).class)
    assert.is_true(inner:cancelled())
  end)

  it("names the argument that is wrong", function()
    local ex <close> = Executor(1)
    for _, case in ipairs {
      {"executor expected, got number", 1}, {"unknown option 'x'", ex, {x = 1}},
      {"options: table expected, got number", ex, 1}, {"policy: .* expected, got 'some'", ex,
      {policy = "some"}}, {"timeout: must not be negative", ex, {timeout = -1}},
      {"timeout: number of seconds expected, got string", {executor = ex, timeout = "1"}},
      {"executor: executor expected, got number", {executor = 1}}, {"surplus", ex, {}, nil},
    } do
      local n = case[1] == "surplus" and 4 or #case
      assert.error_matches(function() TaskGroup(table.unpack(case, 2, n)) end, case[1])
    end
    assert.is_nil(scope(ex, nil, function(g)
      assert.error_matches(function() g:submit(1) end, "fn: function expected, got number")
      assert.error_matches(function() g:submit_with(1, echo) end, "options: table expected")
      assert.error_matches(function() g:submit(echo, coroutine.create(print)) end,
        "args%[1%]: cannot send a coroutine")
      assert.error_matches(function() g:wait(-1) end, "timeout: must not be negative")
    end))
  end)

  it("names what is no group, and what is too much", function()
    local ex <close> = Executor(1)
    local g <close> = TaskGroup(ex)
    for _, method in ipairs {"submit", "submit_with", "cancel", "wait", "__close"} do
      for _, self in ipairs {1, {}, ex, false} do
        assert.error_matches(function() g[method](self) end,
          "bad argument #1 to '" .. method .. "' %(TaskGroup expected, got ")
      end
    end
    assert.error_matches(function() g:cancel(1) end, "#1 to 'cancel' %(surplus argument%)")
    assert.error_matches(function() g:wait(0, 1) end, "#2 to 'wait' %(surplus argument%)")
    assert.error_matches(function() g:wait "1" end, "#1 to 'wait' %(timeout: number of seconds")
    assert.error_matches(function() g:submit_with({}) end, "#2 to 'submit_with' %(fn: function")
    assert.equal(3, g:submit(echo, 3):result())
  end)

  it("stays with its thread", function()
    local ex <close> = Executor(1)
    local g <close> = TaskGroup(ex)
    assert.error_matches(function() ex:submit(echo, {g}) end, "a TaskGroup cannot leave its thread")
    assert.is_false((conc.sendable(g)))
  end)

  it("takes no more tasks when its scope is left", function()
    local ex <close> = Executor(1)
    local group
    scope(ex, nil, function(g) group = g end)
    for _ = 1, 2 do
      assert.error_matches(function() group:submit(echo) end, "after its scope")
      assert.error_matches(function() group:submit_with({}, echo) end, "after its scope")
    end
    assert.is_true(group:wait())
  end)

  it("leaves nothing behind when there is no memory for it", function()
    local ex <close> = Executor(1)
    ex:submit(echo):result()
    assert.is_true(helper.fail_each_everywhere(function()
      local g <close> = TaskGroup(ex, {timeout = 1000})
      g:submit(echo, 1)
    end) >= 2)
  end)
end)

describe("futures.all", function()
  it("gives one list of the first results, in order, with their number", function()
    local ex <close> = Executor(2)
    local all = futures.all {ex:submit(echo, 1, 2), ex:submit(echo), ex:submit(echo, "x")}
    assert.same({n = 3, 1, nil, "x"}, (all:result(helper.patience)))
    assert.same({n = 0}, (futures.all {}:result(0)))
    local f = ex:submit(echo, 5)
    assert.same({n = 2, 5, 5}, (futures.all {f, f}:result(helper.patience)))
  end)

  it("fails as soon as one fails or is cancelled, with its error", function()
    local ex <close> = Executor(1)
    local never = futures.Promise()
    local all = futures.all {never:future(), ex:submit(fail, {1})}
    assert.same({1}, all:exception(helper.patience))
    assert.is_false(never:future():done())
    local gone = futures.Promise():future()
    gone:cancel()
    assert.equal("CancelledError", futures.all {never:future(), gone}:exception(60).class)
    local all_nil = futures.all {ex:submit(error, nil)}
    assert.is_false((pcall(all_nil.result, all_nil, helper.patience)))
  end)

  it("refuses what is no sequence of futures", function()
    for _, f in ipairs {futures.all, futures.any} do
      assert.error_matches(function() f() end, "fs: table expected, got nil")
      assert.error_matches(function() f {1} end, "fs%[1%]: Future expected, got number")
    end
    assert.error_matches(function() futures.any {} end, "fs: must not be empty")
  end)
end)

describe("futures.any", function()
  it("gives the results of the first that finishes", function()
    local ex <close> = Executor(1)
    local never = futures.Promise()
    local any = futures.any {never:future(), ex:submit(fail, 1), ex:submit(echo, 7, nil)}
    assert.same({n = 2, 7, nil}, table.pack(any:result(helper.patience)))
  end)

  it("fails with all errors when none finishes", function()
    local ex <close> = Executor(1)
    local gone = futures.Promise():future()
    gone:cancel()
    local err = futures.any {ex:submit(fail, 1), gone, ex:submit(fail, 3)}:exception(60)
    assert.equal("TaskGroupError", err.class)
    assert.equal(1, err.errors[1])
    assert.equal("CancelledError", err.errors[2].class)
    assert.equal(3, err.errors[3])
  end)
end)

describe("A combined future", function()
  it("may be cancelled elsewhere as it gets its result #stress", function()
    -- What a callback raises goes to stderr.
    assert.same({"done"}, (helper.child(([[
      local futures = require "conc.futures"
      local queue, threading = require "conc.queue", require "conc.threading"
      local there, back = queue.Queue(), queue.Queue()
      local t = threading.Thread {target = function(from, to)
        for f in from:items() do
          to:put "begun"
          f:cancel()
          to:put "done"
        end
      end, args = {there, back}}:start()
      for i = 1, %d do
        for _, combine in ipairs {futures.all, futures.any} do
          local p = futures.Promise()
          local f = combine {p:future()}
          there:put(f)
          back:get()
          for _ = 1, i %% 60 do end
          p:set_result(1)
          back:get()
          assert(f:done())
        end
      end
      there:shutdown()
      t:join()
      print "done"
    ]]):format(helper.scale(20000)))))
  end)
end)

describe("A ThreadPoolExecutor's option", function()
  local function ident() return require "conc.threading".get_ident() end

  it("max_tasks_per_worker ends a worker after so many tasks, with its state", function()
    local ex <close> = Executor {max_workers = 1, max_tasks_per_worker = 3}
    local seen, states = {}, 0
    for _ = 1, 9 do
      local n = ex:submit(function()
        count = (count or 0) + 1 -- luacheck: ignore 111 113
        return count -- luacheck: ignore 113
      end):result(helper.patience)
      seen[#seen + 1] = n
      if n == 1 then states = states + 1 end
    end
    assert.same({1, 2, 3, 1, 2, 3, 1, 2, 3}, seen)
    assert.equal(3, states)
    assert.equal(9, ex:stats().done)
  end)

  it("max_tasks_per_worker loses no task when there are many", function()
    local ex = Executor {max_workers = 2, max_tasks_per_worker = 1}
    local fs, n = {}, helper.scale(300)
    for i = 1, n do fs[i] = ex:submit(echo, i) end
    for i = 1, n do assert.equal(i, fs[i]:result(helper.patience)) end
    ex:shutdown()
    assert.equal(n, ex:stats().done)
  end)

  it("idle_timeout ends a worker that has nothing to do; others come when needed", function()
    local ex <close> = Executor {max_workers = 2, idle_timeout = 0.01}
    local first = ex:submit(ident):result(helper.patience)
    helper.eventually(function() return #ex:stats().workers == 0 end, "the worker to leave")
    assert.is_not_nil(ex:submit(ident):result(helper.patience))
    assert.is_not_nil(first)
    for i = 1, helper.scale(200) do
      assert.equal(i, ex:submit(echo, i):result(helper.patience))
      if i % 20 == 0 then conc.sleep(0.012) end
    end
  end)

  it("of a bad kind is refused", function()
    for _, case in ipairs {
      {"max_tasks_per_worker: must be at least 1", {max_tasks_per_worker = 0}},
      {"max_tasks_per_worker: integer expected, got string", {max_tasks_per_worker = "1"}},
      {"idle_timeout: must not be negative", {idle_timeout = -1}},
      {"idle_timeout: number of seconds expected, got string", {idle_timeout = "1"}},
      {"max_pending: must be at least 1", {max_pending = 0}},
      {"overflow: 'block', 'error' or 'caller' expected, got drop", {overflow = "drop"}},
      {"overflow: .* expected, got 1", {overflow = 1}},
    } do
      assert.error_matches(function() Executor(case[2]) end, case[1])
    end
  end)
end)

describe("stats", function()
  it("counts tasks by what became of them", function()
    local ex = Executor(1)
    local gate, began = threading.Event(), threading.Event()
    local running = ex:submit(function(b, g)
      b:set()
      g:wait()
    end, began, gate)
    began:wait()
    local pending = {}
    for i = 1, 5 do pending[i] = ex:submit(i % 2 == 0 and fail or echo, i) end
    pending[5]:cancel()
    local s = ex:stats()
    assert.same({1, 4, 0, 0, 1}, {s.running, s.queued, s.done, s.failed, s.cancelled})
    assert.equal(1, #s.workers)
    assert.equal(1, s.workers[1].running)
    assert.matches("_0$", s.workers[1].name)
    gate:set()
    running:result()
    for i = 1, 4 do pending[i]:exception() end
    s = ex:stats()
    assert.same({0, 3, 2, 1}, {s.queued, s.done, s.failed, s.cancelled})
    assert.equal(5, s.workers[1].tasks)
    ex:shutdown()
    s = ex:stats()
    assert.same({0, 0, 3, 2, 1, 0},
      {s.running, s.queued, s.done, s.failed, s.cancelled, #s.workers})
  end)

  it("names the slowest tasks, the slowest first, ten at most", function()
    local ex = Executor(1)
    ex:submit_with({name = "slow"}, function() require "conc".sleep(0.03) end)
    for i = 1, 20 do
      ex:submit_with({name = "t" .. i}, function() require "conc".sleep(0.0005) end)
    end
    ex:shutdown()
    local slowest = ex:stats().slowest
    assert.equal(10, #slowest)
    assert.equal("slow", slowest[1].name)
    assert.is_true(slowest[1].seconds >= 0.03)
    for i = 2, 10 do
      assert.is_true(slowest[i].seconds <= slowest[i - 1].seconds)
      assert.matches("^t%d+$", slowest[i].name)
    end
  end)

  it("measures start-up, waiting and work of each worker", function()
    local ex = Executor(1)
    ex:submit(function() require "conc".sleep(0.02) end):result()
    conc.sleep(0.02)
    ex:submit(echo):result()
    ex:submit(echo):result()
    local w = ex:stats().workers[1]
    assert.is_true(w.startup > 0)
    assert.is_true(w.work >= 0.02)
    assert.is_true(w.wait >= 0.01)
    ex:shutdown()
  end)
end)
