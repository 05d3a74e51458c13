--- Task groups: tasks that stand and fall together.
--
-- @module conc.group

local arguments = require "conc.arguments"
local core = require "conc.core"

local TaskGroup = {}
TaskGroup.__index = TaskGroup
TaskGroup.__name = "TaskGroup"

local policies = {all = true, first = true, collect = true}
local names = {executor = true, policy = true, timeout = true}

local function check_options(n, options)
  if options == nil then return {} end
  arguments.type(n, "TaskGroup", "options", "table", options)
  arguments.known(n, "TaskGroup", options, names)
  if options.policy ~= nil and not policies[options.policy] then
    arguments.bad(n, "TaskGroup", ("policy: 'all', 'first' or 'collect' expected, got '%s'")
      :format(tostring(options.policy)))
  end
  arguments.timeout(n, "TaskGroup", "timeout", options.timeout)
  return options
end

local function check_open(self, call)
  arguments.self(call, TaskGroup, self)
  if self.left then core.raise("cannot submit to a TaskGroup after its scope") end
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
  arguments.no_more(3, "TaskGroup", ...)
  if executor ~= nil and not is_executor(executor) then
    if type(executor) ~= "table" or options ~= nil then
      arguments.bad(1, "TaskGroup", "executor expected, got " .. arguments.kind(executor))
    end
    options = check_options(1, executor)
    executor = options.executor
    if executor ~= nil and not is_executor(executor) then
      arguments.expected(1, "TaskGroup", "executor", "executor", executor)
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

local function add(self, future)
  self.members:add(future)
  self.tasks = self.tasks + 1
  return future
end

--- Submit a task: `g:submit(fn, ...)`.
-- @treturn Future of the task; cancelled at once if the group was
-- @raise when the scope of the group was left
function TaskGroup:submit(fn, ...)
  check_open(self, "submit")
  return add(self, self.executor:submit(fn, ...))
end

--- The same with options, as `ex:submit_with`.
function TaskGroup:submit_with(options, fn, ...)
  check_open(self, "submit_with")
  return add(self, self.executor:submit_with(options, fn, ...))
end

--- Cancel all tasks, also those that run and those that are submitted later.
function TaskGroup:cancel(...)
  arguments.self("cancel", TaskGroup, self)
  arguments.no_more(1, "cancel", ...)
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
  arguments.self("wait", TaskGroup, self)
  arguments.no_more(2, "wait", ...)
  arguments.timeout(1, "wait", "timeout", timeout)
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
  arguments.self("__close", TaskGroup, self)
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
