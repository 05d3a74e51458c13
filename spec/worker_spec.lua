local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- f(...) in another state.
local function there(f, ...)
  return helper.thread(f, ...)()
end

local function quiet(pipe)
  local text = pipe:read "a"
  local _, how, code = pipe:close()
  return text, how .. " " .. code
end

-- The file 'name' holds 'text' while f(name) runs.
local function with_file(text, f)
  local name = helper.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  local results = table.pack(pcall(f, name))
  os.remove(name)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local interpreter = helper.lua

-- A script in a process of its own: stdout and stderr, and how it ended.
local function script(text, redirect)
  return with_file(text, function(name)
    return quiet(assert(io.popen(("%s %s %s <%s"):format(interpreter, name,
      redirect or "2>&1", helper.null))))
  end)
end

describe("A worker's state", function()
  it("has the parent's package.path, cpath and config", function()
    local path, cpath = package.path, package.cpath
    package.path = path .. ";/nowhere/?.lua"
    package.cpath = cpath .. ";/nowhere/?.so"
    local t = there(function() return {package.path, package.cpath, package.config} end)
    assert.same({package.path, package.cpath, package.config}, t)
    package.path, package.cpath = path, cpath
    assert.same({path, cpath}, there(function() return {package.path, package.cpath} end))
  end)

  it("has the parent's arg", function()
    assert.same(arg, there(function() return arg end))
  end)

  it("has what was preloaded, as it is when the thread is made", function()
    local function preload(n)
      local text = "return {n = " .. n .. ", ...}"
      package.preload["spec.preloaded"] = assert(load(text, "=p", "t", _G))
    end
    for n = 1, 3 do
      preload(n)
      local m = there(function()
        local once = require "spec.preloaded"
        assert(once == require "spec.preloaded")
        return {once.n, once[1]}
      end)
      assert.same({n, "spec.preloaded"}, m)
    end
    package.preload["spec.preloaded"] = nil
    assert.is_false(there(function() return (pcall(require, "spec.preloaded")) end))
  end)

  it("loads nothing that is not asked for", function()
    assert.is_nil(there(function() return package.loaded["conc.threading"] end))
  end)

  it("has conc, as a module that is there already", function()
    assert.is_true(there(function()
      return require "conc.core" == require "conc.core" and
        require "conc".threading == require "conc.threading"
    end))
  end)

  it("hands path and arg on to its own threads", function()
    local path = there(function()
      package.path = package.path .. ";/deeper/?.lua"
      local q = require "conc.queue".SimpleQueue()
      require "conc.threading".Thread {
        target = function(out) out:put(package.path) end, args = {q}}:start():join()
      return q:get(0)
    end)
    assert.equal(package.path .. ";/deeper/?.lua", path)
  end)

  it("warns as the stock one does", function()
    assert.equal("Lua warning: one two\nLua warning: @three four\n", (script [[
      require "conc.threading".Thread {target = function()
        warn "silent"
        warn "@on"
        warn "@what is unknown does nothing"
        warn("one", " two")
        warn("@three", " four")
        warn "@off"
        warn "silent"
      end}:start():join()
    ]]))
    assert.equal("Lua warning: one two\nLua warning: @three four\n", (script [[
      warn "@on"
      warn "@what is unknown does nothing"
      warn("one", " two")
      warn("@three", " four")
    ]]))
  end)

  it("is fresh for each Thread", function()
    for _ = 1, 5 do
      assert.is_nil(there(function()
        local old = rawget(_G, "mark") or rawget(string, "mark")
        rawset(_G, "mark", true)
        rawset(string, "mark", true)
        return old
      end))
      assert.is_nil(rawget(string, "mark"))
    end
  end)

  it("loads C modules, one at a time, in all threads at once", function()
    if not pcall(require, "lfs") then return pending "needs lfs" end
    local begin = threading.Barrier(6)
    local oks = helper.threads(6, function(_, barrier)
      barrier:wait()
      return require "lfs".attributes(".", "mode")
    end, begin)
    assert.same({"directory", "directory", "directory", "directory", "directory", "directory"}, oks)
  end)

  it("says why a module could not be loaded", function()
    local ok, err = there(function() return pcall(require, "no.such.module") end)
    assert.is_false(ok)
    assert.matches("module 'no.such.module' not found", err)
    with_file("error 'broken'", function(name)
      local good, message = there(function(n)
        package.path = n
        return pcall(require, "broken")
      end, name)
      assert.is_false(good)
      assert.matches("broken$", message)
    end)
  end)
end)

