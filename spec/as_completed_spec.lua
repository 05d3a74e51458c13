local conc = require "conc"
local helper = require "spec.helper"
local futures = require "conc.futures"
local threading = require "conc.threading"

local as_completed, ThreadPoolExecutor = futures.as_completed, futures.ThreadPoolExecutor

-- n futures that wait, and what lets each go.
local function waiting(ex, n)
  local fs, events = {}, {}
  local function wait_for(event, result)
    event:wait()
    return result
  end
  for i = 1, n do
    events[i] = threading.Event()
    fs[i] = ex:submit(wait_for, events[i], i)
  end
  return fs, events
end

local function all(...)
  local list = {}
  for f in as_completed(...) do list[#list + 1] = f end
  return list
end

describe("as_completed", function()
  it("gives each future of a sequence once", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, sum = {}, 0
    for i = 1, 50 do fs[i] = ex:submit(math.abs, -i) end
    for f in as_completed(fs) do
      assert.is_true(f:done())
      sum = sum + f:result()
    end
    assert.equal(1275, sum)
  end)

  it("takes a table keyed by futures, whose fields say what each was for", function()
    local ex <close> = ThreadPoolExecutor(2)
    local names = {}
    for _, name in ipairs {"a", "bb", "ccc"} do names[ex:submit(string.len, name)] = name end
    local seen = {}
    for f in as_completed(names) do seen[names[f]] = f:result() end
    assert.same({a = 1, bb = 2, ccc = 3}, seen)
  end)

  it("gives them in the order in which they are done", function()
    local ex <close> = ThreadPoolExecutor(3)
    local fs, events = waiting(ex, 3)
    local order = {}
    events[2]:set()
    for f in as_completed(fs) do
      local i = f:result()
      order[#order + 1] = i
      if i == 2 then events[3]:set() elseif i == 3 then events[1]:set() end
    end
    assert.same({2, 3, 1}, order)
  end)

  it("gives first those that are done already", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, events = waiting(ex, 1)
    local done = ex:submit(math.abs, 1)
    done:result()
    local next_future = as_completed {fs[1], done}
    assert.equal(done, next_future())
    events[1]:set()
    assert.equal(fs[1], next_future())
    assert.is_nil(next_future())
    assert.is_nil(next_future())
  end)

  it("gives a future once that is in the sequence twice", function()
    local ex <close> = ThreadPoolExecutor(1)
    local f, g = ex:submit(math.abs, 1), ex:submit(math.abs, 2)
    assert.same({f, g}, all {f, g, f, f, g})
  end)

  it("takes futures of several executors", function()
    local one <close> = ThreadPoolExecutor(1)
    local two <close> = ThreadPoolExecutor(1)
    assert.equal(2, #all {one:submit(math.abs, 1), two:submit(math.abs, 2)})
  end)

  it("gives failed and cancelled futures too", function()
    local ex <close> = ThreadPoolExecutor(1)
    local fs, events = waiting(ex, 2)
    fs[3] = ex:submit(error, "boom", 0)
    fs[2]:cancel()
    local next_future = as_completed(fs)
    local cancelled = next_future()
    assert.is_true(cancelled:cancelled())
    events[1]:set()
    assert.equal(fs[1], next_future())
    assert.equal("boom", next_future():exception())
    assert.is_nil(next_future())
  end)

  it("ends at once when there are no futures", function()
    assert.same({}, all {})
    assert.same({}, all({}, 0))
  end)

  it("raises TimeoutError when the time is up, after all that are done", function()
    local ex <close> = ThreadPoolExecutor(3)
    local fs, events = waiting(ex, 3)
    events[2]:set()
    fs[2]:result()
    local given, began = {}, conc.time()
    local ok, err = pcall(function()
      for f in as_completed(fs, 0.02) do given[#given + 1] = f end
    end)
    for _, event in ipairs(events) do event:set() end
    assert.is_true(conc.time() - began >= 0.02)
    assert.is_false(ok)
    assert.is_true(conc.Error.is(err, "TimeoutError"))
    assert.equal("2 (of 3) futures unfinished", err.message)
    assert.same({fs[2]}, given)
  end)

  it("counts the timeout from the call", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, events = waiting(ex, 2)
    local next_future = as_completed(fs, 0.02)
    conc.sleep(0.03)
    events[1]:set()
    fs[1]:result()
    assert.equal(fs[1], next_future())
    assert.error_matches(next_future, "1 %(of 2%) futures unfinished")
    events[2]:set()
  end)

  it("may be told not to wait at all, and for ever", function()
    local ex <close> = ThreadPoolExecutor(1)
    local fs, events = waiting(ex, 1)
    assert.error_matches(as_completed(fs, 0), "1 %(of 1%) futures unfinished")
    events[1]:set()
    assert.same(fs, all(fs, math.huge))
    assert.same(fs, all(fs, nil))
  end)

  it("leaves the table it was given as it is", function()
    local ex <close> = ThreadPoolExecutor(1)
    local f = ex:submit(math.abs, 1)
    local fs = {f, f}
    all(fs)
    assert.same({f, f}, fs)
  end)

  it("keeps no reference to a future that it has given", function()
    local ex <close> = ThreadPoolExecutor(1)
    local weak = setmetatable({}, {__mode = "k"})
    local function next_of_two()
      local f, g = ex:submit(math.abs, 1), ex:submit(math.abs, 2)
      g:result()
      weak[f], weak[g] = true, true
      return as_completed {f, g}
    end
    local next_future = next_of_two()
    next_future()
    collectgarbage()
    collectgarbage()
    local n = 0
    for _ in pairs(weak) do n = n + 1 end
    assert.equal(1, n)
    next_future()
  end)

  it("names the argument that is wrong", function()
    local ex <close> = ThreadPoolExecutor(1)
    local f = ex:submit(math.abs, 1)
    local function refuses(pattern, ...)
      local args = table.pack(...)
      assert.error_matches(function()
        as_completed(table.unpack(args, 1, args.n))
      end, pattern)
    end
    refuses("bad argument #1 to 'as_completed' %(fs: table expected, got nil%)")
    refuses("bad argument #1 to 'as_completed' %(fs: table expected, got Future%)", f)
    refuses("fs%[2%]: Future expected, got number", {f, 3})
    refuses("fs%[1%]: Future expected, got Event", {threading.Event()})
    refuses("a table keyed by futures, expected", {a = f})
    refuses("a table keyed by futures, expected", {f, a = 1})
    refuses("a table keyed by futures, expected", {f, [f] = 1})
    refuses("bad argument #3 to 'as_completed' %(surplus argument%)", {f}, 1, nil)
    helper.refuses_timeouts(function(timeout) as_completed({f}, timeout) end)
  end)
end)
