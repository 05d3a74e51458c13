--- Managers: a server process that has objects, and proxies for them, as in
-- Python's `multiprocessing.managers`.

local arguments = require "conc.arguments"
local authkey = require "conc.authkey"
local client = require "conc.manager_client"
local connection = require "conc.connection"
local core = require "conc.core"
local proxy = require "conc.proxy"
local server = require "conc.manager_server"

local manager = {}

-- The standard types, by the names of their methods and by Python's.
local STANDARD = {
  dict = "dict", list = "list", set = "set", namespace = "Namespace", value = "Value",
  array = "Array", queue = "Queue", joinable_queue = "JoinableQueue", lock = "Lock",
  rlock = "RLock", semaphore = "Semaphore", bounded_semaphore = "BoundedSemaphore",
  condition = "Condition", event = "Event", barrier = "Barrier", pool = "Pool",
}
local names = {}
for method, name in pairs(STANDARD) do names[method], names[name] = name, name end

local Manager = {}

-- What a manager knows: manager = {state =, address =, key =, types =, ...}.
local info = setmetatable({}, {__mode = "k"})

local function self_of(m, call)
  local self = info[m]
  if not self then arguments.bad(1, call, "manager expected, got " .. arguments.kind(m)) end
  return self
end

-- Types -------------------------------------------------------------------------

local function set_of(list, name)
  if list == nil then return nil end
  arguments.type(3, "register", name, "table", list)
  local set = {}
  for i, method in ipairs(list) do
    arguments.type(3, "register", ("%s[%d]"):format(name, i), "string", method)
    set[method] = true
  end
  return set
end

local REGISTER = {methods = true, method_to_typeid = true}

--- A type of objects: `m:name(...)` calls `constructor(...)` in the server.
-- @string name
-- @func constructor
-- @tparam[opt] table options `methods`, a sequence of those that clients may call
-- (by default all that do not begin with "_"); `method_to_typeid`, names of
-- methods whose result stays in the server, with the type that it has
function Manager.register(m, name, constructor, options)
  local self = self_of(m, "register")
  if self.state ~= "new" then core.raise("register: the manager has been started") end
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
    arguments.bad(1, "register", "name: identifier expected, got " .. tostring(name))
  end
  if Manager[name] then
    arguments.bad(1, "register", ("name: '%s' is a method of managers"):format(name))
  end
  arguments.opt(2, "register", "constructor", "function", constructor)
  options = arguments.opt(3, "register", "options", "table", options) or {}
  arguments.known(3, "register", options, REGISTER)
  local kept = arguments.opt(3, "register", "method_to_typeid", "table", options.method_to_typeid)
  self.types[name] = {
    constructor = constructor,
    methods = set_of(options.methods, "methods"),
    method_to_typeid = kept,
  }
  self.names[name] = name
end

-- Beginning ---------------------------------------------------------------------

local function check_new(self, call)
  if self.state ~= "new" then core.raise(call .. ": the manager has been started before") end
end

