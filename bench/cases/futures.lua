local conc = require "conc"
local futures = require "conc.futures"
local threading = require "conc.threading"
local measure = require "bench.measure"
local work = require "bench.work"

local ThreadPoolExecutor = futures.ThreadPoolExecutor

local N = 100000

local function same(x) return x end
local function pong(f) return f() end
local function spin(began)
  began:set()
  while true do end
end

-- Seconds from the call to the end, once all futures are done already.
local function over_done(ex, wait)
  local fs = {}
  for i = 1, N do fs[i] = ex:submit(same, i) end
  for i = 1, N do fs[i]:result() end
  local start = conc.time()
  wait(fs)
  return conc.time() - start
end

local function wait(fs)
  local done = futures.wait(fs)
  assert(#done == N)
end

local function as_completed(fs)
  local n = 0
  for _ in futures.as_completed(fs) do n = n + 1 end
  assert(n == N)
end

-- From the request to stop a loop that runs until its future is done.
local function stop(ex, n)
  local sum = 0
  for _ = 1, n do
    local began = threading.Event()
    local f = ex:submit(spin, began)
    began:wait()
    local start = conc.time()
    f:cancel {running = true}
    f:exception()
    sum = sum + conc.time() - start
  end
  return sum
end

local function chunks(ex, xs, size)
  for _ in ex:map(same, xs, {chunksize = size}) do end
end

local function with(workers, rounds, run)
  return function()
    local ex <close> = ThreadPoolExecutor(workers)
    return measure.fixed(rounds, function(n) return run(ex, n) end,
      function(n) for i = 1, n do pong(function() return i end) end end)
  end
end

local function over(f)
  return function()
    local ex <close> = ThreadPoolExecutor(2)
    return measure.fixed(N, function() return over_done(ex, f) end,
      function(n) for i = 1, n do same(i) end end)
  end
end

local function mapped(size)
  return function()
    local ex <close> = ThreadPoolExecutor(2)
    local xs = {}
    for i = 1, N do xs[i] = i end
    return measure.fixed(N, function() chunks(ex, xs, size) end,
      function() for _, x in ipairs(xs) do pcall(same, x) end end)
  end
end

return {
  {
    name = "submit, then result", unit = "us", floor = "two calls", cpython = "latency",
    figures = with(1, 2000, work.latency),
  },
  {
    name = "cancel of a running loop", unit = "us", floor = "two calls",
    figures = with(1, 500, stop),
  },
  {
    name = "wait over 100k futures", unit = "M/s", floor = "a call each", cpython = "wait",
    figures = over(wait),
  },
  {
    name = "as_completed over 100k", unit = "M/s", floor = "a call each",
    cpython = "as_completed", figures = over(as_completed),
  },
  {
    name = "map, chunksize = 1", unit = "M/s", floor = "pcall in a loop", cpython = "map",
    figures = mapped(1),
  },
  {
    name = "map, chunksize = 100", unit = "M/s", floor = "pcall in a loop", cpython = "map",
    figures = mapped(100),
  },
}
