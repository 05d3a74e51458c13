--- What all specs share: a leak check after each, a watchdog, threads that
-- report back, and failing memory.
--
-- busted loads this file before the specs (see .busted), and a spec gets it by
-- `local helper = require "spec.helper"`.  The environment:
--
--   CONC_SCALE=0.1      shrink the loops of stress specs, see helper.scale
--   CONC_GC=1           the collector works all the time, in threads too
--   CONC_ALONE=1        no processes are started
--   CONC_WATCHDOG=300   seconds a spec may take before the process is ended

local busted = require "busted"
local core = require "conc.core"
local multiprocessing = require "conc.multiprocessing"
local queue = require "conc.queue"
local threading = require "conc.threading"

local helper = {}

--- Is this Windows, or Wine?
helper.windows = package.config:sub(1, 1) == "\\"

--- For a spec that cannot hold on Windows: leave it there, as pending, and say
-- why.
local current -- the spec that runs

function helper.not_on_windows(reason)
  if helper.windows then current.env.pending("not on Windows: " .. reason) end
end

--- For a spec that needs libsodium, which not every machine with Wine can build.
function helper.needs_sodium()
  if helper.windows and not pcall(core.crypto.usable) then
    current.env.pending "not on Windows: libsodium is not built for it"
  end
end

--- The interpreter for programs of their own, and what reads as empty there.
helper.lua = os.getenv "CONC_LUA" or "lua5.4"
helper.null = helper.windows and "NUL" or "/dev/null"

--- The path of a new file, for the spec to write and to remove.
function helper.tmpname()
  local name = os.tmpname()
  -- The C library's names are at the root of the drive.
  return helper.windows and os.getenv "TEMP" .. "\\" .. name:match "[^\\]*$" or name
end

--- Seconds of processor time that this process has used.  On Windows os.clock
-- tells the time of day.
helper.processor_time = os.clock
if helper.windows then
  function helper.processor_time()
    local times <close> = io.popen("times " .. multiprocessing.current_process():pid())
    return assert(times:read "n")
  end
end

--- How long something may take that should happen at once: seconds.
helper.patience = 60

local scale = tonumber(os.getenv "CONC_SCALE") or 1

--- The number of rounds of a stress spec: n, or less if that was asked for.
function helper.scale(n)
  return math.max(1, math.ceil(n * scale))
end

-- The collector ------------------------------------------------------------

local pressure = os.getenv "CONC_GC" == "1"

-- Self-contained, since it travels into threads: begin a cycle as soon as one
-- has ended, and run ahead of the program.  In the main state, whose heap holds
-- all the specs, that is done with less haste.
local function press(stepmul)
  collectgarbage "incremental"
  collectgarbage("setpause", 0)
  collectgarbage("setstepmul", stepmul or 1000)
end

if pressure then press(100) end

-- Waiting ------------------------------------------------------------------

local never = threading.Event()

--- Ask f until it says something truthy, and return that; error after a while.
-- For what nobody announces; what somebody does is better met at a queue.
function helper.eventually(f, what)
  for _ = 1, helper.patience * 500 do
    local result = f()
    if result then return result end
    never:wait(0.002)
  end
  error(("waited too long for %s"):format(what or "it"), 2)
end

-- Threads ------------------------------------------------------------------

local function body(out, squeeze, f, ...)
  if squeeze then squeeze() end
  out:put(table.pack(pcall(f, ...)))
end

--- The function f with the globals of the state it runs in.  In a spec they are
-- a table of busted's, which would travel with it.
function helper.portable(f)
  local copy = load(string.dump(f), nil, "b")
  for i = 1, 255 do
    local name = debug.getupvalue(f, i)
    if not name then break end
    if name == "_ENV" then
      debug.setupvalue(copy, i, _G)
    else
      debug.upvaluejoin(copy, i, f, i)
    end
  end
  return copy
end

--- busted's describe or it, but the functions in the block keep the globals of
-- their file, for specs whose functions travel.  After the local variables:
--
--   local describe, it = helper.plain(describe), helper.plain(it)
--   local _ENV = helper.globals
function helper.plain(block)
  return function(name, f)
    return block(name, function() f() end)
  end
end

helper.globals = _G

--- Run f(...) in a thread, with the globals there.  Returns a function that
-- waits for its end, and returns what it returned or raises what it raised; and
-- the Thread.
function helper.thread(f, ...)
  local out = queue.SimpleQueue()
  local args = table.pack(out, pressure and press or false, helper.portable(f), ...)
  local thread = threading.Thread {target = body, args = args}:start()
  return function()
    assert(thread:join(helper.patience))
    local results = out:get(helper.patience)
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end, thread
end

--- Run f(i, ...) for i from 1 to n in n threads and wait for them all.  Returns
-- a table of what each returned first; raises what the first bad one raised.
function helper.threads(n, f, ...)
  local ends, results = {}, {}
  for i = 1, n do ends[i] = helper.thread(f, i, ...) end
  local good, bad = true, nil
  for i = 1, n do
    local ok, result = pcall(ends[i])
    if ok then
      results[i] = result
    elseif good then
      good, bad = false, result
    end
  end
  if not good then error(bad, 0) end
  return results
