--- Connections between programs: Listener and Client.

local arguments = require "conc.arguments"
local core = require "conc.core"
local handshake = require "conc.handshake"

local connection = {
  deliver_challenge = handshake.deliver_challenge,
  answer_challenge = handshake.answer_challenge,
}

-- A message may have so many bytes, unless said otherwise.
local MOST = 1 << 30
connection.MOST = MOST
local STRANGER = handshake.STRANGER

-- Checks -------------------------------------------------------------------

local function check(fn, options, known)
  if type(options) == "string" then options = {address = options} end
  if type(options) ~= "table" then
    arguments.bad(1, fn, "table or address expected, got " .. arguments.kind(options))
  end
  arguments.known(1, fn, options, known)
  for name, kind in pairs(known) do arguments.opt(1, fn, name, kind, options[name]) end
  local most = options.max_message
  if most and (math.type(most) ~= "integer" or most < 0) then
    arguments.expected(1, fn, "max_message", "integer >= 0", most)
  end
  return options
end

local windows = package.config:sub(1, 1) == "\\"

-- What an address means: a path, or a host and a port.
local function resolve(fn, options)
  local address, family = options.address, options.family
  if family and family ~= "AF_UNIX" and family ~= "AF_INET" then
    arguments.bad(1, fn, ("family: 'AF_UNIX' or 'AF_INET' expected, got '%s'"):format(family))
  end
  if address == nil then
    if family == "AF_INET" or (windows and not family) then return nil, "localhost", 0 end
    local name = os.tmpname()
    os.remove(name)
    return name
  end
  if address:find("\0", 1, true) then
    arguments.bad(1, fn, "address: must not contain a zero byte")
  end
  local host, port = address:match "^%[?(.-)%]?:(%d+)$"
  if family == "AF_UNIX" or (not family and not (host and not address:find "/")) then
    return address
  end
  port = math.tointeger(tonumber(port))
  if not port or port > 65535 then
    arguments.bad(1, fn, ("address: 'host:port' expected, got '%s'"):format(address))
  end
  return nil, host, port
end

local function limit(conn, options)
  core.conn_limit(conn, options.max_message or MOST)
  return conn
end

local function first_limit(options)
  return options.authkey and STRANGER or options.max_message or MOST
end

-- Listener -----------------------------------------------------------------

local Listener = {}
Listener.__index = Listener
Listener.__name = "Listener"

local LISTENER = {
  address = "string", family = "string", backlog = "number", authkey = "string",
  trusted = "boolean", max_message = "number",
}

--- `Listener{address =, family =, backlog =, authkey =, trusted =, max_message =}`
function connection.Listener(options)
  options = check("Listener", options == nil and {} or options, LISTENER)
  local backlog = options.backlog
  if backlog and (math.type(backlog) ~= "integer" or backlog < 0) then
    arguments.expected(1, "Listener", "backlog", "integer >= 0", backlog)
  end
  local path, host, port = resolve("Listener", options)
  if options.authkey then core.crypto.usable() end
  local listener, why = core.listen(path, host, port, backlog)
  if not listener then
    core.raise(("cannot listen on %s: %s")
      :format(path or ("%s:%d"):format(host, port), why))
  end
  return setmetatable({
    listener = listener,
    options = options,
    strangers = options.authkey and handshake.strangers(options.authkey),
    name = path or (host:find ":" and "[%s]:%d" or "%s:%d"):format(host, listener:port()),
  }, Listener)
end

-- The next one that has shown that it knows the key.  Those that have not yet
-- keep nobody waiting: they stay for the next call.
local function accept_known(self, timeout)
  local options, strangers = self.options, self.strangers
  local deadline = core.time() + (timeout or math.huge)
  while true do
    local conn = strangers:next(self)
    if conn then return limit(conn, options) end
    local why
    conn, why = self.listener:accept(0, options.trusted or false, STRANGER)
    local now = core.time()
    if conn then
      strangers:add(conn)
    elseif why == "closed" then
      return nil, why
    elseif now >= deadline then
      return nil, "timeout"
    else
      core.wait(strangers:awaited {self.listener}, math.min(deadline, strangers:due()) - now)
    end
  end
end

--- The next connection, or `nil, "timeout"`, or `nil, "closed"`.  Raises an
-- AuthenticationError for one with another key; the listener goes on.
function Listener:accept(timeout)
  arguments.timeout(1, "accept", "timeout", timeout)
  if self.strangers then return accept_known(self, timeout) end
  local options = self.options
  local conn, why = self.listener:accept(timeout, options.trusted or false, first_limit(options))
  if not conn then return nil, why end
  self.last = core.conn_peer(conn)
  return conn
end

--- The same without the handshake, which has to come before anything else: in a
-- thread of its own, so that strangers keep nobody waiting.
function connection.accept_stranger(listener)
  return listener.listener:accept(nil, true, STRANGER)
end

--- Accept no more; may be called again.
function Listener:close()
  self.listener:close()
  if self.strangers then self.strangers:close() end
end

Listener.__close = Listener.close

--- What a Client connects to.
function Listener:address()
  return self.name
end

--- The address of the client that came last, "host:port"; nil before, and over a
-- Unix socket.
function Listener:last_accepted()
  return self.last
end

--- The system's number of the socket.
function Listener:fileno()
  return self.listener:fileno()
end

-- Client -------------------------------------------------------------------

local CLIENT = {
  address = "string", family = "string", authkey = "string", timeout = "number",
  trusted = "boolean", max_message = "number",
}

--- `Client{address =, family =, authkey =, timeout =, trusted =, max_message =}`:
-- a Connection.
function connection.Client(options)
  options = check("Client", options, CLIENT)
  arguments.type(1, "Client", "address", "string", options.address)
  arguments.timeout(1, "Client", "timeout", options.timeout)
  local path, host, port = resolve("Client", options)
  local deadline = core.time() + (options.timeout or math.huge)
  local conn, why = core.connect(path, host, port, options.timeout,
    options.trusted or false, first_limit(options))
  if not conn then
    core.raise(("cannot connect to %s: %s"):format(options.address, why))
  end
  if not options.authkey then return conn end
  handshake.answer(conn, options.authkey, deadline)
  return limit(conn, options)
end

arguments.seal_methods(Listener, Listener)

-- Waiting ------------------------------------------------------------------

local function strangers_of(object)
  local strangers = getmetatable(object) == Listener and object.strangers
  return strangers and #strangers > 0 and strangers or nil
end

--- `wait(list [, timeout])`: a sequence of those that are ready.  A listener is when
-- one of its strangers has something to say, too.
function connection.wait(...)
  local list, timeout = ...
  if type(list) ~= "table" or select("#", ...) > 2 then return core.wait(...) end
  local all, several = table.move(list, 1, rawlen(list), 1, {}), false
  for i = 1, rawlen(list) do
    local strangers = strangers_of(list[i])
    if strangers then several = strangers:awaited(all) end
  end
  if not several then return core.wait(list, timeout) end
  local ready, found = {}, {}
  for _, object in ipairs(core.wait(all, timeout)) do
    ready[object] = true
  end
  for _, object in ipairs(list) do
    local any = ready[object]
    for _, stranger in ipairs(strangers_of(object) or {}) do
      any = any or ready[stranger.conn]
    end
    if any then found[#found + 1] = object end
  end
  return found
end

return connection
