local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor, Promise = futures.ThreadPoolExecutor, futures.Promise

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

-- The class of the conc.Error that f raises.
local function class_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return type(err) == "table" and err.class or tostring(err)
end

-- Tasks.
local function fib(ex, n)
  if n < 2 then return n end
  local a = ex:submit(fib, ex, n - 1)
  return fib(ex, n - 2) + a:result()
end

local function fib_all(ex, n)
  if n < 2 then return n end
  local futures = require "conc.futures" -- luacheck: ignore 431
  local fs, sum = {ex:submit(fib_all, ex, n - 1), ex:submit(fib_all, ex, n - 2)}, 0
  for f in futures.as_completed(fs) do sum = sum + f:result() end
  return sum
end

local function quicksort(ex, list)
  if #list < 2 then return list end
  local pivot, less, more = list[1], {}, {}
  for i = 2, #list do
    local to = list[i] < pivot and less or more
    to[#to + 1] = list[i]
  end
  local left, right = ex:submit(quicksort, ex, less), ex:submit(quicksort, ex, more)
  local sorted = left:result()
  sorted[#sorted + 1] = pivot
  return table.move(right:result(), 1, #more, #sorted + 1, sorted)
end

local function square(x) return x * x end

-- An executor of one worker, and what f(executor, ...) returns in a task of it.
local function inside(f, ...)
  local ex <close> = Executor(1)
  return ex:submit(f, ex, ...):result(helper.patience)
end

describe("A task that waits for tasks of its own executor", function()
  for workers = 1, 2 do
    it("computes Fibonacci numbers on workers: " .. workers, function()
      local ex <close> = Executor(workers)
      assert.equal(610, ex:submit(fib, ex, 15):result(helper.patience))
      assert.equal(144, ex:submit(fib_all, ex, 12):result(helper.patience))
    end)

    it("sorts with quicksort on workers: " .. workers, function()
      local ex <close> = Executor(workers)
      local list, x = {}, 42
      for i = 1, 300 do
        x = (x * 1103515245 + 12345) % 0x80000000
        list[i] = x // 65536 % 1000
      end
      local sorted = ex:submit(quicksort, ex, list):result(helper.patience)
      table.sort(list)
      assert.same(list, sorted)
    end)
  end

  it("may use wait", function()
    assert.same({10, 0, 385}, {inside(function(ex)
      local futures = require "conc.futures" -- luacheck: ignore 431
      local fs, sum = {}, 0
      for i = 1, 10 do fs[i] = ex:submit(square, i) end
      local done, not_done = futures.wait(fs)
      for _, f in ipairs(done) do sum = sum + f:result() end
      return #done, #not_done, sum
    end)})
  end)

  it("may use as_completed", function()
    assert.equal(385, inside(function(ex)
      local futures = require "conc.futures" -- luacheck: ignore 431
      local fs, sum = {}, 0
      for i = 1, 10 do fs[i] = ex:submit(square, i) end
      for f in futures.as_completed(fs) do sum = sum + f:result() end
      return sum
    end))
  end)

  it("may use map, with and without chunks", function()
    assert.same({385, 385, 385}, {inside(function(ex)
      local sums = {}
      for k, options in ipairs {{}, {chunksize = 1}, {chunksize = 3, buffersize = 4}} do
        sums[k] = 0
        for _, y in ex:map(square, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, options) do
          sums[k] = sums[k] + y
        end
      end
      return table.unpack(sums)
    end)})
  end)

  it("may use a group", function()
    assert.equal(385, inside(function(ex)
      local futures = require "conc.futures" -- luacheck: ignore 431
      local fs, sum = {}, 0
      do
        local g <close> = futures.TaskGroup(ex)
        for i = 1, 10 do fs[i] = g:submit(square, i) end
      end
      for _, f in ipairs(fs) do sum = sum + f:result(0) end
      return sum
    end))
  end)

  it("may use exception and traceback", function()
    local err, trace = inside(function(ex)
      local f, g = ex:submit(error, "no", 0), ex:submit(error, "no", 0)
      return f:exception(), g:traceback()
    end)
    assert.equal("no", err)
    assert.matches("traceback", trace)
  end)

  it("may use select", function()
    for _, workers in ipairs {1, 2} do
      local ex <close> = Executor(workers)
      local sum = ex:submit(function(pool)
        local select = require "conc".select
        local list, n = {}, 0
        for i = 1, 20 do list[i] = pool:submit(function(k) return k end, i) end
        while #list > 0 do
          local i, r = select(list)
          n = n + r:result()
          table.remove(list, i)
        end
        return n
      end, ex)
      assert.equal(210, sum:result(helper.patience))
    end
  end)

  it("may use select, many at once #stress", function()
    local rounds = helper.scale(200)
    for _, workers in ipairs {1, 2, 4} do
      local ex <close> = Executor(workers)
      local list = {}
      for i = 1, rounds do
        list[i] = ex:submit(function(pool, k)
          local select = require "conc".select
          local a = pool:submit(function(x) return x end, k)
          local b = pool:submit(function(x) return -x end, k)
          local first = {a, b}
          local n = (select(first))
          return first[n]:result() + (select {first[3 - n]} and first[3 - n]:result())
        end, ex, i)
      end
      for i = 1, rounds do assert.equal(0, list[i]:result(helper.patience)) end
    end
  end)

  it("may use select with a timeout, and beside other things", function()
    local ex <close> = Executor(1)
    local f = ex:submit(function(pool, q)
      local select = require "conc".select
      local one = pool:submit(function() return "one" end)
      local a, b = select {q, one, timeout = 60}
      local two = pool:submit(function(to) to:put "two" end, q)
      local never = Promise():future()
      local c, d = select {never, q}
      return a, b:result(), c, d, two:result(0), (select {never, timeout = 0})
    end, ex, queue.Queue())
    assert.same({2, "one", 2, "two", n = 6}, table.pack(f:result(helper.patience)))
  end)

  it("runs the very task that it waits for before others", function()
    local first = inside(function(ex)
      local log = require "conc.queue".SimpleQueue()
      for i = 1, 5 do ex:submit(log.put, log, i) end
      local f = ex:submit(log.put, log, "wanted")
      f:result()
      return log:get(0)
    end)
    assert.equal("wanted", first)
  end)

  it("runs with a timeout nothing but what it waits for", function()
    local promise = Promise()
    local log = queue.SimpleQueue()
    local word, wanted, put = inside(function(ex, future)
      local other = ex:submit(log.put, log, "other")
      local f = ex:submit(square, 5)
      local _, how = future:exception(0.01)
      local result = f:result(60)
      return how, result, other:done()
    end, promise:future())
    assert.same({"timeout", 25, false}, {word, wanted, put})
    assert.equal("other", log:get(helper.patience))
  end)

  it("runs others while it waits for something that comes from elsewhere", function()
    local promise = Promise()
    local log = queue.SimpleQueue()
    local ex <close> = Executor(1)
    local f = ex:submit(function(future) return future:result() end, promise:future())
    for i = 1, 100 do ex:submit(log.put, log, i) end
    for i = 1, 100 do assert.equal(i, log:get(helper.patience)) end
    assert.is_false(f:done())
    promise:set_result "here"
    assert.equal("here", f:result(helper.patience))
  end)

  it("is told of a task that comes while it sleeps, from any thread", function()
    local promise = Promise()
    local ex <close> = Executor(2)
    local waiting = {}
    for i = 1, 2 do
      waiting[i] = ex:submit(function(future) return future:result() end, promise:future())
    end
    for _ = 1, helper.scale(300) do
      assert.equal(9, ex:submit(square, 3):result(helper.patience))
    end
    promise:set_result(1)
    assert.equal(2, waiting[1]:result() + waiting[2]:result())
  end)

  it("sleeps when there is nothing to run, also after it has run what it waited for", function()
    local promise, ready = Promise(), threading.Event()
    local ex <close> = Executor(1)
    local f = ex:submit(function(self, future, event)
      self:submit(square, 1):result() -- claimed from the middle of the list
      self:submit(square, 2):cancel()
      event:set()
      return future:result()
    end, ex, promise:future(), ready)
    ready:wait()
    local began, cpu = conc.time(), helper.processor_time()
    conc.sleep(0.3)
    local busy = (helper.processor_time() - cpu) / (conc.time() - began)
    promise:set_result "here"
    assert.equal("here", f:result(helper.patience))
    assert.is_true(busy < 0.3)
  end)

  it("may wait for them in a shield", function()
    assert.equal(25, inside(function(ex)
      return require "conc".shield(function()
        local f = ex:submit(square, 5)
        return f:result()
      end)
    end))
  end)

  it("nests deeper than the C calls that Lua allows", function()
    local depth = inside(function(ex)
      local function down(self, n)
        if n == 0 then return 0 end
        return 1 + self:submit(down, self, n - 1):result()
      end
      return down(ex, 150)
    end)
    assert.equal(150, depth)
  end)

  it("gets a DeadlockError where tasks are nested too deeply, and the pool goes on", function()
    local ex <close> = Executor(1)
    local function down(self, n)
      if n == 0 then return 0 end
      return 1 + self:submit(down, self, n - 1):result()
    end
    local f = ex:submit(down, ex, 400)
    assert.equal("DeadlockError", class_of(f.result, f, helper.patience))
    assert.equal(4, ex:submit(square, 2):result(helper.patience))
    assert.equal(50, ex:submit(down, ex, 50):result(helper.patience))
  end)

  it("gets a DeadlockError when it waits for itself", function()
    local ex <close> = Executor(2)
    local box = queue.SimpleQueue()
    local f = ex:submit(function(from) return from:get():result() end, box)
    box:put(f)
    assert.equal("DeadlockError", class_of(f.result, f, helper.patience))
  end)

  it("gets a DeadlockError when it waits for one that it runs inside of", function()
    local ex <close> = Executor(1)
    local box = queue.SimpleQueue()
    local f = ex:submit(function(self, from)
      local outer = from:get()
      return self:submit(function(out) return out:result() end, outer):result()
    end, ex, box)
    box:put(f)
    assert.equal("DeadlockError", class_of(f.result, f, helper.patience))
  end)

  it("may go on when what it waits for fails, is cancelled or comes too late", function()
    assert.same({"no", "CancelledError", "TimeoutError"}, {inside(function(ex)
      local a, b = ex:submit(error, "no", 0), ex:submit(square, 1)
      b:cancel()
      local _, first = pcall(a.result, a)
      local _, second = pcall(b.result, b)
      local promise = require "conc.futures".Promise()
      local c = promise:future()
      local _, third = pcall(c.result, c, 0.01)
      return first, second.class, third.class
    end)})
  end)

  it("counts each of them once", function()
    local ex = Executor(2)
    ex:submit(fib, ex, 12):result(helper.patience)
    ex:shutdown()
    local stats = ex:stats()
    assert.same({233, 0, 0, 0, 0},
      {stats.done, stats.failed, stats.cancelled, stats.queued, stats.running})
  end)

  it("may be done on the shared executor", function()
    assert.same({"2870"}, helper.child [[
      local conc = require "conc"
      local f = conc.submit(function(n)
        local submit = require "conc".submit
        local fs, sum = {}, 0
        for i = 1, n do fs[i] = submit(function(x) return x * x end, i) end
        for i = 1, n do sum = sum + fs[i]:result() end
        return sum
      end, 20)
      print(f:result())
    ]])
  end)
end)
