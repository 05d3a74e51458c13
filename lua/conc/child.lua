--- The program of a child process.  The interpreter has been told by its parent
-- where modules are; it never runs the parent's script.

local core = require "conc.core"

local child = core.child
local exit = os.exit -- that of a pool's worker raises

local function settle(job)
  package.path, package.cpath = job.path, job.cpath
  package.config = job.config -- luacheck: ignore
  for name, loader in pairs(job.preload) do package.preload[name] = loader end
  for name, text in pairs(job.notes) do core.set_note(name, text) end
  arg = job.arg -- luacheck: ignore 121
end

-- A fork server loads what its children will want.
local function serve(channel)
  require "conc.multiprocessing"
  for name in (core.note "preload" or ""):gmatch "[^\n]+" do
    local ok, err = pcall(require, name)
    if not ok then io.stderr:write("fork server: ", err, "\n") end
  end
  channel = child.serve_forks(channel)
  return child.receive(channel), channel
end

local function report(name, err, where)
  io.stdout:flush()
  io.stderr:write(("uncaught error in process '%s': %s\n%s\n")
    :format(name, tostring(err), where))
end

local function call(target, ...)
  if target ~= nil then target(...) end
end

-- Whatever fails, from the arguments on, is the process's own error.
local function work(heap, channel)
  child.share(heap)
  local job = table.pack(child.receive(channel))
  child.bind(channel)
  call(table.unpack(job, 1, job.n))
end

local function code_of(err)
  if core.Error.is(err, "SystemExit") then return err.code or 0 end
end

return function(job, channel)
  settle(job)
  if job.mode == "server" then
    job, channel = serve(channel)
    settle(job)
  end
  child.whole_lines()
  io.stderr:setvbuf "no" -- as the standard says, and not every C library does
  child.identify(job.name, job.daemon, job.parent, job.parent_pid)
  local where
  local ok, err = xpcall(work, function(e)
    where = debug.traceback("", 2):gsub("^\n", "")
    return e
  end, job.heap, channel)
  local code = 0
  if not ok then
    code = code_of(err)
    if not code then
      code = 1
      report(job.name, err, where)
    end
  end
  -- Ends as a program does: threads and children are waited for.
  exit(code, true)
end
