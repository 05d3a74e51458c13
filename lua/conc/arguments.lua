--- What conc's functions in Lua check of their arguments.
--
-- `n` is an argument's number, `call` the function's name, `name` the argument's.

local core = require "conc.core"

local arguments = {}

-- Errors name the nearest line that is in none of conc's own files: those beside
-- this one.  A loader calls a file with its path.
local _, path = ...
local folder = type(path) == "string" and path:match "^.*[/\\]"
if folder then core.own("@" .. folder) end

--- What to call a value: the `__name` of its metatable, or its type.
function arguments.kind(value)
  local mt = getmetatable(value)
  local name = type(mt) == "table" and mt.__name
  return type(name) == "string" and name or type(value)
end

--- Raise that an argument is bad.
function arguments.bad(n, call, text)
  core.raise(("bad argument #%d to '%s' (%s)"):format(n, call, text))
end

--- Raise that something else was expected.
function arguments.expected(n, call, name, what, value)
  arguments.bad(n, call, ("%s: %s expected, got %s"):format(name, what, arguments.kind(value)))
end

--- One that has to be of that type of Lua's.
function arguments.type(n, call, name, what, value)
  if type(value) ~= what then arguments.expected(n, call, name, what, value) end
  return value
end

--- The same, or nil.
function arguments.opt(n, call, name, what, value)
  if value ~= nil then arguments.type(n, call, name, what, value) end
  return value
end

--- A function, or what can be called like one.
function arguments.callable(n, call, name, value)
  if type(value) == "function" then return end
  local mt = getmetatable(value)
  if type(mt) ~= "table" or not mt.__call then
    arguments.expected(n, call, name, "function", value)
  end
end

--- Seconds, or nil.
function arguments.timeout(n, call, name, value)
  if value == nil then return end
  if type(value) ~= "number" then
    arguments.expected(n, call, name, "number of seconds", value)
  elseif value ~= value then
    arguments.bad(n, call, name .. ": must not be NaN")
  elseif value < 0 then
    arguments.bad(n, call, name .. ": must not be negative")
  end
end

--- A table of options has no other names than those that `known` has as keys.
function arguments.known(n, call, options, known)
  for name in next, options do
    if not known[name] then
      arguments.bad(n, call, ("unknown option '%s'"):format(tostring(name)))
    end
  end
  return options
end

--- `...` is what comes from argument n on: nothing.
function arguments.no_more(n, call, ...)
  if select("#", ...) > 0 then arguments.bad(n, call, "surplus argument") end
end

--- The object of a method.
function arguments.self(call, class, value)
  if getmetatable(value) ~= class then
    arguments.bad(1, call, ("%s expected, got %s"):format(class.__name, arguments.kind(value)))
  end
  return value
end

-- No tail call of f: the name of the caller's call would be lost.
local function pass(...)
  return ...
end

-- f, when it has been seen to get no more arguments than it has names for, and
-- an object of the class.
local function strict(f, call, first, class)
  local most = core.parameters(f)
  return function(...)
    if class then arguments.self(call, class, (...)) end
    if most and select("#", ...) > most then
      arguments.bad(most + first, call, "surplus argument")
    end
    return pass(f(...))
  end
end

local function seal(t, first, class)
  for name, f in pairs(t) do
    local hidden = type(name) ~= "string" or name:find "^__"
    if type(f) == "function" and not hidden and (class or core.parameters(f)) then
      t[name] = strict(f, name, first, class)
    end
  end
end

--- Let the functions in a table refuse surplus arguments; those with `...` see to
-- that themselves, or take any.
function arguments.seal(t)
  seal(t, 1)
end

--- The same for methods, which refuse objects of another class as well; unless
-- they see to that themselves, and no class is given.
function arguments.seal_methods(t, class)
  seal(t, 0, class)
end

return arguments
