local conc = require "conc"
local measure = require "bench.measure"
local multiprocessing = require "conc.multiprocessing"

local Pipe, Process, Queue =
  multiprocessing.Pipe, multiprocessing.Process, multiprocessing.Queue

local SIZE = 64 * 1024 * 1024

local function echo(there, back)
  for item in there:items() do back:put(item) end
end

local function ping_pong(n)
  local there, back = Queue(), Queue()
  local partner = Process{target = echo, args = {there, back}}:start()
  there:put(0)
  back:get() -- the partner runs

  local start = conc.time()
  for i = 1, n do
    there:put(i)
    assert(back:get() == i)
  end
  local seconds = conc.time() - start

  there:shutdown()
  partner:join()
  return seconds
end

local function echo_pipe(conn)
  while true do
    local item, closed = conn:recv()
    if closed then return end
    conn:send(item)
  end
end

local function pipe_ping_pong(n)
  local mine <close>, theirs = Pipe()
  local partner = Process{target = echo_pipe, args = {theirs}}:start()
  mine:send(0)
  mine:recv()

  local start = conc.time()
  for i = 1, n do
    mine:send(i)
    assert(mine:recv() == i)
  end
  local seconds = conc.time() - start

  mine:close()
  theirs:close()
  partner:join()
  return seconds
end

local function drain(q, done, n)
  done:put(true)
  for _ = 1, n do q:get() end
  done:put(true)
end

-- Seconds from the first put to the last get.
local function through(produce, n)
  local q, done = Queue(), Queue()
  local consumer = Process{target = drain, args = {q, done, n}}:start()
  done:get()
  local start = conc.time()
  produce(q, n)
  done:get()
  local seconds = conc.time() - start
  consumer:join()
  return seconds
end

local function integers(n)
  return through(function(q)
    for i = 1, n do q:put(i) end
  end, n)
end

local text

local function strings(n)
  text = text or ("x"):rep(SIZE)
  return through(function(q)
    for _ = 1, n do q:put(text) end
  end, n)
end

-- lua_pushlstring is what string.sub makes its result with.
local function pushlstring(n)
  text = text or ("x"):rep(SIZE)
  for _ = 1, n do
    local copy = text:sub(1, -2) -- luacheck: ignore copy
  end
end

return {
  {
    name = "process queue ping-pong", unit = "us",
    floor = "pair.ping_pong", cpython = "ping_pong", aim = {at_most = 1.5},
    figures = function() return measure.each(ping_pong) end,
  },
  {
    name = "pipe ping-pong", unit = "us",
    floor = "pair.ping_pong", cpython = "pipe_ping_pong", aim = {at_most = 1.5},
    figures = function() return measure.each(pipe_ping_pong) end,
  },
  {
    name = "integers between processes", unit = "M/s",
    floor = "queue.mutex", cpython = "integers", aim = {at_least = 4},
    figures = function() return measure.each(integers) end,
  },
  {
    name = "64 MiB strings, processes", unit = "GB/s", bytes = SIZE,
    floor = "lua_pushlstring", cpython = "string", aim = {of_floor = 0.5},
    figures = function() return measure.fixed(4, strings, pushlstring) end,
  },
}
