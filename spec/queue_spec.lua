local behaviour = require "spec.support.queue_behaviour"
local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- What both kinds promise: first in, first out, of any values.
local function in_order(name)
  local Queue = queue[name]

  it("gives the items in the order in which they were put", function()
    local q = Queue()
    for i = 1, 200 do q:put(i) end
    for i = 1, 100 do assert.equal(i, q:get()) end
    for i = 201, 300 do q:put(i) end
    for i = 101, 300 do assert.equal(i, q:get()) end
    assert.is_true(q:empty())
  end)

  it("keeps the order of each of several producers", function()
    local q, n = Queue(), helper.scale(2000)
    local ends, last = {}, {0, 0, 0, 0}
    for i = 1, 4 do
      ends[i] = helper.thread(function(to, id, times)
        for k = 1, times do to:put {id, k} end
      end, q, i, n)
    end
    for _ = 1, 4 * n do
      local item = q:get()
      local id, k = item[1], item[2]
      assert(k == last[id] + 1, "out of order")
      last[id] = k
    end
    for i = 1, 4 do ends[i]() end
    assert.same({n, n, n, n}, last)
  end)

  it("takes nil and false for items like others", function()
    local q = Queue()
    q:put(nil)
    q:put(false)
    q:put(0)
    assert.equal(3, q:qsize())
    assert.same({n = 1}, table.pack(q:get()))
    assert.same({n = 1, false}, table.pack(q:get(1)))
    assert.same({n = 1, 0}, table.pack(q:get_nowait()))
    assert.same(behaviour.TIMEOUT, table.pack(q:get(0)))
  end)

  it("ends an iteration at a nil item, the rest stays", function()
    local q, seen = Queue(), {}
    for _, item in ipairs {1, false, 2} do q:put(item) end
    q:put(nil)
    q:put(3)
    for item in q:items() do seen[#seen + 1] = item end
    assert.same({1, false, 2}, seen)
    assert.equal(3, q:get())
  end)

  it("carries values of every kind, as copies", function()
    local q = Queue()
    local t = {1, {2}, x = "y", [1.5] = true}
    t.self = t
    q:put(t)
    local copy = q:get()
    assert.are_not.equal(t, copy)
    assert.equal(copy, copy.self)
    assert.same({1, {2}, "y", true}, {copy[1], copy[2], copy.x, copy[1.5]})
    local text = ("\0\255"):rep(100000)
    q:put(text)
    assert.equal(text, q:get())
    for _, number in ipairs {0, -0.0, 1.0, math.pi, 1 / 0, math.mininteger, math.maxinteger} do
      q:put(number)
      local back = q:get()
      assert.equal(number, back)
      assert.equal(math.type(number), math.type(back))
    end
    q:put(0 / 0)
    local nan = q:get()
    assert.are_not.equal(nan, nan)
    local n = 20
    q:put(function(m) return n + m end)
    assert.equal(42, q:get()(22))
    local lock = threading.Lock()
    q:put(lock)
    assert.equal(lock, q:get())
  end)

  it("refuses at once what cannot travel, with the way to it", function()
    local q = Queue()
    assert.error_matches(function() q:put(coroutine.create(print)) end,
      "item: cannot send a coroutine", 1, true)
    assert.error_matches(function() q:put {a = {1, coroutine.create(print)}} end,
      "item.a[2]: cannot send a coroutine", 1, true)
    assert.is_true(q:empty())
    q:put(1)
    assert.equal(1, q:get())
  end)

  it("is handed to and fro by two threads", function()
    local there, back = Queue(), Queue()
    local finish = helper.thread(function(from, to)
      for item in from:items() do to:put(item + 1) end
    end, there, back)
    local item = 0
    for _ = 1, helper.scale(5000) do
      there:put(item)
      item = back:get()
    end
    assert.equal(helper.scale(5000), item)
    there:put(nil)
    finish()
  end)

  it("is iterated over by several threads, each item once", function()
    local q, n = Queue(), helper.scale(3000)
    local ends = {}
    for i = 1, 3 do
      ends[i] = helper.thread(function(from)
        local sum = 0
        for item in from:items() do sum = sum + item end
        return sum
      end, q)
    end
    for i = 1, n do q:put(i) end
    for _ = 1, 3 do q:put(nil) end
    assert.equal(n * (n + 1) // 2, ends[1]() + ends[2]() + ends[3]())
  end)
end

describe("A Queue", function()
  behaviour.check "Queue"
  in_order "Queue"

  it("lets putters in one by one as room comes", function()
    local q, n = queue.Queue(1), 5
    local ends = {}
    for i = 1, n do
      ends[i] = helper.thread(function(to, id) return to:put(id) end, q, i)
    end
    local sum = 0
    for _ = 1, n do sum = sum + q:get(helper.patience) end
    assert.equal(15, sum)
    for i = 1, n do assert.is_true(ends[i]()) end
  end)

  it("takes one item and one timeout in put", function()
    local q = queue.Queue()
    assert.error_matches(function() q:put_nowait(1, 1) end, "#2 .- %(surplus argument%)")
    assert.error_matches(function() q:put(1, 1, 1) end, "#3 to 'put' %(surplus argument%)")
  end)
end)

describe("A SimpleQueue", function()
  local SimpleQueue = queue.SimpleQueue
  in_order "SimpleQueue"

  it("has no bound, so that put never waits", function()
    local q = SimpleQueue()
    for i = 1, 10000 do assert.is_true(q:put(i)) end
    assert.is_true(q:put_nowait(10001))
    assert.equal(10001, q:qsize())
    assert.is_false(q:empty())
  end)

  it("says timeout when there is nothing to get in time", function()
    local q, began = SimpleQueue(), conc.time()
    assert.same(behaviour.TIMEOUT, table.pack(q:get(0.05)))
    assert.is_true(conc.time() - began >= 0.05)
    assert.same(behaviour.TIMEOUT, table.pack(q:get(0)))
    assert.same(behaviour.TIMEOUT, table.pack(q:get_nowait()))
    assert.is_true(q:empty())
  end)

  it("keeps a getter waiting until something is put", function()
    local q = SimpleQueue()
    local log, finish = behaviour.blocked(q, "get")
    q:put "item"
    assert.same({n = 1, "item"}, behaviour.outcome(log, finish))
  end)

  it("may be put to by a finalizer", function()
    local q = SimpleQueue()
    setmetatable({}, {__gc = function() q:put "collected" end})
    collectgarbage()
    assert.equal("collected", q:get(0))
  end)

  it("has no bound, no tasks and no shutdown", function()
    local q = SimpleQueue()
    for _, method in ipairs {"full", "maxsize", "task_done", "join", "shutdown", "is_shutdown"} do
      assert.is_nil(q[method])
    end
    local other = queue.Queue()
    for _, method in ipairs {"task_done", "join", "shutdown"} do
      assert.error_matches(function() other[method](q) end, "expected, got SimpleQueue")
    end
    assert.is_true(q:put(1))
  end)

  it("names the argument that is wrong, and is as before", function()
    local q = SimpleQueue()
    assert.error_matches(function() SimpleQueue(1) end, "surplus argument")
    assert.error_matches(function() SimpleQueue {maxsize = 1} end, "unknown option 'maxsize'")
    for _ = 1, 2 do
      helper.refuses_timeouts(function(timeout) q:get(timeout) end)
      assert.error_matches(function() q:put() end, "value expected")
      helper.refuses_timeouts(function(timeout) q:put(1, timeout) end)
      assert.error_matches(function() q:put(1, 0, 2) end, "surplus argument")
      assert.error_matches(function() q:put_nowait(1, 2) end, "surplus argument")
      behaviour.refuses_strangers(q, {get = 1, get_nowait = 0, items = 0, qsize = 0, empty = 0})
      q:put(1)
    end
    assert.equal(2, q:qsize())
  end)

  it("is the same queue in another thread", function()
    local q = SimpleQueue()
    assert.equal(q, helper.thread(function(same)
      same:put "there"
      return same
    end, q)())
    assert.equal("there", q:get())
    assert.matches("^SimpleQueue: ", tostring(q))
  end)

  it("leaves nothing behind when there is no memory for it", function()
    assert.is_true(helper.fail_each(function() return SimpleQueue() end) >= 1)
    assert.is_true(helper.fail_each(function()
      local q = SimpleQueue()
      for i = 1, 40 do q:put(("x"):rep(i * 10)) end
    end) >= 2)
  end)
end)
