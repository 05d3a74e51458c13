-- Work for all cores, done by processes, and serially first to compare.  Compare
-- Python's ProcessPoolExecutor example; examples/primes.lua is this with threads.

local conc, futures = require "conc", require "conc.futures"

local PRIMES = {
  112272535095293, 112582705942171, 112272535095293,
  115280095190773, 115797848077099, 1099726899285419,
}

local function is_prime(n)
  if n < 2 then return false end
  if n == 2 then return true end
  if n % 2 == 0 then return false end
  local sqrt_n = math.floor(math.sqrt(n))
  for i = 3, sqrt_n, 2 do
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

local function compare(serial, parallel)
  local begin = conc.time()
  serial()
  local middle = conc.time()
  parallel()
  local before, after = middle - begin, conc.time() - middle
  print(("%.2f s serially, %.2f s on %d cores: speed-up %.2fx"):format(
    before, after, conc.cpu_count(), before / after))
end

-- Five equal tasks and a light one: two cores can do it in three fifths of the
-- time, which is a speed-up of 1.67.
compare(function()
  for _, number in ipairs(PRIMES) do is_prime(number) end
end, function()
  local executor <close> = futures.ProcessPoolExecutor()
  for i, prime in executor:map(is_prime, PRIMES) do
    print(("%d is prime: %s"):format(PRIMES[i], prime))
  end
end)

-- Many small tasks, the heavy ones first, keep all cores busy to the end.
local LIMIT, SIZE = 3000000, 46875 -- 64 chunks
compare(function() count(1, LIMIT) end, function()
  local executor <close> = futures.ProcessPoolExecutor()
  local ranges, total = {}, 0
  for i = LIMIT, SIZE, -SIZE do ranges[#ranges + 1] = {i - SIZE + 1, i} end
  for _, n in executor:starmap(count, ranges) do total = total + n end
  print(("%d primes below %d"):format(total, LIMIT))
end)
