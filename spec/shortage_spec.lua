local helper = require "spec.helper"

-- Run Lua code below a command line such as "ulimit -n 64; exec"; its output, with
-- errors unless these go elsewhere.
local function run(limit, code, errors)
  local path = helper.tmpname()
  local file = assert(io.open(path, "w"))
  file:write([[
    local conc = require "conc"
    local futures = require "conc.futures"
    local mp = require "conc.multiprocessing"
    local function die() require "spec.die"() end
    local function wait_at(gate, result)
      gate:wait()
      return result
    end
  ]], code)
  file:close()
  if not helper.windows then os.execute("chmod 644 " .. path) end
  local pipe = io.popen(("%s %s %s 2>%s"):format(limit, helper.lua, path, errors or "&1"))
  local text = pipe:read "a"
  pipe:close()
  os.remove(path)
  return text
end

-- A command line in whose environment that is.
local function with(setting)
  return helper.windows and "set " .. setting .. "&&" or setting .. " exec"
end

-- Is there a shell that can do that, and then run a program that reads this tree?
local function can(limit)
  return run(limit, "print 'yes'", helper.null) == "yes\n"
end

-- Another user's processes are counted apart.
local STRANGER = "setpriv --reuid 54321 --regid 54321 --clear-groups"

describe("A program without room", function()
  it("for descriptors gets an error, and works when there is room again", function()
    helper.not_on_windows "there is no ulimit"
    local text = run("ulimit -n 64; exec", [[
      local function wait() require "conc".sleep(100) end
      local list, err = {}, nil
      for i = 1, 100 do
        local p = mp.Process{target = wait}
        local ok
        ok, err = pcall(p.start, p)
        if not ok then break end
        list[i] = p
      end
      print(#list > 5, #list < 60, err)
      for _, p in ipairs(list) do p:kill() p:join() end
      list = nil
      collectgarbage() collectgarbage()
      local p = mp.Process{target = os.exit, args = {7}}:start()
      p:join()
      print(p:exitcode())
    ]])
    assert.matches("^true\ttrue\tcannot start process .Process%-%d+.: [^\n]*file[^\n]*\n7\n$",
      text)
  end)

  it("for descriptors has fewer workers in a pool, which do all of the work", function()
    helper.not_on_windows "there is no ulimit"
    local text = run("ulimit -n 64; exec", [[
      local gate, list = mp.Event(), {}
      do
        local ex <close> = futures.ProcessPoolExecutor(60)
        for i = 1, 60 do list[i] = ex:submit(wait_at, gate, i) end
        while ex:stats().running < 5 do conc.sleep(0.01) end
        gate:set()
        local sum = 0
        for i = 1, 60 do sum = sum + list[i]:result() end
        print(sum)
      end
      local ex <close> = futures.ProcessPoolExecutor(1)
      print(ex:submit(math.abs, -7):result())
    ]])
    assert.equal("1830\n7\n", text)
  end)

  it("for an interpreter fails the tasks of a pool with the cause, and later ones work", function()
    local text = run(helper.windows and "" or "exec", ("local exe = %q\n"):format(
      helper.tmpname() .. ".exe") .. [[
      local lua = os.getenv "CONC_LUA"
      local file = io.open(exe, "wb")
      if package.config:find "^\\" then
        local original = assert(io.open(lua, "rb"))
        file:write(original:read "a")
        original:close()
      else
        file:write('#!/bin/sh\nexec "${CONC_LUA:-lua5.4}" "$@"\n')
      end
      file:close()
      if not package.config:find "^\\" then os.execute("chmod +x " .. exe) end
      mp.set_executable(exe)
      local ex <close> = futures.ProcessPoolExecutor(2)
      print(ex:submit(math.abs, -3):result())
      os.rename(exe, exe .. ".away")
      local bad, list = ex:submit(die), {}
      for i = 1, 5 do list[i] = ex:submit(math.abs, i) end
      print(bad:exception().class)
      for i = 1, 5 do
        local err = list[i]:exception()
        print(err.class, err.message, (tostring(err.cause):match "No such file.*"))
      end
      os.rename(exe .. ".away", exe)
      for i = 6, 8 do print(ex:submit(math.abs, -i):result()) end
      local stats = ex:stats()
      print(stats.done, stats.failed, stats.queued)
      os.remove(exe)
    ]])
    assert.equal("3\nWorkerDied\n" ..
      ("BrokenExecutor\tno worker process can be started\tNo such file or directory\n"):rep(5) ..
      "6\n7\n8\n4\t6\t0\n", text)
  end)

  it("for processes gets errors from a pool, and works when there is room again", function()
    helper.not_on_windows "there is no limit for a user's processes"
    if not can(STRANGER) then return pending "needs another user" end
    local limited = STRANGER .. " bash -c 'ulimit -u 30; exec \"$@\"' bash"
    local text = run(limited, [[
      local gate, began, list = mp.Event(), mp.SimpleQueue(), {}
      local function hold(g, b)
        b:put(true)
        g:wait()
      end
      local ex <close> = futures.ProcessPoolExecutor(1)
      while true do
        local p = mp.Process {target = hold, args = {gate, began}}
        if not pcall(p.start, p) or conc.select {began, p} == 2 then break end
        list[#list + 1] = p
      end
      print(#list > 5)
      print((pcall(function() return ex:submit(math.abs, -1):result() end)))
      gate:set()
      for _, p in ipairs(list) do p:join() end
      print(ex:submit(math.abs, -2):result())
      print(ex:submit(die):exception().class)
      print(ex:submit(math.abs, -3):result())
    ]], helper.null) -- children tell of their troubles
    assert.equal("true\nfalse\n2\nWorkerDied\n3\n", text)
  end)

  it("in shared memory gets errors, and works when there is room again", function()
    local text = run(with "CONC_SHARED_MIB=64", [[
      local big = ("x"):rep(20 << 20)
      local ex <close> = futures.ProcessPoolExecutor(1)
      local function size(s) return #s end
      print(ex:submit(size, big):result())
      print(ex:submit(size, big:rep(5)):exception())  -- the argument
      print(ex:submit(string.rep, big, 5):exception()) -- the result
      local q, n, err = mp.Queue(), 0, nil
      while not err do
        local ok, why = pcall(q.put, q, big)
        if ok then n = n + 1 else err = why end
      end
      print(n > 0, err)
      print(ex:submit(size, big):exception())
      for _ = 1, n do assert(#q:get() == #big) end
      print(ex:submit(size, big):result())
      print(pcall(function()
        local all = {}
        for i = 1, 1000 do all[i] = mp.Array("d", 10000) end
      end))
      collectgarbage() collectgarbage()
      print(ex:submit(size, big):result())
    ]])
    local no = "SharedMemoryError: no shared memory left\n"
    assert.equal("20971520\n" .. no .. no .. "true\t" .. no .. no .. "20971520\nfalse\t" .. no ..
      "20971520\n", text)
  end)

  it("in shared memory sends a function a hundred times, as its code goes once", function()
    local text = run(with "CONC_SHARED_MIB=16", [[
      local f = load(("local s, i = %q, ... return #s + i"):format(("x"):rep(1 << 20)))
      local sum, list = 0, {}
      local ex <close> = futures.ProcessPoolExecutor(1)
      for i = 1, 1000 do ex:submit(math.abs, i):result() end -- it is quick
      for i = 1, 1000 do list[i] = ex:submit(f, i) end
      for i = 1, 1000 do sum = sum + list[i]:result() end
      print(sum)
    ]])
    assert.equal(((1 << 20) * 1000 + 500500) .. "\n", text)
  end)

  it("for the descriptors of blocks gets an error, and works when there is room again", function()
    helper.not_on_windows "there is no ulimit"
    local text = run("ulimit -n 40; exec", [[
      local function make() return mp.SharedMemory {create = true, size = 4096} end
      local list, err = {}, nil
      while not err do
        local ok, shm = pcall(make)
        if ok then list[#list + 1] = shm else err = shm end
      end
      print(#list > 5, #list < 40, err)
      for _, shm in ipairs(list) do shm:unlink() shm:close() end
      local shm = make()
      shm:write(0, "again")
      print(shm:read(0, 5))
      shm:unlink()
    ]])
    assert.matches("^true\ttrue\t.*[Tt]oo many open files.*\nagain\n$", text)
  end)

  it("in /dev/shm gets errors, and works when there is room again", function()
    helper.not_on_windows "there is no /dev/shm"
    local small = "unshare -rm sh -c 'mount -t tmpfs -o size=4m tmpfs /dev/shm && exec \"$@\"' sh"
    if not can(small) then return pending "needs a /dev/shm of its own" end
    local text = run(small, [[
      local function make(size) return mp.SharedMemory {create = true, size = size} end
      print(pcall(make, 100 << 20))
      local list, err = {}, nil
      while not err do
        local ok, s = pcall(make, 1 << 20)
        if ok then list[#list + 1] = s else err = s end
      end
      print(#list > 1, err)
      local ex <close> = futures.ProcessPoolExecutor(1)
      print(ex:submit(string.rep, "x", 3):result())
      for _, s in ipairs(list) do
        s:unlink()
        s:close()
      end
      local s <close> = make(3 << 20)
      s:write(0, "yes")
      print(s:read(0, 3))
      s:unlink()
    ]])
    local no = "SharedMemoryError: no shared memory left\n"
    assert.equal("false\t" .. no .. "true\t" .. no .. "xxx\nyes\n", text)
  end)
end)
