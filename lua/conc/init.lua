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
  register = core.register,
  threading = require "conc.threading",
  queue = require "conc.queue",
  futures = require "conc.futures",
  multiprocessing = require "conc.multiprocessing",
}

return conc
