--- Proxies: what stands for an object that a manager's server has.
--
-- A proxy is an empty table, since fields of some are keys; what it knows is in
-- `info`.  In one state there is one proxy for an object.

local arguments = require "conc.arguments"
local client = require "conc.manager_client"
local core = require "conc.core"
local registry = require "conc.manager_registry"

local now = client.now()

local proxy = {}

local shielded = core.shielded

-- proxy = {uid =, address =, id =, class =, key =, session =, grants =, lease =}
local info = setmetatable({}, {__mode = "k"})
-- name = proxy
local known = setmetatable({}, {__mode = "v"})
local classes = {}

local function name_of(uid, id)
  return uid .. id
end

-- References --------------------------------------------------------------------

local function collect(p)
  local i = info[p]
  if i and i.session and i.grants > 0 then
    pcall(i.session.tell, i.session, "drop", i.id, i.grants)
  end
end

local function new(i)
  local p = setmetatable({}, classes[i.class] or classes.object)
  info[p] = i
  known[name_of(i.uid, i.id)] = p
  return p
end

local function serving(uid)
  local server = now.serving
  return server and server.shared.uid == uid and server or nil
end

--- In a server, one that keeps the object as long as it is kept.
function proxy.server_proxy(id, class, lease)
  local shared = now.serving.shared
  now.serving.dirty = true
  local p = known[name_of(shared.uid, id)]
  if p then return p end
  return new {
    uid = shared.uid, address = shared.address, id = id, class = class, grants = 0,
    lease = lease or registry.lease(shared, id),
  }
end

--- One that the server has just made for that session.
function proxy.made(session, id, class)
  return new {
    uid = session.uid, address = session.address, key = session.key, id = id, class = class,
    session = session, grants = 1,
  }
end

-- It came in an answer: the session that receives it has counted it.
local function granted(id, class)
  local session = now.receiving
  local p = known[name_of(session.uid, id)]
  local n = session:granted(id)
  if not p then
    p = proxy.made(session, id, class)
    info[p].grants = n
  elseif info[p].session == session then
    info[p].grants = info[p].grants + n
  elseif n > 0 then
    session:tell("drop", id, n)
  end
  return p
end

-- It came from somebody else; the manager may be no more.
local function adopted(i, pin)
  local p = known[name_of(i.uid, i.id)]
  local ok, session = pcall(client.session, i.address, i.key)
  if not ok and client.unreachable(session) or session.uid ~= i.uid then return p or new(i) end
  session:tell("adopt", i.id, pin)
  if p and info[p].session == session then
    info[p].grants = info[p].grants + 1
    return p
  elseif p then
    session:tell("drop", i.id, 1)
    return p
  end
  i.session, i.grants = session, 1
  return new(i)
end

--- What a proxy is packed as: see manager_client about pins.
proxy.rebuild = shielded(function(uid, address, id, class, key, pin, lease)
  if serving(uid) then return proxy.server_proxy(id, class, lease) end
  if pin == true then return granted(id, class) end
  return adopted({
    uid = uid, address = address, id = id, class = class, key = key, grants = 0,
  }, pin)
end)

local REBUILD = "conc.proxy:rebuild"

-- The session of this state for calls.
local function session_of(i)
  if not i.session or i.session.dead then
    local session = client.session(i.address, i.key)
    if session.uid ~= i.uid then
      error(core.Error.new("ConnectionError",
        ("the manager at %s has ended, and another one is there"):format(i.address)), 0)
    end
    i.session = session
    if i.lease == nil then -- another one of ours was given up
      session:tell("adopt", i.id)
      i.grants = 1
    end
  end
  return i.session
end

local function pack(p)
  local i = info[p]
  local server = serving(i.uid)
  local pin, lease
  if server and server.replying then
    server.replying:grant(i.id)
    pin = true
  elseif server then
    lease = i.lease
  elseif not now.sending or now.sending.uid ~= i.uid then
    local ok, session = pcall(session_of, i)
    if ok then pin = session:pin(i.id) else client.unreachable(session) end
  end
  return REBUILD, i.uid, i.address, i.id, i.class, i.key, pin, lease
