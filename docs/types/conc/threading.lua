---@meta conc.threading

---Threads, and what they synchronize with.
---@class conc.threading
---@field Dict conc.Dict.Module
local threading = {}

---@class conc.Thread
local Thread = {}

---@class conc.Thread.Options
---@field target function called in the thread
---@field args? table its arguments; the field n may say how many
---@field name? string
---@field daemon? boolean the end of the program does not wait for it
---@field stack_size? integer bytes

---@param target function|conc.Thread.Options
---@param args? table
---@param name? string
---@param daemon? boolean
---@param stack_size? integer
---@return conc.Thread
---@nodiscard
function threading.Thread(target, args, name, daemon, stack_size) end

---@return conc.Thread self
function Thread:start() end

---@param timeout? number seconds; nil: for ever
---@return true? done
---@return "timeout"? why
function Thread:join(timeout) end

---@return string
---@nodiscard
function Thread:name() end

---@param name string
function Thread:set_name(name) end

---@return boolean
---@nodiscard
function Thread:daemon() end

---@param flag boolean
function Thread:set_daemon(flag) end

---@return integer? ident nil before the start
---@nodiscard
function Thread:ident() end

---@return integer? id the system's number; nil before the start
---@nodiscard
function Thread:native_id() end

---@return boolean
---@nodiscard
function Thread:is_alive() end

---@class conc.Timer: conc.Thread
local Timer = {}

---@class conc.Timer.Options
---@field interval number seconds
---@field fn function
---@field args? table

---@param interval number|conc.Timer.Options
---@param fn? function
---@param args? table
---@return conc.Timer
---@nodiscard
function threading.Timer(interval, fn, args) end

---@return conc.Timer self
function Timer:start() end

---Stop it while it waits.
function Timer:cancel() end

---Its fields are each thread's own.
---@class conc.Local
---@field [any] any

---@class conc.Local.Options
---@field init? fun(l: conc.Local, ...: any) runs in each thread before its first use there
---@field args? table

---@param init? (fun(l: conc.Local, ...: any))|conc.Local.Options
---@param args? table
---@return conc.Local
---@nodiscard
function threading.Local(init, args) end

---@class conc.Lock
local Lock = {}

---@return conc.Lock
---@nodiscard
function threading.Lock() end

---@param timeout? number seconds; nil: for ever
---@return conc.Lock|false held its __close releases it
---@return "timeout"? why
function Lock:acquire(timeout) end

function Lock:release() end

---@return boolean
---@nodiscard
function Lock:locked() end

---@class conc.RLock
local RLock = {}

---@return conc.RLock
---@nodiscard
function threading.RLock() end

---@param timeout? number seconds; nil: for ever
---@return conc.RLock|false held its __close releases it
---@return "timeout"? why
function RLock:acquire(timeout) end

function RLock:release() end

---@return boolean
---@nodiscard
function RLock:locked() end

---@class conc.Condition
local Condition = {}

---@class conc.Condition.Options
---@field lock? conc.Lock|conc.RLock

---@param lock? conc.Lock|conc.RLock|conc.Condition.Options
---@return conc.Condition
---@nodiscard
function threading.Condition(lock) end

---@param timeout? number seconds; nil: for ever
---@return conc.Condition|false held its __close releases its lock
---@return "timeout"? why
function Condition:acquire(timeout) end

function Condition:release() end

---@return boolean
---@nodiscard
function Condition:locked() end

---@param timeout? number seconds; nil: for ever
---@return boolean notified
---@return "timeout"? why
function Condition:wait(timeout) end

---@generic T
---@param predicate fun(): T
---@param timeout? number seconds; nil: for ever
---@return T last what predicate returned last
---@return "timeout"? why
function Condition:wait_for(predicate, timeout) end

---@param n? integer how many (1)
function Condition:notify(n) end

function Condition:notify_all() end

---@class conc.Semaphore
local Semaphore = {}

---@class conc.Semaphore.Options
---@field value? integer

