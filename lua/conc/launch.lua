--- What a child process is told when it starts: `launch(name, daemon, forked)`
-- gives the program to run, its code, its job, and when it is to be forked
-- that of the fork server.

local core = require "conc.core"
local interpreter = require "conc.interpreter"

-- Loaders that are Lua functions can go; the others are this program's own.
local function preload()
  local list = {}
  for name, loader in pairs(package.preload) do
    if pcall(string.dump, loader) then list[name] = loader end
  end
  return list
end

-- The module that a child runs first, compiled: so it need not look for it, and
-- has no names of its variables to make.  False when it is not where it was.
local compiled

local function program_of_child()
  if compiled == nil then
    local path = package.searchpath("conc.child", package.path)
    local chunk = path and loadfile(path, "t")
    compiled = chunk and string.dump(chunk, true) or false
  end
  return compiled
end

local function surroundings()
  return {
    program = program_of_child(),
    path = package.path,
    cpath = package.cpath,
    config = package.config,
    preload = preload(),
    notes = {
      executable = core.note "executable",
      interpreter = core.note "interpreter",
      method = core.note "method",
      preload = core.note "preload",
      key = core.note "key",
    },
  }
end

return function(name, daemon, forked)
  local program = interpreter.find()
  local self = core.current_process()
  local server
  if forked then
    server = surroundings()
    server.mode = "server"
  end
  local job = surroundings()
  job.mode = "process"
  job.name = name
  job.daemon = daemon
  job.parent = self:name()
  job.parent_pid = self:pid()
  job.heap = core.heap_handle()
  job.arg = type(arg) == "table" and arg or nil
  return program, interpreter.code(), job, server
end
