-- What a user reads is run: every block of Lua in README.md and docs, page by
-- page, in an interpreter of its own.  A block that has comments with an arrow
-- must print what they say and nothing else.  (```lua norun is left out.)

local conc = require "conc"
local queue = require "conc.queue"
local futures = require "conc.futures"
local multiprocessing = require "conc.multiprocessing"
local threading = require "conc.threading"

local helper = require "spec.helper"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function pages()
  local list = {"README.md"}
  local names <close> = assert(io.popen(helper.windows and "dir /b docs" or "ls docs"))
  for name in names:lines() do
    if name:find "%.md$" then list[#list + 1] = "docs/" .. name end
  end
  return list
end

-- A list of {line =, text =}.
local function blocks_of(page)
  local blocks, block, n = {}, nil, 0
  for line in read(page):gmatch "(.-)\n" do
    n = n + 1
    if line == "```lua" then
      block = {line = n, text = ("\n"):rep(n)}
      blocks[#blocks + 1] = block
    elseif line == "```" then
      block = nil
    elseif block and helper.windows and line:find "forkserver" then
      blocks[#blocks] = nil -- it has none
      block = nil
    elseif block then
      block.text = block.text .. line .. "\n"
    end
  end
  return blocks
end

-- The lines that a block says it prints, or nil.
local function promise(block)
  local lines = {}
  for line in block.text:gmatch "%-%-> ?(.-) *\n" do lines[#lines + 1] = line end
  return lines[1] and table.concat(lines, "\n") .. "\n"
end

local END = "-- end of block --\n"

-- Run them one after another; what each has printed, to stdout and stderr.
local function run(page, blocks)
  local name = helper.tmpname()
  local file = assert(io.open(name, "w"))
  for _, block in ipairs(blocks) do
    file:write(("assert(load(%q, %q))()\n"):format(block.text, "@" .. page))
    file:write(("io.write(%q)\nio.flush()\n"):format(END))
  end
  file:close()
  local output <close> = assert(io.popen(("%s %s 2>&1"):format(helper.lua, name)))
  local text = output:read "a"
  os.remove(name)
  local outputs = {}
  for one in text:gmatch("(.-)" .. END:gsub("%p", "%%%0")) do outputs[#outputs + 1] = one end
  return outputs, text
end

local WITH_KEYS = {["docs/connections.md"] = true, ["docs/manager.md"] = true}

describe("The manual", function()
  for _, page in ipairs(pages()) do
    it("does what it says in " .. page, function()
      if WITH_KEYS[page] then helper.needs_sodium() end
      local blocks = blocks_of(page)
      local outputs, text = run(page, blocks)
      for i, block in ipairs(blocks) do
        local where = ("%s:%d"):format(page, block.line)
        assert(outputs[i], where .. " does not run:\n" .. text)
        local expected = promise(block)
        if expected then
          assert.equal(where .. "\n" .. expected, where .. "\n" .. outputs[i])
        else
          assert.is_nil(outputs[i]:find "uncaught error")
        end
      end
    end)
  end

  it("has no link that leads nowhere", function()
    for _, page in ipairs(pages()) do
      local folder = page:match "^(.*/)[^/]*$" or ""
      for target in read(page):gmatch "%]%(([^)#:]+)[^)]*%)" do
        local there = os.rename(folder .. target, folder .. target) -- files and folders
        assert(there, ("%s: no %s"):format(page, target))
      end
    end
  end)
end)

-- Every public name ---------------------------------------------------------

-- One object of each class, by the page that is about it.
local function objects()
  local executor = futures.ThreadPoolExecutor(1)
  local listener = multiprocessing.Listener()
  local connection = multiprocessing.Client(listener:address())
  local shm = multiprocessing.SharedMemory {create = true, size = 1}
  shm:unlink()
  local list = {
    {"shared_memory", "SharedMemory", shm},
    {"threads", "Thread", threading.Thread {target = print}},
    {"timer", "Timer", threading.Timer(1, print)},
    {"local", "Local", threading.Local()},
    {"lock", "Lock", threading.Lock()},
    {"rlock", "RLock", threading.RLock()},
    {"condition", "Condition", threading.Condition()},
    {"semaphore", "Semaphore", threading.Semaphore()},
    {"semaphore", "BoundedSemaphore", threading.BoundedSemaphore()},
    {"event", "Event", threading.Event()},
    {"barrier", "Barrier", threading.Barrier(1)},
    {"value", "Value", threading.Value "i"},
    {"array", "Array", threading.Array("i", 1)},
    {"queue", "Queue", queue.Queue()},
    {"queue", "LifoQueue", queue.LifoQueue()},
    {"queue", "PriorityQueue", queue.PriorityQueue()},
    {"queue", "SimpleQueue", queue.SimpleQueue()},
    {"executor", "ThreadPoolExecutor", executor},
    {"processes", "Process", multiprocessing.Process()},
    {"connections", "Listener", listener},
    {"connections", "Connection", connection},
    {"future", "Future", executor:submit(math.abs, 1)},
    {"promise", "Promise", futures.Promise()},
    {"task_group", "TaskGroup", futures.TaskGroup(executor)},
  }
  connection:close()
  listener:close()
  executor:shutdown()
  return list
end

-- The methods of an object, also when its __index is a function over them.
local function methods_of(object)
  local index = getmetatable(object).__index
  for i = 1, type(index) == "function" and 9 or 0 do
    local _, value = debug.getupvalue(index, i)
    if type(value) == "table" then return value end
  end
  return type(index) == "table" and index or {}
end

local function names(t)
  local list = {}
  for name in pairs(t) do
    if type(name) == "string" and not name:find "^__" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

threading.Timer(1, print) -- the code of its thread is kept from now on

local modules = {
  {"conc", conc}, {"conc.threading", threading}, {"conc.queue", queue},
  {"conc.futures", futures}, {"conc.multiprocessing", multiprocessing},
}

local function types_of(module)
  return read("docs/types/" .. module:gsub("%.", "/") .. ".lua")
end

describe("Every public name", function()
  it("of a module is in the manual and in the definitions", function()
    local manual = {}
    for i, page in ipairs(pages()) do manual[i] = read(page) end
    local text = table.concat(manual)
    for _, entry in ipairs(modules) do
      local types = types_of(entry[1])
      for _, name in ipairs(names(entry[2])) do
        local short = entry[1]:match "[^.]*$" .. "%." .. name .. "%f[%W]"
        assert(text:find(short) or text:find("conc%." .. name .. "%f[%W]"),
          ("%s.%s is in no page"):format(entry[1], name))
        assert(types:find("%." .. name .. "%f[%W]") or types:find("@field " .. name .. "%f[%W]"),
          ("%s.%s has no definition"):format(entry[1], name))
      end
    end
  end)

  it("of a class is on its page and in the definitions", function()
    local types = ""
    for _, entry in ipairs(modules) do types = types .. types_of(entry[1]) end
    for _, entry in ipairs(objects()) do
      local page, class, object = table.unpack(entry)
      local text = read("docs/" .. page .. ".md")
      assert(types:find("---@class conc%." .. class .. "%f[%W]"), class .. " has no definition")
      for _, name in ipairs(names(methods_of(object))) do
        assert(text:find(":" .. name .. "%f[%W]"), ("%s:%s is not on its page"):format(class, name))
        local inherited = class:find "Queue" and "%w*Queue" or class:find "Sem" and "%w*Semaphore"
          or class == "Timer" and "T%w+" or class
        assert(types:find("function " .. inherited .. ":" .. name .. "%f[%W]"),
          ("%s:%s has no definition"):format(class, name))
      end
    end
    for _, name in ipairs(names(threading.Dict)) do
      assert(read "docs/dict.md":find("Dict%." .. name .. "%f[%W]"), name .. " is not on its page")
      assert(types:find("function Dict%." .. name .. "%f[%W]"), "Dict." .. name)
    end
  end)
end)
