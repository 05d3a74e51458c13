local behaviour = require "spec.support.queue_behaviour"
local helper = require "spec.helper"
local queue = require "conc.queue"

local PriorityQueue = queue.PriorityQueue

-- Put all, get all.
local function sorted(items)
  local q, out = PriorityQueue(), {}
  for _, item in ipairs(items) do q:put(item) end
  for i = 1, #items do out[i] = q:get(0) end
  assert.is_true(q:empty())
  return out
end

-- The items in another order, the same each time.
local function shuffled(items)
  local out, x = table.move(items, 1, #items, 1, {}), 12345
  for i = #out, 2, -1 do
    x = (x * 1103515245 + 12345) % 2 ^ 31 | 0
    local k = x % i + 1
    out[i], out[k] = out[k], out[i]
  end
  return out
end

describe("A PriorityQueue", function()
  behaviour.check "PriorityQueue"

  it("gives the lowest item first", function()
    local items = {}
    for i = 1, 500 do items[i] = i // 2 end
    assert.same(items, sorted(shuffled(items)))
  end)

  it("gives the lowest of what it holds at each get", function()
    local q = PriorityQueue()
    q:put(5)
    q:put(3)
    assert.equal(3, (q:get()))
    q:put(1)
    q:put(9)
    assert.equal(1, (q:get()))
    assert.equal(5, (q:get()))
    assert.equal(9, (q:get()))
  end)

  it("compares integers and floats exactly, as Lua's < does", function()
    local big = 1 << 53
    local items = {
      -math.huge, -2.0 ^ 63 * 2, math.mininteger, math.mininteger + 1, -2.5, -2, -1.5, -0.5, 0,
      0.5, 1, 1.5, 2, big - 1, big, big + 1, big + 2, big + 3, math.maxinteger - 1,
      math.maxinteger, 2.0 ^ 63, 2.0 ^ 64, math.huge,
    }
    for i = 2, #items do assert.is_true(items[i - 1] < items[i]) end
    for _ = 1, 5 do
      items = sorted(shuffled(items))
      for i = 2, #items do assert.is_true(items[i - 1] < items[i]) end
    end
  end)

  it("agrees with Lua about floats next to large integers", function()
    local function first(a, b)
      local q = PriorityQueue()
      q:put("b", nil, b)
      q:put("a", nil, a)
      return (q:get())
    end
    local integers = {0, 1, -1, 3, (1 << 53) + 1, (1 << 62) + 1, math.maxinteger, math.mininteger}
    local floats = {0.0, -0.0, 0.25, -0.25, 1.0, -1.0, 2.0 ^ 53, 2.0 ^ 62, 2.0 ^ 63, -2.0 ^ 63,
      3.0, 2.9999999999999996, 1e308, -1e308, math.huge, -math.huge}
    for _, i in ipairs(integers) do
      for _, f in ipairs(floats) do
        assert.equal(i < f and "a" or "b", first(i, f))
        assert.equal(f < i and "a" or "b", first(f, i))
      end
    end
  end)

  it("gives items of one priority in the order in which they were put", function()
    local q = PriorityQueue()
    for i = 1, 300 do q:put({i}, nil, i % 3) end
    for priority = 0, 2 do
      local last = 0
      for _ = 1, 100 do
        local item, err, p = q:get(0)
        assert.is_nil(err)
        assert.equal(priority, p)
        assert.is_true(item[1] > last)
        last = item[1]
      end
    end
  end)

  it("takes an integer and the float that equals it for one priority", function()
    local q = PriorityQueue()
    for i, priority in ipairs {1, 1.0, 1, 1.0} do q:put("item " .. i, nil, priority) end
    local seen = {}
    for i = 1, 4 do seen[i] = math.type(select(3, q:get(0))) end
    assert.same({"integer", "float", "integer", "float"}, seen)
  end)

  it("orders strings by their bytes, after all numbers", function()
    local items = {math.huge, "", "\0", "\0\0", "1", "A", "Z", "a", "aa", "ab", "b", "\255"}
    assert.same(items, sorted(shuffled(items)))
    assert.same({-1, 2.5, "-1", "2"}, sorted {"2", 2.5, "-1", -1})
  end)

  it("gives the priority as it was put after the item and nil", function()
    local q = PriorityQueue()
    q:put("b", nil, 2)
    q:put("a", nil, 1.5)
    q:put("c", nil, "high")
    q:put(0)
    assert.same({n = 3, 0, nil, 0}, table.pack(q:get()))
    assert.same({n = 3, "a", nil, 1.5}, table.pack(q:get(1)))
    assert.same({n = 3, "b", nil, 2}, table.pack(q:get_nowait()))
    assert.same({n = 3, "c", nil, "high"}, table.pack(q:get(0)))
    assert.same(behaviour.TIMEOUT, table.pack(q:get(0)))
  end)

  it("prefers the priority that is given to the item's own", function()
    local q = PriorityQueue()
    q:put(1, nil, 10)
    q:put(2, nil, 5)
    q:put("z", nil, 1)
    assert.same({n = 3, "z", nil, 1}, table.pack(q:get()))
    assert.same({n = 3, 2, nil, 5}, table.pack(q:get()))
    assert.same({n = 3, 1, nil, 10}, table.pack(q:get()))
  end)

  it("takes any item with a priority, nil and false too", function()
    local q = PriorityQueue(4)
    assert.is_true(q:put(nil, 0, 2))
    assert.is_true(q:put(false, nil, 1))
    assert.is_true(q:put({x = 1}, 1, 0))
    assert.is_true(q:put_nowait({y = 2}, 3))
    assert.same(behaviour.TIMEOUT, table.pack(q:put({}, 0, 5)))
    assert.same(behaviour.TIMEOUT, table.pack(q:put_nowait({}, "a string")))
    assert.same({x = 1}, (q:get()))
    assert.same({n = 3, false, nil, 1}, table.pack(q:get()))
    assert.same({n = 3, nil, nil, 2}, table.pack(q:get()))
    assert.same({n = 3, {y = 2}, nil, 3}, table.pack(q:get()))
  end)

  it("waits for room with the priority at hand", function()
    local q = PriorityQueue(1)
    q:put(5)
    local log, finish = behaviour.blocked(q, "put", {1}, nil, ("p"):rep(100))
    assert.equal(5, (q:get()))
    assert.same({n = 1, true}, behaviour.outcome(log, finish))
    assert.same({n = 3, {1}, nil, ("p"):rep(100)}, table.pack(q:get(helper.patience)))
  end)

  it("is iterated over from the lowest, items only", function()
    local q, seen = PriorityQueue(), {}
    for _, p in ipairs {3, 1, 2} do q:put("item " .. p, nil, p) end
    q:shutdown()
    for item, more in q:items() do
      seen[#seen + 1] = item
      assert.is_nil(more)
    end
    assert.same({"item 1", "item 2", "item 3"}, seen)
  end)

  it("drops items with string priorities when it is shut down or goes", function()
    local q = PriorityQueue()
    for i = 1, 20 do q:put({}, nil, "priority " .. i) end
    q:shutdown {immediate = true}
    assert.is_true(q:empty())
    q = PriorityQueue()
    for i = 1, 20 do q:put({}, nil, "priority " .. i) end
    for _ = 1, 5 do q:get() end
  end)

  it("names the argument that is wrong, and is as before", function()
    local q = PriorityQueue()
    local nan = 0 / 0
    assert.error_matches(function() q:put {} end,
      "bad argument #3 to 'put' %(priority: needed, since the item is a table")
    assert.error_matches(function() q:put(nil) end, "priority: needed, since the item is a nil")
    assert.error_matches(function() q:put(false, 1) end, "priority: needed, .- a boolean")
    assert.error_matches(function() q:put_nowait {} end,
      "bad argument #2 to 'put_nowait' %(priority: needed, since the item is a table")
    assert.error_matches(function() q:put(1, nil, {}) end,
      "bad argument #3 to 'put' %(priority: number or string expected, got table")
    assert.error_matches(function() q:put_nowait(1, true) end,
      "bad argument #2 to 'put_nowait' %(priority: number or string expected, got boolean")
    assert.error_matches(function() q:put(nan) end, "priority: must not be NaN")
    assert.error_matches(function() q:put("x", nil, nan) end, "priority: must not be NaN")
    assert.error_matches(function() q:put_nowait("x", nan) end, "priority: must not be NaN")
    assert.error_matches(function() q:put(nan, nil, 1, 1) end, "surplus argument")
    assert.error_matches(function() q:put({coroutine.create(print)}, nil, 1) end,
      "item[1]: cannot send a coroutine", 1, true)
    assert.is_true(q:empty())
    assert.is_true(q:put(nan, nil, 1))
    local item = q:get()
    assert.are_not.equal(item, item)
  end)

  it("leaves nothing behind when there is no memory for a priority", function()
    assert.is_true(helper.fail_each(function()
      local q = PriorityQueue()
      for i = 1, 20 do q:put({}, nil, "priority " .. i) end
      for _ = 1, 10 do q:get(0) end
    end) >= 20)
  end)
end)
