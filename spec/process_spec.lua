local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"

local methods = multiprocessing.get_all_start_methods()

-- A file that a child writes and the parent reads.
local function scratch()
  local path = helper.tmpname()
  return path, function()
    local file = assert(io.open(path))
    local text = file:read "a"
    file:close()
    os.remove(path)
    return text
  end
end

local write = helper.portable(function(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end)

-- A shell that outlives the command, and its death by a signal.
local APART = not helper.windows and "exec sh -c '%s; :'" or nil

-- Run Lua code in an interpreter of its own; what it wrote, and how it ended.
local function run(code, wrap)
  local path = helper.tmpname()
  write(path, code)
  local command = ("%s %s 2>&1"):format(helper.lua, path)
  local pipe = io.popen(wrap and wrap:format(command) or command)
  local text = pipe:read "a"
  local _, how, status = pipe:close()
  os.remove(path)
  return text, how, status
end

local function alive(pid)
  return (os.execute(("kill -0 %d 2>%s"):format(pid, helper.null)))
end

for _, method in ipairs(methods) do
  describe("Process (" .. method .. ")", function()
    local context = multiprocessing.get_context(method)
    local Process = context.Process

    -- The fork server stays; it is made before anything is counted.
    setup(function() Process():start():join() end)

    -- What f(...) returns in a process, as text.
    local function output(f, ...)
      local path, read = scratch()
      local p = Process {
        target = function(g, to, ...)
          local list = table.pack(g(...))
          for i = 1, list.n do list[i] = tostring(list[i]) end
          local file = assert(io.open(to, "w"))
          file:write(table.concat(list, " "))
          file:close()
        end,
        args = table.pack(helper.portable(f), path, ...),
      }
      assert.equal(p, p:start())
      assert.is_true(p:join(helper.patience))
      assert.equal(0, p:exitcode())
      return read()
    end

    it("runs its target with its arguments", function()
      assert.equal("3 nil false x", output(function(a, b, c, d)
        return a + 1, b, c, d
      end, 2, nil, false, "x"))
    end)

    it("takes closures, shared parts and binary strings along", function()
      local n = 40
      local shared = {}
      local t = {shared, shared, ("\0\255"):rep(100000)}
      assert.equal("42 true 200000", output(function(x)
        n = n + 2
        return n, x[1] == x[2], #x[3]
      end, t))
    end)

    it("takes arguments larger than any buffer along", function()
      assert.equal("8388608", output(function(s) return #s end, ("x"):rep(1 << 23)))
    end)

    it("shares what is made for that", function()
      local n, done = multiprocessing.Value("i", 1), multiprocessing.Event()
      local lock = multiprocessing.Lock()
      local list = {}
      for i = 1, 4 do
        list[i] = Process {
          target = function(t, set)
            for _ = 1, 100 do
              local held <close> = t.lock:acquire() -- luacheck: ignore 211
              t.n.value = t.n.value + 1
            end
            set()
          end,
          args = {{n = n, lock = lock}, function() done:set() end},
        }:start()
      end
      assert.is_true(done:wait(helper.patience))
      for i = 1, 4 do
        list[i]:join()
        assert.equal(0, list[i]:exitcode())
      end
      assert.equal(401, n.value)
    end)

    it("lets go of what it has shared when it is killed", function()
      local lock, held = multiprocessing.Lock(), multiprocessing.Event()
      local p = Process {
        target = function(l, e)
          l:acquire()
          e:set()
          require "conc".sleep(100)
        end,
        args = {lock, held},
      }:start()
      assert.is_true(held:wait(helper.patience))
      p:kill()
      p:join()
      local got, word = lock:acquire(helper.patience)
      assert.equal(lock, got)
      assert.equal("abandoned", word)
      lock:release()
    end)

    it("takes classes along, with their methods", function()
      local Point = {}
      Point.__index = Point
      function Point:sum() return self.x + self.y end
      local a = setmetatable({x = 1, y = 2}, Point)
      local b = setmetatable({x = 3, y = 4}, Point)
      assert.equal("3 7 true", output(function(p, q)
        return p:sum(), q:sum(), getmetatable(p) == getmetatable(q)
      end, a, b))
    end)

    it("finds modules where its parent does", function()
      assert.equal(package.path .. " " .. package.cpath, output(function()
        return package.path, package.cpath
      end))
    end)

    it("gets loaders that are Lua functions", function()
      package.preload["spec.preloaded"] = helper.portable(function() return "loaded" end)
      finally(function() package.preload["spec.preloaded"] = nil end)
      assert.equal("loaded", output(function() return (require "spec.preloaded") end))
    end)

    it("does not run the script of its parent", function()
      local text = run(([[
        local mp = require "conc.multiprocessing".get_context %q
        io.write "script\n"
        io.stdout:flush()
        local function hello() print "hello" end
        local p = mp.Process{target = hello}:start()
        p:join()
        print(p:exitcode())
      ]]):format(method))
      assert.equal("script\nhello\n0\n", text)
    end)

    it("has a name, also for debuggers", function()
      local p = Process {name = "worker bee"}
      assert.equal("worker bee", p:name())
      assert.equal("worker bee", output(function()
        local me = require "conc.multiprocessing".current_process()
        me:set_name "worker bee"
        return me:name()
      end))
      local q = Process {
        name = "worker bee",
        target = function(path)
          local file = assert(io.open(path, "w"))
          for line in io.lines "/proc/self/status" do
            if line:find "^Name:" then file:write(line) end
          end
          file:close()
        end,
      }
      q:set_name "other"
      assert.equal("other", q:name())
    end)

    it("numbers those without a name", function()
      local a, b = Process(), Process {name = ""}
      local i = tonumber(a:name():match "^Process%-(%d+)$")
      assert.equal(("Process-%d"):format(i + 1), b:name())
    end)

    it("has the number of its parent's child", function()
      local p = Process {target = function() end}
      assert.is_nil(p:pid())
      local path, read = scratch()
      p = Process {
        target = function(to)
          local me = require "conc.multiprocessing".current_process()
          local file = assert(io.open(to, "w"))
          file:write(me:pid())
          file:close()
        end,
        args = {path},
      }
      p:start():join()
      assert.equal(tostring(p:pid()), read())
      assert.equal(p:pid(), p:ident())
    end)

    it("knows its parent", function()
      local me = multiprocessing.current_process()
      assert.equal(("%s %d true"):format(me:name(), me:pid()), output(function()
        local parent = require "conc.multiprocessing".parent_process()
        return parent:name(), parent:pid(), parent:is_alive()
      end))
      assert.is_nil(multiprocessing.parent_process())
    end)

    it("is alive from start to end", function()
      local p = Process {target = function() require "conc".sleep(100) end}
      assert.is_false(p:is_alive())
      p:start()
      assert.is_true(p:is_alive())
      assert.is_nil(p:exitcode())
      assert.is_nil(p:signal())
      local result, err = p:join(0)
      assert.is_nil(result)
      assert.equal("timeout", err)
      assert.same({nil, "timeout"}, {p:join(0.01)})
      p:kill()
      assert.is_true(p:join())
      assert.is_false(p:is_alive())
      assert.equal(-9, p:exitcode())
      assert.equal("SIGKILL", p:signal())
      p:kill() -- nothing happens any more
    end)

    it("is terminated", function()
      local p = Process {target = function() require "conc".sleep(100) end}:start()
      p:terminate()
      p:join()
      assert.equal(-15, p:exitcode())
      assert.equal("SIGTERM", p:signal())
    end)

    it("ends with the code given to os.exit", function()
      for code, expected in pairs {[0] = 0, [7] = 7, [true] = 0, [false] = 1} do
        local p = Process {target = function(c) os.exit(c) end, args = {code}}:start()
        p:join()
        assert.equal(expected, p:exitcode())
        assert.is_nil(p:signal())
      end
    end)

    it("reports an uncaught error and ends with 1", function()
      local text = run(([[
        local mp = require "conc.multiprocessing".get_context %q
        local function inner() error "no luck" end
        local p = mp.Process{name = "seven", target = function() inner() end}:start()
        p:join()
        print(p:exitcode())
      ]]):format(method))
      assert.matches("uncaught error in process 'seven': .*no luck\nstack traceback:\n", text)
      assert.matches("in upvalue 'inner'", text)
      assert.not_matches("xpcall", text) -- the frames are the program's alone
      assert.matches("\n1\n$", text)
    end)

    it("leaves its last words with its parent, if they are kept", function()
      local text = run(([[
        local mp = require "conc.multiprocessing".get_context %q
        local function talk(n)
          for i = 1, n do io.stderr:write("line ", i, "\n") end
          error "no luck"
        end
        local p = mp.Process{target = talk, args = {1000}, keep_stderr = true}:start()
        p:join()
        print(#p:stderr(), p:stderr():find "line 1000\r?\nuncaught error in process" ~= nil)
        local q = mp.Process{target = os.exit, keep_stderr = true}
        print(q:stderr())
        print(q:start():join(), q:stderr() == "")
        local r = mp.Process{target = os.exit}:start()
        print(r:join(), r:stderr())
        local k = mp.Process{keep_stderr = true, target = function()
          io.stderr:write "before the end"
          require "conc".sleep(100)
        end}:start()
        while k:stderr() ~= "before the end" do require "conc".sleep(0.001) end
        k:kill()
        k:join()
        print(k:stderr())
      ]]):format(method))
      assert.matches("line 1\nline 2\n.*line 1000\nuncaught error.*no luck", text)
      assert.matches("\n4096\ttrue\nnil\ntrue\ttrue\ntrue\tnil\nbefore the endbefore the end\n$",
        text)
    end)

    it("may fail with any value", function()
      local text = run(([[
        local mp = require "conc.multiprocessing".get_context %q
        local odd = "setmetatable({}, {__tostring = function() return 'odd' end})"
        for _, e in ipairs {"nil", "{}", odd} do
          local p = mp.Process{target = load("error(" .. e .. ")")}:start()
          p:join()
          print(p:exitcode())
        end
      ]]):format(method))
      local n = 0
      for _ in text:gmatch "\n1\n" do n = n + 1 end
      assert.equal(3, n)
      assert.matches("odd", text)
    end)

    it("flushes what it wrote", function()
      local text = run(([[
        local mp = require "conc.multiprocessing".get_context %q
        local p = mp.Process{target = function()
          io.write "no end of line"
          io.stderr:write "; "
        end}:start():join()
      ]]):format(method))
      assert.matches("no end of line", text)
    end)

    it("has nothing to read", function()
      assert.equal("nil", output(function() return (io.read "l") end))
    end)

    it("inherits no descriptor but those it needs", function()
      if helper.windows then
        -- Nothing lists handles; but a file that somebody has open is not removed,
        -- and the C library lets programs inherit its files.
        local path, q = helper.tmpname(), context.SimpleQueue()
        local open = assert(io.open(path, "w"))
        local p = Process {target = function(c) c:get() end, args = {q}}:start()
        open:close()
        assert(os.remove(path))
        q:put(true)
        p:join()
        return
      end
      if not io.open "/proc/self/fd/0" then return pending "no /proc" end
      local file <close> = assert(io.open "/dev/null") -- luacheck: ignore 211
      local text = output(function()
        local list <close> = io.popen("ls -l /proc/$PPID/fd")
        return list:read "a"
      end)
      -- Beside the standard ones: its channel, the heap, the watcher, and the
      -- pipe to ls.
      local sockets = 0
      for number, to in text:gmatch " (%d+) %-> ([^\n]+)" do
        if tonumber(number) > 2 then
          assert(to:find "^socket:" or to:find "^/memfd:conc" or to:find "^/dev/shm/conc"
            or to:find "eventpoll" or to:find "^pipe:", text)
          if to:find "^socket:" then sockets = sockets + 1 end
        end
      end
      assert.equal(1, sockets, text)
    end)

    it("runs beside its brothers", function()
      local list = {}
      for i = 1, 20 do
        list[i] = Process {target = function(c) os.exit(c) end, args = {i}}:start()
      end
      for i, p in ipairs(list) do
        p:join()
        assert.equal(i, p:exitcode())
      end
    end)

    it("is in a process group that is not the terminal's", function()
      helper.not_on_windows "nothing tells a process's group"
      local stat = io.open "/proc/self/stat"
      if not stat then return pending "no /proc" end
      local function group(file) return file:read "a":match "^%d+ %b() %S %d+ (%d+)" end
      local ours = group(stat)
      stat:close()
      local theirs = output(function()
        local file <close> = io.open "/proc/self/stat"
        return file:read "a":match "^%d+ %b() %S %d+ (%d+)"
      end)
      assert.not_equal(ours, theirs)
    end)

    it("has its name in the list of processes", function()
      helper.not_on_windows "the list has the names of programs"
      local p = Process {
        name = "busy bee",
        target = function() require "conc".sleep(100) end,
      }:start()
      local function comm()
        local file <close> = io.open(("/proc/%d/comm"):format(p:pid()))
        return file and file:read "l" == "busy bee"
      end
      if io.open "/proc/self/comm" then helper.eventually(comm, "the name") end
      p:kill()
      p:join()
    end)

    it("has an event for its end", function()
      local p = Process {target = function() require "conc".sleep(100) end}:start()
      local sentinel = p:sentinel()
      assert.is_false(sentinel:is_set())
      assert.is_false((sentinel:wait(0.01)))
      p:kill()
      assert.is_true(sentinel:wait(helper.patience))
      assert.is_false(p:is_alive())
    end)

    it("has a sentinel that is set when join has returned", function()
      for _ = 1, helper.scale(100) do
        local p = Process():start()
        local sentinel = p:sentinel()
        p:join()
        assert.is_true(sentinel:is_set())
      end
    end)

    it("is joined by several threads", function()
      local p = Process {target = function() require "conc".sleep(100) end}:start()
      local ends = {}
      for i = 1, 4 do
        ends[i] = helper.thread(function(q) return q:join(), q:exitcode() end, p)
      end
      p:kill()
      for i = 1, 4 do assert.same({true, -9}, {ends[i]()}) end
    end)

    it("runs threads, and waits for them", function()
      local path, read = scratch()
      local p = Process {
        target = function(to)
          require "conc.threading".Thread {
            target = function(where)
              require "conc".sleep(0.05)
              local file = assert(io.open(where, "w"))
              file:write "done"
              file:close()
            end,
            args = {to},
          }:start()
        end,
        args = {path},
      }:start()
      p:join()
      assert.equal(0, p:exitcode())
      assert.equal("done", read())
    end)

    it("has children of its own, and waits for them", function()
      local path, read = scratch()
      local p = Process {
        name = "outer",
        target = function(to, how)
          local mp = require "conc.multiprocessing".get_context(how)
          mp.Process {
            target = function(where)
              require "conc".sleep(0.05)
              local me = require "conc.multiprocessing".current_process()
              local file = assert(io.open(where, "w"))
              file:write(me:name())
              file:close()
            end,
            args = {to},
          }:start()
        end,
        args = {path, method},
      }:start()
      p:join()
      assert.equal(0, p:exitcode())
      assert.equal("outer:1", read())
    end)

    it("ends when its parent is killed", function()
      local path, read = scratch()
      local _, how = run(([[
        local mp = require "conc.multiprocessing".get_context %q
        local p = mp.Process{target = function() require "conc".sleep(100) end}:start()
        local file = io.open(%q, "w")
        file:write(p:pid())
        file:close()
        os.execute("kill -9 " .. mp.current_process():pid())
        while true do end
      ]]):format(method, path), APART)
      assert.is_truthy(how)
      local pid = tonumber(read())
      local t = conc.time()
      helper.eventually(function() return not alive(pid) end, "the orphan's end")
      assert.is_true(conc.time() - t < 10)
    end)

    it("ends a busy child when its parent is killed", function()
      local path, read = scratch()
      run(([[
        local mp = require "conc.multiprocessing".get_context %q
        local p = mp.Process{target = function() while true do end end}:start()
        local file = io.open(%q, "w")
        file:write(p:pid())
        file:close()
        os.execute("kill -9 " .. mp.current_process():pid())
        while true do end
      ]]):format(method, path), APART)
      local pid = tonumber(read())
      helper.eventually(function() return not alive(pid) end, "the orphan's end")
    end)

    it("ends a child that another thread started when its parent is killed", function()
      local path, read = scratch()
      run(([[
        local conc = require "conc"
        conc.threading.Thread{target = function(method, path)
          local mp = require "conc.multiprocessing".get_context(method)
          local p = mp.Process{target = function() while true do end end}:start()
          local file = io.open(path, "w")
          file:write(p:pid())
          file:close()
        end, args = {%q, %q}}:start():join()
        os.execute("kill -9 " .. conc.multiprocessing.current_process():pid())
        while true do end
      ]]):format(method, path), APART)
      local pid = tonumber(read())
      helper.eventually(function() return not alive(pid) end, "the orphan's end")
    end)

    it("runs the finalizers of its state at its end", function()
      local path, read = scratch()
      local p = Process {
        target = helper.portable(function(to)
          rawset(_G, "kept", setmetatable({}, {__gc = function()
            local text = {}
            for i = 1, 1000 do text[i] = ("%99d\n"):format(i) end
            local file = assert(io.open(to, "w"))
            file:write(table.concat(text))
            file:close()
          end}))
        end),
        args = {path},
      }:start()
      p:join()
      assert.equal(0, p:exitcode())
      assert.equal(100000, #read())
    end)

    it("is terminated when Ctrl-C ends the program in a wait", function()
      local t = conc.time()
      local text, how, status = run(([[
        local conc = require "conc"
        local mp = conc.multiprocessing.get_context %q
        local q = mp.Queue()
        mp.Process{target = function(to)
          to:put(1)
          require "conc".sleep(100)
        end, args = {q}}:start()
        local thread = conc.threading.Thread{target = function() require "conc".sleep(100) end}
        thread:start()
        local pool <close> = mp.Pool(1)
        local r = pool:apply_async(function(to)
          to:put(1)
          require "conc".sleep(100)
        end, {q})
        for _ = 1, 2 do q:get() end
        local kill = "kill -INT " .. mp.current_process():pid()
        local later = conc.threading.Timer(0.2, function()
          io.popen(kill):close() -- while os.execute runs, it would be ignored
        end)
        later:set_daemon(true)
        later:start()
        r:get()
      ]]):format(method), helper.windows and "hear %s" or "exec %s")
      assert.matches("interrupted!", text)
      assert.same({"exit", 1}, {how, status})
      assert.is_true(conc.time() - t < 50)
    end)

    it("does not mind which standard streams its parent has closed", function()
      for _, closed in ipairs(helper.windows and {"0", "1", "2", "012"} or
        {"<&-", ">&-", "2>&-", "<&- >&- 2>&-"}) do
        local path, read = scratch()
        run(([[
          local mp = require "conc.multiprocessing".get_context %q
          local q = mp.Queue()
          local p = mp.Process{target = function(to)
            print "scribble"
            io.stdout:flush()
            to:put(tostring(io.read()))
          end, args = {q}}:start()
          print "scribble"
          io.stdout:flush()
          local seen = q:get(10)
          p:join()
          local file = io.open(%q, "a")
          file:write(seen, " ", p:exitcode())
          file:close()
        ]]):format(method, path),
          helper.windows and ("without %s %%s"):format(closed) or "%s " .. closed)
        assert.matches("nil 0$", read(), nil, nil, closed)
      end
    end)

    it("is joined at the end of the program, unless it is a daemon", function()
      local text = run(([[
        local mp = require "conc.multiprocessing".get_context %q
        local function wait(s) require "conc".sleep(s) print(s) end
        mp.Process{target = wait, args = {0.2}}:start()
        mp.Process{target = wait, args = {100}, daemon = true}:start()
        print "end"
      ]]):format(method))
      assert.equal("end\n0.2\n", text)
    end)

    it("as a daemon may not have children", function()
      assert.matches("daemonic processes may not have children", output(function(path)
        local mp = require "conc.multiprocessing"
        assert(not mp.current_process():daemon())
        local p = mp.Process {
          daemon = true,
          target = function(to)
            local m = require "conc.multiprocessing"
            local _, err = pcall(function() m.Process():start() end)
            local file = assert(io.open(to, "w"))
            file:write(tostring(err))
            file:close()
          end,
          args = {path},
        }:start()
        p:join()
        local file = assert(io.open(path))
        local text = file:read "a"
        file:close()
        os.remove(path)
        return text
      end, helper.tmpname()))
    end)

    it("is interrupted like a program by Ctrl-C", function()
      local path, read = scratch()
      local p = Process {
        target = function(to)
          local file = assert(io.open(to, "w"))
          local ok, err = pcall(function()
            file:write "waiting\n"
            file:flush()
            require "conc".sleep(100)
          end)
          file:write(tostring(ok), " ", (tostring(err):gsub("^.*: ", "")))
          file:close()
        end,
        args = {path},
      }:start()
      helper.eventually(function()
        local file <close> = io.open(path)
        return file and file:read "l" == "waiting"
      end)
      p:interrupt()
      p:join()
      assert.equal(0, p:exitcode())
      assert.equal("waiting\nfalse interrupted!", read())
    end)

    it("leaves nothing when memory fails", function()
      helper.fail_each(function()
        return Process {target = helper.portable(function(x) return x end), args = {{1, "two"}}}
      end)
    end)

    it("leaves nothing when memory fails at its start", function()
      local p
      helper.fail_each_everywhere(function()
        p = nil
        p = Process():start()
        p:join()
      end)
    end)
  end)
end

describe("Process", function()
  local Process = multiprocessing.Process

  it("refuses in the caller what cannot travel, and says where", function()
    local cases = {
      {{coroutine.create(function() end)}, "args[1]: cannot send a coroutine"},
      {{{a = {coroutine.create(print)}}}, "args[1].a[1]: cannot send a coroutine"},
      {{1, {lock = core.Lock()}},
        "args[2].lock: a threading.Lock cannot leave the process; use multiprocessing.Lock"},
      {{core.Queue()},
        "args[1]: a queue.Queue cannot leave the process; use multiprocessing.Queue"},
      {{core.Thread {target = print}}, "args[1]: a Thread cannot leave the process"},
      {{multiprocessing.current_process()}, "args[1]: a Process cannot leave the process"},
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(Process, {target = print, args = case[1]})
      assert.is_false(ok)
      assert.is_truthy(err:find(case[2], 1, true), err)
    end
    local lock = core.Lock()
    local _, err = pcall(Process, {target = function() return lock end})
    assert.is_truthy(err:find("target (upvalue 'lock'): a threading.Lock cannot", 1, true), err)
  end)

  it("refuses a class that holds what cannot travel, also when it is known", function()
    local Class = {lock = core.Lock()}
    Class.__index = Class
    assert.is_true(conc.sendable(setmetatable({}, Class)))
    local ok, err = pcall(Process, {target = print, args = {setmetatable({}, Class)}})
    assert.is_false(ok)
    assert.matches("a class holds a Lock, which cannot leave the process", err)
  end)

  it("refuses bad options", function()
    local cases = {
      {{target = 1}, "target: function expected, got number"},
      {{args = {}}, "target: function expected, got nil"},
      {{target = print, args = 1}, "args: table expected, got number"},
      {{name = 1}, "name: string expected, got number"},
      {{name = "a\0b"}, "name: must not hold a zero byte"},
      {{daemon = 1}, "daemon: boolean expected, got number"},
      {{keep_stderr = 1}, "keep_stderr: boolean expected, got number"},
      {{group = 1}, "unknown option 'group'"},
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(Process, case[1])
      assert.is_false(ok)
      assert.is_truthy(err:find(case[2], 1, true), err)
    end
  end)

  it("refuses misuse", function()
    local p = Process()
    for _, name in ipairs {"join", "kill", "terminate", "interrupt", "sentinel"} do
      assert.error_matches(function() p[name](p) end, "before it is started")
    end
    p:start()
    assert.error_matches(function() p:start() end, "can only be started once")
    assert.error_matches(function() p:set_daemon(true) end, "the process was started")
    p:join()
    assert.error_matches(function() p:start() end, "can only be started once")
    local me = multiprocessing.current_process()
    assert.error_matches(function() me:join() end, "cannot join the current process")
    assert.error_matches(function() me:kill() end, "no child")
    assert.error_matches(function() me:start() end, "can only be started once")
    helper.refuses_timeouts(function(t) return p:join(t) end)
    helper.refuses_strangers(p, {
      start = 0, join = 1, name = 0, set_name = 1, daemon = 0, set_daemon = 1,
      pid = 0, ident = 0, is_alive = 0, exitcode = 0, signal = 0, interrupt = 0,
      terminate = 0, kill = 0, sentinel = 0, stderr = 0,
    })
  end)

  it("can be closed when it has ended", function()
    local p = Process {target = function() require "conc".sleep(100) end}:start()
    assert.error_matches(function() p:close() end, "while it runs")
    p:kill()
    p:join()
    p:close()
    p:close()
    assert.error_matches(function() p:exitcode() end, "is closed")
    assert.error_matches(function() p:join() end, "is closed")
  end)

  it("is listed while it runs", function()
    assert.same({}, multiprocessing.active_children())
    local p = Process {target = function() require "conc".sleep(100) end}
    assert.same({}, multiprocessing.active_children())
    p:start()
    local q = Process {target = function() require "conc".sleep(100) end}:start()
    local list = multiprocessing.active_children()
    assert.equal(2, #list)
    assert.equal(p, list[1])
    assert.equal(q, list[2])
    p:kill()
    p:join()
    assert.equal(q, multiprocessing.active_children()[1])
    q:kill()
    q:join()
    assert.same({}, multiprocessing.active_children())
  end)

  it("tells what it is", function()
    local p = Process {name = "x", daemon = true, target = print}
    assert.equal("Process(x, initial, daemon)", tostring(p))
    assert.is_true(p:daemon())
    p:set_daemon(false)
    assert.equal("Process(x, initial)", tostring(p))
    p:start()
    p:join()
    assert.equal("Process(x, stopped)", tostring(p))
    assert.matches("^Process%(MainProcess, started%)$",
      tostring(multiprocessing.current_process()))
  end)

  it("waits end when the waiter is interrupted", function()
    local lines = helper.interrupted [[
      local mp = require "conc.multiprocessing"
      local p = mp.Process{target = function() require "conc".sleep(100) end}:start()
      interrupted(p.join, p)
      print(p:is_alive())
      p:kill()
    ]]
    assert.same({"interrupted!", "true"}, lines)
  end)
end)

describe("The interpreter of child processes", function()
  it("is the one that is set, and no other", function()
    for _, path in ipairs {"/nonexistent/lua", "/dev/null", "/bin/true", "no-such-lua"} do
      local text = run(([[
        local mp = require "conc.multiprocessing"
        mp.set_executable(%q)
        print(pcall(function() mp.Process():start() end))
      ]]):format(path))
      assert.is_truthy(text:find("^false\tno Lua 5.4 interpreter for child processes"), text)
      assert.is_truthy(text:find(path, 1, true), text)
    end
  end)

  it("may be named in the environment", function()
        local text = run([[
      local mp = require "conc.multiprocessing"
      print(pcall(function() mp.Process():start() end))
    ]], helper.windows and "set CONC_LUA=/nonexistent&& %s" or "CONC_LUA=/nonexistent %s")
    assert.is_truthy(text:find("\n\t/nonexistent: ", 1, true), text)
  end)

  it("is found without help", function()
    if helper.windows then
      -- It is called lua there, and is on PATH.
      local code = [[
        local mp = require "conc.multiprocessing"
        if SET then mp.set_executable(SET) end
        mp.Process{target = print, args = {"found"}}:start():join()
      ]]
      local name = os.getenv "CONC_LUA":match "([^\\/]+)%.exe$"
      assert.equal("found\n", run(("SET = %q "):format(name) .. code, "set CONC_LUA=&& %s"))
      assert.equal("found\n", run(code, "set CONC_LUA=&& %s"))
      return
    end
    -- Where lua5.4 is what CONC_LUA names (a sanitizer's needs a wrapper).
    local folder = helper.tmpname()
    os.remove(folder)
    os.execute("mkdir " .. folder)
    os.execute(("ln -s '%s' %s/lua5.4"):format(os.getenv "CONC_LUA", folder))
    finally(function() os.execute("rm -r " .. folder) end)
    local code = [[
      local mp = require "conc.multiprocessing"
      if SET then mp.set_executable "lua5.4" end -- without a folder: looked for on PATH
      mp.Process{target = print, args = {"found"}}:start():join()
    ]]
    local path = "env -u CONC_LUA PATH=" .. folder .. ":$PATH %s"
    assert.equal("found\n", run("SET = true " .. code, path))
    if not os.getenv "CONC_LUA":find "san/bin" then
      assert.equal("found\n", run(code, path)) -- the one that runs us
    end
  end)
end)

describe("Start methods", function()
  if helper.windows then
    it("are spawn only, on Windows", function()
      assert.same({"spawn"}, multiprocessing.get_all_start_methods())
      assert.error_matches(function() multiprocessing.get_context "forkserver" end,
        "'spawn' expected")
    end)
    return
  end

  it("are spawn and forkserver", function()
    assert.same({"spawn", "forkserver"}, multiprocessing.get_all_start_methods())
    assert.equal("spawn", multiprocessing.get_start_method())
    assert.is_nil(multiprocessing.get_start_method(true))
  end)

  it("are chosen once", function()
    local text = run [[
      local mp = require "conc.multiprocessing"
      mp.set_start_method "forkserver"
      print(mp.get_start_method())
      local function refused(...) print((select(2, pcall(...)):gsub("^.-:%d+: ", ""))) end
      refused(mp.set_start_method, "spawn")
      mp.set_start_method("spawn", true)
      print(mp.get_start_method(true))
      refused(mp.set_start_method, "fork", true)
      refused(mp.get_context, "fork")
      mp.Process{target = function()
        print(require "conc.multiprocessing".get_start_method(true))
      end}:start():join()
    ]]
    assert.equal("forkserver\nthe start method has been set before\nspawn\n"
      .. "bad argument #1 to 'set_start_method' (method: 'spawn' or 'forkserver' "
      .. "expected, got 'fork')\nbad argument #1 to 'get_context' (method: 'spawn' "
      .. "or 'forkserver' expected, got 'fork')\nspawn\n", text)
  end)

  it("have contexts with the whole module", function()
    local context = multiprocessing.get_context "forkserver"
    assert.equal(multiprocessing.current_process, context.current_process)
    assert.equal("forkserver", context.get_start_method())
    assert.equal(context, multiprocessing.get_context "forkserver")
    assert.equal(multiprocessing, multiprocessing.get_context())
  end)

  it("forkserver loads modules ahead", function()
    local text = run [[
      local mp = require "conc.multiprocessing".get_context "forkserver"
      mp.set_forkserver_preload {"conc.futures"}
      local function ask() print(package.loaded["conc.futures"] ~= nil) end
      mp.Process{target = ask}:start():join()
      print(pcall(mp.set_forkserver_preload, {1}))
    ]]
    assert.matches("^true\nfalse\t.*names%[1%]: string expected, got number", text)
  end)

  it("forkserver survives the death of its server", function()
    local text = run [[
      local mp = require "conc.multiprocessing".get_context "forkserver"
      local path = os.tmpname()
      local p = mp.Process{target = function(to)
        local file = io.open(to, "w")
        file:write(io.open "/proc/self/stat":read "a":match "^%d+ %b() %S (%d+)")
        file:close()
        require "conc".sleep(100)
      end, args = {path}}:start()
      local server
      while not server do
        require "conc".sleep(0.01)
        server = tonumber(io.open(path):read "a")
      end
      os.remove(path)
      os.execute("kill -9 " .. server)
      local q = mp.Process{target = function() os.exit(3) end}
      require "conc".sleep(0.1)
      q:start():join()
      print(q:exitcode(), p:is_alive())
      p:terminate()
      print(p:join(10), p:exitcode())
    ]]
    assert.equal("3\ttrue\ntrue\t255\n", text)
  end)
end)
