local conc = require "conc"
local futures = require "conc.futures"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- The part of the dump about the thread of that name.
local function part(text, name)
  local lines, inside = {}, false
  for line in text:gmatch "[^\n]+" do
    if line:find " %(ident %d" then inside = line:sub(1, #name + 2) == name .. " (" end
    if inside then lines[#lines + 1] = line end
  end
  return lines[1] and table.concat(lines, "\n") .. "\n"
end

-- Ask for a dump until the part about that thread holds the text.
local function eventually(name, wanted)
  local text
  local ok = pcall(helper.eventually, function()
    text = part(conc.dump(), name)
    return text and text:find(wanted, 1, true)
  end)
  assert.is_true(ok, text)
  return text
end

describe("conc.dump", function()
  it("shows the caller with its traceback", function()
    local text = part(conc.dump(), "MainThread")
    assert.is_truthy(text:find("runs conc.dump", 1, true))
    assert.is_truthy(text:find("dump_spec.lua", 1, true))
  end)

  it("names each thread, its idents, and whether it is a daemon", function()
    local q = queue.Queue()
    local t = threading.Thread {
      target = function(from) from:get() end, args = {q}, name = "the reader", daemon = true,
    }:start()
    local text = eventually("the reader", "waits in")
    local ids = ("ident %d, native %d, daemon"):format(t:ident(), t:native_id())
    assert.is_truthy(text:find(ids, 1, true))
    q:put(1)
    t:join()
    assert.is_nil(conc.dump():find("the reader", 1, true))
  end)

  it("says what a thread waits for, since when, and where", function()
    local waits = {
      {queue.Queue(), "get", function(x) x:get() end, function(x) x:put(1) end},
      {threading.Event(), "wait", function(x) x:wait() end, function(x) x:set() end},
      {threading.Semaphore(0), "acquire", function(x) x:acquire() end, function(x) x:release() end},
      {threading.Condition(), "wait", function(x)
        local _ <close> = x:acquire()
        x:wait()
      end, function(x)
        local _ <close> = x:acquire()
        x:notify_all()
      end},
      {queue.Queue(), "select", function(x) require "conc".select {x, 1000} end,
        function(x) x:put(1) end},
    }
    for i, wait in ipairs(waits) do
      local object, name, body, free = table.unpack(wait)
      local label = "waiter " .. i
      local finish = helper.thread(function(f, x, n)
        require "conc.threading".current_thread():set_name(n)
        f(x)
      end, helper.portable(body), object, label)
      local text = eventually(label, ("waits in '%s' for %s"):format(name, tostring(object)))
      assert.is_truthy(text:find ", since %d+%.%d%d%d s\n", text)
      assert.is_truthy(text:find("dump_spec.lua:", 1, true), text)
      free(object)
      finish()
    end
  end)

  it("shows the coroutine that waits", function()
    local q = queue.Queue()
    local finish = helper.thread(function(from)
      require "conc.threading".current_thread():set_name "in a coroutine"
      local function deep() return (from:get()) end
      return coroutine.wrap(function() return (deep()) end)()
    end, q)
    assert.is_truthy(eventually("in a coroutine", "'get'"):find("'deep'", 1, true))
    q:put(7)
    assert.equal(7, finish())
  end)

  it("shows where a running thread is", function()
    local stop = threading.Event()
    local finish = helper.thread(function(e)
      require "conc.threading".current_thread():set_name "runner"
      local n = 0
      local function step() n = n + 1 end
      repeat step() until e:is_set()
      return n
    end, stop)
    local text = eventually("runner", "runs\n")
    assert.is_truthy(text:find("dump_spec.lua:", 1, true))
    stop:set()
    assert.is_true(finish() > 0)
  end)

  it("leaves a hook as it was", function()
    local stop = threading.Event()
    local finish = helper.thread(function(e)
      require "conc.threading".current_thread():set_name "hooked"
      local calls = 0
      local function count() calls = calls + 1 end
      debug.sethook(count, "", 1000)
      while not e:is_set() do end
      local hook, mask, n = debug.gethook()
      return hook == count, mask, n, calls > 0
    end, stop)
    for _ = 1, 20 do eventually("hooked", "runs\n") end
    stop:set()
    assert.same({true, "", 1000, true}, {finish()})
  end)

  it("shows an executor's idle workers", function()
    local ex <close> = futures.ThreadPoolExecutor {max_workers = 1, thread_name_prefix = "pool"}
    ex:submit(function()
      -- a coroutine that waited, and is gone
      coroutine.wrap(function() require "conc".sleep(0) end)()
      collectgarbage()
    end):result()
    assert.is_truthy(eventually("pool_0", "waits for work"))
  end)

  it("names the task of a worker that has a name", function()
    local q = queue.Queue()
    local ex <close> = futures.ThreadPoolExecutor {max_workers = 1, thread_name_prefix = "named"}
    local f = ex:submit_with({name = "fetch page"}, function(from) return from:get() end, q)
    eventually("named_0", "task 'fetch page' waits in 'get' for Queue")
    q:put(1)
    assert.equal(1, f:result())
  end)

  it("does not wait for a thread that is in a C function", function()
    local stop = threading.Event()
    local finish = helper.thread(function(e)
      require "conc.threading".current_thread():set_name "in C"
      while not e:is_set() do
        local p = io.popen "sleep 0.4"
        p:read "a"
        p:close()
      end
    end, stop)
    eventually("in C", "does not answer")
    stop:set()
    finish()
  end)

  it("may be called by many threads at once, about each other #stress", function()
    local n = helper.scale(100)
    local texts = helper.threads(4, function(_, times)
      local dump = require "conc".dump
      local text
      for _ = 1, times do text = dump() end
      return text
    end, n)
    for _, text in ipairs(texts) do
      assert.is_truthy(text:find("runs conc.dump", 1, true))
    end
  end)

  it("raises when memory runs out, and leaks nothing", function()
    local q = queue.Queue()
    local finish = helper.thread(function(from) from:get() end, q)
    helper.fail_each(function() conc.dump() end)
    q:put(1)
    finish()
  end)

  it("refuses arguments", function()
    assert.error_matches(function() conc.dump(1) end, "surplus argument")
  end)
end)
