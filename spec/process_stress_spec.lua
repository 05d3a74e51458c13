local conc = require "conc"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"

-- Another number from 1 to n at each call, the same in each run.
local function generator(seed)
  local x = seed
  return function(n)
    x = (x * 1103515245 + 12345) % 0x80000000
    return x // 65536 % n + 1
  end
end

for _, method in ipairs(multiprocessing.get_all_start_methods()) do
  describe("#stress Processes (" .. method .. ")", function()
    local Process = multiprocessing.get_context(method).Process

    setup(function() Process():start():join() end)

    it("start and end from many threads at once", function()
      local each = helper.scale(20)
      helper.threads(4, function(id, how, times)
        local mp = require "conc.multiprocessing".get_context(how)
        for i = 1, times do
          local p = mp.Process {
            target = function(code) os.exit(code) end,
            args = {(id * 31 + i) % 100},
          }:start()
          assert(p:join(60))
          assert(p:exitcode() == (id * 31 + i) % 100, p:exitcode())
        end
      end, method, each)
    end)

    it("die at any moment of their start", function()
      local random = generator(7)
      for _ = 1, helper.scale(60) do
        local p = Process {
          target = function(s) return #s end,
          args = {("x"):rep(random(4) == 1 and 1000000 or 10)},
        }:start()
        conc.sleep(random(40) / 10000)
        p:kill()
        assert(p:join(helper.patience))
        assert(p:exitcode() == -9 or p:exitcode() == 0, p:exitcode())
      end
    end)

    it("die while they hold locks and count, and nothing hangs or is lost", function()
      local random = generator(11)
      local lock, n = multiprocessing.Lock(), multiprocessing.Value("i64", 0)
      local done = multiprocessing.Value("i64", 0)
      local function work(l, count, finished)
        while true do
          local held <close> = l:acquire() -- luacheck: ignore 211
          count.value = count.value + 1
          finished.value = count.value
        end
      end
      local list = {}
      local function more()
        list[#list + 1] = Process {target = work, args = {lock, n, done}}:start()
      end
      for _ = 1, 3 do more() end
      for _ = 1, helper.scale(40) do
        conc.sleep(random(100) / 10000)
        local victim = table.remove(list, random(#list))
        victim:kill()
        assert(victim:join(helper.patience))
        more()
      end
      local before = n.value
      helper.eventually(function() return n.value > before end, "the survivors")
      for _, p in ipairs(list) do
        p:kill()
        assert(p:join(helper.patience))
      end
      local held = lock:acquire(helper.patience)
      assert.equal(lock, held)
      assert(n.value - done.value <= 1, "a step was lost")
      lock:release()
      assert.same({}, multiprocessing.active_children())
    end)
  end)
end

describe("#stress Connections", function()
  it("survive clients that die at any moment", function()
    helper.needs_sodium()
    local random = generator(3)
    local listener <close> = multiprocessing.Listener {authkey = "k"}
    local good = 0
    for round = 1, helper.scale(40) do
      local p = multiprocessing.Process {
        target = function(address)
          local mp = require "conc.multiprocessing"
          local c <close> = mp.Client {address = address, authkey = "k"}
          for i = 1, 100 do
            if not c:send(("x"):rep(i * 100)) then return end
            if not c:recv() then return end
          end
        end,
        args = {listener:address()},
      }:start()
      -- The first one lives.
      local killer = helper.thread(function(victim, seconds)
        if seconds and not victim:join(seconds) then victim:kill() end
      end, p, round > 1 and random(120) / 10000)
      local ok, conn = pcall(listener.accept, listener, round == 1 and helper.patience or 1)
      if ok and conn then
        local c <close> = conn
        while true do
          local text = c:recv(helper.patience)
          if not text then break end
          good = good + 1
          if not c:send(#text) then break end
        end
      end
      killer()
      assert(p:join(helper.patience))
    end
    assert(good > 0)
  end)
end)
