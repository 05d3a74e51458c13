local conc = require "conc"
local Thread = require("conc.threading").Thread
local queue = require "conc.queue"
local measure = require "bench.measure"

local function drain(q, ready, n)
  ready:put(true)
  for _ = 1, n do q:get() end
end

-- Seconds from the first put to the end of the consumer.
local function through(q, produce, n)
  local ready = queue.Queue()
  local consumer = Thread{target = drain, args = {q, ready, n}}:start()
  ready:get()
  local start = conc.time()
  produce(q, n)
  consumer:join()
  return conc.time() - start
end

local function integers(q, n)
  for i = 1, n do q:put(i) end
end

local function records(q, n)
  for i = 1, n do q:put{id = i, name = "x"} end
end

local function triples(q, n)
  for _ = 1, n do q:put{1, 2, 3} end
end

-- What making each table once costs: a queue makes it once on either side.
local function make_records(n)
  local t
  for i = 1, n do t = {id = i, name = "x"} end
  return nil, t
end

local function make_triples(n)
  local t
  for _ = 1, n do t = {1, 2, 3} end
  return nil, t
end

local function one_way(class, produce, floor)
  return function()
    return measure.each(function(n)
      return through(class(), produce, n)
    end, floor)
  end
end

return {
  {
    name = "integers one way", unit = "M/s",
    floor = "queue.mutex", cpython = "integers",
    peer = {3.29, "bee.lua"}, aim = {at_least = 6},
    figures = one_way(queue.Queue, integers),
  },
  {
    name = "integers, SimpleQueue", unit = "M/s",
    floor = "queue.mutex", cpython = "simple_integers",
    peer = {3.29, "bee.lua"}, aim = {at_least = 6},
    figures = one_way(queue.SimpleQueue, integers),
  },
  {
    name = "{id=i, name=\"x\"} one way", unit = "M/s",
    floor = "making them", cpython = "records",
    peer = {1.44, "llthreads2+mtmsg"}, aim = {at_least = 2.5},
    figures = one_way(queue.Queue, records, make_records),
  },
  {
    name = "{1, 2, 3} one way", unit = "M/s",
    floor = "making them", cpython = "triples",
    peer = {1.44, "llthreads2+mtmsg"}, aim = {at_least = 2.5},
    figures = one_way(queue.Queue, triples, make_triples),
  },
}
