-- Every public function of conc.threading and conc.queue, and what it makes of
-- arguments that are none: an error that names the argument, and an object that
-- works as before.

local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- What an argument may be, what it says to other things, and one it takes.
local FOREIGN = {io.stdout, "FILE%*"}

local function others(expected, list)
  local bad = {{FOREIGN[1], expected .. " expected, got " .. FOREIGN[2]}}
  for _, v in ipairs(list) do
    bad[#bad + 1] = {v, ("%s expected, got %s"):format(expected, type(v))}
  end
  return bad
end

local function plus(list, more)
  for _, case in ipairs(more) do list[#list + 1] = case end
  return list
end

local none = function() end

local function integer(name, good, least)
  return {name = name, good = good, bad = plus(others("integer", {"1", true, {}, none}), {
    {1.5, "number has no integer representation"},
    {0 / 0, "number has no integer representation"},
    {math.huge, "number has no integer representation"},
    least and {least - 1, "must be at least " .. least} or nil,
    least and {math.mininteger, "must be at least " .. least} or nil,
  })}
end

local function timeout(name)
  return {name = name or "timeout", good = 0,
    bad = plus(others("number of seconds", {"1", true, {}, none}), {
      {-1, "must not be negative"}, {-1e300, "must not be negative"},
      {-math.huge, "must not be negative"}, {0 / 0, "must not be NaN"},
    })}
end

local function fn(name)
  return {name = name, good = none, bad = others("function", {1, "f", true, {}})}
end

-- An item that can cross is needed, be it nil.
local function item(name)
  return {name = name, good = 1, needed = true,
    bad = {{coroutine.create(none), "cannot send a coroutine", bare = true}}}
end

local function truth(name)
  return {name = name, good = false, bad = others("boolean", {1, "true", {}})}
end

local function text(name)
  return {name = name, good = "i", bad = others("string", {1, true, {}})}
end

local function number(name)
  return {name = name, good = 1, bad = others("number", {"1", true, {}})}
end

local function free(name) return {name = name, good = 1, bad = {}} end

local ACQUIRE = {acquire = {timeout()}, release = {}, locked = {}}
local SEMAPHORE = {
  acquire = {timeout()}, release = {integer("n", 1, 1)}, value = {}, get_value = {}, locked = {},
}
local QUEUE = {
  put = {item "item", timeout()}, get = {timeout()}, put_nowait = {item "item"},
  get_nowait = {}, items = {}, qsize = {}, empty = {}, full = {}, maxsize = {},
  task_done = {}, join = {timeout()}, shutdown = {truth "immediate", options = true},
  is_shutdown = {},
}
local priority = {name = "priority", good = 1, bad = {{0 / 0, "must not be NaN"},
  {{}, "number or string expected, got table"}, {FOREIGN[1], "got FILE%*"}}}
local PRIORITY = {
  put = {free "item", timeout(), priority}, put_nowait = {free "item", priority},
}
for name, args in pairs(QUEUE) do PRIORITY[name] = PRIORITY[name] or args end

local function lock(name)
  return {name = name, good = true, bad = others("boolean, Lock or RLock", {1, "x"})}
end

local code = {name = "type", good = "i", bad = {{1, "typecode expected, got number"},
  {FOREIGN[1], "typecode expected, got FILE%*"}, {"zz", "zz"}, {"", ""}}}

-- Constructors: their arguments by position; methods: theirs.
local CLASSES = {
  {threading, "Lock", {}, ACQUIRE},
  {threading, "RLock", {}, ACQUIRE},
  {threading, "Condition", {{name = "lock", bad = others("Lock or RLock", {1, "x", true})}}, {
    acquire = {timeout()}, release = {}, locked = {}, wait = {timeout()},
    wait_for = {fn "predicate", timeout()}, notify = {integer("n", 1, 0)}, notify_all = {},
  }},
  {threading, "Semaphore", {integer("value", 1, 0)}, SEMAPHORE},
  {threading, "BoundedSemaphore", {integer("value", 1, 0)}, SEMAPHORE},
  {threading, "Event", {}, {is_set = {}, set = {}, clear = {}, wait = {timeout()}}},
  {threading, "Barrier", {integer("parties", 1, 1), fn "action", timeout()}, {
    wait = {timeout()}, reset = {}, abort = {}, parties = {}, n_waiting = {}, broken = {},
  }, needs = 1},
  {threading, "Value", {code, {name = "value", good = 1, bad = others("number", {"1", true, {}})},
    lock "lock"}, {
    get = {}, set = {number "value"}, add = {number "n"}, cas = {number "expected", number "new"},
    update = {fn "fn"}, get_lock = {}, typecode = {},
  }, needs = 1},
  {threading, "Array", {code, {name = "values", good = 3, bad = others("sequence", {"1", true})},
    lock "lock"}, {
    get = {integer("index", 1)}, set = {integer("index", 1), number "value"},
    add = {integer("index", 1), number "n"},
    cas = {integer("index", 1), number "expected", number "new"},
    update = {integer("index", 1), fn "fn"}, slice = {integer("i", 1), integer("j", 1)},
    set_slice = {integer("i", 1),
      {name = "values", good = {1}, bad = others("sequence", {1, "x", true})}},
    fill = {number "value", integer("i", 1), integer("j", 1)}, copy = {}, tobytes = {},
    frombytes = {{name = "bytes", good = "", bad = others("string", {1, true, {}})},
      integer("i", 1)},
    typecode = {}, get_lock = {},
  }, needs = 2},
  {threading, "Thread", {fn "target",
    {name = "args", good = {}, bad = others("table", {1, "x", true})}, text "name",
    truth "daemon", integer("stack_size", 0, 0)}, {
    start = {}, join = {timeout()}, name = {}, set_name = {text "name"}, daemon = {},
    set_daemon = {truth "daemon"}, ident = {}, native_id = {}, is_alive = {},
  }, needs = 1},
  {threading, "Timer", {
    {name = "interval", good = 1, bad = {{-1, "number >= 0 expected"}, {0 / 0, "number >= 0"},
      {"1", "number >= 0 expected"}, {true, "number >= 0 expected"}}},
    {name = "fn", good = none, bad = {{1, "function expected, got number"}}},
    {name = "args", good = {}, bad = {{1, "table expected, got number"}}}}, {
    start = {}, cancel = {}, join = {timeout()}, name = {}, set_name = {text "name"},
    daemon = {}, set_daemon = {truth "daemon"}, ident = {}, native_id = {}, is_alive = {},
  }, needs = 2},
  {threading, "Local", {fn "init", {name = "args", good = {}, bad = others("table", {1, "x"})}}},
  {queue, "Queue", {integer("maxsize", 0)}, QUEUE},
  {queue, "LifoQueue", {integer("maxsize", 0)}, QUEUE},
  {queue, "PriorityQueue", {integer("maxsize", 0)}, PRIORITY},
  {queue, "SimpleQueue", {}, {put = {item "item", timeout()}, get = {timeout()},
    put_nowait = {item "item"},
    get_nowait = {}, items = {}, qsize = {}, empty = {}}},
}

local dict = {name = "d", good = threading.Dict(), bad = {}}
local key = {name = "key", good = "k", needed = true, bad = {{nil, "nil cannot be a key"},
  {0 / 0, "NaN cannot be a key"}, {{}, "a table cannot be a key"},
  {FOREIGN[1], "a FILE%* cannot be a key"}}}

-- Functions of the modules that make no objects.
local FUNCTIONS = {
  {threading, "current_thread", {}},
  {threading, "main_thread", {}},
  {threading, "enumerate", {}},
  {threading, "active_count", {}},
  {threading, "get_ident", {}},
  {threading, "get_native_id", {}},
  {threading, "stack_size", {integer("stack_size", 0, 0)}},
  {threading, "__excepthook__", {{name = "info", bad = others("table", {1, "x", true})}},
    open = true},
  {conc, "sleep", {timeout "seconds"}},
  {conc, "time", {}},
  {conc, "cpu_count", {}},
  {conc, "sendable", {{name = "value", good = 1, needed = true, bad = {}}}},
  {conc, "register", {text "name",
    {name = "metatable", good = {}, bad = others("table", {1, "x", true})}}},
  {threading.Dict, "get", {dict, key, free "default"}},
  {threading.Dict, "set", {dict, key, item "value"}},
  {threading.Dict, "setdefault", {dict, key, item "value"}},
  {threading.Dict, "pop", {dict, key, free "default"}},
  {threading.Dict, "add", {dict, key, number "n"}},
  {threading.Dict, "update", {dict, key, fn "fn"}},
  {threading.Dict, "cas", {dict, key,
    {name = "old", good = 1, bad = {{{}, "a table cannot be compared"},
      {FOREIGN[1], "a FILE%* cannot be compared"}}}, item "new"}},
  {threading.Dict, "snapshot", {dict}},
  {threading.Dict, "keys", {dict}},
  {threading.Dict, "len", {dict}},
  {threading.Dict, "clear", {dict}},
}

-- The error of f(...), without its position.
local function failure(what, f, ...)
  local ok, err = pcall(f, ...)
  if ok then error(what .. ": no error", 2) end
  return (tostring(err):gsub("^[^:]+:%d+: ", ""))
end

-- Call f(first..., good..., bad) for each argument and each bad value of it.
local function check_arguments(what, f, first, args)
  local given = table.pack(table.unpack(first, 1, first.n))
  for i, arg in ipairs(args) do
    for _, case in ipairs(arg.bad) do
      -- A table alone would be one of options.
      if args.options and i == 1 and type(case[1]) == "table" then goto continue end
      local list = table.pack(table.unpack(given, 1, given.n))
      list[given.n + 1], list.n = case[1], given.n + 1
      local call = ("%s, argument %d = %s"):format(what, i, tostring(case[1]))
      local err = failure(call, f, table.unpack(list, 1, list.n))
      local pattern = case.bare and ("^%s: .*%s"):format(arg.name, case[2]) or
        ("bad argument #%s to '.*' %%(%s: .*%s"):format(args.options and "%d" or list.n,
          arg.name, case[2])
      if not err:find(pattern) then
        error(("%s: %s\nwanted: %s"):format(call, err, pattern), 2)
      end
      ::continue::
    end
    if arg.needed then
      local err = failure(what, f, table.unpack(given, 1, given.n))
      assert.matches(("bad argument #%d to '.*' %%(%s: "):format(given.n + 1, arg.name), err, what)
    end
    given.n = given.n + 1
    given[given.n] = arg.good
  end
  return given
end

local function check_surplus(what, f, given)
  given[given.n + 1] = nil
  local err = failure(what .. " with one argument too many", f,
    table.unpack(given, 1, given.n + 1))
  assert.matches(("bad argument #%d to '.*' %%(surplus argument%%)"):format(given.n + 1), err, what)
end

-- Things that are not the object.
local function strangers(kind)
  local list = {false, 1, "x", {}, none, io.stdout, threading.Dict()}
  list[#list + 1] = kind:find "Queue" and threading.Lock() or queue.SimpleQueue()
  return list
end

local function make(class)
  local args = {}
  for i = 1, class.needs or 0 do args[i] = class[3][i].good end
  return class[1][class[2]](table.unpack(args))
end

local function methods_of(object)
  local at = getmetatable(object).__index
  if type(at) == "function" then at = select(2, debug.getupvalue(at, 2)) end
  local list = {}
  for name, f in pairs(at or {}) do
    if type(f) == "function" and name:sub(1, 2) ~= "__" then list[name] = f end
  end
  return list
end

describe("A mistaken call", function()
  for _, class in ipairs(CLASSES) do
    local kind, new = class[2], class[1][class[2]]

    it("of the constructor " .. kind .. " names the argument", function()
      class[3].options = true
      local given = check_arguments(kind, new, {n = 0}, class[3])
      check_surplus(kind, new, given)
      assert.matches("unknown option 'no_such_option'", failure(kind, new, {no_such_option = 1}))
    end)

    if class[4] then
      it("of a method of " .. kind .. " names the argument and changes nothing", function()
        local described = class[4]
        local object = make(class)
        for name, method in pairs(methods_of(object)) do
          local what = kind .. ":" .. name
          assert(described[name], what .. " is not in the table of this spec")
          local given = check_arguments(what, method, {n = 1, object}, described[name])
          check_surplus(what, method, given)
          for _, self in ipairs(strangers(kind)) do
            assert.matches("bad argument #1 to '.*' %(.+ expected, got .+%)",
              failure(what .. " on a " .. type(self), method, self), what)
          end
          assert.matches("bad argument #1 to '.*' %(.+ expected, got no value%)",
            failure(what .. " on nothing", method), what)
        end
        for name in pairs(described) do
          assert(methods_of(object)[name], kind .. " has no method " .. name)
        end
        if object.acquire then
          assert.equal(object, object:acquire(0))
          object:release()
        elseif object.put then
          assert.is_true(object:put(5))
          assert.equal(5, object:get(0))
        end
      end)
    end
  end

  for _, f in ipairs(FUNCTIONS) do
    it("of the function " .. f[2] .. " names the argument", function()
      local call = f[1][f[2]]
      local given = check_arguments(f[2], call, {n = 0}, f[3])
      if not f.open then check_surplus(f[2], call, given) end
      if f[3][1] == dict then
        for _, self in ipairs(strangers "Lock") do
          if not tostring(self):find "^Dict" then
            assert.matches("bad argument #1 to '.*' %(Dict expected, got .+%)",
              failure(f[2], call, self))
          end
        end
      end
    end)
  end

  it("is looked for in every function there is", function()
    local known = {[threading.Dict] = true}
    for _, list in ipairs {CLASSES, FUNCTIONS} do
      for _, entry in ipairs(list) do known[entry[1][entry[2]]] = true end
    end
    for _, module in ipairs {threading, queue, threading.Dict} do
      for name, f in pairs(module) do
        if type(f) == "function" then assert(known[f], name .. " is not in this spec") end
      end
    end
  end)
end)

describe("A time to wait", function()
  it("may be as long as one likes", function()
    for _, forever in ipairs {1e9, 1e18, 1e300, math.huge, math.maxinteger} do
      assert.truthy(threading.Lock():acquire(forever))
      assert.truthy(threading.RLock():acquire(forever))
      assert.truthy(threading.Semaphore():acquire(forever))
      assert.equal(1, threading.Barrier(1):wait(forever))
      local q, e = queue.Queue(1), threading.Event()
      assert.is_true(q:put(1, forever))
      assert.equal(1, q:get(forever))
      q:task_done()
      assert.is_true(q:join(forever))
      e:set()
      assert.is_true(e:wait(forever))
      local t = threading.Thread {target = none}:start()
      assert.is_true(t:join(forever))
    end
  end)
end)

-- Each on one line, as some of conc's functions in Lua stand before those in C.
local co = coroutine.create(none)
local executor = futures.ThreadPoolExecutor(1)
local group = futures.TaskGroup(executor)
local pool = multiprocessing.ThreadPool(1)
local MISTAKES = {
  ["group:submit"] = function() return nil, group:submit(none, co) end,
  ["group:submit_with"] = function() return nil, group:submit_with({no_such_option = 1}, none) end,
  ["group:wait"] = function() return nil, group:wait(-1) end,
  ["pool:apply"] = function() return nil, pool:apply(none, {co}) end,
  ["pool:map"] = function() return nil, pool:map(none, {co}) end,
  ["pool:imap"] = function() return nil, pool:imap(none, 1) end,
  ThreadPool = function() return nil, multiprocessing.ThreadPool(1, 1) end,
  RawValue = function() return nil, multiprocessing.RawValue "zz" end,
  Dict = function() return nil, threading.Dict(1) end,
  Client = function() return nil, multiprocessing.Client {address = "x", timeout = -1} end,
  Timer = function() return nil, threading.Timer(1, none):join(-1) end,
  wait = function() return nil, futures.wait(1) end,
  excepthook = function() threading.excepthook = 1 end,
  ["a method in C"] = function() return nil, executor:submit(1) end,
}

describe("An error of misuse", function()
  teardown(function()
    executor:shutdown()
    pool:terminate()
    pool:join()
  end)

  for name, f in pairs(MISTAKES) do
    it("names the line of the program: " .. name, function()
      local ok, err = pcall(f)
      local where = debug.getinfo(f, "S")
      assert.is_false(ok)
      assert.equal(("%s:%d: "):format(where.short_src, where.linedefined),
        err:match "^[^\n]-:%d+: ", err)
    end)
  end

  it("names the line of the program also on the shared executor", function()
    assert.same({
      "2: bad argument #1 to 'submit' (fn: function expected, got number)",
      "3: args[1]: cannot send a coroutine",
      "4: bad argument #3 to 'map' (chunksize: must be at least 1)",
    }, helper.child [[local conc = require "conc" local calls = {
      function() return nil, conc.submit(1) end,
      function() return nil, conc.submit(print, coroutine.create(print)) end,
      function() return nil, conc.map(print, {}, {chunksize = 0}) end}
      for _, f in ipairs(calls) do print((select(2, pcall(f)):gsub("^.-:(%d+: )", "%1"))) end
    ]])
  end)

  it("leaves out a number that is another one's", function()
    assert.matches(": bad argument to 'RawValue' %(type: unknown typecode 'zz'%)$",
      select(2, pcall(MISTAKES.RawValue)))
  end)
end)

describe("A method of what is between processes", function()
  local objects = {
    Queue = {"close", "join_thread", "cancel_join_thread"},
    SimpleQueue = {"close"},
    Pipe = {"close"},
    SharedMemory = {"close", "unlink"},
  }

  for kind, names in pairs(objects) do
    it("takes no surplus argument and no other object: " .. kind, function()
      local object <close> = kind == "SharedMemory"
        and multiprocessing.SharedMemory {create = true, size = 1}
        or setmetatable({multiprocessing[kind]()},
          {__close = function(t) for _, o in ipairs(t) do o:close() end end})
      local it = kind == "SharedMemory" and object or object[1]
      for _, name in ipairs(names) do
        assert.matches("surplus argument", failure(name, it[name], it, nil, 1))
        for _, self in ipairs(strangers "Lock") do
          assert.matches("bad argument #1 to '.*' %(.+ expected, got .+%)",
            failure(name, it[name], self))
        end
      end
      if kind == "SharedMemory" then it:unlink() end
    end)
  end
end)

describe("What is written in Lua", function()
  local most = {
    BaseManager = 1, Client = 1, Listener = 1, Manager = 0, SyncManager = 1, RawArray = 2,
    RawValue = 2, ShareableList = 1, answer_challenge = 2, deliver_challenge = 2,
    freeze_support = 0, get_all_start_methods = 0, get_context = 1, get_start_method = 1,
    set_executable = 1, set_forkserver_preload = 1, set_start_method = 2,
  }

  it("takes no surplus argument", function()
    for name, n in pairs(most) do
      local args = table.pack("spawn", "x")
      local why = failure(name, multiprocessing[name], table.unpack(args, 1, n + 1))
      assert.matches(("bad argument #%d to '%s' %%(surplus argument%%)"):format(n + 1, name), why)
    end
  end)

  it("takes no other object, and no surplus argument in its methods", function()
    local threads <close> = multiprocessing.ThreadPool(1)
    local listener <close> = multiprocessing.Listener()
    local memory <close> = multiprocessing.SharedMemoryManager():start()
    for object, methods in pairs {
      [threads] = {apply = 2, map = 3, join = 0, terminate = 0},
      [threads:apply_async(math.abs, {1})] = {get = 1, wait = 1, ready = 0, successful = 0},
      [listener] = {accept = 1, address = 0, close = 0},
      [memory] = {start = 0, SharedMemory = 1, shutdown = 0},
    } do
      helper.refuses_strangers(object, methods)
    end
    assert.equal(3, threads:apply(math.abs, {-3}))
  end)
end)

describe("An object that a finalizer has ended", function()
  it("says so, as a string and when it is used", function()
    local makers = {
      Lock = threading.Lock, Queue = queue.Queue,
      Value = function() return threading.Value("i", 1) end,
      Array = function() return threading.Array("i", 1) end,
      Thread = function() return threading.Thread {target = none} end,
      SharedMemory = function()
        local m = multiprocessing.SharedMemory {create = true, size = 1}
        m:unlink()
        return m
      end,
    }
    for class, new in pairs(makers) do
      local object = new()
      getmetatable(object).__gc(object)
      assert.equal(class .. " (closed)", tostring(object))
    end
  end)
end)