---@param value? integer|conc.Semaphore.Options permits (1)
---@return conc.Semaphore
---@nodiscard
function threading.Semaphore(value) end

---@param timeout? number seconds; nil: for ever
---@return conc.Semaphore|false held its __close gives the permit back
---@return "timeout"? why
function Semaphore:acquire(timeout) end

---@param n? integer permits (1)
function Semaphore:release(n) end

---@return integer permits that are left
---@nodiscard
function Semaphore:value() end

---The same.
---@return integer
---@nodiscard
function Semaphore:get_value() end

---Is none left?
---@return boolean
---@nodiscard
function Semaphore:locked() end

---@class conc.BoundedSemaphore: conc.Semaphore

---@param value? integer|conc.Semaphore.Options permits (1), never more
---@return conc.BoundedSemaphore
---@nodiscard
function threading.BoundedSemaphore(value) end

---@class conc.Event
local Event = {}

---@return conc.Event
---@nodiscard
function threading.Event() end

---@return boolean
---@nodiscard
function Event:is_set() end

function Event:set() end

function Event:clear() end

---@param timeout? number seconds; nil: for ever
---@return boolean set
---@return "timeout"? why
function Event:wait(timeout) end

---@class conc.Barrier
local Barrier = {}

---@class conc.Barrier.Options
---@field parties integer
---@field action? function called by the last to come, before all go on
---@field timeout? number the default of wait

---@param parties integer|conc.Barrier.Options
---@param action? function
---@param timeout? number seconds
---@return conc.Barrier
---@nodiscard
function threading.Barrier(parties, action, timeout) end

---Raises BrokenBarrierError.
---@param timeout? number seconds; nil: the barrier's
---@return integer place 1, 2 ... in the order of arrival
function Barrier:wait(timeout) end

function Barrier:reset() end

function Barrier:abort() end

---@return integer
---@nodiscard
function Barrier:parties() end

---@return integer
---@nodiscard
function Barrier:n_waiting() end

---@return boolean
---@nodiscard
function Barrier:broken() end

---@alias conc.typecode
---| "c" | "u" | "b" | "B" | "h" | "H" | "i" | "I" | "l" | "L" | "q" | "Q" | "f" | "d"
---| "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" | "f32" | "f64"

---@alias conc.element number|string

---@class conc.Value
---@field value conc.element
local Value = {}

---@class conc.Value.Options
---@field type conc.typecode
---@field value? conc.element
---@field lock? boolean|conc.Lock|conc.RLock

---@class conc.Value.Lock
---@field lock? boolean|conc.Lock|conc.RLock

---@param type conc.typecode|conc.Value.Options
---@param value? conc.element
---@param lock? boolean|conc.Lock|conc.RLock|conc.Value.Lock
---@return conc.Value
---@nodiscard
function threading.Value(type, value, lock) end

---@return conc.element
---@nodiscard
function Value:get() end

---@param value conc.element
function Value:set(value) end

---@param n number
---@return number sum
function Value:add(n) end

---@param fn fun(value: conc.element): conc.element may be called again
---@return conc.element written
function Value:update(fn) end

---@param expected conc.element
---@param new conc.element
---@return boolean written
function Value:cas(expected, new) end

---@return conc.RLock|conc.Lock
---@nodiscard
function Value:get_lock() end

---@return conc.typecode
---@nodiscard
function Value:typecode() end

---@class conc.Array
---@field [integer] conc.element
---@operator len: integer
local Array = {}

---@class conc.Array.Options
---@field type conc.typecode
---@field size? integer
---@field values? conc.element[]|conc.Array|string
---@field lock? boolean|conc.Lock|conc.RLock

---@param type conc.typecode|conc.Array.Options
---@param values? integer|conc.element[]|conc.Array|string how many zeros, or the elements
---@param lock? boolean|conc.Lock|conc.RLock|conc.Value.Lock
---@return conc.Array
---@nodiscard
function threading.Array(type, values, lock) end

