local conc = require "conc"
local measure = require "bench.measure"
local multiprocessing = require "conc.multiprocessing"

local function nothing() end

local function starter(method)
  local Process = multiprocessing.get_context(method).Process
  return function(n)
    for _ = 1, n do Process{target = nothing}:start():join() end
  end
end

local function methods()
  local list = {}
  for _, method in ipairs(multiprocessing.get_all_start_methods()) do
    local start = starter(method)
    list[#list + 1] = {
      name = "process start+join, " .. method, unit = "ms",
      floor = "process.spawn", cpython = method,
      aim = method == "spawn" and {of_floor = 0.67} or {at_most = 1.5},
      figures = function()
        start(1) -- the fork server, if there is to be one
        return measure.each(start)
      end,
    }
  end
  return list
end

local SharedMemory = multiprocessing.SharedMemory
local SIZE = 1 << 20

local function create(n)
  for _ = 1, n do
    local shm <close> = SharedMemory{create = true, size = SIZE}
    shm:unlink()
  end
end

-- Seconds without what the block itself costs.
local function attach(n)
  local shm <close> = SharedMemory{create = true, size = SIZE}
  local name = shm:name()
  local start = conc.time()
  for _ = 1, n do
    local other <close> = SharedMemory(name) -- luacheck: ignore 211
  end
  local seconds = conc.time() - start
  shm:unlink()
  return seconds
end

local rows = methods()
rows[#rows + 1] = {
  name = "shared memory create, 1 MiB", unit = "us",
  floor = "process.shm_create", cpython = "shm_create",
  figures = function() return measure.each(create) end,
}
rows[#rows + 1] = {
  name = "shared memory attach", unit = "us",
  floor = "process.shm_attach", cpython = "shm_attach",
  figures = function() return measure.each(attach) end,
}
return rows
