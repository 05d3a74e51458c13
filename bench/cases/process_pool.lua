local ProcessPoolExecutor = require("conc.futures").ProcessPoolExecutor
local measure = require "bench.measure"

local TASKS = 200000
local SUM = TASKS * (TASKS + 1) // 2

local function same(x) return x end

local function submit(ex, n)
  local futures, sum = {}, 0
  for i = 1, n do futures[i] = ex:submit(same, i) end
  for i = 1, n do sum = sum + futures[i]:result() end
  assert(sum == SUM)
end

local function latency(ex, n)
  for i = 1, n do assert(ex:submit(same, i):result() == i) end
end

local function map(ex, xs)
  local sum = 0
  for _, x in ex:map(same, xs) do sum = sum + x end
  assert(sum == SUM)
end

-- Two workers that are there.
local function pool()
  local ex = ProcessPoolExecutor(2)
  local a, b = ex:submit(same), ex:submit(same)
  a:result()
  b:result()
  return ex
end

return {
  {
    name = "submit+result, 2 processes", unit = "M/s",
    floor = "pool.submit", cpython = "submit", aim = {at_least = 1},
    figures = function()
      local ex <close> = pool()
      return measure.fixed(TASKS, function(n) submit(ex, n) end)
    end,
  },
  {
    name = "one submit+result, processes", unit = "us",
    floor = "pair.ping_pong", cpython = "latency",
    figures = function()
      local ex <close> = pool()
      return measure.each(function(n) latency(ex, n) end)
    end,
  },
  {
    name = "map, 2 processes", unit = "M/s",
    floor = "pool.submit", cpython = "map", aim = {at_least = 5},
    figures = function()
      local ex <close> = pool()
      local xs = {}
      for i = 1, TASKS do xs[i] = i end
      return measure.fixed(TASKS, function() map(ex, xs) end)
    end,
  },
}
