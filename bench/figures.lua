--- The figures of other programs: lines of "name value unit".
-- @module bench.figures

local figures = {}

local WINDOWS = package.config:sub(1, 1) == "\\"
local NOWHERE = WINDOWS and "NUL" or "/dev/null"
local QUIET = " 2>" .. NOWHERE

--- What a command prints.
-- @return a sequence of {name = string, value = number or word, unit =
--   string}, each also under its name; empty when there is no such command
function figures.of(command)
  local found = {}
  local out = io.popen(command .. QUIET)
  for line in out:lines() do
    local name, value, unit = line:match("^(%S+) (%S+) (%S+)$")
    if name then
      local figure = {name = name, value = tonumber(value) or value,
        unit = unit}
      found[#found + 1] = figure
      found[name] = figure
    end
  end
  out:close()
  return found
end

local floors = {} -- program → what it printed

--- The figures of a floor program, which runs once.
function figures.floor(root, program)
  if not floors[program] then
    local path = root .. "build/bench/floor_" .. program
    floors[program] = figures.of(WINDOWS and path:gsub("/", "\\") or path)
  end
  return floors[program]
end

--- CPython's figures for one case.
function figures.cpython(root, case)
  return figures.of("python3 " .. root .. "bench/cpython.py " .. case)
end

return figures