---@param i integer
---@return conc.element
---@nodiscard
function Array:get(i) end

---@param i integer
---@param value conc.element
function Array:set(i, value) end

---@param i integer
---@param n number
---@return number sum
function Array:add(i, n) end

---@param i integer
---@param fn fun(value: conc.element): conc.element may be called again
---@return conc.element written
function Array:update(i, fn) end

---@param i integer
---@param expected conc.element
---@param new conc.element
---@return boolean written
function Array:cas(i, expected, new) end

---@param i? integer as in string.sub (1)
---@param j? integer as in string.sub (-1)
---@return conc.element[]
---@nodiscard
function Array:slice(i, j) end

---@param i integer
---@param values conc.element[]|conc.Array|string
function Array:set_slice(i, values) end

---@param value conc.element
---@param i? integer as in string.sub (1)
---@param j? integer as in string.sub (-1)
function Array:fill(value, i, j) end

---@return conc.Array
---@nodiscard
function Array:copy() end

---@return string
---@nodiscard
function Array:tobytes() end

---@param bytes string
---@param i? integer where to begin (1)
function Array:frombytes(bytes, i) end

---@return conc.typecode
---@nodiscard
function Array:typecode() end

---@return conc.RLock|conc.Lock
---@nodiscard
function Array:get_lock() end

---Of type "c" only: the characters up to the first zero.
---@type string
Array.value = nil

---Of type "c" only: all characters.
---@type string
Array.raw = nil

---@alias conc.key boolean|number|string|userdata

---A table that threads share.
---@class conc.Dict
---@field [conc.key] any
---@operator len: integer

---@class conc.Dict.Module
---@overload fun(table?: table): conc.Dict
local Dict = {}

---@param d conc.Dict
---@param key conc.key
---@param default? any
---@return any
---@nodiscard
function Dict.get(d, key, default) end

---@param d conc.Dict
---@param key conc.key
---@param value any nil removes the entry
function Dict.set(d, key, value) end

---@param d conc.Dict
---@param key conc.key
---@param value any
---@return any value what is there now
function Dict.setdefault(d, key, value) end

---@param d conc.Dict
---@param key conc.key
---@param default? any
---@return any value what was there
function Dict.pop(d, key, default) end

---@param d conc.Dict
---@param key conc.key
---@param n number
---@return number sum an absent entry counts as 0
function Dict.add(d, key, n) end

---@param d conc.Dict
---@param key conc.key
---@param fn fun(value: any): any may be called again
---@return any written
function Dict.update(d, key, fn) end

---@param d conc.Dict
---@param key conc.key
---@param old any nil: there is no entry
---@param new any nil removes the entry
---@return boolean written
function Dict.cas(d, key, old, new) end

---@param d conc.Dict
---@return table
---@nodiscard
function Dict.snapshot(d) end

---@param d conc.Dict
---@return conc.key[]
---@nodiscard
function Dict.keys(d) end

---@param d conc.Dict
---@return integer
---@nodiscard
function Dict.len(d) end

---@param d conc.Dict
function Dict.clear(d) end

---The Thread that runs the caller.
---@return conc.Thread
---@nodiscard
function threading.current_thread() end

---@return conc.Thread?
---@nodiscard
function threading.main_thread() end

---All threads that are alive.
---@return conc.Thread[]
---@nodiscard
function threading.enumerate() end

---@return integer
---@nodiscard
function threading.active_count() end

---@return integer
---@nodiscard
function threading.get_ident() end

---@return integer
---@nodiscard
function threading.get_native_id() end

---@param bytes? integer 0: the system's default
---@return integer old
function threading.stack_size(bytes) end

---@class conc.excepthook.Info
---@field exc_value any
---@field traceback string
---@field thread conc.Thread

---Told of an error that leaves a thread; may be assigned.
---@param info conc.excepthook.Info
function threading.excepthook(info) end

---The original.
---@param info conc.excepthook.Info
function threading.__excepthook__(info) end

return threading
