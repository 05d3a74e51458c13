local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor = futures.ThreadPoolExecutor

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function class_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return type(err) == "table" and err.class or err
end

local function echo(...) return ... end
local function ident() return require "conc.threading".get_ident() end

-- An executor with one worker that waits for the gate, and one pending task.
local function full(overflow, max_pending)
  local ex = Executor {max_workers = 1, max_pending = max_pending or 1, overflow = overflow}
  local gate, began = threading.Event(), threading.Event()
  ex:submit(function(b, g)
    b:set()
    g:wait()
  end, began, gate)
  assert(began:wait(helper.patience))
  local pending = {}
  for i = 1, max_pending or 1 do pending[i] = ex:submit(echo, i) end
  return ex, gate, pending
end

describe("max_pending", function()
  it("makes submit wait until a task begins", function()
    local ex, gate, pending = full()
    local asked = queue.SimpleQueue()
    local finish = helper.thread(function(pool, log, f)
      log:put "asked"
      return pool:submit(f, "later"):result()
    end, ex, asked, echo)
    asked:get()
    conc.sleep(0.02)
    assert.equal(1, ex:stats().queued)
    assert.is_false(pending[1]:done())
    gate:set()
    assert.equal("later", finish())
    assert.equal(1, pending[1]:result())
    ex:shutdown()
  end)

  it("is a limit for what has not started, not for what runs", function()
    local ex, gate, pending = full("error", 3)
    assert.equal("QueueFull", class_of(ex.submit, ex, echo))
    assert.equal(3, ex:stats().queued)
    gate:set()
    for i = 1, 3 do assert.equal(i, pending[i]:result(helper.patience)) end
    assert.equal(4, ex:submit(echo, 4):result(helper.patience))
    ex:shutdown()
  end)

  it("gives a place back when a pending task is cancelled", function()
    local ex, gate, pending = full("error")
    assert.equal("QueueFull", class_of(ex.submit, ex, echo))
    assert.is_true(pending[1]:cancel())
    local f = ex:submit(echo, 2)
    assert.equal("QueueFull", class_of(ex.submit, ex, echo))
    gate:set()
    assert.equal(2, f:result(helper.patience))
    ex:shutdown()
  end)

  it("wakes who waits for a place when a pending task is cancelled", function()
    local ex, gate, pending = full()
    local asked = queue.SimpleQueue()
    local finish = helper.thread(function(pool, log, f)
      log:put "asked"
      local future = pool:submit(f, "mine")
      log:put "submitted"
      return future:result()
    end, ex, asked, echo)
    asked:get()
    assert.is_true(pending[1]:cancel())
    assert.equal("submitted", asked:get(helper.patience))
    gate:set()
    assert.equal("mine", finish())
    ex:shutdown()
  end)

  it("wakes who waits for a place when the executor is shut down", function()
    local ex, gate = full()
    local asked = queue.SimpleQueue()
    local finish = helper.thread(function(pool, log, f)
      log:put "asked"
      return pcall(pool.submit, pool, f)
    end, ex, asked, echo)
    asked:get()
    conc.sleep(0.01)
    ex:shutdown {wait = false}
    local ok, err = finish()
    assert.is_false(ok)
    assert.matches("cannot schedule new futures after shutdown", err)
    gate:set()
    ex:shutdown()
  end)

  it("lets a task submit any number of tasks to its own executor", function()
    for workers = 1, 2 do
      local ex <close> = Executor {max_workers = workers, max_pending = 2}
      local log = queue.SimpleQueue()
      local f = ex:submit(function(self, q)
        for i = 1, 200 do self:submit(q.put, q, i) end
        return "all"
      end, ex, log)
      assert.equal("all", f:result(helper.patience))
      local sum = 0
      for _ = 1, 200 do sum = sum + log:get(helper.patience) end
      assert.equal(20100, sum)
    end
  end)

  it("keeps nobody waiting among submitters inside and outside", function()
    for workers = 1, 2 do
      local ex <close> = Executor {max_workers = workers, max_pending = 1}
      local n = helper.scale(3000)
      local inner = ex:submit(function(self, f, times)
        for i = 1, times do self:submit(f, i) end
      end, ex, echo, n)
      helper.threads(3, function(_, pool, f, times)
        for i = 1, times do pool:submit(f, i) end
      end, ex, echo, n)
      inner:result(helper.patience)
      helper.eventually(function() return ex:stats().done == 4 * n + 1 end)
    end
  end)

  it("#stress gives the room back of what is cancelled while a worker takes it", function()
    for _ = 1, helper.scale(40) do
      local ex = Executor {max_workers = 2, max_pending = 50, max_tasks_per_worker = 500,
        idle_timeout = 0.001}
      local list, ends = {}, {done = 0, cancelled = 0}
      for i = 1, 3000 do
        list[i] = ex:submit(math.abs, i)
        if i % 2 == 0 then list[i]:cancel() end
      end
      for i = 1, #list do
        local how = pcall(list[i].result, list[i], helper.patience) and "done" or "cancelled"
        ends[how] = ends[how] + 1
      end
      ex:shutdown()
      local stats = ex:stats()
      assert.same(ends, {done = stats.done, cancelled = stats.cancelled})
      assert.equal(0, stats.queued)
    end
  end)
end)

