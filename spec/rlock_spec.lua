local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

helper.for_both(function(sync, module)
  local RLock = sync.RLock

  -- Can another thread have it?
  local function free_elsewhere(lock)
    return helper.thread(function(l)
      local held <close> = l:acquire(0) or nil
      return held ~= nil
    end, lock)()
  end

  describe("An RLock of " .. module, function()
    it("is free when it is made, held when acquired, free when released", function()
      local lock = RLock()
      assert.is_false(lock:locked())
      lock:acquire()
      assert.is_true(lock:locked())
      lock:release()
      assert.is_false(lock:locked())
    end)

    it("is what acquire returns, and release returns nothing", function()
      local lock = RLock()
      assert.equal(lock, lock:acquire())
      assert.equal(0, select("#", lock:release()))
    end)

    it("lets its holder in again, and is free when released as often", function()
      local lock = RLock()
      for _ = 1, 100 do assert.equal(lock, lock:acquire()) end
      for _ = 1, 99 do
        lock:release()
        assert.is_true(lock:locked())
      end
      assert.is_false(free_elsewhere(lock))
      lock:release()
      assert.is_false(lock:locked())
      assert.is_true(free_elsewhere(lock))
    end)

    it("gives one level back at the end of each scope", function()
      local lock = RLock()
      do
        local _ <close> = lock:acquire()
        do
          local _ <close> = lock:acquire()
        end
        assert.is_true(lock:locked())
      end
      assert.is_false(lock:locked())
    end)

    it("is released when an error leaves the scope", function()
      local lock = RLock()
      local ok, err = pcall(function()
        local _ <close> = lock:acquire()
        local _ <close> = lock:acquire()
        error("mine", 0)
      end)
      assert.same({false, "mine"}, {ok, err})
      assert.is_false(lock:locked())
    end)

    it("belongs to the thread, not to the coroutine", function()
      local lock = RLock()
      lock:acquire()
      coroutine.wrap(function() lock:acquire():release() end)()
      coroutine.wrap(function() lock:release() end)()
      assert.is_false(lock:locked())
    end)

    it("raises when it is released while it is free, and stays free", function()
      local lock = RLock()
      assert.error_matches(function() lock:release() end,
        "cannot release an RLock that is not held")
      assert.is_false(lock:locked())
      assert.equal(lock, lock:acquire(0))
      lock:release()
    end)

    it("raises when a thread releases what another one holds", function()
      local lock = RLock()
      lock:acquire()
      local ok, err = pcall(helper.thread(function(l) l:release() end, lock))
      assert.is_false(ok)
      assert.matches("cannot release an RLock that another thread holds", tostring(err))
      assert.is_true(lock:locked())
      lock:release()
    end)

    it("keeps other threads out, no shorter than their timeouts", function()
      local lock = RLock()
      lock:acquire()
      local waited = helper.thread(function(l)
        local time = require "conc".time
        local began = time()
        local held, word = l:acquire(0.05)
        assert(held == false and word == "timeout")
        return time() - began
      end, lock)()
      assert.is_true(waited >= 0.05)
      lock:release()
    end)

    it("keeps another thread waiting until the last level is released", function()
      local lock, log = RLock(), queue.SimpleQueue()
      lock:acquire():acquire()
      local finish = helper.thread(function(l, q)
        q:put "waiting"
        local _ <close> = l:acquire()
        q:put "acquired"
      end, lock, log)
      assert.equal("waiting", log:get())
      lock:release()
      assert.same({nil, "timeout"}, {log:get(0.02)})
      log:put "released"
      lock:release()
      finish()
      assert.equal("released", log:get())
      assert.equal("acquired", log:get())
    end)

    it("lets one thread in at a time", function()
      local lock, n = RLock(), threading.Value("i64", 0)
      local rounds = helper.scale(10000)
      helper.threads(4, function(_, l, value, times)
        for round = 1, times do
          local _ <close> = l:acquire()
          local deeper <close> = round % 2 == 0 and l:acquire() or nil -- luacheck: ignore
          value.value = value.value + 1
        end
      end, lock, n, rounds)
      assert.equal(4 * rounds, n.value)
      assert.is_false(lock:locked())
    end)

    it("is acquired when it is free, whatever the timeout", function()
      local lock = RLock()
      for _, timeout in ipairs {0, 1e-300, 1e300, math.huge, math.maxinteger} do
        assert.equal(lock, lock:acquire(timeout))
        lock:release()
      end
    end)

    it("is not held by a wait that Ctrl-C has ended", function()
      assert.same({"interrupted!", "true"}, helper.interrupted([[
        local lock, held, over = sync.RLock(), threading.Event(), threading.Event()
        local thread = threading.Thread {args = {lock, held, over}, target = function(l, h, o)
          local _ <close> = l:acquire()
          h:set()
          o:wait()
        end}:start()
        held:wait()
        interrupted(lock.acquire, lock)
        over:set()
        thread:join()
        print(pcall(lock.release, lock) == false)
      ]], module))
    end)

    it("is equal to itself after a journey, and to no other", function()
      local lock, q = RLock(), queue.SimpleQueue()
      q:put(lock)
      assert.equal(lock, q:get())
      assert.are_not.equal(lock, RLock())
      assert.matches("^RLock: ", tostring(lock))
    end)

    it("takes no arguments", function()
      assert.error_matches(function() RLock(1) end, "bad argument #1 to '.-' %(surplus argument%)")
      assert.error_matches(function() RLock {name = "x"} end, "unknown option 'name'")
    end)

    it("is not taken for another thread's when its own has ended", function()
      local lock = RLock()
      helper.thread(function(l) l:acquire() end, lock)()
      for _ = 1, 10 do
        assert.is_false(free_elsewhere(lock))
        assert.is_false(helper.thread(function(l) return (pcall(l.release, l)) end, lock)())
      end
      assert.is_true(lock:locked())
    end)

    it("names the argument that is wrong, and is as before", function()
      local lock = RLock()
      for level = 0, 2 do
        helper.refuses_timeouts(function(timeout) lock:acquire(timeout) end)
        helper.refuses_strangers(lock, {acquire = 1, release = 0, locked = 0})
        assert.equal(level > 0, lock:locked())
        lock:acquire()
      end
      for _ = 1, 3 do lock:release() end
      assert.is_false(lock:locked())
    end)

    it("leaves nothing behind when there is no memory for it", function()
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return RLock() end))
    end)
  end)
end)
