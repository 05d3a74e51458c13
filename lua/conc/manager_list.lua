--- A list of a manager, in the thread that has it.

local List = {}
List.__index = List

local function bad(i, message)
  error(("bad argument #%d to 'list' (%s)"):format(i, message), 0)
end

--- With the values of a sequence.
function List.new(values)
  if values ~= nil and type(values) ~= "table" then
    bad(1, "values: sequence expected, got " .. type(values))
  end
  return setmetatable({items = table.move(values or {}, 1, #(values or {}), 1, {})}, List)
end

-- A place from 1 to last.
local function place(self, call, i, last)
  local k = math.tointeger(i)
  if type(i) == "string" or not k then
    error(("bad argument #1 to '%s' (index: integer expected, got %s)"):format(call, type(i)), 0)
  end
  if k < 0 then k = #self.items + 1 + k end
  if k < 1 or k > last then
    error(("bad argument #1 to '%s' (index: 1 to %d expected, got %s)"):format(call, last, i), 0)
  end
  return k
end

local function value_of(call, value)
  if value == nil then error(("bad argument to '%s' (value: nil has no place)"):format(call), 0) end
  return value
end

local function range(self, i, j)
  local n = #self.items
  i, j = i or 1, j or -1
  if i < 0 then i = math.max(1, n + 1 + i) elseif i == 0 then i = 1 end
  if j < 0 then j = n + 1 + j end
  return i, math.min(j, n)
end

function List:get(i)
  if i == #self.items + 1 then return nil end -- where ipairs ends
  return self.items[place(self, "get", i, #self.items)]
end

function List:set(i, value)
  self.items[place(self, "set", i, #self.items + 1)] = value_of("set", value)
end

function List:len()
  return #self.items
end

function List:append(value)
  table.insert(self.items, value_of("append", value))
end

function List:extend(values)
  if type(values) ~= "table" then
    error("bad argument #1 to 'extend' (values: sequence expected, got " .. type(values) .. ")", 0)
  end
  table.move(values, 1, #values, #self.items + 1, self.items)
end

function List:insert(i, value)
  table.insert(self.items, place(self, "insert", i, #self.items + 1), value_of("insert", value))
end

function List:pop(i)
  if #self.items == 0 then return nil end
  return table.remove(self.items, place(self, "pop", i or -1, #self.items))
end

function List:index(value)
  for i, v in ipairs(self.items) do
    if v == value then return i end
  end
end

function List:remove(value)
  local i = self:index(value)
  if not i then return false end
  table.remove(self.items, i)
  return true
end

function List:count(value)
  local n = 0
  for _, v in ipairs(self.items) do
    if v == value then n = n + 1 end
  end
  return n
end

function List:slice(i, j)
  i, j = range(self, i, j)
  return table.move(self.items, i, j, 1, {})
end

function List:reverse()
  local items, n = self.items, #self.items
  for i = 1, n // 2 do items[i], items[n + 1 - i] = items[n + 1 - i], items[i] end
end

-- All or nothing: the comparison may raise in the middle.
function List:sort(less)
  local copy = self:slice()
  table.sort(copy, less)
  self.items = copy
end

function List:clear()
  self.items = {}
end

List._getvalue = List.slice

return List
