local ProcessPoolExecutor = require("conc.futures").ProcessPoolExecutor
local measure = require "bench.measure"
local work = require "bench.work"

local function nothing() end

-- Two workers that are there.
local function pool()
  local ex = ProcessPoolExecutor(2)
  local a, b = ex:submit(nothing), ex:submit(nothing)
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
      return measure.fixed(work.TASKS, function(n) work.submit(ex, n) end)
    end,
  },
  {
    name = "one submit+result, processes", unit = "us",
    floor = "pair.ping_pong", cpython = "latency",
    figures = function()
      local ex <close> = pool()
      return measure.each(function(n) work.latency(ex, n) end)
    end,
  },
  {
    name = "map, 2 processes", unit = "M/s",
    floor = "pool.submit", cpython = "map", aim = {at_least = 5},
    figures = function()
      local ex <close> = pool()
      local xs = work.items()
      return measure.fixed(work.TASKS, function() work.map(ex, xs) end)
    end,
  },
}
