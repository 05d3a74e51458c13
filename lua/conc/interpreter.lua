--- Which program runs child processes: an interpreter of Lua 5.4 that can load
-- conc.

local arguments = require "conc.arguments"
local core = require "conc.core"

local interpreter = {}

local windows = package.config:sub(1, 1) == "\\"

-- The library that holds conc's C half.  When that is a part of the host
-- program, an interpreter needs another one.
local own = core.module()
if own == core.program() then own = nil end

local function library()
  if own then return own end
  local path = core.module()
  return package.searchpath("conc.core", package.cpath) or path or "conc.core"
end

--- What an interpreter runs as its program, with `%d` for its channel.
function interpreter.code()
  return ([[local c=%%d assert(package.loadlib(%q,'luaopen_conc_child'))(c)]])
    :format(library())
end

-- The same to find out whether it is one and can do that.
local function probing_code()
  return ([[local c=%%d if _VERSION~='Lua 5.4' then os.exit(54) end ]]
    .. [[local f,e=package.loadlib(%q,'luaopen_conc_child') ]]
    .. [[if not f then io.stderr:write(e,'\n') os.exit(55) end f(c,true)]])
    :format(library())
end

local reasons = {
  ["ended with code 54"] = "it is not Lua 5.4",
  ["ended with code 55"] = "it cannot load conc's library",
}

local function absolute(path)
  return path:find(windows and "[/\\]" or "/") ~= nil
end

-- A name without folder is looked for where a shell would.
local function on_path(name)
  local found = {}
  local separator = windows and ";" or ":"
  for folder in (os.getenv "PATH" or ""):gmatch("[^" .. separator .. "]+") do
    local path = folder .. "/" .. name .. (windows and ".exe" or "")
    local file = io.open(path, "rb")
    if file then
      file:close()
      found[#found + 1] = path
    end
  end
  return found
end

-- The program that runs us, if its name says that it is an interpreter.
local function ourselves()
  local path = core.program()
  if path and path:match("[^/\\]*$"):lower():find "^lua" then return {path} end
  local first = 0
  if type(arg) ~= "table" then return {} end
  while type(arg[first - 1]) == "string" do first = first - 1 end
  local name = first < 0 and arg[first] or ""
  if not name:match("[^/\\]*$"):lower():find "^lua" then return {} end
  return absolute(name) and {name} or on_path(name)
end

-- Lists of programs to try, in order.  What somebody has named is not replaced
-- by something else.
local function candidates()
  local named = core.note "executable" or os.getenv "CONC_LUA"
  if named and named ~= "" then
    return absolute(named) and {named} or on_path(named), named
  end
  local list = ourselves()
  for _, name in ipairs {"lua5.4", "lua54", "lua-5.4", "lua"} do
    for _, path in ipairs(on_path(name)) do list[#list + 1] = path end
  end
  return list
end

local function search()
  local tried, seen = {}, {}
  local list, named = candidates()
  for _, path in ipairs(list) do
    if not seen[path] then
      seen[path] = true
      local ok, why = core.probe(path, probing_code())
      if ok then return path end
      tried[#tried + 1] = ("\n\t%s: %s"):format(path, reasons[why] or why)
    end
  end
  if #tried == 0 then
    tried[1] = named and ("\n\t%s: not found on PATH"):format(named)
      or ("\n\t%s, which runs this program: no interpreter, or not there any more"
        .. "\n\tno lua5.4, lua54, lua-5.4 or lua on PATH"):format(core.program() or "the one")
  end
  error("no Lua 5.4 interpreter for child processes (see set_executable); tried:"
    .. table.concat(tried), 0)
end

--- The path of the interpreter, found once in a program.
function interpreter.find()
  local path = core.note "interpreter"
  if not path then
    path = search()
    core.set_note("interpreter", path)
  end
  return path
end

-- Where there is none, it is looked for once.
local hopeless = false

--- Who sweeps after this process: the interpreter, and what it runs; or nil.
function interpreter.sweeper()
  if hopeless then return nil end
  local ok, program = pcall(interpreter.find)
  if ok then
    return program, ([[local c=%%d assert(package.loadlib(%q,'luaopen_conc_child'))(c,%d)]])
      :format(library(), core.current_process():pid())
  end
  hopeless = type(program) == "string" and program:find "^no Lua" ~= nil
end

--- Use this one from now on.
function interpreter.set(path)
  arguments.type(1, "set_executable", "path", "string", path)
  if path == "" or path:find("\0", 1, true) then
    arguments.bad(1, "set_executable", "path: must be the name of a file")
  end
  core.set_note("executable", path)
  core.set_note("interpreter", nil)
end

return interpreter
