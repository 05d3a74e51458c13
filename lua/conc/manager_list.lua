--- A list of a manager, in objects that all threads of the server share: values
-- have numbers of their own, and `order` holds these in the order of the list, so
-- that values need not move when one comes between them.
--
--   lock    held in every step; who waits for it may give up
--   items   Dict, number = value
--   order   Dict, 1 = Array of numbers, with room for more than there are
--   n       Value: how many there are
--   last    Value: the number that was given last

local arguments = require "conc.arguments"
local core = require "conc.core"

local Dict = core.dict

local List = {methods = {}}

-- Places for numbers, at least.
local ROOM = 16

-- Arguments ---------------------------------------------------------------------

local function check_values(call, values)
  if type(values) ~= "table" then
    error(("bad argument #1 to '%s' (values: sequence expected, got %s)")
      :format(call, type(values)), 0)
  end
  return values
end

-- A place from 1 to last.
local function place(list, call, i, last)
  local k = math.tointeger(i)
  if type(i) == "string" or not k then
    error(("bad argument #1 to '%s' (index: integer expected, got %s)"):format(call, type(i)), 0)
  end
  if k < 0 then k = list.n.value + 1 + k end
  if k < 1 or k > last then
    error(("bad argument #1 to '%s' (index: 1 to %d expected, got %s)"):format(call, last, i), 0)
  end
  return k
end

local function check_value(call, value)
  if value == nil then error(("bad argument to '%s' (value: nil has no place)"):format(call), 0) end
end

local function range(list, i, j)
  local n = list.n.value
  i, j = i or 1, j or -1
  if i < 0 then i = math.max(1, n + 1 + i) elseif i == 0 then i = 1 end
  if j < 0 then j = n + 1 + j end
  return i, math.min(j, n)
end

-- Pieces of steps -----------------------------------------------------------------

-- The numbers, with room for n.
local function order_for(list, n)
  local order = list.order[1]
  if #order >= n then return order end
  local bigger = core.Array("q", math.max(n, 2 * #order))
  if list.n.value > 0 then bigger:set_slice(1, order:slice(1, list.n.value)) end
  list.order[1] = bigger
  return bigger
end

-- The value gets a number.
local function store(list, value)
  local id = list.last:add(1)
  list.items[id] = value
  return id
end

local function append(list, value)
  local n = list.n.value + 1
  order_for(list, n)[n] = store(list, value)
  list.n.value = n
end

local function remove(list, k)
  local order, n = list.order[1], list.n.value
  local value = Dict.pop(list.items, order[k])
  if k < n then order:set_slice(k, order:slice(k + 1, n)) end
  list.n.value = n - 1
  return value
end

-- The values from i to j.
local function copy(list, i, j)
  local values = {}
  if j < i then return values end
  local items = list.items
  for k, id in ipairs(list.order[1]:slice(i, j)) do values[k] = items[id] end
  return values
end

local function find(list, value)
  for k, v in ipairs(copy(list, 1, list.n.value)) do
    if v == value then return k end
  end
end

-- Steps ---------------------------------------------------------------------------

local steps = {}

function steps.get(list, i)
  local n = list.n.value
  if i == n + 1 then return nil end -- where ipairs ends
  return list.items[list.order[1][place(list, "get", i, n)]]
end

function steps.set(list, i, value)
  local n = list.n.value
  local k = place(list, "set", i, n + 1)
  check_value("set", value)
  if k > n then return append(list, value) end
  list.items[list.order[1][k]] = value
end

function steps.len(list)
  return list.n.value
end

function steps.append(list, value)
  check_value("append", value)
  append(list, value)
end

function steps.extend(list, values)
  local n, ids = list.n.value, {}
  for i, value in ipairs(check_values("extend", values)) do ids[i] = store(list, value) end
  if #ids == 0 then return end
  order_for(list, n + #ids):set_slice(n + 1, ids)
  list.n.value = n + #ids
end

function steps.insert(list, i, value)
  local n = list.n.value
  local k = place(list, "insert", i, n + 1)
  check_value("insert", value)
  local order = order_for(list, n + 1)
  if k <= n then order:set_slice(k + 1, order:slice(k, n)) end
  order[k] = store(list, value)
  list.n.value = n + 1
end

function steps.pop(list, i)
  local n = list.n.value
  if n == 0 then return nil end
  return remove(list, place(list, "pop", i or -1, n))
end

function steps.index(list, value)
  return find(list, value)
end

function steps.remove(list, value)
  local k = find(list, value)
  if not k then return false end
  remove(list, k)
  return true
end

function steps.count(list, value)
  local n = 0
  for _, v in ipairs(copy(list, 1, list.n.value)) do
    if v == value then n = n + 1 end
  end
  return n
end

function steps.slice(list, i, j)
  return copy(list, range(list, i, j))
end

function steps.reverse(list)
  local order, n = list.order[1], list.n.value
  if n == 0 then return end
  local ids = order:slice(1, n)
  for i = 1, n // 2 do ids[i], ids[n + 1 - i] = ids[n + 1 - i], ids[i] end
  order:set_slice(1, ids)
end

-- All or nothing: the comparison may raise in the middle.
function steps.sort(list, less)
  local n = list.n.value
  if n == 0 then return end
  local order, values = list.order[1], copy(list, 1, n)
  local ids, sorted = order:slice(1, n), {}
  for k, value in ipairs(values) do sorted[k] = {value = value, id = ids[k]} end
  less = less or function(a, b) return a < b end
  table.sort(sorted, function(a, b) return less(a.value, b.value) end)
  for k, entry in ipairs(sorted) do ids[k] = entry.id end
  order:set_slice(1, ids)
end

function steps.clear(list)
  Dict.clear(list.items)
  list.n.value = 0
end

steps._getvalue = steps.slice

-- What clients call ---------------------------------------------------------------

local function finish(lock, ok, ...)
  lock:release()
  if not ok then error((...), 0) end
  return ...
end

arguments.seal_methods(steps)

for name, f in pairs(steps) do
  List.methods[name] = function(session, entry, ...)
    local list = entry.object
    if not list.lock:acquire(0) then session:await(list.lock) end
    return finish(list.lock, pcall(f, list, ...))
  end
end

--- With the values of a sequence.
function List.new(values)
  local list = {
    lock = core.Lock(), items = core.Dict(), order = core.Dict(), n = core.Value("q"),
    last = core.Value("q"),
  }
  list.order[1] = core.Array("q", ROOM)
  if values ~= nil then steps.extend(list, check_values("list", values)) end
  return list
end

return List
