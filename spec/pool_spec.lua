local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"

local assert, setup = assert, setup
local describe, it = helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

local function square(x) return x * x end
local function add(a, b) return a + b end
local function fail_at_3(x)
  if x == 3 then error {code = x} end
  return x
end
local function wait_at(gate) gate:wait() end

for _, kind in ipairs {"Pool", "ThreadPool"} do
  local Pool = multiprocessing[kind]

  describe("A " .. kind, function()
    -- What stays is made before anything is counted.
    setup(function() futures.Promise():future():add_done_callback(function() end) end)

    it("applies a function", function()
      local p <close> = Pool(2)
      assert.equal(3, p:apply(add, {1, 2}))
      local function echo(...) return ... end
      assert.same({n = 2, nil, 1}, table.pack(p:apply(echo, {nil, 1, n = 2})))
      assert.equal("luck", raised(p.apply, p, error, {"luck"}))
    end)

    it("applies it without waiting, and calls back", function()
      local p <close> = Pool(2)
      local seen, err
      local r = p:apply_async(add, {1, 2}, {callback = function(x) seen = x end})
      assert.is_true(r:wait(helper.patience))
      assert.equal(3, r:get())
      assert.is_true(r:ready())
      assert.is_true(r:successful())
      assert.equal(3, seen)
      r = p:apply_async(error, {"luck"}, {error_callback = function(e) err = e end})
      assert.equal("luck", raised(r.get, r))
      assert.is_false(r:successful())
      assert.equal("luck", err)
    end)

    it("tells of results that are not ready", function()
      local gate = multiprocessing.Event()
      local p <close> = Pool(1)
      local r = p:apply_async(wait_at, {gate})
      assert.is_false(r:ready())
      assert.matches("not ready", raised(r.successful, r))
      assert.same({nil, "timeout"}, {r:wait(0.01)})
      assert.is_true(conc.Error.is(raised(r.get, r, 0.01), "TimeoutError"))
      gate:set()
      assert.is_nil(r:get())
    end)

    it("maps to a table, in the order of the input", function()
      local p <close> = Pool(2)
      local xs = {}
      for i = 1, 100 do xs[i] = i end
      for _, size in ipairs {1, 7, 1000} do
        local list = p:map(square, xs, size)
        assert.equal(100, list.n)
        for i = 1, 100 do assert.equal(i * i, list[i]) end
      end
      assert.same({1, 4, 9, n = 3}, p:map(square, {1, 2, 3}))
      assert.same({n = 0}, p:map(square, {}))
      assert.same({3, 7, n = 2}, p:starmap(add, {{1, 2}, {3, 4}}))
      assert.same({"a", "b", n = 2}, p:map(string.lower, ("A B"):gmatch "%a"))
    end)

    it("does all of a map although one fails, then raises the first error", function()
      local count = multiprocessing.Value("i", 0)
      local p <close> = Pool(2)
      local err = raised(p.map, p, function(x)
        count:add(1)
        if x == 3 or x == 8 then error {code = x} end
      end, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 2)
      assert.same({code = 3}, err)
      assert.equal(10, count.value)
    end)

    it("maps without waiting", function()
      local p <close> = Pool(2)
      local seen
      local r = p:map_async(square, {1, 2, 3}, {chunksize = 2, callback = function(t) seen = t end})
      assert.same({1, 4, 9, n = 3}, r:get(helper.patience))
      assert.same({1, 4, 9, n = 3}, seen)
      assert.same({n = 0}, p:map_async(square, {}):get())
      assert.same({3, n = 1}, p:starmap_async(add, {{1, 2}}):get())
    end)

    it("gives results as they come", function()
      local p <close> = Pool(2)
      local n, sum = 0, 0
      for i, r in p:imap(square, {1, 2, 3, 4}) do
        n = n + 1
        assert.equal(n, i)
        assert.equal(i * i, r)
      end
      for i, r in p:imap_unordered(square, {1, 2, 3, 4}, 2) do
        assert.equal(i * i, r)
        sum = sum + r
      end
      assert.equal(4, n)
      assert.equal(30, sum)
      local next_one, s, c = p:imap(fail_at_3, {1, 2, 3, 4})
      assert.equal(1, (next_one(s, c)))
      assert.equal(2, (next_one(s, c)))
      assert.same({code = 3}, raised(next_one, s, c))
      assert.equal(4, (next_one(s, c)))
    end)

    it("takes nothing after close, and ends what it has", function()
      local p = Pool(2)
      local r = p:map_async(square, {1, 2, 3})
      assert.matches("still running", raised(p.join, p))
      p:close()
      assert.matches("closed", raised(p.apply, p, square, {1}))
      assert.matches("closed", raised(p.map, p, square, {1}))
      assert.matches("closed", raised(p.imap, p, square, {1}))
      p:join()
      assert.is_true(r:ready())
      assert.same({1, 4, 9, n = 3}, r:get())
      p:join()
    end)

    it("drops what is not done by terminate", function()
      local gate = multiprocessing.Event()
      local p = Pool(1)
      local r = p:apply_async(wait_at, {gate})
      local list = {}
      for i = 1, 10000 do list[i] = p:apply_async(square, {i}) end
      p:terminate()
      gate:set()
      p:join()
      assert.is_false(pcall(list[10000].get, list[10000]))
      r:wait()
    end)

    it("says nothing of what terminate has ended", function()
      local out = helper.child(([[
        local p = require "conc.multiprocessing".%s(1)
        local gate = require "conc.multiprocessing".Event()
        local r = p:apply_async(function(g) g:wait() end, {gate})
        p:apply_async(print)
        while not r.futures[1]:running() do require "conc".sleep(0.001) end
        p:terminate()
        gate:set()
        p:join()
        r = nil
        collectgarbage()
        collectgarbage()
      ]]):format(kind))
      assert.same({}, out)
    end)

    it("calls an initializer in each worker, and replaces workers", function()
      local p <close> = Pool {
        processes = 1,
        initializer = function(x) started_with = x end, -- luacheck: ignore
        initargs = {5},
        maxtasksperchild = 1,
      }
      for _ = 1, 3 do
        assert.equal(5, p:apply(function()
          local x = started_with -- luacheck: ignore
          started_with = 0 -- luacheck: ignore
          return x
        end))
      end
    end)

    it("refuses bad arguments by their names", function()
      for _, case in ipairs {
        {{processes = 0}, "processes"}, {{processes = "x"}, "processes"},
        {{maxtasksperchild = 0}, "maxtasksperchild"}, {{initializer = 1}, "initializer"},
        {{workers = 1}, "workers"},
      } do
        assert.matches(case[2], raised(Pool, case[1]))
      end
      local p <close> = Pool(1)
      assert.matches("fn", raised(p.apply, p, 1))
      assert.matches("args", raised(p.apply, p, add, 1))
      assert.matches("xs", raised(p.map, p, add, 1))
      assert.matches("chunksize", raised(p.map, p, add, {}, 0))
      assert.matches("callbacks", raised(p.apply_async, p, add, {}, {callbacks = print}))
    end)
  end)
