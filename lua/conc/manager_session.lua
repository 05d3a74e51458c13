--- A thread of a manager's server: what it does for one connection, which is one
-- state of a client.
--
-- A call that has to wait selects over what it waits for and the connection, so
-- that the end of the client, its "cancel" or its next request (it has given this
-- one up) ends the wait, and nothing was taken.

local connection = require "conc.connection"
local core = require "conc.core"
local registry = require "conc.manager_registry"
local types = require "conc.manager_types"

local Dict = core.dict
local now = require "conc.manager_client".now()

local Session = {}
Session.__index = Session

-- Raised where a call has been given up.
local ABANDONED = {}

local function refuse(text)
  error({remote = text}, 0)
end

-- References ------------------------------------------------------------------

--- The answer that is being packed names the object.
function Session:grant(id)
  if self.fresh[id] then return end
  self.fresh[id] = true
  if registry.retain(self.shared, id) then
    self.grants[id] = (self.grants[id] or 0) + 1
  end
end

local function give_back(self, id, n)
  n = math.min(n, self.grants[id] or 0)
  if n == 0 then return end
  self.grants[id] = self.grants[id] > n and self.grants[id] - n or nil
  if not self.grants[id] then self.entries[id] = nil end
  if registry.release(self.shared, id, n) then now.serving.dirty = true end
end

local function find(self, id)
  local entry = self.entries[id]
  if entry then return entry end
  entry = self.shared.objects[id]
  if not entry then refuse(("object %s is gone: its last proxy was collected"):format(id)) end
  entry.id = id
  if self.grants[id] then self.entries[id] = entry end
  return entry
end

--- The object of a proxy that came as an argument.
function Session:referent(proxy)
  local id = require "conc.proxy".id_of(proxy)
  return id and find(self, id)
end

-- Requests without answer -----------------------------------------------------

local notes = {}

function notes:drop(id, n)
  give_back(self, id, n)
end

-- It comes with a pin that its sender has made.
function notes:adopt(id, name)
  local pinned = name and Dict.pop(self.shared.pins, name)
  if pinned == id or registry.retain(self.shared, id) then
    self.grants[id] = (self.grants[id] or 0) + 1
  end
end

local function note(self, request)
  local f = notes[request[2]]
  if f then pcall(f, self, request[3], request[4]) end
end

-- Waiting ---------------------------------------------------------------------

-- A message came while a call is under way.
local function hear(self, request)
  if type(request) == "table" and request[1] == 0 then return note(self, request) end
  self.closed = type(request) ~= "table"
  self.pending = request
  error(ABANDONED, 0)
end

--- Wait for a case of select, or another one: what it gives, or `false, "timeout"`.
-- Raises when the client has given the call up.
function Session:await(case, timeout, other)
  local deadline = timeout and core.time() + timeout
  while true do
    local rest = deadline and math.max(0, deadline - core.time())
    local got = table.pack(core.select {self.conn, case, other, timeout = rest})
    if got[1] == 2 or got[1] == 3 then return table.unpack(got, 2, got.n) end
    if got[1] == nil then return false, "timeout" end
    hear(self, got[2])
  end
end

--- Raises when the client has given the call up, as far as is known.
function Session:check_there()
  while self.conn:poll(0) do hear(self, (self.conn:recv())) end
end

--- Call f(...) in a thread that can be stopped, and wait for it.
function Session:run(f, ...)
  local future = self.shared.tasks:submit(f, ...)
  local ok, err = pcall(self.await, self, future)
  if ok then return future:result() end
  future:cancel {running = true}
  error(err, 0)
end

-- The answer of a host to the message; the results, or an error.
local function ask(self, inbox, message)
  local reply = self.reply
  message.reply = reply
  inbox:put(message)
  local ok, answer = pcall(self.await, self, reply)
  if not ok then
    self.reply = core.SimpleQueue() -- the old one gets that answer
    error(answer, 0)
  end
  if not answer[1] then error({kind = answer[2], err = answer[3], traceback = answer[4]}, 0) end
  return answer[2], answer[3]
end

-- Making ----------------------------------------------------------------------

