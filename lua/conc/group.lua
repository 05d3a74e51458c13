--- Task groups: tasks that stand and fall together.
--
-- @module conc.group

local core = require "conc.core"

local TaskGroup = {}
TaskGroup.__index = TaskGroup
TaskGroup.__name = "TaskGroup"

local policies = {all = true, first = true, collect = true}
local names = {executor = true, policy = true, timeout = true}

-- Blames the caller of the public function 'call'; 'level' is that of a helper
-- of it.
local function bad(call, n, text, level)
  error(("bad argument #%d to '%s' (%s)"):format(n, call, text), (level or 3) + 1)
end

local function check_timeout(call, n, timeout, level)
  if timeout == nil then return end
  if type(timeout) ~= "number" then
    bad(call, n, "timeout: number of seconds expected, got " .. type(timeout), level)
  elseif timeout ~= timeout or timeout < 0 then
    bad(call, n, "timeout: must not be negative or NaN", level)
  end
end

local function check_options(n, options)
  if options == nil then return {} end
  if type(options) ~= "table" then
    bad("TaskGroup", n, "options: table expected, got " .. type(options))
  end
  for name in next, options do
    if not names[name] then bad("TaskGroup", n, ("unknown option '%s'"):format(tostring(name))) end
  end
  if options.policy ~= nil and not policies[options.policy] then
    bad("TaskGroup", n, ("policy: 'all', 'first' or 'collect' expected, got '%s'")
      :format(tostring(options.policy)))
  end
  check_timeout("TaskGroup", n, options.timeout, 4)
  return options
end

-- What every method checks: itself, and that none comes behind its 'n' arguments.
local function check(call, self, n, ...)
  if getmetatable(self) ~= TaskGroup then
    bad(call, 1, "TaskGroup expected, got " .. type(self))
  elseif select("#", ...) > 0 then
    bad(call, n + 1, "surplus argument")
  end
end

local function check_fn(call, n, fn)
  if type(fn) == "function" then return end
  local mt = getmetatable(fn)
  if type(mt) ~= "table" or not mt.__call then
    bad(call, n, "fn: function expected, got " .. type(fn))
  end
end

local function check_open(self)
  if self.left then error("cannot submit to a TaskGroup after its scope", 3) end
end

-- Something that takes tasks; a table without methods holds options.
local function is_executor(v)
  return type(v) == "userdata" or type(v) == "table" and type(v.submit) == "function"
end

-- The error of tasks that failed, the first of them at errors[1].
local function group_error(errors, tasks)
  local first = errors[1]
  local message = ("%d of %d tasks failed"):format(#errors, tasks)
  local err = core.Error.new("TaskGroupError", message, first)
  err.errors = errors
  return err
end

--- A group of tasks of an executor.  Leaving the scope of a `<close>` variable
-- that holds it waits for all of them.
--
-- Policies: with "all", the first task that fails cancels the others, also
-- those that run; with "first", the first one that finishes does; with
-- "collect" none does.  An error in the scope's own body cancels the group.
-- @param[opt] executor that gets the tasks; the default is the shared one of
-- `conc.submit`
-- @tparam[opt] table options `policy` ("all") and `timeout` (seconds from now,
-- after which everything is cancelled)
-- @treturn TaskGroup its field `errors` is, when all is done, the sequence of
-- the errors in the order in which they happened
-- @usage do
--   local g <close> = TaskGroup(ex)
--   for _, url in ipairs(urls) do g:submit(fetch, url) end
-- end -- all are done; raises a TaskGroupError if one failed
local function new(executor, options, ...)
  if select("#", ...) > 0 then bad("TaskGroup", 3, "surplus argument", 2) end
  if executor ~= nil and not is_executor(executor) then
    if type(executor) ~= "table" or options ~= nil then
      bad("TaskGroup", 1, "executor expected, got " .. type(executor), 2)
    end
    options = check_options(1, executor)
    executor = options.executor
    if executor ~= nil and not is_executor(executor) then
      bad("TaskGroup", 1, "executor: executor expected, got " .. type(executor), 2)
    end
  else
    options = check_options(2, options)
  end
  local policy = options.policy or "all"
  return setmetatable({
    executor = executor or core.shared_executor(),
    policy = policy,
    members = core.group(policy, options.timeout),
    tasks = 0,
    errors = {},
  }, TaskGroup)
end

--- Submit a task: `g:submit(fn, ...)`.
-- @treturn Future of the task; cancelled at once if the group was
-- @raise when the scope of the group was left
function TaskGroup:submit(fn, ...)
  check("submit", self)
  check_fn("submit", 1, fn)
  check_open(self)
  local future = self.executor:submit(fn, ...)
  self.members:add(future)
  self.tasks = self.tasks + 1
  return future
end

--- The same with options, as `ex:submit_with`.
function TaskGroup:submit_with(options, fn, ...)
  check("submit_with", self)
  check_fn("submit_with", 2, fn)
  check_open(self)
  local future = self.executor:submit_with(options, fn, ...)
  self.members:add(future)
  self.tasks = self.tasks + 1
  return future
end

--- Cancel all tasks, also those that run and those that are submitted later.
function TaskGroup:cancel(...)
  check("cancel", self, 0, ...)
  self.members:cancel()
end

-- All are done: note the errors; was there a success?
local function settle(self)
  local errors, success = {}, false
  for _, member in ipairs(self.members:ended()) do
    if member[2] == "failed" then errors[#errors + 1] = member[3] end
    success = success or member[2] == "finished"
  end
  self.errors = errors
  return success
end

local function raise(self)
  local success = settle(self)
  local policy, errors = self.policy, self.errors
  if policy == "collect" then return end
  if policy == "first" and (success or self.tasks == 0) then return end
  if self.members:late() and (policy == "first" or #errors == 0) then
    local err = core.Error.new("TimeoutError", "the task group's time is over")
    err.errors = errors
    error(err, 0)
  end
  if #errors > 0 then error(group_error(errors, self.tasks), 0) end
end

--- Wait until all tasks are done, and raise what leaving the scope raises.
-- @number[opt] timeout seconds; the default is for ever
-- @treturn boolean true; or false and "timeout": nothing was cancelled
-- @raise a `conc.Error` of class TaskGroupError with all `errors`; of class
-- TimeoutError when the group's own time was over
function TaskGroup:wait(timeout, ...)
  check("wait", self, 1, ...)
  check_timeout("wait", 1, timeout)
  local done, word = self.members:wait(timeout)
  if not done then return done, word end
  raise(self)
  return true
end

-- Wait even when this task is cancelled meanwhile: first the tasks, then the
-- news.
local function wait_all(self)
  local ok, err = pcall(self.members.wait, self.members)
  if ok then return end
  self.members:cancel()
  core.shield(self.members.wait, self.members)
  settle(self)
  error(err, 0)
end

function TaskGroup:__close(err)
  check("__close", self)
  self.left = true
  if err ~= nil then self.members:cancel() end
  wait_all(self)
  if err == nil then raise(self) else settle(self) end
end

-- Only its own thread adds to it.
function TaskGroup.__conc_pack()
  error("a TaskGroup cannot leave its thread", 0)
end

return {TaskGroup = new, error = group_error}
