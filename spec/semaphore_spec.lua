local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local MAX = 2 ^ 31 - 1 | 0

helper.for_both(function(sync, module)
  -- What both kinds promise.
  local function common(name)
    local Semaphore = sync[name]

    it("has one permit unless told otherwise", function()
      assert.equal(1, Semaphore():value())
      assert.equal(1, Semaphore(nil):value())
      assert.equal(0, Semaphore(0):value())
      assert.equal(5, Semaphore(5):value())
      assert.equal(5, Semaphore(5.0):value())
      assert.equal(7, Semaphore {value = 7}:value())
      assert.equal(1, Semaphore {}:value())
      assert.equal(MAX, Semaphore(MAX):value())
    end)

    it("has one permit less after acquire, one more after release", function()
      local semaphore = Semaphore(2)
      semaphore:acquire()
      assert.equal(1, semaphore:value())
      semaphore:acquire()
      assert.equal(0, semaphore:value())
      semaphore:release()
      assert.equal(1, semaphore:value())
      semaphore:release()
      assert.equal(2, semaphore:value())
    end)

    it("is what acquire returns, and release returns nothing", function()
      local semaphore = Semaphore()
      assert.equal(semaphore, semaphore:acquire())
      assert.equal(0, select("#", semaphore:release()))
    end)

    it("gets its permit back at the end of the scope", function()
      local semaphore = Semaphore(2)
      do
        local _ <close> = semaphore:acquire()
        local _ <close> = semaphore:acquire()
        assert.equal(0, semaphore:value())
      end
      assert.equal(2, semaphore:value())
      pcall(function()
        local _ <close> = semaphore:acquire()
        error "mine"
      end)
      assert.equal(2, semaphore:value())
    end)

    it("gives several permits back at once", function()
      local semaphore = Semaphore(3)
      for _ = 1, 3 do semaphore:acquire() end
      semaphore:release(2)
      assert.equal(2, semaphore:value())
      semaphore:release(1)
      assert.equal(3, semaphore:value())
    end)

    it("is waited for no shorter than the timeout", function()
      local semaphore, began = Semaphore(0), conc.time()
      assert.same({false, "timeout"}, {semaphore:acquire(0.05)})
      assert.is_true(conc.time() - began >= 0.05)
      assert.same({false, "timeout"}, {semaphore:acquire(0)})
      assert.equal(0, semaphore:value())
    end)

    it("is acquired while it has a permit, whatever the timeout", function()
      local semaphore = Semaphore(1)
      for _, timeout in ipairs {0, 1e-300, 1, 1e300, math.huge, math.maxinteger} do
        assert.equal(semaphore, semaphore:acquire(timeout))
        semaphore:release()
      end
    end)

    it("lets a waiting thread go on for each permit", function()
      local semaphore, log = Semaphore(3), queue.SimpleQueue()
      for _ = 1, 3 do semaphore:acquire() end
      local ends = {}
      for i = 1, 3 do
        ends[i] = helper.thread(function(s, q)
          q:put "waiting"
          s:acquire()
          q:put "acquired"
        end, semaphore, log)
      end
      for _ = 1, 3 do assert.equal("waiting", log:get()) end
      assert.same({nil, "timeout"}, {log:get(0.02)})
      semaphore:release()
      assert.equal("acquired", log:get())
      assert.same({nil, "timeout"}, {log:get(0.02)})
      semaphore:release(2)
      for i = 1, 3 do ends[i]() end
      assert.equal("acquired", log:get())
      assert.equal("acquired", log:get())
      assert.is_true(log:empty())
      assert.equal(0, semaphore:value())
    end)

    it("never has more threads inside than permits, and loses none", function()
      local semaphore, inside = Semaphore(2), threading.Value("i64", 0)
      local most = helper.threads(5, function(i, s, n, times)
        local seen = 0
        for round = 1, times do
          local held <close> = s:acquire((i + round) % 3 > 0 and 1e-5 or nil) or nil
          if held then
            seen = math.max(seen, n:add(1))
            n:add(-1)
          end
        end
        return seen
      end, semaphore, inside, helper.scale(5000))
      assert.is_true(math.max(table.unpack(most)) <= 2)
      assert.equal(2, semaphore:value())
    end)

    it("loses no permit when Ctrl-C ends a wait", function()
      assert.same({"interrupted!", "1"}, helper.interrupted((([[
        local semaphore = sync.NAME(1)
        semaphore:acquire()
        interrupted(semaphore.acquire, semaphore)
        semaphore:release()
        print(semaphore:value())
      ]]):gsub("NAME", name)), module))
    end)

    it("is equal to itself after a journey, and to no other", function()
      local semaphore, q = Semaphore(), queue.SimpleQueue()
      q:put(semaphore)
      assert.equal(semaphore, q:get())
      assert.are_not.equal(semaphore, Semaphore())
      assert.matches("^" .. name .. ": ", tostring(semaphore))
    end)

    it("refuses a value that is no count", function()
      local cases = {
        {-1, "must be at least 0"}, {math.mininteger, "must be at least 0"},
        {MAX + 1, "must be at most 2147483647"}, {math.maxinteger, "must be at most"},
        {0.5, "no integer representation"}, {0 / 0, "no integer representation"},
        {math.huge, "no integer representation"},
        {"1", "integer expected, got string"}, {true, "integer expected, got boolean"},
      }
      for _, case in ipairs(cases) do
        assert.error_matches(function() Semaphore(case[1]) end,
          "bad argument #1 to '.-' %(value: .*" .. case[2])
      end
      assert.error_matches(function() Semaphore {value = -1} end, "value: must be at least 0")
      assert.error_matches(function() Semaphore(1, 2) end, "surplus argument")
      assert.error_matches(function() Semaphore {valve = 1} end, "unknown option 'valve'")
    end)

    it("names the argument that is wrong, and is as before", function()
      local semaphore = Semaphore(2)
      semaphore:acquire()
      helper.refuses_timeouts(function(timeout) semaphore:acquire(timeout) end)
      helper.refuses_strangers(semaphore, {acquire = 1, release = 1, value = 0})
      for _, n in ipairs {0, -1, 0.5, 0 / 0, math.huge, MAX + 1, "1", false} do
        assert.error_matches(function() semaphore:release(n) end,
          "bad argument #1 to 'release' %(n: ")
      end
      assert.equal(1, semaphore:value())
    end)

    it("leaves nothing behind when there is no memory for it", function()
      -- A shared one has a proxy, a block for itself and one for what is held here.
      assert.equal(module == "threading" and 1 or 3,
                   helper.fail_each(function() return Semaphore(3) end))
    end)
  end

  describe("A Semaphore of " .. module, function()
    common "Semaphore"

    it("may be given more permits than it began with", function()
      local semaphore = sync.Semaphore(0)
      semaphore:release(10)
      semaphore:release()
      assert.equal(11, semaphore:value())
    end)

    it("raises when the count would become too large, and is as before", function()
      local semaphore = sync.Semaphore(MAX - 1)
      assert.error_matches(function() semaphore:release(2) end,
        "cannot release a Semaphore above 2147483647")
      assert.equal(MAX - 1, semaphore:value())
      semaphore:release()
      assert.equal(MAX, semaphore:value())
    end)
  end)

  describe("A BoundedSemaphore of " .. module, function()
    common "BoundedSemaphore"

    it("tells how many permits are left, and whether none is", function()
      local semaphore = sync.BoundedSemaphore(1)
      assert.equal(1, semaphore:get_value())
      assert.is_false(semaphore:locked())
      semaphore:acquire()
      assert.equal(0, semaphore:get_value())
      assert.is_true(semaphore:locked())
    end)

    it("raises when it is released above its first value, and is as before", function()
      local semaphore = sync.BoundedSemaphore(2)
      local message = "cannot release a BoundedSemaphore above its initial value 2"
      assert.error_matches(function() semaphore:release() end, message)
      assert.equal(2, semaphore:value())
      semaphore:acquire()
      assert.error_matches(function() semaphore:release(2) end, message)
      assert.equal(1, semaphore:value())
      semaphore:release()
      assert.equal(2, semaphore:value())
    end)
  end)
end)

