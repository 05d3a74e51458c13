local conc = require "conc"
local Thread = require("conc.threading").Thread
local queue = require "conc.queue"
local measure = require "bench.measure"

local function echo(there, back)
  for item in there:items() do back:put(item) end
end

local function ping_pong(n)
  local there, back = queue.Queue(), queue.Queue()
  local partner = Thread{target = echo, args = {there, back}}:start()
  there:put(0)
  back:get() -- the partner runs

  local start = conc.time()
  for i = 1, n do
    there:put(i)
    assert(back:get() == i)
  end
  local seconds = conc.time() - start

  there:shutdown()
  partner:join()
  return seconds
end

return {
  {
    name = "queue ping-pong", unit = "us",
    floor = "pair.ping_pong", cpython = "ping_pong",
    peer = {1.0, "luaproc, one worker"}, aim = {at_most = 1},
    figures = function() return measure.each(ping_pong) end,
  },
}
