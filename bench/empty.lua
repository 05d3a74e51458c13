--- The least that C can do for a Lua program, in the program's own process.
--
-- A userdata whose method and whose __index are `assert`: of all C functions
-- that every Lua has, the one that does nothing but give back its arguments.
-- @module bench.empty

local empty = {}

local function userdata(index)
  local u = assert(io.tmpfile())
  u:close()
  return debug.setmetatable(u, {__index = index})
end

local object = userdata {method = assert}
local data = userdata(assert)

--- Two empty methods, as acquire and release are two calls.
function empty.two_methods(n)
  for _ = 1, n do
    object:method()
    object:method()
  end
end

function empty.method(n)
  for _ = 1, n do object:method() end
end

--- A field that C looks up.
function empty.field(n)
  local x
  for _ = 1, n do x = data.field end
  return nil, x
end

return empty
