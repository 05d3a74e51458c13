--- What the cases have executors of either kind do.
-- @module bench.work

local work = {}

work.TASKS = 200000

local SUM = work.TASKS * (work.TASKS + 1) // 2

-- No field: it is to travel by value, as a program's own functions do.
local function same(x) return x end

--- Submit all the TASKS, then take all results.
function work.submit(ex, n)
  local futures, sum = {}, 0
  for i = 1, n do futures[i] = ex:submit(same, i) end
  for i = 1, n do sum = sum + futures[i]:result() end
  assert(sum == SUM)
end

--- One after the other: the worker still looks for work when the next one comes.
function work.latency(ex, n)
  for i = 1, n do assert(ex:submit(same, i):result() == i) end
end

--- A sequence of as many items as there are TASKS, for `map`.
function work.items()
  local xs = {}
  for i = 1, work.TASKS do xs[i] = i end
  return xs
end

function work.map(ex, xs)
  local sum = 0
  for _, x in ex:map(same, xs) do sum = sum + x end
  assert(sum == SUM)
end

--- The same results without any thread.
function work.plain(xs)
  local sum = 0
  for _, x in ipairs(xs) do
    local _, y = pcall(same, x)
    sum = sum + y
  end
  assert(sum == SUM)
end

return work
