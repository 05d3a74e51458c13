--- A thread of a manager's server that has objects which are plain Lua: one object
-- of a registered type and what its methods have given.  It does one call after the
-- other.  One more of its kind has none, and keeps house: it is told of references
-- that end by themselves.
--
-- A message is {op =, id =, reply =, ...}; what is put into `reply` is
-- {true, results}, {true, results, type} or {false, kind, error, traceback}.

local core = require "conc.core"
local proxy = require "conc.proxy"
local registry = require "conc.manager_registry"

local host = {}

-- How long a proxy may be on its way after its sender has gone, seconds.
local LINGER = 60

local function traced(err)
  return {err = err, traceback = debug.traceback("", 2):gsub("^\n", "")}
end

-- Call f and tell of it; `finish` makes the answer of the results.
local function try(message, kind, finish, f, ...)
  local results = table.pack(xpcall(f, traced, ...))
  local answer
  if results[1] then
    answer = finish(table.pack(table.unpack(results, 2, results.n)))
  else
    answer = {false, kind, results[2].err, results[2].traceback}
  end
  local ok, err = pcall(message.reply.put, message.reply, answer)
  if ok then return end
  if results[1] then
    message.reply:put {false, "remote", err, ""}
  else
    message.reply:put {false, kind, tostring(answer[3]), answer[4]}
  end
end

local function done(results)
  return {true, results}
end

local ops = {}

function ops:make(message)
  try(message, "error", function(results)
    local object = results[1]
    if type(object) == "userdata" and core.sendable(object) then
      return {true, results, getmetatable(object).__name}
    end
    if type(object) ~= "table" and type(object) ~= "userdata" then
      return {false, "remote", ("the constructor of '%s' returned no object but a %s")
        :format(message.type, type(object)), ""}
    end
    self.objects[message.id] = object
    return {true, {n = 0}}
  end, message.constructor, table.unpack(message.args, 1, message.args.n))
end

function ops:call(message)
  local object, name = self.objects[message.id], message.method
  local f
  local ok, err = pcall(function() f = object[name] end)
  if not ok or f == nil then
    message.reply:put {false, "remote", ok and ("there is no method '%s'"):format(name) or err, ""}
    return
  end
  try(message, "error", function(results)
    if not message.keep or results[1] == nil then return done(results) end
    local id = self.shared.counter:add(1)
    self.objects[id] = results[1]
    return {true, {n = 1, id}, message.keep}
  end, f, object, table.unpack(message.args, 1, message.args.n))
end

--- A copy of the object, if it can be copied.
function ops:copy(message)
  try(message, "remote", done, function()
    local object = self.objects[message.id]
    if type(object) ~= "table" then error("only tables can be copied", 0) end
    local copy = {}
    for k, v in pairs(object) do copy[k] = v end
    return copy
  end)
end

function ops:drop(message)
  self.objects[message.id] = nil
  self.serving.dirty = true
  if self.alone and next(self.objects) == nil then self.ended = true end
end

-- Somebody here has a reference until that future ends, by a promise that is
-- dropped.
function ops:lease(message)
  local future, id = message.future, message.id
  self.leases[future] = true
  future:add_done_callback(function()
    self.leases[future] = nil
    registry.release(self.shared, id)
  end)
end

function ops:stop()
  self.ended = true
end

-- A session has ended; what it had sent may still be on its way.
function ops:linger(message)
  for _, name in ipairs(message.pins) do
    table.insert(self.pins, {name = name, time = core.time() + LINGER})
  end
end

local function expire(self)
  local dict = core.dict
  while self.pins[1] and self.pins[1].time <= core.time() do
    local id = dict.pop(self.shared.pins, table.remove(self.pins, 1).name)
    if id then registry.release(self.shared, id) end
  end
  return self.pins[1] and self.pins[1].time - core.time()
end

local function next_message(self)
  if self.serving.dirty then
    local message, why = self.inbox:get(registry.IDLE)
    if why == nil then return message end
    self.serving.dirty = false
    collectgarbage()
  end
  return self.inbox:get(expire(self))
end

--- The thread; `alone`: it ends with its last object.
function host.run(shared, inbox, alone)
  local serving = {shared = shared}
  require "conc.manager_client".now().serving = serving
  local self = {
    shared = shared, serving = serving, inbox = inbox, alone = alone, objects = {}, leases = {},
    pins = {},
  }
  repeat
    local message, why = next_message(self)
    if message then
      ops[message.op](self, message)
      -- What a list had may have been proxies.
      serving.dirty = serving.dirty or message.op == "call" and proxy.any()
    end
    message = nil -- luacheck: ignore 311
  until self.ended or why == "closed"
end

return host
