--- Processes, and what they synchronize with, as in Python's
-- `multiprocessing`.
--
-- @module conc.multiprocessing

local arguments = require "conc.arguments"
local connection = require "conc.connection"
local core = require "conc.core"
local interpreter = require "conc.interpreter"
local manager = require "conc.manager"
local pool = require "conc.pool"
require "conc.launch" -- for Process.start

local multiprocessing = {
  Process = core.process_maker(),
  current_process = core.current_process,
  parent_process = core.parent_process,
  active_children = core.active_children,
  cpu_count = core.cpu_count,
  Listener = connection.Listener,
  Client = connection.Client,
  deliver_challenge = connection.deliver_challenge,
  answer_challenge = connection.answer_challenge,
  wait = connection.wait,
  BaseManager = manager.BaseManager,
  SyncManager = manager.SyncManager,
  Manager = manager.Manager,
  Dict = require "conc.proxy".Dict,
  Pool = pool.process_pool(),
  ThreadPool = pool.ThreadPool,
}

-- What is in shared memory.
for name, constructor in pairs(core.shared) do
  multiprocessing[name] = constructor
end
multiprocessing.ShareableList = require "conc.shareable_list".ShareableList
multiprocessing.SharedMemoryManager =
  require "conc.shared_memory_manager".SharedMemoryManager

--- A Value, an Array without a lock.
function multiprocessing.RawValue(type, init)
  return multiprocessing.Value(type, init, false)
end

function multiprocessing.RawArray(type, values)
  return multiprocessing.Array(type, values, false)
end

--- Does nothing, as no program is frozen; for programs that come from Python.
function multiprocessing.freeze_support() end

-- Start methods ------------------------------------------------------------

-- Windows cannot copy a process.
local methods = {"spawn", package.config:sub(1, 1) == "/" and "forkserver" or nil}

local function check_method(method, name)
  for _, known in ipairs(methods) do
    if method == known then return method end
  end
  arguments.bad(1, name, ("method: '%s' expected, got %s"):format(table.concat(methods, "' or '"),
    type(method) == "string" and "'" .. method .. "'" or arguments.kind(method)))
end

--- The start methods there are; the first is the default.
function multiprocessing.get_all_start_methods()
  return {table.unpack(methods)}
end

--- The start method of this program.
function multiprocessing.get_start_method(allow_none)
  local method = core.note "method"
  if method == nil and not allow_none then return methods[1] end
  return method
end

--- Choose how processes start, once in a program; again only by `force`.
function multiprocessing.set_start_method(method, force)
  check_method(method, "set_start_method")
  if core.note "method" and not force then
    core.raise("the start method has been set before")
  end
  core.set_note("method", method)
end

-- The whole module once for each method, and its Process.
local contexts = {}

--- All of this module, with processes that start by `method`.
function multiprocessing.get_context(method)
  if method == nil then return multiprocessing end
  check_method(method, "get_context")
  if not contexts[method] then
    local context = {
      Process = core.process_maker(method),
      get_start_method = function() return method end,
    }
    context.Pool = pool.process_pool(context)
    context.Manager = manager.of_context(context)
    arguments.seal(context)
    contexts[method] = setmetatable(context, {__index = multiprocessing})
  end
  return contexts[method]
end

--- The interpreter that runs child processes from now on: a path, or a name
-- that is on PATH.  Whether it can is seen when a process starts.
function multiprocessing.set_executable(path)
  interpreter.set(path)
end

--- Modules that a fork server loads before it forks; before the first process.
function multiprocessing.set_forkserver_preload(names)
  local call = "set_forkserver_preload"
  arguments.type(1, call, "names", "table", names)
  for i, name in ipairs(names) do
    arguments.type(1, call, ("names[%d]"):format(i), "string", name)
  end
  core.set_note("preload", table.concat(names, "\n"))
end

arguments.seal(multiprocessing)

return multiprocessing
