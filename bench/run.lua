-- Measures conc against the machine's floor and CPython, in one table.
--   lua5.4 bench/run.lua [case ...]
-- The cases are the files of bench/cases; without a name, all of them.

local root = (arg[0]:match("^(.*[/\\])[^/\\]*$") or "./") .. "../"
package.path = root .. "?.lua;" .. package.path

local figures = require "bench.figures"
local report = require "bench.report"

local CASES = {
  "thread_start", "lock", "ping_pong", "one_way", "string", "table", "tasks",
  "cells", "select", "process_queue", "process_start", "process_pool", "shared",
  "manager", "futures",
}
local FLOORS = {
  "thread", "process", "pair", "queue", "pool", "memory", "call",
}

local function in_unit(found, row, name)
  local figure = found[name]
  if not figure then return nil end
  assert(figure.unit == row.unit or type(figure.value) == "string",
    name .. " comes in another unit than its row")
  return figure.value
end

-- A floor named "pair.ping_pong" is the program floor_pair's, any other the
-- case's own.
local function measure(row, cpython)
  local conc, floor = row.figures()
  row.conc = report.figure(row, conc)
  local program = row.floor:match("^(%w+)%.")
  if program then
    row.floor_figure = in_unit(figures.floor(root, program), row, row.floor)
  else
    row.floor_figure = report.figure(row, floor)
  end
  row.cpython_figure = in_unit(cpython, row, row.cpython)
end

local failures = 0

local function attempt(name, f, ...)
  local ok, result = xpcall(f, debug.traceback, ...)
  if ok then return result end
  failures = failures + 1
  print(report.failure(name, result))
end

local function run(case)
  local rows = attempt(case, require, "bench.cases." .. case)
  if not rows then return end
  local cpython = figures.cpython(root, case)
  for _, row in ipairs(rows) do
    attempt(row.name, function()
      measure(row, cpython)
      print(report.line(row))
      io.stdout:flush()
    end)
  end
end

local function print_floor()
  print("\nThe floor, in C on this machine:")
  for _, program in ipairs(FLOORS) do
    for _, figure in ipairs(figures.floor(root, program)) do
      print(report.floor(figure))
    end
  end
end

local function check(name)
  for _, case in ipairs(CASES) do
    if case == name then return end
  end
  io.stderr:write("no case ", name, "; there are: ",
    table.concat(CASES, ", "), "\n")
  os.exit(2)
end

for _, name in ipairs(arg) do check(name) end
print(report.head())
for _, case in ipairs(#arg > 0 and arg or CASES) do run(case) end
print(report.foot)
if #arg == 0 then print_floor() end
os.exit(failures == 0, true)
