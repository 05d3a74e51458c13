local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Dict, Event, Lock, Value = threading.Dict, threading.Event, threading.Lock, threading.Value

local function sorted(list)
  table.sort(list, function(a, b) return tostring(a) < tostring(b) end)
  return list
end

describe("A Dict", function()
  it("is read and written like a table", function()
    local d = Dict()
    d.x = 1
    d[1] = "one"
    assert.equal(1, d.x)
    assert.equal("one", d[1])
    assert.is_nil(d.y)
    d.x = "two"
    assert.equal("two", d.x)
  end)

  it("forgets a key when nil is written", function()
    local d = Dict {x = 1}
    d.x = nil
    assert.is_nil(d.x)
    assert.equal(0, #d)
    d.x = nil
    assert.equal(0, #d)
  end)

  it("begins with what is in the table it is made of", function()
    local d = Dict {a = 1, b = {2, 3}, [1] = true, [0.5] = "half", [false] = 0}
    assert.same({a = 1, b = {2, 3}, [1] = true, [0.5] = "half", [false] = 0}, Dict.snapshot(d))
    assert.equal(5, #d)
    assert.equal(0, #Dict {})
  end)

  it("is made of nothing but a table", function()
    assert.error_matches(function() Dict(5) end, "table: table expected, got number")
    assert.error_matches(function() Dict(Dict()) end, "table: table expected, got Dict")
    assert.error_matches(function() Dict({}, 1) end, "surplus argument")
    assert.error_matches(function() Dict {[{}] = 1} end,
      "bad argument #1.*key: a table cannot be a key of a Dict")
    assert.error_matches(function() Dict {x = {y = coroutine.create(print)}} end,
      "x%.y: cannot send a coroutine")
  end)

  describe("has keys that", function()
    it("are strings of any length and content", function()
      local d = Dict()
      local keys = {"", "a", "a\0b", "a\0c", "12345678", ("x"):rep(100), ("x"):rep(101), "é"}
      for i, key in ipairs(keys) do d[key] = i end
      for i, key in ipairs(keys) do assert.equal(i, d[key]) end
      assert.same(sorted(keys), sorted(Dict.keys(d)))
    end)

    it("are numbers, equal as in any table", function()
      local d = Dict()
      d[1] = "one"
      d[2.0] = "two"
      d[0.5] = "half"
      d[math.maxinteger] = "max"
      d[math.huge] = "huge"
      d[2 ^ 53] = "large"
      assert.equal("one", d[1.0])
      assert.equal("two", d[2])
      assert.equal("half", d[0.5])
      assert.equal("max", d[math.maxinteger])
      assert.equal("huge", d[math.huge])
      assert.equal("large", d[1 << 53])
      d[0] = "zero"
      assert.equal("zero", d[-0.0])
      assert.is_nil(d["1"])
      for _, key in ipairs(Dict.keys(d)) do
        assert.is_true(math.type(key) == "integer" or key == 0.5 or key == math.huge)
      end
    end)

    it("are booleans", function()
      local d = Dict {[true] = "yes", [false] = "no"}
      assert.equal("yes", d[true])
      assert.equal("no", d[false])
      assert.equal(2, #d)
    end)

    it("are objects of conc, by identity", function()
      local d, lock, other = Dict(), Lock(), Lock()
      d[lock] = "lock"
      assert.equal("lock", d[lock])
      assert.is_nil(d[other])
      assert.is_true(rawequal(lock, Dict.keys(d)[1]))
      local q = queue.SimpleQueue()
      q:put(lock)
      assert.equal("lock", d[q:get()])
      d[lock] = nil
      assert.equal(0, #d)
    end)

    it("are nothing else", function()
      local d = Dict {x = 1}
      for _, bad in ipairs {{}, print, coroutine.create(print), io.stdout} do
        local what = bad == io.stdout and "FILE%*" or type(bad)
        local message = ("key: a %s cannot be a key of a Dict"):format(what)
        assert.error_matches(function() d[bad] = 1 end, message)
        assert.error_matches(function() return d[bad] end, message)
      end
      assert.error_matches(function() d[0 / 0] = 1 end, "key: NaN cannot be a key of a Dict")
      assert.error_matches(function() return d[0 / 0] end, "key: NaN cannot be a key of a Dict")
      assert.error_matches(function() d[nil] = 1 end, "key: nil cannot be a key of a Dict")
      assert.error_matches(function() return d[nil] end, "key: nil cannot be a key of a Dict")
      assert.same({x = 1}, Dict.snapshot(d))
    end)
  end)

  describe("has values that", function()
    it("are whatever can cross between threads", function()
      local d = Dict()
      local values = {
        true, false, 0, -1, math.maxinteger, 0.5, math.huge, "", "x", ("long"):rep(1000),
        {1, 2, {3}}, {a = {b = {}}},
      }
      for i, value in ipairs(values) do d[i] = value end
      for i, value in ipairs(values) do assert.same(value, d[i]) end
      d.f = function(x) return x + 1 end
      assert.equal(2, helper.thread(function(dict) return dict.f(1) end, d)())
      d.nan = 0 / 0
      assert.not_equal(d.nan, d.nan)
    end)

    it("are copies of plain tables, when written and when read", function()
      local d, list = Dict(), {1}
      d.list = list
      list[1] = 2
      assert.same({1}, d.list)
      d.list[1] = 3
      assert.same({1}, d.list)
    end)

    it("are the same object of conc for everybody", function()
      local d, lock = Dict(), Lock()
      d.lock = lock
      d.pair = {lock, lock}
      assert.is_true(rawequal(lock, d.lock))
      assert.is_true(rawequal(lock, d.pair[2]))
    end)

    it("are Dicts, which stay shared", function()
      local d = Dict {inner = Dict {n = 1}}
      local inner = d.inner
      inner.n = 2
      assert.equal(2, d.inner.n)
      d.inner.n = 3
      assert.equal(3, inner.n)
      assert.is_true(rawequal(inner, d.inner))
    end)

    it("are refused with the path of what cannot cross", function()
      local d = Dict {x = 1}
      local co = coroutine.create(print)
      assert.error_matches(function() d.x = co end, "x: cannot send a coroutine")
      assert.error_matches(function() d.x = {a = {co}} end, "x%.a%[1%]: cannot send a coroutine")
      assert.error_matches(function() d[1] = co end, "value: cannot send a coroutine")
      assert.error_matches(function() Dict.set(d, "x", {a = co}) end,
        "value%.a: cannot send a coroutine")
      assert.same({x = 1}, Dict.snapshot(d))
    end)
  end)

  it("has a length, which is the number of its keys", function()
    local d = Dict()
    for i = 1, 100 do
      d["k" .. i] = i
      assert.equal(i, #d)
      assert.equal(i, Dict.len(d))
    end
    for i = 1, 100 do
      d["k" .. i] = nil
      assert.equal(100 - i, #d)
    end
  end)

  it("grows and shrinks and keeps every entry", function()
    local d, n = Dict(), helper.scale(20000)
    for i = 1, n do d[i] = i end
    assert.equal(n, #d)
    for i = 1, n do assert(d[i] == i) end
    for i = 1, n, 2 do d[i] = nil end
    for i = 1, n do assert(d[i] == (i % 2 == 0 and i or nil)) end
    for i = 2, n, 2 do d[i] = nil end
    assert.equal(0, #d)
    d.x = 1
    assert.same({x = 1}, Dict.snapshot(d))
  end)

  it("is walked by pairs as it was when the loop began", function()
    local d, seen = Dict {a = 1, b = 2, c = 3}, {}
    for key, value in pairs(d) do
      seen[key] = value
      d[key] = nil
      d[key .. key] = value
    end
    assert.same({a = 1, b = 2, c = 3}, seen)
    assert.same({aa = 1, bb = 2, cc = 3}, Dict.snapshot(d))
    for _ in pairs(Dict()) do error "not empty" end
  end)

  it("may be walked and left by break", function()
    local d = Dict {a = 1, b = 2}
    for key in pairs(d) do
      if key == "a" then break end
    end
    assert.same({a = 1, b = 2}, Dict.snapshot(d))
  end)

  describe("get", function()
    it("returns the value, or nil, or a default", function()
      local d = Dict {x = false}
      assert.is_false(Dict.get(d, "x"))
      assert.is_false(Dict.get(d, "x", 5))
      assert.is_nil(Dict.get(d, "y"))
      assert.equal(1, select("#", Dict.get(d, "y")))
      assert.equal(5, Dict.get(d, "y", 5))
    end)
  end)

  describe("set", function()
    it("writes a value, and nil removes the entry", function()
      local d = Dict()
      assert.equal(0, select("#", Dict.set(d, "x", 1)))
      assert.equal(1, d.x)
      Dict.set(d, "x", nil)
      assert.equal(0, #d)
      assert.error_matches(function() Dict.set(d, "x") end, "value: missing")
    end)
  end)

  describe("setdefault", function()
    it("writes a value if there is none, and returns the one that is there", function()
      local d = Dict()
      assert.equal(1, Dict.setdefault(d, "x", 1))
      assert.equal(1, Dict.setdefault(d, "x", 2))
      assert.equal(1, d.x)
      d.x = false
      assert.is_false(Dict.setdefault(d, "x", 3))
      assert.error_matches(function() Dict.setdefault(d, "y") end, "value: nil cannot be in a Dict")
    end)

    it("gives all threads the same one", function()
      local d = Dict()
      helper.threads(4, function(_, dict)
        local t = require "conc.threading"
        t.Dict.setdefault(dict, "lock", t.Lock())
        return t.Dict.add(dict, t.Dict.setdefault(dict, "lock", t.Lock()), 1)
      end, d)
      assert.equal(2, #d)
      assert.equal(4, d[d.lock])
    end)
  end)

  describe("pop", function()
    it("removes an entry and returns its value, or a default", function()
      local d = Dict {x = 1, t = {1, 2}, l = Lock()}
      local lock = d.l
      assert.equal(1, Dict.pop(d, "x"))
      assert.same({1, 2}, Dict.pop(d, "t"))
      assert.is_true(rawequal(lock, Dict.pop(d, "l")))
      assert.equal(0, #d)
      assert.is_nil(Dict.pop(d, "x"))
      assert.equal("none", Dict.pop(d, "x", "none"))
    end)

    it("gives each value to one thread", function()
      local d, n = Dict(), helper.scale(1000)
      for i = 1, n do d[i] = i end
      local sums = helper.threads(4, function(_, dict, last)
        local pop, sum = require "conc.threading".Dict.pop, 0
        for i = 1, last do sum = sum + pop(dict, i, 0) end
        return sum
      end, d, n)
      assert.equal(n * (n + 1) // 2, sums[1] + sums[2] + sums[3] + sums[4])
      assert.equal(0, #d)
    end)
  end)

  describe("add", function()
    it("returns the sum; an absent entry counts as 0", function()
      local d = Dict {x = 1}
      assert.equal(3, Dict.add(d, "x", 2))
      assert.equal(3, d.x)
      assert.equal(5, Dict.add(d, "y", 5))
      assert.equal("integer", math.type(d.y))
      assert.equal(3.5, Dict.add(d, "x", 0.5))
      assert.equal(0.25, Dict.add(d, "z", 0.25))
    end)

    it("raises on integer overflow, and changes nothing", function()
      local d = Dict {hi = math.maxinteger, lo = math.mininteger}
      assert.error_matches(function() Dict.add(d, "hi", 1) end, "n: the sum does not fit")
      assert.error_matches(function() Dict.add(d, "lo", -1) end, "n: the sum does not fit")
      assert.equal(math.maxinteger, d.hi)
      assert.equal(math.mininteger, d.lo)
      assert.equal(-1, Dict.add(d, "hi", math.mininteger))
    end)

    it("raises on what is not a number", function()
      local d = Dict {s = "1", t = {}}
      assert.error_matches(function() Dict.add(d, "s", 1) end,
        "key: the entry is a string, not a number")
      assert.error_matches(function() Dict.add(d, "t", 1) end,
        "key: the entry is a table, not a number")
      assert.error_matches(function() Dict.add(d, "x", "1") end, "n: number expected, got string")
      assert.error_matches(function() Dict.add(d, "x") end, "n: number expected, got no value")
      assert.equal("1", d.s)
      assert.is_nil(d.x)
    end)

    it("loses no addition of any thread", function()
      local d, rounds = Dict(), helper.scale(5000)
      helper.threads(4, function(i, dict, count)
        local add = require "conc.threading".Dict.add
        for k = 1, count do
          add(dict, "all", 1)
          add(dict, k % 7, 1)
          add(dict, "mine" .. i, 1)
        end
      end, d, rounds)
      assert.equal(4 * rounds, d.all)
      local sum = 0
      for k = 0, 6 do sum = sum + Dict.get(d, k, 0) end
      assert.equal(4 * rounds, sum)
      for i = 1, 4 do assert.equal(rounds, d["mine" .. i]) end
    end)
  end)

  describe("cas", function()
    it("writes if the entry is the expected one, and says whether", function()
      local d = Dict {x = 1}
      assert.is_true(Dict.cas(d, "x", 1, 2))
      assert.is_false(Dict.cas(d, "x", 1, 3))
      assert.equal(2, d.x)
    end)

    it("takes nil for no entry", function()
      local d = Dict()
      assert.is_true(Dict.cas(d, "x", nil, 1))
      assert.is_false(Dict.cas(d, "x", nil, 2))
      assert.is_true(Dict.cas(d, "x", 1, nil))
      assert.equal(0, #d)
      assert.is_false(Dict.cas(d, "x", 1, 2))
      assert.is_true(Dict.cas(d, "x", nil, nil))
      assert.equal(0, #d)
    end)

    it("compares as == does", function()
      local long, lock = ("x"):rep(1000), Lock()
      local cases = {
        {1, 1.0, true}, {1.5, 1.5, true}, {0.0, -0.0, true}, {0 / 0, 0 / 0, false},
        {1, "1", false}, {"1", 1, false}, {"a", "a", true}, {"a", "b", false},
        {long, long, true}, {long, long .. "y", false}, {long, 1, false}, {long, "x", false},
        {true, true, true}, {true, false, false}, {false, false, true},
        {lock, lock, true}, {lock, Lock(), false}, {lock, Event(), false}, {{1}, 1, false},
        {{lock}, lock, false}, {2 ^ 53, (1 << 53) + 1, false},
      }
      for i, case in ipairs(cases) do
        local d = Dict {x = case[1]}
        assert.equal(case[3], Dict.cas(d, "x", case[2], "new"), i)
        if case[3] then assert.equal("new", d.x) end
      end
    end)

    it("cannot compare tables and functions, and says so", function()
      local d = Dict {x = {}}
      assert.error_matches(function() Dict.cas(d, "x", {}, 1) end,
        "old: a table cannot be compared, use update")
      assert.error_matches(function() Dict.cas(d, "x", print, 1) end,
        "old: a function cannot be compared")
      assert.error_matches(function() Dict.cas(d, "x", 1) end, "new: missing")
      assert.error_matches(function() Dict.cas(d, "x", 1, coroutine.create(print)) end,
        "new: cannot send a coroutine")
      assert.same({}, d.x)
    end)

    it("is won by one thread", function()
      local d, rounds = Dict {n = 0}, helper.scale(2000)
      local wins = helper.threads(4, function(_, dict, last)
        local cas, won = require "conc.threading".Dict.cas, 0
        while true do
          local now = dict.n
          if now == last then return won end
          if cas(dict, "n", now, now + 1) then won = won + 1 end
        end
      end, d, rounds)
      assert.equal(rounds, wins[1] + wins[2] + wins[3] + wins[4])
    end)
  end)

  describe("update", function()
    it("writes what the function makes of the value, and returns it", function()
      local d = Dict {list = {1}}
      local list = Dict.update(d, "list", function(t)
        t[#t + 1] = 2
        return t
      end)
      assert.same({1, 2}, list)
      assert.same({1, 2}, d.list)
    end)

    it("gives nil to the function when there is no entry, and nil removes one", function()
      local d = Dict()
      assert.equal("nil", Dict.update(d, "x", function(x) return tostring(x) end))
      assert.is_nil(Dict.update(d, "x", function() end))
      assert.equal(0, #d)
      assert.is_nil(Dict.update(d, "x", function() end))
    end)

    it("calls the function again if the entry changed meanwhile", function()
      local d, seen = Dict(), {}
      local function write(...)
        helper.thread(function(dict, ...)
          for _, x in ipairs {...} do dict.x = x or nil end
        end, d, ...)()
      end
      Dict.update(d, "x", function(x)
        seen[#seen + 1] = tostring(x)
        if #seen == 1 then write(10) end
        if #seen == 2 then write(false) end
        if #seen == 3 then write(10, false) end
        return #seen
      end)
      assert.same({"nil", "10", "nil"}, seen)
      assert.equal(3, d.x)
    end)

    it("calls it again even if the same value was written", function()
      local d, calls = Dict {x = 1}, 0
      Dict.update(d, "x", function(x)
        calls = calls + 1
        if calls == 1 then helper.thread(function(dict) dict.x = 1 end, d)() end
        return x + 1
      end)
      assert.equal(2, calls)
      assert.equal(2, d.x)
    end)

    it("raises when the function itself writes to the entry", function()
      local d = Dict {x = 1, y = 1}
      for i, write in ipairs {
        function() d.x = 5 end,
        function() d.x = 1 end,
        function() d.x = nil end,
        function() Dict.set(d, "x", 5) end,
        function() Dict.add(d, "x", 1) end,
        function() Dict.pop(d, "x") end,
        function() Dict.cas(d, "x", 1, 5) end,
        function() Dict.clear(d) end,
        function() d.x = nil Dict.setdefault(d, "x", 5) end,
        function() Dict.update(d, "x", function() return 5 end) end,
        function() Dict.update(d, "y", function(y) d.x = 5 return y end) end,
        function() coroutine.wrap(function() d.x = 5 end)() end,
        function() for _ = 1, 40 do pcall(Dict.update, d, "y", error) end d.x = 5 end,
      } do
        Dict.set(d, "x", 1)
        assert.error_matches(function()
          Dict.update(d, "x", function() write() return 7 end)
        end, "fn: has itself written what 'update' was to write")
        assert.is_true(d.x ~= 7, "write " .. i)
      end
      assert.equal(7, Dict.update(d, "z", function() d.x = 5 return 7 end))
    end)

    it("forgets what a function that raised was to write", function()
      local d = Dict {x = 0}
      for _ = 1, 10 do pcall(Dict.update, d, "x", error) end
      d.x = 1
      assert.equal(2, Dict.update(d, "x", function(x) d.y = x return x + 1 end))
    end)

    it("leaves other entries and operations free", function()
      local d = Dict {x = 1}
      Dict.update(d, "x", function(x)
        d.y = Dict.update(d, "z", function() return x end)
        return #d
      end)
      assert.same({x = 3, y = 1, z = 1}, Dict.snapshot(d))
    end)

    it("changes nothing when the function raises, and hands on the error", function()
      local d, err = Dict {x = 1}, {}
      local ok, got = pcall(Dict.update, d, "x", function() error(err) end)
      assert.is_false(ok)
      assert.is_true(rawequal(err, got))
      assert.error_matches(function()
        Dict.update(d, "x", function() return {coroutine.create(print)} end)
      end, "result of fn%[1%]: cannot send a coroutine")
      assert.error_matches(function() Dict.update(d, "x", 5) end,
        "fn: function expected, got number")
      assert.equal(1, d.x)
    end)

    it("loses no update of any thread", function()
      local d, rounds = Dict(), helper.scale(2000)
      helper.threads(4, function(i, dict, count)
        local update = require "conc.threading".Dict.update
        for k = 1, count do
          update(dict, "log", function(log)
            log = log or {}
            log[i] = (log[i] or 0) + 1
            return log
          end)
          update(dict, k % 5, function(n) return (n or 0) + 1 end)
        end
      end, d, rounds)
      assert.same({rounds, rounds, rounds, rounds}, d.log)
      local sum = 0
      for k = 0, 4 do sum = sum + Dict.get(d, k, 0) end
      assert.equal(4 * rounds, sum)
    end)
  end)

  describe("snapshot, keys and clear", function()
    it("give all entries as a table, all keys as a sequence, and remove all", function()
      local d = Dict {a = 1, b = {2}}
      local t = Dict.snapshot(d)
      assert.same({a = 1, b = {2}}, t)
      assert.same({"a", "b"}, sorted(Dict.keys(d)))
      t.a = 5
      assert.equal(1, d.a)
      assert.equal(0, select("#", Dict.clear(d)))
      assert.equal(0, #d)
      assert.same({}, Dict.snapshot(d))
      assert.same({}, Dict.keys(d))
      d.x = 1
      assert.equal(1, d.x)
    end)

    it("show the Dict at one moment", function()
      local d, stop = Dict {a = 0, b = 0}, Value("b", 0)
      local wait = helper.thread(function(dict, over)
        local n = 0
        repeat
          n = n + 1
          dict.a = n
          dict.b = n
          for i = 1, 20 do dict[n % 100 * 20 + i] = n end
        until over.value == 1
      end, d, stop)
      for _ = 1, helper.scale(500) do
        local t = Dict.snapshot(d)
        if t.a ~= t.b and t.a ~= t.b + 1 then error(t.a .. ", " .. t.b) end
      end
      stop.value = 1
      wait()
    end)
  end)

  it("is one and the same in all threads", function()
    local d, q = Dict {n = 1}, queue.SimpleQueue()
    helper.thread(function(dict) dict.m = dict.n + 1 end, d)()
    assert.equal(2, d.m)
    q:put(d)
    assert.is_true(rawequal(d, q:get()))
    assert.not_equal(d, Dict {n = 1, m = 2})
  end)

  it("is never seen half written", function()
    local d, rounds = Dict(), helper.scale(2000)
    helper.threads(4, function(i, dict, count)
      local lock = require "conc.threading".Lock()
      local values = {i, ("%d"):format(i):rep(500), {i, i, ("x"):rep(100)}, {lock, i}}
      for n = 1, count do
        local key = n % 3
        dict[key] = values[n % 4 + 1]
        local x = dict[key]
        local t = type(x)
        if t == "string" then
          assert(#x == 500 and x == x:sub(1, 1):rep(500))
        elseif t == "table" then
          assert(x[1] == x[2] or type(x[1]) == "userdata" and math.type(x[2]) == "integer")
        else
          assert(t == "number" or t == "nil")
        end
        if n % 10 == 0 then dict[key] = nil end
      end
    end, d, rounds)
    assert.is_true(#d <= 3)
  end)

  it("that holds itself is freed when it is cleared", function()
    local a, b = Dict(), Dict()
    a.b, b.a = b, a
    a.self = a
    a[a] = true
    assert.is_true(rawequal(a, a.b.a.self))
    Dict.clear(a)
  end)

  it("shows itself as text", function()
    assert.matches("^Dict: ", tostring(Dict()))
  end)

  it("names the argument that is wrong, and is as before", function()
    local d = Dict {x = 1}
    local most = {
      get = 3, set = 3, setdefault = 3, pop = 3, add = 3, update = 3, cas = 4, snapshot = 1,
      keys = 1, len = 1, clear = 1,
    }
    for name, n in pairs(most) do
      for _, stranger in ipairs {false, 1, "x", {}, io.stdout, Lock()} do
        assert.error_matches(function() Dict[name](stranger, "x", 1, 1) end,
          "bad argument #1 to '.*' %(Dict expected, got ")
      end
      assert.error_matches(function() Dict[name]() end, "Dict expected, got no value")
      assert.error_matches(function() Dict[name](d, table.unpack({}, 1, n)) end,
        "surplus argument")
      if n > 1 then
        assert.error_matches(function() Dict[name](d) end, "key: nil cannot be a key of a Dict")
        assert.error_matches(function() Dict[name](d, {}, 1, 1) end,
          n == 4 and "key: a table" or "surplus argument")
      end
    end
    assert.same({x = 1}, Dict.snapshot(d))
  end)

  it("leaves nothing behind when there is no memory for it", function()
    local long = ("x"):rep(200)
    assert.equal(1, helper.fail_each(function() return Dict() end))
    local d = Dict()
    local function try_again(f)
      assert.is_true(helper.fail_each(f) >= 1)
    end
    try_again(function()
      d.x = 1
      Dict.clear(d)
    end)
    try_again(function()
      d.x = {Lock(), long}
      Dict.clear(d)
    end)
    Dict.clear(d)
    d.x, d.l = long, Lock()
    try_again(function() return Dict.snapshot(d) end)
    d.x = 1
    try_again(function() Dict.update(d, "x", function() return long end) end)
    assert.equal(long, d.x)
    try_again(function() Dict.cas(d, "x", long, {long}) end)
    assert.same({long}, d.x)
  end)
end)
