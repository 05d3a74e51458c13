local conc = require "conc"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local threading = require "conc.threading"

local SharedMemory = multiprocessing.SharedMemory
local Process, ShareableList = multiprocessing.Process, multiprocessing.ShareableList

-- Call f, which must raise a conc.Error of that class.
local function raises(class, f)
  local ok, err = pcall(f)
  assert.is_false(ok)
  assert(conc.Error.is(err, class), tostring(err))
end

-- Run f in a process of its own, which must end well.
local function elsewhere(f, ...)
  local p = Process {target = f, args = {...}}
  p:start()
  assert.is_true(p:join(helper.patience))
  assert.equal(0, p:exitcode())
  p:close()
end

describe("SharedMemory", function()
  it("is made of zeros, and has a size and a name", function()
    local shm <close> = SharedMemory {create = true, size = 5000}
    assert.equal(5000, shm:size())
    assert.equal(5000, #shm)
    assert.equal(("\0"):rep(5000), shm:read())
    assert.matches("^%S+$", shm:name())
    assert.matches("^SharedMemory%('" .. shm:name():gsub("%-", "%%-") .. "', 5000%)", tostring(shm))
    shm:unlink()
  end)

  it("is found by its name, with its size, by whoever attaches", function()
    local shm <close> = SharedMemory {create = true, size = 100}
    local other <close> = SharedMemory(shm:name())
    assert.equal(100, other:size())
    shm:write(10, "hello")
    assert.equal("hello", other:read(10, 5))
    other:write(0, "\0\1\255")
    assert.equal("\0\1\255", shm:read(0, 3))
    shm:unlink()
  end)

  it("takes a name that is given, once", function()
    local name = "conc-spec-" .. math.random(1 << 40)
    local shm <close> = SharedMemory(name, true, 10)
    assert.equal(name, shm:name())
    raises("FileExistsError", function() SharedMemory(name, true, 10) end)
    shm:unlink()
    raises("FileNotFoundError", function() SharedMemory(name) end)
    raises("FileNotFoundError", function() shm:unlink() end)
    local again <close> = SharedMemory(name, true, 20)
    raises("FileNotFoundError", function() shm:unlink() end) -- that is another one
    assert.equal(20, again:size())
    again:unlink()
  end)

  it("stays while somebody has it, also without its name", function()
    local shm <close> = SharedMemory {create = true, size = 10}
    local other <close> = SharedMemory(shm:name())
    shm:write(0, "still")
    other:unlink()
    assert.equal("still", other:read(0, 5))
  end)

  it("keeps its name when its creator closes it", function()
    local shm = SharedMemory {create = true, size = 10}
    local name = shm:name()
    shm:write(3, "x")
    shm:close()
    shm:close()
    assert.error_matches(function() shm:read() end, "SharedMemory expected, this one is closed")
    assert.equal("SharedMemory (closed)", tostring(shm))
    assert.equal(name, shm:name())
    local other <close> = SharedMemory(name)
    assert.equal("x", other:read(3, 1))
    shm:unlink()
    assert.error_matches(function() shm:unlink() end, "FileNotFoundError")
    assert.error_matches(function() SharedMemory(name) end, "FileNotFoundError")
  end)

  it("reads and writes parts that are inside, and no others", function()
    local shm <close> = SharedMemory {create = true, size = 10}
    shm:write(0, "0123456789")
    assert.equal("0123456789", shm:read())
    assert.equal("789", shm:read(7))
    assert.equal("", shm:read(10))
    assert.equal("", shm:read(4, 0))
    shm:write(10, "")
    for _, part in ipairs {{-1}, {11}, {0, 11}, {5, 6}, {0, -1}, {0.5}, {"0"}} do
      assert.error_matches(function() shm:read(part[1], part[2]) end, "bad argument")
    end
    assert.error_matches(function() shm:write(8, "abc") end,
      "bytes: 3 bytes from 8 on are not in 0 to 10")
    assert.error_matches(function() shm:write(0, 5) end, "bytes: string expected, got number")
    assert.error_matches(function() shm:write() end, "offset: integer expected")
    assert.equal("0123456789", shm:read())
    shm:unlink()
  end)

  it("has arrays over its bytes, which keep it", function()
    local shm = SharedMemory {create = true, size = 100}
    local doubles, bytes = shm:array("d", 8, 5), shm:array "u8"
    assert.equal(5, #doubles)
    assert.equal(100, #bytes)
    doubles[1] = 0.5
    assert.equal(string.pack("d", 0.5), shm:read(8, 8))
    shm:write(16, string.pack("d", -2))
    assert.equal(-2, doubles[2])
    assert.equal(0, bytes[1])
    assert.equal(11, #shm:array("d", 8))
    assert.equal(0, #shm:array("d", 96))
    local copy = doubles:copy()
    copy[1] = 7
    assert.equal(0.5, doubles[1])
    assert.error_matches(function() doubles:get_lock() end, "was made with lock = false")
    shm:unlink()
    shm:close()
    doubles:add(1, 1)
    assert.equal(1.5, doubles[1])
    local wrong = {{"d", 4}, {"d", 8, 12}, {"d", 101}, {"x"}, {"d", -8}, {"d", 0, -1}, {}}
    for _, args in ipairs(wrong) do
      local other <close> = SharedMemory {create = true, size = 100}
      assert.error_matches(function() other:array(table.unpack(args, 1, 3)) end, "bad argument")
      other:unlink()
    end
  end)

  it("refuses arguments that make no sense", function()
    assert.error_matches(function() SharedMemory() end,
      "name: string expected, since nothing is created")
    for _, name in ipairs {"", "a/b", "a\0b", ("x"):rep(201), 5, true} do
      assert.error_matches(function() SharedMemory(name) end, "name: ")
    end
    for _, size in ipairs {0, -1, 0.5, "1", false} do
      assert.error_matches(function() SharedMemory {create = true, size = size} end, "size: ")
    end
    assert.error_matches(function() SharedMemory {create = true} end, "size: integer expected")
    assert.error_matches(function() SharedMemory {create = 1, size = 1} end, "create: boolean")
    assert.error_matches(function() SharedMemory {nmae = "x"} end, "unknown option 'nmae'")
  end)

  it("says so when there is not that much memory, and leaves nothing", function()
    raises("SharedMemoryError", function() SharedMemory {create = true, size = 1 << 50} end)
    local name = "conc-spec-" .. math.random(1 << 40)
    raises("SharedMemoryError", function() SharedMemory(name, true, 1 << 45) end)
    raises("FileNotFoundError", function() SharedMemory(name) end)
  end)

  it("leaves nothing behind when there is no memory for it", function()
    local keep <close> = SharedMemory {create = true, size = 10}
    local name = keep:name()
    assert.is_true(helper.fail_each(function()
      local shm <close> = SharedMemory {create = true, size = 10}
      shm:unlink()
    end) >= 2)
    assert.is_true(helper.fail_each(function()
      SharedMemory(name):close()
    end) >= 2)
    assert.equal(1, helper.fail_each(function() return keep:array "d" end))
    keep:unlink()
  end)

  it("is the same block in a thread and in a process", function()
    local shm <close> = SharedMemory {create = true, size = 100}
    helper.thread(function(s) s:write(0, "thread") end, shm)()
    assert.equal("thread", shm:read(0, 6))
    elsewhere(function(s, name)
      assert(s:name() == name and s:size() == 100 and s:read(0, 6) == "thread")
      s:write(10, "process")
      local mine <close> = require "conc.multiprocessing".SharedMemory(name)
      assert(mine:read(10, 7) == "process")
      mine:close()
    end, shm, shm:name())
    assert.equal("process", shm:read(10, 7))
    SharedMemory(shm:name()):close() -- who attached has not removed it
    shm:unlink()
  end)

  it("is removed at the end of the process that made it", function()
    local name = "conc-spec-" .. math.random(1 << 40)
    elsewhere(function(n)
      require "conc.multiprocessing".SharedMemory(n, true, 10)
    end, name)
    raises("FileNotFoundError", function() SharedMemory(name) end)
  end)

  it("is removed when the process that made it is killed", function()
    local name = "conc-spec-" .. math.random(1 << 40)
    local ready = multiprocessing.Event()
    local p = Process {target = function(n, e)
      require "conc.multiprocessing".SharedMemory(n, true, 10)
      e:set()
      require "conc".sleep(1000)
    end, args = {name, ready}}
    p:start()
    assert.is_true(ready:wait(helper.patience))
    SharedMemory(name):close()
    p:kill()
    p:join()
    p:close()
    raises("FileNotFoundError", function() SharedMemory(name) end)
  end)

  local function find(name)
    local file = io.open("/dev/shm/" .. name)
    return file ~= nil and file:close()
  end

  it("is removed when all processes of the program are killed, or it just exits", function()
    if not io.open "/dev/shm" then return pending "names are listed on Linux only" end
    local name = "conc-spec-" .. math.random(1 << 40)
    for _, ending in ipairs {"os.execute 'kill -KILL $PPID'", "os.exit(0)"} do
      local lines = helper.child(([[
        local name = %q
        local multiprocessing = require "conc.multiprocessing"
        local ready = multiprocessing.Event()
        multiprocessing.SharedMemory(name .. "-a", true, 10)
        multiprocessing.Process {target = function()
          require "conc.multiprocessing".SharedMemory(name .. "-b", true, 10)
          ready:set()
          require "conc".sleep(1000)
        end}:start()
        ready:wait()
        for _, letter in ipairs {"-a", "-b"} do
          print(io.open("/dev/shm/" .. name .. letter) ~= nil)
        end
        io.stdout:flush()
        %s
      ]]):format(name, ending))
      assert.same({"true", "true"}, {lines[1], lines[2]})
      helper.eventually(function()
        return not find(name .. "-a") and not find(name .. "-b")
      end, "both to be removed")
    end
  end)

  it("leaves none behind that was killed while it was made #stress", function()
    if not io.open "/dev/shm" then return pending "names are listed on Linux only" end
    local prefix = "conc-spec-" .. math.random(1 << 40)
    local names = {}
    for i = 1, helper.scale(200) do
      names[i] = prefix .. "-" .. i
      local ready = multiprocessing.Event()
      local p = multiprocessing.Process {target = function(name, e)
        local new = require "conc.multiprocessing".SharedMemory
        new(name .. "-0", true, 10):unlink()
        e:set()
        while true do new(name, true, 1 << 20):unlink() end
      end, args = {names[i], ready}}
      p:start()
      assert.is_true(ready:wait(helper.patience))
      conc.sleep(math.random() / 200)
      p:kill()
      p:join()
    end
    for _, name in ipairs(names) do
      helper.eventually(function() return not find(name) end, name .. " to be removed")
    end
  end)

  it("is found whole, or not at all #stress", function()
    local name = "conc-spec-" .. math.random(1 << 40)
    local size = (1 << 20) + 5
    local stop = multiprocessing.Event()
    local p = multiprocessing.Process {target = function(n, length, e)
      local new = require "conc.multiprocessing".SharedMemory
      while not e:is_set() do new(n, true, length):unlink() end
    end, args = {name, size, stop}}
    p:start()
    local found = 0
    while found < helper.scale(200) do
      local ok, shm = pcall(SharedMemory, name)
      if ok then
        found = found + 1
        assert.equal(size, #shm)
        shm:close()
      end
    end
    stop:set()
    p:join()
  end)

  it("stays after its creator's end with track = false", function()
    helper.not_on_windows "memory goes with the last process that has it"
    local name = "conc-spec-" .. math.random(1 << 40)
    elsewhere(function(n)
      local shm = require "conc.multiprocessing".SharedMemory {
        name = n, create = true, size = 10, track = false,
      }
      shm:write(0, "left")
    end, name)
    local shm <close> = SharedMemory(name)
    assert.equal("left", shm:read(0, 4))
    shm:unlink()
  end)
end)

describe("A ShareableList", function()
  local VALUES = {1, -2.5, true, false, "text", "\0binary\255", math.mininteger, ""}

  it("holds its values, and nils", function()
    local list = ShareableList {1, nil, "x", n = 4}
    assert.equal(4, #list)
    assert.same({1, nil, "x", nil}, {list[1], list[2], list[3], list[4]})
    list:shm():unlink()
    list = ShareableList(VALUES)
    for i, value in ipairs(VALUES) do
      assert.equal(value, list[i])
      assert.equal(math.type(value), math.type(list[i]))
    end
    assert.is_nil(list[#list + 1])
    assert.equal(5, list:index "text")
    assert.is_nil(list:index "none")
    assert.equal(1, list:count(true))
    assert.equal("qd??8s8sq8s", list:format())
    local n = 0
    for i, value in pairs(list) do
      n = n + 1
      assert.equal(VALUES[i], value)
    end
    assert.equal(#VALUES, n)
    list:shm():unlink()
  end)

  it("takes other values that fit in the room of their place", function()
    local list = ShareableList {1, "0123456789"}
    list[1] = "12345678"
    assert.equal("12345678", list[1])
    assert.error_matches(function() list[1] = "123456789" end,
      "value: 9 bytes do not fit in the 8 of place 1")
    assert.equal("12345678", list[1])
    list[1] = nil
    assert.is_nil(list[1])
    list[2] = ("x"):rep(16)
    list[2] = 0.5
    assert.equal(0.5, list[2])
    for _, i in ipairs {0, 3, -1, 1.5} do
      assert.error_matches(function() list[i] = 1 end, "index: .* is not in 1 to 2")
    end
    assert.error_matches(function() return list[4] end, "index: 4 is not in 1 to 2")
    assert.error_matches(function() list[1] = {} end, "value: integer, float, .* got table")
    list:shm():unlink()
  end)

  it("is attached to by name, and copied from another", function()
    local list = ShareableList {1, "two"}
    local other = ShareableList {name = list:shm():name()}
    other[2] = "2"
    assert.equal("2", list[2])
    local copy = ShareableList(list)
    copy[1] = 5
    assert.equal(1, list[1])
    assert.are_not.equal(copy, list)
    copy:shm():unlink()
    list:shm():unlink()
    raises("FileNotFoundError", function() ShareableList {name = list:shm():name()} end)
    local name = "conc-spec-" .. math.random(1 << 40)
    local named = ShareableList {sequence = {7}, name = name}
    assert.equal(name, named:shm():name())
    assert.equal(7, named[1])
    named:shm():unlink()
  end)

  it("refuses what is none", function()
    local shm <close> = SharedMemory {create = true, size = 100}
    assert.error_matches(function() ShareableList {name = shm:name()} end, "is no ShareableList")
    assert.error_matches(function() ShareableList() end, "sequence: table expected")
    assert.error_matches(function() ShareableList {1, {}} end, "sequence%[2%]: integer, .* table")
    assert.error_matches(function() ShareableList {nmae = "x", name = "y"} end, "unknown option")
    shm:unlink()
  end)

  it("travels to threads and processes", function()
    local list = ShareableList {1, 2}
    helper.thread(function(l) l[1] = 10 end, list)()
    elsewhere(function(l)
      assert(#l == 2 and l[1] == 10)
      l[2] = 20
    end, list)
    assert.same({10, 20}, {list[1], list[2]})
    list:shm():unlink()
  end)
end)

describe("A SharedMemoryManager", function()
  local Manager = multiprocessing.SharedMemoryManager

  it("removes all that it made at its end", function()
    local shm, list
    do
      local manager <close> = Manager():start()
      shm, list = manager:SharedMemory(100), manager:ShareableList {1, 2}
      assert.equal(100, shm:size())
      manager:SharedMemory(10):close()
      manager:SharedMemory(10):unlink()
    end
    raises("FileNotFoundError", function() SharedMemory(shm:name()) end)
    raises("FileNotFoundError", function() SharedMemory(list:shm():name()) end)
    assert.equal(2, list[2])
  end)

  it("makes nothing before it is started and after it is shut down", function()
    local manager = Manager()
    assert.error_matches(function() manager:SharedMemory(1) end, "the manager is not running")
    manager:start()
    assert.error_matches(function() manager:start() end, "was started before")
    manager:shutdown()
    manager:shutdown()
    assert.error_matches(function() manager:ShareableList {} end, "the manager is not running")
    assert.error_matches(function() Manager(1) end, "surplus argument")
  end)
end)

describe("An object in shared memory", function()
  it("is the same object in another process", function()
    local lock, value = multiprocessing.Lock(), multiprocessing.Value("i", 0)
    local list = {}
    for i = 1, 3 do
      list[i] = Process {target = function(l, v)
        for _ = 1, 100 do
          local _ <close> = l:acquire()
          v.value = v.value + 1
        end
      end, args = {lock, value}}
      list[i]:start()
    end
    for _, p in ipairs(list) do
      assert.is_true(p:join(helper.patience))
      p:close()
    end
    assert.equal(300, value.value)
  end)

  it("is told to be abandoned, once, when the holder's process was killed", function()
    for _, kind in ipairs {"Lock", "RLock", "Condition"} do
      local lock, held = multiprocessing[kind](), multiprocessing.Event()
      local p = Process {target = function(l, e)
        l:acquire()
        e:set()
        require "conc".sleep(1000)
      end, args = {lock, held}}
      p:start()
      assert.is_true(held:wait(helper.patience))
      assert.same({false, "timeout"}, {lock:acquire(0)})
      p:kill()
      p:join()
      p:close()
      assert.same({lock, "abandoned"}, {lock:acquire(helper.patience)})
      lock:release()
      assert.equal(1, select("#", lock:acquire()))
      lock:release()
    end
  end)

  it("of a thread cannot leave its process", function()
    assert.error_matches(function()
      Process {target = print, args = {threading.Lock()}}
    end, "args%[1%]")
  end)
end)
