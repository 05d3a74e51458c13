--- The table that the benchmarks print.
-- @module bench.report

local report = {}

-- A figure from seconds for one (of so many bytes).
local units = {
  ns = function(s) return s * 1e9 end,
  us = function(s) return s * 1e6 end,
  ms = function(s) return s * 1e3 end,
  ["M/s"] = function(s) return 1e-6 / s end,
  ["GB/s"] = function(s, bytes) return bytes * 1e-9 / s end,
}

--- Seconds for one, in the unit of a row.
function report.figure(row, seconds)
  return seconds and units[row.unit](seconds, row.bytes)
end

-- How many times as fast as the other conc is.
local function speed(row, other)
  if type(other) ~= "number" then return nil end
  local rate = row.unit:find("/s", 1, true)
  return rate and row.conc / other or other / row.conc
end

-- Each kind of aim: its words, and whether a row reaches it.
local aims = {
  at_most = {
    text = function(row, limit) return ("<= %g %s"):format(limit, row.unit) end,
    met = function(row, limit) return row.conc <= limit end,
  },
  at_least = {
    text = function(row, limit) return (">= %g %s"):format(limit, row.unit) end,
    met = function(row, limit) return row.conc >= limit end,
  },
  of_floor = {
    text = function(_, part) return (">= %.2f of floor"):format(part) end,
    met = function(row, part)
      local ratio = speed(row, row.floor_figure)
      return ratio and ratio >= part -- nil: no floor, no verdict
    end,
  },
  over_floor = {
    text = function(row, more)
      return ("<= floor + %g %s"):format(more, row.unit)
    end,
    met = function(row, more)
      return row.floor_figure and row.conc <= row.floor_figure + more
    end,
  },
}

local function number(x)
  if type(x) ~= "number" then return x or "-" end
  if x >= 1000 then return ("%.0f"):format(x) end
  return (("%.3g"):format(x))
end

local function ratio(row, other)
  local times = speed(row, other)
  return times and number(times) .. "x" or ""
end

local function aim(row)
  local kind, limit = next(row.aim or {})
  if not kind then return "", "" end
  local met = aims[kind].met(row, limit)
  local verdict = met and "yes" or met == false and "NO" or "?"
  return aims[kind].text(row, limit), verdict
end

local function peer(row)
  if not row.peer then return "-" end
  return number(row.peer[1]) .. " " .. row.peer[2]
end

local LINE = "%-25s %-4s %8s | %8s %6s  %-17s | %12s %6s | %-22s | %-16s %s"

function report.head()
  local line = LINE:format("case", "unit", "conc", "floor", "", "(what)",
    "CPython", "", "best known Lua library", "aim", "met")
  return line .. "\n" .. ("-"):rep(#line)
end

--- The line of a row whose conc, floor_figure and cpython_figure are known.
function report.line(row)
  local wanted, met = aim(row)
  return (LINE:format(row.name, row.unit, number(row.conc),
    number(row.floor_figure), ratio(row, row.floor_figure),
    row.floor, number(row.cpython_figure),
    ratio(row, row.cpython_figure), peer(row), wanted, met):gsub("%s+$", ""))
end

report.foot = "\n1.5x: conc is one and a half times as fast. How to read " ..
  "the rest: bench/README.md"

function report.floor(figure)
  return ("  %-22s %8s %s"):format(figure.name, number(figure.value),
    figure.unit)
end

function report.failure(name, message)
  return ("%-25s FAILED: %s"):format(name, message)
end

return report
