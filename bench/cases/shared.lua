local multiprocessing = require "conc.multiprocessing"
local empty = require "bench.empty"
local measure = require "bench.measure"

local lock = multiprocessing.Lock()
local value = multiprocessing.Value("q", 0)
local array = multiprocessing.Array("q", 100)

local function row(name, more, work)
  return {
    name = "shared " .. name, unit = "ns", floor = "an empty __index",
    cpython = (name:gsub("[^%w]+", "_")), aim = more and {over_floor = more},
    figures = function() return measure.each(work, empty.field) end,
  }
end

return {
  row("Lock acquire+release", nil, function(n)
    for _ = 1, n do
      lock:acquire()
      lock:release()
    end
  end),
  row("Value read", 15, function(n)
    local x
    for _ = 1, n do x = value.value end
    return nil, x
  end),
  row("Value add", nil, function(n)
    for _ = 1, n do value:add(1) end
  end),
  row("Array read", 15, function(n)
    local x
    for _ = 1, n do x = array[50] end
    return nil, x
  end),
  row("Array write", nil, function(n)
    for i = 1, n do array[50] = i end
  end),
}
