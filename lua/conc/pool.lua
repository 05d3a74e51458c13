--- Pools of workers, as in Python's `multiprocessing.pool`: executors by
-- another name, with tables for results and callbacks for their ends.

local arguments = require "conc.arguments"
local core = require "conc.core"

local pool = {}

-- Arguments ----------------------------------------------------------------

local function check_count(n, call, name, value)
  if value == nil then return end
  if type(value) ~= "number" or not math.tointeger(value) or value < 1 then
    arguments.bad(n, call, ("%s: positive integer expected, got %s"):format(name,
      type(value) == "number" and tostring(value) or arguments.kind(value)))
  end
end

local ASYNC = {callback = true, error_callback = true, chunksize = true}

local function check_callbacks(call, n, options)
  if options == nil then return {} end
  arguments.type(n, call, "options", "table", options)
  arguments.known(n, call, options, ASYNC)
  arguments.opt(n, call, "callback", "function", options.callback)
  arguments.opt(n, call, "error_callback", "function", options.error_callback)
  return options
end

-- Results ------------------------------------------------------------------

--- What comes of an asynchronous call.
-- @type AsyncResult
local AsyncResult = {}
AsyncResult.__index = AsyncResult
AsyncResult.__name = "AsyncResult"
pool.AsyncResult = AsyncResult

--- The futures that do what this one, a chunk of a map, has left undone, since
-- its process died; none if it has done all, or is not done.
function pool.parts(future)
  return {core.chunk_parts(future)}
end

