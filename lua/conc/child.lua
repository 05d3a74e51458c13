--- The program of a child process.  The interpreter has been told by its parent
-- where modules are; it never runs the parent's script.

local exit = os.exit -- that of a pool's worker raises

-- `child`, here and below: the functions of lchild.c.  conc itself is loaded
-- when somebody wants it.
local function settle(job, child)
  package.path, package.cpath = job.path, job.cpath
  package.config = job.config -- luacheck: ignore
  for name, loader in pairs(job.preload) do package.preload[name] = loader end
  for name, text in pairs(job.notes) do child.set_note(name, text) end
  arg = job.arg -- luacheck: ignore 121
end

-- A fork server loads what its children will want.
local function serve(channel, child)
  require "conc.multiprocessing"
  local core = require "conc.core"
  for name in (core.note "preload" or ""):gmatch "[^\n]+" do
    local ok, err = pcall(require, name)
    if not ok then io.stderr:write("fork server: ", err, "\n") end
  end
  collectgarbage() -- all that is left here, each child shares
  channel = child.serve_forks(channel)
  return child.receive(channel), channel
end

-- What follows ours in a traceback is of no use to anybody.
local ours = "\n\t" .. debug.getinfo(1, "S").short_src .. ":"

local function trace()
  local text = debug.traceback("", 3):gsub("^\n", "")
  return text:sub(1, (text:find(ours, 1, true) or 0) - 1)
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
local function work(job, channel, child)
  child.share(job.heap)
  local args = table.pack(child.receive(channel))
  child.bind(channel, job.parent_pid)
  call(table.unpack(args, 1, args.n))
end

-- Without conc there is no SystemExit.
local function code_of(err)
  local core = package.loaded["conc.core"]
  if core and core.Error.is(err, "SystemExit") then return err.code or 0 end
end

return function(job, channel, child)
  settle(job, child)
  if job.mode == "server" then
    job, channel = serve(channel, child)
    settle(job, child)
  end
  child.whole_lines()
  io.stderr:setvbuf "no" -- as the standard says, and not every C library does
  child.identify(job.name, job.daemon, job.parent, job.parent_pid)
  local where
  local ok, err = xpcall(work, function(e)
    where = trace()
    return e
  end, job, channel, child)
  local code = 0
  if not ok then
    code = code_of(err)
    if not code then
      code = 1
      report(job.name, err, where)
    end
  end
  -- Ends as a program does: threads and children are waited for.
  child.keep_all()
  exit(code, true)
end
