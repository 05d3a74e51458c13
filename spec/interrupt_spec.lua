local core = require "conc.core"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- Run f(started, ...) in a thread, interrupt it once it has said so, and give
-- what it returns.
local function interrupt(f, ...)
  local started = queue.SimpleQueue()
  local finish, thread = helper.thread(f, started, ...)
  started:get()
  core.interrupt(thread)
  return finish()
end

local function spin() while true do end end

describe("an interrupt", function()
  it("ends a loop that never calls anything", function()
    local ok, err = interrupt(function(started)
      local n = 0
      return pcall(function()
        started:put(true)
        while true do n = n + 1 end
      end)
    end)
    assert.is_false(ok)
    assert.equal("CancelledError", err.class)
    assert.is_true(err.traceback:find("interrupt_spec", 1, true) ~= nil)
  end)

  it("ends a loop that allocates, calls and returns at any depth", function()
    for _ = 1, helper.scale(50) do
      local err = interrupt(function(started)
        local function deep(n)
          if n == 0 then return {} end
          local t = deep(n - 1)
          return {t}
        end
        local _, e = pcall(function()
          started:put(true)
          while true do deep(150); deep(3) end
        end)
        return e
      end)
      assert.equal("CancelledError", err.class)
    end
  end)

  it("ends a wait", function()
    local err = interrupt(function(started)
      local never = require "conc.queue".Queue()
      return select(2, pcall(function()
        started:put(true)
        never:get()
      end))
    end)
    assert.equal("CancelledError", err.class)
  end)

  it("runs the <close> variables of the code that it ends", function()
    local lock = threading.Lock()
    interrupt(function(started, l)
      pcall(function()
        local _ <close> = l:acquire()
        started:put(true)
        while true do end
      end)
    end, lock)
    assert.is_false(lock:locked())
  end)

  it("comes once", function()
    local ok = interrupt(function(started)
      pcall(function()
        started:put(true)
        while true do end
      end)
      local n = 0
      for i = 1, 100000 do n = n + i end
      return pcall(require "conc".sleep, 0.01)
    end)
    assert.is_true(ok)
  end)

  it("keeps the hook of a debugger, and calls it meanwhile", function()
    local lines, same = interrupt(function(started)
      local seen = 0
      local function count() seen = seen + 1 end
      debug.sethook(count, "l")
      pcall(function()
        started:put(true)
        while true do
          seen = seen + 0
        end
      end)
      local before = seen
      started:empty()
      started:empty()
      return seen - before, debug.gethook() == count
    end)
    assert.is_true(lines >= 2)
    assert.is_true(same)
  end)

  it("ends a coroutine that computes without an end, however it is run", function()
    local function loop() while true do end end
    local ways = {
      wrap = function(f) coroutine.wrap(f)() end,
      resume = function(f) assert(coroutine.resume(coroutine.create(f))) end,
      inside = function(f) coroutine.wrap(function() coroutine.wrap(f)() end)() end,
    }
    for _, way in pairs(ways) do
      local ok, err = interrupt(function(started, run, f)
        return pcall(function() started:put(true) run(f) end)
      end, way, loop)
      assert.is_false(ok)
      assert.equal("CancelledError", err.class)
    end
  end)

  it("is not missed by a function that is just entered #stress", function()
    local ex <close> = require "conc.futures".ThreadPoolExecutor(1)
    for _ = 1, helper.scale(3000) do
      local f = ex:submit(spin)
      while not f:running() do end
      f:cancel {running = true}
      local err = f:exception(10)
      if not err then f:cancel {running = true} end
      assert.equal("CancelledError", err and err.class)
    end
  end)

  it("comes to whichever coroutine runs, while they take turns", function()
    for _ = 1, helper.scale(100) do
      local _, err = interrupt(function(started)
        return pcall(function()
          started:put(true)
          while true do
            local next = coroutine.wrap(function()
              for i = 1, 3 do coroutine.yield({i}) end
            end)
            for _ = 1, 3 do next() end
          end
        end)
      end)
      assert.equal("CancelledError", err.class)
    end
  end)

  it("finds a coroutine when that waits or ends", function()
    local err = interrupt(function(started)
      local co = coroutine.wrap(function()
        local t = require "conc".time() + 0.05
        while require "conc".time() < t do end
        coroutine.yield()
      end)
      return select(2, pcall(function()
        started:put(true)
        co()
        while true do end
      end))
    end)
    assert.equal("CancelledError", err.class)
  end)

  it("does nothing to a thread that has ended", function()
    local finish, thread = helper.thread(function() end)
    finish()
    core.interrupt(thread)
    assert.is_false(thread:is_alive())
  end)

  it("may come at any time #stress", function()
    local old <close> = setmetatable({threading.excepthook}, {
      __close = function(t) threading.excepthook = t[1] end,
    })
    threading.excepthook = helper.portable(function() end)
    assert(old)
    for _ = 1, helper.scale(300) do
      local _, thread = helper.thread(function(s) return pcall(s) end, spin)
      core.interrupt(thread)
      helper.eventually(function()
        core.interrupt(thread)
        return not thread:is_alive()
      end)
    end
  end)
end)