local function grant_new(self, entry, id)
  id = registry.add(self.shared, entry, id)
  self.grants[id] = 1
  return id, entry.class
end

-- One of a registered type: a thread of its own, unless it is an object of conc,
-- which any thread can use.
local function make_registered(self, name, kind, args)
  local inbox, id = core.SimpleQueue(), self.shared.counter:add(1)
  core.Thread {
    target = require "conc.manager_host".run,
    args = {self.shared, inbox, true},
    name = "manager-" .. name,
    daemon = true,
  }:start()
  local ok, results, class = pcall(ask, self, inbox, {
    op = "make", id = id, type = name, constructor = kind.constructor, args = args,
  })
  if not ok or class then inbox:put {op = "drop", id = id} end
  if not ok then error(results, 0) end
  local entry = {type = name, class = "object", host = inbox}
  if class then
    class = types.class_of(class)
    if not class then refuse(("'%s' made an object that cannot be shared"):format(name)) end
    entry = {type = name, class = class, object = results[1], back = types.back(class)}
  end
  return grant_new(self, entry, id)
end

local ops = {}

function ops:make(name, args)
  local registered = self.shared.types[name]
  if registered then return make_registered(self, name, registered, args) end
  local standard = self.shared.standard
  if not standard or not types.make[name] then
    refuse(("no type '%s' is registered"):format(name))
  end
  local object = types.make[name](self, table.unpack(args, 1, args.n))
  return grant_new(self, {type = name, class = name, object = object, back = types.back(name)})
end

-- Calling ---------------------------------------------------------------------

-- May clients call this?
local function check_exposed(self, entry, method)
  local kind = self.shared.types[entry.type]
  local known = type(method) == "string"
  if known and kind and kind.methods then
    known = kind.methods[method] or method == "_getvalue"
  elseif known and entry.class == "object" then
    known = method:sub(1, 1) ~= "_" or method == "_getvalue"
  end
  if not known then
    refuse(("method '%s' of '%s' is not exposed"):format(tostring(method), entry.type))
  end
  return kind
end

local function call_hosted(self, entry, method, args, kind)
  local keep = kind and kind.method_to_typeid and kind.method_to_typeid[method]
  local message = {
    op = method == "_getvalue" and "copy" or "call",
    id = entry.id,
    method = method,
    args = args,
    keep = keep,
  }
  local id, results, kept
  results, kept = ask(self, entry.host, message)
  if not kept then return results end
  id = registry.add(self.shared, {type = kept, class = "object", host = entry.host}, results[1])
  local proxy = require "conc.proxy".server_proxy(id, "object")
  registry.release(self.shared, id) -- the proxy has its own
  return {n = 1, proxy}
end

function ops:call(id, method, args)
  local entry = find(self, id)
  local kind = check_exposed(self, entry, method)
  if entry.host then return call_hosted(self, entry, method, args, kind) end
  local f = types.methods[entry.class][method]
  if not f then
    refuse(("method '%s' of '%s' is not exposed"):format(method, entry.type))
  end
  if f == true then -- the object's own
    return table.pack(entry.object[method](entry.object, table.unpack(args, 1, args.n)))
  elseif type(f) == "table" then -- a function over it
    return table.pack(f[1](entry.object, table.unpack(args, 1, args.n)))
  end
  return table.pack(f(self, entry, table.unpack(args, 1, args.n)))
end

function ops:pin(id, name)
  if registry.retain(self.shared, id) then
    self.shared.pins[name] = id
    table.insert(self.pins, name)
  end
end

function ops:hello()
  return self.name, self.shared.uid, self.shared.names
end

--- The item that a queue has given to this call stays here until the client lets
-- hear that it has it, or that it has not.
function Session:keep(entry, item)
  self.given = {back = entry.back, item = item}
end

local function forget_given(self)
  self.given = nil
  now.serving.dirty = now.serving.dirty or require "conc.proxy".any()
end

-- What was under way has ended; nobody heard of the answer to that call.
function ops:cancel(serial)
  local given = self.given
  if given and given.serial == serial then given.back:put(given.item) end
  if given then forget_given(self) end
end

