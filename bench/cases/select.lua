local conc = require "conc"
local Thread = require("conc.threading").Thread
local queue = require "conc.queue"
local measure = require "bench.measure"

local function drain(q, ready, n)
  ready:put(true)
  for _ = 1, n do q:get() end
end

local function choose(q, ready, n)
  local conc = require "conc" -- luacheck: ignore 431
  local cases = {q}
  ready:put(true)
  for _ = 1, n do conc.select(cases) end
end

local function choose_of_four(q, ready, n)
  local conc = require "conc" -- luacheck: ignore 431
  local queue = require "conc.queue" -- luacheck: ignore 431
  local cases = {queue.Queue(), queue.Queue(), q, queue.Queue()}
  ready:put(true)
  for _ = 1, n do conc.select(cases) end
end

-- Seconds from the first put to the end of the consumer.
local function through(consume, n)
  local q, ready = queue.Queue(), queue.Queue()
  local consumer = Thread{target = consume, args = {q, ready, n}}:start()
  ready:get()
  local start = conc.time()
  for i = 1, n do q:put(i) end
  consumer:join()
  return conc.time() - start
end

local function get_plainly(n) return through(drain, n) end

local function by(consume)
  return function()
    return measure.each(function(n) return through(consume, n) end, get_plainly)
  end
end

return {
  {
    name = "select on one queue", unit = "M/s", floor = "get",
    figures = by(choose),
  },
  {
    name = "select on four queues", unit = "M/s", floor = "get",
    figures = by(choose_of_four),
  },
}
