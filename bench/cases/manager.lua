local conc = require "conc"
local measure = require "bench.measure"
local multiprocessing = require "conc.multiprocessing"

local KEY = "bench"

local function echo(address, key)
  local conn <close> = require "conc.multiprocessing".Client {address = address, authkey = key}
  while true do
    local item, closed = conn:recv()
    if closed then return end
    conn:send(item)
  end
end

-- Over a socket, each way.
local function ping_pong(n)
  local listener <close> = multiprocessing.Listener {address = "127.0.0.1:0", authkey = KEY}
  local partner = multiprocessing.Process {
    target = echo, args = {listener:address(), KEY},
  }:start()
  local conn = listener:accept()

  local start = conc.time()
  for i = 1, n do
    conn:send(i)
    assert(conn:recv() == i)
  end
  local seconds = conc.time() - start

  conn:close()
  partner:join()
  return seconds
end

local function read(n)
  local m <close> = multiprocessing.Manager()
  local shared = m:dict {key = 0}
  local _ = shared.key -- the session is made

  local start = conc.time()
  for _ = 1, n do _ = shared.key end
  return conc.time() - start
end

return {
  {
    name = "a manager's dict, read", unit = "us",
    floor = "a socket's round trip", cpython = "dict_read",
    figures = function() return measure.fixed(5000, read, ping_pong) end,
  },
}
