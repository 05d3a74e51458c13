local threading = require "conc.threading"
local empty = require "bench.empty"
local measure = require "bench.measure"

local lock = threading.Lock()

local function acquire_release(n)
  for _ = 1, n do
    lock:acquire()
    lock:release()
  end
end

local function scope(n)
  for _ = 1, n do
    local held <close> = lock:acquire() -- luacheck: ignore held
  end
end

return {
  {
    name = "lock acquire+release", unit = "ns",
    floor = "two empty methods", cpython = "acquire_release",
    peer = {134, "luv"}, aim = {over_floor = 20},
    figures = function()
      return measure.each(acquire_release, empty.two_methods)
    end,
  },
  {
    name = "lock by <close>", unit = "ns",
    floor = "two empty methods", cpython = "with_lock",
    figures = function() return measure.each(scope, empty.two_methods) end,
  },
}