-- 'collect' makes the result of the futures, when all are done, or raises.
local function new_result(futures, collect, options)
  local self = setmetatable({futures = futures, collect = collect}, AsyncResult)
  if not options.callback and not options.error_callback then return self end
  local left = math.max(#futures, 1)
  local function done(f)
    local parts = f and pool.parts(f) or {}
    left = left + #parts -- some of which may be done, and call this at once
    for _, part in ipairs(parts) do part:add_done_callback(done) end
    left = left - 1
    if left > 0 then return end
    local results = table.pack(pcall(collect, futures))
    if results[1] then
      if options.callback then options.callback(table.unpack(results, 2, results.n)) end
    elseif options.error_callback then
      options.error_callback(results[2])
    end
  end
  for _, f in ipairs(futures) do f:add_done_callback(done) end
  if #futures == 0 then done() end
  return self
end

-- Wait for the futures and their parts; false: not in time.
local function await(futures, deadline)
  local left = deadline and math.max(0, deadline - core.time())
  local _, undone = require "conc.futures".wait(futures, left)
  if #undone > 0 then return false end
  for _, f in ipairs(futures) do
    local parts = pool.parts(f)
    if #parts > 0 and not await(parts, deadline) then return false end
  end
  return true
end

--- Wait until it is done.
-- @number[opt] timeout seconds
-- @return `true`, or `nil` and "timeout"
function AsyncResult:wait(timeout)
  arguments.timeout(1, "wait", "timeout", timeout)
  if await(self.futures, timeout and core.time() + timeout) then return true end
  return nil, "timeout"
end

--- The results; raises what the call raised, or a TimeoutError.
-- @number[opt] timeout seconds
function AsyncResult:get(timeout)
  arguments.timeout(1, "get", "timeout", timeout)
  if not self:wait(timeout) then
    error(core.Error.new("TimeoutError", "the result is not ready in time"))
  end
  return self.collect(self.futures)
end

local function all_done(futures)
  for _, f in ipairs(futures) do
    if not f:done() or not all_done(pool.parts(f)) then return false end
  end
  return true
end

--- Is it done?
function AsyncResult:ready()
  return all_done(self.futures)
end

--- Did it end without an error?  Raises when it is not done.
function AsyncResult:successful()
  if not self:ready() then core.raise("the result is not ready") end
  return (pcall(self.collect, self.futures))
end

-- Pools --------------------------------------------------------------------

--- @type Pool
local Pool = {}
Pool.__index = Pool
Pool.__name = "Pool"

local function check_open(self)
  if self.closed then core.raise("the pool is closed") end
end

local function one(futures) return futures[1]:result() end

local function start_call(self, call, fn, args, options)
  arguments.callable(1, call, "fn", fn)
  args = arguments.opt(2, call, "args", "table", args) or {}
  options = check_callbacks(call, 3, options)
  check_open(self)
  local future = self.executor:submit(fn, table.unpack(args, 1, args.n or #args))
  return new_result({future}, one, options)
end

--- Call fn in a worker and return what it returns.
-- @func fn
-- @tparam[opt] table args its arguments, with their number as `n` if some are nil
function Pool:apply(fn, args)
  return start_call(self, "apply", fn, args):get()
end

--- The same without waiting.
-- @func fn
-- @tparam[opt] table args
-- @tparam[opt] table options `callback`, called with the results;
-- `error_callback`, called with the error
-- @treturn AsyncResult
function Pool:apply_async(fn, args, options)
  return start_call(self, "apply_async", fn, args, options)
end

-- The items of a sequence or an iterator, and how many.
local function items_of(call, xs)
  if type(xs) == "table" then return xs, #xs end
  if type(xs) ~= "function" then
    arguments.expected(2, call, "xs", "sequence or iterator", xs)
  end
  local items, n = {}, 0
  for x in xs do
    n = n + 1
    items[n] = x
  end
  return items, n
end

-- Put the first results of a chunk's items behind the n of 'all'; returns how
-- many are there then.  The first error is raised.
local function gather(all, n, future)
  local results, odd, done = core.chunk_results(future)
  for i = 1, done do
    local other = odd and odd[i]
    if not other then
      all[n + i] = results[i]
    elseif other.n then
      all[n + i] = other[1]
    else
      error(other.error, 0)
    end
  end
  n = n + done
  for _, part in ipairs(pool.parts(future)) do n = gather(all, n, part) end
  return n
end

local function gather_all(futures)
  local all, n = {}, 0
  for _, f in ipairs(futures) do n = gather(all, n, f) end
  all.n = n
  return all
end

local MOST_ITEMS = 100000 -- of a chunk

local function start_map(self, call, fn, xs, options)
  local star = call:find "^star" ~= nil
  arguments.callable(1, call, "fn", fn)
  if math.type(options) then options = {chunksize = options} end
  options = check_callbacks(call, 3, options)
  check_count(3, call, "chunksize", options.chunksize)
  check_open(self)
  local items, n = items_of(call, xs)
  local size = options.chunksize or math.max(1, math.ceil(n / (4 * self.processes)))
  size = math.min(size, MOST_ITEMS)
  local futures = {}
  for first = 1, n, size do
    local last = math.min(first + size - 1, n)
    futures[#futures + 1] = core.submit_chunk(self.executor, fn, star, items, first, last)
  end
  return new_result(futures, gather_all, options)
end

--- The first results of fn(x) for all x of xs, in their order, as a table with
-- their number as `n`.  All are done, then the first error is raised.
-- @func fn
-- @param xs a sequence, or an iterator function
-- @int[opt] chunksize items that travel together
function Pool:map(fn, xs, chunksize)
  return start_map(self, "map", fn, xs, chunksize):get()
end

--- The same without waiting.
-- @func fn
-- @param xs
-- @tparam[opt] table options `chunksize`, `callback`, `error_callback`
-- @treturn AsyncResult
function Pool:map_async(fn, xs, options)
  return start_map(self, "map_async", fn, xs, options)
end

--- `map` with items that are tables of arguments.
function Pool:starmap(fn, xs, chunksize)
  return start_map(self, "starmap", fn, xs, chunksize):get()
end

--- `map_async` with items that are tables of arguments.
function Pool:starmap_async(fn, xs, options)
  return start_map(self, "starmap_async", fn, xs, options)
end

-- What imap returns: an iterator that is also an object.
local Results = {__name = "Results"}
Results.__index = Results

function Results:__call()
  return self.take()
end

--- The next index and its results; nothing at the end.  Raises a TimeoutError
-- when they are not ready in time; one may ask again.
-- @number[opt] timeout
function Results:next(timeout)
  return self.take(timeout)
end

local function lazy(self, call, fn, xs, chunksize, unordered)
  arguments.callable(1, call, "fn", fn)
  check_count(3, call, "chunksize", chunksize)
  check_open(self)
  local options = {chunksize = chunksize or 1, unordered = unordered}
  local take, _, _, closing = self.executor:map(fn, xs, options)
  return setmetatable({take = take}, Results), nil, nil, closing
end

--- Iterate over index and results in the order of the input, as they come.
-- @func fn
-- @param xs a sequence, or an iterator function
-- @int[opt=1] chunksize
-- @usage for i, r in pool:imap(work, items) do print(i, r) end
function Pool:imap(fn, xs, chunksize)
  return lazy(self, "imap", fn, xs, chunksize, false)
end

--- The same in the order in which they are done.
function Pool:imap_unordered(fn, xs, chunksize)
  return lazy(self, "imap_unordered", fn, xs, chunksize, true)
end

--- Take no more work; the workers end when they have done what there is.
function Pool:close()
  self.closed = true
  self.executor:shutdown {wait = false}
end

--- Drop what has not been done; processes are ended, threads after their task.
function Pool:terminate()
  self.closed = true
  self.executor:shutdown {wait = false, cancel_futures = true}
  if self.executor.terminate_workers then self.executor:terminate_workers() end
end

--- Wait until the workers have ended, after `close` or `terminate`.
-- @return true
function Pool:join()
  if not self.closed then core.raise("the pool is still running") end
  self.executor:shutdown()
  return true
end

--- Leaving the scope of a `<close>` variable: close and join; terminate and
-- join by Ctrl-C.
function Pool:__close(err)
  self.closed = true
  getmetatable(self.executor).__close(self.executor, err)
end

for _, class in ipairs {AsyncResult, Results, Pool} do arguments.seal_methods(class, class) end

-- Making -------------------------------------------------------------------

local names = {"processes", "initializer", "initargs", "maxtasksperchild"}
local known = {}
for _, name in ipairs(names) do known[name] = true end

-- All arguments by name.
local function open_options(call, ...)
  local first = ...
  if type(first) == "table" and select("#", ...) == 1 then
    return arguments.known(1, call, first, known)
  end
  arguments.no_more(#names + 1, call, select(#names + 1, ...))
  local options = {}
  for i, name in ipairs(names) do options[name] = (select(i, ...)) end
  return options
end

local function maker(call, make)
  return function(...)
    local o = open_options(call, ...)
    check_count(1, call, "processes", o.processes)
    check_count(1, call, "maxtasksperchild", o.maxtasksperchild)
    local executor = make(o)
    return setmetatable({executor = executor, processes = executor:max_workers()}, Pool)
  end
end

--- A constructor of pools of processes that start as those of `context` do.
function pool.process_pool(context)
  return maker("Pool", function(o)
    return core.ProcessPoolExecutor {
      max_workers = o.processes,
      initializer = o.initializer,
      initargs = o.initargs,
      max_tasks_per_child = o.maxtasksperchild,
      mp_context = context,
    }
  end)
end

--- A pool over an executor that there is.
function pool.over(executor, processes)
  return setmetatable({executor = executor, processes = processes}, Pool)
end

--- A pool of threads with the same interface.
pool.ThreadPool = maker("ThreadPool", function(o)
  return core.ThreadPoolExecutor {
    max_workers = o.processes,
    initializer = o.initializer,
    initargs = o.initargs,
    max_tasks_per_worker = o.maxtasksperchild,
  }
end)

return pool
