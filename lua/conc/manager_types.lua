--- What a manager's server has by itself: how an object of a type is made, and
-- what clients may do with it.
--
-- A method is `true`, the object's own; `{f}`, called as f(object, ...); or a
-- function, called as f(session, entry, ...), of those that wait or know of the
-- client.

local List = require "conc.manager_list"
local core = require "conc.core"
local registry = require "conc.manager_registry"

local Dict = core.dict

local types = {make = {}, methods = {}}

local make, methods = types.make, types.methods

local function own(...)
  local set = {}
  for _, name in ipairs {...} do set[name] = true end
  return set
end

local function wrong(call, name, expected, value)
  error(("bad argument #1 to '%s' (%s: %s expected, got %s)")
    :format(call, name, expected, type(value)), 0)
end

-- Tables ------------------------------------------------------------------------

function make.dict(_, t)
  return core.Dict(t)
end

make.Namespace = make.dict

methods.dict = {_getvalue = {Dict.snapshot}}
for name, f in pairs(Dict) do methods.dict[name] = {f} end
methods.Namespace = methods.dict

local function values_of(call, values)
  if values ~= nil and type(values) ~= "table" then wrong(call, "values", "sequence", values) end
  return values or {}
end

function make.set(_, values)
  local set = core.Dict()
  for _, v in ipairs(values_of("set", values)) do set[v] = true end
  return set
end

local function members(set)
  return Dict.keys(set)
end

methods.set = {
  add = {function(set, v) return Dict.cas(set, v, nil, true) end},
  discard = {function(set, v) return Dict.pop(set, v) or false end},
  contains = {function(set, v) return Dict.get(set, v) or false end},
  pop = {function(set)
    for _, v in ipairs(Dict.keys(set)) do
      if Dict.pop(set, v) then return v end
    end
  end},
  update = {function(set, values)
    for _, v in ipairs(values_of("update", values)) do set[v] = true end
  end},
  len = {Dict.len},
  clear = {Dict.clear},
  values = {members},
  _getvalue = {members},
}

-- Lists -------------------------------------------------------------------------

function make.list(_, values)
  return List.new(values)
end

methods.list = List.methods

-- Cells -------------------------------------------------------------------------

function make.Value(_, ...)
  return core.Value(...)
end

function make.Array(_, ...)
  return core.Array(...)
end

methods.Value = own("get", "set", "add", "update", "cas", "typecode")
methods.Value._getvalue = {function(v) return v.value end}
methods.Array = own("set", "add", "update", "cas", "slice", "set_slice", "fill", "tobytes",
  "frombytes", "typecode")
