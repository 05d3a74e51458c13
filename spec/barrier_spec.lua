local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"

helper.for_both(function(sync, module)
  local Barrier = sync.Barrier
  local SimpleQueue = queue.SimpleQueue

  local function is_broken(err)
    return conc.Error.is(err, "BrokenBarrierError")
  end

  -- In a thread: the place, or "broken".
  local function wait_for_others(barrier, ...)
    local ok, place = pcall(barrier.wait, barrier, ...)
    if ok then return place end
    if require "conc".Error.is(place, "BrokenBarrierError") then return "broken" end
    error(place, 0)
  end

  local function start(n, barrier, ...)
    local ends = {}
    for i = 1, n do ends[i] = helper.thread(wait_for_others, barrier, ...) end
    return ends
  end

  local function arrived(barrier, n)
    helper.eventually(function() return barrier:n_waiting() == n end,
      n .. " threads at the barrier")
  end

  local function results(ends)
    local list = {}
    for i, finish in ipairs(ends) do list[i] = finish() end
    table.sort(list, function(a, b) return tostring(a) < tostring(b) end)
    return list
  end

  describe("A Barrier of " .. module, function()
    it("is for so many parties, of which nobody waits yet", function()
      local barrier = Barrier(3)
      assert.equal(3, barrier:parties())
      assert.equal(0, barrier:n_waiting())
      assert.is_false(barrier:broken())
    end)

    it("keeps threads waiting until all have come, and gives each a place", function()
      local barrier = Barrier(4)
      local ends = start(3, barrier)
      arrived(barrier, 3)
      assert.equal(4, barrier:wait())
      assert.same({1, 2, 3}, results(ends))
      assert.equal(0, barrier:n_waiting())
      assert.is_false(barrier:broken())
    end)

    it("numbers its threads in the order of their coming", function()
      local barrier, ends = Barrier(4), {}
      for i = 1, 3 do
        ends[i] = helper.thread(wait_for_others, barrier)
        arrived(barrier, i)
      end
      assert.equal(4, barrier:wait())
      for i = 1, 3 do assert.equal(i, ends[i]()) end
    end)

    it("does not keep the only thread waiting", function()
      local barrier = Barrier(1)
      for _ = 1, 3 do
        assert.equal(1, barrier:wait())
        assert.equal(1, barrier:wait(0))
      end
    end)

    it("may be used again at once", function()
      local barrier, n, rounds = Barrier(4), sync.Value("i64", 0), helper.scale(500)
      helper.threads(4, function(_, b, value, times)
        for round = 1, times do
          value:add(b:wait())
          b:wait()
          assert(value.value == 10 * round)
          b:wait()
        end
      end, barrier, n, rounds)
      assert.equal(10 * rounds, n.value)
    end)

    it("goes a thousand rounds #stress", function()
      local barrier, rounds = Barrier(6), helper.scale(1000)
      local sums = helper.threads(6, function(_, b, times)
        local sum = 0
        for _ = 1, times do sum = sum + b:wait() end
        return sum
      end, barrier, rounds)
      local sum = 0
      for i = 1, 6 do sum = sum + sums[i] end
      assert.equal(21 * rounds, sum)
    end)

    it("may be for fewer threads than use it", function()
      local counts = helper.threads(4, function(_, b, times)
        local count = {0, 0}
        for _ = 1, times do
          local ok, place = pcall(b.wait, b)
          if not ok then break end
          count[place] = count[place] + 1
        end
        b:abort() -- who comes last would find nobody
        return count
      end, Barrier(2), helper.scale(500))
      local first, second = 0, 0
      for i = 1, 4 do
        first, second = first + counts[i][1], second + counts[i][2]
      end
      assert.equal(first, second)
      assert.is_true(first >= helper.scale(500) / 2)
    end)

    -- What the actions of these two need stays in its process.
    local here = module == "threading" and it or function() end

    here("has its action done by one thread, the last, before all go on", function()
      local log = SimpleQueue()
      local barrier = Barrier(3, function() log:put "action" end)
      local ends = {}
      for i = 1, 2 do
        ends[i] = helper.thread(function(b, q)
          for _ = 1, 5 do
            b:wait()
            q:put "on"
            b:wait()
          end
        end, barrier, log)
      end
      for _ = 1, 5 do
        barrier:wait()
        log:put "on"
        assert.equal("action", log:get())
        for _ = 1, 3 do assert.equal("on", log:get(helper.patience)) end
        barrier:wait()
        assert.equal("action", log:get())
      end
      for i = 1, 2 do ends[i]() end
      assert.is_true(log:empty())
    end)

    it("does a copy of its action, as it was when the barrier was made", function()
      local n, seen = 1, sync.Value("i64", 0)
      local barrier = Barrier(1, function()
        n = n + 1
        seen.value = n
      end)
      n = 10
      for _ = 1, 3 do
        barrier:wait()
        assert.equal(2, seen.value)
      end
      assert.equal(10, n)
    end)

    it("raises the action's error in the thread that did it, and is broken", function()
      local barrier = Barrier(2, helper.portable(function() error("mine", 0) end))
      local ends = start(1, barrier)
      arrived(barrier, 1)
      local ok, err = pcall(helper.thread(function(b) b:wait() end, barrier))
      assert.same({false, "mine"}, {ok, err})
      assert.same({"broken"}, results(ends))
      assert.is_true(barrier:broken())
    end)

    it("keeps who comes while the action runs for the next round", function()
      local begun, go = sync.Event(), sync.Event()
      local barrier = Barrier(2, function()
        begun:set()
        go:wait()
      end)
      local first = start(2, barrier)
      begun:wait()
      local second = start(2, barrier, 0.001) -- nobody times out while it runs
      go:set()
      assert.same({1, 2}, results(first))
      for _, result in ipairs(results(second)) do
        assert.is_true(result == "broken" or result == 1 or result == 2)
      end
    end)

    it("lets nobody time out while the action runs", function()
      local function attempt(timeout)
        local begun, go = sync.Event(), sync.Event()
        local barrier = Barrier(2, function()
          begun:set()
          go:wait()
        end)
        local ends = start(1, barrier, timeout)
        helper.eventually(function() return barrier:n_waiting() == 1 or barrier:broken() end)
        ends[2] = helper.thread(wait_for_others, barrier)
        helper.eventually(function() return begun:is_set() or barrier:broken() end)
        go:wait(timeout + 0.01) -- the first one's time is up now
        go:set()
        return begun:is_set(), results(ends)
      end
      local timeout = 0.05
      local in_time, places
      repeat
        in_time, places = attempt(timeout) -- unless the machine was too slow
        timeout = 4 * timeout
      until in_time
      assert.same({1, 2}, places)
    end)

    here("cannot be waited for in its own action", function()
      local q = SimpleQueue()
      local barrier = Barrier(1, function() q:get():wait() end)
      q:put(barrier)
      assert.error_matches(function() barrier:wait() end,
        "cannot wait for a barrier in its own action")
      assert.is_true(barrier:broken())
    end)

    it("is broken by a wait that takes too long, for everybody", function()
      local barrier = Barrier(3)
      local ends = start(1, barrier)
      arrived(barrier, 1)
      local began = conc.time()
      local ok, err = pcall(barrier.wait, barrier, 0.05)
      assert.is_true(conc.time() - began >= 0.05)
      assert.is_false(ok)
      assert.is_true(is_broken(err))
      assert.same({"broken"}, results(ends))
      assert.is_true(barrier:broken())
      assert.is_true(is_broken(select(2, pcall(barrier.wait, barrier))))
      assert.equal(0, barrier:n_waiting())
    end)

    it("has a timeout of its own for waits that have none", function()
      for _, barrier in ipairs {Barrier(2, nil, 0.02), Barrier {parties = 2, timeout = 0.02}} do
        local began = conc.time()
        local ok, err = pcall(barrier.wait, barrier)
        assert.is_false(ok)
        assert.is_true(is_broken(err))
        assert.is_true(conc.time() - began >= 0.02)
      end
      local barrier = Barrier(2, nil, 0)
      local ends = start(1, barrier, helper.patience)
      arrived(barrier, 1)
      assert.equal(2, barrier:wait())
      assert.same({1}, results(ends))
    end)

    it("is broken by abort, for those who wait and those who come", function()
      local barrier = Barrier(3)
      local ends = start(2, barrier)
      arrived(barrier, 2)
      barrier:abort()
      assert.same({"broken", "broken"}, results(ends))
      assert.is_true(barrier:broken())
      assert.is_true(is_broken(select(2, pcall(barrier.wait, barrier, 0))))
      barrier:abort()
      assert.is_true(barrier:broken())
    end)

    it("is whole again after reset", function()
      local barrier = Barrier(2)
      barrier:abort()
      barrier:reset()
      assert.is_false(barrier:broken())
      local ends = start(1, barrier)
      arrived(barrier, 1)
      assert.equal(2, barrier:wait())
      assert.same({1}, results(ends))
    end)

    it("throws out those who wait at a reset, and lets in those who come", function()
      local barrier = Barrier(3)
      local ends = start(2, barrier)
      arrived(barrier, 2)
      barrier:reset()
      assert.equal(0, barrier:n_waiting())
      assert.is_false(barrier:broken())
      assert.same({"broken", "broken"}, results(ends))
      local fresh = start(2, barrier)
      arrived(barrier, 2)
      assert.equal(3, barrier:wait())
      assert.same({1, 2}, results(fresh))
    end)

    it("throws out also the thread in the action when it is reset", function()
      local begun, go = sync.Event(), sync.Event()
      local barrier = Barrier(2, function()
        begun:set()
        go:wait()
      end)
      local ends = start(2, barrier)
      begun:wait()
      barrier:reset()
      go:set()
      assert.same({"broken", "broken"}, results(ends))
      assert.is_false(barrier:broken())
    end)

    it("is broken by Ctrl-C", function()
      assert.same({"interrupted!", "true", "0"}, helper.interrupted([[
        local barrier = sync.Barrier(2)
        local function watch(b, say)
          repeat until b:n_waiting() == 1
          say()
        end
        threading.Thread {target = watch, args = {barrier, waiting}}:start()
        attempt(barrier.wait, barrier)
        print(barrier:broken())
        print(barrier:n_waiting())
      ]], module))
      assert.same({"interrupted!", "true"}, helper.interrupted([[
        local barrier = sync.Barrier(1, function()
          waiting()
          local late = os.time() + 60
          repeat io.stdout:flush() until os.time() > late
        end)
        attempt(barrier.wait, barrier)
        print(barrier:broken())
      ]], module))
    end)

    it("is equal to itself after a journey, and to no other", function()
      local barrier, q = Barrier(2), SimpleQueue()
      q:put(barrier)
      assert.equal(barrier, q:get())
      assert.are_not.equal(barrier, Barrier(2))
      assert.matches("^Barrier: ", tostring(barrier))
    end)

    it("takes its arguments by position or by name", function()
      local count = sync.Value("i64", 0)
      local function action() count:add(1) end
      local callable = setmetatable({count}, {__call = function(self) self[1]:add(1) end})
      local barriers = {
        Barrier(1, action, 1),
        Barrier(1.0, callable),
        Barrier {parties = 1, action = action, timeout = 1},
      }
      helper.thread(function(list)
        for _, barrier in ipairs(list) do barrier:wait() end
      end, barriers)()
      assert.equal(3, count.value)
      assert.equal(2 ^ 31 - 2, Barrier(2 ^ 31 - 2):parties())
    end)

    it("refuses arguments that make no sense", function()
      for _, parties in ipairs {0, -1, 0.5, 0 / 0, math.huge, 2 ^ 31, "2", true} do
        assert.error_matches(function() Barrier(parties) end,
          "bad argument #1 to '.-' %(parties: ")
      end
      assert.error_matches(function() Barrier() end, "parties: integer expected, got nil")
      assert.error_matches(function() Barrier {} end, "parties: integer expected, got nil")
      for _, action in ipairs {1, "f", {}, true} do
        assert.error_matches(function() Barrier(2, action) end,
          "bad argument #2 to '.-' %(action: function expected")
      end
      assert.error_matches(function()
        local co = coroutine.create(print)
        Barrier(2, function() return co end)
      end, "action.*cannot send a coroutine")
      helper.refuses_timeouts(function(timeout) Barrier(2, nil, timeout) end)
      assert.error_matches(function() Barrier(1, nil, 1, 1) end, "surplus argument")
      assert.error_matches(function() Barrier {parties = 1, party = 1} end,
        "unknown option 'party'")
    end)

    it("names the argument that is wrong, and is as before", function()
      local barrier = Barrier(2)
      helper.refuses_timeouts(function(timeout) barrier:wait(timeout) end)
      helper.refuses_strangers(barrier, {
        wait = 1, reset = 0, abort = 0, parties = 0, n_waiting = 0, broken = 0,
      })
      assert.is_false(barrier:broken())
      assert.equal(0, barrier:n_waiting())
    end)

    it("leaves nothing behind when there is no memory for it", function()
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return Barrier(3) end))
      local text = ("x"):rep(1000)
      assert.is_true(helper.fail_each(function()
        return Barrier(3, function() return text end)
      end) >= 2)
    end)
  end)
end)

describe("A Barrier of multiprocessing", function()
  it("lets processes go on together, and does its action in one of them", function()
    local multiprocessing = require "conc.multiprocessing"
    local rounds, sum = multiprocessing.Value("i", 0), multiprocessing.Value("i", 0)
    local barrier = multiprocessing.Barrier(3, function() rounds:add(1) end)
    local list = {}
    for i = 1, 3 do
      list[i] = multiprocessing.Process {target = function(b, r, s)
        for round = 1, 10 do
          s:add(b:wait())
          assert(r.value >= round)
        end
      end, args = {barrier, rounds, sum}}
      list[i]:start()
    end
    for _, p in ipairs(list) do
      assert.is_true(p:join(helper.patience))
      assert.equal(0, p:exitcode())
      p:close()
    end
    assert.equal(10, rounds.value)
    assert.equal(10 * (1 + 2 + 3), sum.value)
  end)
end)