describe("os.exit in a worker", function()
  it("raises a SystemExit with the code", function()
    local codes = there(function()
      local list = {}
      local Error = require "conc".Error
      for i, code in ipairs {0, 7, true, false} do
        local ok, e = pcall(os.exit, code)
        assert(not ok and Error.is(e, "SystemExit"))
        list[i] = e.code
      end
      local _, e = pcall(os.exit)
      list[5] = e.code
      _, e = pcall(os.exit, 3, true)
      list[6] = e.code
      return list
    end)
    assert.same({0, 7, 0, 1, 0, 3}, codes)
  end)

  it("runs the <close> variables on its way", function()
    local q = queue.SimpleQueue()
    local t = threading.Thread {target = helper.portable(function(out)
      local _ <close> = setmetatable({}, {__close = function() out:put "closed" end})
      os.exit(1)
    end), args = {q}}:start()
    t:join()
    assert.equal("closed", q:get(0))
  end)
end)

describe("Output of several threads", function()
  local text = [[
    local threading = require "conc.threading"
    local list = {}
    for i = 1, 8 do
      list[i] = threading.Thread{target = function(n)
        local a, b = ("a"):rep(20), ("b"):rep(20)
        for k = 1, 500 do WRITE end
      end, args = {i}}:start()
    end
    for _, t in ipairs(list) do t:join() end]]

  for what, call in pairs {
    ["print"] = [[print(n, a, b, k, a, b, n)]],
    ["io.write"] = [[
      io.write(n, "\t", a, "\t", b, "\t", k, "\t", a, "\t", b, "\t", n, "\n")]],
    ["file:write"] = [[
      io.stdout:write(n, "\t", a, "\t", b, "\t", k, "\t", a, "\t", b, "\t", n, "\n")]],
  } do
    it("is whole: what one call of " .. what .. " writes stays together", function()
      local out, how = script((text:gsub("WRITE", call)))
      assert.equal("exit 0", how)
      local seen, lines = {}, 0
      local pattern = ("^(%%d)\t%s\t%s\t(%%d+)\t%s\t%s\t(%%d)$"):format(("a"):rep(20),
        ("b"):rep(20), ("a"):rep(20), ("b"):rep(20))
      for line in out:gmatch "[^\n]*\n?" do
        if line ~= "" then
          local n, k, again = line:gsub("\n$", ""):match(pattern)
          assert.is_truthy(n, line)
          assert.equal(n, again)
          assert.equal((seen[n] or 0) + 1, math.tointeger(tonumber(k)))
          seen[n] = math.tointeger(tonumber(k))
          lines = lines + 1
        end
      end
      assert.equal(4000, lines)
    end)
  end

  it("is what the stock functions write", function()
    local values = [[1, -0.0, 1e100, 0.1, 2^53, math.maxinteger, "x\0y", 1/0]]
    local call = ("io.write(%s) io.write() io.stdout:write(%s):write('\\n') print(%s) print() "
      .. "print(nil, true, setmetatable({}, {__tostring = function() return 'obj' end}))")
      :format(values, values, values)
    local stock = script(call)
    local worker = script(("local f = function() %s end "
      .. "require 'conc.threading'.Thread{target = f}:start():join()"):format(call))
    assert.equal(stock, worker)
    assert.is_true(#stock > 100)
  end)

  it("is refused and reported as by the stock functions", function()
    assert.is_true(there(function()
      local ok1, e1 = pcall(io.write, "", {})
      local ok2, e2 = pcall(io.stdout.write, io.stdout, "", {})
      local ok3, e3 = pcall(print, setmetatable({}, {__tostring = function() return {} end}))
      local file = io.tmpfile()
      local ok4 = file:write("a", 1, "b") == file
      file:seek "set"
      local got = file:read "a"
      file:close()
      local ok5 = pcall(file.write, file, "a", "b")
      return not ok1 and e1:find "string expected, got table" and
        not ok2 and e2:find "string expected, got table" and
        not ok3 and e3:find "'__tostring' must return a string" and
        ok4 and got == "a1b" and not ok5
    end))
  end)

  it("goes where io.output says", function()
    assert.equal("one2", there(function()
      local file = io.tmpfile()
      local old = io.output()
      io.output(file)
      io.write("one", 2)
      io.output(old)
      file:seek "set"
      local text_of_file = file:read "a"
      file:close()
      return text_of_file
    end))
  end)
end)

describe("The end of a program", function()
  local begin = [[
    local conc = require "conc"
    local threading = conc.threading
    local ready = conc.queue.SimpleQueue()
    io.stdout:setvbuf "line"
    local function start(daemon, f)
      threading.Thread{daemon = daemon, target = function(g, q, ...)
        q:put(true)
        g(...)
      end, args = {f, ready, conc}}:start()
      ready:get()
    end
  ]]
  local works = [[start(false, function(c) c.sleep(0.05) print "worked" end)]]
  local waits = [[start(true, function(c) c.queue.SimpleQueue():get() print "never" end)]]
  local spins = [[start(true, function() while true do end end)]]

  it("joins the threads that are no daemons", function()
    assert.same({"main\nworked\n", "exit 0"}, {script(begin .. works .. " print 'main'")})
  end)

  it("joins threads that were started by threads", function()
    local out, how = script(begin .. [[
      start(false, function(c)
        c.sleep(0.02)
        c.threading.Thread{target = function(d) d.sleep(0.02) print "child" end, args = {c}}:start()
        print "parent"
      end)]])
    assert.equal("exit 0", how)
    assert.matches("child\n", out)
    assert.matches("parent\n", out)
  end)

  it("refuses to pack for finalizers that come after conc's own: an error, no crash", function()
    local out, how = script [[
      local conc
      keep = setmetatable({}, {__gc = function()
        for _, v in ipairs {{}, {1, {2}}, print} do print(pcall(conc.sendable, v)) end
      end})
      conc = require "conc"
    ]]
    assert.equal("exit 0", how)
    local _, n = out:gsub("conc: this state is closing", "")
    assert.equal(3, n, out)
  end)

  it("refuses to start threads when only daemons are left: an error, no crash", function()
    local out, how = script(begin .. [[
      start(true, function(c)
        pcall(c.sleep, 1e9)
        print(pcall(function() c.threading.Thread{target = print}:start() end))
      end)]])
    assert.equal("exit 0", how)
    assert.matches("cannot start a thread: the state is closing", out)
  end)

  it("leaves daemons behind, waiting or busy, silently", function()
    assert.same({"", "exit 0"}, {script(begin .. waits)})
    assert.same({"", "exit 0"}, {script(begin .. spins)})
    assert.same({"worked\n", "exit 0"}, {script(begin .. waits .. spins .. works)})
  end)

  it("is an error in the main chunk, with live threads", function()
    for _, more in ipairs {"", waits, spins} do
      local out, how = script(begin .. more .. works .. " error 'mine'")
      assert.equal("exit 1", how)
      local rest, n = out:gsub("worked\n", "") -- it may come in between
      assert.equal(1, n)
      assert.matches("mine\nstack traceback", rest)
    end
  end)

  it("is os.exit with close: like the end of the script, with its code", function()
    assert.same({"worked\n", "exit 3"}, {script(begin .. waits .. spins .. works ..
      " os.exit(3, true)")})
    assert.same({"", "exit 1"}, {script(begin .. waits .. " os.exit(false, true)")})
  end)

  it("is os.exit without close: at once, with its code", function()
    assert.same({"", "exit 3"}, {script(begin .. waits .. spins .. [[
      start(false, function(c) c.queue.SimpleQueue():get() end)
      os.exit(3)]])})
    assert.same({"", "exit 0"}, {script(begin .. waits .. " os.exit(true)")})
  end)

  it("may come while threads die, start and put", function()
    for _ = 1, helper.scale(10) do
      local out, how = script(begin .. "local rounds = " .. helper.scale(200) .. [[
        local q = conc.queue.SimpleQueue()
        for i = 1, 8 do
          start(i % 2 == 0, function(c)
            for n = 1, rounds do
              local queue = c.queue.SimpleQueue()
              local ok = pcall(function()
                local t = c.threading.Thread{target = function(k) k:put {n} end, args = {queue}}
                t:start():join()
              end)
              if not ok then return end
            end
          end)
        end]])
      assert.same({"", "exit 0"}, {out, how})
    end
  end)

  it("may come with finalizers that use what is there", function()
    assert.same({"done\n", "exit 0"}, {script [[
      local conc = require "conc"
      local q = conc.queue.SimpleQueue()
      local lock = conc.threading.Lock()
      local t = conc.threading.Thread{target = function() end}
      setmetatable({}, {__gc = function()
        pcall(q.put, q, {1})
        pcall(lock.acquire, lock)
        pcall(t.start, t)
        pcall(conc.sleep, 0)
        print "done"
      end})]]})
  end)
end)

describe("Ctrl-C", function()
  -- Run a script that says ready() and waits; then it is interrupted.  (Should
  -- the signal come first, the wait that follows must end all the same.)
  local function interrupt(text)
    return with_file(text, function(name)
      local child, pid = helper.start(("%s %s <%s"):format(interpreter, name, helper.null))
      assert.equal("ready", child:read "l")
      conc.sleep(0.05) -- it comes to its wait
      helper.interrupt(pid)
      return quiet(child)
    end)
  end

  local begin = [[
    local conc = require "conc"
    local threading, queue = conc.threading, conc.queue
    local function ready() print "ready" io.stdout:flush() end
    local function never() return threading.Event() end
    local function hang(e) e:wait() end
    local stuck = threading.Thread{daemon = true, target = hang, args = {never()}}
    -- Somebody who could still act: these waits are not deadlocks.
    threading.Thread{daemon = true, target = conc.sleep, args = {1000}}:start()
  ]]
  local waits = {
    ["Queue:get"] = "local q = queue.Queue() ready() q:get()",
    ["Queue:get with a timeout"] = "local q = queue.Queue() ready() q:get(1000)",
    ["Queue:put"] = "local q = queue.Queue(1) q:put(1) ready() q:put(2)",
    ["Queue:join"] = "local q = queue.Queue() q:put(1) ready() q:join()",
    ["SimpleQueue:get"] = "local q = queue.SimpleQueue() ready() q:get()",
    ["Lock:acquire"] = "local l = threading.Lock() l:acquire() ready() l:acquire()",
    ["RLock:acquire"] = [[
      local l, held = threading.RLock(), threading.Event()
      threading.Thread{daemon = true, target = function(k, e, s) k:acquire() s:set() e:wait() end,
        args = {l, never(), held}}:start()
      held:wait() ready() l:acquire()]],
    ["Semaphore:acquire"] = "local s = threading.Semaphore(0) ready() s:acquire()",
    ["BoundedSemaphore:acquire"] = [[
      local s = threading.BoundedSemaphore(1) s:acquire() ready() s:acquire()]],
    ["Condition:wait"] = "local c = threading.Condition() c:acquire() ready() c:wait()",
    ["Event:wait"] = "local e = threading.Event() ready() e:wait()",
    ["Barrier:wait"] = "local b = threading.Barrier(2) ready() b:wait()",
    ["Thread:join"] = "stuck:start() ready() stuck:join()",
    ["sleep"] = "ready() conc.sleep(1000)",
    ["Future:result"] = [[
      local ex = conc.futures.ThreadPoolExecutor(1)
      local go = never()
      local f = ex:submit(function(e) e:wait() end, go)
      ready()
      local ok, err = pcall(f.result, f)
      go:set()
      error(err, 0)]],
  }

  for what, text in pairs(waits) do
    it("ends " .. what, function()
      local out, how = interrupt(begin .. text)
      assert.equal("exit 1", how)
      assert.matches("interrupted!", out)
    end)
  end

  it("is an error that can be caught: the program goes on", function()
    local out, how = interrupt(begin .. [[
      local q = queue.Queue()
      ready()
      local ok, err = pcall(q.get, q)
      q:put "more"
      io.write(tostring(ok), " ", tostring(err), " ", q:get(), "\n")
      io.stdout:flush()
      os.exit(5)]])
    assert.matches("^false .*interrupted! more\n", out)
    assert.equal("exit 5", how)
  end)

  it("ends a wait in a coroutine, once", function()
    local out, how = interrupt(begin .. [[
      local q = queue.Queue()
      local co = coroutine.create(function() return q:get() end)
      ready()
      local ok, err = coroutine.resume(co)
      local sum = 0
      for i = 1, 1000 do sum = sum + i end
      io.write(tostring(ok), " ", tostring(err), "\n")
      io.stdout:flush()
      os.exit(5)]])
    assert.matches("^false .*interrupted!\n", out)
    assert.equal("exit 5", how)
  end)

  it("leaves what was waited for as it was", function()
    local out = interrupt(begin .. [[
      local c, l = threading.Condition(), threading.Lock()
      c:acquire()
      ready()
      local ok = pcall(c.wait, c)
      assert(not ok)
      c:release()
      assert(not pcall(c.release, c))
      l:acquire()
      assert(not l:acquire(0.01))
      io.write "as it was\n"
      io.stdout:flush()
      os.exit(0)]])
    assert.matches("as it was\n", out)
  end)

  it("reaches the main thread only", function()
    local out, how = interrupt(begin .. [[
      local q, back = queue.SimpleQueue(), queue.SimpleQueue()
      threading.Thread{target = function(from, to) to:put(from:get()) end, args = {q, back}}:start()
      ready()
      pcall(conc.sleep, 1000)
      q:put "unharmed"
      print((back:get()))
      io.stdout:flush()
      os.exit(5, true)]])
    assert.matches("unharmed\n", out)
    assert.equal("exit 5", how)
  end)
end)

describe("A thread without memory", function()
  it("dies of an error that it reports, and nobody else does", function()
    local out, how = script([[
      local conc = require "conc"
      local function big() return io.tmpfile():read(1 << 60) end
      conc.threading.Thread{target = big, name = "big"}:start():join()
      print "alive"]])
    assert.equal("exit 0", how)
    assert.matches("uncaught error in thread 'big': not enough memory", out)
    assert.matches("alive\n$", out)
  end)

  it("is told from others by conc.Error", function()
    local ok, err = pcall(there, function() return io.tmpfile():read(1 << 60) end)
    assert.is_false(ok)
    assert.equal("not enough memory", err)
    assert.is_false(conc.Error.is(err))
  end)
end)
