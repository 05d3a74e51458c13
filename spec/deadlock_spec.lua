local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- Longer than the detector takes to be sure, when it has no patience.
local LONG = 0.4

setup(function() conc.detect_deadlocks(true, 0) end)
teardown(function() conc.detect_deadlocks(true, 2) end)

-- The message of the DeadlockError that f(...) raises.
local function deadlock(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(conc.Error.is(err, "DeadlockError"), tostring(err))
  return err.message
end

local function says(message, ...)
  for _, text in ipairs {...} do
    assert.is_truthy(message:find(text, 1, true), message)
  end
end

-- Start f(...) in a thread; returns the thread and a function that waits for its
-- end and gives what pcall gave.
local function start(f, ...)
  local finish, thread = helper.thread(function(body, ...) return pcall(body, ...) end,
                                       helper.portable(f), ...)
  return thread, finish
end

describe("Threads that wait for each other", function()
  it("are told, and who waits for what", function()
    local a, b, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
    local function cross(first, second, meet)
      local _ <close> = first:acquire()
      meet:wait()
      local _ <close> = second:acquire()
    end
    local one, end_one = start(cross, a, b, both)
    local _, end_two = start(cross, b, a, both)
    one:set_name "one"
    local message = deadlock(function() one:join() end)
    says(message, "all threads wait for each other:", "MainThread waits in 'join' for Thread(one)",
         "one waits in 'acquire' for " .. tostring(b), "waits in 'acquire' for " .. tostring(a))
    for _, finish in ipairs {end_one, end_two} do
      local ok, err = finish()
      assert.is_false(ok)
      assert.equal("DeadlockError", err.class)
      assert.equal(message, err.message)
      assert.is_truthy(err.traceback:find("deadlock_spec", 1, true))
    end
    assert.is_false(a:locked() or b:locked())
  end)

  it("may be one alone", function()
    says(deadlock(function() queue.Queue():get() end), "MainThread waits in 'get' for Queue")
    local lock = threading.Lock()
    lock:acquire()
    says(deadlock(function() lock:acquire() end), "Lock")
    says(deadlock(function() threading.Event():wait() end), "Event")
    says(deadlock(function() conc.select {queue.Queue(), lock} end), "'select'", "Queue", "Lock")
    local full = queue.Queue(1)
    full:put(1)
    says(deadlock(function() full:put(2) end), "'put'")
    assert.equal(1, full:qsize())
    local condition = threading.Condition()
    local held <close> = condition:acquire()
    says(deadlock(function() condition:wait() end), "Condition")
    assert.equal(condition, held)
  end)

  it("may be a main thread that joins one that waits for an item", function()
    local thread, finish = start(function(q) return q:get() end, queue.Queue())
    says(deadlock(function() thread:join() end), "Queue")
    assert.equal("DeadlockError", select(2, finish()).class)
  end)

  it("may be a pool of one whose task waits for a future of its own pool", function()
    local ex <close> = futures.ThreadPoolExecutor(1)
    local never = queue.Queue()
    local f = ex:submit(function(q) return q:get() end, never)
    says(deadlock(function() return f:result() end), "Future", "Queue")
    assert.is_true(conc.Error.is(f:exception(helper.patience), "DeadlockError"))
    assert.equal(42, ex:submit(function() return 42 end):result(), "the worker lives")
  end)

  it("may be tasks that wait for each other's futures", function()
    local ex <close> = futures.ThreadPoolExecutor(2)
    local to_a, to_b = queue.Queue(), queue.Queue()
    local function cross(q) return q:get():result() end
    local a, b = ex:submit(cross, to_a), ex:submit(cross, to_b)
    to_a:put(b)
    to_b:put(a)
    deadlock(function() a:result() end)
    for _, f in ipairs {a, b} do
      assert.is_true(conc.Error.is(f:exception(helper.patience), "DeadlockError"))
    end
  end)

  it("may include idle workers, which are not disturbed", function()
    local ex <close> = futures.ThreadPoolExecutor(2)
    assert.equal(1, ex:submit(function() return 1 end):result())
    deadlock(function() queue.Queue():get() end)
    assert.equal(2, ex:submit(function() return 2 end):result())
  end)

  it("break a barrier as a cancellation does", function()
    local barrier = threading.Barrier(3)
    local _, finish = start(function(b) b:wait() end, barrier)
    local ok = pcall(barrier.wait, barrier)
    assert.is_false(ok)
    assert.is_false((finish()))
    assert.is_true(barrier:broken())
  end)

  it("end the program at its end, with an error for each", function()
    local path = helper.tmpname()
    local file = assert(io.open(path, "w"))
    file:write [[
      local conc = require "conc"
      conc.threading.Thread {
        target = function(q) q:get() end, args = {conc.queue.Queue()}, name = "left",
      }:start()
      print "end of main"
    ]]
    file:close()
    local child = io.popen(helper.lua .. " " .. path .. " 2>&1")
    local text = child:read "a"
    child:close()
    os.remove(path)
    says(text, "end of main", "uncaught error in thread 'left': DeadlockError",
         "left waits in 'get' for Queue")
  end)
end)

describe("No deadlock is seen", function()
  -- wait() is ended by somebody only after a long time.
  local function patient(wait, ...)
    local begin = conc.time()
    local thread, finish = start(...)
    local ok, err = pcall(wait, thread)
    assert.is_true(ok, tostring(err))
    assert.is_true(conc.time() - begin >= LONG * 0.9)
    assert.is_true((finish()))
  end

  it("when a thread sleeps that will act", function()
    local q = queue.Queue()
    patient(function() assert.equal(1, q:get()) end, function(to, t)
      require "conc".sleep(t)
      to:put(1)
    end, q, LONG)
  end)

  it("when one has a timeout", function()
    local q, e = queue.Queue(), threading.Event()
    patient(function() assert.equal(1, q:get()) end, function(to, never, t)
      never:wait(t)
      to:put(1)
    end, q, e, LONG)
    assert.same({nil, "timeout", n = 2}, table.pack(q:get(LONG)))
  end)

  it("when one computes", function()
    local q = queue.Queue()
    patient(function() assert.equal(1, q:get()) end, function(to, t)
      local time = require "conc".time
      local till = time() + t
      while time() < till do end
      to:put(1)
    end, q, LONG)
  end)

  it("when one is in a C function that blocks", function()
    local q = queue.Queue()
    patient(function() assert.equal(1, q:get()) end, function(to, t)
      local pipe = io.popen("sleep " .. t)
      pipe:read "a"
      pipe:close()
      to:put(1)
    end, q, LONG)
  end)

  it("when a timer will call", function()
    local e = threading.Event()
    local timer = threading.Timer(LONG, function(event) event:set() end, {e}):start()
    assert.is_true(e:wait())
    timer:join()
  end)

  it("when a chain of waits ends in one that sleeps", function()
    local a, b = queue.Queue(), queue.Queue()
    local _, end_middle = start(function(from, to) to:put(from:get()) end, a, b)
    patient(function() assert.equal("x", b:get()) end, function(to, t)
      require "conc".sleep(t)
      to:put "x"
    end, a, LONG)
    assert.is_true((end_middle()))
  end)

  -- What a program prints that runs f, gets a Ctrl-C after a long time, and has
  -- a thread that sleeps or waits for ever.
  local function alone(f)
    return helper.interrupted(([[
      local conc = require "conc"
      conc.detect_deadlocks(true, 0)
      local function thread(f, ...)
        return threading.Thread {target = f, args = {...}, daemon = true}:start()
      end
      waiting(1)
      attempt(function() %s end)
    ]]):format(f))
  end

  it("when one sleeps for ever", function()
    local body = "thread(function(f) require 'conc'.%s end):join()"
    assert.same({"interrupted!"}, alone(body:format "sleep(math.huge)"))
    local lines = helper.child([[
      local conc = require "conc"
      conc.detect_deadlocks(true, 0)
      print(pcall(function()
        conc.threading.Thread {
          target = function() require "conc".queue.Queue():get() end, daemon = true,
        }:start():join()
      end))
    ]])
    assert.is_truthy(lines[1]:find("DeadlockError", 1, true), lines[1])
  end)

  it("before all have waited as long as was said, so that Ctrl-C may come first", function()
    assert.same({"interrupted!"}, alone "conc.detect_deadlocks(true, 60) conc.queue.Queue():get()")
    local begin = conc.time()
    conc.detect_deadlocks(true, 0.5)
    deadlock(function() queue.Queue():get() end)
    conc.detect_deadlocks(true, 0)
    assert.is_true(conc.time() - begin >= 0.5)
  end)

  it("after it was switched off", function()
    assert.same({"interrupted!"}, alone "conc.detect_deadlocks(false) conc.queue.Queue():get()")
    assert.is_true(conc.detect_deadlocks(false))
    assert.is_false(conc.detect_deadlocks())
    assert.is_true(conc.detect_deadlocks(true))
    assert.has_error(function() conc.detect_deadlocks(true, -1) end,
                     "bad argument #2 to 'detect_deadlocks' (patience: must not be negative)")
  end)

  it("when another process could end the wait", function()
    assert.same({"interrupted!"}, alone [[
      local lock = require "conc.multiprocessing".Lock()
      lock:acquire()
      lock:acquire()
    ]])
  end)

  it("when another program could connect", function()
    assert.same({"interrupted!"}, alone [[
      local mp = require "conc.multiprocessing"
      mp.wait {mp.Listener()}
    ]])
  end)

  it("while work is handed on and on, with pauses #stress", function()
    local n = helper.scale(30)
    local qs = {}
    for i = 1, 5 do qs[i] = queue.Queue() end
    local ends = {}
    for i = 2, 5 do
      local _, finish = start(function(from, to, k)
        for item in from:items() do
          if k == 3 then
            local time = require "conc".time
            local till = time() + item
            while time() < till do end
          end
          to:put(item)
        end
      end, qs[i], qs[i % 5 + 1], i)
      ends[#ends + 1] = finish
    end
    for i = 1, n do
      qs[2]:put(i % 10 == 0 and 0.11 or 0.01)
      assert.is_truthy(qs[1]:get())
    end
    for i = 2, 5 do qs[i]:shutdown() end
    for _, finish in ipairs(ends) do assert.is_true((finish())) end
  end)
end)
