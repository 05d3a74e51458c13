---@meta conc.futures

---Futures and executors.
---@class conc.futures
local futures = {}

---@class conc.ThreadPoolExecutor
local ThreadPoolExecutor = {}

---@class conc.ThreadPoolExecutor.Options
---@field max_workers? integer threads at most (conc.cpu_count())
---@field thread_name_prefix? string
---@field initializer? function called first by each worker
---@field initargs? table its arguments

---@class conc.ThreadPoolExecutor.Map
---@field chunksize? integer items that travel together
---@field timeout? number seconds from the call
---@field buffersize? integer items on their way at most

---@class conc.ThreadPoolExecutor.Shutdown
---@field wait? boolean until the workers are gone (true)
---@field cancel_futures? boolean what was not started is not done (false)

---@param max_workers? integer|conc.ThreadPoolExecutor.Options
---@param thread_name_prefix? string
---@param initializer? function
---@param initargs? table
---@return conc.ThreadPoolExecutor
---@nodiscard
function futures.ThreadPoolExecutor(max_workers, thread_name_prefix, initializer, initargs) end

---Have fn(...) called by a worker.
---@param fn function
---@param ... any
---@return conc.Future
function ThreadPoolExecutor:submit(fn, ...) end

---Iterate over index and results of fn(x), in the order of the input.
---@param fn function
---@param xs any[]|fun(): any a sequence, or an iterator function
---@param options? conc.ThreadPoolExecutor.Map
---@return fun(): integer?, any ...
function ThreadPoolExecutor:map(fn, xs, options) end

---The same, where each item is a table of arguments.
---@param fn function
---@param xs table[]|fun(): table?
---@param options? conc.ThreadPoolExecutor.Map
---@return fun(): integer?, any ...
function ThreadPoolExecutor:starmap(fn, xs, options) end

---Take no more work.
---@param options? conc.ThreadPoolExecutor.Shutdown
function ThreadPoolExecutor:shutdown(options) end

---@return integer
---@nodiscard
function ThreadPoolExecutor:max_workers() end

---@class conc.Future
local Future = {}

---What the task returned; raises its error value, a TimeoutError or a CancelledError.
---@param timeout? number seconds; nil: for ever
---@return any ...
function Future:result(timeout) end

---The task's error value; nil: there was none.
---@param timeout? number seconds; nil: for ever
---@return any error_value
---@return "timeout"? why
function Future:exception(timeout) end

---Where the task's error was raised.
---@param timeout? number seconds; nil: for ever
---@return string? traceback
---@return "timeout"? why
function Future:traceback(timeout) end

---@return boolean cancelled it will not run
function Future:cancel() end

---@return boolean
---@nodiscard
function Future:cancelled() end

---@return boolean
---@nodiscard
function Future:running() end

---@return boolean
---@nodiscard
function Future:done() end

---Iterate over futures, each when it is done.
---@param fs conc.Future[]|table<conc.Future, any>
---@param timeout? number seconds from this call; nil: for ever
---@return fun(): conc.Future?
---@nodiscard
function futures.as_completed(fs, timeout) end

---@alias conc.return_when "ALL_COMPLETED"|"FIRST_COMPLETED"|"FIRST_EXCEPTION"

---@class conc.wait.Options
---@field fs conc.Future[]|table<conc.Future, any>
---@field timeout? number
---@field return_when? conc.return_when

---@param fs conc.Future[]|table<conc.Future, any>|conc.wait.Options
---@param timeout? number seconds; nil: for ever
---@param return_when? conc.return_when "ALL_COMPLETED" by default
---@return conc.Future[] done
---@return conc.Future[] not_done
function futures.wait(fs, timeout, return_when) end

return futures
