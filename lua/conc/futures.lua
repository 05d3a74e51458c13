--- Futures and executors, as in Python's `concurrent.futures`.
--
-- @module conc.futures

local core = require "conc.core"

local futures = {
  ThreadPoolExecutor = core.ThreadPoolExecutor,
}

-- Arguments ----------------------------------------------------------------

-- The level of errors: whoever called the public function.
local CALLER = 4

local function argument_error(call, n, text)
  error(("bad argument #%d to '%s' (%s)"):format(n, call, text), CALLER)
end

local function name_of(v)
  local mt = getmetatable(v)
  local name = type(mt) == "table" and mt.__name
  return type(name) == "string" and name or type(v)
end

local function is_future(v)
  return type(v) == "userdata" and name_of(v) == "Future"
end

-- The futures of a sequence, or those that are the keys of a table, each once.
local function collect(call, fs)
  if type(fs) ~= "table" then
    argument_error(call, 1, "fs: table expected, got " .. name_of(fs))
  end
  local list, seen, n = {}, {}, #fs
  for i = 1, n do
    local f = fs[i]
    if not is_future(f) then
      argument_error(call, 1, ("fs[%d]: Future expected, got %s"):format(i, name_of(f)))
    end
    if not seen[f] then
      seen[f] = true
      list[#list + 1] = f
    end
  end
  for key in next, fs do
    if n == 0 and is_future(key) then
      list[#list + 1] = key
    elseif math.type(key) ~= "integer" or key < 1 or key > n then
      argument_error(call, 1, "fs: a sequence of futures, or a table keyed by futures, expected")
    end
  end
  return list
end

-- Seconds from now as a time on the monotonic clock; nil is for ever.
local function deadline_of(call, timeout)
  if timeout == nil then return math.huge end
  local wrong = type(timeout) ~= "number"
      and "number of seconds expected, got " .. name_of(timeout)
    or timeout ~= timeout and "must not be NaN"
    or timeout < 0 and "must not be negative"
  if wrong then argument_error(call, 2, "timeout: " .. wrong) end
  return core.time() + timeout
end

-- Waiting ------------------------------------------------------------------

local function first_done(list, deadline)
  return core.first_done(list, math.max(0, deadline - core.time()))
end

-- Move the futures that are done, the i-th and perhaps more after it, from the
-- list to a new one; both keep their order.
local function take_done(list, i)
  local done, kept, n = {}, i - 1, #list
  for k = i, n do
    local f = list[k]
    list[k] = nil
    if f:done() then
      done[#done + 1] = f
    else
      kept = kept + 1
      list[kept] = f
    end
  end
  return done
end

local function unfinished(left, all)
  local err = core.Error.new("TimeoutError", ("%d (of %d) futures unfinished"):format(left, all))
  err.traceback = debug and debug.traceback(nil, 3)
  return err
end

--- Iterate over futures as they are done: those that are done already first,
-- then each when it is.
-- @tparam table fs a sequence of futures, or a table that has futures as keys;
-- they may be of several executors; one that is in it twice is given once
-- @number[opt] timeout seconds from this call; the default is for ever
-- @treturn function an iterator over futures
-- @raise from the iterator, a `conc.Error` of class TimeoutError when the
-- timeout is over; first it gives all that are done
-- @usage for future in futures.as_completed(urls) do
--   print(urls[future], pcall(future.result, future))
-- end
function futures.as_completed(fs, timeout, ...)
  if select("#", ...) > 0 then
    error("bad argument #3 to 'as_completed' (surplus argument)", 2)
  end
  local waiting = collect("as_completed", fs)
  local deadline = deadline_of("as_completed", timeout)
  local all, ready, given = #waiting, {}, 0
  return function()
    if given == #ready then
      if #waiting == 0 then return nil end
      local i = first_done(waiting, deadline)
      if not i then error(unfinished(#waiting, all), 0) end
      ready, given = take_done(waiting, i), 0
    end
    given = given + 1
    local f = ready[given]
    ready[given] = false -- no reference to it stays here
    return f
  end
end

-- Has it ended by an error of its task?
local function has_failed(f)
  return f:done() and not f:cancelled() and f:traceback(0) ~= nil
end

-- What may end the wait, as functions that wait for it.
local wait_until = {}

function wait_until.FIRST_COMPLETED(list, deadline)
  if #list > 0 then first_done(list, deadline) end
end

function wait_until.ALL_COMPLETED(list, deadline)
  for _, f in ipairs(list) do
    if not first_done({ f }, deadline) then return end
  end
end

function wait_until.FIRST_EXCEPTION(list, deadline)
  local waiting = table.move(list, 1, #list, 1, {})
  while #waiting > 0 do
    local i = first_done(waiting, deadline)
    if not i then return end
    for _, f in ipairs(take_done(waiting, i)) do
      if has_failed(f) then return end
    end
  end
end

local options = { fs = true, timeout = true, return_when = true }

local function open_options(t)
  for name in next, t do
    if not options[name] then
      error(("bad argument #1 to 'wait' (unknown option '%s')"):format(name), 3)
    end
  end
  return t.fs, t.timeout, t.return_when
end

local function check_return_when(return_when)
  if return_when == nil then return "ALL_COMPLETED" end
  if type(return_when) ~= "string" then
    argument_error("wait", 3, "return_when: string expected, got " .. name_of(return_when))
  elseif not wait_until[return_when] then
    argument_error("wait", 3, ("return_when: 'ALL_COMPLETED', 'FIRST_COMPLETED' or "
      .. "'FIRST_EXCEPTION' expected, got '%s'"):format(return_when))
  end
  return return_when
end

--- Wait for futures.
-- @tparam table fs as for `as_completed`; or all arguments by name in one table
-- @number[opt] timeout seconds; the default is for ever
-- @string[opt="ALL_COMPLETED"] return_when what ends the wait: that all are
-- done; "FIRST_COMPLETED", that one is; "FIRST_EXCEPTION", that the task of one
-- has raised an error, or all are done
-- @treturn table a sequence of those that are done, also when time was up
-- @treturn table a sequence of the others
-- @usage local done, not_done = futures.wait(fs, 1.5)
-- futures.wait{fs = fs, return_when = "FIRST_COMPLETED"}
function futures.wait(fs, timeout, return_when, ...)
  if select("#", ...) > 0 then
    error("bad argument #4 to 'wait' (surplus argument)", 2)
  end
  if type(fs) == "table" and fs.fs ~= nil and timeout == nil and return_when == nil then
    fs, timeout, return_when = open_options(fs)
  end
  local not_done = collect("wait", fs)
  local deadline = deadline_of("wait", timeout)
  wait_until[check_return_when(return_when)](not_done, deadline)
  return take_done(not_done, 1), not_done
end

return futures
