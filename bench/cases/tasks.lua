local ThreadPoolExecutor = require("conc.futures").ThreadPoolExecutor
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

local function map(ex, xs)
  local sum = 0
  for _, x in ex:map(same, xs) do sum = sum + x end
  assert(sum == SUM)
end

-- The same results without any thread.
local function plain(xs)
  local sum = 0
  for _, x in ipairs(xs) do
    local _, y = pcall(same, x)
    sum = sum + y
  end
  assert(sum == SUM)
end

return {
  {
    name = "submit+result, 2 workers", unit = "M/s",
    floor = "pool.submit", cpython = "submit",
    peer = {1.81, "bee.lua"}, aim = {at_least = 2},
    figures = function()
      local ex <close> = ThreadPoolExecutor(2)
      return measure.fixed(TASKS, function(n) submit(ex, n) end)
    end,
  },
  {
    name = "map, 2 workers", unit = "M/s",
    floor = "pcall in a loop", cpython = "map",
    peer = {1.81, "bee.lua"}, aim = {at_least = 8},
    figures = function()
      local ex <close> = ThreadPoolExecutor(2)
      local xs = {}
      for i = 1, TASKS do xs[i] = i end
      return measure.fixed(TASKS, function() map(ex, xs) end,
        function() plain(xs) end)
    end,
  },
}
