local behaviour = require "spec.support.queue_behaviour"
local queue = require "conc.queue"

local LifoQueue = queue.LifoQueue

describe("A LifoQueue", function()
  behaviour.check "LifoQueue"

  it("gives the item first that was put last", function()
    local q = LifoQueue()
    for i = 1, 100 do q:put(i) end
    for i = 100, 51, -1 do assert.equal(i, q:get()) end
    for i = 101, 200 do q:put(i) end
    for i = 200, 101, -1 do assert.equal(i, q:get()) end
    for i = 50, 1, -1 do assert.equal(i, q:get()) end
    assert.is_true(q:empty())
  end)

  it("is iterated over from the last item to the first", function()
    local q, seen = LifoQueue(3), {}
    for i = 1, 3 do q:put(i) end
    q:shutdown()
    for item in q:items() do seen[#seen + 1] = item end
    assert.same({3, 2, 1}, seen)
  end)

  it("takes nil and false for items like others", function()
    local q = LifoQueue()
    q:put(nil)
    q:put(false)
    assert.same({n = 1, false}, table.pack(q:get()))
    assert.same({n = 1}, table.pack(q:get(0)))
    assert.same(behaviour.TIMEOUT, table.pack(q:get(0)))
  end)

  it("carries tables and strings as copies", function()
    local q = LifoQueue()
    q:put {name = "a"}
    q:put(("x"):rep(10000))
    assert.equal(("x"):rep(10000), q:get())
    assert.same({name = "a"}, q:get())
  end)

  it("refuses what it has no argument for, and what cannot travel", function()
    local q = LifoQueue()
    assert.error_matches(function() q:put_nowait(1, 1) end, "#2 .- %(surplus argument%)")
    assert.error_matches(function() q:put(1, 1, 1) end, "#3 to 'put' %(surplus argument%)")
    assert.error_matches(function() q:put {coroutine.create(print)} end,
      "item[1]: cannot send a coroutine", 1, true)
    assert.is_true(q:empty())
  end)
end)
