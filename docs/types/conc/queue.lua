---@meta conc.queue

---Queues between threads.
---@class conc.queue
local queue = {}

---First in, first out.
---@class conc.Queue
local Queue = {}

---@class conc.Queue.Options
---@field maxsize? integer

---@class conc.Queue.Shutdown
---@field immediate? boolean drop the items that are there (false)

---@param maxsize? integer|conc.Queue.Options no bound when it is 0 (the default) or less
---@return conc.Queue
---@nodiscard
function queue.Queue(maxsize) end

---Put a copy of the item, waiting for room.
---@param item any
---@param timeout? number seconds; nil: for ever
---@return true? done nil: it was not put
---@return "timeout"|"closed"|nil why
function Queue:put(item, timeout) end

---Take an item, waiting for one.  nil may be an item: then 'why' is nil.
---@param timeout? number seconds; nil: for ever
---@return any item
---@return "timeout"|"closed"|nil why
function Queue:get(timeout) end

---@param item any
---@return true? done
---@return "timeout"|"closed"|nil why
function Queue:put_nowait(item) end

---@return any item
---@return "timeout"|"closed"|nil why
function Queue:get_nowait() end

---Iterate over items as they come, until the queue is closed and empty or an item is nil.
---@return fun(): any
---@nodiscard
function Queue:items() end

---@return integer
---@nodiscard
function Queue:qsize() end

---@return boolean
---@nodiscard
function Queue:empty() end

---@return boolean
---@nodiscard
function Queue:full() end

---@return integer maxsize 0: there is no bound
---@nodiscard
function Queue:maxsize() end

---An item that was gotten has been worked on.
function Queue:task_done() end

---Wait until task_done was called for every item.
---@param timeout? number seconds; nil: for ever
---@return true? done
---@return "timeout"? why
function Queue:join(timeout) end

---No more items.
---@param options? conc.Queue.Shutdown
function Queue:shutdown(options) end

---@return boolean
---@nodiscard
function Queue:is_shutdown() end

---Last in, first out.
---@class conc.LifoQueue: conc.Queue

---@param maxsize? integer|conc.Queue.Options
---@return conc.LifoQueue
---@nodiscard
function queue.LifoQueue(maxsize) end

---The lowest priority first.
---@class conc.PriorityQueue: conc.Queue
local PriorityQueue = {}

---@param maxsize? integer|conc.Queue.Options
---@return conc.PriorityQueue
---@nodiscard
function queue.PriorityQueue(maxsize) end

---@param item any
---@param timeout? number seconds; nil: for ever
---@param priority? number|string the item itself when it is a number or a string
---@return true? done
---@return "timeout"|"closed"|nil why
function PriorityQueue:put(item, timeout, priority) end

---@param timeout? number seconds; nil: for ever
---@return any item
---@return "timeout"|"closed"|nil why
---@return number|string|nil priority
function PriorityQueue:get(timeout) end

---@param item any
---@param priority? number|string
---@return true? done
---@return "timeout"|"closed"|nil why
function PriorityQueue:put_nowait(item, priority) end

---@return any item
---@return "timeout"|"closed"|nil why
---@return number|string|nil priority
function PriorityQueue:get_nowait() end

---Without bound, tasks and shutdown.
---@class conc.SimpleQueue
local SimpleQueue = {}

---@return conc.SimpleQueue
---@nodiscard
function queue.SimpleQueue() end

---@param item any
---@param timeout? number of no meaning: it never waits
---@return true
function SimpleQueue:put(item, timeout) end

---@param timeout? number seconds; nil: for ever
---@return any item
---@return "timeout"? why
function SimpleQueue:get(timeout) end

---@param item any
---@return true
function SimpleQueue:put_nowait(item) end

---@return any item
---@return "timeout"? why
function SimpleQueue:get_nowait() end

---@return fun(): any
---@nodiscard
function SimpleQueue:items() end

---@return integer
---@nodiscard
function SimpleQueue:qsize() end

---@return boolean
---@nodiscard
function SimpleQueue:empty() end

return queue
