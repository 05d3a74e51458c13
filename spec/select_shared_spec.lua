-- Locks, semaphores and events of conc.multiprocessing as cases of select.

local conc = require "conc"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Process, select = multiprocessing.Process, conc.select

-- A process that runs f(...), which first says on a queue that it is there.
local function child(f, ...)
  local said = multiprocessing.SimpleQueue()
  local p = Process {target = f, args = {said, ...}}:start()
  assert.is_true(said:get(helper.patience))
  return p
end

local function holder(said, lock)
  lock:acquire()
  said:put(true)
  require "conc".sleep(60)
end

local function dead_holder(lock)
  local p = child(holder, lock)
  p:kill()
  assert(p:join(helper.patience))
end

describe("conc.select between processes", function()
  describe("takes", function()
    it("an event that is set, and leaves it so", function()
      local e = multiprocessing.Event()
      e:set()
      assert.same({1, true}, {select {e}})
      assert.is_true(e:is_set())
    end)

    it("a permit", function()
      for _, class in ipairs {"Semaphore", "BoundedSemaphore"} do
        local s = multiprocessing[class](1)
        local n, held = select {multiprocessing.Event(), s}
        assert.equal(2, n)
        assert.equal(s, held)
        assert.same({nil, "timeout", n = 2}, table.pack(select {s, timeout = 0}))
        do local given <close> = held end -- luacheck: ignore 211
        assert.equal(1, s:value())
      end
    end)

    it("a lock, until the end of the scope", function()
      for _, class in ipairs {"Lock", "RLock"} do
        local lock = multiprocessing[class]()
        do
          local n, held <close> = select {lock}
          assert.equal(1, n)
          assert.equal(lock, held)
          assert.is_true(lock:locked())
        end
        assert.is_false(lock:locked())
      end
    end)

    it("an RLock again, for the thread that holds it, and for no other", function()
      local lock = multiprocessing.RLock()
      lock:acquire()
      assert.equal(lock, _G.select(2, select {lock}))
      assert.equal("timeout", helper.thread(function(l)
        return (_G.select(2, require "conc".select {l, timeout = 0.01}))
      end, lock)())
    end)

    it("a lock whose holder has died, and the word", function()
      for _, class in ipairs {"Lock", "RLock"} do
        for _, timeout in ipairs {0, helper.patience} do
          local lock = multiprocessing[class]()
          dead_holder(lock)
          assert.same({1, lock, "abandoned"}, {select {lock, timeout = timeout}})
          lock:release()
          assert.same({1, lock}, {select {lock, timeout = timeout}})
          lock:release()
        end
      end
    end)
  end)

  it("takes a permit that a dead process has given back, and the word", function()
    local s = multiprocessing.Semaphore(1)
    dead_holder(s)
    assert.same({1, s, "abandoned"}, {select {s, timeout = 0}})
    s:release()
    assert.same({1, s}, {select {s}})
    s:release()
  end)

  it("waits for whichever comes first", function()
    local function make()
      local list = {
        multiprocessing.Event(), multiprocessing.Semaphore(0), multiprocessing.Lock(),
        multiprocessing.RLock(), threading.Event(), multiprocessing.Queue(),
      }
      list[3]:acquire()
      return list
    end
    local deeds = {
      function(o) o:set() end, function(o) o:release() end, function(o) o:release() end,
    }
    for i, deed in ipairs(deeds) do
      local list = make()
      local other = child(holder, list[4])
      local p = child(function(said, act, object)
        said:put(true)
        require "conc".sleep(0.05)
        act(object)
      end, deed, list[i])
      local n = select(list)
      assert.equal(i, n)
      p:join()
      other:kill()
      other:join()
    end
  end)

  it("gets a lock that another process releases or dies with", function()
    for _, class in ipairs {"Lock", "RLock"} do
      local lock, go = multiprocessing[class](), multiprocessing.Event()
      local p = child(function(said, l, event)
        local held <close> = l:acquire() -- luacheck: ignore 211
        said:put(true)
        event:wait()
      end, lock, go)
      local finish = helper.thread(function(event)
        require "conc".sleep(0.05)
        event:set()
      end, go)
      assert.same({2, lock}, {select {queue.Queue(), lock, timeout = helper.patience}})
      lock:release()
      finish()
      p:join()

      p = child(holder, lock)
      finish = helper.thread(function(pid)
        require "conc".sleep(0.05)
        os.execute("kill -9 " .. pid)
      end, p:pid())
      assert.same({2, lock, "abandoned"},
                  {select {queue.Queue(), lock, timeout = helper.patience}})
      lock:release()
      finish()
      p:join()
    end
  end)

  it("sees an event that was set for a moment", function()
    local e = multiprocessing.Event()
    local p = child(function(said, event)
      said:put(true)
      local n = require "conc".select {event, math.huge}
      said:put(n)
      os.exit(n == 1)
    end, e)
    helper.eventually(function()
      e:set()
      e:clear()
      return not p:is_alive()
    end)
    assert.equal(0, p:exitcode())
  end)

  it("takes nothing of what it did not choose", function()
    local e, s, lock = multiprocessing.Event(), multiprocessing.Semaphore(3),
                       multiprocessing.Lock()
    e:set()
    for _ = 1, 50 do
      local before = s:value()
      local n, what = select {e, s, lock}
      if n == 2 then assert.equal(before - 1, s:value()) what:release() end
      assert.equal(n == 3, lock:locked())
      if n == 3 then what:release() end
    end
    assert.equal(3, s:value())
  end)

  it("multiprocessing.wait looks at events and leaves them", function()
    local e, other = multiprocessing.Event(), multiprocessing.Event()
    assert.same({}, multiprocessing.wait({e, other}, 0))
    local p = Process {target = function(event) event:set() end, args = {e}}:start()
    assert.same({e}, multiprocessing.wait({other, e}, helper.patience))
    assert.is_true(e:is_set())
    p:join()
  end)

  it("keeps locks exclusive and loses no permit #stress", function()
    local N = helper.scale(4000)
    local a, b, s = multiprocessing.Lock(), multiprocessing.RLock(), multiprocessing.Semaphore(2)
    local inside, wrong = multiprocessing.Array("i", 3), multiprocessing.Value("i", 0)
    local done = multiprocessing.Value("i", 0)
    local function work(i, list, cells, bad, finished, n)
      local choose, most = require "conc".select, {1, 1, 2}
      for k = 1, n do
        local which, held
        if (k + i) % 4 == 0 then
          which, held = 1, list[1]:acquire(k % 8 == 0 and 0.0001 or nil)
        else
          list.timeout = k % 5 == 0 and 0.0001 or nil
          which, held = choose(list)
        end
        if which and held then
          if cells:add(which, 1) > most[which] then bad:add(1) end
          if k % 64 == 0 then require "conc".sleep(0.00005) end
          cells:add(which, -1)
          held:release()
        end
      end
      finished:add(1)
    end
    local list = {}
    for i = 1, 4 do
      list[i] = Process {target = work, args = {i, {a, b, s}, inside, wrong, done, N}}:start()
    end
    for _, p in ipairs(list) do assert.is_true(p:join(helper.patience)) end
    assert.equal(4, done.value)
    assert.equal(0, wrong.value)
    assert.is_false(a:locked())
    assert.is_false(b:locked())
    assert.equal(2, s:value())
  end)

  it("goes on when processes that select are killed #stress", function()
    local a, b = multiprocessing.Lock(), multiprocessing.RLock()
    local q, count = multiprocessing.Queue(), multiprocessing.Value("i64", 0)
    local function work(first, second, items, n)
      while true do
        local which, held = require "conc".select {first, second, items}
        n:add(1)
        if which < 3 then held:release() end
      end
    end
    local function start() return Process {target = work, args = {a, b, q, count}}:start() end
    local list = {start(), start(), start()}
    for i = 1, helper.scale(40) do
      local before = count.value
      helper.eventually(function() return count.value > before + 100 end)
      local k = i % #list + 1
      list[k]:kill()
      list[k]:join()
      list[k] = start()
    end
    for _, p in ipairs(list) do p:kill() p:join() end
    for _, lock in ipairs {a, b} do
      assert.equal(lock, (lock:acquire(helper.patience)))
      lock:release()
    end
  end)
end)
