-- Everything at once: what an executor promises must hold whatever happens to
-- its tasks.  A million of them with CONC_SCALE=10.

local conc = require "conc"
local core = require "conc.core"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor = futures.ThreadPoolExecutor

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function resident_bytes()
  local file = io.open "/proc/self/status"
  local text = file and file:read "a" or ""
  if file then file:close() end
  local kilobytes = text:match "VmRSS:%s*(%d+) kB"
  return kilobytes and tonumber(kilobytes) * 1024
end

-- Under a sanitizer or valgrind, memory tells nothing.
local resident = helper.instrumented() and function() end or resident_bytes

-- Another number from 1 to n at each call, the same in each run.
local function generator(seed)
  local x = seed
  return function(n)
    x = (x * 1103515245 + 12345) % 0x80000000
    return x // 65536 % n + 1
  end
end

local PATIENCE = helper.patience -- the helper itself does not travel

-- Tasks, and what may come of each.
local tasks = {}

function tasks.echo(_, x) return x end
function tasks.fail(_, x) error(x, 0) end
function tasks.objects(_, x) return {x, {tostring(x)}}, x end

function tasks.spin()
  for _ = 1, 1000 do end
end

-- It waits now and then: a loop without an end that runs inside another task is
-- in a coroutine, where only waits are reached.
function tasks.forever()
  while true do
    for _ = 1, 1000 do end
    require "conc".sleep(0)
  end
end

function tasks.sleep()
  require "conc".sleep(1000)
end

function tasks.nested(ex, x)
  local a, b = ex:submit(tasks.echo, ex, x), ex:submit(tasks.echo, ex, x)
  return a:result() + b:result()
end

function tasks.deep(ex, x)
  if x % 8 == 0 then return 0 end
  return 1 + ex:submit(tasks.deep, ex, x - 1):result()
end

function tasks.group(ex, x)
  local futures = require "conc.futures" -- luacheck: ignore 431
  local ok, err = pcall(function()
    local g <close> = futures.TaskGroup(ex)
    for i = 1, 4 do g:submit(i == x % 8 and tasks.fail or tasks.spin, ex, i) end
  end)
  local failed = x % 8 >= 1 and x % 8 <= 4
  if ok then
    assert(not failed)
  elseif err.class == "CancelledError" or err.class == "TimeoutError" then
    error(err, 0) -- this task was stopped
  else
    assert(failed and err.class == "TaskGroupError", tostring(err))
  end
end

-- Which task, and what is done to it.
local kinds = {
  {"echo"}, {"echo"}, {"echo"}, {"echo"}, {"echo"}, {"echo"}, {"echo"}, {"echo"}, {"objects"},
  {"echo", "cancel"}, {"echo", "stop"}, {"fail"}, {"spin"}, {"spin", "stop"}, {"fail", "stop"},
  {"echo", "timeout"}, {"spin", "timeout"},
  {"nested"}, {"nested", "stop"}, {"nested", "timeout"}, {"deep"}, {"deep", "stop"}, {"group"},
}
-- Costly ones, for one in a hundred.
local rare = {{"sleep", "stop"}, {"forever", "stop"}, {"sleep", "timeout"}, {"forever", "timeout"},
  {"group", "stop"}, {"group", "timeout"}}

-- What the end of each may be.
local function check(future, name, deed, x)
  local ok, a = pcall(future.result, future, PATIENCE)
  local class = type(a) == "table" and a.class
  if ok then
    assert(name ~= "fail" and name ~= "sleep" and name ~= "forever", name)
    if name == "echo" then assert(a == x) end
    if name == "nested" then assert(a == 2 * x) end
    return "done"
  elseif future:cancelled() then
    assert(class == "CancelledError" and (deed == "cancel" or deed == "stop"), name)
    return "cancelled"
  end
  assert(name == "fail" and a == x or deed == "timeout" and class == "TimeoutError",
    ("%s %s: %s"):format(name, deed, tostring(a)))
  return "failed"
end

