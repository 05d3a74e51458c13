local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

helper.for_both(function(sync, module)
  local Condition = sync.Condition

  -- In a thread: wait, and write down in which order one was woken.
  local function wait_in_line(condition, waiting, log, name)
    local _ <close> = condition:acquire()
    waiting:put(true) -- seen only by those who then get the lock
    local woken, word = condition:wait()
    log:put(name)
    return woken, word
  end

  -- Start threads that wait one behind the other; returns what waits for them.
  local function line_up(n, condition, log)
    local waiting, ends = queue.SimpleQueue(), {}
    for i = 1, n do
      ends[i] = helper.thread(wait_in_line, condition, waiting, log, i)
      assert(waiting:get(helper.patience))
    end
    condition:acquire():release() -- the last one has let go of the lock
    return ends
  end

  local function locked(condition, f, ...)
    local _ <close> = condition:acquire()
    return f(condition, ...)
  end

  -- Over each kind of lock.
  local function common(make_lock)
    local function new() return Condition(make_lock and make_lock()) end

    it("acquires and releases its lock, and says whether it is locked", function()
      local condition = new()
      assert.is_false(condition:locked())
      assert.equal(condition, condition:acquire())
      assert.is_true(condition:locked())
      assert.equal(0, select("#", condition:release()))
      assert.is_false(condition:locked())
      do
        local _ <close> = condition:acquire()
        assert.is_true(condition:locked())
      end
      assert.is_false(condition:locked())
    end)

    it("waits for its lock no shorter than the timeout", function()
      local condition = new()
      condition:acquire()
      local waited = helper.thread(function(c)
        local time = require "conc".time
        local began = time()
        local held, word = c:acquire(0.05)
        assert(held == false and word == "timeout")
        return time() - began
      end, condition)()
      assert.is_true(waited >= 0.05)
      condition:release()
    end)

    it("waits no shorter than the timeout, and holds the lock again then", function()
      local condition = new()
      local _ <close> = condition:acquire()
      local began = conc.time()
      assert.same({false, "timeout"}, {condition:wait(0.05)})
      assert.is_true(conc.time() - began >= 0.05)
      assert.same({false, "timeout"}, {condition:wait(0)})
      assert.is_true(condition:locked())
    end)

    it("releases the lock while it waits, and holds it again when it was notified", function()
      local condition, log = new(), queue.SimpleQueue()
      local finish = line_up(1, condition, log)[1]
      assert.is_false(condition:locked())
      locked(condition, function()
        condition:notify()
        assert.same({nil, "timeout"}, {log:get(0.02)}) -- notify does not release it
      end)
      assert.same({true}, {finish()})
      assert.is_false(condition:locked())
    end)

    it("notifies one at a time, those who have waited longest first", function()
      local condition, log = new(), queue.SimpleQueue()
      local ends = line_up(4, condition, log)
      for i = 1, 4 do
        locked(condition, condition.notify)
        assert.equal(i, log:get(helper.patience))
        assert.same({nil, "timeout"}, {log:get(0)})
        assert.is_true(ends[i]())
      end
    end)

    it("notifies as many as it is told to", function()
      local condition, log = new(), queue.SimpleQueue()
      local ends = line_up(6, condition, log)
      locked(condition, condition.notify, 0)
      locked(condition, condition.notify, 2)
      local first = {log:get(helper.patience), log:get(helper.patience)}
      table.sort(first)
      assert.same({1, 2}, first)
      assert.same({nil, "timeout"}, {log:get(0.02)})
      locked(condition, condition.notify, math.maxinteger)
      for i = 1, 6 do assert.is_true(ends[i]()) end
    end)

    it("notifies all", function()
      local condition, log = new(), queue.SimpleQueue()
      local ends = line_up(5, condition, log)
      locked(condition, condition.notify_all)
      for i = 1, 5 do assert.is_true(ends[i]()) end
    end)

    it("does not keep a notify for those who come later", function()
      local condition = new()
      local _ <close> = condition:acquire()
      condition:notify(3)
      condition:notify_all()
      assert.same({false, "timeout"}, {condition:wait(0.001)})
    end)

    it("waits for a predicate, which is asked with the lock held", function()
      local condition, n = new(), threading.Value("i64", 0)
      local finish = helper.thread(function(c, value)
        local asked = 0
        local _ <close> = c:acquire()
        return c:wait_for(function()
          asked = asked + 1
          assert(c:locked())
          return value.value >= 3 and "enough"
        end), asked
      end, condition, n)
      for _ = 1, 3 do
        locked(condition, function()
          n:add(1)
          condition:notify()
        end)
      end
      local result, asked = finish()
      assert.equal("enough", result)
      assert.is_true(asked >= 1 and asked <= 4)
    end)

    it("returns what the predicate returned last", function()
      local condition = new()
      local _ <close> = condition:acquire()
      assert.same({42}, {condition:wait_for(function() return 42, 43 end)})
      assert.same({false, "timeout"}, {condition:wait_for(function() return false end, 0.001)})
      assert.same({nil, "timeout"}, {condition:wait_for(function() end, 0)})
      local callable = setmetatable({}, {__call = function() return "called" end})
      assert.same({"called"}, {condition:wait_for(callable, 0)})
    end)

    it("asks the predicate once more at the end of the timeout", function()
      local condition, asked = new(), 0
      local _ <close> = condition:acquire()
      local began = conc.time()
      assert.same({true}, {condition:wait_for(function()
        asked = asked + 1
        return asked == 2
      end, 0.02)})
      assert.is_true(conc.time() - began >= 0.02)
    end)

    it("lets an error of the predicate through, with the lock held", function()
      local condition = new()
      local _ <close> = condition:acquire()
      local ok, err = pcall(condition.wait_for, condition, function() error("mine", 0) end)
      assert.same({false, "mine"}, {ok, err})
      assert.is_true(condition:locked())
    end)

    it("raises when one waits or notifies without the lock", function()
      local condition = new()
      assert.error_matches(function() condition:wait() end, "cannot wait on an un%-acquired lock")
      assert.error_matches(function() condition:wait(0) end, "cannot wait on an un%-acquired lock")
      assert.error_matches(function() condition:wait_for(function() return true end) end,
        "cannot wait on an un%-acquired lock")
      assert.error_matches(function() condition:notify() end,
        "cannot notify on an un%-acquired lock")
      assert.error_matches(function() condition:notify_all() end,
        "cannot notify on an un%-acquired lock")
      assert.error_matches(function() condition:release() end,
        "cannot release a lock that is not held")
      assert.is_false(condition:locked())
    end)

    it("carries items from producers to consumers, each once", function()
      local condition, room, sum = new(), threading.Value("i64", 0), threading.Value("i64", 0)
      local n = helper.scale(2000)
      helper.threads(4, function(i, c, filled, total, times)
        for round = 1, times do
          local _ <close> = c:acquire()
          if i % 2 == 0 then
            c:wait_for(function() return filled.value == 0 end)
            filled.value = round
          else
            c:wait_for(function() return filled.value ~= 0 end)
            total.value = total.value + filled.value
            filled.value = 0
          end
          c:notify_all()
        end
      end, condition, room, sum, n)
      assert.equal(n * (n + 1), sum.value)
    end)

    it("names the argument that is wrong, and is as before", function()
      local condition = new()
      local methods = {
        acquire = 1, release = 0, locked = 0, wait = 1, wait_for = 2, notify = 1, notify_all = 0,
      }
      local function always() return true end
      for _ = 1, 2 do
        local was = condition:locked()
        helper.refuses_strangers(condition, methods)
        helper.refuses_timeouts(function(timeout) condition:acquire(timeout) end)
        helper.refuses_timeouts(function(timeout) condition:wait(timeout) end)
        helper.refuses_timeouts(function(timeout) condition:wait_for(always, timeout) end)
        for _, n in ipairs {-1, 0.5, 0 / 0, math.huge, "1", false} do
          assert.error_matches(function() condition:notify(n) end,
            "bad argument #1 to 'notify' %(n: ")
        end
        for _, predicate in ipairs {1, "f", {}, true} do
          assert.error_matches(function() condition:wait_for(predicate) end,
            "bad argument #1 to 'wait_for' %(predicate: function expected")
        end
        assert.error_matches(function() condition:wait_for() end, "predicate: function expected")
        assert.equal(was, condition:locked())
        if not was then condition:acquire() end
      end
      assert.same({false, "timeout"}, {condition:wait(0)})
      condition:release()
    end)
  end

  describe("A Condition of " .. module, function()
    common()

    it("has an RLock of its own unless it is given a lock", function()
      local condition = Condition()
      do
        local _ <close> = condition:acquire()
        local _ <close> = condition:acquire(0)
        assert.is_true(condition:locked())
      end
      assert.is_false(condition:locked())
    end)

    it("releases an RLock fully while it waits, and restores its level", function()
      local lock = sync.RLock()
      local condition = Condition(lock)
      for _ = 1, 3 do lock:acquire() end
      local finish = helper.thread(function(c)
        local _ <close> = c:acquire()
        c:notify()
      end, condition)
      assert.is_true(condition:wait(helper.patience))
      finish()
      for level = 3, 1, -1 do
        assert.is_true(lock:locked(), level)
        lock:release()
      end
      assert.is_false(lock:locked())
    end)

    it("raises when another thread holds the RLock", function()
      local condition = Condition()
      condition:acquire()
      for _, method in ipairs {"wait", "notify", "notify_all"} do
        local finish = helper.thread(function(c, m) c[m](c) end, condition, method)
        local ok, err = pcall(finish)
        assert.is_false(ok)
        assert.matches("on an un%-acquired lock", tostring(err))
      end
      local ok, err = pcall(helper.thread(function(c) c:release() end, condition))
      assert.is_false(ok)
      assert.matches("cannot release a lock that another thread holds", tostring(err))
      condition:release()
    end)

    it("may share its lock with others", function()
      local lock = sync.Lock()
      local empty, full = Condition {lock = lock}, Condition(lock)
      empty:acquire()
      assert.is_true(full:locked())
      assert.same({false, "timeout"}, {full:acquire(0)})
      full:release()
      assert.is_false(lock:locked())
    end)

    it("keeps its lock alive", function()
      local condition = Condition(sync.Lock())
      collectgarbage()
      collectgarbage()
      condition:acquire():release()
    end)

    it("holds its lock as before when Ctrl-C has ended a wait", function()
      assert.same({"interrupted!", "true", "false\ttimeout", "false"}, helper.interrupted([[
        local condition = sync.Condition()
        condition:acquire()
        condition:acquire()
        interrupted(condition.wait, condition)
        condition:release()
        print(condition:locked())
        print(condition:wait(0))
        condition:release()
        print(condition:locked())
      ]], module))
    end)

    it("is equal to itself after a journey, and to no other", function()
      local condition, q = Condition(), queue.SimpleQueue()
      q:put(condition)
      assert.equal(condition, q:get())
      assert.are_not.equal(condition, Condition())
      assert.matches("^Condition: ", tostring(condition))
    end)

    it("refuses a lock that is none", function()
      for _, lock in ipairs {1, "lock", true, io.stdout, threading.Semaphore(), Condition()} do
        assert.error_matches(function() Condition(lock) end,
          "bad argument #1 to '.-' %(lock: Lock or RLock expected, got ")
      end
      assert.error_matches(function() Condition {lock = {}} end, "lock: Lock or RLock expected")
      assert.error_matches(function() Condition {look = 1} end, "unknown option 'look'")
      assert.error_matches(function() Condition(nil, 1) end, "surplus argument")
    end)

    it("leaves nothing behind when there is no memory for it", function()
      local lock = sync.Lock()
      assert.equal(helper.parts(sync, 2), helper.fail_each(function() return Condition() end))
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return Condition(lock) end))
    end)
  end)

  describe("A Condition over a Lock of " .. module, function()
    common(sync.Lock)
  end)
end)
