--- Queues between threads, as in Python's `queue`.
--
-- @module conc.queue

local core = require "conc.core"

return {
  Queue = core.Queue,
  LifoQueue = core.LifoQueue,
  PriorityQueue = core.PriorityQueue,
  SimpleQueue = core.SimpleQueue,
}
