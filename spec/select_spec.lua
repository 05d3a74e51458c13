local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local select = conc.select

-- Run f(said, ...) in a thread and wait until it has said that it is about to
-- wait; returns what helper.thread does.
local function waiting(f, ...)
  local said = queue.SimpleQueue()
  local finish, thread = helper.thread(f, said, ...)
  said:get(helper.patience)
  return finish, thread
end

describe("conc.select", function()
  describe("takes", function()
    it("the next item of a queue", function()
      for _, class in ipairs {"Queue", "LifoQueue", "SimpleQueue"} do
        local q = queue[class]()
        q:put "item"
        local n, item, err = select {q}
        assert.equal(1, n)
        assert.equal("item", item)
        assert.is_nil(err)
        assert.is_true(q:empty())
      end
    end)

    it("an item of a PriorityQueue with its priority", function()
      local q = queue.PriorityQueue()
      q:put({"second"}, nil, "b")
      q:put({"first"}, nil, "a")
      local n, item, err, priority = select {q}
      assert.equal(1, n)
      assert.same({"first"}, item)
      assert.is_nil(err)
      assert.equal("a", priority)
    end)

    it("items that are nil or false", function()
      local q = queue.Queue()
      q:put(nil)
      q:put(false)
      assert.same({1, nil, n = 2}, table.pack(select {q}))
      assert.same({1, false, n = 2}, table.pack(select {q}))
    end)

    it("a place in a queue, and puts the item there", function()
      local q = queue.Queue(1)
      assert.same({1, true}, {select {{q, put = "a"}}})
      assert.same({nil, "timeout", n = 2}, table.pack(select {{q, put = "b"}, timeout = 0}))
      assert.equal("a", q:get())
      assert.same({1, true}, {select {{q, put = false}}})
      assert.equal(false, q:get())
    end)

    it("a place in a PriorityQueue, with a priority or the item as one", function()
      local q = queue.PriorityQueue()
      select {{q, put = {}, priority = "x"}}
      select {{q, put = 3}}
      assert.equal(3, q:get())
      assert.equal("x", _G.select(3, q:get()))
    end)

    it("the end of a future, and gives the future whatever it came to", function()
      local p <close> = futures.ThreadPoolExecutor(1)
      local good, bad = p:submit(function() return 1, 2 end), p:submit(error, "oh")
      local n, f = select {good}
      assert.equal(1, n)
      assert.equal(good, f)
      assert.same({1, 2}, {f:result()})
      n, f = select {bad}
      assert.equal(1, n)
      assert.equal(bad, f)
      assert.equal("oh", f:exception())
    end)

    it("the end of a thread, and gives the thread", function()
      local t = threading.Thread {target = function() end}:start()
      assert.same({1, t}, {select {t}})
      assert.is_false(t:is_alive())
    end)

    it("an event that is set", function()
      local e = threading.Event()
      assert.is_nil(select {e, timeout = 0})
      e:set()
      assert.same({1, true}, {select {e}})
      assert.is_true(e:is_set())
    end)

    it("a permit of a semaphore", function()
      for _, class in ipairs {"Semaphore", "BoundedSemaphore"} do
        local s = threading[class](1)
        do
          local n, held <close> = select {s}
          assert.equal(1, n)
          assert.equal(s, held)
          assert.is_nil((select {s, timeout = 0}))
        end
        assert.equal(s, s:acquire(0))
      end
    end)

    it("a lock, until the end of the scope", function()
      local lock = threading.Lock()
      do
        local n, held <close> = select {lock}
        assert.equal(1, n)
        assert.equal(lock, held)
        assert.is_true(lock:locked())
      end
      assert.is_false(lock:locked())
    end)

    it("an RLock, also when the thread holds it already", function()
      local lock = threading.RLock()
      local held <close> = lock:acquire()
      assert.equal(held, _G.select(2, select {lock}))
      lock:release()
      assert.is_nil((helper.thread(function(l)
        return (require "conc".select {l, timeout = 0})
      end, lock)()))
    end)

    it("nothing, after that many seconds", function()
      local begin = conc.time()
      assert.same({1, true}, {select {0.02}})
      assert.is_true(conc.time() - begin >= 0.02)
      assert.same({2, true}, {select {math.huge, 0.01, 60}})
    end)
  end)

  describe("learns that a queue is closed", function()
    it("when it is drained", function()
      local q, other = queue.Queue(), queue.Queue()
      q:put "last"
      q:shutdown()
      assert.same({2, "last"}, {select {other, q}})
      assert.same({2, nil, "closed", n = 3}, table.pack(select {other, q}))
    end)

    it("at once when it would put", function()
      local q = queue.Queue(1)
      q:shutdown()
      assert.same({1, nil, "closed", n = 3}, table.pack(select {{q, put = 1}}))
    end)

    it("while it waits", function()
      local q, full = queue.Queue(), queue.Queue(1)
      full:put(1)
      local get = waiting(function(said, a, b)
        said:put(true)
        return require "conc".select {a, b}
      end, queue.Queue(), q)
      local put = waiting(function(said, a)
        said:put(true)
        return require "conc".select {{a, put = 2}}
      end, full)
      q:shutdown()
      full:shutdown()
      assert.same({2, nil, "closed", n = 3}, table.pack(get()))
      assert.same({1, nil, "closed", n = 3}, table.pack(put()))
    end)
  end)

  it("waits for whichever comes first", function()
    local function is_lock(o) return tostring(o):find "Lock" end
    local things = {
      {queue.Queue(), function(q) q:put "x" end, "x"},
      {threading.Event(), function(e) e:set() end, true},
      {threading.Semaphore(0), function(s) s:release() end},
      {threading.Lock(), function(l) l:release() end},
      {threading.RLock(), function(l) l:release() end},
    }
    for i, thing in ipairs(things) do
      for _, t in ipairs(things) do
        if is_lock(t[1]) then t[1]:acquire() end
      end
      local cases = {}
      for j, t in ipairs(things) do cases[j] = t[1] end
      local finish = waiting(function(said, list)
        said:put(true)
        local n, what = require "conc".select(list)
        if type(what) ~= "userdata" then return n, what end
        if tostring(what):find "Lock" then what:release() end
        return n, what == list[n]
      end, cases)
      thing[2](thing[1])
      local n, what = finish()
      assert.equal(i, n)
      assert.equal(thing[3] or true, what)
      for _, t in ipairs(things) do
        if t[1].clear then t[1]:clear() end
        if is_lock(t[1]) and t ~= thing then t[1]:release() end
      end
    end
  end)

  it("sees an event that was set for a moment", function()
    local e, out = threading.Event(), queue.Queue()
    for _ = 1, helper.scale(50) do
      local finish = waiting(function(said, ev, o)
        said:put(true)
        o:put((require "conc".select {ev, math.huge}))
      end, e, out)
      helper.eventually(function()
        e:set()
        e:clear()
        return not out:empty()
      end)
      finish()
      assert.equal(1, out:get())
    end
  end)

  describe("has a timeout", function()
    it("after which nothing was taken", function()
      local q = queue.Queue()
      local begin = conc.time()
      assert.same({nil, "timeout", n = 2}, table.pack(select {q, timeout = 0.02}))
      assert.is_true(conc.time() - begin >= 0.02)
    end)

    it("of zero, which is the default branch", function()
      assert.same({nil, "timeout", n = 2}, table.pack(select {queue.Queue(), timeout = 0}))
      assert.same({nil, "timeout", n = 2}, table.pack(select {timeout = 0}))
    end)

    it("and takes what is ready whatever it is", function()
      local q = queue.Queue()
      q:put(1)
      assert.same({1, 1}, {select {q, timeout = 0}})
    end)

    it("that a timer at the same moment beats", function()
      assert.same({1, true}, {select {0, timeout = 0}})
      assert.same({1, true}, {select {0.01, timeout = 0.01}})
    end)

    it("without a case, to wait for", function()
      local begin = conc.time()
      assert.same({nil, "timeout", n = 2}, table.pack(select {timeout = 0.01}))
      assert.is_true(conc.time() - begin >= 0.01)
    end)
  end)

  describe("leaves the others alone:", function()
    it("no item, no permit, no lock is taken but one", function()
      local qs, s, l = {queue.Queue(), queue.Queue()}, threading.Semaphore(1), threading.Lock()
      for _, q in ipairs(qs) do q:put(1) end
      local left = 4
      for _ = 1, 4 do
        local n, what = select {qs[1], qs[2], s, l}
        assert.is_truthy(n)
        assert.is_truthy(what)
        left = left - 1
        local now = qs[1]:qsize() + qs[2]:qsize() + (l:locked() and 0 or 1)
        if s:acquire(0) then
          now = now + 1
          s:release()
        end
        assert.equal(left, now)
      end
      assert.is_nil((select {qs[1], qs[2], s, l, timeout = 0}))
    end)

    it("an item that was not put may be put later", function()
      local q, ready = queue.Queue(1), queue.Queue()
      q:put(0)
      ready:put(1)
      local item = {"payload"}
      assert.equal(2, (select {{q, put = item}, ready}))
      assert.equal(0, q:get())
      assert.is_true(q:empty())
    end)

    it("who waits longer for the same lock gets it first", function()
      local lock, order = threading.Lock(), queue.Queue()
      lock:acquire()
      local ends = {}
      for i = 1, 4 do
        local body = i % 2 == 0 and function(said, l, out, k)
          said:put(true)
          local _, held <close> = require "conc".select {l, math.huge}
          out:put(k)
          return held ~= nil
        end or function(said, l, out, k)
          said:put(true)
          local held <close> = l:acquire()
          out:put(k)
          return held ~= nil
        end
        ends[i] = waiting(body, lock, order, i)
        repeat -- until it stands in the line
          local _, n = conc.dump():gsub(" for " .. tostring(lock):gsub("%p", "%%%0"), "")
        until n == i
      end
      lock:release()
      for i = 1, 4 do
        assert.equal(i, order:get(helper.patience))
        assert.is_true(ends[i]())
      end
    end)
  end)

  it("takes each of those that are ready about as often", function()
    local a, b, c = queue.Queue(), queue.Queue(), threading.Semaphore(0)
    local rounds, counts = 3000, {0, 0, 0, 0}
    for _ = 1, rounds do
      a:put(1)
      b:put(1)
      c:release()
    end
    for _ = 1, rounds do
      local n = select {a, threading.Event(), b, c}
      counts[n] = counts[n] + 1
    end
    assert.equal(0, counts[2])
    for _, n in ipairs {counts[1], counts[3], counts[4]} do
      assert.is_true(n > rounds / 3 * 0.8 and n < rounds / 3 * 1.2)
    end
  end)

  it("may have the same object in several cases", function()
    local q = queue.Queue(1)
    local n = select {q, q, {q, put = 1}, {q, put = 2}}
    assert.equal(n - 2, q:get())
    local finish = waiting(function(said, a)
      said:put(true)
      local k, item = require "conc".select {a, a, a}
      return k >= 1 and k <= 3 and item
    end, q)
    q:put "x"
    assert.equal("x", finish())
    local lock = threading.Lock()
    local _, held <close> = select {lock, lock}
    assert.is_nil((select {lock, lock, timeout = 0}))
    assert.equal(lock, held)
  end)

  it("takes hundreds of cases", function()
    local cases = {}
    for i = 1, 500 do cases[i] = queue.Queue() end
    local finish = waiting(function(said, list)
      said:put(true)
      return require "conc".select(list)
    end, cases)
    cases[377]:put "here"
    assert.same({377, "here"}, {finish()})
  end)

  describe("ends", function()
    it("when its thread is cancelled, and nothing was taken", function()
      local q, lock = queue.Queue(), threading.Lock()
      lock:acquire()
      local finish, thread = waiting(function(said, ...)
        local ok, err = pcall(function(list)
          said:put(true)
          return require "conc".select(list)
        end, {...})
        return ok, err.class
      end, q, lock)
      require "conc.core".interrupt(thread)
      assert.same({false, "CancelledError"}, {finish()})
      q:put(1)
      assert.equal(1, q:qsize())
      lock:release()
      assert.is_false(lock:locked())
    end)

    it("by Ctrl-C", function()
      local lines = helper.interrupted [[
        local conc = require "conc"
        local q, l = conc.queue.Queue(), conc.threading.Lock()
        l:acquire()
        interrupted(conc.select, {q, l, math.huge})
        l:release()
        q:put "still works"
        print(conc.select {q})
      ]]
      assert.same({"interrupted!", "1\tstill works"}, lines)
    end)
  end)

  describe("refuses", function()
    local function refuses(pattern, ...)
      local ok, err = pcall(select, ...)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find(pattern, 1, true), err)
    end

    it("to wait for nothing for ever", function()
      refuses("no case and no timeout", {})
    end)

    it("what is no case, with its number", function()
      local q = queue.Queue()
      refuses("bad case 2: cannot select on a string", {q, "x"})
      refuses("bad case 1: cannot select on a Barrier", {threading.Barrier(2)})
      refuses("bad case 2: cannot select on a nil", {q, nil, q})
      refuses("bad case 1: seconds must not be negative", {-1})
      refuses("bad case 1: seconds must not be NaN", {0 / 0})
      refuses("bad case 1: a table needs an item in 'put', which is not nil", {{q}})
      refuses("bad case 1: cannot put into a Event", {{threading.Event(), put = 1}})
      refuses("bad case 1: cannot select on a nil", {{put = 1}})
      refuses("bad case 1: unknown option 'prio'", {{q, put = 1, prio = 2}})
      refuses("bad case 3: put: cannot send a coroutine",
              {q, q, {q, put = coroutine.create(print)}})
      local pq = queue.PriorityQueue()
      refuses("bad case 1: priority: number or string expected, got table",
              {{pq, put = {}}})
      refuses("bad case 1: priority: must not be NaN", {{pq, put = 0 / 0}})
      refuses("bad case 1: cannot join a thread before it is started",
              {threading.Thread {target = print}})
      refuses("bad case 1: cannot join a thread that conc did not start",
              {threading.main_thread()})
    end)

    it("other arguments and options", function()
      local q = queue.Queue()
      refuses("table expected", q)
      refuses("surplus argument", {q}, q)
      refuses("unknown option 'tiemout'", {q, tiemout = 1})
      helper.refuses_timeouts(function(t) select {q, timeout = t} end)
    end)
  end)

  it("frees what it has packed when a later case is bad, or memory runs out", function()
    local q = queue.Queue()
    pcall(select, {{q, put = ("x"):rep(1000)}, {q, put = {q}}, "bad"})
    local pq = queue.PriorityQueue()
    helper.fail_each(function()
      assert(select {{pq, put = {("y"):rep(1000)}, priority = "p"}})
      assert(select {pq})
    end)
  end)

  it("loses and doubles nothing among many selectors and producers #stress", function()
    local N, QUEUES = helper.scale(20000), 5
    local qs = {}
    for i = 1, QUEUES do qs[i] = queue.Queue(i) end
    local function producer(i, list, n)
      local choose = require "conc".select
      local sum = 0
      for k = 1, n do
        local v = i * n + k
        if k % 3 == 0 then
          local cases = {}
          for j = 1, #list do cases[j] = {list[j], put = v} end
          cases[#list + 1] = 0.0001
          while choose(cases) > #list do end
        else
          list[k % #list + 1]:put(v)
        end
        sum = sum + v
      end
      return sum
    end
    local function consumer(i, list)
      local choose = require "conc".select
      local sum, seen, closed = 0, 0, {}
      local cases = {}
      for j = 1, #list do cases[j] = list[(i + j) % #list + 1] end
      while #cases > 0 do
        cases.timeout = seen % 7 == 0 and 0.001 or nil
        local n, item, err = choose(cases)
        if err == "closed" then
          closed[#closed + 1] = table.remove(cases, n)
        elseif n then
          sum, seen = sum + item, seen + 1
          if i == 1 and seen % 5 == 0 then -- and a plain one in between
            local more = cases[1]:get(0)
            if more then sum, seen = sum + more, seen + 1 end
          end
        end
      end
      return {sum, seen}
    end
    local ends = {}
    for i = 1, 3 do
      ends[i] = helper.thread(function(f, ...) return f(...) end,
                              helper.portable(consumer), i, qs)
    end
    local put = 0
    for _, sum in ipairs(helper.threads(3, helper.portable(producer), qs, N)) do
      put = put + sum
    end
    for _, q in ipairs(qs) do q:shutdown() end
    local got, count = 0, 0
    for i = 1, 3 do
      local r = ends[i]()
      got, count = got + r[1], count + r[2]
    end
    assert.equal(3 * N, count)
    assert.equal(put, got)
  end)

  it("keeps locks exclusive and loses no permit #stress", function()
    local N = helper.scale(20000)
    local a, b = threading.Lock(), threading.RLock()
    local s, e = threading.Semaphore(2), threading.Event()
    local inside = {a = threading.Value("i", 0), b = threading.Value("i", 0),
                    s = threading.Value("i", 0)}
    local counts = helper.threads(4, function(i, la, lb, sem, ev, v, n)
      local choose = require "conc".select
      local names, most, wrong = {"a", "b", "s"}, {1, 1, 2}, 0
      for k = 1, n do
        local which, held
        if (k + i) % 4 == 0 then
          which, held = 1, la:acquire(k % 8 == 0 and 0.0001 or nil)
        else
          which, held = choose {la, lb, sem, ev, timeout = k % 5 == 0 and 0.0001 or nil}
        end
        if which and held then
          local cell = v[names[which]]
          if cell:add(1) > most[which] then wrong = wrong + 1 end
          if k % 64 == 0 then require "conc".sleep(0.00005) end
          cell:add(-1)
          held:release()
        end
      end
      return wrong
    end, a, b, s, e, inside, N)
    for _, wrong in ipairs(counts) do assert.equal(0, wrong) end
    assert.is_false(a:locked())
    assert.equal(b, b:acquire(0))
    b:release()
    assert.equal(s, s:acquire(0))
    assert.equal(s, s:acquire(0))
    assert.is_false((s:acquire(0)))
  end)
end)
