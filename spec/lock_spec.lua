local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

helper.for_both(function(sync, module)
  local Lock = sync.Lock

  describe("A Lock of " .. module, function()
    it("is free when it is made, held when acquired, free when released", function()
      local lock = Lock()
      assert.is_false(lock:locked())
      lock:acquire()
      assert.is_true(lock:locked())
      lock:release()
      assert.is_false(lock:locked())
    end)

    it("is what acquire returns, and release returns nothing", function()
      local lock = Lock()
      assert.equal(lock, lock:acquire())
      assert.equal(0, select("#", lock:release()))
    end)

    it("is released at the end of the scope that holds it", function()
      local lock = Lock()
      do
        local held <close> = lock:acquire()
        assert.is_true(held:locked())
      end
      assert.is_false(lock:locked())
    end)

    it("is released when an error leaves the scope", function()
      local lock = Lock()
      local ok, err = pcall(function()
        local _ <close> = lock:acquire()
        error("mine", 0)
      end)
      assert.same({false, "mine"}, {ok, err})
      assert.is_false(lock:locked())
    end)

    it("complains at the end of a scope in which it was released by hand", function()
      local lock = Lock()
      assert.error_matches(function()
        local _ <close> = lock:acquire()
        lock:release()
      end, "cannot release a lock that is not held")
    end)

    it("raises when it is released while it is free, and stays free", function()
      local lock = Lock()
      assert.error_matches(function() lock:release() end, "cannot release a lock that is not held")
      assert.is_false(lock:locked())
      assert.equal(lock, lock:acquire(0))
      lock:release()
    end)

    it("does not let its own holder in again", function()
      local lock = Lock()
      lock:acquire()
      assert.same({false, "timeout"}, {lock:acquire(0)})
      assert.same({false, "timeout"}, {lock:acquire(0.001)})
      lock:release()
    end)

    it("is waited for no shorter than the timeout", function()
      local lock = Lock()
      lock:acquire()
      local began = conc.time()
      assert.same({false, "timeout"}, {lock:acquire(0.05)})
      assert.is_true(conc.time() - began >= 0.05)
      lock:release()
    end)

    it("is acquired when it is free, whatever the timeout", function()
      local lock = Lock()
      for _, timeout in ipairs {0, 0.0, 1e-300, 1, 1e300, math.huge, math.maxinteger} do
        assert.equal(lock, lock:acquire(timeout))
        lock:release()
      end
      assert.equal(lock, lock:acquire(nil))
      lock:release()
    end)

    it("is the same lock in another thread", function()
      local lock = Lock()
      local same = helper.thread(function(there)
        return there, there:locked(), there:acquire()
      end, lock)
      local returned, locked, acquired = same()
      assert.equal(lock, returned)
      assert.equal(lock, acquired)
      assert.is_false(locked)
      assert.is_true(lock:locked())
    end)

    it("may be released by a thread that has not acquired it", function()
      local lock = Lock()
      lock:acquire()
      helper.thread(function(l) l:release() end, lock)()
      assert.is_false(lock:locked())
    end)

    it("keeps another thread waiting until it is released", function()
      local lock, log = Lock(), queue.SimpleQueue()
      lock:acquire()
      local finish = helper.thread(function(l, q)
        q:put "waiting"
        local _ <close> = l:acquire()
        q:put "acquired"
      end, lock, log)
      assert.equal("waiting", log:get())
      assert.same({nil, "timeout"}, {log:get(0.02)})
      log:put "released"
      lock:release()
      finish()
      assert.equal("released", log:get())
      assert.equal("acquired", log:get())
      assert.is_false(lock:locked())
    end)

    it("lets one thread in at a time", function()
      local lock, n = Lock(), threading.Value("i64", 0)
      local rounds = helper.scale(20000)
      helper.threads(4, function(_, l, value, times)
        for _ = 1, times do
          local _ <close> = l:acquire()
          value.value = value.value + 1
        end
      end, lock, n, rounds)
      assert.equal(4 * rounds, n.value)
    end)

    it("is not lost by threads that give up waiting", function()
      local lock, n = Lock(), threading.Value("i64", 0)
      local got = helper.threads(4, function(i, l, value, times)
        local taken = 0
        for round = 1, times do
          local held <close> = l:acquire((i + round) % 3 * 1e-5) or nil
          if held then
            value.value = value.value + 1
            taken = taken + 1
          end
        end
        return taken
      end, lock, n, helper.scale(5000))
      assert.equal(got[1] + got[2] + got[3] + got[4], n.value)
      assert.equal(lock, lock:acquire(0))
      lock:release()
    end)

    it("comes round to everybody, even if one thread hardly lets it go", function()
      local lock, stop = Lock(), threading.Event()
      local greedy = helper.thread(function(l, over)
        local time = require "conc".time
        while not over:is_set() do
          local _ <close> = l:acquire()
          local began = time()
          repeat until time() - began > 0.002
        end
      end, lock, stop)
      for _ = 1, 20 do
        local _ <close> = lock:acquire()
      end
      stop:set()
      greedy()
    end)

    it("is not held by a wait that Ctrl-C has ended", function()
      assert.same({"interrupted!", "true", "false"}, helper.interrupted([[
        local lock = sync.Lock()
        lock:acquire()
        interrupted(lock.acquire, lock)
        print(lock:locked())
        lock:release()
        print(lock:locked())
      ]], module))
    end)

    it("is equal to itself after a journey, and to no other", function()
      local lock, q = Lock(), queue.SimpleQueue()
      q:put(lock)
      assert.equal(lock, q:get())
      assert.are_not.equal(lock, Lock())
      assert.matches("^Lock: ", tostring(lock))
    end)

    it("takes no arguments", function()
      assert.error_matches(function() Lock(1) end, "bad argument #1 to '.-' %(surplus argument%)")
      assert.error_matches(function() Lock {name = "x"} end, "unknown option 'name'")
      assert.is_false(Lock {}:locked())
    end)

    it("names the argument that is wrong, and is as before", function()
      local lock = Lock()
      helper.refuses_timeouts(function(timeout) lock:acquire(timeout) end)
      helper.refuses_strangers(lock, {acquire = 1, release = 0, locked = 0})
      assert.is_false(lock:locked())
      lock:acquire()
      helper.refuses_timeouts(function(timeout) lock:acquire(timeout) end)
      helper.refuses_strangers(lock, {acquire = 1, release = 0, locked = 0})
      assert.is_true(lock:locked())
      lock:release()
    end)

    it("leaves nothing behind when there is no memory for it", function()
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return Lock() end))
    end)
  end)
end)
