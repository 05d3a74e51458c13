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
---@field max_tasks_per_worker? integer then a new worker takes its place
---@field idle_timeout? number seconds without work, after which a worker ends
---@field max_pending? integer tasks that wait to be started at most
---@field overflow? "block"|"error"|"caller" what submit does then ("block")

---@class conc.ThreadPoolExecutor.Map
---@field chunksize? integer items that travel together
---@field timeout? number seconds from the call
---@field buffersize? integer items on their way at most
---@field unordered? boolean results as they come
---@field progress? boolean|fun(done: integer, total: integer?)

---@class conc.ThreadPoolExecutor.Task
---@field timeout? number seconds from the start of the task
---@field retries? integer times to do it again when its worker died
---@field name? string

---@class conc.ThreadPoolExecutor.Worker
---@field name string
---@field tasks integer
---@field running integer
---@field startup number seconds
---@field wait number seconds
---@field work number seconds

---@class conc.ThreadPoolExecutor.Stats
---@field queued integer
---@field running integer
---@field done integer
---@field failed integer
---@field cancelled integer
---@field workers conc.ThreadPoolExecutor.Worker[]
---@field slowest {name: string, seconds: number}[]

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

---The same with options.
---@param options conc.ThreadPoolExecutor.Task
---@param fn function
---@param ... any
---@return conc.Future
function ThreadPoolExecutor:submit_with(options, fn, ...) end

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

---@return conc.ThreadPoolExecutor.Stats
---@nodiscard
function ThreadPoolExecutor:stats() end

---@class conc.ProcessPoolExecutor: conc.ThreadPoolExecutor
local ProcessPoolExecutor = {}

---@class conc.ProcessPoolExecutor.Options
---@field max_workers? integer processes at most (conc.cpu_count())
---@field mp_context? table what multiprocessing.get_context gave: how they start
---@field initializer? function called first in each process
---@field initargs? table its arguments
---@field max_tasks_per_child? integer then a new process takes its place
---@field on_death? "fail"|"break" what a death does to the others ("fail")
---@field idle_timeout? number seconds without work, after which a process ends
---@field max_pending? integer tasks that wait to be started at most
---@field overflow? "block"|"error"|"caller" what submit does then ("block")

---The error of a task whose process died.
---@class conc.WorkerDied: conc.Error
---@field pid integer
---@field exitcode integer code, or -signal
---@field signal? string name
---@field stderr string the end of what it wrote there

---@param max_workers? integer|conc.ProcessPoolExecutor.Options
---@param mp_context? table
---@param initializer? function
---@param initargs? table
---@return conc.ProcessPoolExecutor
---@nodiscard
function futures.ProcessPoolExecutor(max_workers, mp_context, initializer, initargs) end

---End all processes (SIGTERM); what is not done fails with a BrokenProcessPool.
function ProcessPoolExecutor:terminate_workers() end

---The same by SIGKILL.
function ProcessPoolExecutor:kill_workers() end

---@class conc.Future
local Future = {}
futures.Future = Future

futures.ALL_COMPLETED = "ALL_COMPLETED"
futures.FIRST_COMPLETED = "FIRST_COMPLETED"
futures.FIRST_EXCEPTION = "FIRST_EXCEPTION"

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

---@param options? {running: boolean} also ask one that runs to stop
---@return boolean cancelled it will not run, or is asked
function Future:cancel(options) end

---Call fn(future) once, in this state, when it is done.
---@param fn fun(future: conc.Future)
---@return conc.Future self
function Future:add_done_callback(fn) end

---A future of what fn returns, called with this one's results.
---@param fn function
---@return conc.Future
function Future:next(fn) end

---A future of this one's results, or of what fn returns, called with its error.
---@param fn fun(err: any): any ...
---@return conc.Future
function Future:catch(fn) end

---A future that ends as this one, or fails with a TimeoutError.
---@param seconds number
---@return conc.Future
function Future:timeout(seconds) end

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

---A future of the first results of all; fails as soon as one fails.
---@param fs conc.Future[]
---@return conc.Future
function futures.all(fs) end

---A future of the results of the first that finishes without an error.
---@param fs conc.Future[]
---@return conc.Future
function futures.any(fs) end

---@class conc.Promise
local Promise = {}

---@return conc.Promise
---@nodiscard
function futures.Promise() end

---@return conc.Future
---@nodiscard
function Promise:future() end

---@return boolean running false: it was cancelled
function Promise:set_running_or_notify_cancel() end

---@param ... any
function Promise:set_result(...) end

---@param err any
function Promise:set_exception(err) end

---@class conc.TaskGroup
---@field errors any[] when all is done
local TaskGroup = {}

---@class conc.TaskGroup.Options
---@field executor? conc.ThreadPoolExecutor
---@field policy? "all"|"first"|"collect"
---@field timeout? number seconds from now

---@param executor? conc.ThreadPoolExecutor|conc.TaskGroup.Options
---@param options? conc.TaskGroup.Options
---@return conc.TaskGroup
---@nodiscard
function futures.TaskGroup(executor, options) end

---@param fn function
---@param ... any
---@return conc.Future
function TaskGroup:submit(fn, ...) end

---@param options conc.ThreadPoolExecutor.Task
---@param fn function
---@param ... any
---@return conc.Future
function TaskGroup:submit_with(options, fn, ...) end

function TaskGroup:cancel() end

---@param timeout? number seconds; nil: for ever
---@return boolean done
---@return "timeout"? why
function TaskGroup:wait(timeout) end

return futures
