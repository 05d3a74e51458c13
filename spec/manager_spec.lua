local conc = require "conc"
local core = require "conc.core"
local futures = require "conc.futures"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local queue = require "conc.queue"
local threading = require "conc.threading"

if not pcall(core.crypto.usable) then
  describe("A manager", function() pending "needs keys: there is no libsodium" end)
  return
end

-- The key and the fork server stay.
multiprocessing.current_process():authkey()
if not helper.windows then
  multiprocessing.get_context "forkserver".Process():start():join()
end

local Dict, Manager = multiprocessing.Dict, multiprocessing.Manager
local Process = multiprocessing.Process
local TIMEOUT = {n = 2, nil, "timeout"}

-- Start a process that calls f(...); returns a function that waits for its good
-- end, and the process.
local function start(f, ...)
  local p = Process {target = helper.portable(f), args = table.pack(...)}
  p:start()
  return function()
    assert.is_true(p:join(helper.patience))
    assert.equal(0, p:exitcode())
  end, p
end

-- f with a manager that runs.
local function with(f)
  return function()
    local m <close> = Manager()
    f(m)
  end
end

local function class_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(conc.Error.is(err), tostring(err))
  return err.class, err
end

-- Wait until the manager has so many objects.
local function count(m, n)
  helper.eventually(function()
    collectgarbage()
    return m:number_of_objects() == n
  end, n .. " objects")
end

