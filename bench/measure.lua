--- Medians of several rounds, the rounds of rivals taken in turn.
-- @module bench.measure

local conc = require "conc"

local measure = {}

local ROUNDS = 7
local LONG_ENOUGH = 0.05 -- seconds; a shorter round measures the clock

--- The middle one of a list of numbers.
function measure.median(list)
  table.sort(list)
  return list[#list // 2 + 1]
end

-- Seconds that work(n) takes, or says that it took when only a part counts.
local function seconds(work, n)
  collectgarbage()
  local start = conc.time()
  local said = work(n)
  return said or conc.time() - start
end

local function enough(work)
  local n = 1
  while true do
    local taken = seconds(work, n)
    if taken >= LONG_ENOUGH then return n end
    local wanted = math.ceil(n * LONG_ENOUGH * 1.2 / math.max(taken, 1e-9))
    n = math.min(wanted, n * 10)
  end
end

-- counts[k] of works[k] per round
local function rounds(counts, works)
  local figures, medians = {}, {}
  for k = 1, #works do figures[k] = {} end
  for r = 1, ROUNDS do
    for k, work in ipairs(works) do
      figures[k][r] = seconds(work, counts[k]) / counts[k]
    end
  end
  for k = 1, #works do medians[k] = measure.median(figures[k]) end
  return table.unpack(medians)
end

--- Seconds for one of each work, each done n times a round.
-- @param n count per round
-- @param ... functions of n that do their work n times; one may return the
--   seconds that count, when not all of it does
-- @return a median for each
function measure.fixed(n, ...)
  local works, counts = {...}, {}
  for k, work in ipairs(works) do
    seconds(work, n) -- to warm up
    counts[k] = n
  end
  return rounds(counts, works)
end

--- The same with as many per round as the clock needs.
function measure.each(...)
  local works, counts = {...}, {}
  for k, work in ipairs(works) do counts[k] = enough(work) end
  return rounds(counts, works)
end

return measure
