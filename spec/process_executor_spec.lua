local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor = futures.ProcessPoolExecutor

local assert, setup = assert, setup
local describe, it = helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

local function error_of(f) return raised(f.result, f, helper.patience) end

-- Tasks.
local function echo(...) return ... end
local function my_pid() return require "conc.multiprocessing".current_process():pid() end
local function add(a, b) return a + b end

-- Ends its process as an error in a C library would.
local function die(words)
  if words then io.stderr:write(words, "\n") end
  require "spec.die"()
end

-- The second time it is called for this path it comes back.
local function die_once(path)
  local file = io.open(path)
  if file then
    file:close()
    os.remove(path)
    return "alive"
  end
  io.open(path, "w"):close()
  require "spec.die"()
end

-- Waits at a gate in shared memory, and says that it has begun.
local function wait_at(gate, began, result)
  began:release()
  gate:wait()
  return result
end

local function gates()
  return multiprocessing.Event(), multiprocessing.Semaphore(0)
end

describe("A ProcessPoolExecutor", function()
  -- What stays is made before anything is counted: the fork server, and the
  -- place where this state hears of futures.
  setup(function()
    for _, method in ipairs(multiprocessing.get_all_start_methods()) do
      multiprocessing.get_context(method).Process():start():join()
    end
    futures.Promise():future():add_done_callback(function() end)
  end)

  it("has as many workers at most as it is told, by default one for each processor", function()
    assert.equal(conc.cpu_count(), Executor():max_workers())
    assert.equal(3, Executor(3):max_workers())
    assert.equal(7, Executor {max_workers = 7}:max_workers())
  end)

  it("refuses bad options by their names", function()
    for _, case in ipairs {
      {{max_workers = 0}, "max_workers"},
      {{max_workers = "x"}, "max_workers"},
      {{max_tasks_per_child = 0}, "max_tasks_per_child"},
      {{mp_context = 1}, "mp_context"},
      {{initializer = 1}, "initializer"},
      {{initializer = print, initargs = 1}, "initargs"},
      {{on_death = "cry"}, "on_death"},
      {{idle_timeout = -1}, "idle_timeout"},
      {{max_pending = 0}, "max_pending"},
      {{overflow = "x"}, "overflow"},
      {{workers = 1}, "workers"},
    } do
      assert.matches(case[2], raised(Executor, case[1]))
    end
  end)

  it("starts no process before there is work", function()
    local ex <close> = Executor(2)
    assert.equal(0, #multiprocessing.active_children())
    ex:submit(echo):result()
    assert.equal(1, #multiprocessing.active_children())
  end)

  it("calls a function with its arguments in another process", function()
    local ex <close> = Executor(1)
    assert.same({n = 3, 1, nil, "x"}, table.pack(ex:submit(echo, 1, nil, "x"):result()))
    assert.are_not.equal(my_pid(), ex:submit(my_pid):result())
    local n = 5
    assert.equal(47, ex:submit(function(m) return n + m end, 42):result())
    local long = ("x"):rep(300000)
    assert.equal(long, ex:submit(echo, long):result())
  end)

  it("starts processes by the method of mp_context", function()
    for _, method in ipairs(multiprocessing.get_all_start_methods()) do
      local context = multiprocessing.get_context(method)
      local ex <close> = Executor {max_workers = 1, mp_context = context}
      assert.equal(3, ex:submit(add, 1, 2):result())
    end
  end)

  it("maps in the order of the input, over sequences and iterators", function()
    local ex <close> = Executor(2)
    local n = 0
    local xs = {}
    for i = 1, 1000 do xs[i] = i end
    for i, r in ex:map(function(x) return x * x end, xs) do
      n = n + 1
      assert.equal(n, i)
      assert.equal(n * n, r)
    end
    assert.equal(1000, n)
    local list = {}
    for i, r in ex:starmap(add, {{1, 2}, {3, 4}}) do list[i] = r end
    assert.same({3, 7}, list)
    local count = 0
    for i, r in ex:map(echo, (function() count = count + 1 return count end), {buffersize = 4}) do
      assert.equal(i, r)
      if i == 20 then break end
    end
    assert.is_true(count <= 24)
  end)

  it("raises what a task raised, with its traceback", function()
    local ex <close> = Executor(1)
    local f = ex:submit(function() error {code = 7} end)
    assert.same({code = 7}, error_of(f))
    assert.matches("stack traceback", f:traceback())
    assert.is_true(conc.Error.is(error_of(ex:submit(os.exit, 3)), "SystemExit"))
    assert.equal(1, ex:submit(echo, 1):result())
  end)

  it("refuses in submit what cannot travel to a process", function()
    local ex <close> = Executor(1)
    assert.matches("args%[1%].*Queue", raised(ex.submit, ex, echo, queue.Queue()))
    assert.matches("coroutine", raised(ex.submit, ex, echo, coroutine.create(print)))
    assert.matches("fn", raised(ex.submit, ex, 1))
  end)

  it("fails the future of a result that cannot travel, and goes on", function()
    local ex <close> = Executor(1)
    local err = error_of(ex:submit(function() return require "conc.queue".Queue() end))
    assert.matches("result.*Queue", tostring(err))
    err = error_of(ex:submit(function() error(require "conc.queue".Queue()) end))
    assert.matches("Queue", tostring(err))
    local results = {}
    local next_result, s, c = ex:map(function(x)
      return x == 2 and require "conc.queue".Queue() or x
    end, {1, 2, 3}, {chunksize = 3})
    for i = 1, 3 do
      results[i] = select(2, pcall(function() return select(2, next_result(s, c)) end))
    end
    assert.equal(1, results[1])
    assert.matches("Queue", tostring(results[2]))
    assert.equal(3, results[3])
  end)

  it("carries objects in shared memory", function()
    local ex <close> = Executor(2)
    local v = multiprocessing.Value("q", 0)
    local list = {}
    for i = 1, 50 do list[i] = ex:submit(function(cell) cell:add(1) end, v) end
    futures.wait(list)
    assert.equal(50, v.value)
  end)

  it("tells any number of functions and classes apart, in any order", function()
    local ex <close> = Executor(1)
    local fs, list, class = {}, {}, {}
    class.__index = class
    function class.twice(self) return 2 * self.n end
    for i = 1, 100 do fs[i] = load(("return %d + ..."):format(i * 1000)) end
    local function all(f, ...)
      if not f then return 0 end
      return f(1) + all(...)
    end
    for i = 1, 1000 do
      list[i] = ex:submit(fs[i * 37 % 100 + 1], i)
      list[-i] = ex:submit(all, table.unpack(fs, 1, i % 12))
    end
    local object = ex:submit(function(o) return o:twice(), o end, setmetatable({n = 21}, class))
    for i = 1, 1000 do
      assert.equal((i * 37 % 100 + 1) * 1000 + i, list[i]:result())
      local n = i % 12
      assert.equal(n * (n + 1) // 2 * 1000 + n, list[-i]:result())
    end
    local n, same = object:result()
    assert.equal(42, n)
    assert.equal(class, getmetatable(same))
  end)

  it("gives a new process the functions that the old one had", function()
    local ex <close> = Executor(1)
    for i = 1, 5 do
      assert.equal(i + 1, ex:submit(add, i, 1):result(helper.patience))
      error_of(ex:submit(die))
    end
  end)

  it("ends a process that had nothing to do for idle_timeout, and starts one for more", function()
    local ex <close> = Executor {max_workers = 1, idle_timeout = 0.01}
    local pid = ex:submit(my_pid):result()
    helper.eventually(function() return #multiprocessing.active_children() == 0 end, "its end")
    assert.are_not.equal(pid, ex:submit(my_pid):result())
  end)

  it("begins tasks in the order of their submission, also those behind one that is slow", function()
    local ex <close> = Executor(1)
    local seen, list = multiprocessing.SimpleQueue(), {}
    for i = 1, 50 do list[i] = ex:submit(echo, i) end
    for i = 1, 50 do list[i]:result() end -- quick ones: it is given several at a time
    for i = 1, 20 do
      list[i] = ex:submit(function(q, k)
        if k % 5 == 1 then require "conc".sleep(0.02) end
        q:put(k)
      end, seen, i)
    end
    for i = 1, 20 do assert.equal(i, seen:get(helper.patience)) end
    for i = 1, 20 do list[i]:result() end
  end)

  it("has max_pending tasks that are not started at most", function()
    local gate, began = gates()
    for _, overflow in ipairs {"error", "caller", "block"} do
      gate:clear()
      local ex <close> = Executor {max_workers = 1, max_pending = 1, overflow = overflow}
      local first = ex:submit(wait_at, gate, began, 1)
      assert(began:acquire(helper.patience))
      local second = ex:submit(echo, 2)
      if overflow == "error" then
        assert.is_true(conc.Error.is(raised(ex.submit, ex, echo), "QueueFull"))
      elseif overflow == "caller" then
        assert.equal(my_pid(), ex:submit(my_pid):result())
        local f = ex:submit_with({timeout = 5, name = "x"}, function(s) return s, my_pid() end, "y")
        assert.same({"y", my_pid()}, {f:result()})
      else
        local submitted = helper.thread(function(e, g)
          local f = e:submit(echo, 3)
          return g:is_set(), f
        end, ex, gate)
        gate:set()
        local after, third = submitted()
        assert.is_true(after)
        assert.equal(3, third:result())
      end
      gate:set()
      assert.equal(1, first:result())
      assert.equal(2, second:result())
    end
  end)

  it("counts what is pending right when tasks come back from a process that dies", function()
    local ex <close> = Executor {max_workers = 2, max_pending = 3}
    local list = {}
    for i = 1, 200 do
      list[i] = i % 40 == 0 and ex:submit(die) or ex:submit(echo, i)
    end
    for i = 1, 200 do
      if i % 40 == 0 then
        error_of(list[i])
      else
        assert.equal(i, list[i]:result(helper.patience))
      end
    end
    assert.equal(0, ex:stats().queued)
  end)

  it("gives futures to callbacks, groups, select and as_completed", function()
    local ex <close> = Executor(2)
    local seen
    local f = ex:submit(add, 1, 2)
    f:add_done_callback(function(g) seen = g:result() end)
    f:result()
    assert.equal(3, seen)
    assert.equal(1, (conc.select {ex:submit(echo, 1), timeout = helper.patience}))
    local n = 0
    for g in futures.as_completed {ex:submit(echo, 1), ex:submit(echo, 2)} do n = n + g:result() end
    assert.equal(3, n)
    assert.same({1, 2, n = 2}, futures.all {ex:submit(echo, 1), ex:submit(echo, 2)}:result())
    do
      local g <close> = futures.TaskGroup(ex)
      f = g:submit(add, 20, 22)
    end
    assert.equal(42, f:result())
  end)

  it("cancels what has not started", function()
    local gate, began = gates()
    local ex <close> = Executor(1)
    local running = ex:submit(wait_at, gate, began, "done")
    assert(began:acquire(helper.patience))
    local pending = ex:submit(echo, 1)
    assert.is_false(running:cancel())
    assert.is_true(pending:cancel())
    gate:set()
    assert.equal("done", running:result())
    assert.is_true(pending:cancelled())
  end)

  it("does not let a short task wait behind a long one while a worker is free", function()
    local gate, began = gates()
    local ex <close> = Executor(2)
    for _, r in ex:map(echo, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {chunksize = 1}) do assert(r) end
    local long, list = ex:submit(wait_at, gate, began, "long"), {}
    for i = 1, 200 do list[i] = ex:submit(echo, i) end
    for i = 1, 200 do assert.equal(i, list[i]:result(helper.patience)) end
    gate:set()
    assert.equal("long", long:result())
  end)

  it("calls an initializer first in each process", function()
    local ex <close> = Executor {
      max_workers = 2,
      initializer = function(a, b) sum_of_both = a + b end, -- luacheck: ignore
      initargs = {20, 22},
    }
    for i = 1, 10 do
      assert.equal(42, ex:submit(function(_) return sum_of_both end, i):result()) -- luacheck: ignore
    end
  end)

  it("is broken by an initializer that fails, with its cause", function()
    local ex <close> = Executor {max_workers = 1, initializer = error, initargs = {"no luck"}}
    local err = error_of(ex:submit(echo, 1))
    assert.is_true(conc.Error.is(err, "BrokenProcessPool"))
    assert.is_true(conc.Error.is(err, "BrokenExecutor"))
    assert.matches("no luck", tostring(err.cause))
    err = raised(ex.submit, ex, echo, 1)
    assert.is_true(conc.Error.is(err, "BrokenProcessPool"))
  end)

  it("gives each process max_tasks_per_child tasks", function()
    local ex <close> = Executor {max_workers = 1, max_tasks_per_child = 2}
    local pids, n = {}, 0
    for _ = 1, 6 do
      local pid = ex:submit(my_pid):result()
      if not pids[pid] then n = n + 1 end
      pids[pid] = (pids[pid] or 0) + 1
    end
    assert.equal(3, n)
    for _, times in pairs(pids) do assert.equal(2, times) end
  end)

  it("finishes what was submitted before shutdown, and refuses what comes later", function()
    local ex = Executor(2)
    local list = {}
    for i = 1, 100 do list[i] = ex:submit(echo, i) end
    ex:shutdown()
    for i = 1, 100 do
      assert.is_true(list[i]:done())
      assert.equal(i, list[i]:result())
    end
    assert.matches("after shutdown", raised(ex.submit, ex, echo, 1))
    ex:shutdown()
    assert.equal(0, #multiprocessing.active_children())
  end)

  it("cancels what has not started by shutdown{cancel_futures = true}", function()
    local gate, began = gates()
    local ex = Executor(1)
    local running, list = ex:submit(wait_at, gate, began, "done"), {}
    assert(began:acquire(helper.patience))
    for i = 1, 10 do list[i] = ex:submit(echo, i) end
    ex:shutdown {wait = false, cancel_futures = true}
    for i = 1, 10 do assert.is_true(list[i]:cancelled()) end
    gate:set()
    assert.equal("done", running:result())
    ex:shutdown()
  end)

  it("does what was submitted when it is dropped", function()
    local f = Executor(1):submit(add, 1, 2)
    collectgarbage()
    collectgarbage()
    assert.equal(3, f:result())
  end)

  it("knows what it does", function()
    local ex <close> = Executor(1)
    ex:submit_with({name = "nap"}, function() require "conc".sleep(0.02) end):result()
    error_of(ex:submit(error))
    local stats = ex:stats()
    assert.equal(1, stats.done)
    assert.equal(1, stats.failed)
    assert.equal(0, stats.queued)
    assert.equal(1, #stats.workers)
    assert.equal("nap", stats.slowest[1].name)
    assert.is_true(stats.slowest[1].seconds >= 0.02)
  end)

  it("does not show its own threads", function()
    local ex <close> = Executor(1)
    ex:submit(echo):result()
    assert.equal(1, threading.active_count())
  end)

  -- More functions than a worker keeps, and tasks that take about as long as it
  -- takes until what waits behind them is taken back.
  it("runs with each task the function that it was given #stress", function()
    local ex <close> = Executor(1)
    local fs = {}
    for k = 1, 60 do
      fs[k] = load("local sleep, i = ... if i % 7 == 0 then sleep(0.0049 + i % 5 * 1e-4) end " ..
        "return i, " .. k)
    end
    for round = 1, helper.scale(60) do
      local function which(i) return (i * 7 + round) % #fs + 1 end
      local list = {}
      for i = 1, 200 do list[i] = ex:submit(fs[which(i)], conc.sleep, i) end
      for i = 1, 200 do assert.same({i, which(i)}, {list[i]:result(helper.patience)}) end
    end
  end)

  it("runs methods of what processes share", function()
    local ex <close> = Executor(1)
    local e, v = multiprocessing.Event(), multiprocessing.Value("i", 2)
    local waiting = ex:submit(e.wait, e)
    e:set()
    assert.is_true(waiting:result(helper.patience))
    assert.equal(5, ex:submit(v.add, v, 3):result(helper.patience))
  end)
end)

describe("A worker process that dies", function()
  it("fails only the task it ran, which tells how it died, and is replaced", function()
    local ex <close> = Executor(1)
    local pid = ex:submit(my_pid):result()
    local bad, after = ex:submit(die, "these are my last words"), {}
    for i = 1, 20 do after[i] = ex:submit(echo, i) end
    local err = error_of(bad)
    assert.is_true(conc.Error.is(err, "WorkerDied"))
    assert.is_true(conc.Error.is(err, "BrokenExecutor"))
    assert.equal(pid, err.pid)
    assert.equal(-9, err.exitcode)
    assert.equal("SIGKILL", err.signal)
    assert.matches("these are my last words", err.stderr)
    for i = 1, 20 do assert.equal(i, after[i]:result(helper.patience)) end
    assert.are_not.equal(pid, ex:submit(my_pid):result())
  end)

  it("may be killed while it has nothing to do", function()
    local ex <close> = Executor(1)
    ex:submit(echo):result()
    local child = multiprocessing.active_children()[1]
    child:kill()
    assert(child:join(helper.patience))
    assert.equal(3, ex:submit(add, 1, 2):result(helper.patience))
  end)

  it("has its task done again when there are retries", function()
    local ex <close> = Executor(1)
    local path = os.tmpname()
    os.remove(path)
    assert.equal("alive", ex:submit_with({retries = 1}, die_once, path):result(helper.patience))
    local err = error_of(ex:submit_with({retries = 2}, die))
    assert.is_true(conc.Error.is(err, "WorkerDied"))
  end)

  -- What map gives: the results, and who died at which positions.
  local function collect(take, n)
    local results, dead = {}, {}
    for position = 1, n do
      local ok, i, r = pcall(take)
      if ok then
        assert.is_nil(results[i])
        results[i] = r
      else
        assert.equal("WorkerDied", i.class)
        dead[#dead + 1] = position
      end
    end
    assert.is_nil(take())
    return results, dead
  end

  local function numbers(n)
    local list = {}
    for i = 1, n do list[i] = i end
    return list
  end

  it("fails one item of a map only, whatever travels with that", function()
    local calls = multiprocessing.Array("i", 200)
    local function work(x)
      calls:add(x, 1)
      if x == 1 or x == 77 or x == 78 or x == 200 then die() end
      return -x
    end
    local ex <close> = Executor(2)
    for _, options in ipairs {{chunksize = 100}, {chunksize = 200}, {}, {buffersize = 20}} do
      local results, dead = collect(ex:map(work, numbers(200), options), 200)
      assert.same({1, 77, 78, 200}, dead)
      for _, i in ipairs(dead) do
        assert.is_nil(results[i])
        results[i] = -i
      end
      for i = 1, 200 do assert.equal(-i, results[i]) end
    end
    local options = {chunksize = 50, unordered = true}
    local results, dead = collect(ex:map(work, numbers(200), options), 200)
    assert.equal(4, #dead)
    assert.equal(-199, results[199])
    for i = 1, 200 do assert.is_true(calls[i] >= 5) end
  end)

  it("does items again at most when they were done a moment before", function()
    local calls = multiprocessing.Array("i", 40)
    local function work(x)
      calls:add(x, 1)
      if x == 30 then die() end
      local long = require "conc".time() + 0.003
      while require "conc".time() < long do end -- luacheck: ignore
      return x, x + 1
    end
    local ex <close> = Executor(1)
    local results, dead = collect(ex:map(work, numbers(40), {chunksize = 40}), 40)
    assert.same({30}, dead)
    assert.equal(29, results[29])
    for i = 1, 40 do assert.equal(1, calls[i]) end
  end)

  it("ends a map that is left or terminated while items are done again", function()
    for i = 1, 10 do
      local ex = Executor(2)
      local take = ex:map(function(x)
        if x % 10 == 0 then die() end
        return x
      end, numbers(100), {chunksize = 50})
      for _ = 1, i do pcall(take) end
      if i % 2 == 0 then ex:kill_workers() end
      local ended = 0
      while i % 2 == 0 do
        local ok, k = pcall(take)
        if ok and k == nil then break end
        ended = ended + 1
      end
      assert.equal(i % 2 == 0 and 100 - i or 0, ended)
      take = nil -- luacheck: ignore 311
      collectgarbage()
      ex:shutdown {cancel_futures = true}
    end
  end)

  it("breaks the executor when on_death is 'break'", function()
    local gate, began = gates()
    local ex <close> = Executor {max_workers = 2, on_death = "break"}
    local other = ex:submit(wait_at, gate, began)
    assert(began:acquire(helper.patience))
    local bad, pending = ex:submit(die), ex:submit(wait_at, gate, began)
    for _, f in ipairs {bad, pending, other} do
      local err = error_of(f)
      assert.is_true(conc.Error.is(err, "BrokenProcessPool"))
      assert.is_true(conc.Error.is(err.cause, "WorkerDied"))
    end
    assert.is_true(conc.Error.is(raised(ex.submit, ex, echo), "BrokenProcessPool"))
  end)

  it("is killed when its task takes longer than its timeout", function()
    local ex <close> = Executor(1)
    local pid = ex:submit(my_pid):result()
    local began = multiprocessing.Event()
    local after
    repeat -- a busy machine may not have begun it by then: no reason to kill
      local f = ex:submit_with({timeout = 0.05}, function(e)
        e:set()
        while true do end -- luacheck: ignore
      end, began)
      after = ex:submit(my_pid)
      assert.is_true(conc.Error.is(error_of(f), "TimeoutError"))
    until began:is_set()
    assert.are_not.equal(pid, after:result(helper.patience))
    assert.equal(1, ex:submit_with({timeout = helper.patience}, echo, 1):result())
  end)

  it("is killed when its task is cancelled", function()
    local gate, began = gates()
    local ex <close> = Executor(1)
    local f = ex:submit(wait_at, gate, began)
    assert(began:acquire(helper.patience))
    assert.is_true(f:cancel {running = true})
    assert.is_true(conc.Error.is(error_of(f), "CancelledError"))
    assert.equal(3, ex:submit(add, 1, 2):result(helper.patience))
  end)

  for _, how in ipairs {"terminate_workers", "kill_workers"} do
    it("ends by " .. how .. "(), and so does the executor", function()
      local gate, began = gates()
      local ex <close> = Executor(2)
      local list = {}
      for i = 1, 4 do list[i] = ex:submit(wait_at, gate, began) end
      for _ = 1, 2 do assert(began:acquire(helper.patience)) end
      ex[how](ex)
      for i = 1, 4 do
        assert.is_true(conc.Error.is(error_of(list[i]), "BrokenProcessPool"))
      end
      assert.is_true(conc.Error.is(raised(ex.submit, ex, echo), "BrokenProcessPool"))
      ex[how](ex)
    end)
  end

  it("leaves nothing behind, however many die #stress", function()
    local rounds = helper.scale(200)
    local ex <close> = Executor(3)
    -- Two deaths a round: a machine that is too slow to start a process between
    -- two deaths would find that workers die before they can work.
    local deaths = queue.Queue()
    local finish = helper.thread(function(q)
      local mp, sleep = require "conc.multiprocessing", require "conc".sleep
      for wait in q:items() do
        sleep(wait)
        local children = mp.active_children()
        if #children > 0 then children[math.random(#children)]:kill() end
      end
    end, deaths)
    local _ <close> = setmetatable({}, {__close = function() deaths:shutdown() end})
    local sum, died, fs = 0, 0, {}
    for i = 1, 60 do fs[i] = load("local _ = " .. i .. " return ...") end
    for _ = 1, rounds do
      local list = {}
      for _ = 1, 2 do deaths:put(math.random() * 0.02) end
      for i = 1, 500 do
        list[i] = ex:submit_with({retries = i % 2 * 1000}, fs[i % 60 + 1], i)
      end
      for i = 1, 500 do
        local ok, r = pcall(list[i].result, list[i], helper.patience)
        if ok then
          assert.equal(i, r)
          sum = sum + 1
        else
          assert.is_true(i % 2 == 0 and conc.Error.is(r, "WorkerDied"))
          died = died + 1
        end
      end
    end
    deaths:shutdown()
    finish()
    assert.equal(500 * rounds, sum + died)
  end)
end)
