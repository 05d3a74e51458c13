-- Managers under load, and with clients and servers that are killed.

local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"

if not pcall(core.crypto.usable) then
  describe("Managers", function() pending "need keys: there is no libsodium" end)
  return
end

local Dict, Manager = multiprocessing.Dict, multiprocessing.Manager
local Process = multiprocessing.Process
multiprocessing.current_process():authkey()

local function start(f, ...)
  return Process {target = helper.portable(f), args = table.pack(...)}:start()
end

describe("Managers #stress", function()
  it("lose nothing but what a killed client had in its hand", function()
    local m <close> = Manager()
    local jobs, done, lock, sum = m:queue(20), m:dict(), m:lock(), m:dict {n = 0}
    local function work(from, results, l, total)
      local D = require "conc.multiprocessing".Dict
      for job in from:items() do
        D.add(results, job, 1)
        local _ <close> = l:acquire()
        total.n = total.n + 1
      end
    end
    local n, killed = helper.scale(3000), 0
    local workers = {}
    for i = 1, 3 do workers[i] = start(work, jobs, done, lock, sum) end
    for i = 1, n do
      jobs:put(i)
      if i % 100 == 0 then
        local k = math.random(3)
        workers[k]:kill()
        workers[k]:join()
        killed = killed + 1
        workers[k] = start(work, jobs, done, lock, sum)
      end
    end
    jobs:shutdown()
    for i = 1, 3 do
      assert.is_true(workers[i]:join(helper.patience))
      assert.equal(0, workers[i]:exitcode())
    end
    local got = Dict.snapshot(done)
    local missing = 0
    for i = 1, n do
      if got[i] == nil then missing = missing + 1 else assert.equal(1, got[i]) end
    end
    assert.is_true(missing <= killed, missing .. " of " .. killed)
    assert.is_true(sum.n >= n - missing - killed, sum.n)
    assert.is_true(sum.n <= n)
    helper.eventually(function() return m:number_of_objects() == 4 end)
  end)

  it("end everybody's calls when they are killed", function()
    for round = 1, helper.scale(20) do
      local m <close> = Manager()
      local q, lock, l = m:queue(2), m:rlock(), m:list()
      local function work(jobs, r, list)
        local ok, err = pcall(function()
          for i = 1, math.huge do
            if i % 3 == 0 then jobs:put(i, 0.01) else jobs:get(0.01) end
            local _ <close> = r:acquire()
            list:append(i)
            if #list > 10 then list:clear() end
          end
        end)
        assert(not ok and err.class == "ConnectionError", tostring(err))
      end
      local workers = {}
      for i = 1, 3 do workers[i] = start(work, q, lock, l) end
      conc.sleep(0.02 * (round % 5))
      for _, p in ipairs(multiprocessing.active_children()) do
        if p:name():find "Manager" then p:kill() end
      end
      for i = 1, 3 do
        assert.is_true(workers[i]:join(10))
        assert.equal(0, workers[i]:exitcode())
      end
    end
  end)

  it("free every object that goes from hand to hand", function()
    local m <close> = Manager()
    local n = helper.scale(400)
    local ways = {multiprocessing.Queue(4), multiprocessing.Queue(4)}
    local function pass(manager, from, to, times)
      for i = 1, times do
        to:put(manager:list {i})
        if i % 3 == 0 then to:put(manager:dict {l = manager:list {i}}) end
        local got = from:get()
        if i % 3 == 0 then got = from:get() end
        if i % 3 == 0 then assert(got.l[1] == i) else assert(got[1] == i) end
      end
    end
    local a = start(pass, m, ways[1], ways[2], n)
    local b = start(pass, m, ways[2], ways[1], n)
    for _, p in ipairs {a, b} do
      assert.is_true(p:join(helper.patience))
      assert.equal(0, p:exitcode())
    end
    helper.eventually(function() return m:number_of_objects() == 0 end)
  end)

  it("survive calls that are cut off at any moment", function()
    local m <close> = Manager()
    local d, lock = m:dict {n = 0}, m:lock()
    local ex <close> = conc.futures.ThreadPoolExecutor(3)
    local function task(dict, l)
      while true do
        local _ <close> = l:acquire()
        dict.n = dict.n + 1
      end
    end
    for round = 1, helper.scale(100) do
      local fs = {}
      for i = 1, 3 do fs[i] = ex:submit(task, d, lock) end
      if round == 1 then
        helper.eventually(function() return d.n > 0 end)
      else
        conc.sleep(0.001 * (round % 7))
      end
      for i = 1, 3 do fs[i]:cancel {running = true} end
      for i = 1, 3 do assert.is_truthy(fs[i]:exception(helper.patience)) end
    end
    local held, why = lock:acquire(helper.patience)
    assert.equal(lock, held)
    assert.is_nil(why)
    lock:release()
  end)
end)
