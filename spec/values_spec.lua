local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- What a queue makes of values: written here and read here.
local function copy(...)
  local q = queue.SimpleQueue()
  q:put(table.pack(...))
  local t = q:get()
  return table.unpack(t, 1, t.n)
end

-- f(...) in another state.
local function there(f, ...)
  return helper.thread(f, ...)()
end

-- What a thread got of values, sent back.
local function journey(...)
  return there(function(...) return ... end, ...)
end

-- How deep the deepest data is.  With the collector at full pressure each level
-- would cost a walk over all others.
local DEEP = os.getenv "CONC_GC" == "1" and 2000 or 100000

-- The specs run with busted's globals; these are the state's own.
local function chunk(text, ...)
  return assert(load(text, "=chunk", "t", _G))(...)
end

describe("What crosses: numbers, booleans, nil", function()
  it("is nil, true and false, whatever their position", function()
    local list = table.pack(journey(nil, true, nil, false, nil))
    assert.same({n = 5, nil, true, nil, false, nil}, list)
  end)

  it("is every integer, and it stays an integer", function()
    local list = {math.mininteger, math.maxinteger}
    for _, shift in ipairs {0, 6, 7, 8, 14, 15, 16, 31, 32, 33, 47, 62} do
      for d = -2, 2 do
        list[#list + 1] = (1 << shift) + d
        list[#list + 1] = -(1 << shift) + d
      end
    end
    for i = 90, 100 do list[#list + 1] = i end
    local q = queue.SimpleQueue()
    for _, i in ipairs(list) do
      q:put(i)
      local alone = q:get()
      assert.equal(i, alone)
      assert.equal("integer", math.type(alone))
    end
    for i, n in ipairs(journey(list)) do
      assert.equal(list[i], n)
      assert.equal("integer", math.type(n))
    end
  end)

  it("is every float, bit by bit: infinities, -0.0, subnormals, NaN", function()
    local list = {0.0, -0.0, 1.0, -1.5, 0.1, math.pi, math.huge, -math.huge, 2^-1074, 2^1023,
      2^53, 2^63, -2^63, 1e308}
    local nan = 0 / 0
    list[#list + 1] = nan
    for i, x in ipairs(journey(list)) do
      assert.equal(string.pack("d", list[i]), string.pack("d", x))
      assert.equal("float", math.type(x))
    end
    local q = queue.SimpleQueue()
    q:put(-0.0)
    assert.equal(-math.huge, 1 / q:get())
    q:put(nan)
    local x = q:get()
    assert.is_true(x ~= x)
  end)
end)

describe("What crosses: strings", function()
  it("is every byte", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes)
    assert.equal(all, journey(all))
    for _, byte in ipairs(bytes) do assert.equal(byte, copy(byte)) end
    assert.equal("", journey "")
    assert.equal("a\0b\0", journey "a\0b\0")
  end)

  it("is every length", function()
    local q = queue.SimpleQueue()
    for _, around in ipairs {0, 16, 24, 32, 40, 48, 56, 64, 96, 128, 256, 512, 4096, 16384,
      65536} do
      for n = math.max(0, around - 3), around + 3 do
        local s = ("\1\2\xff"):rep(n // 3 + 1):sub(1, n)
        q:put(s)
        assert.equal(s, q:get())
        q:put {s, [s] = s}
        local t = q:get()
        assert.equal(s, t[1])
        assert.equal(s, t[s])
      end
    end
  end)

  it("is a huge one", function()
    local s = ("conc"):rep(4 << 20)
    local n, back = there(function(text) return #text, text end, s)
    assert.equal(16 << 20, n)
    assert.is_true(s == back)
  end)
end)

describe("What crosses: tables", function()
  it("is a copy, and leaves the original as it was", function()
    local t = {1, "a", {2}}
    local other = there(function(u)
      u[1], u[3][1] = "changed", "changed"
      return u
    end, t)
    assert.same({1, "a", {2}}, t)
    assert.same({"changed", "a", {"changed"}}, other)
    assert.are_not.equal(t, copy(t))
  end)

  it("keeps holes, lengths and every kind of key", function()
    local t = {1, nil, 3, nil, nil, 6, [100] = 100, [-1] = -1, [0] = 0, [1.5] = 1.5,
      [true] = "true", [false] = "false", x = "x", [""] = "empty", ["a\0"] = "zero",
      [math.maxinteger] = "max", [math.huge] = "inf"}
    assert.same(t, journey(t))
    assert.same({}, journey {})
    assert.same({n = 3, nil, nil, nil}, journey(table.pack(nil, nil, nil)))
  end)

  it("keeps long sequences, and tables of many fields", function()
    local list, fields = {}, {}
    for i = 1, 20000 do
      list[i] = i
      fields["key" .. i] = i
    end
    local a, b = journey(list, fields)
    assert.equal(20000, #a)
    local good = 0
    for i = 1, 20000 do
      if a[i] == i and b["key" .. i] == i then good = good + 1 end
    end
    assert.equal(20000, good)
  end)

  it("keeps tables that are scalars up to some place, and tables from there on", function()
    for _, n in ipairs {0, 1, 31, 32, 33, 64, 100} do
      local inner = {"inner"}
      local list, fields, both = {}, {}, {}
      for i = 1, n do
        list[i], both[i] = i, i
        fields[i * 1000], fields[-i - 0.5], both["k" .. i] = i, i, i
      end
      list[n + 1], list[n + 2] = inner, "after"
      fields[true], fields[inner], both.inner = "yes", "key", inner
      assert.same(list, journey(list))
      assert.same(both, journey(both))
      local back = journey {fields = fields, inner = inner}
      assert.equal("key", back.fields[back.inner])
      back.fields[back.inner], fields[inner] = nil, nil
      assert.same(fields, back.fields)
    end
  end)

  it("keeps all fields of a table that items were pushed to and popped from", function()
    for fields = 1, 20 do
      for items = 30, 70 do
        local t, n = {}, 0
        for i = 1, fields do t["field" .. i] = i end
        for i = 1, items do t[i] = i end
        t[items + 1] = true
        table.remove(t)
        local back = copy(t)
        for k, v in pairs(back) do
          assert(t[k] == v)
          n = n + 1
        end
        assert.equal(fields + items, n)
      end
    end
  end)

  it("is no class for a key that only begins as __index", function()
    local t = {["__index\0x"] = 1, v = 1}
    local function value(x) return x.v end
    assert.not_equal(t, (copy(t)))
    assert.same(t, (copy(t)))
    assert.equal(1, there(value, t))
    t.v = 2
    assert.equal(2, there(value, t))
  end)

  it("keeps tables as keys, and which one is which", function()
    local key = {name = "key"}
    local t = {[key] = key, list = {key}}
    local other = journey(t)
    local k, v = next(other, nil)
    if k == "list" then k, v = next(other, k) end
    assert.equal(k, v)
    assert.equal(k, other.list[1])
    assert.equal("key", k.name)
    assert.are_not.equal(key, k)
  end)

  it("keeps functions and objects as keys", function()
    local lock = threading.Lock()
    local t = {[lock] = "lock", [print] = "print"}
    assert.equal("lock", copy(t)[lock])
    assert.equal("print", copy(t)[print])
    assert.same({"lock", "print"}, {there(function(u, l) return u[l], u[print] end, t, lock)})
  end)

  it("keeps cycles", function()
    local t = {}
    t.self, t.list = t, {t, {t}}
    local other = journey(t)
    assert.equal(other, other.self)
    assert.equal(other, other.list[1])
    assert.equal(other, other.list[2][1])
    local a, b = {}, {}
    a.b, b.a = b, a
    local a2, b2 = journey(a, b)
    assert.equal(b2, a2.b)
    assert.equal(a2, b2.a)
  end)

  it("keeps a table that is its own key", function()
    local t = {}
    t[t] = t
    local other = journey(t)
    assert.equal(other, next(other))
    assert.equal(other, other[other])
  end)

  it("keeps what is shared within one message, and parts what is sent twice", function()
    local part = {1}
    local a, b = journey({part}, {part, part})
    assert.equal(a[1], b[1])
    assert.equal(a[1], b[2])
    local q = queue.SimpleQueue()
    q:put(part)
    q:put(part)
    assert.are_not.equal(q:get(), q:get())
  end)

  it("keeps ten thousand shared parts", function()
    local parts, list = {}, {}
    for i = 1, 10000 do parts[i] = {i} end
    for i = 1, 10000 do list[i] = {parts[i], parts[10001 - i], parts[1]} end
    local other = journey(list)
    local good = 0
    for i = 1, 10000 do
      local a, b, c = table.unpack(other[i])
      if a[1] == i and b == other[10001 - i][1] and c == other[1][1] then good = good + 1 end
    end
    assert.equal(10000, good)
  end)

  it("goes a hundred thousand levels deep, by items, by fields, by keys", function()
    local nested = helper.portable(function(how, levels)
      local t = {}
      for _ = 1, levels do t = how == "key" and {[t] = true} or {[how] = t} end
      return t
    end)
    local depth = helper.portable(function(how, t)
      local n = 0
      while next(t) ~= nil do
        t = how == "key" and next(t) or t[how]
        n = n + 1
      end
      return n
    end)
    for _, how in ipairs {1, "field", "key"} do
      assert.equal(DEEP, depth(how, copy(nested(how, DEEP))))
      local n = there(function(d, h, t) return d(h, t) end, depth, how, nested(how, DEEP))
      assert.equal(DEEP, n)
    end
  end)

  it("goes nearly as deep with metatables and functions", function()
    local mt = {__name = "level"}
    local t = false
    for _ = 1, DEEP * 0.9 // 1 do t = setmetatable({t}, mt) end
    local other, n = copy(t), 0
    while other do other, n = other[1], n + 1 end
    assert.equal(DEEP * 0.9 // 1, n)
    local f = false
    for _ = 1, DEEP // 4 do
      local inner = f
      f = function() return inner end
    end
    f, n = copy(f), 0
    while f do f, n = f(), n + 1 end
    assert.equal(DEEP // 4, n)
  end)

  it("raises when it is too deep, and the queue is as before", function()
    if DEEP < 100000 then return end
    local q, t = queue.SimpleQueue(), {}
    for _ = 1, 250000 do t = {t} end
    assert.error_matches(function() q:put(t) end, "deep")
    assert.is_true(q:empty())
    q:put {1}
    assert.same({1}, q:get())
  end)

  it("reads fields raw: no metamethod is called on the way", function()
    local t = chunk [[
      local mt = {}
      for _, event in ipairs {"index", "newindex", "len", "pairs", "eq", "call"} do
        mt["__" .. event] = function() error(event) end
      end
      return setmetatable({1}, mt)]]
    assert.equal(1, rawget(journey(t), 1))
  end)
end)

describe("What crosses: functions", function()
  it("is any function in Lua, with its upvalues as they are now", function()
    local n, t = 1, {5}
    local function f(x) return n + x, t[1] end
    n = 10
    assert.same({11, 5}, {copy(f)(1)})
    assert.same({11, 5}, {there(function(g) return g(1) end, f)})
  end)

  it("has its own upvalues over there", function()
    local n = 1
    local function count()
      n = n + 1
      return n
    end
    assert.equal(3, there(function(f)
      f()
      return f()
    end, count))
    assert.equal(1, n)
    assert.equal(2, copy(count)())
    assert.equal(2, copy(count)())
  end)

  it("may call itself", function()
    local function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end
    assert.equal(3628800, there(function(f) return f(10) end, factorial))
    local is_odd
    local function is_even(n)
      if n == 0 then return true end
      return is_odd(n - 1)
    end
    function is_odd(n)
      if n == 0 then return false end
      return is_even(n - 1)
    end
    assert.same({true, false}, {there(function(even, odd) return even(10), odd(10) end,
      is_even, is_odd)})
  end)

  it("shares upvalues with the other functions of its message", function()
    local n = 0
    local function up()
      n = n + 1
      return n
    end
    local function get() return n end
    local up2, get2 = copy(up, get)
    up2()
    up2()
    assert.equal(2, get2())
    assert.equal(0, get())
    assert.equal(3, there(function(a, b)
      a()
      a()
      a()
      return b()
    end, up, get))
    local t = copy {up = up, deep = {{get = get}}}
    t.up()
    assert.equal(1, t.deep[1].get())
  end)

  it("shares an upvalue that is itself one of those functions", function()
    local t = {}
    local function f() return t end
    t.f = f
    local g = copy(f)
    assert.equal(g, g().f)
    assert.equal(g(), g().f())
  end)

  it("does not mix up upvalues of equal value", function()
    local a, b = {1}, {1}
    local x, y = copy(function() return a end, function() return b end)
    assert.are_not.equal(x(), y())
  end)

  it("is equal to itself within a message", function()
    local n = 1
    local function f() return n end
    local a, b = copy(f, f)
    assert.equal(a, b)
    local list = copy {f, {f}}
    assert.equal(list[1], list[2][1])
  end)

  it("sees the receiver's globals", function()
    local f = chunk "return function() return _G, somebody, print end"
    local g, somebody, p = there(function(h)
      somebody = "there" -- luacheck: ignore 111
      local env, value, printer = h()
      return env == _G, value, printer == print
    end, f)
    assert.same({true, "there", true}, {g, somebody, p})
    assert.is_nil(rawget(_G, "somebody"))
    local g2 = copy(f)()
    assert.equal(_G, g2)
  end)

  it("shares the receiver's globals among nested functions", function()
    local outer = chunk [[
      return function()
        shared_global = (shared_global or 0) + 1
        return function() return shared_global end
      end]]
    assert.same({1, 2}, {there(function(f)
      local a = f()()
      return a, f()()
    end, outer)})
    assert.is_nil(rawget(_G, "shared_global"))
  end)

  it("takes along a table of its own that is used as _ENV", function()
    local env = {y = 5}
    local f = load("x = (x or 0) + y; return x", "=chunk", "t", env)
    assert.same({5, 10}, {there(function(g) return g(), g() end, f)})
    assert.is_nil(env.x)
  end)

  it("takes along the globals themselves, as the receiver's", function()
    assert.is_true(there(function(g) return g == _G end, _G))
    assert.is_true(there(function(t) return t[1].print == print and t[1] == _G end, {_G}))
    assert.equal(_G, copy(_G))
  end)

  it("keeps two hundred upvalues", function()
    local lines, sum = {}, {}
    for i = 1, 200 do
      lines[i] = ("local v%d = %d"):format(i, i)
      sum[i] = "v" .. i
      if i % 100 == 0 then lines[i] = lines[i] .. ";" end
    end
    local text = table.concat(lines, "\n", 1, 180)
      .. "\nreturn function() return " .. table.concat(sum, "+", 1, 180) .. " end"
    assert.equal(180 * 181 // 2, there(function(f) return f() end, chunk(text)))
  end)

  it("keeps varargs, and its names for tracebacks", function()
    local f = chunk("return function(...) return select('#', ...), ... end")
    assert.same({3, 1, nil, 3}, {there(function(g) return g(1, nil, 3) end, f)})
    local ok, err = pcall(copy(chunk "return function() error 'mine' end"))
    assert.same({false, "chunk:1: mine"}, {ok, err})
  end)

  it("costs its code once, however often it is sent", function()
    local q = queue.SimpleQueue()
    local f = chunk "return function() return 1 end"
    q:put(f)
    local first = q:get()
    for _ = 1, 1000 do
      q:put(f)
      assert.equal(first, q:get())
    end
  end)

  it("may be made without end: what is kept of them is bounded", function()
    local q = queue.SimpleQueue()
    for i = 1, helper.scale(DEEP // 5) do
      q:put(load("return " .. i, "=made", "t", _G))
      assert.equal(i, q:get()())
    end
    collectgarbage()
    assert.is_true(core.stats().cached < 10000)
  end)

  it("may be called there with an error that comes back as it is", function()
    local ok, err = pcall(there, function() error({code = 7}, 0) end)
    assert.is_false(ok)
    assert.same({code = 7}, err)
  end)
end)

describe("What crosses by name", function()
  it("is a library and every function of one", function()
    for name, module in pairs(package.loaded) do
      if _G[name] == module and name ~= "_G" then
        assert.equal(module, copy(module))
        for _, f in pairs(module) do
          if type(f) == "function" then assert.equal(f, copy(f)) end
        end
      end
    end
    assert.is_true(there(function(list)
      return list[1] == string and list[2] == string.format and list[3] == print and
        list[4] == math.floor and list[5] == io.write and list[6] == require
    end, {string, string.format, print, math.floor, io.write, require}))
  end)

  it("is a C module, and conc itself", function()
    assert.is_true(there(function(c, inner, lock)
      return c == require "conc" and inner == require "conc.core" and
        lock == require "conc.threading".Lock
    end, conc, core, threading.Lock))
  end)

  it("is no file, though a module holds it", function()
    assert.error_matches(function() copy {log = io.stderr} end, "%.log: cannot send a FILE%*")
    assert.is_true(there(function() return io.type(io.stderr) == "file" end))
  end)

  describe("a module of one's own", function()
    local name = "spec_values_module"
    local module
    before_each(function()
      local source = [[
        local M = {count = 0, Class = {}, nested = {inner = {}}}
        M.Class.__index = M.Class
        function M.Class:name() return "class" end
        function M.up() M.count = M.count + 1; return M.count end
        function M.nested.f() return M end
        M.nested.inner.g = function() return "g" end
        return M]]
      package.preload[name] = assert(load(source, "=" .. name, "t", _G))
      module = require(name)
    end)
    after_each(function()
      package.preload[name] = nil
      package.loaded[name] = nil
    end)

    it("is required over there, and is the one that is there", function()
      assert.is_true(there(function(m, n) return m == require(n) end, module, name))
      assert.equal(module, copy(module))
    end)

    it("is not copied with its state", function()
      module.count = 100
      assert.equal(1, there(function(m) return m.up() end, module))
      assert.equal(1, there(function(up) return up() end, module.up))
      assert.equal(100, module.count)
    end)

    it("gives names to what it holds, one table below too", function()
      assert.equal(module.up, copy(module.up))
      assert.equal(module.nested, copy(module.nested))
      assert.equal(module.nested.f, copy(module.nested.f))
      assert.is_true(there(function(m, f, nested)
        return f == m.nested.f and nested == m.nested and f() == m
      end, module, module.nested.f, module.nested))
    end)

    it("gives names to its classes: their objects have the module's metatable", function()
      local object = setmetatable({1}, module.Class)
      assert.equal(module.Class, getmetatable(copy(object)))
      assert.is_true(there(function(o, m)
        return getmetatable(o) == m.Class and o:name() == "class"
      end, object, module))
    end)

    it("may be the upvalue of a function", function()
      local function f() return module end
      assert.equal(module, copy(f)())
    end)

    it("is a name no longer when it is no longer loaded", function()
      local f = module.up
      assert.equal(f, copy(f))
      package.loaded[name] = nil
      local other = copy(f)
      assert.are_not.equal(f, other)
      assert.equal(1, other())
    end)

    it("keeps the name it has: a field that was replaced is another function", function()
      local old = module.up
      assert.equal(old, copy(old))
      module.up = function() return "new" end
      assert.are_not.equal(old, copy(old))
      assert.equal(1, copy(old)())
    end)

    it("raises over there when that state cannot load it", function()
      package.preload[name] = nil
      local q, answers = queue.SimpleQueue(), queue.SimpleQueue()
      local finish = helper.thread(function(from, to)
        local ok, err = pcall(from.get, from)
        to:put {ok, tostring(err)}
        to:put(from:get())
      end, q, answers)
      q:put(module)
      q:put "next"
      local ok, err = table.unpack(answers:get())
      assert.is_false(ok)
      assert.matches("module '" .. name .. "' not found", err, 1, true)
      assert.equal("next", answers:get())
      finish()
    end)
  end)
end)

describe("What crosses: classes", function()
  local function account()
    return chunk [[
      local Account = {}
      Account.__index = Account
      Account.__eq = function(a, b) return a.n == b.n end
      Account.__add = function(a, b) return setmetatable({n = a.n + b.n}, Account) end
      Account.__tostring = function(a) return "Account " .. a.n end
      Account.__len = function(a) return a.n end
      Account.__call = function(a, x) return a.n + x end
      Account.__name = "Account"
      function Account.new(n) return setmetatable({n = n}, Account) end
      function Account:deposit(n) self.n = self.n + n; return self end
      return Account]]
  end

  it("is an object with its metatable: methods and operators work there", function()
    local Account = account()
    local a = Account.new(5)
    local n, text, sum, called, length = there(function(b)
      b:deposit(10)
      return b.n, tostring(b), (b + b).n, b(1), #b
    end, a)
    assert.same({15, "Account 15", 30, 16, 15}, {n, text, sum, called, length})
    assert.equal(5, a.n)
  end)

  it("is one class in a state, in however many messages it comes", function()
    local Account = account()
    local q = queue.SimpleQueue()
    for i = 1, 3 do q:put(Account.new(i)) end
    q:put(Account)
    local same = there(function(from)
      local a, b, c = from:get(), from:get(), from:get()
      local class = from:get()
      return getmetatable(a) == getmetatable(b) and getmetatable(b) == getmetatable(c) and
        getmetatable(a) == class and a.__index == class and class.new(7):deposit(1).n == 8
    end, q)
    assert.is_true(same)
  end)

  it("is the very class again when it comes back", function()
    local Account = account()
    local a = journey(Account.new(1))
    assert.equal(Account, getmetatable(a))
    assert.equal(Account, journey(Account))
    assert.equal(Account, getmetatable(copy(Account.new(1))))
    local made = there(function(b) return b.new(9) end, a)
    assert.equal(Account, getmetatable(made))
    assert.equal(9, made.n)
  end)

  it("is one class for threads that pass its objects on", function()
    local Account = account()
    local first, second = queue.SimpleQueue(), queue.SimpleQueue()
    first:put(Account.new(1))
    helper.thread(function(from, to) to:put(from:get():deposit(1)) end, first, second)()
    local a = second:get()
    assert.equal(Account, getmetatable(a))
    assert.equal(2, a.n)
  end)

  it("keeps inheritance, and each class one", function()
    local Base, Derived = chunk [[
      local Base = {}
      Base.__index = Base
      function Base.kind() return "base" end
      function Base.name(self) return "named " .. self.n end
      local Derived = setmetatable({}, {__index = Base})
      Derived.__index = Derived
      function Derived.kind() return "derived of " .. Base.kind() end
      return Base, Derived]]
    local b, d = setmetatable({n = 1}, Base), setmetatable({n = 2}, Derived)
    local function look(x, y)
      return x:kind(), x:name(), y:kind(), y:name(),
        getmetatable(getmetatable(y)).__index == getmetatable(x)
    end
    assert.same({"base", "named 1", "derived of base", "named 2", true}, {there(look, b, d)})
    -- in messages of their own, the derived one first
    local q = queue.SimpleQueue()
    q:put(d)
    q:put(b)
    assert.is_true(there(function(from)
      local y, x = from:get(), from:get()
      return getmetatable(getmetatable(y)).__index == getmetatable(x)
    end, q))
    assert.equal(Derived, getmetatable(journey(d)))
    assert.equal(Base, getmetatable(journey(b)))
    assert.equal(Base, getmetatable(Derived).__index)
  end)

  it("keeps classes that know each other", function()
    local A, B = chunk [[
      local A, B = {}, {}
      A.__index, B.__index = A, B
      function A.other() return setmetatable({}, B) end
      function B.other() return setmetatable({}, A) end
      return A, B]]
    local a = setmetatable({}, A)
    assert.is_true(there(function(x)
      local y = x.other()
      return getmetatable(y.other()) == getmetatable(x) and getmetatable(y) ~= getmetatable(x)
    end, a))
    assert.equal(A, getmetatable(journey(a)))
    assert.equal(B, getmetatable(there(function(x) return x.other() end, a)))
  end)

  it("keeps an object in its class, and a class that is its own metatable", function()
    local Class = {}
    Class.__index = Class
    setmetatable(Class, Class)
    Class.default = setmetatable({}, Class)
    local c = journey(Class)
    assert.equal(Class, c)
    assert.is_true(there(function(d)
      return getmetatable(d) == d and getmetatable(d.default) == d
    end, Class))
  end)

  it("is a metatable without __index as well", function()
    local mt = {__tostring = function(t) return "<" .. t[1] .. ">" end}
    local a, b = copy(setmetatable({1}, mt), setmetatable({2}, mt))
    assert.equal("<1>", tostring(a))
    assert.equal(getmetatable(a), getmetatable(b))
    assert.equal(mt, getmetatable(a))
    assert.equal("<3>", there(function(x) return tostring(x) end, setmetatable({3}, mt)))
  end)

  it("keeps weak tables weak", function()
    assert.equal("k", getmetatable(copy(setmetatable({}, {__mode = "k"}))).__mode)
  end)

  it("has the class as it was when it was first sent", function()
    local Class = {version = 1}
    Class.__index = Class
    local q = queue.SimpleQueue()
    q:put(setmetatable({}, Class))
    Class.version = 2
    assert.equal(1, there(function(from) return from:get().version end, q))
  end)

  it("looks at a metatable past __metatable", function()
    local mt = {__index = {x = 1}, __metatable = "locked"}
    local a = copy(setmetatable({}, mt))
    assert.equal("locked", getmetatable(a))
    assert.equal(1, a.x)
  end)

  it("is one class when it is registered on both sides", function()
    local Point = {}
    Point.__index = Point
    function Point.here() return "here" end
    assert.equal(Point, conc.register("spec.values.Point", Point))
    assert.equal(Point, conc.register("spec.values.Point", Point))
    assert.equal("here", copy(setmetatable({}, Point)).here())
    local q = queue.SimpleQueue()
    q:put(setmetatable({x = 1}, Point))
    local where, same, back = there(function(from)
      local Mine = {}
      Mine.__index = Mine
      function Mine.here() return "there" end
      require "conc".register("spec.values.Point", Mine)
      local p = from:get()
      return p.here(), getmetatable(p) == Mine, p
    end, q)
    assert.equal("there", where)
    assert.is_true(same)
    assert.equal(Point, getmetatable(back))
    assert.error_matches(function() conc.register("spec.values.Point", {}) end,
      "bad argument #1 to '.-' %(name: registered for another metatable%)")
  end)

  it("raises where a registered class is unknown, and the next item is unharmed", function()
    local Point = conc.register("spec.values.Unknown", {})
    local q = queue.SimpleQueue()
    q:put(setmetatable({}, Point))
    q:put "next"
    local ok, err, item = there(function(from)
      local good, message = pcall(from.get, from)
      return good, message, from:get()
    end, q)
    assert.is_false(ok)
    assert.matches("cannot receive an object of class 'spec.values.Unknown': not registered", err)
    assert.equal("next", item)
  end)

  it("refuses to register anything but a table by a name", function()
    assert.error_matches(function() conc.register(1, {}) end, "name: string")
    assert.error_matches(function() conc.register("x") end, "table expected")
    assert.error_matches(function() conc.register("x", {}, 1) end, "surplus argument")
  end)
end)

describe("What crosses: small tables", function()
  -- Alone in a queue they go a shorter way than among other values.
  local q = queue.Queue()
  local function alone(t)
    q:put(t)
    return q:get()
  end

  local function check_same(t, twin)
    local n = 0
    assert.is_nil(getmetatable(twin))
    for k, v in pairs(t) do
      n = n + 1
      local w = twin[k]
      if type(v) == "table" then
        assert.same(v, w)
      elseif v == v then
        assert(w == v and math.type(w) == math.type(v), tostring(k))
      else
        assert(w ~= w)
      end
    end
    for _ in pairs(twin) do n = n - 1 end
    assert.equal(0, n)
  end

  it("are what they were, whatever is in them", function()
    check_same({}, alone {})
    local seed = 7
    local function random(n)
      seed = (seed * 1103515245 + 12345) % 0x80000000
      return seed // 65536 % n + 1
    end
    local values = {0, 1, 95, 96, -1, 127, 128, -129, 32768, -2^31 | 0, 2^31 | 0, math.maxinteger,
      math.mininteger, 0.5, -0.0, 1e300, 0 / 0, math.huge, true, false, "", "x", ("y"):rep(62),
      ("y"):rep(63), ("y"):rep(64), ("z"):rep(300), "\0", {}, {1, {2}}, print}
    local keys = {1, 2, 3, 4, 5, 0, -1, 100, math.mininteger, 0.5, -1e300, math.huge, true, false,
      "", "a", "id", "_x", "__name", ("k"):rep(63), ("k"):rep(64), "1", "n", "\0\0"}
    for _ = 1, helper.scale(4000) do
      local t = {}
      for _ = 1, random(12) do
        -- mostly scalars that keep the table on the short way
        t[keys[random(random(3) == 1 and #keys or 8)]] =
          values[random(random(4) == 1 and #values or 18)]
      end
      for _ = 1, random(2) - 1 do t["f" .. random(9)] = "some text" end
      check_same(t, alone(t))
    end
  end)

  it("are whole when they fill a message, or nearly", function()
    for n = 0, 70 do
      for _, last in ipairs {5, 200, 70000, 1 << 40, 0.5, "ab", true} do
        local t = {s = ("x"):rep(n), z = last}
        check_same(t, alone(t))
        t = {("x"):rep(n), last}
        check_same(t, alone(t))
      end
    end
    for n = 1, 40 do
      local t = {}
      for i = 1, n do t["key" .. i] = i end
      check_same(t, alone(t))
    end
  end)

  it("stay classes, modules and globals if they are", function()
    local class = {}
    class.__index = class
    assert.equal(class, alone(setmetatable({1}, class)).__index)
    assert.equal(string, alone(string))
    assert.equal(_G, chunk("local alone = ... return alone(_G)", alone))
    local t = {x = 1}
    t.t = t
    local twin = alone(t)
    assert.equal(twin, twin.t)
  end)

  it("leave nothing behind when memory fails", function()
    assert(helper.fail_each(function()
      local other = queue.Queue()
      other:put {("x"):rep(60), ("y"):rep(60)}
      assert(other:get()[2] == ("y"):rep(60))
    end) > 1)
  end)
end)

describe("What crosses: long sequences", function()
  local function fill(t, from, to, step, value)
    for i = from, to, step do t[i] = value(i) end
    return t
  end

  local function integer(i) return i * 0x10001 * (-1) ^ i // 1 | 0 end

  -- Ways to make a table of 1 to n that lie differently in memory.
  local ways = {
    function(n, v) return fill({}, 1, n, 1, v) end,
    function(n, v) return fill({}, n, 1, -1, v) end,
    function(n, v) return table.pack(table.unpack(fill({}, 1, n, 1, v), 1, n)) end,
    function(n, v) return fill({x = 1, y = 2, [0] = 3, [-1] = 4, [1.5] = 5}, 1, n, 1, v) end,
    function(n, v) -- in the hash, as long as it has room
      local t = {}
      for i = 1, 2 * n do t["k" .. i] = i end
      for i = 1, 2 * n do t["k" .. i] = nil end
      return fill(t, 1, n, 1, v)
    end,
    function(n, v) -- half in the array, half in the hash
      local t = fill({}, 1, n // 2, 1, v)
      for i = 1, n do t["k" .. i] = i end
      for i = 1, n - 3 do t["k" .. i] = nil end
      return fill(t, n // 2 + 1, n, 1, v)
    end,
    function(n, v) -- more behind a hole
      local t = fill({}, 1, 2 * n, 1, v)
      t[n + 1], t[2 * n - 1] = nil, nil
      return t
    end,
    function(n, v) -- holes
      local t = fill({}, 1, n, 1, v)
      for i = 3, n, 7 do t[i] = nil end
      return t
    end,
    function(n, v) -- nothing at the beginning
      local t = fill({}, 1, n, 1, v)
      t[1], t[2] = nil, nil
      return t
    end,
    function(n, v) return fill(fill({}, 1, n, 1, v), n + 2, n + 40, 3, v) end,
  }

  -- Raises at the first item that differs; tables are compared by their only item.
  local function compare(t, twin, n)
    for i = 1, n do
      local x, y = t[i], twin[i]
      if type(x) == "table" then x, y = x[1], y[1] end
      if x ~= y or math.type(x) ~= math.type(y) then
        error(("of %d item %d: %s, %s"):format(n, i, x, y))
      end
    end
    assert.equal(n, #twin)
  end

  it("are the same, whatever they are of", function()
    local long = ("x"):rep(200)
    local items = {
      function(i) return i end, function(i) return -i end, function(i) return i << 30 end,
      function(i) return i / 2 end, function(i) return i + 0.0 end,
      function(i) return i % 3 == 0 end,
      function(i) return "s" .. i end, function(i) return long .. i end,
      function(i) return ({i, i / 2, "s", long, false})[i % 5 + 1] end,
    }
    for _, n in ipairs {63, 64, 65, 127, 128, 129, 1000} do
      for _, item in ipairs(items) do
        local t = fill({}, 1, n, 1, item)
        compare(t, copy(t), n)
        for _, at in ipairs {1, 2, 61, 62, 63, n, n + 1} do
          local before = t[at]
          t[at] = {at}
          compare(t, copy(t), math.max(n, at))
          t[at] = before
        end
      end
    end
  end)

  it("may be shared, in a class, and in each other", function()
    local class = {}
    class.__index = class
    function class.sum(self)
      local sum = 0
      for _, x in ipairs(self) do sum = sum + x end
      return sum
    end
    local t = setmetatable(fill({}, 1, 100, 1, integer), class)
    local plain = fill({}, 1, 100, 1, integer)
    local twin = copy {t, plain, plain, {plain, fill({}, 1, 100, 1, function() return t end)}}
    assert.equal(t:sum(), twin[1]:sum())
    assert.equal(twin[2], twin[3])
    assert.equal(twin[2], twin[4][1])
    assert.equal(twin[1], twin[4][2][100])
    compare(plain, twin[2], 100)
  end)

  it("are the same when Lua's stack cannot hold them", function()
    if DEEP < 100000 then return end
    local n = 600000
    local t = fill({}, 1, n, 1, integer)
    compare(t, copy(t), n)
    local function deep(level) -- nearly as deep as Lua goes
      if level > 0 then return (deep(level - 1)) end
      return copy(t)
    end
    t = fill({}, 1, 5000, 1, integer)
    for _, level in ipairs {1000, 150000, 190000} do compare(t, deep(level), 5000) end
  end)

  it("are the same, however they lie in memory", function()
    for _, n in ipairs {1, 8, 31, 32, 33, 40, 63, 64, 65, 100, 128, 1000, 4097} do
      for k, way in ipairs(ways) do
        local t = way(n, integer)
        local count = 0
        local twin = copy(t)
        for key, x in pairs(t) do
          count = count + 1
          if twin[key] ~= x then error(("way %d, n %d, key %s"):format(k, n, key)) end
        end
        for _ in pairs(twin) do count = count - 1 end
        assert.equal(0, count)
      end
    end
  end)

  it("may hold anything anywhere", function()
    local kinds = {
      function(i) return i end, function(i) return i + 0.5 end, function(i) return "s" .. i end,
      function(i) return i % 2 == 0 end, function(i) return {i} end,
      function(i) return ("x"):rep(i * 10) end, function(i) return -i << 40 end,
    }
    for n = 32, 300, 67 do
      for k = 1, #kinds do
        for at = 1, n, 13 do
          local t = fill({}, 1, n, 1, function(i) return kinds[i == at and k or at % 4 + 1](i) end)
          assert.same(t, copy(t))
        end
      end
    end
  end)

  it("name a culprit by its index", function()
    local t = fill({}, 1, 100, 1, integer)
    t[70] = coroutine.create(print)
    assert.error_matches(function() copy(t) end, "item%[1%]%[70%]: cannot send a coroutine")
  end)
end)

describe("What crosses: functions of conc", function()
  it("is what its modules hold", function()
    for _, f in ipairs {conc.sleep, conc.sendable, threading.Lock, threading.Dict,
      threading.Dict.update, threading.Timer, queue.Queue, conc.Error.is} do
      assert.equal(f, copy(f))
    end
    assert.is_true(there(function(f) return f == require "conc".sleep end, conc.sleep))
  end)

  it("is every method of its objects, the receiver's own", function()
    local futures = require "conc.futures"
    local executor <close> = futures.ThreadPoolExecutor(1)
    local future = executor:submit(function() end)
    local objects = {threading.Lock(), threading.RLock(), threading.Condition(),
      threading.Semaphore(), threading.BoundedSemaphore(), threading.Event(),
      threading.Barrier(1), threading.Value("i"), threading.Array("i", 1),
      threading.Thread {target = print}, queue.Queue(), queue.LifoQueue(),
      queue.PriorityQueue(), queue.SimpleQueue(), executor, future}
    for _, name in ipairs {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore",
      "Event", "Queue", "JoinableQueue", "SimpleQueue"} do
      objects[#objects + 1] = multiprocessing[name]()
    end
    objects[#objects + 1] = multiprocessing.Barrier(1)
    objects[#objects + 1] = multiprocessing.Value("i")
    objects[#objects + 1] = multiprocessing.Array("i", 1)
    local n = 0
    for _, object in ipairs(objects) do
      local index = getmetatable(object).__index
      local methods = type(index) == "table" and index or select(2, debug.getupvalue(index, 2))
      for name, method in pairs(methods) do
        assert.equal(method, copy(method))
        assert.is_true(there(function(o, m, key) return o[key] == m end, object, method, name))
        n = n + 1
      end
    end
    assert.is_true(n > 150)
  end)

  it("is a method as a target or a task", function()
    local futures = require "conc.futures"
    local q, e, a = queue.Queue(), threading.Event(), threading.Array("i", 1)
    local t = threading.Thread {target = q.put, args = {q, 1}}
    t:start()
    assert.equal(1, q:get())
    t:join()
    local executor <close> = futures.ThreadPoolExecutor(2)
    local waiting = executor:submit(e.wait, e)
    executor:submit(a.set, a, 1, 5):result()
    assert.equal(5, a[1])
    e:set()
    assert.is_true(waiting:result())
  end)
end)

describe("__conc_pack", function()
  it("says how to build the object over there, with a function", function()
    local mt = {}
    mt.__gc = function() end
    mt.__conc_pack = function(o)
      return function(a, b, c) return {a, b, c, "rebuilt"} end, o.secret, nil, {1}
    end
    local o = setmetatable({secret = "s", co = coroutine.create(print)}, mt)
    local r = journey(o)
    assert.same({"s", nil, {1}, "rebuilt"}, r)
    assert.is_nil(getmetatable(r))
  end)

  it("says it with the name of a function in a module", function()
    local o = setmetatable({}, {__conc_pack = function() return "math:max", 3, 9, 4 end})
    assert.equal(9, journey(o))
    local p = setmetatable({}, {__conc_pack = function() return "string:rep", "ab", 2 end})
    assert.equal("abab", there(function(x) return x end, p))
    local q = setmetatable({}, {__conc_pack = function() return "table:pack" end})
    assert.same({n = 0}, journey(q))
  end)

  it("is asked once for an object that is met twice", function()
    local asked = 0
    local o = setmetatable({}, {__conc_pack = function()
      asked = asked + 1
      return function() return {} end
    end})
    local a, b, t = journey(o, o, {o})
    assert.equal(1, asked)
    assert.equal(a, b)
    assert.equal(a, t[1])
  end)

  it("may return more objects that have it", function()
    local mt = {}
    mt.__conc_pack = function(o)
      return function(n, inner) return {n = n, inner = inner} end, o.n, o.inner
    end
    local o
    for n = 1, 50 do o = setmetatable({n = n, inner = o}, mt) end
    local r = journey(o)
    for n = 50, 1, -1 do
      assert.equal(n, r.n)
      r = r.inner
    end
    assert.is_nil(r)
  end)

  it("works in a class that is sent by value", function()
    local Class = chunk [[
      local Class = {}
      Class.__index = Class
      function Class.new(n) return setmetatable({n = n}, Class) end
      function Class:__conc_pack() return Class.new, self.n * 2 end
      return Class]]
    assert.equal(2, copy(Class.new(1)).n)
    local r = there(function(o) return o.n end, Class.new(2))
    assert.equal(4, r)
  end)

  it("may return very many values", function()
    for _, n in ipairs{20, 200, 100000} do
      local args = {}
      for i = 1, n do args[i] = i end
      local o = setmetatable({}, {__conc_pack = function()
        return "table:pack", table.unpack(args)
      end})
      assert.equal(n, journey(o).n)
    end
  end)

  it("raises in the sender what it raises", function()
    local q = queue.SimpleQueue()
    local o = setmetatable({}, {__conc_pack = function() error({"mine"}, 0) end})
    local ok, err = pcall(q.put, q, {o})
    assert.is_false(ok)
    assert.same({"mine"}, err)
    assert.is_true(q:empty())
    q:put {1}
    assert.same({1}, q:get())
  end)

  it("must return a function or a name first", function()
    local q = queue.SimpleQueue()
    for _, bad in ipairs {0, 1, 2} do
      local o = setmetatable({}, {__conc_pack = function()
        if bad == 1 then return nil, 1 end
        if bad == 2 then return {} end
      end})
      assert.error_matches(function() q:put {x = o} end,
        "item%.x: __conc_pack must return a function or \"module:field\" first")
    end
    assert.is_true(q:empty())
  end)

  it("must return a name of the form module:field, if it is a name", function()
    local q = queue.SimpleQueue()
    for _, bad in ipairs {"", "x", ":", "x:", ":x", "a::b", "a:b:", "a:b\0", "a\0b"} do
      local o = setmetatable({}, {__conc_pack = function() return bad end})
      assert.error_matches(function() q:put {x = o} end,
        "item%.x: __conc_pack must return a function or \"module:field\" first")
    end
    assert.is_true(q:empty())
  end)

  it("must not take entries out of the tables around its object", function()
    local q = queue.SimpleQueue()
    local t = {}
    t.x = setmetatable({}, {__conc_pack = function()
      t.x = nil
      for i = 1, 100 do t["k" .. i] = i end
      collectgarbage()
      return "math:max", 1
    end})
    assert.error_matches(function() q:put {a = t} end,
      "item%.a%.x: a __conc_pack has changed the table around it")
    assert.is_true(q:empty())
    q:put {a = t}
    assert.equal(100, q:get().a.k100)
  end)

  it("names the culprit among what it returned", function()
    local q = queue.SimpleQueue()
    local o = setmetatable({}, {__conc_pack = function()
      return print, {a = coroutine.create(print)}
    end})
    assert.error_matches(function() q:put {o} end, "cannot send a coroutine")
    assert.is_true(q:empty())
  end)

  it("raises in the receiver what rebuilding raises; the next item is unharmed", function()
    local q = queue.SimpleQueue()
    q:put(setmetatable({}, {__conc_pack = function()
      return chunk "return function() error('no way', 0) end"
    end}))
    q:put(setmetatable({}, {__conc_pack = function() return "math:nothing" end}))
    q:put "next"
    assert.error_matches(function() q:get() end, "no way")
    assert.error_matches(function() q:get() end, "module 'math': it has no such field")
    assert.equal("next", q:get())
  end)

  it("may put things into queues and collect garbage meanwhile", function()
    local q, other = queue.SimpleQueue(), queue.SimpleQueue()
    local mt = {}
    mt.__conc_pack = function(o)
      other:put {o.n, {}}
      for _ = 1, 10 do setmetatable({}, {__gc = function() other:put {"gc"} end}) end
      collectgarbage()
      return function(n) return {n} end, o.n
    end
    local list = {}
    for n = 1, 20 do list[n] = setmetatable({n = n}, mt) end
    q:put(list)
    for n, item in ipairs(q:get()) do assert.equal(n, item[1]) end
    local seen = 0
    while not other:empty() do
      local item = other:get()
      if item[1] ~= "gc" then
        seen = seen + 1
        assert.same({seen, {}}, item)
      end
    end
    assert.equal(20, seen)
  end)
end)

describe("What does not cross", function()
  local function refused(text, value)
    local q = queue.SimpleQueue()
    q:put "before"
    local ok, err = pcall(q.put, q, value)
    assert.is_false(ok)
    assert.is_truthy(err:find(text, 1, true), err .. "\nis not about: " .. text)
    assert.equal(1, q:qsize())
    assert.equal("before", q:get())
    q:put {"after"}
    assert.same({"after"}, q:get())
  end

  it("is a coroutine", function()
    refused("item: cannot send a coroutine", coroutine.create(print))
    refused("item: cannot send a coroutine", (coroutine.running()))
  end)

  it("is a C function that no module holds", function()
    refused("item: cannot send a C function that no module holds", (("x"):gmatch "x"))
    refused("item.f: cannot send a C function", {f = coroutine.wrap(print)})
  end)

  it("is userdata", function()
    local file <close> = assert(io.tmpfile())
    refused("item: cannot send a FILE*", file)
    refused("item[2]: cannot send a FILE*", {1, file})
  end)

  it("is an object with __gc or __close but no __conc_pack", function()
    local what = "cannot send an object with __gc or __close but no __conc_pack"
    refused("item (metatable): " .. what, setmetatable({}, {__gc = function() end}))
    refused("item.x (metatable): " .. what, {x = setmetatable({}, {__close = function() end})})
  end)

  it("is named by its path", function()
    local co = coroutine.create(print)
    local function f() return co end
    refused("item.cfg.handler: cannot send a coroutine", {cfg = {handler = co}})
    refused("item[3]: cannot send a coroutine", {1, 2, co})
    refused("item[1][2].x[10]: cannot send a coroutine", {{0, {x = {[10] = co}}}})
    refused("item[\"two words\"]: cannot send a coroutine", {["two words"] = co})
    refused("item[\"1x\"]: cannot send a coroutine", {["1x"] = co})
    refused("item[a boolean]: cannot send a coroutine", {[true] = co})
    refused("item[a number]: cannot send a coroutine", {[1.5] = co})
    refused("item[a table].x: cannot send a coroutine", {[{}] = {x = co}})
    refused("item (upvalue 'co'): cannot send a coroutine", f)
    refused("item.g (upvalue 'co'): cannot send a coroutine", {g = f})
    refused("cannot send a coroutine", {[co] = 1})
  end)

  it("is named by its path through a class", function()
    local Class = {}
    Class.__index = Class
    Class.co = coroutine.create(print)
    refused(".co: cannot send a coroutine", setmetatable({}, Class))
    refused("item[1]", {setmetatable({}, Class)})
  end)

  it("is named by its path at any depth, the text cut short", function()
    local t = coroutine.create(print)
    for _ = 1, 10000 do t = {x = t} end
    refused("item.x.x.x", t)
    refused("cannot send a coroutine", t)
  end)

  it("is named as an argument of a thread", function()
    local co = coroutine.create(print)
    local function make(target, ...)
      local args = table.pack(...)
      return function() threading.Thread {target = target, args = args} end
    end
    assert.error_matches(make(print, 1, {cfg = {handler = co}}),
      "args%[2%]%.cfg%.handler: cannot send a coroutine")
    assert.error_matches(make(print, co), "args%[1%]: cannot send a coroutine")
    assert.error_matches(make(function() return co end),
      "target %(upvalue 'co'%): cannot send a coroutine")
    assert.error_matches(make((("x"):gmatch "x")), "target: cannot send a C function")
  end)

  it("is told by conc.sendable beforehand", function()
    for _, good in ipairs {false, 1, "x", {}, print, {{print}}, threading.Lock()} do
      assert.same({true}, {conc.sendable(good)})
    end
    assert.same({true}, {conc.sendable(nil)})
    local ok, reason = conc.sendable {cfg = {handler = coroutine.create(print)}}
    assert.is_false(ok)
    assert.matches("value%.cfg%.handler: cannot send a coroutine$", reason)
    assert.error_matches(function() conc.sendable() end,
      "bad argument #1 to '.-' %(value: value expected%)")
    assert.error_matches(function() conc.sendable(1, 2) end, "surplus argument")
  end)
end)

describe("An object of conc", function()
  local makers = {
    Lock = threading.Lock, RLock = threading.RLock, Condition = threading.Condition,
    Semaphore = threading.Semaphore, BoundedSemaphore = threading.BoundedSemaphore,
    Event = threading.Event, Barrier = function() return threading.Barrier(2) end,
    Value = function() return threading.Value("i", 0) end,
    Array = function() return threading.Array("i", 3) end,
    Dict = threading.Dict, Local = threading.Local,
    Queue = queue.Queue, LifoQueue = queue.LifoQueue,
    PriorityQueue = queue.PriorityQueue, SimpleQueue = queue.SimpleQueue,
    Thread = function() return threading.Thread {target = print} end,
  }

  for name, make in pairs(makers) do
    it("is the same object after a journey: " .. name, function()
      local object = make()
      local back, list, same = there(function(o, t)
        return o, t, rawequal(o, t[1])
      end, object, {object})
      assert.is_true(rawequal(object, back))
      assert.is_true(rawequal(object, list[1]))
      assert.is_true(same)
      assert.is_true(rawequal(object, copy(object)))
    end)
  end

  it("is one userdata in a state, from however many messages", function()
    local lock, q = threading.Lock(), queue.SimpleQueue()
    for _ = 1, 3 do q:put(lock) end
    assert.is_true(there(function(from)
      local a, b = from:get(), from:get()
      local t = {[a] = 1}
      return t[b] == 1 and t[from:get()] == 1
    end, q))
  end)

  it("lives as long as a message that holds it", function()
    local q = queue.SimpleQueue()
    q:put(queue.SimpleQueue())
    collectgarbage()
    local inner = q:get()
    inner:put "alive"
    assert.equal("alive", inner:get())
  end)

  it("goes with a message that nobody takes", function()
    local q = queue.SimpleQueue()
    for _ = 1, 100 do q:put {threading.Lock(), {function() return q end}} end
    while not q:empty() do q:get() end
    local lost = queue.SimpleQueue()
    for _ = 1, 100 do lost:put {threading.Lock()} end -- helper looks for leaks
  end)

  it("is many in one message", function()
    local list = {}
    for i = 1, 1000 do list[i] = threading.Value("i", i) end
    local other = there(function(t)
      for i = 1, #t do t[i]:add(1) end
      return t
    end, list)
    for i = 1, 1000 do
      assert.is_true(rawequal(list[i], other[i]))
      assert.equal(i + 1, list[i].value)
    end
  end)
end)

describe("Packing", function()
  it("is not disturbed by finalizers that put into queues", function()
    local q, graves = queue.SimpleQueue(), queue.SimpleQueue()
    local function grave(n)
      setmetatable({}, {__gc = function() graves:put {n, {n}, tostring(n)} end})
    end
    for n = 1, helper.scale(300) do
      grave(n)
      local Class = {}
      Class.__index = Class
      local f = load("return " .. n, "=made", "t", _G)
      local item = {n, f, setmetatable({n}, Class), tostring(n):rep(50)}
      if n % 10 == 0 then collectgarbage "step" end
      q:put(item)
      local got = q:get()
      assert.equal(n, got[1])
      assert.equal(n, got[2]())
      assert.equal(n, got[3][1])
      assert.equal(Class, getmetatable(got[3]))
      assert.equal(item[4], got[4])
    end
    collectgarbage()
    local seen = {}
    while not graves:empty() do
      local item = graves:get()
      assert.same({item[1], {item[1]}, tostring(item[1])}, item)
      assert.is_nil(seen[item[1]])
      seen[item[1]] = true
    end
  end)

  it("leaves the message to whoever comes first, and the rest unharmed", function()
    -- an error in reading is the reader's, the queue goes on
    local q = queue.SimpleQueue()
    q:put(setmetatable({}, {__conc_pack = function() return "no_such_module:f" end}))
    q:put(1)
    assert.error_matches(function() q:get() end, "module 'no_such_module' not found")
    assert.equal(1, q:get())
  end)

  local co = coroutine.create(print)
  local Class = {}
  Class.__index = Class
  local kinds = {
    ["a long string"] = function() return ("x"):rep(1000) end,
    ["a table"] = function() return {1, 2, {3, x = ("x"):rep(100)}} end,
    ["a big table"] = function()
      local t = {}
      for i = 1, 300 do t[i] = {i} end
      return t
    end,
    ["a deep table"] = function()
      local t = {}
      for _ = 1, 100 do t = {t} end
      return t
    end,
    ["a function"] = function()
      local n = 1
      return load("return " .. math.random(1 << 40), "=made", "t", _G), function() return n end
    end,
    ["a new class"] = function()
      local New = {}
      New.__index = New
      return setmetatable({}, setmetatable({__index = New}, {__index = New}))
    end,
    ["a known class"] = function() return setmetatable({}, Class) end,
    ["__conc_pack"] = function()
      return setmetatable({}, {__conc_pack = function() return "math:max", 1, 2 end})
    end,
    ["many objects"] = function()
      local t = {}
      for i = 1, 20 do t[i] = threading.Lock() end
      return t
    end,
    ["what does not cross"] = function() return {threading.Lock(), {x = co}} end,
  }
  for name, make in pairs(kinds) do
    it("frees everything when memory fails at " .. name, function()
      local q = queue.SimpleQueue()
      local raised = helper.fail_each(function()
        local value = make()
        if name == "what does not cross" then
          local ok, err = pcall(q.put, q, value)
          assert(not ok)
          if err:find "not enough memory" then error(err, 0) end
        else
          q:put(value)
          q:get()
        end
      end)
      assert.is_true(raised > 0)
      assert.is_true(q:empty())
    end)
  end
end)
