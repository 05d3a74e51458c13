local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local Executor = futures.ThreadPoolExecutor

local assert, describe, it = assert, helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel into tasks)

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

-- Tasks.
local function echo(...) return ... end
local function my_name() return require "conc.threading".current_thread():name() end
local function my_ident() return require "conc.threading".get_ident() end

-- Says that it has begun and waits for the gate.
local function wait_at(gate, began, result)
  began:put(true)
  gate:wait()
  return result
end

-- An executor whose n workers all wait until 'gate' is set; their futures.
local function busy(n)
  local ex, gate, began, list = Executor(n), threading.Event(), queue.SimpleQueue(), {}
  for i = 1, n do list[i] = ex:submit(wait_at, gate, began, i) end
  for _ = 1, n do began:get() end
  return ex, gate, list
end

describe("A ThreadPoolExecutor", function()
  it("has as many workers at most as it is told, by default one for each processor", function()
    assert.equal(conc.cpu_count(), Executor():max_workers())
    assert.equal(conc.cpu_count(), Executor {}:max_workers())
    assert.equal(3, Executor(3):max_workers())
    assert.equal(3, Executor(3.0):max_workers())
    assert.equal(7, Executor {max_workers = 7}:max_workers())
  end)

  it("calls a function with its arguments in another thread", function()
    local ex <close> = Executor(1)
    assert.same({n = 3, 1, nil, "x"}, table.pack(ex:submit(echo, 1, nil, "x"):result()))
    assert.equal(0, select("#", ex:submit(echo):result()))
    assert.are_not.equal(threading.get_ident(), ex:submit(my_ident):result())
    assert.equal("a,b", ex:submit(table.concat, {"a", "b"}, ","):result())
    local n = 5
    assert.equal(47, ex:submit(function(m) return n + m end, 42):result())
  end)

  it("passes on few and many arguments, short and long, of one function in turn", function()
    local ex <close> = Executor(2)
    local plain, other = function(...) return ... end, function(x) return select("#", x) end
    for length = 0, 80 do -- some of these fit into a message without memory of its own
      local text = ("x"):rep(length)
      local ones = {}
      for i = 1, length do ones[i] = i % 2 == 0 and i or -i * 1.5 end
      assert.same({text, true, nil, false}, {ex:submit(plain, text, true, nil, false):result()})
      assert.same(ones, {ex:submit(plain, table.unpack(ones)):result()})
      assert.equal(1, ex:submit(other, text):result())
      assert.same({7, {text}}, {ex:submit(plain, 7, {text}):result()})
    end
  end)

  it("calls what has a __call, too", function()
    local ex <close> = Executor(1)
    local callable = setmetatable({n = 2}, {__call = function(self, x) return self.n * x end})
    assert.equal(42, ex:submit(callable, 21):result())
  end)

  it("runs tasks in the order of submitting, at most max_workers at a time", function()
    local log = queue.SimpleQueue()
    do
      local ex <close> = Executor(1)
      for i = 1, 100 do ex:submit(function(q, k) q:put(k) end, log, i) end
    end
    for i = 1, 100 do assert.equal(i, log:get(0)) end
    local now, most = threading.Value("i64", 0), threading.Value("i64", 0)
    do
      local ex <close> = Executor(3)
      for _ = 1, 50 do
        ex:submit(function(n, m)
          local seen = n:add(1)
          m:update(function(old) return old > seen and old or seen end)
          n:add(-1)
        end, now, most)
      end
    end
    assert.is_true(most.value >= 1 and most.value <= 3)
    assert.equal(0, now.value)
  end)

  it("runs tasks at the same time", function()
    local ex <close> = Executor(4)
    local barrier, list = threading.Barrier(4), {}
    for i = 1, 4 do
      list[i] = ex:submit(function(b) return b:wait(60) end, barrier)
    end
    local sum = 0
    for i = 1, 4 do sum = sum + list[i]:result() end
    assert.equal(10, sum)
  end)

  it("starts its workers when there is work, and no more than the work needs", function()
    local before = threading.active_count()
    local ex = Executor(4)
    assert.equal(before, threading.active_count())
    local gate, began = threading.Event(), queue.SimpleQueue()
    for i = 1, 2 do
      ex:submit(wait_at, gate, began)
      began:get()
      assert.equal(before + i, threading.active_count())
    end
    gate:set()
    ex:shutdown()
    assert.equal(before, threading.active_count())
  end)

  it("uses an idle worker again before it starts another", function()
    local ex <close> = Executor(8)
    local before = threading.active_count()
    for _ = 1, 20 do ex:submit(echo):result() end
    assert.equal(before + 1, threading.active_count())
  end)

  it("keeps a worker's state from task to task", function()
    local ex <close> = Executor(1)
    local function count()
      counter = (counter or 0) + 1 -- luacheck: ignore 111 113
      return counter -- luacheck: ignore 113
    end
    assert.equal(1, ex:submit(count):result())
    assert.equal(2, ex:submit(count):result())
    assert.is_nil(rawget(_G, "counter"))
  end)

  it("names its threads after a prefix and a number", function()
    local ex <close> = Executor {max_workers = 1, thread_name_prefix = "fetch"}
    assert.equal("fetch_0", ex:submit(my_name):result())
    local other <close> = Executor(1)
    assert.matches("^ThreadPoolExecutor%-%d+_0$", other:submit(my_name):result())
    local third <close> = Executor(1)
    assert.are_not.equal(other:submit(my_name):result(), third:submit(my_name):result())
    local gate, began, names = threading.Event(), queue.SimpleQueue(), {}
    local two = Executor(2, "two")
    for i = 1, 2 do
      names[i] = two:submit(function(g, b, name)
        b:put(true)
        g:wait()
        return name()
      end, gate, began, my_name)
    end
    began:get()
    began:get()
    gate:set()
    local found = {names[1]:result(), names[2]:result()}
    table.sort(found)
    assert.same({"two_0", "two_1"}, found)
    two:shutdown()
  end)

  it("lists its workers among the threads, while they are there", function()
    local ex = Executor(1, "listed")
    ex:submit(echo):result()
    local seen = false
    for _, thread in ipairs(threading.enumerate()) do
      seen = seen or thread:name() == "listed_0"
    end
    assert.is_true(seen)
    ex:shutdown()
    for _, thread in ipairs(threading.enumerate()) do
      assert.are_not.equal("listed_0", thread:name())
    end
  end)

  it("runs an initializer with its arguments first in each worker", function()
    local log = queue.SimpleQueue()
    local ex = Executor {
      max_workers = 2,
      initializer = function(q, a, b, c)
        q:put {a = a, b = b, c = c}
      end,
      initargs = {log, 1, nil, "third", n = 4},
    }
    assert.is_true(log:empty())
    ex:submit(echo):result()
    assert.same({a = 1, c = "third"}, log:get(0))
    ex:shutdown()
    assert.is_true(log:qsize() <= 1)
  end)

  it("shows its tasks what the initializer made", function()
    local ex <close> = Executor {
      max_workers = 1,
      initializer = function(v) connection = v end, -- luacheck: ignore 111
      initargs = {"db"},
    }
    assert.equal("db", ex:submit(function()
      return connection -- luacheck: ignore 113
    end):result())
  end)

  it("tells of an initializer that fails, once", function()
    local text = table.concat(helper.child [[
      local gate = require "conc.threading".Event()
      local ex = require "conc.futures".ThreadPoolExecutor {
        max_workers = 2, initargs = {gate},
        initializer = function(g)
          g:wait()
          error "no luck"
        end,
      }
      local a, b = ex:submit(print), ex:submit(print)
      gate:set()
      a:exception()
      b:exception()
      ex:shutdown()
    ]], "\n")
    assert.matches("^conc: a pool is broken: BrokenThreadPool: .*no luck", text)
    local _, n = text:gsub("BrokenThreadPool", "")
    assert.equal(1, n)
  end)

  it("fails all its tasks, now and later, when an initializer fails", function()
    local gate = threading.Event()
    local ex = Executor {
      max_workers = 1,
      initializer = function(g)
        g:wait()
        error {why = "no connection"}
      end,
      initargs = {gate},
    }
    local list = {}
    for i = 1, 3 do list[i] = ex:submit(echo, i) end
    gate:set()
    for i = 1, 3 do
      local err = raised(list[i].result, list[i])
      assert.is_true(conc.Error.is(err, "BrokenThreadPool"))
      assert.is_true(conc.Error.is(err, "BrokenExecutor"))
      assert.is_false(conc.Error.is(err, "TimeoutError"))
      assert.same({why = "no connection"}, err.cause)
      assert.matches("^BrokenThreadPool: .*initializer", tostring(err))
      assert.matches("\ncaused by: ", tostring(err))
      assert.matches("traceback", list[i]:traceback())
    end
    local err = raised(ex.submit, ex, echo)
    assert.is_true(conc.Error.is(err, "BrokenThreadPool"))
    assert.same({why = "no connection"}, err.cause)
    assert.is_true(conc.Error.is(raised(ex.map, ex, echo, {1}), "BrokenThreadPool"))
    ex:shutdown()
    ex:shutdown()
  end)

  it("is broken with a text when the cause cannot travel", function()
    local gate = threading.Event()
    local ex <close> = Executor {
      max_workers = 1,
      initializer = function()
        gate:wait()
        error(setmetatable({coroutine.create(print)}, {__tostring = function() return "odd" end}))
      end,
    }
    local f = ex:submit(echo)
    gate:set()
    local err = raised(f.result, f)
    assert.is_true(conc.Error.is(err, "BrokenThreadPool"))
    assert.equal("odd", err.cause)
  end)

  it("refuses at once what cannot travel, with the way to it", function()
    local ex <close> = Executor(1)
    local co = coroutine.create(print)
    assert.equal("args[2]: cannot send a coroutine", raised(ex.submit, ex, echo, 1, co))
    assert.equal("args[1].cfg.handler: cannot send a coroutine",
      raised(ex.submit, ex, echo, {cfg = {handler = co}}))
    assert.equal("fn (upvalue 'co'): cannot send a coroutine",
      raised(ex.submit, ex, function() return co end))
    assert.equal("initializer (upvalue 'co'): cannot send a coroutine",
      raised(Executor, {initializer = function() return co end}))
    assert.equal(1, ex:submit(echo, 1):result())
  end)

  it("does what it has when it is shut down, and takes no more", function()
    local ex, gate, list = busy(2)
    for i = 3, 20 do list[i] = ex:submit(echo, i) end
    gate:set()
    assert.equal(0, select("#", ex:shutdown()))
    for i = 1, 20 do
      assert.is_true(list[i]:done())
      assert.equal(i, list[i]:result(0))
    end
    assert.error_matches(function() ex:submit(echo) end,
      "cannot schedule new futures after shutdown")
    assert.error_matches(function() ex:map(echo, {1}) end,
      "cannot schedule new futures after shutdown")
    ex:shutdown()
    ex:shutdown {wait = false}
    ex:shutdown {cancel_futures = true}
    assert.equal(2, ex:max_workers())
  end)

  it("may be shut down before it has done anything", function()
    local ex = Executor(2)
    ex:shutdown()
    assert.error_matches(function() ex:submit(echo) end, "after shutdown")
  end)

  it("does not wait when it is told so, and still does what it has", function()
    local ex, gate, list = busy(1)
    list[2] = ex:submit(echo, 2)
    ex:shutdown {wait = false}
    assert.is_false(list[1]:done())
    assert.error_matches(function() ex:submit(echo) end, "after shutdown")
    gate:set()
    assert.equal(2, list[2]:result(helper.patience))
    ex:shutdown()
  end)

  it("cancels what has not started when it is told so", function()
    local ex, gate, list = busy(2)
    for i = 3, 20 do list[i] = ex:submit(echo, i) end
    ex:shutdown {wait = false, cancel_futures = true}
    for i = 3, 20 do assert.is_true(list[i]:cancelled()) end
    assert.same({true, true}, {list[1]:running(), list[2]:running()})
    gate:set()
    ex:shutdown()
    assert.same({1, 2}, {list[1]:result(0), list[2]:result(0)})
  end)

  it("is shut down at the end of the scope that has it", function()
    local list = {}
    do
      local ex <close> = Executor(2)
      for i = 1, 20 do list[i] = ex:submit(echo, i) end
    end
    for i = 1, 20 do assert.equal(i, list[i]:result(0)) end
    local outer
    local err = raised(function()
      local ex <close> = Executor(1)
      outer = ex
      list[1] = ex:submit(echo, "last")
      error("mine", 0)
    end)
    assert.equal("mine", err)
    assert.equal("last", list[1]:result(0))
    assert.error_matches(function() outer:submit(echo) end, "after shutdown")
  end)

  it("finishes what was submitted when it is dropped, and its threads end", function()
    local before = threading.active_count()
    local ex, gate, list = busy(1)
    for i = 2, 10 do list[i] = ex:submit(echo, i) end
    ex = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    gate:set()
    for i = 1, 10 do assert.equal(i, list[i]:result(helper.patience)) end
    helper.eventually(function() return threading.active_count() == before end,
      "the workers of a dropped executor")
  end)

  it("is not shut down while another thread has it", function()
    local there, go = queue.SimpleQueue(), threading.Event()
    local finish = helper.thread(function(q, e)
      local ex = q:get()
      e:wait()
      return ex:submit(function() return "still" end):result()
    end, there, go)
    local ex = Executor(1)
    there:put(ex)
    helper.eventually(function() return there:empty() end)
    ex = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    go:set()
    assert.equal("still", finish())
  end)

  it("is used by several threads", function()
    local ex <close> = Executor(2)
    local n = helper.scale(200)
    local sums = helper.threads(4, function(id, pool, times)
      local list, sum = {}, 0
      for i = 1, times do
        list[i] = pool:submit(function(a, b) return a * b end, id, i)
      end
      for i = 1, times do sum = sum + list[i]:result() end
      return sum
    end, ex, n)
    for id = 1, 4 do assert.equal(id * n * (n + 1) // 2, sums[id]) end
  end)

  it("may be passed to a task of its own, which may submit more", function()
    local ex <close> = Executor(2)
    local f = ex:submit(function(pool)
      local inner = pool:submit(function(x) return x + 1 end, 41)
      return pool, inner:result()
    end, ex)
    local same, result = f:result(helper.patience)
    assert.equal(ex, same)
    assert.equal(42, result)
  end)

  it("hires a worker for what a task submits and waits for", function()
    local gap = threading.Event()
    for round = 1, helper.scale(200) do
      local ex <close> = Executor(2)
      ex:submit(echo):result()
      if round % 4 == 0 then gap:wait(0.001) end -- its worker looks, or sleeps
      local f = ex:submit(function(pool)
        return pool:submit(function() return "inner" end):result()
      end, ex)
      assert.equal("inner", f:result(helper.patience))
    end
  end)

  it("cannot be waited for by a task of its own", function()
    local ex <close> = Executor(1)
    local f = ex:submit(function(pool) pool:shutdown() end, ex)
    assert.matches("cannot wait for an executor in a task of its own", raised(f.result, f))
  end)

  it("may be made in a task of another", function()
    local ex <close> = Executor(2)
    local f = ex:submit(function()
      local inner <close> = require "conc.futures".ThreadPoolExecutor(1)
      return inner:submit(function() return "inner" end):result()
    end)
    assert.equal("inner", f:result(helper.patience))
  end)

  it("runs a function as often as it is submitted, with the upvalues of the time", function()
    local ex <close> = Executor(2)
    local n = 0
    local function f() return n end
    local list = {}
    for i = 1, 50 do
      n = i
      list[i] = ex:submit(f)
    end
    for i = 1, 50 do assert.equal(i, list[i]:result()) end
  end)

  it("goes on after tasks that failed", function()
    local ex <close> = Executor(1)
    local list = {}
    for i = 1, 20 do list[i] = ex:submit(error, i, 0) end
    for i = 1, 20 do assert.equal(i, list[i]:exception()) end
    assert.equal("fine", ex:submit(echo, "fine"):result())
  end)

  it("is one object in all states, and equal to itself only", function()
    local ex = Executor(1)
    local q = queue.SimpleQueue()
    q:put(ex)
    assert.equal(ex, q:get())
    assert.are_not.equal(ex, Executor(1))
    assert.matches("^ThreadPoolExecutor: ", tostring(ex))
    assert.is_nil(ex.no_such_method)
  end)

  it("refuses options that are none", function()
    for _, n in ipairs {0, -1, math.mininteger} do
      assert.error_matches(function() Executor(n) end, "max_workers: must be at least 1")
    end
    assert.error_matches(function() Executor(math.maxinteger) end, "max_workers: must be at most")
    assert.error_matches(function() Executor(1.5) end, "max_workers: .* no integer representation")
    assert.error_matches(function() Executor "4" end, "max_workers: integer expected, got string")
    assert.error_matches(function() Executor {max = 1} end, "unknown option 'max'")
    assert.error_matches(function() Executor {3} end, "unknown option '1'")
    assert.error_matches(function() Executor {initializer = 1} end,
      "initializer: function expected, got number")
    assert.error_matches(function() Executor {initializer = print, initargs = 2} end,
      "initargs: table expected, got number")
    assert.error_matches(function() Executor {initargs = 2} end,
      "initargs: table expected, got number")
    assert.error_matches(function() Executor {initializer = print, initargs = {n = -1}} end,
      "initargs: ")
    assert.error_matches(function() Executor {thread_name_prefix = {}} end,
      "thread_name_prefix: string expected, got table")
    local function surplus() Executor(1, "a", print, {}, 5, 1, 5, "block", 9) end
    assert.error_matches(surplus, "surplus argument")
  end)

  it("names the argument that is wrong, and is as before", function()
    local ex = Executor(1)
    for _ = 1, 2 do
      helper.refuses_strangers(ex, {max_workers = 0, shutdown = 2})
      for _, self in ipairs {false, 1, {}, io.stdout, queue.Queue()} do
        assert.error_matches(function() ex.submit(self, echo) end, "ThreadPoolExecutor expected")
      end
      assert.error_matches(function() ex:submit() end, "fn: function expected, got no value")
      assert.error_matches(function() ex:submit {} end, "fn: function expected, got table")
      assert.error_matches(function() ex:submit "print" end, "fn: function expected, got string")
      assert.error_matches(function() ex:shutdown {now = true} end, "unknown option 'now'")
      assert.error_matches(function() ex:shutdown {wait = 1} end, "wait: boolean expected")
      assert.error_matches(function() ex:shutdown {cancel_futures = "yes"} end,
        "cancel_futures: boolean expected")
      assert.error_matches(function() ex:shutdown "now" end, "wait: boolean expected")
    end
    assert.equal(1, ex:submit(echo, 1):result())
    ex:shutdown()
  end)

  -- A task that sees the main thread in 'method', tells so and goes on.
  local function interrupted_in(method, go_on)
    return helper.interrupted(([[
      local futures = require "conc.futures"
      local function task()
        local left <close> = setmetatable({}, {__close = function() print "left" end})
        repeat until require "conc".dump():find "MainThread[^\n]* waits in '%s'"
        io.stdout:write "waiting\n"
        io.stdout:flush()
        %s
      end
      local ex <close> = futures.ThreadPoolExecutor(2)
      local f = ex:submit(task)
      for _ = 1, 5 do ex:submit(function() require "conc".sleep(1000) end) end
      f:%s()]]):format(method, go_on, method))
  end

  it("ends its tasks when Ctrl-C ends the scope that has it", function()
    for _, go_on in ipairs {'require "conc".sleep(1000)', "while true do end"} do
      local lines = table.concat(interrupted_in("result", go_on), "\n")
      assert.matches("interrupted!", lines)
      assert.matches("left", lines)
      assert.is_nil(lines:find "nobody looked")
    end
  end)

  it("leaves nothing behind when there is no memory for it", function()
    assert.is_true(helper.fail_each(function() return Executor(1) end) >= 3)
    local ex <close> = Executor(1)
    ex:submit(echo):result()
    assert.is_true(helper.fail_each_everywhere(function()
      ex:submit(echo, ("x"):rep(1000)):result()
    end) >= 1)
    helper.fail_each_everywhere(function()
      local other <close> = Executor(1)
      other:submit(echo):result()
    end)
    assert.equal(1, ex:submit(echo, 1):result())
  end)
end)
