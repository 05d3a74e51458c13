--- Timer: a thread that calls a function after a while, unless cancelled.

local arguments = require "conc.arguments"
local core = require "conc.core"

local Timer = {}
Timer.__index = Timer
Timer.__name = "Timer"

local function wait_and_call(interval, cancelled, fn, ...)
  if not cancelled:wait(interval) and not cancelled:is_set() then
    cancelled:set()
    fn(...)
  end
end

local function check(method, ...)
  if select("#", ...) == 0 then
    arguments.bad(1, method, "Timer expected, got no value")
  end
  return arguments.self(method, Timer, (...))
end

--- Stop the timer if it is still waiting.
function Timer.cancel(...)
  local self = check("cancel", ...)
  arguments.no_more(2, "cancel", select(2, ...))
  self.finished:set()
end

-- Everything else is the thread's.
for _, name in ipairs {
  "join", "name", "set_name", "daemon", "set_daemon", "ident", "native_id",
  "is_alive",
} do
  Timer[name] = function(...)
    local thread = check(name, ...).thread
    return thread[name](thread, select(2, ...))
  end
end

-- A timer that has crossed is another table with the same thread.
function Timer.__eq(a, b)
  return getmetatable(a) == Timer and getmetatable(b) == Timer
    and rawget(a, "thread") == rawget(b, "thread")
end

function Timer:__tostring()
  return (tostring(self.thread):gsub("^Thread", "Timer"))
end

--- Start to wait; returns the timer.
function Timer.start(...)
  local self = check("start", ...)
  self.thread.start(self.thread, select(2, ...))
  return self
end

local options = { interval = 1, fn = 2, args = 3 }

-- What cannot travel is the caller's fn or args[i], three further on here.
local function make_thread(conf)
  local ok, result = pcall(core.Thread, conf)
  if ok then return result end
  if type(result) ~= "string" then error(result, 0) end
  core.raise((result:gsub("args%[(%d+)%]", function(i)
    return i == "3" and "fn" or ("args[%d]"):format(i - 3)
  end, 1)))
end

--- `Timer(interval, fn [, args])`, or the same by name: call
-- `fn(table.unpack(args))` in a thread of its own, `interval` seconds after
-- `start`.
return function(interval, fn, args, ...)
  if type(interval) == "table" and fn == nil then
    local t = arguments.known(1, "Timer", interval, options)
    interval, fn, args = t.interval, t.fn, t.args
  end
  arguments.no_more(4, "Timer", ...)
  if type(interval) ~= "number" or interval ~= interval or interval < 0 then
    arguments.bad(1, "Timer", "interval: number >= 0 expected")
  end
  arguments.type(2, "Timer", "fn", "function", fn)
  args = arguments.opt(3, "Timer", "args", "table", args) or {}
  local finished = core.Event()
  local n = args.n or #args
  if math.type(n) ~= "integer" then
    arguments.bad(3, "Timer", "args: its field n is no integer")
  elseif n < 0 or n > 9000 then
    arguments.bad(3, "Timer", "args: 0 to 9000 of them expected")
  end
  return setmetatable({
    finished = finished,
    thread = make_thread {
      target = wait_and_call,
      args = { n = n + 3, interval, finished, fn, table.unpack(args, 1, n) },
    },
  }, Timer)
end
