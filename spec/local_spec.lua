local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Local = threading.Local

describe("A Local", function()
  it("has fields of any kind, which are the thread's own", function()
    local data = Local()
    data.x, data[1], data.list = 1, "one", {2}
    assert.same({1, "one", {2}}, {data.x, data[1], data.list})
    data.x = nil
    assert.is_nil(data.x)
  end)

  it("is empty in every other thread, and what is set there stays there", function()
    local data = Local()
    data.x = "main"
    local seen, own = helper.thread(function(d)
      local before = d.x
      d.x = "thread"
      return before, d.x
    end, data)()
    assert.same({nil, "thread"}, {seen, own})
    assert.equal("main", data.x)
  end)

  it("may hold what cannot travel", function()
    local data = Local()
    data.co = coroutine.create(print)
    data.file = io.tmpfile()
    assert.equal("thread", type(data.co))
    assert.is_nil(helper.thread(function(d) return d.co or d.file end, data)())
    data.file:close()
  end)

  it("is the same in all functions of a thread, however it came there", function()
    local q, data = queue.SimpleQueue(), Local()
    for _ = 1, 2 do q:put {data} end
    assert.equal(5, helper.thread(function(from)
      from:get()[1].x = 5
      return from:get()[1].x
    end, q)())
  end)

  it("lists the thread's fields with pairs", function()
    local data = Local()
    data.a, data.b = 1, 2
    local seen = {}
    for k, v in pairs(data) do seen[k] = v end
    assert.same({a = 1, b = 2}, seen)
    assert.is_nil(next(helper.thread(function(d)
      local t = {}
      for k, v in pairs(d) do t[k] = v end
      return t
    end, data)()))
  end)

  it("runs init with its arguments in each thread, before the first use there", function()
    local calls = threading.Value("i", 0)
    local data = Local(function(self, n, x, y)
      n:add(1)
      self.list, self.y = {x}, y
    end, {calls, "x", "y"})
    assert.equal(0, calls.value)
    assert.same({"x"}, data.list)
    assert.same({"x"}, data.list)
    assert.equal(1, calls.value)
    local list, y = helper.thread(function(d)
      d.list[2] = "more"
      return d.list, d.y
    end, data)()
    assert.same({"x", "more"}, list)
    assert.equal("y", y)
    assert.same({"x"}, data.list)
    assert.equal(2, calls.value)
    helper.thread(function(_) end, data)()
    assert.equal(2, calls.value)
  end)

  it("takes init and args by name, and args.n counts the nils", function()
    local data = Local {init = helper.portable(function(self, ...)
      self.seen, self.last = select("#", ...), (...)
    end), args = {n = 3, nil, 5, nil}}
    assert.equal(3, data.seen)
    assert.is_nil(data.last)
  end)

  it("starts again when init has failed", function()
    local tries = threading.Value("i", 0)
    local data = Local(function(self, n, fail)
      if n:add(1) == 1 then fail("not yet", 0) end
      self.x = "ready"
    end, {tries, error})
    assert.error_matches(function() return data.x end, "not yet")
    assert.equal("ready", data.x)
  end)

  it("frees a thread's fields at its end", function()
    local data, freed = Local(), queue.SimpleQueue()
    helper.thread(function(d, q)
      d.x = setmetatable({}, {__gc = function() q:put "freed" end})
    end, data, freed)()
    assert.equal("freed", freed:get(helper.patience))
  end)

  it("frees all fields with itself", function()
    local freed = 0
    do
      local data = Local()
      data.x = setmetatable({}, {__gc = function() freed = freed + 1 end})
      data.self = data
    end
    collectgarbage()
    collectgarbage()
    assert.equal(1, freed)
  end)

  it("keeps a thread's fields while others have it", function()
    local data = Local(function(self) self.n = 0 end)
    local ex <close> = require("conc.futures").ThreadPoolExecutor(1)
    local function count(d)
      collectgarbage()
      d.n = d.n + 1
      return d.n
    end
    for i = 1, 5 do assert.equal(i, ex:submit(count, data):result()) end
    local box = queue.Queue()
    data.x = setmetatable({}, {__gc = function(t) t.gone = true end})
    box:put(data)
    data = nil -- luacheck: ignore data
    collectgarbage()
    collectgarbage()
    local again = box:get()
    assert.is_nil(again.x.gone)
    assert.equal(6, ex:submit(count, again):result())
  end)

  it("drops a thread's fields when nobody has it", function()
    local freed, box = 0, queue.Queue()
    for _ = 1, 100 do
      local data = Local()
      data.x = setmetatable({}, {__gc = function() freed = freed + 1 end})
      box:put(data)
      box:get()
    end
    collectgarbage()
    collectgarbage()
    local last = Local()
    last.x = 1
    for _ = 1, 100 do
      local data = Local()
      data.x = 1
      box:put(data)
      box:get()
    end
    collectgarbage()
    collectgarbage()
    assert.equal(100, freed)
  end)

  it("is the same object after a journey, fields and all", function()
    local data = Local()
    data.x = 1
    local back = helper.thread(function(d) return d end, data)()
    assert.is_true(rawequal(data, back))
    assert.equal(1, back.x)
    assert.matches("^Local: ", tostring(data))
  end)

  it("is independent of other Locals", function()
    local a, b = Local(), Local()
    a.x = 1
    assert.is_nil(b.x)
    assert.are_not.equal(a, b)
  end)

  it("names the argument that is wrong", function()
    local co = coroutine.create(print)
    assert.error_matches(function() Local(1) end, "init: function expected, got number")
    assert.error_matches(function() Local(print, 1) end, "args: table expected, got number")
    assert.error_matches(function() Local {args = {1}} end, "init: function expected, got nil")
    assert.error_matches(function() Local {x = 1} end, "unknown option 'x'")
    assert.error_matches(function() Local(print, {}, 1) end, "surplus argument")
    assert.error_matches(function() Local(print, {1, {co}}) end,
      "args%[2%]%[1%]: cannot send a coroutine")
    assert.error_matches(function() Local(function() return co end) end,
      "init %(upvalue 'co'%): cannot send a coroutine")
  end)

  it("frees whichever step of its constructor fails", function()
    local f = load("return ...", "=made", "t", _G)
    assert.is_true(helper.fail_each(function()
      local data = Local(f, {threading.Lock(), ("x"):rep(100)})
      data.x = 1
    end) > 1)
  end)
end)