--- How many objects there are.
function ops:count()
  return Dict.len(self.shared.objects)
end

function ops:shutdown()
  self.stop = true
end

-- Answers ---------------------------------------------------------------------

-- What clients see of an error: kind, value, traceback.
local function failure(err, what)
  if type(err) == "table" and getmetatable(err) == nil then
    if err.remote then return "remote", err.remote, "" end
    if err.kind then return err.kind, err.err, err.traceback end
  end
  if type(err) == "string" then
    err = err:gsub("^[^\n]-conc/manager_%w+%.lua:%d+: ", ""):gsub("'conc%.core%.([%w_]+)'", "'%1'")
    err = err:gsub("argument #(%d+) to '%?'", function(n) -- which counts the object
      return ("argument #%d to '%s'"):format(n - 1, what)
    end)
  end
  return "misuse", err
end

local function send(self, answer)
  self.fresh = {}
  now.serving.replying = self
  local ok, err = pcall(self.conn.send, self.conn, answer)
  now.serving.replying = nil
  return ok, err
end

local function answer(self, request, ok, ...)
  local results = (...)
  if ok and (request[2] ~= "call" or type(results) ~= "table") then results = table.pack(...) end
  local sent, why
  if ok then
    sent, why = send(self, {request[1], true, results or {n = 0}})
  else
    sent, why = send(self, {request[1], false, failure(results, request[4])})
  end
  -- What cannot travel.
  if not sent then send(self, {request[1], false, "remote", tostring(why), ""}) end
end

local function handle(self, request)
  if self.given and request[2] ~= "cancel" then forget_given(self) end
  if request[1] == 0 then return note(self, request) end
  local op = ops[request[2]]
  local results = table.pack(pcall(op or refuse, op and self or "no such operation",
    table.unpack(request, 3, 6)))
  if self.given then self.given.serial = self.given.serial or request[1] end
  if results[2] ~= ABANDONED then answer(self, request, table.unpack(results, 1, results.n)) end
end

local function next_request(self)
  if self.pending then
    local request = self.pending
    self.pending = nil
    return request
  end
  local request
  if now.serving.dirty then
    local why
    request, why = self.conn:recv(registry.IDLE)
    if why == nil then return type(request) == "table" and request or nil end
    now.serving.dirty = false
    collectgarbage()
  end
  request = self.conn:recv()
  return type(request) == "table" and request or nil
end

local function loop(self)
  while not self.closed and not self.stop do
    local request = next_request(self)
    if not request then return end
    handle(self, request)
  end
end

-- The end ---------------------------------------------------------------------

-- Locks that the client held are left to the next one, who is told.
local function leave_locks(self)
  for id, levels in pairs(self.held) do
    local entry = self.shared.objects[id]
    if entry and self.shared.owners[id] == self.name then
      local lock = entry.class == "Condition" and entry.object.lock or entry.object
      self.shared.left[id] = true
      self.shared.owners[id] = nil
      for _ = 1, levels do pcall(lock.release, lock) end
    end
  end
end

local function leave_permits(self)
  for id, n in pairs(self.permits) do
    local entry = self.shared.objects[id]
    if entry and not self.shared.loose[id] then
      self.shared.left[id] = true
      pcall(entry.object.release, entry.object, n)
    end
  end
end

local function finish(self)
  leave_locks(self)
  leave_permits(self)
  for id, n in pairs(self.grants) do registry.release(self.shared, id, n) end
  if self.pins[1] then self.shared.house:put {op = "linger", pins = self.pins} end
  self.conn:close()
  if self.stop then self.shared.listener:close() end
end

local session = {}

--- The thread.
function session.run(shared, conn, number)
  local self = setmetatable({
    shared = shared, conn = conn, name = tostring(number), reply = core.SimpleQueue(),
    grants = {}, entries = {}, pins = {}, held = {}, permits = {}, fresh = {},
  }, Session)
  if not pcall(connection.deliver_challenge, conn, shared.key) then return conn:close() end
  core.conn_limit(conn, connection.MOST)
  now.serving = {shared = shared, session = self}
  pcall(loop, self) -- the connection is closed by somebody, or corrupt
  finish(self)
end

return session