methods.Array.get = {function(a, i) return a[i] end}
methods.Array.len = {function(a) return #a end}
methods.Array._getvalue = {function(a) return a:slice() end}

-- Queues ------------------------------------------------------------------------

function make.Queue(_, ...)
  return core.Queue(...)
end

make.JoinableQueue = make.Queue
methods.Queue = own("full", "maxsize", "task_done", "is_shutdown")

--- For items of a queue that were given to a call that was cut off: they come
-- before all others, and are no new tasks.
function types.back(class)
  return methods[class] == methods.Queue and core.SimpleQueue() or nil
end

-- Without waiting; most often there is one.
local function get_now(entry)
  local item, why = entry.back:get(0)
  if why == nil then return item end
  return entry.object:get(0)
end

function methods.Queue.get(session, entry, timeout)
  local item, why = get_now(entry)
  if why == "timeout" and timeout ~= 0 then
    item, why = session:await(entry.object, timeout, entry.back)
    if why == "timeout" then item = nil end
  end
  if why ~= nil then return item, why end
  session:keep(entry, item)
  return item
end

function methods.Queue.qsize(_, entry)
  return entry.object:qsize() + entry.back:qsize()
end

function methods.Queue.empty(_, entry)
  return entry.object:empty() and entry.back:empty()
end

function methods.Queue.shutdown(_, entry, options)
  entry.object:shutdown(options)
  while type(options) == "table" and options.immediate do
    local _, why = entry.back:get(0)
    if why ~= nil then return end
    entry.object:task_done()
  end
end

-- Most often there is room; and select cannot put nil.
function methods.Queue.put(session, entry, item, timeout)
  local q = entry.object
  local ok, why = q:put(item, 0)
  if ok then return true end
  if why ~= "timeout" or timeout == 0 then return nil, why end
  if item == nil then
    return session:run(function(queue, t) return queue:put(nil, t) end, q, timeout)
  end
  ok, why = session:await({q, put = item}, timeout)
  if ok then return true end
  return nil, why
end

function methods.Queue.join(session, entry, timeout)
  return session:run(function(q, t) return q:join(t) end, entry.object, timeout)
end

methods.JoinableQueue = methods.Queue

-- Locks -------------------------------------------------------------------------

function make.Lock() return core.Lock() end
function make.RLock() return core.RLock() end

-- Was it left by another client?
local function was_left(session, id)
  local left = session.shared.left
  return left[id] and Dict.pop(left, id) and "abandoned" or nil
end

-- This client has it now.
local function taken(session, id)
  session.held[id] = (session.held[id] or 0) + 1
  session.shared.owners[id] = session.name
  return true, was_left(session, id)
end

local function acquire(session, id, lock, timeout)
  local got, why = lock:acquire(0)
  if not got and timeout ~= 0 then got, why = session:await(lock, timeout) end
  if not got then return false, why end
  return taken(session, id)
end

local function release(session, id, lock)
  local shared = session.shared
  local mine = shared.owners[id] == session.name
  local levels = mine and session.held[id] or 0
  if levels <= 1 then shared.owners[id] = nil end
  local ok, err = pcall(lock.release, lock)
  if not ok then
    if mine and levels <= 1 then shared.owners[id] = session.name end
    error(err, 0)
  end
  session.held[id] = levels > 1 and levels - 1 or nil
end

methods.Lock = {
  locked = true,
  acquire = function(session, entry, timeout)
    return acquire(session, entry.id, entry.object, timeout)
  end,
  release = function(session, entry)
    release(session, entry.id, entry.object)
  end,
}
methods.RLock = methods.Lock

function make.Semaphore(_, ...) return core.Semaphore(...) end
function make.BoundedSemaphore(_, ...) return core.BoundedSemaphore(...) end

methods.Semaphore = own("value")
methods.BoundedSemaphore = methods.Semaphore

-- What a client has taken and not given is given back at its end, unless somebody
-- gives what he has not taken: then the permits are signals, and nobody's.
function methods.Semaphore.acquire(session, entry, timeout)
  local got, why = session:await(entry.object, timeout)
  if not got then return false, why end
  session.permits[entry.id] = (session.permits[entry.id] or 0) + 1
  return true, was_left(session, entry.id)
end

function methods.Semaphore.release(session, entry, ...)
  entry.object:release(...)
  local left = (session.permits[entry.id] or 0) - (... or 1)
  if left < 0 then session.shared.loose[entry.id] = true end
  session.permits[entry.id] = left > 0 and left or nil
end

-- Events, conditions, barriers --------------------------------------------------

function make.Event() return core.Event() end

methods.Event = own("is_set", "set", "clear")

function methods.Event.wait(session, entry, timeout)
  return session:await(entry.object, timeout)
end

-- A condition: its lock, and who waits, by numbers that grow.  Who takes a waiter
-- out has notified it, or is that waiter and has given up.
function make.Condition(session, lock)
  local entry = lock and session:referent(lock)
  if lock ~= nil and not (entry and (entry.class == "Lock" or entry.class == "RLock")) then
    wrong("Condition", "lock", "Lock or RLock of this manager", lock)
  end
  return {
    lock = entry and entry.object or core.RLock(),
    id = entry and entry.id,
    lease = lock,
    waiters = core.Dict(),
    turns = core.Value("q"),
  }
end

local function lock_of(entry)
  return entry.object.id or entry.id, entry.object.lock
end

local function check_held(session, entry, call)
  local id = lock_of(entry)
  if session.shared.owners[id] ~= session.name then
    error(("cannot %s: the caller does not hold the lock"):format(call), 0)
  end
  return id
end

local function notify(condition, n)
  local turns = Dict.keys(condition.waiters)
  table.sort(turns)
  for _, turn in ipairs(turns) do
    if n < 1 then return end
    local event = Dict.pop(condition.waiters, turn)
    if event then
      event:set()
      n = n - 1
    end
  end
end

local condition = {}
methods.Condition = condition

function condition.acquire(session, entry, timeout)
  local id, lock = lock_of(entry)
  return acquire(session, id, lock, timeout)
end

function condition.release(session, entry)
  release(session, lock_of(entry))
end

function condition.locked(_, entry)
  return entry.object.lock:locked()
end

function condition.wait(session, entry, timeout)
  local c, id = entry.object, check_held(session, entry, "wait")
  local levels = session.held[id]
  local event, turn = core.Event(), c.turns:add(1)
  c.waiters[turn] = event
  for _ = 1, levels do release(session, id, c.lock) end
  local ok, err = pcall(session.await, session, event, timeout)
  local notified = Dict.pop(c.waiters, turn) == nil
  if ok and notified then ok, err = pcall(session.check_there, session) end
  if not ok and notified then notify(c, 1) end -- for somebody who is still there
  if session.closed then error(err, 0) end
  for _ = 1, levels do
    c.lock:acquire()
    taken(session, id)
  end
  if not ok then error(err, 0) end
  if notified then return true end
  return false, "timeout"
end

function condition.notify(session, entry, n)
  check_held(session, entry, "notify")
  if n ~= nil and (math.type(n) ~= "integer" or n < 0) then
    wrong("notify", "n", "integer >= 0", n)
  end
  notify(entry.object, n or 1)
end

function condition.notify_all(session, entry)
  check_held(session, entry, "notify")
  notify(entry.object, math.huge)
end

function make.Barrier(_, ...) return core.Barrier(...) end

methods.Barrier = own("reset", "abort", "broken", "parties", "n_waiting")

function methods.Barrier.wait(session, entry, ...)
  return session:run(function(b, ...) return b:wait(...) end, entry.object, ...)
end

-- Pools -------------------------------------------------------------------------

function make.Pool(_, ...)
  local pool = require "conc.pool".process_pool()(...)
  return {executor = pool.executor, processes = pool.processes}
end

methods.Pool, methods.AsyncResult = {}, {}

local function pool_of(entry)
  return require "conc.pool".over(entry.object.executor, entry.object.processes)
end

local function refuse_callbacks(options)
  if type(options) == "table" and (options.callback or options.error_callback) then
    error("bad argument #3 (callbacks cannot be called in another process)", 0)
  end
end

local function after(timeout)
  return timeout and core.time() + timeout
end

-- Wait for the futures of an AsyncResult and their parts; false: not in time.
local function await(session, futures, deadline)
  for _, future in ipairs(futures) do
    local left = deadline and math.max(0, deadline - core.time())
    local parts = session:await(future, left) and require "conc.pool".parts(future)
    if not parts or not await(session, parts, deadline) then return false end
  end
  return true
end

-- The results of an AsyncResult.
local function get(session, result, timeout)
  if not await(session, result.futures, after(timeout)) then
    error(core.Error.new("TimeoutError", "the result is not ready in time"), 0)
  end
  return result.collect(result.futures)
end

for _, name in ipairs {"apply", "map", "starmap"} do
  methods.Pool[name] = function(session, entry, f, xs, options)
    local pool = pool_of(entry)
    if math.type(options) then options = {chunksize = options} end
    return get(session, pool[name .. "_async"](pool, f, xs, options))
  end
  methods.Pool[name .. "_async"] = function(session, entry, f, xs, options)
    refuse_callbacks(options)
    local pool = pool_of(entry)
    local result = pool[name .. "_async"](pool, f, xs, options)
    local id = registry.add(session.shared,
      {type = "AsyncResult", class = "AsyncResult", object = result})
    local proxy = require "conc.proxy".server_proxy(id, "AsyncResult")
    registry.release(session.shared, id) -- the proxy has its own
    return proxy
  end
end

function methods.Pool.close(_, entry)
  entry.object.executor:shutdown {wait = false}
end

function methods.Pool.terminate(_, entry)
  pool_of(entry):terminate()
end

function methods.Pool.join(session, entry)
  session:run(function(executor) executor:shutdown() end, entry.object.executor)
end

function methods.AsyncResult.get(session, entry, timeout)
  return get(session, entry.object, timeout)
end

function methods.AsyncResult.wait(session, entry, timeout)
  if await(session, entry.object.futures, after(timeout)) then return true end
  return nil, "timeout"
end

methods.AsyncResult.ready = true
methods.AsyncResult.successful = true

--- What a manager calls objects of that class of conc, or nil.
function types.class_of(name)
  if name == "Dict" then return "dict" end
  return methods[name] and make[name] and name or nil
end

return types
