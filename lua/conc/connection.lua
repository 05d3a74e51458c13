--- Connections between programs: Listener and Client.

local arguments = require "conc.arguments"
local core = require "conc.core"

local connection = {}

-- A message may have so many bytes, unless said otherwise; before the other
-- side has shown that it knows the key, so many.
local MOST = 1 << 30
connection.MOST = MOST
local STRANGER = 256

-- Nobody gets longer to show that: seconds.
local PATIENCE = 10

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

-- The handshake ------------------------------------------------------------

-- Each side shows by an HMAC of both sides' random numbers and of who it is that
-- it knows the key, which never leaves it.  The listener speaks first and shows
-- last: a stranger learns nothing to work on.

local GREETING = "conc 1 sha256 "

local function refuse(conn, message, why)
  conn:close()
  if why then message = ("%s: %s"):format(message, why) end
  local err = core.Error.new("AuthenticationError", message)
  err.reason = why
  error(err, 0)
end

local function hear(conn, deadline, what)
  local ok, text, why = pcall(conn.recv_bytes, conn, STRANGER,
    math.max(0, deadline - core.time()))
  if ok and text then return text end
  if ok then refuse(conn, what, why) end
  if type(text) == "string" and text:find "message" then refuse(conn, what, text) end
  conn:close() -- a cancellation, or Ctrl-C
  error(text, 0)
end

--- The listener's half of the handshake: raises an AuthenticationError, and closes
-- the connection, when the other side has another key.
function connection.deliver_challenge(conn, key)
  local c = core.crypto
  local deadline = core.time() + PATIENCE
  local ours = c.random(32)
  conn:send_bytes(GREETING .. ours)
  local text = hear(conn, deadline, "no answer to the challenge")
  local theirs, digest = text:sub(1, 32), text:sub(33)
  if not c.equal(digest, c.hmac(key, "client" .. ours .. theirs)) then
    conn:send_bytes "refused"
    refuse(conn, "the client has another key")
  end
  conn:send_bytes("welcome" .. c.hmac(key, "listener" .. ours .. theirs))
end

--- The client's half.
function connection.answer_challenge(conn, key)
  local c = core.crypto
  local deadline = core.time() + PATIENCE
  local text = hear(conn, deadline, "no challenge")
  local theirs = text:sub(#GREETING + 1)
  if text:sub(1, #GREETING) ~= GREETING or #theirs ~= 32 then
    refuse(conn, "the listener does not ask for a key")
  end
  local ours = c.random(32)
  conn:send_bytes(ours .. c.hmac(key, "client" .. theirs .. ours))
  text = hear(conn, deadline, "no answer to the digest")
  if not c.equal(text, "welcome" .. c.hmac(key, "listener" .. theirs .. ours)) then
    refuse(conn, text == "refused" and "the listener refused the key"
      or "the listener has another key")
  end
end

local function prove(conn, options, half)
  if options.authkey then half(conn, options.authkey) end
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
  local path, host, port = resolve("Listener", options)
  if options.authkey then core.crypto.usable() end
  local listener, why = core.listen(path, host, port, options.backlog)
  if not listener then
    core.raise(("cannot listen on %s: %s")
      :format(path or ("%s:%d"):format(host, port), why))
  end
  return setmetatable({
    listener = listener,
    options = options,
    name = path or (host:find ":" and "[%s]:%d" or "%s:%d"):format(host, listener:port()),
  }, Listener)
end

--- The next connection, or `nil, "timeout"`, or `nil, "closed"`.  Raises an
-- AuthenticationError for one with another key; the listener goes on.
function Listener:accept(timeout)
  local options = self.options
  local conn, why = self.listener:accept(timeout, options.trusted or false,
    first_limit(options))
  if not conn then return nil, why end
  self.last = core.conn_peer(conn)
  return prove(conn, options, connection.deliver_challenge)
end

--- The same without the handshake, which has to come before anything else: in a
-- thread of its own, so that strangers keep nobody waiting.
function connection.accept_stranger(listener)
  return listener.listener:accept(nil, true, STRANGER)
end

--- Accept no more; may be called again.
function Listener:close()
  self.listener:close()
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
  local path, host, port = resolve("Client", options)
  local conn, why = core.connect(path, host, port, options.timeout,
    options.trusted or false, first_limit(options))
  if not conn then
    core.raise(("cannot connect to %s: %s"):format(options.address, why))
  end
  return prove(conn, options, connection.answer_challenge)
end

return connection
