local Thread = require("conc.threading").Thread
local measure = require "bench.measure"

local function nothing() end

local function start_join(n)
  for _ = 1, n do
    Thread{target = nothing}:start():join()
  end
end

return {
  {
    name = "thread start+join", unit = "us",
    floor = "thread.start", cpython = "start_join",
    peer = {82, "luaproc"}, aim = {of_floor = 1},
    figures = function() return measure.each(start_join) end,
  },
}
