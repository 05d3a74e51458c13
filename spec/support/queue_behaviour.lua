--- What Queue, LifoQueue and PriorityQueue promise alike.  The items are
-- integers, which are priorities of their own.

local assert = require "luassert"
local busted = require "busted"
local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local it = busted.it
local TIMEOUT = {n = 2, nil, "timeout"}
local CLOSED = {n = 2, nil, "closed"}

-- Start a thread that says "begins", calls q[method](q, ...) and says what that
-- returned.  Returns the log, a function that waits for the end of the thread,
-- and makes sure that the call is still waiting.
local function blocked(q, method, ...)
  local log = queue.SimpleQueue()
  local finish = helper.thread(function(out, object, name, ...)
    out:put "begins"
    out:put(table.pack(object[name](object, ...)))
  end, log, q, method, ...)
  assert.equal("begins", log:get(helper.patience))
  assert.same(TIMEOUT, table.pack(log:get(0.02)))
  return log, finish
end

-- What the blocked call returned.
local function outcome(log, finish)
  local results = log:get(helper.patience)
  finish()
  return results
end

-- helper.refuses_strangers, but queues of another kind are no strangers to what
-- all kinds can do.
local function refuses_strangers(q, methods)
  for method, most in pairs(methods) do
    for _, self in ipairs {false, 1, "x", {}, io.stdout, threading.Lock()} do
      assert.error_matches(function() q[method](self) end, "#1 to '.-' %(.+ expected")
    end
    local args = {n = most + 2, q}
    assert.error_matches(function() q[method](table.unpack(args, 1, args.n)) end,
      "surplus argument")
  end
end

local behaviour = {TIMEOUT = TIMEOUT, CLOSED = CLOSED, blocked = blocked, outcome = outcome,
  refuses_strangers = refuses_strangers}

local function bounds(Queue)
  it("has no bound unless it is given one above 0", function()
    for _, q in ipairs {Queue(), Queue(nil), Queue(0), Queue(-3), Queue {}, Queue {maxsize = 0}} do
      assert.equal(0, q:maxsize())
      for i = 1, 100 do assert.is_true(q:put(i, 0)) end
      assert.is_false(q:full())
    end
    for _, q in ipairs {Queue(2), Queue(2.0), Queue {maxsize = 2}} do
      assert.equal(2, q:maxsize())
    end
    assert.equal(math.maxinteger, Queue(math.maxinteger):maxsize())
    assert.equal(0, Queue(math.mininteger):maxsize())
  end)

  it("knows how many items it holds, and whether it is empty or full", function()
    local q = Queue(2)
    assert.same({0, true, false}, {q:qsize(), q:empty(), q:full()})
    q:put(1)
    assert.same({1, false, false}, {q:qsize(), q:empty(), q:full()})
    q:put(2)
    assert.same({2, false, true}, {q:qsize(), q:empty(), q:full()})
    q:get()
    assert.same({1, false, false}, {q:qsize(), q:empty(), q:full()})
  end)

  it("says timeout when there is nothing to get in time", function()
    local q, began = Queue(), conc.time()
    assert.same(TIMEOUT, table.pack(q:get(0.05)))
    assert.is_true(conc.time() - began >= 0.05)
    assert.same(TIMEOUT, table.pack(q:get(0)))
    assert.same(TIMEOUT, table.pack(q:get_nowait()))
  end)

  it("says timeout when there is no room to put in time, and takes nothing", function()
    local q, began = Queue(1), conc.time()
    assert.same({n = 1, true}, table.pack(q:put(1)))
    assert.same(TIMEOUT, table.pack(q:put(2, 0.05)))
    assert.is_true(conc.time() - began >= 0.05)
    assert.same(TIMEOUT, table.pack(q:put(2, 0)))
    assert.same(TIMEOUT, table.pack(q:put_nowait(2)))
    assert.equal(1, q:qsize())
    assert.equal(1, (q:get()))
    assert.is_true(q:empty())
  end)

  it("does at once what it can, whatever the timeout", function()
    local q = Queue(1)
    for _, timeout in ipairs {0, 0.0, 1e-300, 1, 1e300, math.huge, math.maxinteger} do
      assert.is_true(q:put(7, timeout))
      assert.equal(7, (q:get(timeout)))
    end
    assert.is_true(q:put(7, nil))
    assert.equal(7, (q:get(nil)))
    assert.is_true(q:put_nowait(7))
    assert.equal(7, (q:get_nowait()))
  end)
