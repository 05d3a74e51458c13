local conc = require "conc"
local helper = require "spec.helper"
local futures = require "conc.futures"
local threading = require "conc.threading"

local wait, ThreadPoolExecutor = futures.wait, futures.ThreadPoolExecutor

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

local function set_all(events)
  for _, event in ipairs(events) do event:set() end
end

describe("wait", function()
  it("waits until all futures are done, and returns them in order", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs = {}
    for i = 1, 20 do fs[i] = ex:submit(math.abs, i) end
    local done, not_done = wait(fs)
    assert.same(fs, done)
    assert.same({}, not_done)
    for _, f in ipairs(fs) do assert.is_true(f:done()) end
  end)

  it("returns what is done and what is not when time is up", function()
    local ex <close> = ThreadPoolExecutor(3)
    local fs, events = waiting(ex, 3)
    events[2]:set()
    fs[2]:result()
    local began = conc.time()
    local done, not_done = wait(fs, 0.02)
    assert.is_true(conc.time() - began >= 0.02)
    assert.same({fs[2]}, done)
    assert.same({fs[1], fs[3]}, not_done)
    done, not_done = wait(fs, 0)
    assert.same({{fs[2]}, {fs[1], fs[3]}}, {done, not_done})
    set_all(events)
  end)

  it("with FIRST_COMPLETED ends when one is done", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, events = waiting(ex, 2)
    events[2]:set()
    local done, not_done = wait(fs, nil, "FIRST_COMPLETED")
    assert.same({fs[2]}, done)
    assert.same({fs[1]}, not_done)
    done = wait(fs, nil, "FIRST_COMPLETED") -- at once: one is done already
    assert.same({fs[2]}, done)
    events[1]:set()
  end)

  it("with FIRST_EXCEPTION ends when a task has raised an error", function()
    local ex <close> = ThreadPoolExecutor(3)
    local fs, events = waiting(ex, 2)
    events[1]:set()
    fs[1]:result()
    fs[3] = ex:submit(error, "boom", 0)
    local done, not_done = wait(fs, nil, "FIRST_EXCEPTION")
    assert.same({fs[2]}, not_done)
    assert.equal("boom", done[#done]:exception())
    events[2]:set()
  end)

  it("with FIRST_EXCEPTION takes any error value for one, even nil", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, events = waiting(ex, 1)
    fs[2] = ex:submit(error, nil)
    local _, not_done = wait(fs, nil, "FIRST_EXCEPTION")
    assert.same({fs[1]}, not_done)
    events[1]:set()
  end)

  it("with FIRST_EXCEPTION waits for all when there is none", function()
    local ex <close> = ThreadPoolExecutor(1)
    local fs, events = waiting(ex, 3)
    fs[3]:cancel() -- which is no error of a task
    set_all(events)
    local done, not_done = wait(fs, nil, "FIRST_EXCEPTION")
    assert.same(fs, done)
    assert.same({}, not_done)
  end)

  it("with FIRST_EXCEPTION ends when time is up", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, events = waiting(ex, 2)
    events[1]:set()
    fs[1]:result()
    local done, not_done = wait(fs, 0.01, "FIRST_EXCEPTION")
    assert.same({{fs[1]}, {fs[2]}}, {done, not_done})
    events[2]:set()
  end)

  it("takes its arguments by name", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, events = waiting(ex, 2)
    local done, not_done = wait {fs = fs, timeout = 0}
    assert.same({{}, fs}, {done, not_done})
    events[1]:set()
    done = wait {fs = fs, return_when = futures.FIRST_COMPLETED}
    assert.same({fs[1]}, done)
    events[2]:set()
    done = wait {fs = fs}
    assert.same(fs, done)
  end)

  it("takes a table keyed by futures", function()
    local ex <close> = ThreadPoolExecutor(2)
    local f = ex:submit(math.abs, 1)
    local done, not_done = wait {[f] = "one"}
    assert.same({{f}, {}}, {done, not_done})
  end)

  it("returns a future once that is in the sequence twice", function()
    local ex <close> = ThreadPoolExecutor(1)
    local f = ex:submit(math.abs, 1)
    local done = wait {f, f}
    assert.same({f}, done)
  end)

  it("returns at once when there are no futures", function()
    for _, how in ipairs {"ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"} do
      local done, not_done = wait({}, nil, how)
      assert.same({{}, {}}, {done, not_done})
    end
  end)

  it("waits for ever with a timeout of math.huge", function()
    local ex <close> = ThreadPoolExecutor(1)
    local done = wait({ex:submit(math.abs, 1)}, math.huge)
    assert.equal(1, #done)
  end)

  it("takes futures that another thread waits for, too", function()
    local ex <close> = ThreadPoolExecutor(2)
    local fs, events = waiting(ex, 2)
    local finish = helper.thread(function(list)
      local done = require "conc.futures".wait(list)
      return #done
    end, fs)
    set_all(events)
    local done = wait(fs)
    assert.equal(2, #done)
    assert.equal(2, finish())
  end)

  it("names the argument that is wrong", function()
    local ex <close> = ThreadPoolExecutor(1)
    local f = ex:submit(math.abs, 1)
    local function refuses(pattern, ...)
      local args = table.pack(...)
      assert.error_matches(function() wait(table.unpack(args, 1, args.n)) end, pattern)
    end
    refuses("bad argument #1 to 'wait' %(fs: table expected, got nil%)")
    refuses("bad argument #1 to 'wait' %(fs: table expected, got Future%)", f)
    refuses("fs%[2%]: Future expected, got boolean", {f, true})
    refuses("a table keyed by futures, expected", {a = f})
    refuses("a table keyed by futures, expected", {f, timeout = 1})
    refuses("bad argument #1 to 'wait' %(unknown option 'when'%)", {fs = {f}, when = "?"})
    refuses("bad argument #3 to 'wait' %(return_when: string expected, got number%)", {f}, 1, 2)
    refuses("'FIRST_EXCEPTION' expected, got 'SOME'", {f}, 1, "SOME")
    refuses("bad argument #4 to 'wait' %(surplus argument%)", {f}, 1, "ALL_COMPLETED", nil)
    helper.refuses_timeouts(function(timeout) wait({f}, timeout) end)
    helper.refuses_timeouts(function(timeout) wait {fs = {f}, timeout = timeout} end)
  end)
end)