local function submit(ex, random, x)
  local kind = random(100) == 1 and rare[random(#rare)] or kinds[random(#kinds)]
  local name, deed = kind[1], kind[2]
  local future
  if deed == "timeout" then
    future = ex:submit_with({timeout = random(10) / 2000}, tasks[name], ex, x)
  else
    future = ex:submit(tasks[name], ex, x)
  end
  return {future, name, deed, x}
end

-- Stop it; one that would not end by itself, for sure.
local function disturb(item)
  local future, name, deed = item[1], item[2], item[3]
  if deed == "cancel" then
    future:cancel()
  elseif deed == "stop" then
    local asked = future:cancel {running = true}
    assert(asked or future:done())
    if name == "sleep" or name == "forever" then assert(asked) end
  end
end

-- n tasks in batches; returns how many ended how.
local function round(ex, random, n)
  local ends = {done = 0, failed = 0, cancelled = 0}
  local x = 0
  while x < n do
    local batch = {}
    for i = 1, math.min(random(200), n - x) do
      x = x + 1
      batch[i] = submit(ex, random, x)
      if random(3) == 1 then disturb(batch[random(i)]) end
    end
    -- All before the first wait: what has no end may run inside what is waited for.
    for _, item in ipairs(batch) do disturb(item) end
    for _, item in ipairs(batch) do
      local how = check(table.unpack(item))
      ends[how] = ends[how] + 1
    end
  end
  return ends
end

local function objects()
  for _ = 1, 3 do collectgarbage() end
  local stats = core.stats()
  return stats.objects - (stats.cached or 0)
end

describe("Tasks #stress", function()
  it("of a large group are done one by one by the worker that waits for them", function()
    local ex <close> = Executor(1)
    local n = helper.scale(100000) -- seconds of looking, if each looked at all before it
    local ended = ex:submit(function(pool, many)
      local group = require "conc.futures".TaskGroup(pool)
      local fs, sum = {}, 0
      for i = 1, many do fs[i] = group:submit(function() return 1 end) end
      group:wait()
      for i = 1, many do sum = sum + fs[i]:result(0) end
      return sum
    end, ex, n):result()
    assert.equal(n, ended)
  end)

  for workers, share in pairs {[1] = 0.3, [2] = 0.4, [8] = 0.3} do
    it("end once each, whatever is done to them, on workers: " .. workers, function()
      local n = helper.scale(100000 * share)
      local ex = Executor(workers)
      local random = generator(workers)
      round(ex, random, n // 10 + 1) -- for what is made once
      ex:shutdown()
      ex = Executor(workers)
      local before, live = resident(), objects()
      local ends = round(ex, random, n)
      assert.equal(n, ends.done + ends.failed + ends.cancelled)
      local stats = helper.eventually(function()
        local s = ex:stats()
        return s.queued == 0 and s.running == 0 and s
      end)
      -- Tasks of tasks are counted there, too.
      assert.is_true(stats.done + stats.failed + stats.cancelled >= n)
      assert.is_true(stats.done >= ends.done)
      assert.is_true(stats.failed >= ends.failed)
      assert.is_true(stats.cancelled >= ends.cancelled)
      ex:shutdown()
      ex = nil -- luacheck: ignore 311
      helper.eventually(function() return objects() <= live end, "objects to go")
      if before then
        assert.is_true(resident() - before < 16 << 20, (resident() - before) .. " bytes more")
      end
    end)
  end

  it("end once each when several threads submit, cancel and wait", function()
    local ex <close> = Executor(3)
    local n = helper.scale(5000)
    local sums = helper.threads(4, function(seed, pool, times, gen, go)
      local ends = go(pool, gen(seed), times)
      return ends.done + ends.failed + ends.cancelled
    end, ex, n, generator, round)
    assert.same({n, n, n, n}, sums)
  end)

  it("are counted when nothing but plain tasks are cancelled and fail", function()
    for workers = 1, 2 do
      local ex = Executor {max_workers = workers, max_pending = 50, max_tasks_per_worker = 500,
        idle_timeout = 0.001}
      local random, n = generator(workers), helper.scale(5000)
      local list, ends = {}, {done = 0, failed = 0, cancelled = 0}
      for i = 1, n do
        list[i] = ex:submit(random(4) == 1 and tasks.fail or tasks.echo, nil, i)
        if random(2) == 1 then list[random(i)]:cancel() end
      end
      for i = 1, n do
        local ok = pcall(list[i].result, list[i], helper.patience)
        local how = ok and "done" or list[i]:cancelled() and "cancelled" or "failed"
        ends[how] = ends[how] + 1
      end
      ex:shutdown()
      local stats = ex:stats()
      assert.same(ends, {done = stats.done, failed = stats.failed, cancelled = stats.cancelled})
      assert.same({0, 0, 0}, {stats.queued, stats.running, #stats.workers})
    end
  end)

  it("that are cancelled while they run never lose it nor hit the next", function()
    for workers = 1, 2 do
      local ex <close> = Executor(workers)
      for i = 1, helper.scale(3000) do
        local f = ex:submit(i % 2 == 0 and tasks.forever or tasks.sleep)
        local g = ex:submit(tasks.echo, nil, i)
        f:cancel {running = true}
        assert(f:cancel {running = true})
        local ok, err = pcall(f.result, f, helper.patience)
        assert(not ok and err.class == "CancelledError" and f:cancelled(), tostring(err))
        assert(g:result(helper.patience) == i)
      end
      conc.sleep(0)
    end
  end)

  it("end when the thread they counted on, somebody else's, cannot be started", function()
    local meet = threading.Barrier(3)
    -- How many have not ended, though they were taken.
    local function submit_to_each(pools, together, patience)
      local lost = 0
      for pool in pools:items() do
        together:wait()
        local ok, future = pcall(pool.submit, pool, math.abs, -1)
        if ok and not pcall(future.exception, future, patience) then lost = lost + 1 end
        together:wait() -- both have done that
        together:wait() -- there is memory again
      end
      return lost
    end
    local one, two = queue.Queue(), queue.Queue()
    local ends = {helper.thread(submit_to_each, one, meet, helper.patience),
      helper.thread(submit_to_each, two, meet, helper.patience)}
    for i = 1, helper.scale(10000) do
      local ex <close> = Executor(1)
      one:put(ex)
      two:put(ex)
      core.fault(i % 24 + 1, true)
      meet:wait()
      meet:wait()
      core.fault(0)
      meet:wait()
    end
    one:shutdown()
    two:shutdown()
    assert.same({0, 0}, {ends[1](), ends[2]()})
  end)
end)
