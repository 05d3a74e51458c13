local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local Executor = futures.ThreadPoolExecutor

-- Bytes of this process in memory, where the system shows them.
local function resident_bytes()
  local file = io.open "/proc/self/status"
  if not file then return nil end
  local text = file:read "a"
  file:close()
  local kilobytes = text:match "VmRSS:%s*(%d+) kB"
  return kilobytes and tonumber(kilobytes) * 1024
end

-- Under a sanitizer or valgrind, memory tells nothing.
local resident = helper.instrumented() and function() end or resident_bytes

local function collect()
  for _ = 1, 3 do collectgarbage() end
end

-- Another number from 1 to n at each call, the same in each run.
local function generator(seed)
  local x = seed
  return function(n)
    x = (x * 1103515245 + 12345) % 0x80000000
    return x // 65536 % n + 1
  end
end

-- Wait a moment that is another one each time, without sleeping.
local function dally(random)
  for _ = 1, random(2000) do random(2) end
end

-- Wait for the ends of threads that run on their own; hangs are the watchdog's.
local function join_all(list)
  for _, thread in ipairs(list) do assert(thread:join(helper.patience)) end
end

describe("#stress", function()
  for _, name in ipairs {"Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"} do
    it("brings each of 10000 items from 50 producers to one of 50 consumers, " .. name, function()
      local q = name == "SimpleQueue" and queue[name]() or queue[name](16)
      local each = helper.scale(10000) // 50
      local n = 50 * each
      local seen = threading.Array("i64", math.max(1, n))
      local getters = {}
      for i = 1, 50 do
        getters[i] = helper.thread(function(from, marks)
          local count = 0
          while true do
            local item = from:get()
            if item == 0x7fffffff then return count end
            marks:add(item, 1)
            count = count + 1
          end
        end, q, seen)
      end
      helper.threads(50, function(i, to, times)
        for k = 1, times do to:put((i - 1) * times + k) end
      end, q, each)
      if name == "LifoQueue" then
        helper.eventually(function() return q:empty() end)
      end
      for _ = 1, 50 do q:put(0x7fffffff) end
      local count = 0
      for i = 1, 50 do count = count + getters[i]() end
      assert.equal(n, count)
      for i = 1, n do assert(seen[i] == 1, "an item was lost, or came twice") end
      assert.equal(0, q:qsize())
    end)
  end

  it("starts and joins 10000 threads, and memory stays flat", function()
    local n = helper.scale(10000)
    local total = threading.Value("i64", 0)
    local function one(value) value:add(1) end
    local function round(times)
      local list = {}
      for _ = 1, times do
        list[#list + 1] = threading.Thread {target = one, args = {total}}:start()
        if #list == 8 then
          join_all(list)
          list = {}
        end
      end
      join_all(list)
      collect()
    end
    round(n // 5)
    local before = resident()
    round(n - n // 5)
    assert.equal(n, total.value)
    if before then
      local grown = resident() - before
      assert(grown < 8 * 1024 * 1024, ("%d threads left %d bytes"):format(n, grown))
    end
  end)

  it("meets at a barrier 1000 times", function()
    local n = helper.scale(1000)
    local barrier, rounds = threading.Barrier(5), threading.Value("i64", 0)
    helper.threads(5, function(_, b, value, times)
      for k = 1, times do
        if b:wait() == 1 then value:add(1) end
        b:wait()
        assert(value.value == k)
        b:wait()
      end
    end, barrier, rounds, n)
    assert.equal(n, rounds.value)
  end)

  it("shuts queues down in the middle of everything, 500 times", function()
    local random = generator(7)
    local function getter(q, results)
      while true do
        local item, err = q:get()
        if err then break end
        results:put(item)
        if q.task_done then q:task_done() end
      end
      results:put "end"
    end
    local function putter(q, results)
      local n = 0
      while q:put(1) do n = n + 1 end
      results:put {n}
    end
    for round = 1, helper.scale(500) do
      local q = queue[({"Queue", "LifoQueue", "PriorityQueue"})[round % 3 + 1]](random(4))
      local results = queue.SimpleQueue()
      local list, putters = {}, random(3)
      local getters = random(4) - 1
      for _ = 1, putters do
        list[#list + 1] = threading.Thread {target = putter, args = {q, results}}:start()
      end
      for _ = 1, getters do
        list[#list + 1] = threading.Thread {target = getter, args = {q, results}}:start()
      end
      local joiner = threading.Thread {target = function(j) j:join() end, args = {q}}:start()
      dally(random)
      local immediate = random(2) == 1
      q:shutdown {immediate = immediate}
      join_all(list)
      local put, got = 0, 0
      while not results:empty() do
        local what = results:get()
        if type(what) == "table" then put = put + what[1] elseif what == 1 then got = got + 1 end
      end
      if not immediate then
        while q:get() do
          got = got + 1
          q:task_done()
        end
        assert.equal(put, got)
      end
      assert(joiner:join(helper.patience))
      assert.is_true(got <= put)
    end
  end)

  it("shuts executors down in the middle of everything, 500 times", function()
    local random = generator(11)
    local function task(n)
      local x = 0
      for i = 1, n do x = x + i end
      return x
    end
    local function submitter(ex, out)
      local list = {}
      while true do
        local ok, f = pcall(ex.submit, ex, task, 100)
        if not ok then break end
        list[#list + 1] = f
      end
      local done, cancelled = 0, 0
      for _, f in ipairs(list) do
        if pcall(f.result, f) then done = done + 1 else cancelled = cancelled + 1 end
      end
      out:put {#list, done, cancelled}
    end
    for round = 1, helper.scale(500) do
      local ex, out = Executor(random(4)), queue.SimpleQueue()
      local list, n = {}, random(3)
      for i = 1, n do
        list[i] = threading.Thread {target = submitter, args = {ex, out}}:start()
      end
      local own = {}
      for i = 1, random(100) do own[i] = ex:submit(task, random(2000)) end
      dally(random)
      local cancel = round % 2 == 0
      if round % 5 == 0 then
        ex:shutdown {wait = false, cancel_futures = cancel}
      else
        ex:shutdown {cancel_futures = cancel}
      end
      for _, f in ipairs(own) do
        local ok = pcall(f.result, f, helper.patience)
        assert(ok or (cancel and f:cancelled()))
      end
      join_all(list)
      for _ = 1, n do
        local counts = out:get(0)
        assert.equal(counts[1], counts[2] + counts[3])
        assert(cancel or counts[3] == 0)
      end
      ex:shutdown()
    end
  end)

  it("drops executors in the middle of everything, 500 times", function()
    local random = generator(13)
    for _ = 1, helper.scale(500) do
      local ex, list = Executor(random(3)), {}
      for i = 1, random(20) do list[i] = ex:submit(math.abs, -i) end
      ex = nil -- luacheck: ignore 311
      if random(4) == 1 then collectgarbage() end
      if random(2) == 1 then
        for i, f in ipairs(list) do assert.equal(i, f:result(helper.patience)) end
      end
    end
  end)

  it("ends states with everything running in them, 100 times", function()
    local program = [[
      local conc = require "conc"
      local q, ex = conc.queue.Queue(1), conc.futures.ThreadPoolExecutor(2)
      for i = 1, 3 do
        conc.threading.Thread{target = function(q) q:get() q:get() end, args = {q},
          daemon = true}:start()
        ex:submit(function(n) return n end, i)
      end
      local _ = ex:map(function(x) return x end, {1, 2, 3})
      q:put(1)
      %s]]
    local ends = {"", "os.exit(0, true)", "ex:shutdown()", "ex = nil collectgarbage()"}
    for round = 1, helper.scale(100) do
      local path = helper.tmpname()
      local file = assert(io.open(path, "w"))
      file:write((program:format(ends[round % #ends + 1])))
      file:close()
      local ok, how, code = os.execute(("%s %s"):format(helper.lua, path))
      os.remove(path)
      assert(ok, ("%s %s %s"):format(how, code, ends[round % #ends + 1]))
    end
  end)

  it("keeps 100000 pending futures in 250 bytes each", function()
    local n = 100000
    local ex = Executor(1)
    local gate, began = threading.Event(), threading.Event()
    ex:submit(function()
      began:set()
      gate:wait()
    end)
    began:wait()
    local function task(x) return x end
    local list = table.move({}, 1, 0, 1, {})
    for i = 1, n do list[i] = false end -- the table is not a future's
    ex:submit(task, 0)
    collect()
    local lua, all = collectgarbage "count" * 1024, resident()
    for i = 1, n do list[i] = ex:submit(task, i) end
    collect()
    local each = (collectgarbage "count" * 1024 - lua) / n
    local both = all and (resident() - all) / n
    gate:set()
    for i = 1, n do assert(list[i]:result() == i) end
    ex:shutdown()
    assert(each <= 250, ("%.0f bytes of Lua's for each"):format(each))
    -- A message with its argument is 64 bytes; the rest is slack for malloc's.
    if both then
      assert(both <= 250 + 64 + 86, ("%.0f bytes resident for each"):format(both))
    end
  end)

  it("goes through a million submits and results of map without growing", function()
    local n = helper.scale(1000000)
    local ex <close> = Executor(2)
    local function double(x) return 2 * x end
    local i = 0
    local function input()
      i = i + 1
      return i <= n and i or nil
    end
    local sum, before = 0, nil
    for k, r in ex:map(double, input, {chunksize = 100}) do
      sum = sum + r
      if k == n // 2 then
        collect()
        before = resident()
      end
    end
    assert.equal(n * (n + 1), sum)
    if before then
      collect()
      assert(resident() - before < 32 * 1024 * 1024)
    end
    assert.is_true(conc.time() > 0)
  end)
end)
