local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Thread = threading.Thread

local patience = helper.patience

-- A thread that waits until it is let go: returns it and the Event.
local function waiting(options)
  local go = threading.Event()
  local t = options or {}
  t.target = helper.portable(function(e) e:wait() end)
  t.args = {go}
  return Thread(t):start(), go
end

-- Run f in a started thread of these options; what it returns.
local function run(options, f, ...)
  local out = queue.SimpleQueue()
  options.target = helper.portable(function(q, g, ...) q:put(table.pack(g(...))) end)
  options.args = table.pack(out, helper.portable(f), ...)
  local t = Thread(options):start()
  assert(t:join(patience))
  local results = out:get(0)
  return table.unpack(results, 1, results.n)
end

-- A script in a process of its own: stdout, stderr, and how it ended.
local function script(text)
  local path, errors = helper.tmpname(), helper.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local command = ("%s %s 2>%s <%s"):format(helper.lua, path, errors, helper.null)
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  local _, how, code = pipe:close()
  local err <close> = assert(io.open(errors))
  local text_of_errors = err:read "a"
  os.remove(path)
  os.remove(errors)
  return out, text_of_errors, how .. " " .. code
end

describe("A Thread", function()
  it("runs its target with its arguments, nils included", function()
    local n, list = run({}, function(...) return select("#", ...), {...} end, 1, "two", nil)
    assert.equal(3, n)
    assert.same({1, "two"}, list)
  end)

  it("takes as many arguments as args.n says", function()
    local q = queue.SimpleQueue()
    local count = helper.portable(function(out, ...) out:put(select("#", ...)) end)
    for n = 1, 5 do
      Thread {target = count, args = {n = n, q}}:start():join()
      assert.equal(n - 1, q:get())
    end
    Thread {target = count, args = {q, 1, 2}}:start():join()
    assert.equal(2, q:get())
    assert.equal(0, #{run({}, function(...) return ... end)})
    for _, n in ipairs {"1", 1.5, 1e9, false} do
      assert.error_matches(function() Thread {target = print, args = {n = n}} end,
        "args: its field n is no integer")
    end
  end)

  it("runs in a state of its own: no global of ours is there", function()
    rawset(_G, "spec_global", 1)
    local seen = run({}, function()
      local old = spec_global -- luacheck: ignore 113
      spec_global = 2 -- luacheck: ignore 111
      return old == nil
    end)
    assert.is_true(seen)
    assert.equal(1, rawget(_G, "spec_global"))
    rawset(_G, "spec_global", nil)
    assert.is_nil(run({}, function() return spec_global end)) -- luacheck: ignore 113
  end)

  it("takes target and args by position too", function()
    local q = queue.SimpleQueue()
    Thread(helper.portable(function(out, x) out:put(x) end), {q, 5}):start():join()
    assert.equal(5, q:get())
  end)

  it("takes something callable as its target", function()
    local q = queue.SimpleQueue()
    local callable = setmetatable({7}, {__call = function(self, out) out:put(self[1]) end})
    Thread {target = callable, args = {q}}:start():join()
    assert.equal(7, q:get())
  end)

  it("copies its arguments when it is made, not when it starts", function()
    local q, t = queue.SimpleQueue(), {1}
    local thread = Thread {target = function(out, u) out:put(u) end, args = {q, t}}
    t[1] = 2
    thread:start():join()
    assert.same({1}, q:get())
  end)

  it("is returned by start", function()
    local t = Thread {target = function() end}
    assert.is_true(rawequal(t, t:start()))
    t:join()
  end)

  it("can be started only once", function()
    local t, go = waiting()
    assert.error_matches(function() t:start() end, "threads can only be started once")
    go:set()
    t:join()
    assert.error_matches(function() t:start() end, "threads can only be started once")
  end)

  it("is started once, however many threads try", function()
    local ran = threading.Value("i", 0)
    local t = Thread {target = function(n) n:add(1) end, args = {ran}}
    local begin = threading.Barrier(4)
    local oks = helper.threads(4, function(_, thread, barrier)
      barrier:wait()
      return (pcall(thread.start, thread))
    end, t, begin)
    local started = 0
    for i = 1, 4 do started = started + (oks[i] and 1 or 0) end
    t:join()
    assert.same({1, 1}, {started, ran.value})
  end)

  it("is alive from its start to its end", function()
    local t = Thread {target = function() end}
    assert.is_false(t:is_alive())
    local u, go = waiting()
    assert.is_true(u:is_alive())
    go:set()
    u:join()
    assert.is_false(u:is_alive())
    assert.matches("^Thread%(.+, initial%)$", tostring(t))
    assert.matches("^Thread%(.+, stopped%)$", tostring(u))
  end)

  it("sees itself alive", function()
    assert.is_true(run({}, function()
      return require "conc.threading".current_thread():is_alive()
    end))
  end)

  it("may go as garbage before it is started, or after", function()
    for _ = 1, 20 do
      local _ = Thread {target = function() end, args = {threading.Lock()}}
    end
    local go = threading.Event()
    for _ = 1, 5 do Thread {target = function(e) e:wait() end, args = {go}}:start() end
    collectgarbage()
    go:set()
  end)

  it("is not waited for by a program that Ctrl-C ends", function()
    for _, go_on in ipairs {'require "conc".sleep(1000)', "while true do end"} do
      local lines = helper.interrupted(([[
        threading.Thread {target = function()
          repeat until require "conc".dump():find "MainThread[^\n]* waits in 'join'"
          io.stdout:write "waiting\n"
          io.stdout:flush()
          %s
        end}:start():join()]]):format(go_on))
      assert.matches("interrupted!", table.concat(lines, "\n"))
    end
  end)

  it("is waited for when the program catches that and goes on", function()
    assert.same({"interrupted!", "nil\ttimeout", "done"}, helper.interrupted [[
      local threading, go = require "conc.threading", require "conc.queue".Queue()
      local function work(q) q:get(); print "done" end
      local t = threading.Thread {target = work, args = {go}}:start()
      interrupted(t.join, t)
      print(t:join(0))
      go:put(true)]])
  end)
end)

describe("Thread:join", function()
  it("waits for the end and returns true, as often as it is asked", function()
    local done = threading.Value("i", 0)
    local t = Thread {target = function(n) n.value = 1 end, args = {done}}:start()
    for _ = 1, 3 do
      assert.same({true}, {t:join()})
      assert.equal(1, done.value)
    end
    assert.same({true}, {t:join(0)})
  end)

  it("gives up after the timeout: nil, \"timeout\"", function()
    local t, go = waiting()
    local began = conc.time()
    assert.same({nil, "timeout"}, {t:join(0.03)})
    assert.is_true(conc.time() - began >= 0.03)
    assert.same({nil, "timeout"}, {t:join(0)})
    assert.is_true(t:is_alive())
    go:set()
    assert.same({true}, {t:join(patience)})
  end)

  it("may be called by many threads at once", function()
    local t, go = waiting()
    local ready = threading.Barrier(5)
    local ends = {}
    for i = 1, 4 do
      ends[i] = helper.thread(function(thread, b)
        b:wait()
        return thread:join(), thread:is_alive()
      end, t, ready)
    end
    ready:wait()
    go:set()
    for i = 1, 4 do assert.same({true, false}, {ends[i]()}) end
  end)

  it("raises in the thread itself", function()
    local ok, err = run({}, function()
      local me = require "conc.threading".current_thread()
      return pcall(me.join, me)
    end)
    assert.is_false(ok)
    assert.matches("cannot join the current thread", err)
  end)

  it("raises before the start", function()
    local t = Thread {target = function() end}
    assert.error_matches(function() t:join() end, "cannot join a thread before it is started")
    t:start()
    t:join()
  end)

  it("raises for a thread that conc has not started", function()
    local main = threading.main_thread()
    assert.error_matches(function() main:join() end, "cannot join the current thread")
    local ok, err = run({}, function()
      local other = require "conc.threading".main_thread()
      return pcall(other.join, other, 0)
    end)
    assert.is_false(ok)
    assert.matches("cannot join a thread that conc did not start", err)
    assert.error_matches(function() main:start() end, "threads can only be started once")
  end)

  it("returns when the thread has died of an error", function()
    local quiet = threading.excepthook
    threading.excepthook = function() end
    local t = Thread {target = error, args = {"mine"}}:start()
    assert.is_true(t:join(patience))
    threading.excepthook = quiet
  end)

  it("names a wrong timeout", function()
    local t, go = waiting()
    helper.refuses_timeouts(function(timeout) t:join(timeout) end)
    go:set()
    assert.is_true(t:join(math.huge))
  end)
end)

describe("A thread's name", function()
  it("is what it was given, or what was set", function()
    local t = Thread {target = function() end, name = "my name"}
    assert.equal("my name", t:name())
    assert.equal(0, select("#", t:set_name "another"))
    assert.equal("another", t:name())
    t:start()
    t:join()
    t:set_name "after"
    assert.equal("after", t:name())
    assert.matches("after", tostring(t))
  end)

  it("is Thread-N by default, each one different", function()
    local seen = {}
    for _ = 1, 5 do
      for _, name in ipairs {false, ""} do
        local t = Thread {target = function() end, name = name or nil}
        assert.matches("^Thread%-%d+$", t:name())
        assert.is_nil(seen[t:name()])
        seen[t:name()] = true
      end
    end
  end)

  it("is seen by all threads", function()
    local t, go = waiting()
    local before, after = run({name = "looker"}, function(thread)
      local old = thread:name()
      thread:set_name "seen"
      return old, require "conc.threading".current_thread():name()
    end, t)
    assert.matches("^Thread%-", before)
    assert.equal("looker", after)
    assert.equal("seen", t:name())
    go:set()
    t:join()
  end)

  it("is MainThread for the main thread", function()
    assert.equal("MainThread", threading.main_thread():name())
  end)

  it("may be long, and any text without a zero byte", function()
    local name = ("ä"):rep(100)
    local t = Thread {target = function() end, name = name}
    assert.equal(name, t:name())
    assert.error_matches(function() t:set_name "a\0b" end, "name: must not hold a zero byte")
    assert.error_matches(function() Thread {target = print, name = "a\0b"} end,
      "name: must not hold a zero byte")
    t:start():join()
  end)

  local comm = not helper.windows and io.open "/proc/self/comm"
  if comm then
    comm:close()

    local function os_name(t)
      local file = assert(io.open(("/proc/self/task/%d/comm"):format(t:native_id())))
      local name = file:read "l"
      file:close()
      return name
    end

    it("is the name in the operating system, as much as fits", function()
      local t, go = waiting {name = "short"}
      helper.eventually(function() return os_name(t) == "short" end, "the name")
      local u, go2 = waiting {name = "a name that is much longer than that"}
      helper.eventually(function() return os_name(u) == "a name that is " end, "the name")
      go:set()
      go2:set()
      t:join()
      u:join()
    end)

    it("changes in the operating system when the thread renames itself", function()
      assert.equal("renamed", run({name = "before"}, function()
        local me = require "conc.threading".current_thread()
        me:set_name "renamed"
        local file <close> = io.open("/proc/self/task/" .. me:native_id() .. "/comm")
        return file:read "l"
      end))
    end)

    it("leaves the process's own name alone", function()
      local file <close> = io.open "/proc/self/comm"
      local before = file:read "l"
      local old = threading.main_thread():name()
      threading.main_thread():set_name "other"
      local file2 <close> = io.open "/proc/self/comm"
      assert.equal(before, file2:read "l")
      assert.equal("other", threading.main_thread():name())
      threading.main_thread():set_name(old)
    end)
  end
end)

describe("A thread's numbers", function()
  it("are nil before the start, and stay after the end", function()
    local t = Thread {target = function() end}
    assert.is_nil(t:ident())
    assert.is_nil(t:native_id())
    t:start()
    local ident, native = t:ident(), t:native_id()
    assert.equal("integer", math.type(ident))
    assert.equal("integer", math.type(native))
    assert.is_true(ident ~= 0 and native > 0)
    t:join()
    assert.same({ident, native}, {t:ident(), t:native_id()})
  end)

  it("are what get_ident and get_native_id say inside", function()
    local q, go = queue.SimpleQueue(), threading.Event()
    local t = Thread {target = helper.portable(function(out, e)
      local th = require "conc.threading"
      out:put {th.get_ident(), th.get_native_id()}
      e:wait()
    end), args = {q, go}}:start()
    assert.same({t:ident(), t:native_id()}, q:get())
    assert.are_not.equal(t:ident(), threading.get_ident())
    assert.are_not.equal(t:native_id(), threading.get_native_id())
    go:set()
    t:join()
    local main = threading.main_thread()
    assert.equal(main:ident(), threading.get_ident())
    assert.equal(main:native_id(), threading.get_native_id())
  end)

  it("are different for threads that live at one time", function()
    local idents, natives, threads = {}, {}, {}
    for i = 1, 5 do
      local t, go = waiting()
      threads[i] = {t, go}
      assert.is_nil(idents[t:ident()])
      assert.is_nil(natives[t:native_id()])
      idents[t:ident()], natives[t:native_id()] = true, true
    end
    for _, pair in ipairs(threads) do
      pair[2]:set()
      pair[1]:join()
    end
  end)
end)

describe("A thread's daemon property", function()
  it("is the creator's unless it is given", function()
    assert.is_false(Thread {target = print}:daemon())
    assert.is_true(Thread {target = print, daemon = true}:daemon())
    local inherits, own = run({daemon = true}, function()
      local T = require "conc.threading".Thread
      return T {target = print}:daemon(), T {target = print, daemon = false}:daemon()
    end)
    assert.is_true(inherits)
    assert.is_false(own)
    assert.is_false(run({}, function()
      return require "conc.threading".Thread {target = print}:daemon()
    end))
  end)

  it("may be set before the start, and not later", function()
    local t = Thread {target = function() end}
    assert.equal(0, select("#", t:set_daemon(true)))
    assert.is_true(t:daemon())
    assert.matches("daemon", tostring(t))
    t:set_daemon(false)
    t:start()
    assert.error_matches(function() t:set_daemon(true) end,
      "cannot set daemon: the thread was started")
    t:join()
    assert.error_matches(function() t:set_daemon(true) end,
      "cannot set daemon: the thread was started")
    assert.is_false(t:daemon())
    assert.error_matches(function() threading.main_thread():set_daemon(true) end,
      "cannot set daemon")
    assert.is_false(threading.main_thread():daemon())
  end)
end)

describe("threading", function()
  it("lists the threads that are alive, the main one first", function()
    local t, go = waiting {daemon = true}
    local unstarted = Thread {target = print}
    local list = threading.enumerate()
    assert.equal(threading.main_thread(), list[1])
    local seen = {}
    for _, thread in ipairs(list) do seen[thread] = true end
    assert.is_true(seen[t])
    assert.is_nil(seen[unstarted])
    assert.equal(#list, threading.active_count())
    go:set()
    t:join()
    for _, thread in ipairs(threading.enumerate()) do assert.are_not.equal(t, thread) end
  end)

  it("never lists a thread that was joined", function()
    for _ = 1, helper.scale(300) do
      local t = Thread {target = function() end}:start()
      t:join()
      for _, thread in ipairs(threading.enumerate()) do assert.is_false(rawequal(t, thread)) end
    end
  end)

  it("lists the same threads in each of them", function()
    local t, go = waiting()
    local n, first, has = run({}, function(other)
      local th = require "conc.threading"
      local list, found = th.enumerate(), 0
      for _, thread in ipairs(list) do
        if thread == other or thread == th.current_thread() then found = found + 1 end
      end
      return th.active_count(), list[1], found
    end, t)
    assert.is_true(n >= 3)
    assert.equal(threading.main_thread(), first)
    assert.equal(2, has)
    go:set()
    t:join()
  end)

  it("knows the main thread, everywhere", function()
    assert.equal(threading.main_thread(), threading.current_thread())
    assert.equal(threading.main_thread(), run({}, function()
      return require "conc.threading".main_thread()
    end))
  end)

  it("knows the current thread: one object for all who hold it", function()
    local q = queue.SimpleQueue()
    local t = Thread {target = helper.portable(function(out)
      local th = require "conc.threading"
      assert(rawequal(th.current_thread(), th.current_thread()))
      out:put(th.current_thread())
    end), args = {q}}:start()
    local same = q:get()
    assert.is_true(rawequal(t, same))
    t:join()
  end)

  it("knows the current thread in a coroutine", function()
    assert.is_true(coroutine.wrap(function()
      return threading.current_thread() == threading.main_thread()
    end)())
  end)

  it("has functions that take no arguments", function()
    for _, name in ipairs {"current_thread", "main_thread", "enumerate", "active_count",
      "get_ident", "get_native_id"} do
      assert.error_matches(function() threading[name](1) end, "surplus argument")
    end
  end)
end)

describe("threading.stack_size", function()
  after_each(function() threading.stack_size(0) end)

  it("sets the size for threads to come and returns the old one; 0 is the default", function()
    assert.equal(0, threading.stack_size())
    assert.equal(0, threading.stack_size(1 << 22))
    assert.equal(1 << 22, threading.stack_size())
    assert.equal(1, run({}, function() return 1 end))
    assert.equal(1 << 22, threading.stack_size(0))
    assert.equal(0, threading.stack_size())
  end)

  it("refuses what is no size, and nothing has changed", function()
    threading.stack_size(1 << 20)
    for _, bad in ipairs {-1, 1, 32767, 1.5, "x", {}, math.mininteger, math.maxinteger} do
      assert.error_matches(function() threading.stack_size(bad) end, "stack_size: ")
    end
    assert.error_matches(function() threading.stack_size(0, 1) end, "surplus argument")
    assert.equal(1 << 20, threading.stack_size())
  end)

  it("is an option of a thread, too", function()
    local deep = function()
      local function dive(n) return n == 0 and 0 or 1 + dive(n - 1) end
      local s = ("("):rep(150) .. ("x"):rep(10) .. (")"):rep(150)
      return dive(10000), #(s:match "%b()")
    end
    for _, size in ipairs {0, 32768, 1 << 20, 1 << 24} do
      assert.same({10000, 310}, {run({stack_size = size}, deep)})
    end
    assert.error_matches(function() Thread {target = print, stack_size = 1} end,
      "stack_size: must be 0 or at least 32768")
    assert.equal(0, threading.stack_size())
  end)

  it("is enough for the deepest recursion Lua allows in C", function()
    local ok, err = run({stack_size = 32768}, function()
      local function f() return string.gsub("x", "x", f) end
      return pcall(f)
    end)
    assert.is_false(ok)
    assert.matches("C stack overflow", err)
  end)
end)

describe("threading.excepthook", function()
  local original = threading.excepthook
  after_each(function() threading.excepthook = original end)

  it("gets the error, the traceback and the thread, in the dying thread", function()
    local q = queue.SimpleQueue()
    threading.excepthook = function(info)
      q:put {value = info.exc_value, traceback = info.traceback, thread = info.thread}
    end
    local t = Thread {target = helper.portable(function() error({code = 5}) end)}:start()
    t:join()
    local info = q:get(0)
    assert.same({code = 5}, info.value)
    assert.matches("^stack traceback:.*function <.*thread_spec", info.traceback)
    assert.is_true(rawequal(t, info.thread))
  end)

  it("gets an error in the traceback's text with its place", function()
    local q = queue.SimpleQueue()
    threading.excepthook = function(info) q:put(info.exc_value) end
    Thread {target = helper.portable(function() error "mine" end)}:start():join()
    assert.matches("thread_spec.lua:%d+: mine$", q:get(0))
    Thread {target = helper.portable(function() error() end)}:start():join()
    assert.same({nil, nil}, {q:get(0)})
  end)

  it("is the one that was set when the thread started", function()
    local q = queue.SimpleQueue()
    local go = threading.Event()
    threading.excepthook = function() q:put "first" end
    local t = Thread {target = helper.portable(function(e)
      e:wait()
      error "x"
    end), args = {go}}
    t:start()
    threading.excepthook = function() q:put "second" end
    go:set()
    t:join()
    assert.equal("first", q:get(0))
  end)

  it("may be refused at start, if it cannot travel", function()
    local co = coroutine.create(print)
    threading.excepthook = function() return co end
    local t = Thread {target = function() end}
    assert.error_matches(function() t:start() end,
      "excepthook %(upvalue 'co'%): cannot send a coroutine")
    assert.is_false(t:is_alive())
    threading.excepthook = original
    t:start():join()
  end)

  it("is not called for SystemExit, nor when all is well", function()
    local q = queue.SimpleQueue()
    threading.excepthook = helper.portable(function(info)
      q:put(tostring(info.exc_value))
    end)
    Thread {target = function() end}:start():join()
    Thread {target = os.exit}:start():join()
    Thread {target = helper.portable(function() os.exit(3) end)}:start():join()
    assert.same({nil, "timeout"}, {q:get(0)})
  end)

  it("writes name, error and traceback to stderr by default", function()
    local out, err, how = script [[
      local threading = require "conc.threading"
      local function fail() error "mine" end
      threading.Thread {target = fail, name = "my thread"}:start():join()
      print(threading.excepthook == threading.__excepthook__)]]
    assert.equal("true\n", out)
    assert.equal("exit 0", how)
    assert.matches("^uncaught error in thread 'my thread': .-:2: mine\nstack traceback:\n", err)
  end)

  it("may be put back", function()
    local _, err = script [[
      local threading = require "conc.threading"
      threading.excepthook = function() io.stderr:write "hook\n" end
      threading.Thread {target = error, args = {"one"}}:start():join()
      threading.excepthook = threading.__excepthook__
      threading.Thread {target = error, args = {"two"}, name = "T"}:start():join()
      threading.excepthook = nil
      threading.Thread {target = error, args = {"three"}, name = "T"}:start():join()]]
    local uncaught = "uncaught error in thread 'T': "
    assert.matches("^hook\n" .. uncaught .. "two\n.*" .. uncaught .. "three\n", err)
  end)

  it("may call the original one", function()
    local _, err = script [[
      local threading = require "conc.threading"
      threading.excepthook = function(info)
        io.stderr:write "before\n"
        require "conc.threading".__excepthook__(info)
      end
      threading.Thread {target = error, args = {"mine"}, name = "T"}:start():join()]]
    assert.matches("^before\nuncaught error in thread 'T': mine\n", err)
  end)

  it("that fails is reported, with the thread's own error", function()
    local out, err, how = script [[
      local threading = require "conc.threading"
      threading.excepthook = function() error("bad hook", 0) end
      threading.Thread {target = error, args = {"mine"}, name = "T"}:start():join()
      print "on"]]
    assert.same({"on\n", "exit 0"}, {out, how})
    assert.matches("error in excepthook of thread 'T': bad hook\n", err)
    assert.matches("uncaught error in thread 'T': mine\n", err)
  end)

  it("tells errors that are no strings", function()
    local _, err = script [[
      local threading = require "conc.threading"
      local mt = {__tostring = function() return "an object" end}
      threading.Thread {target = error, args = {setmetatable({}, mt)}, name = "A"}:start():join()
      threading.Thread {target = error, args = {nil}, name = "B"}:start():join()
      threading.Thread {target = error, args = {{}}, name = "C"}:start():join()
      mt = {__tostring = function() error "no text" end}
      threading.Thread {target = error, args = {setmetatable({}, mt)}, name = "D"}:start():join()]]
    assert.matches("thread 'A': an object\n", err)
    assert.matches("thread 'B': nil\n", err)
    assert.matches("thread 'C': table: ", err)
    assert.matches("uncaught error in thread 'D': table: %x", err)
    assert.is_nil(err:find "excepthook")
  end)

  it("is a function, or nil for the original one", function()
    for _, bad in ipairs {1, "x", {}, false} do
      assert.error_matches(function() threading.excepthook = bad end,
        "excepthook: function or nil expected, got ")
    end
    assert.equal(original, threading.excepthook)
  end)

  it("stays silent at os.exit in a thread", function()
    local out, err, how = script [[
      local threading = require "conc.threading"
      threading.Thread {target = function() os.exit(7) end}:start():join()
      print "still here"]]
    assert.same({"still here\n", "", "exit 0"}, {out, err, how})
  end)
end)

describe("Thread, given something wrong,", function()
  it("names the argument", function()
    local cases = {
      {{}, "target: function expected, got nil"},
      {{target = 1}, "target: function expected, got number"},
      {{target = {}}, "target: function expected, got table"},
      {{target = print, args = 1}, "args: table expected, got number"},
      {{target = print, args = {n = -1}}, "args: 0 to 10000 of them expected"},
      {{target = print, args = {n = 1000000}}, "args: 0 to 10000 of them expected"},
      {{target = print, name = 1}, "name: string expected, got number"},
      {{target = print, daemon = 1}, "daemon: boolean expected, got number"},
      {{target = print, stack_size = "x"}, "stack_size: "},
      {{target = print, kwargs = {}}, "unknown option 'kwargs'"},
      {{target = print, [1] = {}}, "unknown option '1'"},
    }
    for _, case in ipairs(cases) do
      assert.error_matches(function() Thread(case[1]) end, case[2], 1, true)
    end
    assert.error_matches(function() Thread() end, "target: function expected")
    assert.error_matches(function() Thread(print, {}, "x", false, 0, 1) end, "surplus argument")
  end)

  it("refuses at once what cannot travel", function()
    local co = coroutine.create(print)
    assert.error_matches(function() Thread {target = print, args = {1, {cfg = {handler = co}}}} end,
      "args%[2%]%.cfg%.handler: cannot send a coroutine")
    assert.error_matches(function() Thread {target = function() return co end} end,
      "target %(upvalue 'co'%): cannot send a coroutine")
    assert.error_matches(function() Thread {target = co} end,
      "target: function expected, got thread")
  end)

  it("has methods that name what is wrong", function()
    local t = Thread {target = print}
    helper.refuses_strangers(t, {start = 0, join = 1, name = 0, set_name = 1, daemon = 0,
      set_daemon = 1, ident = 0, native_id = 0, is_alive = 0})
    for _, bad in ipairs {{}, true, print} do
      assert.error_matches(function() t:set_name(bad) end, "name: string expected")
    end
    assert.error_matches(function() t:set_name() end, "name: string expected")
    assert.error_matches(function() t:set_daemon(1) end, "daemon: boolean expected")
    assert.error_matches(function() t:set_daemon() end, "daemon: boolean expected")
  end)
end)

describe("Starting a thread", function()
  it("frees whichever step fails", function()
    local f = load("local e = ...; e:set()", "=made", "t", _G)
    local raised = helper.fail_each_everywhere(function()
      local done = threading.Event()
      local t = Thread {target = f, args = {done, {("x"):rep(200)}}}
      local ok, err = pcall(t.start, t)
      if not ok then
        assert(not t:is_alive())
        for _, thread in ipairs(threading.enumerate()) do assert(not rawequal(t, thread)) end
        error(err, 0)
      end
      t:join()
    end)
    assert.is_true(raised > 3)
  end)

  it("works in threads that threads have started", function()
    local depth = run({}, function()
      local th, q = require "conc.threading", require "conc.queue".SimpleQueue()
      local function nest(n, out, nest_again)
        if n == 20 then
          out:put(n)
        else
          require "conc.threading".Thread {
            target = nest_again, args = {n + 1, out, nest_again}}:start():join()
        end
      end
      th.Thread {target = nest, args = {1, q, nest}}:start():join()
      return q:get(0)
    end)
    assert.equal(20, depth)
  end)

  it("is possible thousands of times, and nothing stays behind #stress", function()
    local n = threading.Value("i", 0)
    local f = helper.portable(function(v) v:add(1) end)
    local rounds = helper.scale(10000)
    for _ = 1, rounds do Thread {target = f, args = {n}}:start():join() end
    assert.equal(rounds, n.value)
    assert.equal(0, core.stats().threads)
  end)

  it("is possible by the hundred at one time", function()
    local go, n = threading.Event(), threading.Value("i", 0)
    local f = helper.portable(function(e, v)
      e:wait()
      v:add(1)
    end)
    local list = {}
    for i = 1, 100 do list[i] = Thread {target = f, args = {go, n}}:start() end
    assert.is_true(threading.active_count() >= 101)
    go:set()
    for _, t in ipairs(list) do t:join() end
    assert.equal(100, n.value)
  end)
end)
