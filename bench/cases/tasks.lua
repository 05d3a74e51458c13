local ThreadPoolExecutor = require("conc.futures").ThreadPoolExecutor
local measure = require "bench.measure"
local work = require "bench.work"

return {
  {
    name = "submit+result, 2 workers", unit = "M/s",
    floor = "pool.submit", cpython = "submit",
    peer = {1.81, "bee.lua"}, aim = {at_least = 2},
    figures = function()
      local ex <close> = ThreadPoolExecutor(2)
      return measure.fixed(work.TASKS, function(n) work.submit(ex, n) end)
    end,
  },
  {
    name = "map, 2 workers", unit = "M/s",
    floor = "pcall in a loop", cpython = "map",
    peer = {1.81, "bee.lua"}, aim = {at_least = 8},
    figures = function()
      local ex <close> = ThreadPoolExecutor(2)
      local xs = work.items()
      return measure.fixed(work.TASKS, function() work.map(ex, xs) end,
        function() work.plain(xs) end)
    end,
  },
}