describe("A manager", function()
  it("runs in a process of its own until it is shut down", function()
    local m = Manager()
    assert.equal(1, #multiprocessing.active_children())
    assert.matches("^Manager", multiprocessing.active_children()[1]:name())
    assert.is_string(m:address())
    assert.equal(0, m:number_of_objects())
    assert.same(TIMEOUT, table.pack(m:join(0.01)))
    m:shutdown()
    assert.same({}, multiprocessing.active_children())
    assert.is_true(m:join(0))
    m:shutdown()
  end)

  it("leaves nothing behind when it is collected", function()
    local m = Manager()
    m:dict().x = 1
    m = nil -- luacheck: ignore 311
    helper.eventually(function()
      collectgarbage()
      return #multiprocessing.active_children() == 0
    end)
  end)

  it("ends with the program that did not shut it down", function()
    local lines, status = helper.child [[
      warn "@on"
      local multiprocessing = require "conc.multiprocessing"
      local m = multiprocessing.Manager()
      local d = m:dict()
      d.x = 1
      print(d.x)
      os.exit(3, true)
    ]]
    if helper.instrumented() then return end -- what finalizers make at the end stays
    assert.same({"1"}, lines)
    assert.equal(3, status)
  end)

  it("cannot be used before and after", function()
    local m = multiprocessing.SyncManager()
    assert.error_matches(function() m:dict() end, "the manager has not been started")
    assert.is_nil(m:address())
    m:start()
    assert.error_matches(function() m:start() end, "has been started before")
    assert.error_matches(function() m:connect() end, "has been started before")
    m:shutdown()
    assert.error_matches(function() m:dict() end, "the manager was shut down")
    assert.error_matches(function() m:start() end, "has been started before")
  end)

  it("is terminated when it does not end in time", function()
    local m = multiprocessing.BaseManager {shutdown_timeout = 0.1}
    m:register("Stubborn", function()
      return {work = function() while true do pcall(function() while true do end end) end end}
    end)
    m:start()
    local object = m:Stubborn()
    local finish = helper.thread(function(o) return pcall(o.work, o) end, object)
    conc.sleep(0.05)
    m:shutdown()
    assert.is_false(finish())
    assert.same({}, multiprocessing.active_children())
  end)

  it("runs an initializer first", function()
    local m = multiprocessing.SyncManager()
    m:register("Setting", function() return {get = function() return _G.setting end} end)
    m:start(helper.portable(function(a, b) _G.setting = {a, b} end), {1, nil, n = 2})
    m:shutdown()
    m = multiprocessing.SyncManager()
    local ok, err = pcall(m.start, m, function() error({"reason"}) end)
    assert.is_false(ok)
    assert.same({"reason"}, err)
    assert.same({}, multiprocessing.active_children())
  end)

  it("is started by other start methods too", function()
    helper.not_on_windows "it has spawn only"
    local m <close> = multiprocessing.get_context "forkserver".Manager()
    local d = m:dict {a = 1}
    assert.equal(1, d.a)
  end)

  it("may be sent to a process, which makes objects as well", with(function(m)
    local q = m:queue()
    start(function(manager, out)
      local list = manager:list {1, 2}
      out:put(list)
    end, m, q)()
    local list = q:get(helper.patience)
    assert.same({1, 2}, list:slice())
  end))
end)

describe("The dict of a manager", function()
  it("is used like a Dict", with(function(m)
    local d = m:dict {hits = 0, names = {"a", "b"}}
    assert.equal(0, d.hits)
    d.more = "x"
    assert.equal("x", d.more)
    assert.is_nil(d.none)
    d.more = nil
    assert.is_nil(d.more)
    d[5], d[true] = 1, 2
    assert.equal(4, #d)
    d[5], d[true] = nil, nil
    local seen = {}
    for k, v in pairs(d) do seen[k] = v end
    assert.same({hits = 0, names = {"a", "b"}}, seen)
  end))

  it("has the functions of Dict", with(function(m)
    local d = m:dict()
    local three = 3
    assert.equal(5, Dict.add(d, "n", 5))
    assert.equal(8, Dict.update(d, "n", function(n) return n + three end))
    assert.is_true(Dict.cas(d, "n", 8, 9))
    assert.is_false(Dict.cas(d, "n", 8, 10))
    assert.equal("v", Dict.setdefault(d, "k", "v"))
    assert.equal("v", Dict.get(d, "k"))
    assert.equal(7, Dict.get(d, "none", 7))
    assert.equal("v", Dict.pop(d, "k"))
    assert.equal(1, Dict.len(d))
    assert.same({n = 9}, Dict.snapshot(d))
    assert.same({"n"}, Dict.keys(d))
    Dict.clear(d)
    assert.equal(0, #d)
    -- And they are those of threading for its own.
    local own = threading.Dict {a = 1}
    assert.equal(3, Dict.add(own, "a", 2))
  end))

  it("counts for several processes at once", with(function(m)
    local d, n = m:dict(), helper.scale(200)
    local finish = {}
    for i = 1, 3 do
      finish[i] = start(function(dict, k)
        local D = require "conc.multiprocessing".Dict
        for _ = 1, k do
          D.add(dict, "a", 1)
          D.update(dict, "b", function(x) return (x or 0) + 1 end)
        end
      end, d, n)
    end
    for i = 1, 3 do finish[i]() end
    assert.same({a = 3 * n, b = 3 * n}, Dict.snapshot(d))
  end))

  it("gives plain tables as copies, and other proxies as what they are", with(function(m)
    local d, inner = m:dict(), m:dict {x = 1}
    d.plain, d.inner = {1}, inner
    local plain = d.plain
    plain[1] = 2
    assert.same({1}, d.plain)
    d.inner.x = 2
    assert.equal(2, inner.x)
    assert.equal(inner, d.inner)
    d.deep = {{inner}}
    assert.equal(inner, d.deep[1][1])
  end))
end)

describe("The namespace, value and array of a manager", function()
  it("have fields", with(function(m)
    local ns = m:namespace {a = 1}
    ns.b = ns.a + 1
    assert.same({a = 1, b = 2}, Dict.snapshot(ns))
    local v = m:value("i", 5)
    v.value = v.value + 1
    assert.equal(6, v.value)
    assert.equal(8, v:add(2))
    assert.is_true(v:cas(8, 1))
    assert.equal(2, v:update(function(x) return x + 1 end))
    v:set(7)
    assert.equal(7, v:get())
    assert.equal("i", v:typecode())
    assert.error_matches(function() v.value = 1 << 40 end,
      "'set' %(value: 1099511627776 does not fit")
    assert.error_matches(function() v.valeu = 1 end, "one field, 'value', and not 'valeu'")
    local a = m:array("d", {1, 2, 3})
    a[1] = 1.5
    assert.equal(3, #a)
    assert.equal(1.5, a[1])
    assert.is_nil(a[4])
    assert.error_matches(function() return a[5] end, "5")
    assert.same({1.5, 2.0, 3.0}, a:slice())
    a:fill(0, 2)
    a:set_slice(2, {8})
    assert.equal(9.0, a:add(2, 1))
    local sum = 0
    for _, x in ipairs(a) do sum = sum + x end
    assert.equal(10.5, sum)
  end))
end)

describe("An item that a queue of a manager has given to a call that was cut off", function()
  it("is the next one", with(function(m)
    local session = require "conc.manager_client".session(m:address())
    local q = m:joinable_queue()
    q:put(nil)
    q:put "b"
    -- As the client does when a cancellation comes before the answer.
    local serial = session.serial
    local id = require "conc.proxy".id_of(q)
    session.serial = serial + 2
    session.conn:send {serial + 1, "call", id, "get", {n = 0}}
    session.conn:send {serial + 2, "cancel", serial + 1}
    assert.same({serial + 1, true, {n = 1}}, (session.conn:recv(helper.patience)))
    assert.equal(serial + 2, session.conn:recv(helper.patience)[1])
    assert.equal(2, q:qsize())
    assert.is_false(q:empty())
    assert.same({n = 1, nil}, table.pack(q:get(0)))
    assert.equal("b", q:get(0))
    assert.same(TIMEOUT, table.pack(q:get(0)))
    for _ = 1, 2 do q:task_done() end
    assert.is_true(q:join(helper.patience))
  end))
end)

describe("The list of a manager", function()
  it("is used like a sequence", with(function(m)
    local l = m:list {1, 2, 3}
    assert.equal(3, #l)
    assert.equal(2, l[2])
    assert.equal(3, l[-1])
    assert.is_nil(l[4])
    l[2] = "two"
    l[#l + 1] = 4
    l:append(5)
    l:insert(1, 0)
    l:extend {6, 7}
    assert.same({0, 1, "two", 3, 4, 5, 6, 7}, l:slice())
    assert.same({1, "two"}, l:slice(2, 3))
    assert.same({6, 7}, l:slice(-2))
    assert.equal(7, l:pop())
    assert.equal(0, l:pop(1))
    assert.is_true(l:remove "two")
    assert.is_false(l:remove "two")
    assert.equal(2, l:index(3))
    assert.is_nil(l:index(99))
    assert.equal(1, l:count(4))
    l:reverse()
    assert.same({6, 5, 4, 3, 1}, l:slice())
    l:sort()
    assert.same({1, 3, 4, 5, 6}, l:slice())
    l:sort(function(a, b) return a > b end)
    local seen = {}
    for i, v in ipairs(l) do seen[i] = v end
    assert.same({6, 5, 4, 3, 1}, seen)
    seen = {}
    for i, v in pairs(l) do seen[i] = v end
    assert.same({6, 5, 4, 3, 1}, seen)
    l:clear()
    assert.equal(0, #l)
    assert.is_nil(l:pop())
  end))

  it("refuses places that are not there", with(function(m)
    local l = m:list {1}
    assert.error_matches(function() l[3] = 1 end, "bad argument.*index: 1 to 2 expected")
    assert.error_matches(function() return l[3] end, "index: 1 to 1 expected, got 3")
    assert.error_matches(function() l:append() end, "value: nil has no place")
    assert.error_matches(function() l:insert("x", 1) end, "index: integer expected, got string")
    assert.error_matches(function() l:extend(1) end, "values: sequence expected, got number")
    assert.error_matches(function() l:append(1, 2) end, "surplus argument")
    assert.error_matches(function() m:list(5) end, "values: sequence expected, got number")
    assert.same({1}, l:slice())
  end))

  it("does what a table does, in any order of steps", with(function(m)
    local l, t = m:list(), {}
    local steps = {
      function(x) l:append(x) t[#t + 1] = x end,
      function(x)
        local i = math.random(#t + 1)
        l:insert(i, x)
        table.insert(t, i, x)
      end,
      function(x)
        l:extend {x, x + 1, x + 2}
        table.move({x, x + 1, x + 2}, 1, 3, #t + 1, t)
      end,
      function(x)
        if #t == 0 then return end
        local i = math.random(#t)
        l[i], t[i] = x, x
      end,
      function()
        if #t == 0 then return end
        local i = math.random(#t)
        assert.equal(table.remove(t, i), l:pop(i))
      end,
      function() if math.random(3) == 1 then l:sort() table.sort(t) end end,
    }
    for x = 1, 300 do
      steps[math.random(#steps)](x)
      assert.equal(#t, #l)
    end
    assert.same(t, l:slice())
  end))

  it("is changed by many at once, one step after the other", with(function(m)
    local l = m:list()
    local joins = {}
    local function add(list, n) for i = 1, 100 do list:append(n * 1000 + i) end end
    for n = 1, 3 do joins[n] = helper.thread(add, l, n) end
    for n = 1, 3 do joins[n]() end
    assert.equal(300, #l)
    local last = {}
    for _, v in ipairs(l:slice()) do
      assert.is_true(v % 1000 > (last[v // 1000] or 0))
      last[v // 1000] = v % 1000
    end
  end))

  it("stays as it is when a comparison fails", with(function(m)
    local l = m:list {3, 1, 2}
    local ok, err = pcall(l.sort, l, function() error {why = "no"} end)
    assert.is_false(ok)
    assert.same({why = "no"}, err)
    assert.same({3, 1, 2}, l:slice())
  end))

  it("holds other objects, and itself", with(function(m)
    local l = m:list()
    local d = m:dict {x = 1}
    l:append(d)
    l:append(l)
    assert.equal(d, l[1])
    assert.equal(l, l[2])
    l[2][1].x = 5
    assert.equal(5, d.x)
    l:clear()
  end))
end)

describe("The set of a manager", function()
  it("has each value once", with(function(m)
    local s = m:set {1, 2, 2}
    assert.equal(2, #s)
    assert.is_true(s:add(3))
    assert.is_false(s:add(3))
    assert.is_true(s:contains(3))
    assert.is_true(s:discard(3))
    assert.is_false(s:discard(3))
    assert.is_false(s:contains(3))
    s:update {"a", "b"}
    local seen = {}
    for v in pairs(s) do seen[v] = true end
    assert.same({[1] = true, [2] = true, a = true, b = true}, seen)
    assert.equal(4, #s:values())
    assert.is_not_nil(s:pop())
    assert.equal(3, #s)
    s:clear()
    assert.is_nil(s:pop())
  end))
end)

describe("The queue of a manager", function()
  it("has the forms of Queue", with(function(m)
    local q = m:queue(2)
    assert.is_true(q:put {1})
    assert.is_true(q:put(false))
    assert.is_true(q:full())
    assert.same(TIMEOUT, table.pack(q:put(3, 0.01)))
    assert.same(TIMEOUT, table.pack(q:put_nowait(3)))
    assert.same(TIMEOUT, table.pack(q:put(nil, 0.01)))
    assert.same({1}, q:get())
    assert.same({n = 1, false}, table.pack(q:get()))
    assert.same(TIMEOUT, table.pack(q:get(0.01)))
    assert.same(TIMEOUT, table.pack(q:get_nowait()))
    assert.same({n = 1}, table.pack(q:put(nil) and q:get()))
    assert.equal(0, q:qsize())
    assert.is_true(q:empty())
    assert.equal(2, q:maxsize())
    assert.same(TIMEOUT, table.pack(q:join(0.01)))
    for _ = 1, 3 do q:task_done() end
    assert.is_true(q:join())
    assert.error_matches(function() q:task_done() end, "task_done")
    q:put "last"
    q:shutdown()
    assert.is_true(q:is_shutdown())
    assert.same({n = 2, nil, "closed"}, table.pack(q:put(1)))
    for item in q:items() do assert.equal("last", item) end
    assert.same({n = 2, nil, "closed"}, table.pack(q:get()))
    q = m:joinable_queue {maxsize = 1}
    assert.equal(1, q:maxsize())
    helper.refuses_timeouts(function(t) return q:get(t) end)
    helper.refuses_timeouts(function(t) return q:put(1, t) end)
    helper.refuses_timeouts(function(t) return q:join(t) end)
  end))

  it("joins producers and consumers of several processes", with(function(m)
    local jobs, results, n = m:queue(3), m:queue(), helper.scale(100)
    local finish = {}
    for i = 1, 2 do
      finish[i] = start(function(from, to)
        for job in from:items() do
          to:put(job * 2)
          from:task_done()
        end
      end, jobs, results)
    end
    for i = 1, n do jobs:put(i) end
    assert.is_true(jobs:join(helper.patience))
    jobs:shutdown()
    finish[1]()
    finish[2]()
    local sum = 0
    for _ = 1, n do sum = sum + results:get(helper.patience) end
    assert.equal(n * (n + 1), sum)
  end))

  it("keeps nobody from other calls while one waits", with(function(m)
    local q = m:queue()
    local finish = helper.thread(function(from) return from:get() end, q)
    local finish2 = helper.thread(function(from) return from:get() end, q)
    assert.equal(0, q:qsize())
    q:put(1)
    q:put(2)
    assert.equal(3, finish() + finish2())
  end))
end)

describe("The locks of a manager", function()
  it("have the forms of those of threading", with(function(m)
    local lock = m:lock()
    do
      local held <close> = lock:acquire()
      assert.equal(lock, held)
      assert.is_true(lock:locked())
      assert.same({n = 2, false, "timeout"}, table.pack(lock:acquire(0.01)))
      helper.refuses_timeouts(function(t) return lock:acquire(t) end)
    end
    assert.is_false(lock:locked())
    assert.error_matches(function() lock:release() end, "cannot release a lock")
    local r = m:rlock()
    do
      local _ <close> = r:acquire()
      local _ <close> = r:acquire(0)
      assert.is_true(r:locked())
      assert.is_false(helper.thread(function(l) return (l:acquire(0.01)) end, r)())
    end
    assert.is_false(r:locked())
    local s = m:semaphore(2)
    do
      local _ <close> = s:acquire()
      local _ <close> = s:acquire()
      assert.same({n = 2, false, "timeout"}, table.pack(s:acquire(0)))
      assert.equal(0, s:value())
    end
    s:release(2)
    assert.equal(4, s:value())
    local b = m:bounded_semaphore(1)
    assert.error_matches(function() b:release() end, "above its initial value")
    local e = m:event()
    assert.same({n = 2, false, "timeout"}, table.pack(e:wait(0.01)))
    e:set()
    assert.is_true(e:wait())
    assert.is_true(e:is_set())
    e:clear()
    assert.is_false(e:is_set())
  end))

  it("exclude each other's holders in several processes", with(function(m)
    local lock, d, n = m:lock(), m:dict {n = 0}, helper.scale(100)
    local finish = {}
    for i = 1, 3 do
      finish[i] = start(function(l, dict, k)
        for _ = 1, k do
          local _ <close> = l:acquire()
          dict.n = dict.n + 1
        end
      end, lock, d, n)
    end
    for i = 1, 3 do finish[i]() end
    assert.equal(3 * n, d.n)
  end))

  it("may be released by another one, an RLock only by its holder", with(function(m)
    local lock, r = m:lock(), m:rlock()
    lock:acquire()
    r:acquire()
    helper.thread(function(l) l:release() end, lock)()
    assert.is_false(lock:locked())
    local ok = helper.thread(function(l) return (pcall(l.release, l)) end, r)()
    assert.is_false(ok)
    r:release()
    assert.is_false(r:locked())
  end))

  it("are left by a client that was killed to the next one, who is told", with(function(m)
    for _, name in ipairs {"lock", "rlock", "condition"} do
      local lock, held = m[name](m), m:event()
      local _, p = start(function(l, e)
        l:acquire()
        e:set()
        require "conc".sleep(1000)
      end, lock, held)
      held:wait()
      assert.is_true(lock:locked())
      p:kill()
      assert.same({n = 2, lock, "abandoned"}, table.pack(lock:acquire(helper.patience)))
      lock:release()
      assert.same({n = 1, lock}, table.pack(lock:acquire()))
      lock:release()
    end
  end))

  it("get back the permits of a client that was killed", with(function(m)
    for _, name in ipairs {"semaphore", "bounded_semaphore"} do
      local s, held = m[name](m, 3), m:event()
      s:acquire()
      local _, p = start(function(semaphore, e)
        for _ = 1, 3 do semaphore:acquire() end
        semaphore:release()
        e:set()
        require "conc".sleep(1000)
      end, s, held)
      helper.eventually(function() return s:value() == 0 end)
      s:release()
      held:wait()
      assert.equal(1, s:value())
      p:kill()
      helper.eventually(function() return s:value() == 3 end)
      assert.same({n = 2, s, "abandoned"}, table.pack(s:acquire()))
      assert.same({n = 1, s}, table.pack(s:acquire()))
      s:release(2)
      assert.error(function() s:release("x") end)
      assert.error(function() s:release(1, 2) end)
      assert.equal(3, s:value())
    end
  end))

  it("get back no permits that are signals", with(function(m)
    local s, held = m:semaphore(0), m:event()
    s:release(3)
    local _, p = start(function(semaphore, e)
      semaphore:acquire()
      e:set()
      require "conc".sleep(1000)
    end, s, held)
    held:wait()
    p:kill()
    p:join()
    require "conc".sleep(0.05)
    assert.same({n = 1, s}, table.pack(s:acquire()))
    assert.equal(1, s:value())
  end))
end)

describe("The condition of a manager", function()
  it("lets go on who is notified", with(function(m)
    local c, d = m:condition(), m:dict {ready = false, waiting = 0}
    local finish = {}
    for i = 1, 2 do
      finish[i] = start(function(cond, dict)
        local _ <close> = cond:acquire()
        dict.waiting = dict.waiting + 1
        cond:notify_all()
        assert(cond:wait_for(function() return dict.ready end))
      end, c, d)
    end
    do
      local _ <close> = c:acquire()
      assert.is_true(c:wait_for(function() return d.waiting == 2 end, helper.patience))
      d.ready = true
      c:notify(2)
    end
    finish[1]()
    finish[2]()
  end))

  it("says timeout, and holds the lock then", with(function(m)
    local r = m:rlock()
    local c = m:condition(r)
    c:acquire()
    r:acquire()
    assert.same({n = 2, false, "timeout"}, table.pack(c:wait(0.01)))
    local function no() return false end
    assert.same({n = 2, false, "timeout"}, table.pack(c:wait_for(no, 0.01)))
    c:release()
    assert.is_true(r:locked())
    r:release()
    assert.is_false(c:locked())
    assert.error_matches(function() c:wait() end, "does not hold the lock")
    assert.error_matches(function() c:notify() end, "does not hold the lock")
    assert.error_matches(function() m:condition(m:event()) end, "lock: Lock or RLock")
  end))

  it("passes over who died while waiting", with(function(m)
    local c, waiting = m:condition(), m:semaphore(0)
    local _, p = start(function(cond, s)
      cond:acquire()
      s:release()
      cond:wait()
    end, c, waiting)
    waiting:acquire()
    c:acquire() -- it waits now
    c:release()
    local finish = start(function(cond, s)
      local _ <close> = cond:acquire()
      s:release()
      assert(cond:wait(60))
      s:release()
    end, c, waiting)
    waiting:acquire()
    p:kill()
    p:join()
    helper.eventually(function()
      local _ <close> = c:acquire()
      c:notify()
      return waiting:value() == 1 -- the server may not know of the death yet
    end)
    finish()
  end))
end)

describe("The barrier of a manager", function()
  it("lets processes meet", with(function(m)
    local b = m:barrier(2)
    local finish = start(function(barrier) assert(barrier:wait() <= 2) end, b)
    assert.is_true(b:wait(helper.patience) <= 2)
    finish()
    assert.equal(2, b:parties())
    assert.equal(0, b:n_waiting())
    assert.equal("BrokenBarrierError", (class_of(b.wait, b, 0.01)))
    assert.is_true(b:broken())
    b:reset()
    assert.is_false(b:broken())
    b:abort()
    assert.equal("BrokenBarrierError", (class_of(b.wait, b)))
  end))

  it("breaks when one who waits is killed", with(function(m)
    local b = m:barrier(2)
    local _, p = start(function(barrier) barrier:wait() end, b)
    helper.eventually(function() return b:n_waiting() == 1 end)
    p:kill()
    helper.eventually(function() return b:broken() end)
  end))
end)

describe("The pool of a manager", function()
  it("works for all who have the proxy", with(function(m)
    local pool = m:pool(2)
    assert.equal(9, pool:apply(math.max, {1, 9, 3}))
    assert.same({n = 3, 1, 4, 9}, pool:map(function(x) return x * x end, {1, 2, 3}))
    assert.same({n = 2, 5, 7}, pool:starmap(math.max, {{1, 5}, {7, 2}}))
    local r = pool:apply_async(math.min, {4, 3})
    assert.equal(3, r:get(helper.patience))
    assert.is_true(r:ready())
    assert.is_true(r:successful())
    r = pool:map_async(function(x) error {x} end, {1})
    assert.is_true(r:wait(helper.patience))
    local ok, err = pcall(r.get, r)
    assert.is_false(ok)
    assert.same({1}, err)
    local path = helper.tmpname()
    os.remove(path)
    r = pool:apply_async(function(gate)
      local file
      repeat file = io.open(gate) until file
      file:close()
    end, {path})
    assert.equal("TimeoutError", (class_of(r.get, r, 0.01)))
    assert.same(TIMEOUT, table.pack(r:wait(0.01)))
    assert(io.open(path, "w")):close()
    assert.is_true(r:wait(helper.patience))
    os.remove(path)
    start(function(p) assert(p:apply(math.abs, {-3}) == 3) end, pool)()
    pool:close()
    pool:join()
    assert.is_false(pcall(pool.apply, pool, print))
    assert.error_matches(function()
      pool:apply_async(print, {}, {callback = print})
    end, "callbacks")
  end))
end)

describe("The authkey of a process", function()
  it("is the same in all processes of a program", function()
    local me = multiprocessing.current_process()
    local key = me:authkey()
    assert.equal(32, #key)
    assert.equal(key, me:authkey())
    local q = multiprocessing.Queue()
    start(function(out)
      out:put(require "conc.multiprocessing".current_process():authkey())
    end, q)()
    assert.equal(key, q:get())
    me:set_authkey "other"
    start(function(out)
      out:put(require "conc.multiprocessing".parent_process():authkey())
    end, q)()
    assert.equal("other", q:get())
    me:set_authkey(key)
    assert.error_matches(function() me:set_authkey(5) end, "key: string expected, got number")
    assert.error_matches(function() Process():set_authkey "x" end, "of another process")
  end)

  it("proves itself by hand, too", function()
    local listener <close> = multiprocessing.Listener()
    local finish = helper.thread(function(address)
      local mp = require "conc.multiprocessing"
      local c <close> = mp.Client(address)
      mp.answer_challenge(c, "key")
      return c:recv()
    end, listener:address())
    local c <close> = listener:accept()
    multiprocessing.deliver_challenge(c, "key")
    c:send "hello"
    assert.equal("hello", finish())
  end)
end)

describe("A proxy", function()
  it("goes through everything", with(function(m)
    local list = m:list()
    local q, a, b = multiprocessing.Queue(), multiprocessing.Pipe()
    local own = queue.Queue()
    start(function(l, from, conn)
      l:append "args"
      from:get():append "queue"
      conn:recv():append "pipe"
      conn:recv().list:append "table"
    end, list, q, b)
    q:put(list)
    a:send(list)
    a:send {list = list}
    own:put(list)
    assert.equal(list, own:get())
    helper.eventually(function() return #list == 4 end)
    assert.same({"args", "queue", "pipe", "table"}, list:slice())
    local ex <close> = futures.ProcessPoolExecutor(1)
    ex:submit(function(l) l:append "pool" end, list):result()
    assert.equal("pool", list[5])
    helper.thread(function(l) l:append "thread" end, list)()
    assert.equal("thread", list[6])
    assert.is_true(conc.sendable(list))
  end))

  it("is the same as another one of the same object", with(function(m)
    local a, b = m:list(), m:list()
    local d = m:dict {a = a, b = b}
    assert.is_true(d.a == a and d.b == b and a ~= b)
    assert.equal(1, ({[a] = 1})[d.a])
  end))

  it("says what it is", with(function(m)
    assert.matches("^list proxy %d+ of ", tostring(m:list()))
    assert.matches("^Queue proxy %d+ of ", tostring(m:queue()))
  end))

  it("keeps its object, and the last one ends it", with(function(m)
    local a, b = m:dict(), m:list()
    assert.equal(2, m:number_of_objects())
    a.b = b
    b = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal(2, m:number_of_objects()) -- the dict has it
    assert.equal(0, #a.b)
    a.b = nil
    count(m, 1)
    local l = m:list {a}
    a = nil -- luacheck: ignore 311
    count(m, 2)
    assert.is_nil(l[1].x)
    l:pop()
    count(m, 1)
    l = nil -- luacheck: ignore 311
    count(m, 0)
  end))

  it("keeps its object on its way, too", with(function(m)
    local q = multiprocessing.Queue()
    q:put(m:list {1, 2})
    collectgarbage()
    collectgarbage()
    assert.equal(1, m:number_of_objects())
    local l = q:get()
    assert.same({1, 2}, l:slice())
    l = nil -- luacheck: ignore 311
    count(m, 0)
    -- From one who ends before it is received.
    start(function(manager, out) out:put(manager:list {3}) end, m, q)()
    assert.same({3}, q:get():slice())
    count(m, 0)
  end))

  it("is given back when its process is killed", with(function(m)
    local ready = m:event()
    local _, p = start(function(manager, e)
      local keep = {}
      for i = 1, 20 do keep[i] = manager:list() end
      e:set()
      require "conc".sleep(1000)
      return keep
    end, m, ready)
    ready:wait()
    assert.equal(21, m:number_of_objects())
    p:kill()
    count(m, 1)
  end))

  it("refuses what cannot be sent, with the path to it", with(function(m)
    local d = m:dict()
    assert.error_matches(function() d.x = {f = coroutine.create(print)} end,
      "args%[2%]%.f: cannot send a coroutine")
    assert.error_matches(function() d.x = threading.Lock() end, "cannot leave the process")
    assert.is_nil(d.x)
    assert.error_matches(function() m:list {{coroutine.create(print)}} end,
      "cannot send a coroutine")
  end))

  it("refuses other things as itself", with(function(m)
    local q, l = m:queue(), m:list()
    assert.error_matches(function() q.get(l) end,
      "bad argument #1 to 'get' %(Queue expected, got list")
    assert.error_matches(function() q.get(5) end, "Queue expected, got number")
    assert.error_matches(function() q:get(1, 2) end, "surplus argument")
    assert.error_matches(function() q:put() end, "item: value expected")
    assert.error_matches(function() m.dict(5) end, "manager expected, got number")
    assert.error_matches(function() m:semaphore "x" end, "'Semaphore' %(value: integer expected")
    assert.error_matches(function() m:queue {maxsiez = 1} end, "unknown option 'maxsiez'")
  end))

  it("stays usable when memory fails", with(function(m)
    local d = m:dict()
    local raised = helper.fail_each_everywhere(function()
      d.x = {1, 2, 3}
      assert(#d.x == 3)
    end)
    assert.is_true(raised > 0)
    assert.same({1, 2, 3}, d.x)
  end))
end)

describe("A registered type", function()
  local function counter(start_at)
    local n = start_at or 0
    return {
      add = function(_, k)
        n = n + k
        return n, "added"
      end,
      fail = function(_, value) error(value, 0) end,
      broken = function() return coroutine.create(print) end,
      child = function() return {value = function() return n end} end,
      none = function() end,
      _secret = function() return n end,
      field = 5,
    }
  end
  counter = helper.portable(counter)

  local function with_type(f, options)
    return function()
      local m = multiprocessing.BaseManager()
      m:register("Counter", counter, options)
      m:register("Child")
      m:register("Child", function() error "not made by clients" end)
      local _ <close> = m:start()
      f(m)
    end
  end

  it("is made and called in the server", with_type(function(m)
    local c = m:Counter(10)
    assert.same({n = 2, 15, "added"}, table.pack(c:add(5)))
    assert.same({n = 0}, table.pack(c:none()))
    assert.equal(25, (helper.thread(function(o) return (o:add(10)) end, c)()))
    start(function(o) assert(o:add(1) == 26) end, c)()
    assert.equal(26, (c:add(0)))
    assert.equal(0, (m:Counter():add(0)))
  end))

  it("raises in the client what its methods raise", with_type(function(m)
    local c = m:Counter()
    for _, value in ipairs {"text", 5, false, {code = 1}} do
      local ok, err = pcall(c.fail, c, value)
      assert.is_false(ok)
      assert.same(value, err)
    end
    local err = conc.Error.new("OwnError", "mine", "cause")
    local class, got = class_of(c.fail, c, err)
    assert.equal("OwnError", class)
    assert.equal("cause", got.cause)
    assert.equal("OwnError: mine\ncaused by: cause", tostring(got))
  end))

  it("raises a RemoteError for the server's own trouble", with_type(function(m)
    local c = m:Counter()
    local class, err = class_of(c.nothing, c)
    assert.equal("RemoteError", class)
    assert.matches("there is no method 'nothing'", err.message)
    class, err = class_of(c._secret, c)
    assert.equal("RemoteError", class)
    assert.matches("method '_secret' of 'Counter' is not exposed", err.message)
    class, err = class_of(c.broken, c)
    assert.equal("RemoteError", class)
    assert.matches("cannot send a coroutine", err.message)
    assert.equal(0, (c:add(0)))
    local ok, text = pcall(m.Child, m)
    assert.is_false(ok)
    assert.matches("not made by clients", text)
  end))

  it("lets clients call what is listed", with_type(function(m)
    local c = m:Counter()
    assert.equal(1, (c:add(1)))
    assert.equal("RemoteError", (class_of(c.none, c)))
    assert.equal(1, c:_secret())
  end, {methods = {"add", "_secret"}}))

  it("keeps in the server what its methods give, where that is asked for", with_type(function(m)
    local c = m:Counter(7)
    local child = c:child()
    assert.equal(7, child:value())
    c:add(1)
    assert.equal(8, child:value())
    assert.equal(2, m:number_of_objects())
    c = nil -- luacheck: ignore 311
    count(m, 1)
    assert.equal(8, child:value())
    child = nil -- luacheck: ignore 311
    count(m, 0)
  end, {method_to_typeid = {child = "Child"}}))

  it("may be an object of conc", function()
    local m = multiprocessing.BaseManager()
    m:register("get_queue", function()
      return require "conc.queue".Queue(1)
    end)
    m:register("get_dict", function() return require "conc.threading".Dict {a = 1} end)
    m:register("number", function() return 5 end)
    m:register("failing", function() error {"why"} end)
    local _ <close> = m:start()
    local q = m:get_queue()
    assert.is_true(q:put(1))
    assert.same(TIMEOUT, table.pack(q:put(2, 0.01)))
    assert.equal(1, q:get())
    assert.equal(1, m:get_dict().a)
    local class, err = class_of(m.number, m)
    assert.equal("RemoteError", class)
    assert.matches("returned no object but a number", err.message)
    local ok, why = pcall(m.failing, m)
    assert.is_false(ok)
    assert.same({"why"}, why)
    q = nil -- luacheck: ignore 311
    count(m, 0)
  end)

  it("is registered before the start, with sound options", function()
    local m = multiprocessing.BaseManager()
    local function refused(pattern, ...)
      local ok, err = pcall(m.register, m, ...)
      assert.is_false(ok)
      assert.is_truthy(err:find(pattern, 1, true), err)
    end
    refused("name: identifier expected, got 5", 5, print)
    refused("name: identifier expected, got a b", "a b", print)
    refused("name: 'start' is a method of managers", "start", print)
    refused("constructor: function expected, got number", "x", 5)
    refused("options: table expected, got number", "x", print, 5)
    refused("unknown option 'method'", "x", print, {method = {}})
    refused("methods: table expected, got string", "x", print, {methods = "x"})
    refused("methods[1]: string expected, got number", "x", print, {methods = {5}})
    refused("method_to_typeid: table expected, got string", "x", print, {method_to_typeid = "x"})
    m:register("x")
    assert.error_matches(function() m:start() end, "the type 'x' has no constructor")
    m:register("x", function() return {} end)
    local _ <close> = m:start()
    assert.error_matches(function() m:register("y", print) end, "the manager has been started")
    assert.error_matches(function() m:y() end, "nil value %(method 'y'%)")
    assert.error_matches(function() m:dict() end, "nil value %(method 'dict'%)")
  end)
end)

describe("Clients of a manager", function()
  it("connect with its address and key", function()
    local m <close> = multiprocessing.SyncManager {authkey = "secret"}:start()
    local other = multiprocessing.SyncManager {address = m:address(), authkey = "secret"}:connect()
    local d = other:dict {x = 1}
    local mine = m:dict {d = d}
    assert.equal(1, mine.d.x)
    start(function(dict) dict.x = 2 end, d)()
    assert.equal(2, d.x)
    -- Also where a thread is connected already.
    local function refused(where)
      local new = require "conc.multiprocessing".BaseManager
      local stranger = new {address = where, authkey = "guess"}
      local _, err = pcall(stranger.connect, stranger)
      return err.class
    end
    assert.equal("AuthenticationError", refused(m:address()))
    assert.equal("AuthenticationError", helper.thread(helper.portable(refused), m:address())())
    assert.equal(2, d.x)
    assert.equal(2, mine.d.x)
  end)

  it("may end it", function()
    local m = Manager()
    helper.thread(function(manager) manager:shutdown() end, m)()
    assert.is_true(m:join(helper.patience))
    m:shutdown()
  end)

  it("use a server in another thread", function()
    local q = queue.Queue()
    local address = core.SimpleQueue()
    local finish = helper.thread(function(out, jobs)
      local m = require "conc.multiprocessing".BaseManager {authkey = "k"}
      m:register("get_jobs", function() return jobs end)
      local server = m:get_server()
      out:put(server:address())
      server:serve_forever()
      return "served"
    end, address, q)
    local m = multiprocessing.BaseManager {address = address:get(), authkey = "k"}:connect()
    m:get_jobs():put "hello"
    assert.equal("hello", q:get(helper.patience))
    m:shutdown()
    assert.equal("served", finish())
  end)

  it("are no trouble when they are strangers", with(function(m)
    local Client = multiprocessing.Client
    local d = m:dict {x = 1}
    local silent = Client(m:address())
    for _, bytes in ipairs {"", "x", ("x"):rep(100000), "\255\255\255\255\255\255\255\255"} do
      local c = Client(m:address())
      pcall(c.send_bytes, c, bytes)
      c:close()
    end
    for _, value in ipairs {{1, "shutdown"}, {0, "drop", 1, 100}, "x", 5} do
      local c = Client(m:address())
      c:send(value)
      local ok, answer = pcall(c.recv, c, 0) -- the challenge, if it is there, is no value
      assert.is_true(not ok or answer == nil)
      c:close()
    end
    assert.equal(1, d.x)
    assert.is_false(silent:closed())
    silent:close()
  end))

  it("may send nonsense", with(function(m)
    local d = m:dict {x = 1}
    local key = multiprocessing.current_process():authkey()
    local c <close> = multiprocessing.Client {address = m:address(), authkey = key}
    for _, request in ipairs {
      {1}, {2, "nothing"}, {3, "call"}, {4, "call", 1}, {5, "call", 1, "get"},
      {6, "call", {}, {}, {}}, {7, "make"}, {8, "make", "dict"}, {9, "make", {}, {}},
      {10, "pin"}, {11, "call", 1, "x", {}}, {12, "make", "dict", {n = 1e9}},
      {13, "call", 1, "get", {n = -5}},
    } do
      c:send {0}
      c:send {0, "drop"}
      c:send {0, "adopt", {}, {}}
      c:send(request)
      local answer = c:recv(helper.patience)
      assert.equal(request[1], answer[1])
    end
    assert.equal(1, d.x)
    assert.equal(1, m:number_of_objects())
  end))
end)

describe("A manager that dies", function()
  local function kill(m)
    for _, p in ipairs(multiprocessing.active_children()) do
      if p:name():find "Manager" then
        p:kill()
        p:join()
      end
    end
    return m
  end

  it("is an error for everybody who has proxies, at once", function()
    local m <close> = Manager()
    local q, lock, c, b, l = m:queue(), m:lock(), m:condition(), m:barrier(2), m:list()
    lock:acquire()
    local ready = threading.Semaphore(0)
    local function waits(f, ...)
      return (helper.thread(function(s, body, ...)
        s:release()
        local ok, err = pcall(body, ...)
        return ok, err.class
      end, ready, helper.portable(f), ...))
    end
    local finish = {
      waits(function(o) o:get() end, q), waits(function(o) o:acquire() end, lock),
      waits(function(o) o:acquire() o:wait() end, c), waits(function(o) o:wait() end, b),
    }
    for _ = 1, 4 do ready:acquire() end
    helper.eventually(function() return b:n_waiting() == 1 end)
    local begin = conc.time()
    kill(m)
    for _, f in ipairs(finish) do assert.same({false, "ConnectionError"}, {f()}) end
    assert.is_true(conc.time() - begin < 10)
    assert.equal("ConnectionError", (class_of(l.append, l, 1)))
    assert.equal("ConnectionError", (class_of(function() return l[1] end)))
    assert.equal("ConnectionError", (class_of(m.list, m)))
    -- Proxies may still be sent and received.
    local own = queue.Queue()
    own:put(l)
    assert.equal(l, own:get())
  end)

  it("does so with its program, and leaves nothing behind", function()
    local address = helper.child [[
      local m = require "conc.multiprocessing".SyncManager {authkey = "k"}:start()
      print(m:address())
      io.stdout:flush()
      os.exit(0)
    ]][1]
    helper.eventually(function()
      local m = multiprocessing.BaseManager {address = address, authkey = "k"}
      local ok, err = pcall(m.connect, m)
      return not ok and err.class == "ConnectionError"
    end)
    if core.abstract() then
      assert.is_nil(io.open(address))
      assert.equal("@", address:sub(1, 1))
    end
  end)

  it("in its start is an error", function()
    local m = multiprocessing.BaseManager()
    local class, err = class_of(m.start, m, function() os.exit(3) end)
    assert.equal("ConnectionError", class)
    assert.matches("ended with code 3", err.message)
    m = multiprocessing.BaseManager {address = "/nonexistent/folder/socket"}
    assert.error_matches(function() m:start() end, "cannot listen on")
  end)
end)

describe("A call that is given up", function()
  it("by a cancellation takes nothing, and the next ones work", with(function(m)
    local q, lock, d, e = m:queue(), m:lock(), m:dict(), m:event()
    local ex <close> = futures.ThreadPoolExecutor(1)
    lock:acquire()
    for _, f in ipairs {
      function(o) o:get() end, function(_, o) o:acquire() end, function(_, _, o) o:wait() end,
    } do
      local begun = threading.Event()
      local future = ex:submit(function(body, b, ...)
        b:set()
        body(...)
      end, f, begun, q, lock, e)
      begun:wait()
      conc.sleep(0.01)
      future:cancel {running = true}
      assert.equal("CancelledError", (class_of(future.result, future)))
      assert.equal("fine", ex:submit(function(dict)
        dict.x = "fine"
        return dict.x
      end, d):result())
    end
    q:put "item"
    assert.equal("item", q:get(1))
    lock:release()
    assert.is_truthy(lock:acquire(1))
    lock:release()
  end))

  it("by a kill takes nothing", with(function(m)
    local q, lock = m:queue(), m:lock()
    lock:acquire()
    local begun = m:semaphore(0)
    local _, p1 = start(function(s, o) s:release() o:get() end, begun, q)
    local _, p2 = start(function(s, o) s:release() o:acquire() end, begun, lock)
    begun:acquire()
    begun:acquire()
    conc.sleep(0.02)
    p1:kill()
    p2:kill()
    p1:join()
    p2:join()
    lock:release()
    assert.is_truthy(lock:acquire(helper.patience))
    -- The server may see the connection's end a little later than we.
    conc.sleep(0.05)
    q:put "item"
    assert.equal("item", q:get(helper.patience))
    lock:release()
  end))

  it("by Ctrl-C goes on", function()
    assert.same({"interrupted!", "item"}, helper.interrupted([[
      local m <close> = sync.Manager()
      local q = m:queue()
      interrupted(q.get, q)
      q:put "item"
      print(q:get())
    ]], "multiprocessing"))
  end)
end)

describe("The options of managers", function()
  it("are checked", function()
    for _, name in ipairs {"BaseManager", "SyncManager"} do
      local function refused(pattern, ...)
        local ok, err = pcall(multiprocessing[name], ...)
        assert.is_false(ok)
        assert.is_truthy(err:find(pattern, 1, true), err)
        assert.is_truthy(err:find(name, 1, true), err)
      end
      refused("unknown option 'adress'", {adress = "x"})
      refused("address: string expected, got number", {address = 5})
      refused("authkey: string expected, got number", {authkey = 5})
      refused("shutdown_timeout: must not be negative", {shutdown_timeout = -1})
      refused("ctx: table expected, got string", {ctx = "spawn"})
      refused("table or address expected, got number", 5)
    end
    assert.error_matches(function() Manager {} end, "surplus argument")
    local m = multiprocessing.SyncManager()
    assert.error_matches(function() m:start(5) end, "initializer: function expected, got number")
    assert.error_matches(function() m:start(print, 5) end, "initargs: table expected, got number")
    assert.error_matches(function() m:connect() end, "without an address")
    assert.error_matches(function() m.start(5) end, "manager expected, got number")
    assert.error_matches(function() m:join() end, "no process here")
    assert.error_matches(function() queue.Queue():put(m) end, "does not run cannot be sent")
  end)
end)
