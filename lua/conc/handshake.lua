--- How the two ends of a connection show each other that they know a key.
--
-- Each side shows by an HMAC of both sides' random numbers and of who it is that
-- it knows the key, which never leaves it.  The listener speaks first and shows
-- last: a stranger learns nothing to work on.

local arguments = require "conc.arguments"
local core = require "conc.core"

local handshake = {}

-- Bytes that a message may have before the other side has shown that it knows
-- the key.
local STRANGER = 256
handshake.STRANGER = STRANGER

-- Nobody who connects gets longer to show that: seconds.
local PATIENCE = 10

-- So many may be at it with one listener; one more, and the eldest has to go.
local MOST = 64

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

local function can_receive(conn)
  return type(conn) == "userdata" and conn.recv_bytes ~= nil
end

local function check(call, conn, key)
  local ok, can = pcall(can_receive, conn)
  if not (ok and can) then
    arguments.expected(1, call, "connection", "Connection", conn)
  end
  arguments.type(2, call, "key", "string", key)
end

-- The listener's half --------------------------------------------------------

-- A stranger is a connection, what it was asked, and when it must have answered.
-- The question and the verdict are few bytes, for which a new socket has room.
local function ask(conn)
  local ours = core.crypto.random(32)
  conn:send_bytes(GREETING .. ours)
  return {conn = conn, ours = ours, deadline = core.time() + PATIENCE}
end

-- Wait for the answer; raises, and closes the connection, when it is wrong.
local function judge(stranger, key)
  local c, conn, ours = core.crypto, stranger.conn, stranger.ours
  local text = hear(conn, stranger.deadline, "no answer to the challenge")
  local theirs, digest = text:sub(1, 32), text:sub(33)
  if not c.equal(digest, c.hmac(key, "client" .. ours .. theirs)) then
    conn:send_bytes "refused"
    refuse(conn, "the client has another key")
  end
  conn:send_bytes("welcome" .. c.hmac(key, "listener" .. ours .. theirs))
end

--- The whole of it: raises an AuthenticationError, and closes the connection, when
-- the other side has another key.
function handshake.deliver_challenge(conn, key)
  check("deliver_challenge", conn, key)
  judge(ask(conn), key)
end

--- Those who have connected to a listener and not answered yet, eldest first.  None
-- of them is waited for: who is mute, or slow, keeps only itself waiting.
local Strangers = {}
Strangers.__index = Strangers

function handshake.strangers(key)
  return setmetatable({key = key}, Strangers)
end

--- One more; takes the connection over.
function Strangers:add(conn)
  if #self == MOST then table.remove(self, 1).conn:close() end
  self[#self + 1] = ask(conn)
end

--- The first of them that has answered, as a connection, or nil.  Raises for one that
-- has answered wrongly or not in time.  `listener.last` is where it comes from.
function Strangers:next(listener)
  for i, stranger in ipairs(self) do
    if stranger.conn:poll() or stranger.deadline <= core.time() then
      table.remove(self, i) -- first, as others may come here meanwhile
      listener.last = core.conn_peer(stranger.conn)
      judge(stranger, self.key)
      return stranger.conn
    end
  end
end

--- When the first of them has had its time; `math.huge`: there is none.
function Strangers:due()
  return self[1] and self[1].deadline or math.huge
end

--- Append their connections to a list.
function Strangers:awaited(list)
  for _, stranger in ipairs(self) do
    list[#list + 1] = stranger.conn
  end
  return list
end

function Strangers:close()
  for i = #self, 1, -1 do
    table.remove(self, i).conn:close()
  end
end

-- The client's half ----------------------------------------------------------

--- A listener may have others to attend to, so it is the client's own deadline.
function handshake.answer(conn, key, deadline)
  local c = core.crypto
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

function handshake.answer_challenge(conn, key)
  check("answer_challenge", conn, key)
  handshake.answer(conn, key, core.time() + PATIENCE)
end

return handshake
