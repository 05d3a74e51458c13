local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local Executor = futures.ThreadPoolExecutor

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

local function double(x) return 2 * x end

local function range(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

-- 1, 2, 3 ... as an iterator, and how many it has given.
local function naturals(last)
  local given = {n = 0}
  return function()
    if given.n == last then return nil end
    given.n = given.n + 1
    return given.n
  end, given
end

-- All that an iterator of map gives, each as a packed table.
local function all(...)
  local list = {}
  local iterator, state, control, closing = ...
  local _ <close> = closing
  while true do
    local values = table.pack(iterator(state, control))
    if values[1] == nil then return list end
    control = values[1]
    list[#list + 1] = values
  end
end

describe("map", function()
  it("calls a function for each item and gives index and result in order", function()
    local ex <close> = Executor(2)
    for _, n in ipairs {0, 1, 2, 3, 31, 32, 33, 64, 1000, helper.scale(20000)} do
      local count = 0
      for i, r in ex:map(double, range(n)) do
        count = count + 1
        assert(i == count and r == 2 * i)
      end
      assert.equal(n, count)
    end
  end)

  it("gives the same with items in chunks of any size", function()
    local ex <close> = Executor(2)
    for _, size in ipairs {1, 2, 7, 100, 1000} do
      local results = all(ex:map(double, range(100), {chunksize = size}))
      assert.equal(100, #results)
      for i = 1, 100 do assert.same({n = 2, i, 2 * i}, results[i]) end
    end
  end)

  it("gives all results of each call, or none, or nil", function()
    local ex <close> = Executor(2)
    local function many(x)
      if x == 1 then return end
      if x == 2 then return nil end
      if x == 3 then return nil, nil end
      if x == 4 then return 1, nil, 3, nil end
      return x
    end
    for _, size in ipairs {1, 2, 5} do
      local results = all(ex:map(many, {1, 2, 3, 4, "five"}, {chunksize = size}))
      assert.same({
        {n = 1, 1}, {n = 2, 2, nil}, {n = 3, 3, nil, nil}, {n = 5, 4, 1, nil, 3, nil},
        {n = 2, 5, "five"},
      }, results)
    end
  end)

  it("takes false for an item like others", function()
    local ex <close> = Executor(1)
    assert.same({{n = 2, 1, "nil"}, {n = 2, 2, "boolean"}},
      {{n = 2, 1, "nil"}, all(ex:map(type, {true, false}))[2]})
  end)

  it("carries tables and functions to and fro", function()
    local ex <close> = Executor(2)
    local results = all(ex:map(function(t) return {t.x + 1} end, {{x = 1}, {x = 2}}))
    assert.same({{n = 2, 1, {2}}, {n = 2, 2, {3}}}, results)
    results = all(ex:map(function(f) return f() end, {function() return "f" end}))
    assert.same({{n = 2, 1, "f"}}, results)
  end)

  it("works on another thread, on a sequence at once", function()
    local ex <close> = Executor(1)
    local log = queue.SimpleQueue()
    local iterator = ex:map(function(x) log:put(x) return x end, range(10))
    for i = 1, 10 do assert.equal(i, log:get(helper.patience)) end
    local _, result = iterator()
    assert.equal(1, result)
    for i, ident in ex:map(function() return require "conc.threading".get_ident() end, {1}) do
      assert.equal(1, i)
      assert.are_not.equal(threading.get_ident(), ident)
    end
  end)

  it("raises an error of its input where the item would have come", function()
    local ex <close> = Executor(2)
    local n = 0
    local iterator = ex:map(double, function()
      n = n + 1
      if n == 4 then error "no more" end
      return n
    end)
    for i = 1, 3 do assert.same({i, 2 * i}, {iterator()}) end
    assert.error_matches(iterator, "no more")
    assert.equal(0, select("#", iterator()))
    assert.equal(4, n)
  end)

  it("has taken the items of a sequence before it returns", function()
    local ex <close> = Executor(1)
    local xs = range(100)
    local iterator = ex:map(double, xs)
    for i = 1, 100 do xs[i] = "changed" end
    for i = 1, 100 do assert.same({i, 2 * i}, {iterator()}) end
    assert.equal(0, select("#", iterator()))
    assert.equal(0, select("#", iterator()))
  end)

  it("raises an item's error at its position, and goes on past it", function()
    local ex <close> = Executor(2)
    local function picky(x)
      if x % 3 == 0 then error {bad = x} end
      return x
    end
    for _, size in ipairs {1, 2, 4, 100} do
      local iterator = ex:map(picky, range(10), {chunksize = size})
      for i = 1, 10 do
        if i % 3 == 0 then
          assert.same({bad = i}, raised(iterator))
        else
          assert.same({i, i}, {iterator()})
        end
      end
      assert.is_nil(iterator())
    end
  end)

  it("raises nil, and strings with where they were raised", function()
    local ex <close> = Executor(1)
    local iterator = ex:map(function(x) error(x and "deep" or nil) end, {true, false})
    assert.matches("map_spec.lua:%d+: deep", raised(iterator))
    assert.is_nil(raised(iterator))
    assert.is_nil(iterator())
  end)

  it("fails the item whose result cannot travel, and no other", function()
    local ex <close> = Executor(2)
    local function make(x) return x == 2 and coroutine.create(print) or x end
    for _, size in ipairs {1, 3} do
      local iterator = ex:map(make, {1, 2, 3}, {chunksize = size})
      assert.same({1, 1}, {iterator()})
      assert.matches("cannot send a coroutine", raised(iterator))
      assert.same({3, 3}, {iterator()})
      assert.is_nil(iterator())
    end
  end)

  it("refuses in the call an item or a function that cannot travel", function()
    local ex <close> = Executor(1)
    local co = coroutine.create(print)
    assert.matches("cannot send a coroutine", raised(ex.map, ex, double, {1, co}))
    assert.matches("fn %(upvalue 'co'%): cannot send a coroutine",
      raised(ex.map, ex, function() return co end, {1}))
    assert.same({{n = 2, 1, 2}}, all(ex:map(double, {1})))
  end)

  it("reads an iterator function as results are taken, so that it may be endless", function()
    local ex <close> = Executor(2)
    local xs, given = naturals()
    for i, r in ex:map(double, xs) do
      assert.equal(2 * i, r)
      assert.is_true(given.n <= i + 100)
      if i == 1000 then break end
    end
    assert.is_true(given.n < 1200)
  end)

  it("reads an iterator to its end", function()
    local ex <close> = Executor(2)
    for _, n in ipairs {0, 1, 7, 8, 9, 100} do
      for _, options in ipairs {
        {}, {chunksize = 3}, {buffersize = 1}, {chunksize = 7, buffersize = 2},
      } do
        local results = all(ex:map(double, naturals(n), options))
        assert.equal(n, #results)
        for i = 1, n do assert.same({n = 2, i, 2 * i}, results[i]) end
      end
    end
  end)

  it("has no more than buffersize items on their way", function()
    local ex <close> = Executor(2)
    for _, size in ipairs {1, 2, 10} do
      local xs, given = naturals()
      for i, r in ex:map(double, xs, {buffersize = size}) do
        assert.equal(2 * i, r)
        assert.is_true(given.n - i < size + 1)
        if i == 50 then break end
      end
    end
    local log = queue.SimpleQueue()
    local iterator = ex:map(function(x) log:put(x) return x end, range(10), {buffersize = 2})
    iterator()
    assert.is_true(log:qsize() <= 2)
    while iterator() do end
    assert.equal(10, log:qsize())
  end)

  it("takes the lines of a file", function()
    local path = helper.tmpname()
    local file = assert(io.open(path, "w"))
    for i = 1, 20 do file:write("line ", i, "\n") end
    file:close()
    local ex <close> = Executor(2)
    local count = 0
    for i, upper in ex:map(string.upper, (io.lines(path))) do
      count = count + 1
      assert.equal("LINE " .. i, upper)
    end
    assert.equal(20, count)
    os.remove(path)
  end)

  it("raises what its input raises", function()
    local ex <close> = Executor(2)
    local n = 0
    local iterator = ex:map(double, function()
      n = n + 1
      if n == 3 then error({input = n}, 0) end
      return n
    end, {buffersize = 1})
    assert.same({1, 2}, {iterator()})
    assert.same({2, 4}, {iterator()})
    assert.same({input = 3}, raised(iterator))
  end)

  it("takes a sequence with metamethods", function()
    local ex <close> = Executor(1)
    local xs = setmetatable({}, {
      __len = function() return 3 end,
      __index = function(_, i) return 10 * i end,
    })
    assert.same({{n = 2, 1, 20}, {n = 2, 2, 40}, {n = 2, 3, 60}}, all(ex:map(double, xs)))
  end)

  it("raises a TimeoutError when its results take too long, and ends", function()
    local ex = Executor(1)
    local gate = threading.Event()
    local began = conc.time()
    local iterator = ex:map(function(x) gate:wait() return x end, range(5), {timeout = 0.05})
    local err = raised(iterator)
    assert.is_true(conc.time() - began >= 0.05)
    assert.is_true(conc.Error.is(err, "TimeoutError"))
    assert.is_nil(iterator())
    gate:set()
    ex:shutdown()
  end)

  it("counts its timeout from the call, and gives what is ready whatever it is", function()
    local ex <close> = Executor(1)
    for _, timeout in ipairs {helper.patience, 1e300, math.huge} do
      assert.same({{n = 2, 1, 2}}, all(ex:map(double, {1}, {timeout = timeout})))
    end
  end)

  it("cancels what has not started when its loop is left", function()
    local ex = Executor(1)
    local gate, began = threading.Event(), queue.SimpleQueue()
    local function slow(x)
      began:put(x)
      if x > 1 then gate:wait() end
      return x
    end
    for i in ex:map(slow, range(100), {chunksize = 1}) do
      if i == 1 then break end
    end
    gate:set()
    ex:shutdown()
    assert.is_true(began:qsize() <= 3)
    began = queue.SimpleQueue()
    pcall(function()
      local other <close> = Executor(1)
      for _ in other:map(function(x) began:put(x) return x end, naturals(), {buffersize = 4}) do
        error "mine"
      end
    end)
    assert.is_true(began:qsize() <= 5)
  end)

  it("goes on when nobody takes the results", function()
    local log = queue.SimpleQueue()
    do
      local ex <close> = Executor(2)
      ex:map(function(x) log:put(x) end, range(50))
    end
    assert.equal(50, log:qsize())
  end)

  it("says that its items were cancelled when they were", function()
    local ex = Executor(1)
    local gate, began = threading.Event(), threading.Event()
    ex:submit(function() began:set() gate:wait() end)
    began:wait()
    local iterator = ex:map(double, range(3), {chunksize = 2})
    ex:shutdown {wait = false, cancel_futures = true}
    for _ = 1, 3 do assert.is_true(conc.Error.is(raised(iterator), "CancelledError")) end
    assert.is_nil(iterator())
    gate:set()
    ex:shutdown()
  end)

  it("may be used several times at once, and from tasks", function()
    local ex <close> = Executor(2)
    local a, b = ex:map(double, range(50)), ex:map(tostring, range(50))
    for i = 1, 50 do
      assert.same({i, 2 * i}, {a()})
      assert.same({i, tostring(i)}, {b()})
    end
    local f = ex:submit(function(pool)
      local sum = 0
      for _, r in pool:map(function(x) return x * x end, {1, 2, 3}) do sum = sum + r end
      return sum
    end, ex)
    assert.equal(14, f:result(helper.patience))
  end)

  it("keeps what is shared within an item, and shares nothing between items", function()
    local ex <close> = Executor(1)
    local t = {n = 0}
    local results = all(ex:map(function(item)
      item[1].n = item[1].n + 1
      return item[1] == item[2] and item[2].n
    end, {{t, t}, {t, t}}, {chunksize = 2}))
    assert.same({{n = 2, 1, 1}, {n = 2, 2, 1}}, results)
  end)

  it("names the argument that is wrong, and the executor is as before", function()
    local ex <close> = Executor(1)
    local function refuses(text, ...)
      local args = table.pack(...)
      for _, method in ipairs {"map", "starmap"} do
        assert.error_matches(function() ex[method](ex, table.unpack(args, 1, args.n)) end, text)
      end
    end
    refuses "fn: function expected, got no value"
    refuses("fn: function expected, got table", {}, {})
    refuses("xs: sequence or iterator expected, got no value", print)
    refuses("xs: sequence or iterator expected, got number", print, 5)
    refuses("xs: sequence or iterator expected, got string", print, "abc")
    refuses("options: table expected, got number", print, {}, 5)
    refuses("surplus argument", print, {}, {}, 5)
    refuses("surplus argument", print, {}, nil, 5)
    refuses("unknown option 'chunk'", print, {}, {chunk = 1})
    refuses("unknown option '1'", print, {}, {1})
    for _, name in ipairs {"chunksize", "buffersize"} do
      refuses(name .. ": must be at least 1", print, {}, {[name] = 0})
      refuses(name .. ": must be at least 1", print, {}, {[name] = -1})
      refuses(name .. ": must be at most", print, {}, {[name] = math.maxinteger})
      refuses(name .. ": .* no integer representation", print, {}, {[name] = 1.5})
      refuses(name .. ": .* no integer representation", print, {}, {[name] = 0 / 0})
      refuses(name .. ": integer expected, got string", print, {}, {[name] = "1"})
    end
    helper.refuses_timeouts(function(timeout) ex:map(print, {}, {timeout = timeout}) end)
    for _, self in ipairs {false, 1, {}, io.stdout, queue.Queue()} do
      for _, method in ipairs {"map", "starmap"} do
        assert.error_matches(function() ex[method](self, print, {}) end,
          "ThreadPoolExecutor expected")
      end
    end
    assert.same({{n = 2, 1, 2}}, all(ex:map(double, {1})))
  end)

  it("leaves nothing behind when there is no memory for it", function()
    local ex <close> = Executor(1)
    ex:submit(double, 1):result()
    assert.is_true(helper.fail_each_everywhere(function()
      for _, r in ex:map(double, {1, 2, 3}, {chunksize = 1}) do assert(r) end
    end) >= 1)
  end)

  it("may be used and closed by a callback that runs while it waits", function()
    local ex <close> = Executor(2)
    for round = 1, 40 do
      local unordered, closes = round % 2 == 0, round % 4 > 1
      local gate, seen = threading.Event(), {}
      local iterator, _, _, closer = ex:map(function(e) e:wait() return e, e end,
        {gate, gate, gate, gate}, {chunksize = 1, unordered = unordered})
      ex:submit(double, 1):add_done_callback(function()
        local i = iterator()
        if i then seen[#seen + 1] = i end
        if closes then local _ <close> = closer end
      end)
      threading.Timer(0.001, gate.set, {gate}):start()
      for i in iterator do seen[#seen + 1] = i end
      table.sort(seen)
      if not closes then assert.same({1, 2, 3, 4}, seen) end
    end
  end)

  it("gives results as they come, with the index of the item, when it is unordered", function()
    local ex <close> = Executor(2)
    local gate, seen, order = threading.Event(), {}, {}
    local function f(x, e) if x == 1 then e:wait() end return x * 10 end
    local items = {}
    for i = 1, 6 do items[i] = {i, gate} end
    for i, r in ex:starmap(f, items, {unordered = true, chunksize = 1}) do
      assert.equal(10 * i, r)
      assert.is_nil(seen[i])
      seen[i], order[#order + 1] = true, i
      if #order == 5 then gate:set() end
    end
    assert.equal(6, #order)
    assert.equal(1, order[6])
  end)

  it("raises an error of an unordered map where it comes, and may go on", function()
    local ex <close> = Executor(2)
    local next = ex:map(function(x) return x ~= 3 and x or error("three", 0) end, {1, 2, 3, 4},
      {unordered = true})
    local good, bad = 0, nil
    for _ = 1, 4 do
      local ok, i = pcall(next)
      if ok then good = good + i else bad = i end
    end
    assert.equal(7, good)
    assert.equal("three", bad)
    assert.is_nil(next())
  end)

  it("splits chunks that take long, and keeps the order", function()
    local ex <close> = Executor(2)
    local function slow(x)
      local time = require "conc".time
      local till = time() + 0.0006
      repeat until time() >= till
      return x
    end
    local xs, n = {}, 0
    for i = 1, 400 do xs[i] = i end
    for i, x in ex:map(slow, xs) do
      assert.equal(n + 1, i)
      assert.equal(i, x)
      n = i
    end
    assert.equal(400, n)
    assert.is_true(ex:stats().done > 64) -- more chunks than were submitted
    local seen = {}
    for i, x in ex:map(slow, xs, {unordered = true}) do
      assert.equal(i, x)
      seen[i] = true
    end
    assert.equal(400, #seen)
  end)

  it("begins no more parts of a long chunk when its loop is left", function()
    local ex <close> = Executor(1)
    local count, left = threading.Value "q", threading.Event()
    local function slow(c, e)
      if c:add(1) > 50 then e:wait() end
      require "conc".sleep(0.002)
    end
    local args = {}
    for i = 1, 640 do args[i] = {count, left} end
    for i in ex:starmap(slow, args) do if i == 2 then break end end
    left:set()
    ex:shutdown()
    assert.is_true(count.value < 100)
  end)

  it("tells a progress function how many are done, of how many", function()
    local ex <close> = Executor(2)
    local told = {}
    local function progress(done, total) told[#told + 1] = done .. "/" .. tostring(total) end
    for _ in ex:map(double, {1, 2, 3}, {progress = progress}) do end
    assert.same({"1/3", "2/3", "3/3"}, told)
    told = {}
    local n = 0
    local function upto2() n = n + 1 if n < 3 then return n end end
    for _ in ex:map(double, upto2, {progress = progress}) do end
    assert.same({"1/nil", "2/nil"}, told)
    for _ in ex:map(double, {1, 2}, {progress = true}) do end -- no terminal: quiet
    assert.error_matches(function() ex:map(double, {1}, {progress = 7}) end,
      "progress: true or function expected, got number")
    assert.error_matches(function() ex:map(double, {1}, {unordered = 7}) end,
      "unordered: boolean expected, got number")
  end)
end)

describe("starmap", function()
  it("calls a function with the values of each item", function()
    local ex <close> = Executor(2)
    local results = all(ex:starmap(math.max, {{1, 2}, {9, 8, 7}, {3}}))
    assert.same({{n = 2, 1, 2}, {n = 2, 2, 9}, {n = 2, 3, 3}}, results)
  end)

  it("honours an item's n, so that there may be nils", function()
    local ex <close> = Executor(2)
    local function count(...) return select("#", ...), ... end
    local results = all(ex:starmap(count, {{}, {n = 2}, {1, nil, 3, n = 4}, {1, 2, n = 1}}))
    assert.same({
      {n = 2, 1, 0}, {n = 4, 2, 2, nil, nil}, {n = 6, 3, 4, 1, nil, 3, nil}, {n = 3, 4, 1, 1},
    }, results)
  end)

  it("fails an item that is no table, and goes on", function()
    local ex <close> = Executor(1)
    local iterator = ex:starmap(math.max, {{1, 2}, 5, {3, 4}})
    assert.same({1, 2}, {iterator()})
    assert.matches("table expected, got number", raised(iterator))
    assert.same({3, 4}, {iterator()})
    assert.is_nil(iterator())
  end)

  it("takes an iterator and the options of map", function()
    local ex <close> = Executor(2)
    local n = 0
    local function pairs_of()
      n = n + 1
      return n <= 20 and {n, n} or nil
    end
    local results = all(ex:starmap(function(a, b) return a + b end, pairs_of,
      {chunksize = 3, buffersize = 6, timeout = helper.patience}))
    assert.equal(20, #results)
    for i = 1, 20 do assert.same({n = 2, i, 2 * i}, results[i]) end
  end)
end)
