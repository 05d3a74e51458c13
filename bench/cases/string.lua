local conc = require "conc"
local Thread = require("conc.threading").Thread
local queue = require "conc.queue"
local measure = require "bench.measure"

local SIZE = 64 * 1024 * 1024
local STREAM = 8 -- strings in a row
local ROOM = 2 -- of them in the queue

local text

local function acknowledge(there, back)
  while true do
    local s, closed = there:get()
    if closed then return end
    back:put(#s)
  end
end

local function with_partner(exchange)
  local there, back = queue.Queue(ROOM), queue.Queue()
  local partner = Thread{target = acknowledge, args = {there, back}}:start()
  there:put("")
  back:get() -- the partner runs

  local start = conc.time()
  exchange(there, back)
  local seconds = conc.time() - start

  there:shutdown()
  partner:join()
  return seconds
end

local function stream(n)
  return with_partner(function(there, back)
    for _ = 1, n do there:put(text) end
    for _ = 1, n do assert(back:get() == SIZE) end
  end)
end

local function hand_over(n)
  return with_partner(function(there, back)
    for _ = 1, n do
      there:put(text)
      assert(back:get() == SIZE)
    end
  end)
end

-- lua_pushlstring is what string.sub makes its result with.
local function pushlstring(n)
  for _ = 1, n do
    local copy = text:sub(1, -2) -- luacheck: ignore copy
  end
end

local function compared(n, work)
  return function()
    text = text or ("x"):rep(SIZE)
    return measure.fixed(n, work, pushlstring)
  end
end

return {
  {
    name = "64 MiB strings, stream", unit = "GB/s", bytes = SIZE,
    floor = "lua_pushlstring", cpython = "string",
    peer = {1.57, "luaproc"}, aim = {of_floor = 0.9},
    figures = compared(STREAM, stream),
  },
  {
    name = "64 MiB string, alone", unit = "GB/s", bytes = SIZE,
    floor = "lua_pushlstring", cpython = "string",
    peer = {1.57, "luaproc"}, aim = {of_floor = 0.9},
    figures = compared(1, hand_over),
  },
}
