local behaviour = require "spec.support.queue_behaviour"
local conc = require "conc"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local threading = require "conc.threading"

local Process = multiprocessing.Process
local TIMEOUT, CLOSED = behaviour.TIMEOUT, behaviour.CLOSED

-- Start a process that calls f(...); returns a function that waits for its good
-- end.
local function start(f, ...)
  local p = Process {target = f, args = table.pack(...)}
  p:start()
  return function()
    assert.is_true(p:join(helper.patience))
    assert.equal(0, p:exitcode())
  end, p
end

for _, name in ipairs {"Queue", "JoinableQueue"} do
  describe("multiprocessing." .. name, function()
    behaviour.check(name, multiprocessing[name])
  end)
end

describe("A queue between processes", function()
  local Queue = multiprocessing.Queue

  it("gives items of any kind in the order of put", function()
    local q = Queue()
    local list = {1, "x", 1.5, true, false, {a = {1, 2}}, ("y"):rep(100), ("z"):rep(5000),
      "\0\255", "", -1, math.mininteger, {}}
    for i = 1, #list do assert.is_true(q:put(list[i])) end
    q:put(nil)
    for i = 1, #list do assert.same({n = 1, list[i]}, table.pack(q:get())) end
    assert.same({n = 1}, table.pack(q:get()))
    assert.is_true(q:empty())
  end)

  it("carries items that are larger than any ring, and all sizes between", function()
    local q = Queue()
    for _, size in ipairs {40, 47, 48, 49, 4000, 4078, 4079, 4080, 4081, 4087, 4088, 4089, 4095,
      4096, 4097, 65536, 1 << 20, 5 << 20} do
      local s = ("0123456789abcdef"):rep(size // 16 + 1):sub(1, size)
      q:put(s)
      q:put {s}
      assert.is_true(q:get(0) == s)
      assert.is_true(q:get(0)[1] == s)
    end
  end)

  it("carries functions, classes, objects in shared memory, and itself", function()
    local q, n, lock = Queue(), multiprocessing.Value("i", 5), multiprocessing.Lock()
    local double = 2
    q:put {f = function(x) return double * x end, n = n, lock = lock, q = q, same = n}
    local got = q:get()
    assert.equal(14, got.f(7))
    assert.equal(n, got.n)
    assert.equal(n, got.same)
    assert.equal(lock, got.lock)
    assert.equal(q, got.q)
    q:put(q)
    assert.equal(q, q:get())
  end)

  it("refuses in put what cannot leave the process", function()
    local q = Queue()
    assert.error_matches(function() q:put {a = {coroutine.create(print)}} end,
      "item%.a%[1%]: cannot send a coroutine")
    assert.error_matches(function() q:put(threading.Lock()) end,
      "item: a threading.Lock cannot leave the process; use multiprocessing.Lock")
    assert.is_true(q:empty())
  end)

  it("is the same queue in a process", function()
    local there, back = Queue(), Queue(2)
    local finish = start(function(from, to)
      for item in from:items() do to:put(item * 2) end
      to:put(to:maxsize())
      to:shutdown()
    end, there, back)
    for i = 1, 10 do
      there:put(i)
      assert.equal(2 * i, back:get(helper.patience))
    end
    there:shutdown()
    assert.equal(2, back:get(helper.patience))
    assert.same(CLOSED, table.pack(back:get(helper.patience)))
    finish()
  end)

  it("gives each item to one of many processes", function()
    local n = helper.scale(2000)
    for _, bound in ipairs {0, 3} do
      local q, sums, ends = Queue(bound), Queue(), {}
      for i = 1, 2 do
        ends[i] = start(function(from, to)
          local sum = 0
          for item in from:items() do sum = sum + item end
          to:put(sum)
        end, q, sums)
        ends[i + 2] = start(function(to, times)
          for k = 1, times do to:put(k) end
          to:put(0)
        end, q, n)
      end
      ends[3]()
      ends[4]()
      q:shutdown()
      assert.equal(n * (n + 1), sums:get(helper.patience) + sums:get(helper.patience))
      ends[1]()
      ends[2]()
    end
  end)

  it("need not be drained before the process is joined that filled it", function()
    local q = Queue()
    start(function(to) for i = 1, 100 do to:put(("x"):rep(10000) .. i) end end, q)()
    assert.equal(100, q:qsize())
    for i = 1, 100 do assert.is_truthy(q:get(0):find(i .. "$")) end
  end)

  it("is joined from another process than the one that does the tasks", function()
    local q = multiprocessing.JoinableQueue()
    for i = 1, 20 do q:put(i) end
    local finish = start(function(from)
      for _ in from:items() do from:task_done() end
    end, q)
    assert.is_true(q:join(helper.patience))
    q:shutdown()
    finish()
  end)

  it("outlives a process that was killed while it waited", function()
    local q, began = Queue(), Queue()
    local _, p = start(function(from, to)
      to:put "begins"
      from:get()
    end, q, began)
    began:get(helper.patience)
    p:kill()
    p:join()
    q:put(1)
    assert.equal(1, q:get(helper.patience))
  end)

  it("is closed for this state by close, and for nobody else", function()
    local q = Queue()
    local other = helper.thread(function(same)
      same:put(1)
      same:close()
      same:close()
      assert(not pcall(same.put, same, 2))
    end, q)
    other()
    assert.equal(1, (q:get()))
    q:close()
    q:close()
    assert.error_matches(function() q:put(1) end, "Queue expected, this one is closed")
    assert.error_matches(function() q:get() end, "this one is closed")
    assert.equal("Queue (closed)", tostring(q))
  end)

  it("has no thread to wait for", function()
    local q = Queue()
    q:put(1)
    assert.equal(0, select("#", q:join_thread()))
    assert.equal(0, select("#", q:cancel_join_thread()))
    assert.equal(1, (q:get()))
  end)

  it("is a case of select, getting and putting", function()
    local q, other = Queue(1), Queue()
    assert.same({nil, "timeout"}, {conc.select {q, other, timeout = 0.02}})
    other:put {x = {1}}
    assert.same({2, {x = {1}}}, {conc.select {q, other}})
    assert.same({1, true}, {conc.select {{q, put = function() return 7 end}}})
    assert.same({nil, "timeout"}, {conc.select {{q, put = 2}, timeout = 0.02}})
    local _, f = conc.select {q}
    assert.equal(7, f())
    assert.error_matches(function() conc.select {{q, put = coroutine.create(print)}} end,
      "bad case 1: put: cannot send a coroutine")
    q:shutdown()
    assert.same({n = 3, 1, nil, "closed"}, table.pack(conc.select {q}))
  end)

  it("wakes a select in another process, by any of its queues", function()
    local a, b, out = Queue(), Queue(), Queue(1)
    local finish = start(function(x, y, to)
      local c = require "conc"
      for _ = 1, 20 do
        local i, item = c.select {x, y}
        c.select {{to, put = {i, item}}}
      end
    end, a, b, out)
    for i = 1, 10 do
      a:put(i)
      assert.same({1, i}, out:get(helper.patience))
      b:put(-i)
      assert.same({2, -i}, out:get(helper.patience))
    end
    finish()
  end)

  it("stops waiting when the thread is cancelled", function()
    local q = Queue(1)
    local log, finish = behaviour.blocked(q, "get", 0.5)
    assert.same(TIMEOUT, behaviour.outcome(log, finish))
  end)

  it("leaves nothing behind when memory is short", function()
    local n = multiprocessing.Value("i", 5)
    assert.is_true(helper.fail_each(function()
      local q <close> = setmetatable({queue = Queue()}, {
        __close = function(t) t.queue:close() end,
      })
      q.queue:put(("x"):rep(5000))
      q.queue:put {n, function() return n end}
      assert(q.queue:get(0) and q.queue:get(0))
    end) >= 5)
  end)
end)

describe("multiprocessing.SimpleQueue", function()
  it("has no bound, and no methods for tasks and the end", function()
    local q = multiprocessing.SimpleQueue()
    for i = 1, 1000 do assert.is_true(q:put(i)) end
    assert.equal(1000, q:qsize())
    for i = 1, 1000 do assert.equal(i, (q:get())) end
    assert.is_true(q:empty())
    for _, method in ipairs {"task_done", "join", "shutdown", "full", "maxsize"} do
      assert.is_nil(q[method])
    end
    assert.error_matches(function() multiprocessing.Queue().join(q) end, "Queue expected")
    assert.error_matches(function() multiprocessing.SimpleQueue(1) end, "surplus argument")
    q:close()
    q:close()
    assert.error_matches(function() q:put(1) end, "this one is closed")
  end)

  it("waits for an item", function()
    local q = multiprocessing.SimpleQueue()
    local began = conc.time()
    assert.same(TIMEOUT, table.pack(q:get(0.03)))
    assert.is_true(conc.time() - began >= 0.03)
  end)
end)
