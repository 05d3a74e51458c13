--- The processes of a ProcessPoolExecutor: how one is made, and what it runs.

local core = require "conc.core"
require "conc.launch" -- for Process.start

local process_worker = {}

--- In the worker process.
function process_worker.work(lane)
  core.child.work(lane)
end

--- In the executor: a process that is not started yet.
function process_worker.process(method, name, lane)
  return core.process_maker(method) {
    target = process_worker.work,
    args = {lane},
    name = name,
    keep_stderr = true,
    daemon = false,
  }
end

return process_worker