end

-- The watchdog -------------------------------------------------------------

-- A process of its own is told the name of each spec as it begins, and ends
-- this one when it has heard nothing for too long.
local LIMIT = tonumber(os.getenv "CONC_WATCHDOG") or 300
local WATCHDOG = [[
command -v bash >/dev/null || exec cat >/dev/null
exec bash -c '
  while :; do
    read -r -t LIMIT name
    status=$?
    if [ $status -gt 128 ]; then
      echo "watchdog: \"$last\" has not ended after LIMIT s" >&2
      kill -ABRT $PPID
      exit
    fi
    [ $status -eq 0 ] || exit
    last=$name
  done']]

local watchdog
if not helper.windows then
  watchdog = io.popen(WATCHDOG:gsub("LIMIT", tostring(math.floor(LIMIT))), "w")
  watchdog:setvbuf "line"
end

local function watch(element)
  if watchdog then watchdog:write((element.name:gsub("\n", " ")), "\n") end
end

-- Interrupts ---------------------------------------------------------------

--- Start a command, in the shell's words, that hears 'kill -INT'.  Returns a pipe
-- from its stdout and stderr, and its number.
function helper.start(command)
  local wrap = helper.windows and "hear %s 2>&1" or "echo $$; exec %s 2>&1"
  local child = assert(io.popen(wrap:format(command)))
  return child, tonumber(child:read "l")
end

--- Send it what Ctrl-C sends.
function helper.interrupt(pid)
  os.execute("kill -INT " .. pid)
end

local PRELUDE = [[
require "conc".detect_deadlocks(false) -- the signal may come late
local threading = require "conc.threading"
local function waiting(after)
  io.stdout:write("waiting ", after or "", "\n")
  io.stdout:flush()
end
local function attempt(f, ...)
  local _, err = pcall(f, ...)
  print((tostring(err):gsub("^.*:%d+: ", "")))
end
local function interrupted(f, ...)
  attempt(function(...)
    waiting()
    return f(...)
  end, ...)
end
]]

--- Run Lua code in an interpreter of its own, which gets the SIGINT of Ctrl-C as
-- soon as it has called waiting(), or waiting(n), n seconds later.  attempt(f, ...)
-- calls f and prints the error that it ends with; interrupted(f, ...) does both.
-- Returns what was printed, as lines.
-- @param code Lua source; sees `threading`, and `sync`, which is the same or
-- what `module` names
function helper.interrupted(code, module)
  local path = helper.tmpname()
  local file = assert(io.open(path, "w"))
  local sync = ("local sync = require 'conc.%s'\n"):format(module or "threading")
  file:write(PRELUDE, sync, code)
  file:close()
  local child, pid = helper.start(helper.lua .. " " .. path)
  local lines = {}
  for line in child:lines() do
    local after = line:match "^waiting ?([%d.]*)$"
    if after then
      never:wait(tonumber(after) or 0)
      helper.interrupt(pid)
    else
      lines[#lines + 1] = line
    end
  end
  child:close()
  os.remove(path)
  return lines
end

-- Other interpreters --------------------------------------------------------

--- Run Lua code in an interpreter of its own, with the built tree.  Returns what
-- it wrote to stdout and stderr, as lines, and its exit code.
function helper.child(code)
  local path = helper.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(code)
  file:close()
  local child = io.popen(("%s %s 2>&1"):format(helper.lua, path))
  local lines = {}
  for line in child:lines() do lines[#lines + 1] = line end
  local _, _, status = child:close()
  os.remove(path)
  return lines, status
end

-- Leaks --------------------------------------------------------------------

-- Open descriptors of this process, where the system shows them.
local descriptors
local has_lfs, lfs = pcall(require, "lfs")
if has_lfs and not helper.windows and lfs.attributes("/proc/self/fd", "mode") == "directory" then
  function descriptors()
    local n = 0
    for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
    return n
  end
end

-- The buffers of a state may hold on to the last thing that was packed and to
-- the last function; here is another one.
local mirror = queue.SimpleQueue()
local idle = helper.portable(function() end)
local function flush()
  mirror:put {idle}
  mirror:get()
end

-- What there is that a spec could leave behind.
local function count()
  local stats = core.stats()
  return {
    objects = stats.objects - (stats.cached or 0),
    threads = stats.threads,
    descriptors = descriptors and descriptors(),
    processes = #core.active_children(),
    shared = stats.shared,
  }
end

-- What there is more of than there was, as text; or nil.
local function excess(now, before)
  local list = {}
  for what, n in pairs(now) do
    if n > before[what] then list[#list + 1] = n - before[what] .. " " .. what end
  end
  table.sort(list)
  return list[1] and table.concat(list, ", ")
end

-- Threads end on their own time, and objects go with them or with the garbage.
local function settle(before)
  local left
  flush()
  for round = 1, 300 do
    collectgarbage()
    left = excess(count(), before)
    if not left then return end
    if round > 3 then never:wait(0.01) end
  end
  return left
end

-- After the last spec; before this one, with what its before_each has made.
local resting, base

local function begin(element)
  current = element
  watch(element)
  base = count()
  if excess(base, resting) then
    collectgarbage()
    base = count()
  end
  return nil, true
end

-- Whatever is made once and kept, make it before anything is counted.
threading.current_thread()
threading.main_thread()
helper.thread(function() end)()
if not os.getenv "CONC_ALONE" then
  multiprocessing.Process {keep_stderr = true}:start():join()
  multiprocessing.SharedMemory {create = true, size = 1}:unlink() -- who sweeps after us
end
core.Promise():future():add_done_callback(function() end)
for n = 1, 1000 do helper[n] = core.shared.Lock() end
for n = 1, 1000 do helper[n] = nil end
flush()
collectgarbage()
resting = count()

busted.subscribe({"test", "start"}, begin)

busted.after_each(function()
  if not current then return end
  local element = current
  current = nil
  local left = settle(base)
  resting = count()
  if left then error(("'%s' leaks %s"):format(element.name, left), 0) end
end)

-- Both kinds ---------------------------------------------------------------

--- Describe what threading and multiprocessing have in common: f is called with
-- each of the two modules and its name.
function helper.for_both(f)
  f(require "conc.threading", "threading")
  f(require "conc.multiprocessing", "multiprocessing")
end

--- How many allocations n objects need: in shared memory, two each.
function helper.parts(module, n)
  return module == require "conc.multiprocessing" and 2 * n or n
end

-- Bad input ----------------------------------------------------------------

local WRONG_TIMEOUTS = {
  {-1, "must not be negative"},
  {-math.huge, "must not be negative"},
  {0 / 0, "must not be NaN"},
  {"1", "number of seconds expected, got string"},
  {true, "number of seconds expected, got boolean"},
  {{}, "number of seconds expected, got table"},
}

--- Check that call(timeout) names the argument 'timeout' in its error for all
-- that is no timeout.
function helper.refuses_timeouts(call)
  for _, case in ipairs(WRONG_TIMEOUTS) do
    local ok, err = pcall(call, case[1])
    err = tostring(err)
    if ok or not err:find("timeout: " .. case[2], 1, true) then
      error(("a timeout of %s: %s"):format(case[1], ok and "no error" or err), 2)
    end
  end
end

--- Check that each method of the object refuses to be called on something else,
-- and with one argument more than the named ones take.
-- @param methods name = most arguments it takes
function helper.refuses_strangers(object, methods)
  for name, most in pairs(methods) do
    for _, self in ipairs {false, 1, "x", {}, io.stdout, queue.SimpleQueue()} do
      local ok, err = pcall(object[name], self)
      if ok or not tostring(err):find("bad argument #1 to '.*' %(.+ expected") then
        error(("%s on %s: %s"):format(name, self, ok and "no error" or err), 2)
      end
    end
    local args = table.pack(object)
    args.n = most + 2
    local ok, err = pcall(object[name], table.unpack(args, 1, args.n))
    if ok or not tostring(err):find("surplus argument", 1, true) then
      error(("%s with %d arguments: %s"):format(name, most + 1, ok and "no error" or err), 2)
    end
  end
end

-- Failing memory -----------------------------------------------------------

local function fail_each(everywhere, f)
  flush()
  collectgarbage()
  local before, raised = count(), 0
  for n = 1, 100000 do
    core.fault(n, everywhere)
    local ok, err = pcall(f)
    local pending = core.fault(0)
    if ok and pending ~= 0 then return raised end
    if not ok then
      raised = raised + 1
      if not tostring(err):find("not enough memory", 1, true) and
        not core.Error.is(err, "SharedMemoryError") then
        error(("allocation %d: %s"):format(n, tostring(err)), 2)
      end
    end
    err = nil -- luacheck: ignore 311
    local left = settle(before)
    if left then error(("allocation %d leaks %s"):format(n, left), 2) end
  end
  error("no end of allocations", 2)
end

--- Run f with the first allocation of conc's core failing that this thread makes,
-- then the second, and so on, until none is left to fail.  Returns in how many
-- runs f raised, which it must have done for want of memory.  Whether or not it
-- raises, f must leave nothing behind: it may well do without what failed.
function helper.fail_each(f)
  return fail_each(false, f)
end

--- The same, but the allocations of all threads are counted: for what is done in
-- other threads too.  They may be of any thread, so the number is vague.
function helper.fail_each_everywhere(f)
  return fail_each(true, f)
end

-- Does a sanitizer or valgrind watch this program?
function helper.instrumented()
  local file = io.open "/proc/self/maps"
  local text = file and file:read "a" or ""
  if file then file:close() end
  return (text:find "lib[at]san" or text:find "vgpreload") ~= nil
end

return helper
