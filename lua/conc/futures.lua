--- Futures and executors, as in Python's `concurrent.futures`.
--
-- @module conc.futures

local arguments = require "conc.arguments"
local core = require "conc.core"
local group = require "conc.group"

local group_error = group.error

--- What `submit` and Promises give: the methods of futures, also as functions,
-- `futures.Future.result(f)`.
local Future = setmetatable(core.Future, {
  __call = function()
    core.raise("a Future is made by submit, or by a Promise")
  end,
  __name = "Future",
})

local futures = {
  Future = Future,
  ALL_COMPLETED = "ALL_COMPLETED",
  FIRST_COMPLETED = "FIRST_COMPLETED",
  FIRST_EXCEPTION = "FIRST_EXCEPTION",
  ThreadPoolExecutor = core.ThreadPoolExecutor,
  ProcessPoolExecutor = core.ProcessPoolExecutor,
  Promise = core.Promise,
  TaskGroup = group.TaskGroup,
}

-- Arguments ----------------------------------------------------------------

local class -- the metatable of the last future that was seen

local function is_future(v)
  if type(v) ~= "userdata" then return false end
  local mt = getmetatable(v)
  if mt == class then return class ~= nil end
  if arguments.kind(v) ~= "Future" then return false end
  class = mt
  return true
end

local function check_future(call, fs, i)
  if not is_future(fs[i]) then
    arguments.expected(1, call, ("fs[%d]"):format(i), "Future", fs[i])
  end
end

-- The futures of a sequence, or those that are the keys of a table, each once.
local function collect(call, fs)
  arguments.type(1, call, "fs", "table", fs)
  local list, seen, n = {}, {}, #fs
  for i = 1, n do
    check_future(call, fs, i)
    local f = fs[i]
    if not seen[f] then
      seen[f] = true
      list[#list + 1] = f
    end
  end
  for key in next, fs do
    if n == 0 and is_future(key) then
      list[#list + 1] = key
    elseif math.type(key) ~= "integer" or key < 1 or key > n then
      arguments.bad(1, call, "fs: a sequence of futures, or a table keyed by futures, expected")
    end
  end
  return list
end

-- Seconds from now as a time on the monotonic clock; nil is for ever.
local function deadline_of(call, timeout)
  arguments.timeout(2, call, "timeout", timeout)
  return timeout == nil and math.huge or core.time() + timeout
end

-- Waiting ------------------------------------------------------------------

-- The position of one that is done and was not told yet, or nil.
local function next_done(watch, deadline)
  if deadline == math.huge then return watch:next() end
  return watch:next(math.max(0, deadline - core.time()))
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
  arguments.no_more(3, "as_completed", ...)
  local list = collect("as_completed", fs)
  local deadline = deadline_of("as_completed", timeout)
  local watch, left, all = core.watch(list), #list, #list
  return function()
    if left == 0 then return nil end
    local i = next_done(watch, deadline)
    if not i then error(unfinished(left, all), 0) end
    left = left - 1
    local f = list[i]
    list[i] = false -- no reference to it stays here
    return f
  end
end

-- What may end the wait, as functions that wait for it.
local wait_until = {}

function wait_until.FIRST_COMPLETED(_, watch, deadline)
  next_done(watch, deadline)
end

function wait_until.ALL_COMPLETED(_, watch, deadline)
  while next_done(watch, deadline) do end
end

function wait_until.FIRST_EXCEPTION(list, watch, deadline)
  local i
  repeat i = next_done(watch, deadline) until not i or core.failed(list[i])
end

-- The futures that are done, and the others, both in the order of the list.
local function sort(list)
  local done, not_done = {}, {}
  for i = 1, #list do
    local to = list[i]:done() and done or not_done
    to[#to + 1] = list[i]
  end
  return done, not_done
end

local options = {fs = true, timeout = true, return_when = true}

local function open_options(t)
  arguments.known(1, "wait", t, options)
  return t.fs, t.timeout, t.return_when
end

local function check_return_when(return_when)
  if return_when == nil then return "ALL_COMPLETED" end
  arguments.type(3, "wait", "return_when", "string", return_when)
  if not wait_until[return_when] then
    arguments.bad(3, "wait", ("return_when: 'ALL_COMPLETED', 'FIRST_COMPLETED' or "
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
  arguments.no_more(4, "wait", ...)
  if type(fs) == "table" and fs.fs ~= nil and timeout == nil and return_when == nil then
    fs, timeout, return_when = open_options(fs)
  end
  local list = collect("wait", fs)
  local deadline = deadline_of("wait", timeout)
  local wait = wait_until[check_return_when(return_when)]
  local watch <close> = core.watch(list)
  if #list > 0 then wait(list, watch, deadline) end
  return sort(list)
end

-- Combining ------------------------------------------------------------------

local function check_sequence(call, fs, ...)
  arguments.no_more(2, call, ...)
  arguments.type(1, call, "fs", "table", fs)
  for i = 1, #fs do check_future(call, fs, i) end
end

-- Set it, unless another thread has cancelled it meanwhile.
local function settle(future, set, promise, ...)
  local ok, err = pcall(set, promise, ...)
  if not ok and not future:done() then error(err, 0) end
end

--- A future of the results of several.
-- @tparam table fs a sequence of futures
-- @treturn Future whose result is one table: the first result of each, in the
-- order of `fs`, and their number as field `n`.  It fails as soon as one of
-- them fails or is cancelled, with its error; the others go on.
-- @usage local pages = futures.all(fs):result()
function futures.all(fs, ...)
  check_sequence("all", fs, ...)
  local promise, results, left = core.Promise(), {n = #fs}, #fs
  local all = promise:future()
  if left == 0 then promise:set_result(results) end
  for i = 1, #fs do
    fs[i]:add_done_callback(function(f)
      if all:done() then return end
      local err = f:exception()
      if err ~= nil or core.failed(f) then
        return settle(all, promise.set_exception, promise, err)
      end
      results[i] = f:result()
      left = left - 1
      if left == 0 then settle(all, promise.set_result, promise, results) end
    end)
  end
  return all
end

--- A future of the first success of several.
-- @tparam table fs a sequence of futures, at least one
-- @treturn Future with the results of the first of them that finishes without
-- an error; when none does, it fails with a `conc.Error` of class
-- TaskGroupError whose `errors` are those of all, in the order of `fs`
-- @usage local fastest = futures.any{ex:submit(ask, a), ex:submit(ask, b)}
function futures.any(fs, ...)
  check_sequence("any", fs, ...)
  if #fs == 0 then arguments.bad(1, "any", "fs: must not be empty") end
  local promise, errors, left = core.Promise(), {}, #fs
  local any = promise:future()
  for i = 1, #fs do
    fs[i]:add_done_callback(function(f)
      if any:done() then return end
      local err = f:exception()
      if err == nil and not core.failed(f) then
        return settle(any, promise.set_result, promise, f:result())
      end
      errors[i], left = err, left - 1
      if left == 0 then settle(any, promise.set_exception, promise, group_error(errors, #fs)) end
    end)
  end
  return any
end

return futures
