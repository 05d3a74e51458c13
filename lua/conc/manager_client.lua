--- A state's line to a manager: one connection for all its calls, and what the
-- state keeps alive over there.
--
-- A request is {serial, operation, ...}, its answer {serial, true, results} or
-- {serial, false, kind, error, traceback}.  Those with serial 0 have no answer:
-- finalizers send them, at any time.
--
-- References.  The server counts for each session how often it has told it of
-- an object: once for each answer that names it ("grant").  A proxy knows how
-- many of these it stands for, and gives them back when it is collected; so an
-- answer that is on its way while the last proxy goes is no trouble.  A proxy
-- that is packed for somebody else first gets a "pin", a reference by a name of
-- its own that goes along and that its receiver takes over.

local authkey = require "conc.authkey"
local connection = require "conc.connection"
local core = require "conc.core"

local client = {}

-- Not a field: what a module holds travels by its name.
--
--   serving    in a thread of a server: {shared =, replying =, dirty =}, what all
--              its threads share, the session whose answer is being packed, and
--              whether there may be proxies that nobody needs any more
--   sending    the session whose request is being packed
--   receiving  the session whose answer came
local now = {}

--- What this state is doing, as above.
function client.now()
  return now
end

-- How long a call that was cancelled may take to come to its end there, seconds.
local PATIENCE = 5

local Session = {}
Session.__index = Session

-- address = session; those that somebody uses.
local sessions = setmetatable({}, {__mode = "v"})

local function gone(message)
  return core.Error.new("ConnectionError", message)
end

-- Raise a message of the server's with the position of who called conc, unless it
-- has one.
local function misuse(message)
  if message:find "^[^\n:]+:%d+: " then error(message, 0) end
  core.raise(message)
end

-- Opening ---------------------------------------------------------------------

local function open(address, key)
  local ok, conn = pcall(connection.Client, {address = address, authkey = key, trusted = true})
  if ok then return conn end
  local why = type(conn) == "string" and conn:match "cannot connect to .*"
  if core.Error.is(conn, "AuthenticationError") and conn.reason == "closed" then
    why = ("the manager at %s has ended"):format(address)
  end
  error(why and gone(why) or conn, 0)
end

--- Has the manager ended, or is it another one's?  Other errors are raised: they
-- are cancellations.
function client.unreachable(err)
  if core.Error.is(err, "ConnectionError") or core.Error.is(err, "AuthenticationError") then
    return true
  end
  error(err, 0)
end

local function new_session(address, key)
  local self = setmetatable({address = address, key = key, serial = 0, npins = 0}, Session)
  self.shown = key or authkey.get()
  self.conn = open(address, self.shown)
  self.name, self.uid, self.names = self:call "hello"
  return self
end

-- Another key than the one that opened the session does not get at it: the server
-- says so.
local function check_key(self, key)
  if key ~= self.key and (key or authkey.get()) ~= self.shown then
    open(self.address, key or authkey.get()):close()
  end
end

--- The session of this state with the manager at that address.
function client.session(address, key)
  local self = sessions[address]
  if not self or self.dead then
    self = new_session(address, key)
    sessions[address] = self
  else
    check_key(self, key)
  end
  return self
end

--- The session that there is, or nil.
function client.known(address)
  local self = sessions[address]
  return self and not self.dead and self or nil
end

--- It is not used any more.
function client.forget(address)
  local self = sessions[address]
  sessions[address] = nil
  if self then self:die() end
end

function Session:die()
  self.dead = true
  self.conn:close()
end

local function lost(self)
  if sessions[self.address] == self then sessions[self.address] = nil end
  self:die()
  error(gone(("the manager at %s has ended"):format(self.address)), 0)
end

-- Calls -----------------------------------------------------------------------

local kinds = {}

-- Raised by a method of the caller's own class: the value as it is.
function kinds.error(err)
  error(err, 0)
end

function kinds.misuse(err)
  if type(err) == "string" then misuse(err) end
  error(err, 0)
end

-- The server's own trouble.
function kinds.remote(err, traceback)
  local e = core.Error.new("RemoteError", tostring(err))
  e.traceback = traceback
  error(e, 0)
end

local function send(self, request)
  if self.dead then lost(self) end
  local outer = now.sending
  now.sending = self
  local ok, sent = pcall(self.conn.send, self.conn, request)
  now.sending = outer
  if not ok then
    if type(sent) == "string" then misuse((sent:gsub("^value%[%d+%]%.?", "args"))) end
    error(sent, 0)
  end
  return sent
end

-- Cancellations end this wait, and nothing else: the functions of proxies run in
-- a shield, so that what the server has done is always seen.
local function wait(conn, timeout)
  return core.exposed(conn.recv, conn, timeout)
end

-- The answer to that request.  Older ones belong to calls that were torn off.
local function receive(self, serial, timeout, older)
  local deadline = timeout and core.time() + timeout
  while true do
    self.fresh = {}
    local outer = now.receiving
    now.receiving = self
    local ok, answer, why = pcall(older and self.conn.recv or wait, self.conn,
      deadline and math.max(0, deadline - core.time()))
    now.receiving = outer
    if not ok then error(answer, 0) end
    if answer == nil then return nil, why end
    if answer[1] == serial then return answer end
    if older then older(answer) end
  end
end

local call

-- The wait for the answer was cut off.  What the server did meanwhile is undone
-- if that can be; the connection is in step again, or it is given up.
local function abandon(self, request)
  local taken
  local ok, answer = pcall(function()
    self.serial = self.serial + 1
    send(self, {self.serial, "cancel", request[1]})
    return receive(self, self.serial, PATIENCE, function(a)
      taken = a[1] == request[1] and a[2] and a[3][1]
    end)
  end)
  if not ok or not answer then
    self:die()
  elseif taken and request[2] == "call" and request[4] == "acquire" then
    pcall(call, self, "call", request[3], "release", {n = 0})
  end
end

function call(self, ...)
  local serial = self.serial + 1
  self.serial = serial
  local request = {serial, ...}
  if not send(self, request) then lost(self) end
  local ok, answer, why = pcall(receive, self, serial)
  if not ok then
    abandon(self, request)
    error(answer, 0)
  end
  if answer == nil then return lost(self, why) end
  if answer[2] then return table.unpack(answer[3], 1, answer[3].n) end
  kinds[answer[3]](answer[4], answer[5])
end

-- A second line: a callback calls while a call waits.
local function second(self)
  if not self.other or self.other.dead then self.other = new_session(self.address, self.key) end
  return self.other
end

--- Ask the server, and return the results or raise the error.
function Session:call(...)
  if self.busy then return second(self):call(...) end
  self.busy = true
  return (function(ok, ...)
    self.busy = false
    if not ok then error((...), 0) end
    return ...
  end)(pcall(call, self, ...))
end

--- Tell the server something, if it is there.
function Session:tell(...)
  if not self.dead then self.conn:send {0, ...} end
end

-- References ------------------------------------------------------------------

--- An answer names the object: how many references that gives to its proxy.
function Session:granted(id)
  if self.fresh[id] then return 0 end
  self.fresh[id] = true
  return 1
end

--- The name of a new reference that goes along with a message, or nil when the
-- manager is no more.
function Session:pin(id)
  self.npins = self.npins + 1
  local name = ("%s.%d"):format(self.name, self.npins)
  local ok, err = pcall(self.call, self, "pin", id, name)
  return ok and name or not ok and client.unreachable(err) and nil
end

return client