end

local function meeting(Queue)
  it("keeps a getter waiting until something is put", function()
    local q = Queue()
    local log, finish = blocked(q, "get")
    q:put(42)
    assert.equal(42, outcome(log, finish)[1])
  end)

  it("keeps a putter waiting until there is room", function()
    local q = Queue(1)
    q:put(1)
    local log, finish = blocked(q, "put", 2)
    assert.equal(1, q:qsize())
    assert.equal(1, (q:get()))
    assert.same({n = 1, true}, outcome(log, finish))
    assert.equal(2, (q:get()))
  end)

  it("gives each item to one of many getters, through any bound", function()
    local n = helper.scale(2000)
    for _, bound in ipairs {0, 1, 3, 64} do
      local q = Queue(bound)
      local getters = {}
      for i = 1, 4 do
        getters[i] = helper.thread(function(from)
          local sum, count = 0, 0
          while true do
            local item, err = from:get()
            if err then return sum, count end
            sum, count = sum + item, count + 1
          end
        end, q)
      end
      helper.threads(4, function(i, to, times)
        for k = 1, times do to:put((i - 1) * times + k) end
      end, q, n)
      q:shutdown()
      local sum, count = 0, 0
      for i = 1, 4 do
        local s, c = getters[i]()
        sum, count = sum + s, count + c
      end
      assert.same({4 * n, 4 * n * (4 * n + 1) // 2}, {count, sum})
    end
  end)

  it("loses nothing to those who give up waiting", function()
    local n = helper.scale(1000)
    local q = Queue(1)
    local results = helper.threads(4, function(i, shared, times)
      local sum = 0
      for k = 1, times do
        local timeout = (i + k) % 3 * 1e-5
        if i % 2 == 1 then
          if shared:put(k, timeout) then sum = sum - k end
        else
          sum = sum + (shared:get(timeout) or 0)
        end
      end
      return sum
    end, q, n)
    local left = q:get(0) or 0
    assert.equal(0, results[1] + results[2] + results[3] + results[4] + left)
    assert.is_true(q:empty())
  end)

  it("is the same queue in another thread", function()
    local q = Queue(3)
    q:put(1)
    local there, size, bound = helper.thread(function(same)
      same:put(2)
      return same, same:qsize(), same:maxsize()
    end, q)()
    assert.equal(q, there)
    assert.same({2, 3}, {size, bound})
    assert.equal(2, q:qsize())
    assert.are_not.equal(q, Queue(3))
  end)

  it("may travel through itself", function()
    local outer, q = queue.SimpleQueue(), Queue()
    outer:put {q}
    q:put(5)
    assert.equal(5, (outer:get()[1]:get()))
  end)
end

local function tasks(Queue)
  it("has nobody to wait for in join while nothing was put", function()
    assert.same({n = 1, true}, table.pack(Queue():join()))
    assert.same({n = 1, true}, table.pack(Queue():join(0)))
  end)

  it("waits in join until every item that was put is marked as done", function()
    local q = Queue()
    q:put(1)
    q:put(2)
    local log, finish = blocked(q, "join")
    q:get()
    q:get()
    assert.equal(0, select("#", q:task_done()))
    assert.same(TIMEOUT, table.pack(log:get(0.02)))
    q:task_done()
    assert.same({n = 1, true}, outcome(log, finish))
  end)

  it("says timeout when a join takes too long", function()
    local q = Queue()
    q:put(1)
    local began = conc.time()
    assert.same(TIMEOUT, table.pack(q:join(0.05)))
    assert.is_true(conc.time() - began >= 0.05)
    assert.same(TIMEOUT, table.pack(q:join(0)))
    q:task_done()
    assert.is_true(q:join(0))
  end)

  it("can be joined again and again, by many", function()
    local q, n = Queue(), helper.scale(200)
    local worker = helper.thread(function(from)
      while not select(2, from:get()) do from:task_done() end
    end, q)
    helper.threads(3, function(_, to, times)
      for i = 1, times do
        to:put(i)
        assert(to:join())
      end
    end, q, n)
    assert.is_true(q:join())
    q:shutdown()
    worker()
  end)

  it("raises when more is done than was put, and stays as it was", function()
    local q = Queue()
    local text = "task_done was called more often than put"
    assert.error_matches(function() q:task_done() end, text)
    q:put(1)
    q:task_done()
    assert.error_matches(function() q:task_done() end, text)
    q:put(2)
    assert.same(TIMEOUT, table.pack(q:join(0)))
    q:task_done()
    assert.is_true(q:join())
  end)
end

local function ending(Queue)
  it("takes nothing after shutdown, gives what is left, and then says closed", function()
    local q = Queue(2)
    q:put(1)
    assert.is_false(q:is_shutdown())
    assert.equal(0, select("#", q:shutdown()))
    assert.is_true(q:is_shutdown())
    for _, timeout in ipairs {0, 1, math.huge} do
      assert.same(CLOSED, table.pack(q:put(2, timeout)))
    end
    assert.same(CLOSED, table.pack(q:put(2)))
    assert.same(CLOSED, table.pack(q:put_nowait(2)))
    assert.equal(1, (q:get()))
    for _, timeout in ipairs {0, 1, math.huge} do
      assert.same(CLOSED, table.pack(q:get(timeout)))
    end
    assert.same(CLOSED, table.pack(q:get()))
    assert.same(CLOSED, table.pack(q:get_nowait()))
  end)

  it("wakes everybody who waits to get when it is shut down", function()
    local q, logs, ends = Queue(), {}, {}
    for i = 1, 4 do logs[i], ends[i] = blocked(q, "get") end
    q:shutdown()
    for i = 1, 4 do assert.same(CLOSED, outcome(logs[i], ends[i])) end
  end)

  it("wakes everybody who waits to put when it is shut down", function()
    local q, logs, ends = Queue(1), {}, {}
    q:put(0)
    for i = 1, 4 do logs[i], ends[i] = blocked(q, "put", i) end
    q:shutdown()
    for i = 1, 4 do assert.same(CLOSED, outcome(logs[i], ends[i])) end
    assert.equal(0, (q:get()))
    assert.same(CLOSED, table.pack(q:get()))
  end)

  it("keeps those in join waiting for what is left at shutdown", function()
    local q = Queue()
    q:put(1)
    local log, finish = blocked(q, "join")
    q:shutdown()
    assert.same(TIMEOUT, table.pack(log:get(0.02)))
    q:get()
    q:task_done()
    assert.is_true(outcome(log, finish)[1])
  end)

  it("drops what is left at an immediate shutdown, and counts it as done", function()
    local q = Queue()
    for i = 1, 100 do q:put(i) end
    local log, finish = blocked(q, "join")
    q:shutdown {immediate = true}
    assert.is_true(outcome(log, finish)[1])
    assert.is_true(q:empty())
    assert.same(CLOSED, table.pack(q:get()))
    assert.error_matches(function() q:task_done() end, "more often than put")
  end)

  it("does not count as done what somebody got before an immediate shutdown", function()
    local q = Queue()
    q:put(1)
    q:put(2)
    q:get()
    q:shutdown {immediate = true}
    assert.same(TIMEOUT, table.pack(q:join(0)))
    q:task_done()
    assert.is_true(q:join())
  end)

  it("may be shut down again, and immediately after all", function()
    local q = Queue()
    q:put(1)
    q:shutdown()
    q:shutdown {}
    q:shutdown {immediate = false}
    assert.equal(1, q:qsize())
    q:shutdown(true)
    assert.equal(0, q:qsize())
    q:shutdown()
    assert.is_true(q:is_shutdown())
  end)

  it("is iterated over until it is shut down and empty", function()
    local q, sum = Queue(), 0
    for i = 1, 10 do q:put(i) end
    q:shutdown()
    for item in q:items() do sum = sum + item end
    assert.equal(55, sum)
    for _ in q:items() do error "there is nothing left" end
  end)

  it("is iterated over as items come", function()
    local q, done = Queue(), queue.SimpleQueue()
    local finish = helper.thread(function(from, to)
      for item in from:items() do to:put(item) end
      to:put "end"
    end, q, done)
    q:put(1)
    assert.equal(1, done:get())
    q:put(2)
    assert.equal(2, done:get())
    q:shutdown()
    assert.equal("end", done:get())
    finish()
  end)
end

local function refusals(name, Queue)
  it("refuses a bound that is none, and unknown options", function()
    assert.error_matches(function() Queue "x" end, "maxsize: integer expected, got string")
    assert.error_matches(function() Queue(1.5) end, "maxsize: .- no integer representation")
    assert.error_matches(function() Queue(0 / 0) end, "maxsize: .- no integer representation")
    assert.error_matches(function() Queue(math.huge) end, "maxsize: .- no integer representation")
    assert.error_matches(function() Queue {maxsize = true} end,
      "maxsize: integer expected, got boolean")
    assert.error_matches(function() Queue {size = 1} end, "unknown option 'size'")
    assert.error_matches(function() Queue {5} end, "unknown option '1'")
    assert.error_matches(function() Queue(1, 2) end, "#2 to '.-' %(surplus argument%)")
  end)

  it("names the argument that is wrong, and is as before", function()
    local q = Queue(1)
    local function check()
      helper.refuses_timeouts(function(timeout) q:put(1, timeout) end)
      helper.refuses_timeouts(function(timeout) q:get(timeout) end)
      helper.refuses_timeouts(function(timeout) q:join(timeout) end)
      refuses_strangers(q, {
        get = 1, get_nowait = 0, items = 0, qsize = 0, empty = 0, full = 0, maxsize = 0,
        task_done = 0, join = 1, shutdown = 1, is_shutdown = 0,
      })
      assert.error_matches(function() q:put() end, "value expected")
      assert.error_matches(function() q:put_nowait() end, "value expected")
      assert.error_matches(function() q.put(nil, 1) end, "#1 to '.-' %(.*Queue expected, got nil")
      assert.error_matches(function() q:put(1, 1, 1, 1) end, "surplus argument")
      assert.error_matches(function() q:put_nowait(1, 1, 1) end, "surplus argument")
      assert.error_matches(function() q:shutdown {now = true} end, "unknown option 'now'")
      assert.error_matches(function() q:shutdown(1) end, "immediate: boolean expected, got number")
      assert.error_matches(function() q:shutdown {immediate = 1} end,
        "immediate: boolean expected, got number")
      assert.error_matches(function() q:shutdown({}, 1) end, "surplus argument")
    end
    check()
    assert.is_false(q:is_shutdown())
    assert.is_true(q:empty())
    q:put(7)
    check()
    assert.equal(7, (q:get(0)))
    assert.is_true(q:empty())
    q:shutdown()
    check()
    assert.is_true(q:is_shutdown())
  end)

  it("has methods and no fields", function()
    local q = Queue()
    assert.is_nil(q.no_such_method)
    assert.has_error(function() q.field = 1 end)
    assert.matches("^" .. name .. ": ", tostring(q))
  end)

  it("is as before when a value cannot travel or there is no memory", function()
    local q = Queue()
    assert.is_true(helper.fail_each(function() return Queue() end) >= 1)
    assert.is_true(helper.fail_each(function()
      local each = Queue()
      for i = 1, 40 do each:put(i) end
    end) >= 2)
    q:put(1)
    assert.equal(1, (q:get(0)))
  end)

  it("may be left with items in it", function()
    local q = Queue()
    for i = 1, 100 do q:put(i) end
    q:get()
  end)
end

-- The Queue of that name, of conc.queue unless another is given.
function behaviour.check(name, Queue)
  Queue = Queue or queue[name]
  bounds(Queue)
  meeting(Queue)
  tasks(Queue)
  ending(Queue)
  refusals(name, Queue)
end

return behaviour