end

for _, kind in ipairs {"Pool", "ThreadPool"} do
  describe(kind, function()
    it("gives results of imap one by one, with a timeout", function()
      local p <close> = multiprocessing[kind](1)
      local results = p:imap(function(x)
        require "conc".sleep(x)
        return "done"
      end, {0, 0.2})
      assert.same({1, "done"}, {results:next(helper.patience)})
      assert.is_true(conc.Error.is(raised(results.next, results, 0.01), "TimeoutError"))
      assert.same({2, "done"}, {results:next(helper.patience)})
      assert.equal(0, select("#", results:next()))
      p:close()
      assert.is_true(p:join())
    end)
  end)
end

local function die() require "spec.die"() end

describe("A Pool", function()
  it("loses one task with a process that is killed, and no more", function()
    local p <close> = multiprocessing.Pool(1)
    local r = p:apply_async(die)
    assert.is_true(conc.Error.is(raised(r.get, r, helper.patience), "WorkerDied"))
    assert.equal(9, p:apply(square, {3}))
  end)

  for _, call in ipairs {"map", "starmap"} do
    it("does all other items of a " .. call .. ", once one has killed a process", function()
      local calls, fatal = multiprocessing.Array("i", 60), multiprocessing.Value("b", 1)
      local deadly = {[1] = true, [27] = true, [28] = true, [60] = true}
      local function work(x)
        calls:add(x, 1)
        if fatal.value == 1 and deadly[x] then require "spec.die"() end
        return x, "more"
      end
      local xs = {}
      for i = 1, 60 do xs[i] = call == "map" and i or {i} end
      local p <close> = multiprocessing.Pool(2)
      for round, size in ipairs {60, 20, 7} do
        local told = {}
        local r = p[call .. "_async"](p, work, xs, {
          chunksize = size,
          callback = function() told[#told + 1] = "results" end,
          error_callback = function(err) told[#told + 1] = err.class end,
        })
        assert.is_true(r:wait(helper.patience))
        assert.is_true(r:ready())
        assert.is_false(r:successful())
        assert.is_true(conc.Error.is(raised(r.get, r), "WorkerDied"))
        helper.eventually(function() return #told > 0 end)
        assert.same({"WorkerDied"}, told)
        for i = 1, 60 do assert.is_true(calls[i] >= round) end
      end
      fatal.value = 0
      local results = p[call](p, work, xs, 60)
      assert.equal(60, results.n)
      for i = 1, 60 do assert.equal(i, results[i]) end
    end)
  end

  it("does all items but one for each death, whenever processes are killed #stress", function()
    local calls = multiprocessing.Array("i", 500)
    local function work(x)
      calls:add(x, 1)
      local long = conc.time() + 0.0005
      while conc.time() < long do end -- luacheck: ignore
      return x
    end
    local xs = {}
    for i = 1, 500 do xs[i] = i end
    for round = 1, helper.scale(20) do
      local p <close> = multiprocessing.Pool(3)
      local r, kills = p:map_async(work, xs), 0
      repeat
        local children = multiprocessing.active_children()
        if #children > 0 and kills < 3 then -- a chunk that has not begun bears as many
          children[math.random(#children)]:kill()
          kills = kills + 1
        end
      until r:wait(0.01)
      local left_out = 0
      for i = 1, 500 do
        if calls[i] == 0 then left_out = left_out + 1 end
        calls[i] = 0
      end
      assert.is_true(left_out <= kills, ("round %d: %d items"):format(round, left_out))
    end
  end)

  it("gives a chunk to another process when one dies before its items, three times", function()
    local deaths = multiprocessing.Value("i", 0)
    local fatal = {__conc_pack = function(o)
      return function(left, x)
        if left.value > 0 then
          left:add(-1)
          require "spec.die"()
        end
        return {x = x}
      end, deaths, o.x
    end}
    local xs = {}
    for i = 1, 5 do xs[i] = setmetatable({x = i}, fatal) end
    local function open(o) return o.x end
    local p <close> = multiprocessing.Pool(1)
    deaths.value = 3
    assert.same({n = 5, 1, 2, 3, 4, 5}, p:map(open, xs, 5))
    deaths.value = 4
    assert.is_true(conc.Error.is(raised(p.map, p, open, xs, 5), "WorkerDied"))
    assert.equal(0, deaths.value)
    assert.same({n = 5, 1, 2, 3, 4, 5}, p:map(open, xs, 5))
  end)
end)