end

--- The number of the object of a proxy, or nil.
function proxy.id_of(value)
  return info[value] and info[value].id
end

--- Has this state any?
function proxy.any()
  return next(known) ~= nil
end

--- Is it a proxy?
function proxy.is(value)
  return info[value] ~= nil
end

-- Calls -------------------------------------------------------------------------

local function invoke(p, method, ...)
  local i = info[p]
  return session_of(i):call("call", i.id, method, table.pack(...))
end

proxy.invoke = invoke

local function check_self(p, class, call)
  local i = info[p]
  if not i or i.class ~= class then
    local name = i and i.class or core.Error.is(p) and "conc.Error" or type(p)
    arguments.bad(1, call, ("%s expected, got %s"):format(class, name))
  end
end

local function same(_, ...)
  return ...
end

-- A method that is called over there; `names` are its arguments.
local function method(class, name, names, finish)
  local timeout
  finish = finish or same
  for k, what in ipairs(names) do
    if what == "timeout" then timeout = k end
  end
  return shielded(function(p, ...)
    check_self(p, class, name)
    if names[1] == "item" and select("#", ...) == 0 then
      arguments.bad(1, name, "item: value expected")
    end
    arguments.no_more(#names + 1, name, select(#names + 1, ...))
    if timeout then arguments.timeout(timeout, name, "timeout", (select(timeout, ...))) end
    return finish(p, invoke(p, name, ...))
  end)
end

-- Classes -----------------------------------------------------------------------

local function describe(p)
  local i = info[p]
  return ("%s proxy %d of %s"):format(i.class, i.id, i.address)
end

local function class(name, methods, metamethods)
  local mt = metamethods or {}
  mt.__name = name
  -- A finalizer must not get a cancellation.
  mt.__gc = shielded(collect)
  mt.__conc_pack = shielded(pack)
  mt.__tostring = describe
  mt.__index = mt.__index or methods
  local list = {_getvalue = method(name, "_getvalue", {})}
  for call, names in pairs(methods) do
    list[call] = type(names) == "table" and method(name, call, names) or names
  end
  for call, f in pairs(list) do methods[call] = f end
  classes[name] = mt
  return mt
end

local snapshot = shielded(function(p)
  return next, invoke(p, "_getvalue")
end)

local length = shielded(function(p)
  return (invoke(p, "len"))
end)

local write = shielded(function(p, key, value)
  invoke(p, "set", key, value)
end)

-- Tables: their fields are keys.
for _, name in ipairs {"dict", "Namespace"} do
  class(name, {}, {
    __index = shielded(function(p, key) return (invoke(p, "get", key)) end),
    __newindex = write,
    __len = length,
    __pairs = snapshot,
  })
end

--- The functions of `threading.Dict`, for proxies too.
proxy.Dict = setmetatable({}, {__call = function()
  core.raise "multiprocessing.Dict makes nothing: use the dict method of a Manager"
end})
for name, f in pairs(core.dict) do
  local remote = shielded(invoke)
  proxy.Dict[name] = function(d, ...)
    local i = info[d]
    if i and (i.class == "dict" or i.class == "Namespace") then return remote(d, name, ...) end
    return f(d, ...)
  end
end

-- Fields that are places or methods.
local function indexed(methods)
  return {
    __index = shielded(function(p, key)
      if math.type(key) then return (invoke(p, "get", key)) end
      return methods[key]
    end),
    __newindex = write,
    __len = length,
    __pairs = snapshot,
  }
end

local list = {
  get = {"i"}, set = {"i", "value"}, append = {"value"}, extend = {"values"},
  insert = {"i", "value"}, pop = {"i"}, remove = {"value"}, index = {"value"}, count = {"value"},
  slice = {"i", "j"}, reverse = {}, sort = {"less"}, clear = {},
}
class("list", list, indexed(list))

local array = {
  get = {"i"}, set = {"i", "value"}, add = {"i", "n"}, update = {"i", "fn"},
  cas = {"i", "expected", "new"}, slice = {"i", "j"}, set_slice = {"i", "values"},
  fill = {"value", "i", "j"}, tobytes = {}, frombytes = {"bytes", "i"}, typecode = {},
}
class("Array", array, indexed(array))

class("set", {
  add = {"value"}, discard = {"value"}, contains = {"value"}, pop = {}, update = {"values"},
  clear = {}, values = {},
}, {
  __len = length,
  __pairs = shielded(function(p)
    local set = {}
    for _, v in ipairs(invoke(p, "values")) do set[v] = true end
    return next, set
  end),
})

local value = {
  get = {}, set = {"value"}, add = {"n"}, update = {"fn"}, cas = {"expected", "new"}, typecode = {},
}
class("Value", value, {
  __index = shielded(function(p, key)
    if key == "value" then return (invoke(p, "get")) end
    return value[key]
  end),
  __newindex = shielded(function(p, key, v)
    if key ~= "value" then
      core.raise(("a Value has one field, 'value', and not '%s'"):format(tostring(key)))
    end
    invoke(p, "set", v)
  end),
})

-- Queues.
for _, name in ipairs {"Queue", "JoinableQueue"} do
  class(name, {
    put = {"item", "timeout"}, get = {"timeout"}, qsize = {}, empty = {}, full = {}, maxsize = {},
    task_done = {}, join = {"timeout"}, shutdown = {"options"}, is_shutdown = {},
    put_nowait = function(p, item) return p:put(item, 0) end,
    get_nowait = function(p) return p:get(0) end,
    items = function(p)
      return function()
        local item, why = p:get()
        if why == nil then return item end
      end
    end,
  })
end

-- Locks: what acquire returns is closed by a release.
local function lockable(name, methods)
  methods.acquire = method(name, "acquire", {"timeout"}, function(p, got, why)
    if not got then return false, why end
    if why then return p, why end
    return p
  end)
  methods.release = methods.release or {}
  -- Two shields: it waits for the answer whatever comes.
  local leave = shielded(shielded(function(p) invoke(p, "release") end))
  class(name, methods, {__close = leave})
end

lockable("Lock", {locked = {}})
lockable("RLock", {locked = {}})
lockable("Semaphore", {value = {}, release = {"n"}})
lockable("BoundedSemaphore", {value = {}, release = {"n"}})
lockable("Condition", {
  locked = {}, wait = {"timeout"}, notify = {"n"}, notify_all = {},
  wait_for = function(p, predicate, timeout)
    arguments.timeout(3, "wait_for", "timeout", timeout)
    local deadline = timeout and core.time() + timeout
    local result = predicate()
    while not result do
      local rest = deadline and deadline - core.time()
      if rest and rest <= 0 then return result, "timeout" end
      p:wait(rest)
      result = predicate()
    end
    return result
  end,
})

class("Event", {is_set = {}, set = {}, clear = {}, wait = {"timeout"}})
class("Barrier", {
  wait = {"timeout"}, reset = {}, abort = {}, broken = {}, parties = {}, n_waiting = {},
})

-- Pools.
class("AsyncResult", {get = {"timeout"}, wait = {"timeout"}, ready = {}, successful = {}})
class("Pool", {
  apply = {"fn", "args"}, apply_async = {"fn", "args", "options"},
  map = {"fn", "xs", "chunksize"}, map_async = {"fn", "xs", "options"},
  starmap = {"fn", "list", "chunksize"}, starmap_async = {"fn", "list", "options"},
  close = {}, terminate = {}, join = {},
})

-- Everything else: any method that is not private.
local methods = setmetatable({}, {__mode = "v"})

class("object", {}, {
  __index = function(_, name)
    if type(name) ~= "string" then return nil end
    local f = methods[name] or shielded(function(self, ...)
      check_self(self, "object", name)
      return invoke(self, name, ...)
    end)
    methods[name] = f
    return f
  end,
})

return proxy
