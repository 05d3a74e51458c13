--- The process that has a manager's objects: a thread that accepts connections,
-- one for each of them, one that keeps house.

local connection = require "conc.connection"
local core = require "conc.core"
local manager_host = require "conc.manager_host"
local manager_session = require "conc.manager_session"

local server = {}

-- What all its threads share: see manager_registry.
local function new_shared(listener, config)
  local uid = core.crypto.random(16):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  return {
    uid = uid .. "/",
    counter = core.Value("q"),
    objects = core.Dict(),
    refs = core.Dict(),
    pins = core.Dict(),
    owners = core.Dict(),
    left = core.Dict(),
    loose = core.Dict(),
    house = core.SimpleQueue(),
    tasks = core.ThreadPoolExecutor(1000),
    listener = listener.listener,
    address = listener:address(),
    key = config.key,
    types = config.types,
    standard = config.standard,
    names = config.names,
  }
end

local function start(target, name, ...)
  return core.Thread {target = target, args = {...}, name = name, daemon = true}:start()
end

-- Those whose thread has ended are forgotten.
local function prune(sessions)
  for thread in pairs(sessions) do
    if not thread:is_alive() then sessions[thread] = nil end
  end
end

-- nil: the listener is closed.  There may be no descriptor left just now.
local function accept(listener)
  local ok, conn, why = pcall(connection.accept_stranger, listener)
  if ok then return conn, why end
  core.sleep(0.05)
  return false
end

--- Serve until a client asks for the end.
function server.serve(listener, config)
  local shared = new_shared(listener, config)
  local house = start(manager_host.run, "manager-house", shared, shared.house)
  local sessions, number = {}, 0
  while true do
    local conn = accept(listener)
    if conn == nil then break end
    prune(sessions)
    number = number + 1
    local ok, thread = pcall(start, manager_session.run, "manager-session", shared, conn, number)
    if ok then sessions[thread] = conn elseif conn then conn:close() end
  end
  for thread, conn in pairs(sessions) do
    conn:close()
    thread:join(1)
  end
  shared.tasks:shutdown {wait = false, cancel_futures = true}
  shared.house:put {op = "stop"}
  house:join(1)
end

-- Where to listen when nobody has said it: a name that goes with the process,
-- however that ends, where there are such.
local function own_address()
  if not core.abstract() then return nil end
  return "@conc-" .. core.crypto.random(16):gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end)
end

--- The main function of a manager's process: tells through the pipe where it is,
-- or why not.
function server.main(config, pipe, initializer, initargs)
  local ok, result = pcall(function()
    if initializer then initializer(table.unpack(initargs, 1, initargs.n)) end
    return connection.Listener {address = config.address or own_address()}
  end)
  if not ok then
    if not pcall(pipe.send, pipe, {false, result}) then pipe:send {false, tostring(result)} end
    return
  end
  pipe:send {true, result:address()}
  pipe:close()
  server.serve(result, config)
end

return server
