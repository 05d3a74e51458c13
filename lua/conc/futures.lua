--- Futures and executors, as in Python's `concurrent.futures`.
--
-- @module conc.futures

local core = require "conc.core"

local futures = {
  ThreadPoolExecutor = core.ThreadPoolExecutor,
}

return futures
