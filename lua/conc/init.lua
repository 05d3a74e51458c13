--- conc: truly parallel threads, queues and futures for Lua 5.4.
--
-- @module conc

local core = require "conc.core"

local conc = {
  version = core.version,
  Error = core.Error,
  sleep = core.sleep,
  time = core.time,
  cpu_count = core.cpu_count,
  sendable = core.sendable,
  select = core.select,
  dump = core.dump,
  detect_deadlocks = core.detect_deadlocks,
  register = core.register,
  cancelled = core.cancelled,
  shield = core.shield,
  threading = require "conc.threading",
  queue = require "conc.queue",
  futures = require "conc.futures",
  multiprocessing = require "conc.multiprocessing",
}

--- Submit a task to the executor that all threads of the program share; it is
-- made when it is first used, with as many workers as there are processors.
-- @func fn called in a worker
-- @param ... its arguments
-- @treturn Future
-- @usage local answer = conc.submit(ask, url):result()
function conc.submit(fn, ...)
  return core.shared_executor():submit(fn, ...)
end

--- `ex:map` on the executor of `conc.submit`.
-- @func fn called for each item
-- @param xs a sequence or an iterator function
-- @tparam[opt] table options as for `ex:map`
-- @treturn function an iterator over index and results
function conc.map(fn, xs, options, ...)
  return core.shared_executor():map(fn, xs, options, ...)
end

return conc
