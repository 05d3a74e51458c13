--- A list of fixed length in shared memory, found by name: integers, floats,
-- booleans, strings and nils.  Each place keeps the room it began with.
--
-- In the block: a head (mark, length), for each place its offset and room, and
-- there a word (kind and length) before the value itself.
--
-- A list is a table with the memory in it, so that it travels by itself; its
-- metatable is known by this module's name.

local arguments = require "conc.arguments"
local core = require "conc.core"
local SharedMemory = core.shared.SharedMemory

local MARK = "conc-sl1"
local HEAD, ENTRY, WORD = 16, 16, 8
local NIL, BOOLEAN, INTEGER, FLOAT, STRING = 0, 1, 2, 3, 4

local List = {}
local metatable = {__name = "ShareableList"}

-- Values ----------------------------------------------------------------------

-- How a value is kept: its kind, its bytes.
local function encode(value, where)
  local type = math.type(value) or type(value)
  if type == "nil" then return NIL, "" end
  if type == "boolean" then return BOOLEAN, value and "\1" or "\0" end
  if type == "integer" then return INTEGER, string.pack("<i8", value) end
  if type == "float" then return FLOAT, string.pack("<d", value) end
  if type == "string" then return STRING, value end
  core.raise(("%s: integer, float, boolean, string or nil expected, got %s")
    :format(where, arguments.kind(value)))
end

local function decode(kind, bytes)
  if kind == NIL then return nil end
  if kind == BOOLEAN then return bytes == "\1" end
  if kind == INTEGER then return (string.unpack("<i8", bytes)) end
  if kind == FLOAT then return (string.unpack("<d", bytes)) end
  return bytes
end

-- Places ----------------------------------------------------------------------

local function length(shm)
  return (string.unpack("<I8", shm:read(8, 8)))
end

-- Where the place i is, and how much fits.
local function place(shm, i)
  return string.unpack("<I8I8", shm:read(HEAD + (i - 1) * ENTRY, ENTRY))
end

local function get(shm, i)
  local offset = place(shm, i)
  local word = string.unpack("<I8", shm:read(offset, WORD))
  return decode(word & 0xff, shm:read(offset + WORD, word >> 8))
end

local function set(shm, i, value)
  local kind, bytes = encode(value, "value")
  local offset, room = place(shm, i)
  if #bytes > room then
    core.raise(("value: %d bytes do not fit in the %d of place %d"):format(#bytes, room, i))
  end
  shm:write(offset, string.pack("<I8", kind | #bytes << 8) .. bytes)
end

-- Making ----------------------------------------------------------------------

local function new(shm)
  return setmetatable({_shm = shm}, metatable)
end

local function create(values, n, name)
  local kinds, data, offset = {}, {}, HEAD + n * ENTRY
  local entries = {}
  for i = 1, n do
    kinds[i], data[i] = encode(values[i], ("sequence[%d]"):format(i))
    local room = math.max(8, #data[i] + 7 & ~7)
    entries[i] = string.pack("<I8I8", offset, room)
    offset = offset + WORD + room
  end
  local shm = SharedMemory {name = name, create = true, size = offset}
  for i = 1, n do
    local at = string.unpack("<I8", entries[i])
    shm:write(at, string.pack("<I8", kinds[i] | #data[i] << 8) .. data[i])
  end
  shm:write(0, MARK .. string.pack("<I8", n) .. table.concat(entries))
  return new(shm)
end

local function attach(name)
  local shm = SharedMemory(name)
  if shm:size() < HEAD or shm:read(0, 8) ~= MARK then
    core.raise(("name: '%s' is no ShareableList"):format(name))
  end
  return new(shm)
end

local function is_list(value)
  return getmetatable(value) == metatable
end

local OPTIONS = {sequence = true, name = true}

-- ShareableList(seq), ShareableList{name =}, ShareableList{sequence =, name =}
local function ShareableList(arg, ...)
  arguments.no_more(2, "ShareableList", ...)
  arguments.type(1, "ShareableList", "sequence", "table", arg)
  if is_list(arg) then return create(arg, #arg) end
  if arg.sequence == nil and arg.name == nil then
    return create(arg, math.tointeger(arg.n) or #arg)
  end
  arguments.known(1, "ShareableList", arg, OPTIONS)
  local seq = arg.sequence
  if seq == nil then return attach(arg.name) end
  arguments.type(1, "ShareableList", "sequence", "table", seq)
  return create(seq, not is_list(seq) and math.tointeger(seq.n) or #seq, arg.name)
end

-- Methods ---------------------------------------------------------------------

local function check(list)
  if not is_list(list) then
    core.raise("bad argument #1 (ShareableList expected, got " .. arguments.kind(list) .. ")")
  end
  return rawget(list, "_shm")
end

--- The memory: its name, `close`, `unlink`.
function List.shm(list)
  return check(list)
end

--- The first place that holds the value, or nil.
function List.index(list, value)
  local shm = check(list)
  for i = 1, length(shm) do
    if get(shm, i) == value then return i end
  end
end

--- How many places hold the value.
function List.count(list, value)
  local shm, n = check(list), 0
  for i = 1, length(shm) do
    if get(shm, i) == value then n = n + 1 end
  end
  return n
end

local FORMATS = {[NIL] = "x", [BOOLEAN] = "?", [INTEGER] = "q", [FLOAT] = "d"}

--- What is in the places, as Python's struct says it: "q", "d", "?", "16s", and
-- "x" for nil.
function List.format(list)
  local shm, parts = check(list), {}
  for i = 1, length(shm) do
    local offset, room = place(shm, i)
    local kind = string.unpack("<I8", shm:read(offset, WORD)) & 0xff
    parts[i] = FORMATS[kind] or room .. "s"
  end
  return table.concat(parts)
end

arguments.seal_methods(List)

local function index_error(i, n)
  core.raise(("index: %s is not in 1 to %d"):format(tostring(i), n))
end

function metatable.__index(list, key)
  if type(key) == "string" then return List[key] end
  local shm = check(list)
  local n, i = length(shm), math.tointeger(key)
  if i == n + 1 then return nil end
  if not i or i < 1 or i > n then index_error(key, n) end
  return get(shm, i)
end

function metatable.__newindex(list, key, value)
  local shm = check(list)
  local n, i = length(shm), math.tointeger(key)
  if not i or i < 1 or i > n then index_error(key, n) end
  set(shm, i, value)
end

function metatable.__len(list)
  return length(check(list))
end

function metatable.__pairs(list)
  local shm = check(list)
  return function(_, i)
    if i < length(shm) then return i + 1, get(shm, i + 1) end
  end, list, 0
end

function metatable.__eq(a, b)
  return is_list(a) and is_list(b) and check(a) == check(b)
end

function metatable.__tostring(list)
  local shm = check(list)
  return ("ShareableList('%s', %d)"):format(shm:name(), length(shm))
end

return {ShareableList = ShareableList, metatable = metatable}
