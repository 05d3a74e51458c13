local threading = require "conc.threading"
local empty = require "bench.empty"
local measure = require "bench.measure"

local value = threading.Value("q", 0)
local array = threading.Array("q", 100)
local dict = threading.Dict()
dict.key = 1

local READ, WRITE = {374, "llthreads2+mtmsg"}, {370, "llthreads2+mtmsg"}

local function row(name, peer, work)
  return {
    name = name, unit = "ns", floor = "an empty __index",
    cpython = (name:gsub("[^%w]+", "_")), peer = peer,
    aim = {at_most = peer[1]},
    figures = function() return measure.each(work, empty.field) end,
  }
end

return {
  row("Value read", READ, function(n)
    local x
    for _ = 1, n do x = value.value end
    return nil, x
  end),
  row("Value write", WRITE, function(n)
    for i = 1, n do value.value = i end
  end),
  row("Value add", WRITE, function(n)
    for _ = 1, n do value:add(1) end
  end),
  row("Array read", READ, function(n)
    local x
    for _ = 1, n do x = array[50] end
    return nil, x
  end),
  row("Array write", WRITE, function(n)
    for i = 1, n do array[50] = i end
  end),
  row("Dict read", READ, function(n)
    local x
    for _ = 1, n do x = dict.key end
    return nil, x
  end),
  row("Dict write", WRITE, function(n)
    for i = 1, n do dict.key = i end
  end),
  row("Dict add", WRITE, function(n)
    for _ = 1, n do threading.Dict.add(dict, "key", 1) end
  end),
}
