--- Timer: a thread that calls a function after a while, unless cancelled.

local core = require "conc.core"

local Timer = {}
Timer.__index = Timer
Timer.__name = "Timer"

local function wait_and_call(interval, cancelled, fn, ...)
  if not cancelled:wait(interval) then
    cancelled:set()
    fn(...)
  end
end

local function check(method, ...)
  if getmetatable((...)) ~= Timer then
    local got = select("#", ...) == 0 and "no value" or type((...))
    error(("bad argument #1 to '%s' (Timer expected, got %s)"):format(method, got), 3)
  end
end

-- What the method of the thread gave; its errors blame the caller, 'level' up.
local function relay(level, method, ok, err, ...)
  if ok then return err, ... end
  if type(err) == "string" then err = err:gsub("to '%?'", ("to '%s'"):format(method)) end
  error(err, level)
end

--- Stop the timer if it is still waiting.
function Timer.cancel(...)
  check("cancel", ...)
  if select("#", ...) > 1 then
    error("bad argument #2 to 'cancel' (surplus argument)", 2)
  end
  local self = ...
  self.finished:set()
end

-- Everything else is the thread's.
for _, name in ipairs {
  "join", "name", "set_name", "daemon", "set_daemon", "ident", "native_id",
  "is_alive",
} do
  Timer[name] = function(...)
    check(name, ...)
    local thread = (...).thread
    return relay(2, name, pcall(thread[name], thread, select(2, ...)))
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
  check("start", ...)
  local self = ...
  relay(3, "start", pcall(self.thread.start, self.thread, select(2, ...)))
  return self
end

local options = { interval = 1, fn = 2, args = 3 }

local function check_options(t)
  for name in pairs(t) do
    if not options[name] then
      error(("bad argument #1 to 'Timer' (unknown option '%s')"):format(name), 3)
    end
  end
  return t.interval, t.fn, t.args
end

-- What cannot travel is the caller's fn or args[i], three further on here.
local function make_thread(conf)
  local ok, result = pcall(core.Thread, conf)
  if ok then return result end
  if type(result) == "string" then
    result = result:gsub("args%[(%d+)%]", function(i)
      return i == "3" and "fn" or ("args[%d]"):format(i - 3)
    end, 1)
  end
  error(result, 3)
end

--- `Timer(interval, fn [, args])`, or the same by name: call
-- `fn(table.unpack(args))` in a thread of its own, `interval` seconds after
-- `start`.
return function(interval, fn, args, ...)
  if type(interval) == "table" and fn == nil then
    interval, fn, args = check_options(interval)
  elseif select("#", ...) > 0 then
    error("bad argument #4 to 'Timer' (surplus argument)", 2)
  end
  if type(interval) ~= "number" or interval ~= interval or interval < 0 then
    error("bad argument #1 to 'Timer' (interval: number >= 0 expected)", 2)
  end
  if type(fn) ~= "function" then
    error("bad argument #2 to 'Timer' (fn: function expected, got "
      .. type(fn) .. ")", 2)
  end
  if args ~= nil and type(args) ~= "table" then
    error("bad argument #3 to 'Timer' (args: table expected, got "
      .. type(args) .. ")", 2)
  end
  args = args or {}
  local finished = core.Event()
  local n = args.n or #args
  if math.type(n) ~= "integer" then
    error("bad argument #3 to 'Timer' (args: its field n is no integer)", 2)
  elseif n < 0 or n > 9000 then
    error("bad argument #3 to 'Timer' (args: 0 to 9000 of them expected)", 2)
  end
  return setmetatable({
    finished = finished,
    thread = make_thread {
      target = wait_and_call,
      args = { n = n + 3, interval, finished, fn, table.unpack(args, 1, n) },
    },
  }, Timer)
end
