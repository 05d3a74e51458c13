-- examples/primes.lua with processes, as Python's example of ProcessPoolExecutor.

local conc, futures = require "conc", require "conc.futures"

local PRIMES = {
  112272535095293, 112582705942171, 112272535095293,
  115280095190773, 115797848077099, 1099726899285419,
}

local function is_prime(n)
  if n < 2 then return false end
  if n == 2 then return true end
  if n % 2 == 0 then return false end
  for i = 3, math.floor(math.sqrt(n)), 2 do
    if n % i == 0 then return false end
  end
  return true
end

local function count(from, to)
  local n = 0
  for i = from, to do
    if is_prime(i) then n = n + 1 end
  end
  return n
end

-- The shortest of three times each, for other programs run here as well.
local function compare(ways)
  local least = {math.huge, math.huge}
  for i = 1, 6 do
    local way, begin = i % 2 + 1, conc.time()
    ways[way]()
    least[way] = math.min(least[way], conc.time() - begin)
  end
  print(("%.2f s serially, %.2f s on %d cores: speed-up %.2fx"):format(
    least[1], least[2], conc.cpu_count(), least[1] / least[2]))
end

-- Five equal tasks and a light one: two cores can do it in three fifths of the
-- time, which is a speed-up of 1.67.
local is = {}
compare{function()
  for _, number in ipairs(PRIMES) do is_prime(number) end
end, function()
  local executor <close> = futures.ProcessPoolExecutor()
  for i, prime in executor:map(is_prime, PRIMES) do is[i] = prime end
end}
for i, number in ipairs(PRIMES) do print(number .. " is prime: " .. tostring(is[i])) end

-- Many small tasks, the heavy ones first, keep all cores busy to the end.
local ranges, total = {}, nil
for i = 3000000, 1, -46875 do ranges[#ranges + 1] = {i - 46874, i} end -- 64
compare{function() count(1, 3000000) end, function()
  local executor <close> = futures.ProcessPoolExecutor()
  total = 0
  for _, n in executor:starmap(count, ranges) do total = total + n end
end}
print(total .. " primes below 3000000")