describe("A semaphore of multiprocessing", function()
  local multiprocessing = require "conc.multiprocessing"

  -- A process that has taken n permits, and waits.
  local function holder(semaphore, n)
    local said = multiprocessing.SimpleQueue()
    local p = multiprocessing.Process {
      target = function(s, times, out)
        for _ = 1, times do s:acquire() end
        out:put(true)
        require "conc".sleep(60)
      end,
      args = {semaphore, n, said},
    }:start()
    assert.is_true(said:get(helper.patience))
    return p
  end

  local function kill(p)
    p:kill()
    assert.is_true(p:join(helper.patience))
  end

  for _, name in ipairs {"Semaphore", "BoundedSemaphore"} do
    it("gets back what a killed process had taken, and says so once: " .. name, function()
      local s = multiprocessing[name](3)
      s:acquire()
      local p = holder(s, 2)
      assert.equal(0, s:value())
      kill(p)
      assert.equal(2, s:value())
      assert.same({s, "abandoned"}, {s:acquire()})
      assert.same({s}, {s:acquire()})
      s:release(3)
      assert.equal(3, s:value())
    end)

    it("lets one go on who waits for the dead: " .. name, function()
      local s = multiprocessing[name](1)
      local p = holder(s, 1)
      local finish = helper.thread(function(semaphore)
        local held, why = semaphore:acquire(60)
        if held then held:release() end
        return why
      end, s)
      kill(p)
      assert.equal("abandoned", finish())
      assert.equal(1, s:value())
    end)

    it("gets back what a process had taken that has ended: " .. name, function()
      local s = multiprocessing[name](1)
      local p = multiprocessing.Process {target = function(x) x:acquire() end, args = {s}}
      p:start():join()
      assert.same({s, "abandoned"}, {s:acquire(0)})
      s:release()
    end)
  end

  it("whose permits are signals gets none back", function()
    local s = multiprocessing.Semaphore(1)
    s:release(4)
    local p = holder(s, 2)
    kill(p)
    assert.equal(3, s:value())
    assert.same({s}, {s:acquire()})
  end)

  it("loses no permit when processes are killed at any moment #stress", function()
    local s, count = multiprocessing.BoundedSemaphore(2), multiprocessing.Value("i64", 0)
    local function work(semaphore, n)
      while true do
        local held <close> = semaphore:acquire() -- luacheck: ignore 211
        n:add(1)
      end
    end
    local function start()
      return multiprocessing.Process {target = work, args = {s, count}}:start()
    end
    local list = {start(), start(), start()}
    for i = 1, helper.scale(60) do
      local before = count.value
      helper.eventually(function() return count.value > before + 100 end)
      local k = i % #list + 1
      kill(list[k])
      list[k] = start()
    end
    for _, p in ipairs(list) do kill(p) end
    assert.equal(2, s:value())
  end)
end)
