local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"

local describe, it = helper.plain(describe), helper.plain(it)
local assert, setup = assert, setup
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel)

-- What processes do until they are killed.
local roles = {}

-- A step is counted before and after, both under the lock.
function roles.count(lock, begun, done)
  local sleep = require "conc".sleep
  while true do
    do
      local held <close> = lock:acquire() -- luacheck: ignore 211
      begun.value = begun.value + 1
      done.value = begun.value
    end
    sleep(0.001)
  end
end

-- An item is counted before it is put.
function roles.write(q, written, id)
  while not q:is_shutdown() do
    for _ = 1, 10 do
      if not q:put(id << 32 | written:add(1)) then return end
    end
    require "conc".sleep(0.001)
  end
end

function roles.pass(from, to)
  for item in from:items() do to:put(item) end
end

local function task(i)
  local x = 0
  for k = 1, i % 50 * 100 do x = x + k end
  return i, x
end

describe("#stress Processes that are killed all the time", function()
  local methods = multiprocessing.get_all_start_methods()
  local contexts = {}
  for i, method in ipairs(methods) do contexts[i] = multiprocessing.get_context(method) end

  setup(function()
    for _, context in ipairs(contexts) do context.Process():start():join() end
  end)

  it("lose nothing but what they had in hand, for a while", function()
    local lock, begun, done =
      multiprocessing.Lock(), multiprocessing.Value("q", 0), multiprocessing.Value("q", 0)
    local first, last = multiprocessing.Queue(200), multiprocessing.Queue()
    local jobs, written, deaths = {}, {}, {count = 0, write = 0, pass = 0}
    for i = 1, 2 do
      written[i] = multiprocessing.Value("q", 0)
      jobs[#jobs + 1] = {"count", lock, begun, done}
      jobs[#jobs + 1] = {"write", first, written[i], i}
      jobs[#jobs + 1] = {"pass", first, last}
    end

    local living = {} -- Process -> its job
    local function start(job)
      local context = contexts[math.random(#contexts)]
      local p = context.Process {
        target = roles[job[1]], args = {table.unpack(job, 2)}, daemon = true,
      }:start()
      living[p] = job
    end
    for _, job in ipairs(jobs) do start(job) end

    local function kill_one()
      local all = multiprocessing.active_children()
      local victim = all[math.random(#all)]
      victim:kill()
      local job = living[victim]
      if not job then return end -- a worker of the pool
      assert(victim:join(helper.patience))
      living[victim] = nil
      deaths[job[1]] = deaths[job[1]] + 1
      start(job)
    end

    local seen, got = {{}, {}}, 0
    local function receive(timeout)
      local item = last:get(timeout)
      if not item then return false end
      local id, n = item >> 32, item & 0xffffffff
      assert(not seen[id][n], "an item came twice")
      seen[id][n] = true
      got = got + 1
      return true
    end

    do
      local ex <close> = futures.ProcessPoolExecutor(3)
      local pending, results = {}, 0
      local function check(i, f)
        local a, b = f:result(helper.patience)
        local x, y = task(i)
        assert(a == x and b == y)
        results = results + 1
        return ex:submit_with({retries = 1000000}, task, results + 40)
      end
      for i = 1, 40 do pending[i] = ex:submit_with({retries = 1000000}, task, i) end
      local number = {}
      for i = 1, 40 do number[i] = i end

      -- A minute with CONC_SCALE=4.
      local deadline = conc.time() + 15 * helper.scale(1000) / 1000
      repeat
        kill_one()
        local pause = conc.time() + math.random() * 0.02
        while conc.time() < pause do receive(0.002) end
        for k, f in ipairs(pending) do
          if f:done() then
            pending[k] = check(number[k], f)
            number[k] = results + 40
          end
        end
      until conc.time() > deadline
      for k, f in ipairs(pending) do check(number[k], f):cancel() end
      assert(results >= 40)
    end

    local before = begun.value
    helper.eventually(function() return begun.value > before end, "those who count")
    first:shutdown()
    for p, job in pairs(living) do
      if job[1] == "count" then p:kill() end
      assert(p:join(helper.patience), job[1])
    end
    while receive(0) do end -- luacheck: ignore 542

    local held = lock:acquire(helper.patience)
    assert.equal(lock, held)
    lock:release()
    assert(begun.value - done.value <= 1)
    local lost = written[1].value + written[2].value - got
    -- One more of each writer: what it had counted when the queue was shut down.
    assert(lost <= deaths.write + deaths.pass + 2, ("%d items lost by %d and %d deaths"):format(
      lost, deaths.write, deaths.pass))
    assert.same({}, multiprocessing.active_children())
  end)
end)

describe("A program that is killed", function()
  -- Its zombie does not count.
  local function alive(pid)
    if helper.windows then return os.execute(("kill -0 %d 2>NUL"):format(pid)) end
    local stat = io.open("/proc/" .. pid .. "/stat")
    if not stat then return false end
    local state = stat:read "a":match "^.*%) (%a)"
    stat:close()
    return state ~= "Z" and state ~= "X"
  end

  it("takes its pools, children and theirs with it", function()
    if not helper.windows then
      local proc = io.open "/proc/self/stat"
      if not proc then return end
      proc:close()
    end
    local lines = helper.child [[
      local mp, futures = require "conc.multiprocessing", require "conc.futures"
      local all = mp.Queue()
      local function tell(q, n)
        q:put(require "conc.multiprocessing".current_process():pid())
        if n > 0 then
          require "conc.multiprocessing".Process {target = tell, args = {q, n - 1}}:start()
        end
        while true do require "conc".sleep(100) end
      end
      local count = 0
      for _, method in ipairs(mp.get_all_start_methods()) do
        local context = mp.get_context(method)
        context.Process {target = tell, args = {all, 2}}:start()
        local ex = futures.ProcessPoolExecutor {max_workers = 2, mp_context = context}
        for _ = 1, 2 do ex:submit(tell, all, 0) end
        count = count + 5
      end
      for _ = 1, count do print(all:get()) end
      io.stdout:flush()
      os.execute("kill -9 " .. mp.current_process():pid())
      while true do end
    ]]
    local pids = {}
    for _, line in ipairs(lines) do pids[#pids + 1] = tonumber(line) end -- the shell says more
    assert(#pids >= 5)
    for _, pid in ipairs(pids) do
      helper.eventually(function() return not alive(pid) end, "the end of an orphan")
    end
  end)
end)