local function config_of(self)
  local list = {}
  for name in pairs(self.names) do list[#list + 1] = name end
  for name, kind in pairs(self.types) do
    if not kind.constructor then
      core.raise(("the type '%s' has no constructor"):format(name))
    end
  end
  return {
    address = self.address,
    key = self.key or authkey.get(),
    types = self.types,
    standard = self.standard,
    names = list,
  }
end

local function process_of(self)
  return self.ctx and self.ctx.Process or core.process_maker()
end

-- Wait for the child to say where it listens.
local function hear(self, pipe)
  local i, answer = core.select {pipe, self.process}
  if i == 2 and pipe:poll() then answer = pipe:recv() end
  if type(answer) == "table" and answer[1] then
    self.address = answer[2]
    return
  end
  self.process:join()
  self.state = "shut down"
  if type(answer) == "table" then error(answer[2], 0) end
  error(core.Error.new("ConnectionError", ("the manager's process ended with code %s")
    :format(self.process:exitcode())), 0)
end

--- Start the server process.
-- @func[opt] initializer called in it first
-- @tparam[opt] table initargs its arguments
-- @return the manager
function Manager.start(m, initializer, initargs)
  local self = self_of(m, "start")
  check_new(self, "start")
  arguments.opt(1, "start", "initializer", "function", initializer)
  arguments.opt(2, "start", "initargs", "table", initargs)
  local config = config_of(self)
  local here, there = core.shared.Pipe(false)
  self.named = self.address ~= nil
  self.process = process_of(self) {
    target = server.main,
    args = {config, there, initializer, initargs or {}, n = 4},
    daemon = false,
  }
  self.process:set_name("Manager" .. self.process:name():match "%D*([%d:]*)$")
  self.process:start()
  self.pid = self.process:pid()
  there:close()
  self.state = "started"
  hear(self, here)
  here:close()
  self.session = client.session(self.address, self.key)
  return m
end

--- Use a server that runs already.
-- @return the manager
function Manager.connect(m)
  local self = self_of(m, "connect")
  check_new(self, "connect")
  if not self.address then
    arguments.bad(1, "connect", "the manager was made without an address")
  end
  self.session = client.session(self.address, self.key)
  for _, name in ipairs(self.session.names) do self.names[name] = self.names[name] or name end
  self.state = "connected"
  return m
end

-- Servers in this process ---------------------------------------------------------

--- What `get_server` returns.
-- @type Server
local Server = {__name = "Server"}
Server.__index = Server

--- Serve until a manager's `shutdown`, in the calling thread.
function Server:serve_forever()
  if self.served then core.raise("serve_forever: the server has ended") end
  self.served = true
  server.serve(self.listener, self.config)
end

--- Where it listens.
function Server:address()
  return self.listener:address()
end

--- A server for this process; it listens already.
function Manager.get_server(m)
  local self = self_of(m, "get_server")
  check_new(self, "get_server")
  local config = config_of(self)
  return setmetatable({
    config = config,
    listener = connection.Listener {address = self.address},
  }, Server)
end

-- Using ---------------------------------------------------------------------------

local function running(self)
  if self.state == "new" or self.state == "shut down" then
    core.raise(self.state == "new" and "the manager has not been started"
      or "the manager was shut down")
  end
  if self.session.dead then self.session = client.session(self.address, self.key) end
  return self.session
end

local makers = setmetatable({}, {__mode = "v"})

-- m:name(...)
local function maker(name)
  local f = makers[name] or core.shielded(function(m, ...)
    local session = running(self_of(m, name))
    local id, class = session:call("make", names[name] or name, table.pack(...))
    return proxy.made(session, id, class)
  end)
  makers[name] = f
  return f
end

--- The address of the server, nil before it is known.
function Manager.address(m)
  return self_of(m, "address").address
end

--- How many objects the server has.
function Manager.number_of_objects(m)
  return running(self_of(m, "number_of_objects")):call "count"
end

--- Wait for the end of the server process.
-- @number[opt] timeout seconds
-- @return `true`, or `nil` and "timeout"
function Manager.join(m, timeout)
  local self = self_of(m, "join")
  if not self.process then core.raise("join: the manager has no process here") end
  return self.process:join(timeout)
end

local function end_process(self)
  local p, patience = self.process, self.shutdown_timeout
  if p:join(patience) then return end
  p:terminate()
  if p:join(patience) then return end
  p:kill()
  p:join()
end

--- End the server: first it is asked, after `shutdown_timeout` terminated, and after
-- that once more killed.  May be called again.
function Manager.shutdown(m)
  local self = self_of(m, "shutdown")
  if self.state == "connected" then
    running(self):call "shutdown"
  elseif self.process and self.state == "started" then
    self.state = "shut down"
    pcall(function() client.session(self.address, self.key):call "shutdown" end)
    client.forget(self.address)
    end_process(self)
    -- A server that was killed leaves its socket's name.
    if not self.named and not core.abstract() then os.remove(self.address) end
  end
  if self.session then client.forget(self.address) end
  self.session = nil
  self.state = "shut down"
end

arguments.seal_methods(Manager)
arguments.seal_methods(Server, Server)

-- Finalize it now: Lua does not what was made while the state is closing.
local function release(object) getmetatable(object).__gc(object) end

-- What is younger than the manager was finalized before it, and is closed: so the
-- server is asked in another session, and its process is found anew.
local function finish(m)
  local self = info[m]
  if not self or not self.process or self.state ~= "started" then return end
  pcall(client.forget, self.address)
  for _, p in ipairs(core.active_children()) do
    if p:pid() == self.pid then
      self.process, self.session = p, nil
      local reached, session = pcall(client.session, self.address, self.key)
      pcall(Manager.shutdown, m)
      if reached then release(session.conn) end
      return
    end
  end
end

-- Making ----------------------------------------------------------------------------

local OPTIONS = {address = "string", authkey = "string", shutdown_timeout = "number", ctx = "table"}

local function check_options(call, options)
  if type(options) == "string" then options = {address = options} end
  if type(options) ~= "table" then
    arguments.bad(1, call, "table or address expected, got " .. arguments.kind(options))
  end
  arguments.known(1, call, options, OPTIONS)
  for name, kind in pairs(OPTIONS) do arguments.opt(1, call, name, kind, options[name]) end
  arguments.timeout(1, call, "shutdown_timeout", options.shutdown_timeout)
  return options
end

local metatable = {__name = "Manager", __gc = finish, __close = function(m) Manager.shutdown(m) end}

function metatable.__index(m, key)
  local self = info[m]
  return Manager[key] or self and self.names[key] and maker(key) or nil
end

local function new(options, standard)
  local m = setmetatable({}, metatable)
  local self = {
    state = "new", types = {}, names = {}, standard = standard,
    address = options.address, key = options.authkey, ctx = options.ctx,
    shutdown_timeout = options.shutdown_timeout or 1,
  }
  if standard then
    for method in pairs(names) do self.names[method] = method end
  end
  info[m] = self
  return m
end

--- In another process: the manager, connected.
function manager.rebuild(address, key, standard)
  local m = new({address = address, authkey = key}, standard)
  return Manager.connect(m)
end

function metatable.__conc_pack(m)
  local self = info[m]
  if self.state == "new" or self.state == "shut down" then
    error("a manager that does not run cannot be sent", 0)
  end
  return "conc.manager:rebuild", self.address, self.key, self.standard
end

--- A manager without types, to be started.
function manager.BaseManager(options)
  return new(check_options("BaseManager", options == nil and {} or options), false)
end

--- One with the standard types.
function manager.SyncManager(options)
  return new(check_options("SyncManager", options == nil and {} or options), true)
end

--- The constructor of started SyncManagers whose processes start as those of
-- `context` do.
function manager.of_context(context)
  return function(...)
    arguments.no_more(1, "Manager", ...)
    return Manager.start(new({ctx = context}, true))
  end
end

manager.Manager = manager.of_context()

return manager
