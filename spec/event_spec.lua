local conc = require "conc"
local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

helper.for_both(function(sync, module)
  local Event = sync.Event

  describe("An Event of " .. module, function()
    it("is clear when it is made", function()
      assert.is_false(Event():is_set())
    end)

    it("is set by set and cleared by clear, however often", function()
      local event = Event()
      for _ = 1, 3 do
        event:set()
        event:set()
        assert.is_true(event:is_set())
        event:clear()
        event:clear()
        assert.is_false(event:is_set())
      end
      assert.equal(0, select("#", event:set()))
      assert.equal(0, select("#", event:clear()))
    end)

    it("does not keep anybody waiting while it is set", function()
      local event = Event()
      event:set()
      assert.is_true(event:wait())
      for _, timeout in ipairs {0, 1e-300, 1, 1e300, math.huge, math.maxinteger} do
        assert.same({true}, {event:wait(timeout)})
      end
      assert.is_true(event:is_set())
    end)

    it("is waited for no shorter than the timeout", function()
      local event, began = Event(), conc.time()
      assert.same({false, "timeout"}, {event:wait(0.05)})
      assert.is_true(conc.time() - began >= 0.05)
      assert.same({false, "timeout"}, {event:wait(0)})
    end)

    it("lets all who wait go on when it is set", function()
      local event, waiting = Event(), queue.SimpleQueue()
      local ends = {}
      for i = 1, 8 do
        ends[i] = helper.thread(function(e, q)
          q:put(true)
          return e:wait()
        end, event, waiting)
      end
      for _ = 1, 8 do waiting:get() end
      event:set()
      for i = 1, 8 do assert.is_true(ends[i]()) end
    end)

    it("lets them go on even if it is cleared at once", function()
      local event, waiting, gone = Event(), queue.SimpleQueue(), threading.Semaphore(0)
      local ends = {}
      for i = 1, 4 do
        ends[i] = helper.thread(function(e, q, s)
          q:put(true)
          local set = e:wait()
          s:release()
          return set
        end, event, waiting, gone)
      end
      for _ = 1, 4 do waiting:get() end
      helper.eventually(function()
        event:set()
        event:clear()
        return gone:value() == 4
      end, "four threads")
      for i = 1, 4 do assert.is_true(ends[i]()) end
      assert.is_false(event:is_set())
    end)

    it("passes what was written before it was set", function()
      local go, back = Event(), Event()
      local n = threading.Value("i64", 0)
      local rounds = helper.scale(5000)
      local finish = helper.thread(function(ping, pong, value, times)
        for round = 1, times do
          assert(ping:wait())
          ping:clear()
          assert(value.value == round)
          pong:set()
        end
      end, go, back, n, rounds)
      for round = 1, rounds do
        n.value = round
        go:set()
        assert(back:wait(helper.patience))
        back:clear()
      end
      finish()
    end)

    it("lets Ctrl-C end a wait", function()
      assert.same({"interrupted!", "false", "true"}, helper.interrupted([[
        local event = sync.Event()
        interrupted(event.wait, event)
        print(event:is_set())
        event:set()
        print(event:wait())
      ]], module))
    end)

    it("is equal to itself after a journey, and to no other", function()
      local event, q = Event(), queue.SimpleQueue()
      q:put(event)
      assert.equal(event, q:get())
      assert.are_not.equal(event, Event())
      assert.matches("^Event: ", tostring(event))
    end)

    it("takes no arguments", function()
      assert.error_matches(function() Event(1) end, "bad argument #1 to '.-' %(surplus argument%)")
      assert.error_matches(function() Event {set = true} end, "unknown option 'set'")
    end)

    it("names the argument that is wrong, and is as before", function()
      local event = Event()
      for _ = 1, 2 do
        local was = event:is_set()
        helper.refuses_timeouts(function(timeout) event:wait(timeout) end)
        helper.refuses_strangers(event, {wait = 1, set = 0, clear = 0, is_set = 0})
        assert.equal(was, event:is_set())
        event:set()
      end
    end)

    it("leaves nothing behind when there is no memory for it", function()
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return Event() end))
    end)
  end)
end)