describe('overflow = "error"', function()
  it("says how many tasks are pending, and the executor goes on", function()
    local ex, gate = full("error", 2)
    local ok, err = pcall(ex.submit, ex, echo)
    assert.is_false(ok)
    assert.is_true(conc.Error.is(err, "QueueFull"))
    assert.matches("2 tasks are pending already", tostring(err))
    assert.equal("QueueFull", class_of(ex.submit_with, ex, {}, echo))
    gate:set()
    ex:shutdown()
    assert.equal(3, ex:stats().done)
  end)
end)

describe('overflow = "caller"', function()
  it("runs the task in the calling state, before submit returns", function()
    local ex, gate, pending = full "caller"
    local f = ex:submit(ident)
    assert.is_true(f:done())
    assert.equal(threading.get_ident(), f:result(0))
    local bad = ex:submit(error, {1})
    assert.is_true(bad:done())
    assert.same({1}, bad:exception())
    assert.same({n = 3, 1, nil, 3}, table.pack(ex:submit(echo, 1, nil, 3):result(0)))
    assert.is_false(pending[1]:done())
    gate:set()
    ex:shutdown()
    assert.are_not.equal(threading.get_ident(), pending[1]:result())
  end)

  it("gives the task copies, as a worker would", function()
    local ex, gate = full "caller"
    local t = {1}
    local f = ex:submit(function(list)
      list[1] = 2
      return list
    end, t)
    assert.same({1}, t)
    assert.same({2}, (f:result(0)))
    gate:set()
    ex:shutdown()
  end)

  it("is counted", function()
    local ex, gate = full "caller"
    ex:submit(echo)
    ex:submit(error):exception()
    gate:set()
    ex:shutdown()
    local stats = ex:stats()
    assert.same({3, 1, 0}, {stats.done, stats.failed, stats.cancelled})
  end)

  it("honours a timeout, in the task's waits", function()
    local ex, gate = full "caller"
    local f = ex:submit_with({timeout = 0.02}, function() require "conc".sleep(1000) end)
    assert.equal("TimeoutError", f:exception(0).class)
    conc.sleep(0.001) -- nothing of it is left
    assert.equal(1, ex:submit_with({timeout = 1000}, echo, 1):result(0))
    gate:set()
    ex:shutdown()
  end)

  it("ends a task that submits when both are over, and loses no cancellation", function()
    local ex, gate = full "caller"
    local other <close> = Executor(1)
    local began = threading.Event()
    local f = other:submit(function(pool, b, g)
      local inner = pool:submit(function()
        b:set()
        g:wait()
        return "whole"
      end)
      assert(inner:result(0) == "whole")
      while true do end
    end, ex, began, gate)
    began:wait()
    assert.is_true(f:cancel {running = true})
    gate:set()
    assert.equal("CancelledError", class_of(f.result, f, helper.patience))
    ex:shutdown()
  end)

  it("honours a timeout in a worker also between two instructions", function()
    local ex, gate = full "caller"
    local other <close> = Executor(1)
    local f = other:submit(function(pool)
      local inner = pool:submit_with({timeout = 0.02}, function() while true do end end)
      return inner:exception(0).class
    end, ex)
    assert.equal("TimeoutError", f:result(helper.patience))
    gate:set()
    ex:shutdown()
  end)
end)
