---@meta conc

---True parallel threads, queues and futures.
---@class conc
---@field version string
---@field threading conc.threading
---@field queue conc.queue
---@field multiprocessing conc.multiprocessing
---@field futures conc.futures
local conc = {}

---Wait no shorter than that.
---@param seconds number
function conc.sleep(seconds) end

---Seconds of a clock that never jumps; its zero is arbitrary.
---@return number
---@nodiscard
function conc.time() end

---Processors that this process may use, at least 1.
---@return integer
---@nodiscard
function conc.cpu_count() end

---A queue (its next item is taken), a future or thread (its end), an event (set),
---a semaphore or lock (acquired), a number (a timer, seconds), or {queue, put = item}.
---@alias conc.Case
---| conc.Queue
---| conc.SimpleQueue
---| conc.Future
---| conc.Thread
---| conc.Event
---| conc.Semaphore
---| conc.Lock
---| conc.RLock
---| number
---| conc.PutCase

---@class conc.PutCase
---@field [1] conc.Queue|conc.SimpleQueue
---@field put any the item, not nil
---@field priority? number|string in a PriorityQueue; else the item is its own

---@class conc.Cases
---@field [integer] conc.Case
---@field timeout? number seconds; nil: for ever, 0: do not wait

---Wait for the first of several things: the number of the case that was taken
---and what it gave (of a closed queue nil, "closed"); or nil, "timeout".
---@param cases conc.Cases
---@return integer? case
---@return any given
---@return any more
---@return any priority
function conc.select(cases) end
---Have fn(...) called by a worker of the executor that all threads share.
---@param fn function
---@param ... any
---@return conc.Future
function conc.submit(fn, ...) end

---ThreadPoolExecutor:map on that executor.
---@param fn function
---@param xs any[]|fun(): any
---@param options? conc.ThreadPoolExecutor.Map
---@return fun(): integer?, any ...
function conc.map(fn, xs, options) end

---Is the running task asked to stop?
---@return boolean
---@nodiscard
function conc.cancelled() end

---Call fn(...); its waits are not cut short by a cancellation.
---@param fn function
---@param ... any
---@return any ...
function conc.shield(fn, ...) end

---What every thread is at: what it waits for, and where in the code.
---@return string
---@nodiscard
function conc.dump() end

---Shall waits raise a DeadlockError when all threads wait for each other?
---@param on? boolean default true
---@param patience? number seconds; 2 at first
---@return boolean was
function conc.detect_deadlocks(on, patience) end

---May v cross between threads?
---@param v any
---@return boolean sendable
---@return string? reason
---@nodiscard
function conc.sendable(v) end

---Let a metatable travel by name; both sides have to call this.
---@param name string
---@param metatable table
function conc.register(name, metatable) end

---@alias conc.Error.Class
---| "TimeoutError"
---| "CancelledError"
---| "BrokenThreadPool"
---| "TaskGroupError"
---| "InvalidStateError"
---| "BrokenPromise"
---| "QueueFull"
---| "DeadlockError"
---| "BrokenBarrierError"
---| "SystemExit"

---@class conc.Error
---@field class conc.Error.Class|string
---@field message string
---@field traceback? string
---@field cause? any the error value behind it
---@field code? integer of a SystemExit
---@field errors? any[] of a TaskGroupError
conc.Error = {}

---Is it a conc.Error, of that class if one is given?
---@param value any
---@param class? string
---@return boolean
---@nodiscard
function conc.Error.is(value, class) end

---@param class string
---@param message string
---@param cause? any
---@return conc.Error
---@nodiscard
function conc.Error.new(class, message, cause) end

return conc
