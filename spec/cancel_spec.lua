local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor = futures.ThreadPoolExecutor

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

-- The error that f raises, and its class if it is conc's.
local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return type(err) == "table" and err.class or err
end

local function end_of(future)
  return raised(future.result, future, helper.patience)
end

-- Tasks say that they have begun, since only one that runs is asked to stop.
local function spin(began)
  began:set()
  while true do end
end

local function sleep(began)
  began:set()
  require "conc.threading".Event():wait()
end

local function echo(...) return ... end

-- Submit f(event, ...) and wait until it has set the event.
local function begun(ex, f, ...)
  local began = threading.Event()
  local future = ex:submit(f, began, ...)
  assert(began:wait(helper.patience))
  return future
end

local STOP = {running = true}

-- Something to acquire, and whether it is free.
local function lockables()
  local mp = require "conc.multiprocessing"
  local list = {}
  for _, module in ipairs {threading, mp} do
    for _, class in ipairs {"Lock", "RLock", "Condition"} do
      list[#list + 1] = {module[class](), function(l) return not l:locked() end}
    end
    list[#list + 1] = {module.Semaphore(1), function(s) return s:get_value() == 1 end}
  end
  return list
end

describe("cancel{running = true}", function()
  it("leaves nothing held that a <close> is to release", function()
    local ex <close> = Executor(1)
    for i, lockable in ipairs(lockables()) do
      local lock, is_free = table.unpack(lockable)
      for _ = 1, helper.scale(300) do
        local f = begun(ex, function(began, l)
          local function acquired()
            local held = l:acquire()
            return held
          end
          began:set()
          while true do
            do local held <close> = l:acquire() end -- luacheck: ignore 211
            do local held <close> = acquired() end -- luacheck: ignore 211
          end
        end, lock)
        f:cancel(STOP)
        assert.equal("CancelledError", end_of(f))
        assert.is_true(is_free(lock), "object " .. i)
      end
    end
  end)

  it("ends a loop that never calls anything", function()
    local ex <close> = Executor(1)
    local f = begun(ex, spin)
    assert.is_true(f:cancel(STOP))
    assert.equal("CancelledError", end_of(f))
    assert.is_true(f:cancelled())
    assert.equal("CancelledError", f:exception().class)
    assert.is_nil(f:traceback())
  end)

  it("ends a wait for any object", function()
    local ex <close> = Executor(1)
    local lock = threading.Lock()
    local held = lock:acquire()
    local waits = {
      function() require "conc".sleep(1000) end,
      function() require "conc.queue".Queue():get() end,
      function() require "conc.queue".SimpleQueue():get(1000) end,
      function()
        local q = require "conc.queue".Queue(1)
        q:put(1)
        q:put(2)
      end,
      function() require "conc.threading".Event():wait() end,
      function() require "conc.threading".Semaphore(0):acquire() end,
      function() require "conc.threading".Barrier(2):wait() end,
      function()
        local c = require "conc.threading".Condition()
        local _ <close> = c:acquire()
        c:wait()
      end,
      function() lock:acquire() end,
      function() require "conc".select {require "conc.queue".Queue(), 1000} end,
      function()
        local p = require "conc.futures".Promise()
        p:future():result()
      end,
      function()
        local p = require "conc.futures".Promise()
        require "conc.futures".wait {p:future()}
      end,
      function()
        local p = require "conc.futures".Promise()
        for _ in require "conc.futures".as_completed {p:future()} do print "?" end
      end,
    }
    for i, wait in ipairs(waits) do
      local f = begun(ex, function(began, g)
        began:set()
        g()
      end, wait)
      assert.is_true(f:cancel(STOP))
      assert.equal("CancelledError", end_of(f), "wait " .. i)
      assert.equal(i, ex:submit(echo, i):result(helper.patience))
    end
    held:release()
  end)

  it("returns true at once, and the future is done when the task has ended", function()
    local ex <close> = Executor(1)
    local gate = threading.Event()
    local f = begun(ex, function(began, g)
      local _ <close> = setmetatable({}, {__close = function() g:wait() end})
      began:set()
      require "conc".sleep(1000)
    end, gate)
    assert.is_true(f:cancel(STOP))
    assert.is_true(f:cancel(STOP))
    assert.is_false(f:done())
    assert.is_true(f:running())
    assert.is_false(f:cancelled())
    gate:set()
    assert.equal("CancelledError", end_of(f))
    assert.is_true(f:cancel(STOP)) -- as that of one that was cancelled
  end)

  it("runs the task's <close> variables, the innermost first", function()
    local ex <close> = Executor(1)
    local log = queue.SimpleQueue()
    for _, last in ipairs {spin, sleep} do
      local f = begun(ex, function(began, q, g)
        local function closing(name)
          return setmetatable({}, {__close = function(_, err) q:put(name .. err.class) end})
        end
        local _ <close> = closing "outer "
        do
          local _ <close> = closing "inner "
          g(began)
        end
      end, log, last)
      f:cancel(STOP)
      assert.equal("CancelledError", end_of(f))
      assert.equal("inner CancelledError", log:get(0))
      assert.equal("outer CancelledError", log:get(0))
    end
  end)

  it("cancels a pending one, and does nothing to one that is done", function()
    local ex <close> = Executor(1)
    local running = begun(ex, sleep)
    local pending = ex:submit(echo, 1)
    assert.is_true(pending:cancel(STOP))
    assert.is_true(pending:cancelled())
    running:cancel(STOP)
    local done = ex:submit(echo, 2)
    assert.equal(2, done:result(helper.patience))
    assert.is_false(done:cancel(STOP))
    assert.equal(2, done:result(0))
    local failed = ex:submit(error, "no", 0)
    assert.equal("no", failed:exception())
    assert.is_false(failed:cancel(STOP))
  end)

  it("does nothing to one that runs when it is not asked to", function()
    local ex <close> = Executor(1)
    local gate = threading.Event()
    local f = begun(ex, function(began, g)
      began:set()
      g:wait()
      return "done"
    end, gate)
    assert.is_false(f:cancel())
    assert.is_false(f:cancel {})
    assert.is_false(f:cancel {running = false})
    gate:set()
    assert.equal("done", f:result(helper.patience))
  end)

  it("leaves the worker and its state as they were", function()
    local ex <close> = Executor(1)
    local function mark(began)
      marked = (marked or 0) + 1 -- luacheck: ignore 111 113
      began:set()
      while true do end
    end
    local ident = ex:submit(function() return require "conc.threading".get_ident() end):result()
    for i = 1, 5 do
      local f = begun(ex, mark)
      f:cancel(STOP)
      assert.equal("CancelledError", end_of(f))
      local n, id = ex:submit(function()
        return marked, require "conc.threading".get_ident() -- luacheck: ignore 113
      end):result(helper.patience)
      assert.same({i, ident}, {n, id})
    end
    assert.equal(1, #ex:stats().workers)
    assert.equal(5, ex:stats().cancelled)
  end)

  it("may be done a thousand times in a row", function()
    local ex <close> = Executor(1)
    local n = helper.scale(1000)
    for i = 1, n do
      local f = begun(ex, i % 2 == 0 and spin or sleep)
      assert.is_true(f:cancel(STOP))
      assert.equal("CancelledError", end_of(f))
      if i % 100 == 0 then assert.equal(i, ex:submit(echo, i):result(helper.patience)) end
    end
    assert.equal(n, ex:stats().cancelled)
  end)

  it("is seen by a task that catches it once, which may go on and wait", function()
    local ex <close> = Executor(1)
    for _, last in ipairs {spin, sleep} do
      local gate = threading.Event()
      local f = begun(ex, function(began, g, stop)
        local _, err = pcall(stop, began)
        g:wait()
        local sum = 0
        for i = 1, 100000 do sum = sum + i end
        return err.class, sum
      end, gate, last)
      assert.is_true(f:cancel(STOP))
      assert.is_true(f:cancel(STOP))
      gate:set()
      assert.same({"CancelledError", 5000050000}, {f:result(helper.patience)})
      assert.is_false(f:cancelled())
    end
  end)

  it("fails the future of a task that raises another error then", function()
    local ex <close> = Executor(1)
    local f = begun(ex, function(began, stop)
      pcall(stop, began)
      error("another", 0)
    end, sleep)
    f:cancel(STOP)
    assert.equal("another", end_of(f))
    assert.is_false(f:cancelled())
  end)

  it("is not what a task means that raises a CancelledError of its own", function()
    local ex <close> = Executor(1)
    local f = ex:submit(function()
      error(require "conc".Error.new("CancelledError", "mine"))
    end)
    assert.equal("CancelledError", end_of(f))
    assert.is_false(f:cancelled())
  end)

  it("keeps the hook of a debugger", function()
    local ex <close> = Executor(1)
    local f = begun(ex, function(began)
      local count = 0
      hook = function() count = count + 1 end -- luacheck: ignore 111
      debug.sethook(hook, "", 1000) -- luacheck: ignore 113
      pcall(function()
        began:set()
        while true do end
      end)
      local seen = count
      for _ = 1, 100000 do count = count + 0 end
      return debug.gethook() == hook, seen > 0, count > seen -- luacheck: ignore 113
    end)
    f:cancel(STOP)
    assert.same({true, true, true}, {f:result(helper.patience)})
    assert.is_true(ex:submit(function()
      local own = debug.gethook() == hook -- luacheck: ignore 113
      debug.sethook()
      return own
    end):result(helper.patience))
  end)

  it("is raised where a C function that calls back returns to Lua", function()
    local ex <close> = Executor(1)
    local f = begun(ex, function(began)
      began:set()
      local list = {}
      for i = 1, 100 do list[i] = i end
      while true do
        table.sort(list, function(a, b) return a > b end)
      end
    end)
    f:cancel(STOP)
    assert.equal("CancelledError", end_of(f))
  end)

  it("means the task that was asked, not the one that comes next", function()
    local ex <close> = Executor(1)
    for i = 1, helper.scale(2000) do
      local f = ex:submit(echo, i)
      local g = ex:submit(echo, -i)
      if not f:done() then f:cancel(STOP) end
      assert.equal(-i, g:result(helper.patience))
      local ok, r = pcall(f.result, f, helper.patience)
      assert.is_true(ok and r == i or r.class == "CancelledError")
    end
  end)

  it("may come from another thread, and from the task itself", function()
    local ex <close> = Executor(2)
    local f = begun(ex, spin)
    ex:submit(function(future) return future:cancel {running = true} end, f):result()
    assert.equal("CancelledError", end_of(f))
    local box = queue.SimpleQueue()
    f = ex:submit(function(from)
      from:get():cancel {running = true}
      while true do end
    end, box)
    box:put(f)
    assert.equal("CancelledError", end_of(f))
  end)

  it("does nothing to a promise's future that is running", function()
    local p = futures.Promise()
    assert.is_true(p:set_running_or_notify_cancel())
    assert.is_false(p:future():cancel(STOP))
    p:set_result(1)
    assert.equal(1, p:future():result())
  end)

  it("refuses other options", function()
    local promise = futures.Promise() -- a dropped one would end its future
    local f = promise:future()
    assert.error_matches(function() f:cancel(true) end,
      "options: table expected, got boolean")
    assert.error_matches(function() f:cancel {run = true} end, "unknown option 'run'")
    assert.error_matches(function() f:cancel {running = 1} end, "running: boolean expected")
    assert.error_matches(function() f:cancel({}, 1) end, "surplus argument")
    assert.is_false(f:done())
    promise:set_result()
  end)
end)

describe("A cancellation among nested tasks", function()
  -- On one worker: an outer task that waits for an inner one.  'mine' has both
  -- futures; the inner one says when it runs.
  local function nest(ex, inner)
    local began, mine = threading.Event(), queue.SimpleQueue()
    local outer = ex:submit(function(self, ready, box, g)
      local f = self:submit(g, ready)
      box:put(f)
      local ok, err = pcall(f.result, f)
      return ok, type(err) == "table" and err.class or err
    end, ex, began, mine, inner)
    assert(began:wait(helper.patience))
    return outer, mine:get(helper.patience)
  end

  it("of the inner one ends only that", function()
    local ex <close> = Executor(1)
    for _ = 1, helper.scale(100) do
      local outer, inner = nest(ex, sleep)
      assert.is_true(inner:cancel(STOP))
      assert.same({false, "CancelledError"}, {outer:result(helper.patience)})
      assert.is_true(inner:cancelled())
      assert.is_false(outer:cancelled())
    end
  end)

  it("of the outer one comes when the inner one has ended, which does not notice", function()
    local ex <close> = Executor(1)
    for _ = 1, helper.scale(100) do
      local gate = threading.Event()
      local outer, inner = nest(ex, function(began)
        began:set()
        gate:wait()
        for _ = 1, 1000 do gate:is_set() end
        return "whole"
      end)
      assert.is_true(outer:cancel(STOP))
      gate:set()
      assert.equal("whole", inner:result(helper.patience))
      assert.same({false, "CancelledError"}, {outer:result(helper.patience)})
    end
  end)

  it("of the middle one of three ends that and lets the others be", function()
    local ex <close> = Executor(1)
    local gate, box = threading.Event(), queue.SimpleQueue()
    local outer = ex:submit(function(self, g, to)
      local middle = self:submit(function()
        local inner = self:submit(function()
          to:put "inner"
          g:wait()
          return "whole"
        end)
        to:put(inner)
        inner:result()
        while true do end
      end)
      to:put(middle)
      return select(2, pcall(middle.result, middle)).class
    end, ex, gate, box)
    local middle, inner = box:get(helper.patience), box:get(helper.patience)
    assert.equal("inner", box:get(helper.patience))
    assert.is_true(middle:cancel(STOP))
    gate:set()
    assert.equal("whole", inner:result(helper.patience))
    assert.equal("CancelledError", outer:result(helper.patience))
    assert.is_true(middle:cancelled())
  end)

  it("of both comes to both", function()
    local ex <close> = Executor(1)
    for _ = 1, helper.scale(100) do
      local box, began = queue.SimpleQueue(), threading.Event()
      local outer = ex:submit(function(self, to, ready)
        local inner = self:submit(function(r)
          r:set()
          require "conc".sleep(1000)
        end, ready)
        to:put(inner)
        inner:exception()
        while true do end
      end, ex, box, began)
      local inner = box:get(helper.patience)
      began:wait()
      outer:cancel(STOP)
      inner:cancel(STOP)
      assert.equal("CancelledError", end_of(inner))
      assert.equal("CancelledError", end_of(outer))
    end
  end)
end)

-- What takes no time takes some where the machine has other things to do: f is
-- called until its task was not stopped, some times at most.
local function in_time(f)
  for _ = 1, 20 do
    local ok, result = pcall(f)
    if ok then return assert.is_true(result) end
    assert.equal("TimeoutError", result.class)
  end
  error "the task was always stopped"
end

describe("submit_with{timeout = s}", function()
  it("stops a task that takes longer, with a TimeoutError", function()
    local ex <close> = Executor(1)
    for _, last in ipairs {spin, sleep} do
      local start = conc.time()
      local f = ex:submit_with({timeout = 0.05}, last, threading.Event())
      assert.equal("TimeoutError", end_of(f))
      assert.is_true(conc.time() - start >= 0.05)
      assert.is_false(f:cancelled())
      assert.matches("traceback", f:traceback())
    end
    assert.equal(1, ex:submit(echo, 1):result(helper.patience))
    assert.same({2, 0}, {ex:stats().failed, ex:stats().cancelled})
  end)

  it("lets a task be that ends in time, and the next one", function()
    local ex <close> = Executor(1)
    in_time(function()
      return ex:submit_with({timeout = 0.05}, echo, 7):result(helper.patience) == 7
    end)
    assert.equal(8, ex:submit(function()
      require "conc".sleep(0.1)
      return 8
    end):result(helper.patience))
    for i = 1, helper.scale(1000) do
      assert.equal(i, ex:submit_with({timeout = 1000, name = "quick"}, echo, i):result())
    end
  end)

  it("counts from the start of the task", function()
    local ex <close> = Executor(1)
    in_time(function()
      local gate = threading.Event()
      local first = begun(ex, function(began, g)
        began:set()
        g:wait()
      end, gate)
      local f = ex:submit_with({timeout = 0.1}, echo, "in time")
      conc.sleep(0.15)
      gate:set()
      first:result()
      return f:result(helper.patience) == "in time"
    end)
  end)

  it("runs the <close> variables of the task", function()
    local ex <close> = Executor(1)
    local log = queue.SimpleQueue()
    local f = ex:submit_with({timeout = 0.01}, function(q)
      local _ <close> = setmetatable({}, {__close = function(_, err) q:put(err.class) end})
      while true do end
    end, log)
    assert.equal("TimeoutError", end_of(f))
    assert.equal("TimeoutError", log:get(0))
  end)

  it("of zero stops what is not done at once, of math.huge nothing", function()
    local ex <close> = Executor(1)
    assert.equal("TimeoutError", end_of(ex:submit_with({timeout = 0}, spin, threading.Event())))
    assert.equal(1, ex:submit_with({timeout = math.huge}, echo, 1):result(helper.patience))
  end)

  it("takes any number of tasks at once", function()
    local ex <close> = Executor(2)
    local fs, n = {}, helper.scale(200)
    for i = 1, n do
      fs[i] = ex:submit_with({timeout = 0.0005 * (i % 3)}, function(k)
        if k % 2 == 0 then return k end
        while true do end
      end, i)
    end
    for i = 1, n do
      local ok, r = pcall(fs[i].result, fs[i], helper.patience)
      assert.is_true(ok and r == i or r.class == "TimeoutError")
    end
  end)

  it("runs without options, and refuses other ones", function()
    local ex <close> = Executor(1)
    assert.equal(1, ex:submit_with({}, echo, 1):result())
    helper.refuses_timeouts(function(timeout) ex:submit_with({timeout = timeout}, echo) end)
    for _, case in ipairs {
      {"options: table expected, got no value"}, {"options: table expected, got function", echo},
      {"fn: function expected, got no value", {}}, {"fn: function expected, got number", {}, 1},
      {"unknown option 'time'", {time = 1}, echo},
      {"name: string expected, got number", {name = 1}, echo},
      {"retries: integer expected, got string", {retries = "1"}, echo},
      {"retries: must be at least 0", {retries = -1}, echo},
    } do
      assert.error_matches(function() ex:submit_with(table.unpack(case, 2)) end, case[1])
    end
    assert.error_matches(function() ex:submit_with({}, echo, {coroutine.create(print)}) end,
      "args%[1%]%[1%]: cannot send a coroutine")
  end)
end)

describe("conc.cancelled", function()
  it("says whether the running task is asked to stop", function()
    local ex <close> = Executor(1)
    local gate = threading.Event()
    local f = begun(ex, function(began, g)
      local conc = require "conc" -- luacheck: ignore 431
      local before = conc.cancelled()
      local within, caught
      conc.shield(function()
        began:set()
        g:wait()
        within = conc.cancelled()
      end)
      caught = select(2, pcall(conc.sleep, 1000))
      return before, within, caught.class, conc.cancelled()
    end, gate)
    f:cancel(STOP)
    gate:set()
    assert.same({false, true, "CancelledError", true}, {f:result(helper.patience)})
    assert.is_false(ex:submit(function() return require "conc".cancelled() end):result())
  end)

  it("is false outside of tasks, and takes no arguments", function()
    assert.is_false(conc.cancelled())
    assert.error_matches(function() conc.cancelled(1) end, "surplus argument")
  end)
end)

describe("conc.shield", function()
  it("returns and raises what its function does", function()
    assert.same({n = 3, 1, nil, 3}, table.pack(conc.shield(echo, 1, nil, 3)))
    assert.equal(0, select("#", conc.shield(echo)))
    assert.equal("no", raised(conc.shield, error, "no", 0))
    assert.error_matches(function() conc.shield() end, "fn: function expected")
    assert.error_matches(function() conc.shield(1) end, "fn: function expected, got number")
  end)

  it("lets waits and loops go on; the first wait after it raises", function()
    local ex <close> = Executor(1)
    local gate, log = threading.Event(), queue.SimpleQueue()
    local f = begun(ex, function(began, g, q)
      local conc = require "conc" -- luacheck: ignore 431
      q:put(conc.shield(function()
        began:set()
        g:wait()
        local sum = 0
        for i = 1, 100000 do sum = sum + i end
        conc.sleep(0.001)
        return sum
      end))
      local ok, err = pcall(conc.sleep, 1000)
      q:put(ok)
      error(err, 0)
    end, gate, log)
    f:cancel(STOP)
    gate:set()
    assert.equal(5000050000, log:get(helper.patience))
    assert.is_false(log:get(helper.patience))
    assert.equal("CancelledError", end_of(f))
    assert.is_true(f:cancelled())
  end)

  it("may be inside another, and ends with an error too", function()
    local ex <close> = Executor(1)
    local gate = threading.Event()
    local f = begun(ex, function(began, g)
      local conc = require "conc" -- luacheck: ignore 431
      local within = conc.shield(function()
        pcall(conc.shield, function()
          began:set()
          g:wait()
          error "out"
        end)
        return pcall(conc.sleep, 0.001)
      end)
      return within, (pcall(conc.sleep, 1000))
    end, gate)
    f:cancel(STOP)
    gate:set()
    assert.same({true, false}, {f:result(helper.patience)})
  end)

  it("does not keep Ctrl-C from ending a wait", function()
    assert.same({"interrupted!", "true"}, helper.interrupted([[
      local conc = require "conc"
      interrupted(conc.shield, conc.sleep, 1000)
      print(conc.shield(sync.Event().wait, sync.Event(), 0) == false)
    ]]))
  end)

  it("lets done callbacks be called in its waits", function()
    local ex <close> = Executor(1)
    local called, gate = threading.Event(), threading.Event()
    local f = ex:submit(gate.wait, gate)
    f:add_done_callback(function() called:set() end)
    gate:set()
    assert.is_true(conc.shield(called.wait, called, helper.patience))
  end)

  it("is not for tasks that run inside", function()
    local ex <close> = Executor(1)
    local box = queue.SimpleQueue()
    local f = ex:submit(function(self, to)
      return require "conc".shield(function()
        local inner = self:submit(function(q)
          q:put "began"
          require "conc".sleep(1000)
        end, to)
        to:put(inner)
        return select(2, pcall(inner.result, inner)).class
      end)
    end, ex, box)
    local inner = box:get(helper.patience)
    assert.equal("began", box:get(helper.patience))
    inner:cancel(STOP)
    assert.equal("CancelledError", f:result(helper.patience))
    assert.is_true(inner:cancelled())
  end)
end)
