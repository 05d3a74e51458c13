local conc = require "conc"
local Thread = require("conc.threading").Thread
local queue = require "conc.queue"
local measure = require "bench.measure"

local ENTRIES = 100000

local function build_records()
  local t = {}
  for i = 1, ENTRIES do t[i] = {id = i, name = "n" .. i} end
  return t
end

local function build_integers()
  local t = {}
  for i = 1, ENTRIES do t[i] = i end
  return t
end

-- Says what it got at once, and later that it has cleaned up for the next.
local function receive(there, back)
  while true do
    local t, closed = there:get()
    if closed then return end
    back:put(#t)
    t = nil -- luacheck: ignore t
    collectgarbage()
    back:put("ready")
  end
end

local function hand_over(t)
  local there, back = queue.Queue(), queue.Queue()
  local partner = Thread{target = receive, args = {there, back}}:start()
  there:put{}
  back:get()
  back:get() -- the partner runs

  local start = conc.time()
  there:put(t)
  assert(back:get() == ENTRIES)
  local seconds = conc.time() - start

  there:shutdown()
  partner:join()
  return seconds
end

-- The table through a queue, and as the floor the building of another.
local function compared(build)
  return function()
    local t = build()
    return measure.fixed(1, function() return hand_over(t) end, function()
      local start = conc.time()
      build()
      return conc.time() - start
    end)
  end
end

return {
  {
    name = "table of 100k records", unit = "ms",
    floor = "building it", cpython = "records",
    peer = {158, "bee.lua"}, aim = {of_floor = 1 / 1.5},
    figures = compared(build_records),
  },
  {
    name = "table of 100k integers", unit = "ms",
    floor = "building it", cpython = "integers",
    aim = {of_floor = 1 / 1.5},
    figures = compared(build_integers),
  },
}
