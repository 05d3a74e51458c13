local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

helper.for_both(function(sync, module)
  local Value, Lock, RLock = sync.Value, sync.Lock, sync.RLock

  local LONG = #string.pack("l", 0) * 8

  -- typecode -> bits, signed
  local INTEGERS = {
    b = {8, true}, h = {16, true}, i = {32, true}, l = {LONG, true}, q = {64, true},
    B = {8}, H = {16}, I = {32}, L = {LONG}, Q = {64},
    i8 = {8, true}, i16 = {16, true}, i32 = {32, true}, i64 = {64, true},
    u8 = {8}, u16 = {16}, u32 = {32}, u64 = {64},
  }
  local FLOATS = {"f", "d", "f32", "f64"}

  -- The least and the greatest number of a type of less than 64 bits.
  local function range(type)
    local bits, signed = table.unpack(INTEGERS[type])
    if signed then return -(1 << bits - 1), (1 << bits - 1) - 1 end
    return 0, (1 << bits) - 1
  end

  describe("A Value of " .. module, function()
    it("is read and written as the field 'value'", function()
      local n = Value("i", 5)
      assert.equal(5, n.value)
      n.value = -7
      assert.equal(-7, n.value)
    end)

    it("is read and written by get and set too", function()
      local n = Value("i", 5)
      assert.equal(5, n:get())
      assert.equal(0, select("#", n:set(6)))
      assert.equal(6, n:get())
      assert.equal(6, n.value)
    end)

    it("is zero when nothing else is said", function()
      for type in pairs(INTEGERS) do assert.equal(0, Value(type).value) end
      for _, type in ipairs(FLOATS) do assert.equal(0.0, Value(type).value) end
      assert.equal("\0", Value("c").value)
      assert.equal("\0", Value("u").value)
    end)

    it("has a type by one of Python's letters or by its size", function()
      for type in pairs(INTEGERS) do
        assert.equal(1, Value(type, 1).value)
        assert.equal(type, Value(type):typecode())
      end
      for _, type in ipairs(FLOATS) do
        assert.equal(0.5, Value(type, 0.5).value)
        assert.equal(type, Value(type):typecode())
      end
    end)

    it("holds integers for an integer type and floats for a float type", function()
      assert.equal("integer", math.type(Value("i", 3.0).value))
      assert.equal("float", math.type(Value("d", 3).value))
    end)

    it("takes every number of its type, and none beyond", function()
      for type, shape in pairs(INTEGERS) do
        if shape[1] < 64 then
          local n, lo, hi = Value(type), range(type)
          for _, x in ipairs {lo, hi, lo + 1, hi - 1} do
            n.value = x
            assert.equal(x, n.value)
          end
          n.value = 1
          for _, x in ipairs {lo - 1, hi + 1, math.mininteger, math.maxinteger} do
            assert.error_matches(function() n.value = x end,
              ("value: %d does not fit '%s'"):format(x, type), nil, true)
            assert.error_matches(function() n:set(x) end,
              ("value: %d does not fit '%s'"):format(x, type), nil, true)
          end
          assert.equal(1, n.value)
        end
      end
    end)

    it("takes every integer of Lua as 64 bits, signed or not", function()
      for _, type in ipairs {"q", "i64", "Q", "u64"} do
        for _, x in ipairs {math.mininteger, math.maxinteger, -1} do
          assert.equal(x, Value(type, x).value)
        end
      end
    end)

    it("takes floats with an integral value as integers, and no others", function()
      local n = Value("i", 2.0)
      n.value = 3.0
      assert.equal(3, n.value)
      for _, x in ipairs {1.5, 2 ^ 63, math.huge, 0 / 0} do
        assert.error_matches(function() n.value = x end, "value: .+ has no integer representation")
      end
      assert.equal(3, n.value)
    end)

    it("takes no strings for numbers", function()
      for _, type in ipairs {"i", "d", "u64"} do
        assert.error_matches(function() Value(type, "1") end, "value: number expected, got string")
      end
    end)

    it("rounds to four bytes as 'f', and not as 'd'", function()
      assert.equal(string.unpack("f", string.pack("f", 0.1)), Value("f", 0.1).value)
      assert.equal(0.1, Value("d", 0.1).value)
      assert.equal(math.huge, Value("f32", 1e300).value)
    end)

    it("keeps infinities and NaN as a float", function()
      for _, type in ipairs(FLOATS) do
        assert.equal(-math.huge, Value(type, -math.huge).value)
        local nan = Value(type, 0 / 0).value
        assert.not_equal(nan, nan)
      end
    end)

    it("is one byte as 'c'", function()
      local n = Value("c", "x")
      assert.equal("x", n.value)
      n.value = "\255"
      assert.equal("\255", n.value)
      for _, bad in ipairs {"", "xy", "é"} do
        assert.error_matches(function() n.value = bad end, "value: one byte expected")
      end
      assert.error_matches(function() n.value = 5 end, "value: character expected, got number")
      assert.equal("\255", n.value)
    end)

    it("is one character of UTF-8 as 'u'", function()
      local n = Value "u"
      for _, c in ipairs {"a", "\u{7f}", "\u{80}", "é", "€", "\u{ffff}", "😀", "\u{10ffff}"} do
        n.value = c
        assert.equal(c, n.value)
      end
      local bad = {
        "", "ab", "é!", "\xff", "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
      }
      for _, s in ipairs(bad) do
        assert.error_matches(function() n.value = s end, "value: one UTF%-8 character expected")
      end
      assert.equal("\u{10ffff}", n.value)
    end)

    describe("add", function()
      it("returns the sum", function()
        local n, x = Value("i", 5), Value("d", 0.5)
        assert.equal(7, n:add(2))
        assert.equal(4, n:add(-3))
        assert.equal(4, n.value)
        assert.equal(2.0, x:add(1.5))
        assert.equal(3.0, x:add(1))
      end)

      it("raises when the sum does not fit, and changes nothing", function()
        for type, shape in pairs(INTEGERS) do
          if shape[1] < 64 then
            local lo, hi = range(type)
            local n = Value(type, hi)
            for _, by in ipairs {1, hi + 1, math.maxinteger, math.mininteger} do
              assert.error_matches(function() n:add(by) end,
                "n: the sum does not fit '" .. type .. "'", nil, true)
            end
            assert.equal(hi, n.value)
            assert.equal(lo, n:add(lo - hi))
            assert.error(function() n:add(-1) end)
            assert.equal(lo, n.value)
          end
        end
      end)

      it("raises at the end of 64 bits too", function()
        local n = Value("q", math.maxinteger)
        assert.error_matches(function() n:add(1) end, "does not fit 'q'")
        n.value = math.mininteger
        assert.error_matches(function() n:add(-1) end, "does not fit 'q'")
        assert.equal(math.mininteger, n.value)
      end)

      it("goes on to 2^64 - 1 for an unsigned type, which is -1", function()
        local n = Value("Q", math.maxinteger)
        assert.equal(math.mininteger, n:add(1))
        assert.equal(-1, n:add(math.maxinteger))
        assert.error_matches(function() n:add(1) end, "does not fit 'Q'")
        n.value = 0
        assert.error_matches(function() n:add(-1) end, "does not fit 'Q'")
        assert.equal(0, n.value)
      end)

      it("takes only integers for an integer type", function()
        local n = Value("i", 1)
        assert.equal(3, n:add(2.0))
        assert.error_matches(function() n:add(0.5) end, "n: 0.5 has no integer representation")
        assert.error_matches(function() n:add "1" end, "n: number expected, got string")
        assert.error_matches(function() n:add() end, "n: number expected, got no value")
        assert.equal(3, n.value)
      end)

      it("is not for characters", function()
        for _, type in ipairs {"c", "u"} do
          assert.error_matches(function() Value(type):add(1) end, "holds characters, not numbers")
        end
      end)
    end)

    describe("cas", function()
      it("writes if the value is the expected one, and says whether", function()
        local n = Value("i", 5)
        assert.is_true(n:cas(5, 6))
        assert.equal(6, n.value)
        assert.is_false(n:cas(5, 7))
        assert.equal(6, n.value)
      end)

      it("compares numbers by value", function()
        assert.is_true(Value("i", 5):cas(5.0, 6))
        assert.is_true(Value("d", 5):cas(5, 6))
        assert.is_true(Value("d", -0.0):cas(0.0, 1))
        assert.is_false(Value("d", 0 / 0):cas(0 / 0, 1))
        assert.is_true(Value("c", "a"):cas("a", "b"))
      end)

      it("compares a rounded value with what was written", function()
        local n = Value("f", 0.1)
        assert.is_true(n:cas(0.1, 0.2))
        assert.is_true(n:cas(n.value, 0.3))
      end)

      it("finds a number that cannot be in the cell different", function()
        local n = Value("b", 44)
        assert.is_false(n:cas(300, 1))
        assert.is_false(n:cas(44.5, 1))
        assert.equal(44, n.value)
      end)

      it("raises on what is not a number, or does not fit", function()
        local n = Value("b", 5)
        assert.error_matches(function() n:cas("5", 6) end, "expected: number expected, got string")
        assert.error_matches(function() n:cas(5, 300) end, "new: 300 does not fit 'b'")
        assert.error_matches(function() n:cas(5) end, "new: number expected, got no value")
        assert.equal(5, n.value)
      end)
    end)

    describe("update", function()
      it("writes what the function makes of the value, and returns it", function()
        local n = Value("i", 5)
        assert.equal(10, n:update(function(x) return x * 2 end))
        assert.equal(10, n.value)
      end)

      it("calls the function again if the value changed meanwhile", function()
        local n, seen = Value("i", 1), {}
        n:update(function(x)
          seen[#seen + 1] = x
          if #seen < 3 then helper.thread(function(v) v:add(10) end, n)() end
          return x + 1
        end)
        assert.same({1, 11, 21}, seen)
        assert.equal(22, n.value)
      end)

      it("raises when the function itself writes to the value", function()
        local n = Value("i", 5)
        for _, write in ipairs {
          function() n.value = 6 end,
          function() n:set(5) end,
          function() n:add(1) end,
          function() n:cas(5, 6) end,
          function() n:update(function() return 6 end) end,
          function() for _ = 1, 40 do pcall(n.update, n, error) end n.value = 6 end,
        } do
          n:set(5)
          assert.error_matches(function()
            n:update(function() write() return 7 end)
          end, "fn: has itself written what 'update' was to write")
          assert.is_true(n.value ~= 7)
        end
        assert.equal(7, n:update(function() Value("i").value = 1 return 7 end))
      end)

      it("changes nothing when the function raises, and hands on the error", function()
        local n, err = Value("i", 5), {}
        local ok, got = pcall(n.update, n, function() error(err) end)
        assert.is_false(ok)
        assert.equal(err, got)
        assert.equal(5, n.value)
      end)

      it("raises when the result does not fit, and changes nothing", function()
        local n = Value("b", 5)
        assert.error_matches(function() n:update(function() return 300 end) end,
          "result of fn: 300 does not fit 'b'")
        assert.error_matches(function() n:update(function() end) end,
          "result of fn: number expected, got nil")
        assert.equal(5, n.value)
      end)

      it("wants a function, or something callable", function()
        local n = Value("i", 5)
        for _, bad in ipairs {5, "f", {}} do
          assert.error_matches(function() n:update(bad) end, "fn: function expected")
        end
        local callable = setmetatable({}, {__call = function(_, x) return x + 1 end})
        assert.equal(6, n:update(callable))
      end)
    end)

    describe("get_lock", function()
      it("returns an RLock, the same each time", function()
        local n = Value("i")
        local lock = n:get_lock()
        assert.matches("^RLock", tostring(lock))
        assert.is_true(rawequal(lock, n:get_lock()))
        local held <close> = lock:acquire(0)
        local again <close> = lock:acquire(0)
        assert.truthy(held and again)
      end)

      it("returns the same one in every thread", function()
        local n, q = Value("i"), queue.SimpleQueue()
        helper.threads(4, function(_, value, out) out:put(value:get_lock()) end, n, q)
        for _ = 1, 4 do assert.equal(n:get_lock(), q:get()) end
      end)

      it("returns the lock that was given", function()
        for _, lock in ipairs {Lock(), RLock()} do
          assert.is_true(rawequal(lock, Value("i", 0, lock):get_lock()))
          assert.is_true(rawequal(lock, Value("i", 0, {lock = lock}):get_lock()))
          assert.is_true(rawequal(lock, Value {type = "i", lock = lock}:get_lock()))
        end
      end)

      it("raises when the Value was made without", function()
        for _, n in ipairs {Value("i", 0, false), Value {type = "i", lock = false}} do
          assert.error_matches(function() n:get_lock() end, "made with lock = false")
          assert.equal(1, n:add(1))
        end
      end)

      it("guards what is more than one operation", function()
        local n = Value("i", 0)
        helper.threads(4, function(_, value, rounds)
          for _ = 1, rounds do
            local _ <close> = value:get_lock():acquire()
            value.value = value.value + 1
          end
        end, n, helper.scale(2000))
        assert.equal(4 * helper.scale(2000), n.value)
      end)
    end)

    it("is one and the same in all threads", function()
      local n, q = Value("i", 1), queue.SimpleQueue()
      helper.thread(function(value) value.value = value.value + 41 end, n)()
      assert.equal(42, n.value)
      q:put(n)
      assert.is_true(rawequal(n, q:get()))
      assert.not_equal(n, Value("i", 42))
    end)

    it("loses no addition of any thread", function()
      local rounds = helper.scale(20000)
      for _, type in ipairs {"i", "q", "H", "d", "f"} do
        local n = Value(type)
        local each = math.min(rounds, 15000)
        helper.threads(4, function(_, value, count)
          for _ = 1, count do value:add(1) end
        end, n, each)
        assert.equal(4 * each, n.value)
      end
    end)

    it("loses no update of any thread", function()
      local n, rounds = Value "q", helper.scale(20000)
      helper.threads(4, function(i, value, count)
        local function step(x) return x + i end
        for _ = 1, count do value:update(step) end
      end, n, rounds)
      assert.equal(10 * rounds, n.value)
    end)

    it("lets one thread win a cas", function()
      local n, rounds = Value("q", 0), helper.scale(2000)
      local wins = helper.threads(4, function(_, value, count)
        local won = 0
        while true do
          local now = value.value
          if now == count then return won end
          if value:cas(now, now + 1) then won = won + 1 end
        end
      end, n, rounds)
      assert.equal(rounds, wins[1] + wins[2] + wins[3] + wins[4])
    end)

    it("is never seen half written", function()
      local n = Value("q", 0)
      local stop = Value("b", 0)
      local wait = helper.thread(function(value, over)
        repeat
          value.value = -1
          value.value = 0
        until over.value == 1
      end, n, stop)
      for _ = 1, helper.scale(100000) do
        local x = n.value
        if x ~= 0 and x ~= -1 then error(x) end
      end
      stop.value = 1
      wait()
    end)

    it("shows itself as text", function()
      assert.equal("Value('i', 5)", tostring(Value("i", 5)))
      assert.equal("Value('f64', 0.5)", tostring(Value("f64", 0.5)))
    end)

    it("has no other fields", function()
      local n = Value("i", 5)
      assert.is_nil(n.valeu)
      assert.is_nil(n[1])
      assert.is_nil(n[nil])
      assert.error_matches(function() n.valeu = 1 end, "one field, 'value', and not 'valeu'")
      assert.error_matches(function() n.add = 1 end, "one field, 'value', and not 'add'")
      assert.error_matches(function() n[1] = 1 end, "one field, 'value', and not '1'")
      assert.equal(5, n.value)
    end)

    it("is made of positions or of named options", function()
      assert.equal(5, Value {type = "i", value = 5}.value)
      assert.equal(0, Value {type = "i"}.value)
      assert.error_matches(function() Value {type = "i", valeu = 5} end, "unknown option 'valeu'")
      assert.error_matches(function() Value("i", 5, true, 1) end, "surplus argument")
      assert.error_matches(function() Value("i", 5, {lokc = true}) end,
        "lock: unknown option 'lokc'")
    end)

    it("refuses to be made of anything else", function()
      assert.error_matches(function() Value() end, "type: typecode expected, got nil")
      assert.error_matches(function() Value(5) end, "type: typecode expected, got number")
      for _, type in ipairs {"", "x", "ii", "i9", "int", "i\0", "i128"} do
        assert.error_matches(function() Value(type) end, "type: unknown typecode")
      end
      assert.error_matches(function() Value("b", 300) end, "value: 300 does not fit 'b'")
      assert.error_matches(function() Value("i", {}) end, "value: number expected, got table")
      assert.error_matches(function() Value("i", 0, "x") end,
        "lock: boolean, Lock or RLock expected, got string")
      assert.error_matches(function() Value("i", 0, threading.Event()) end,
        "lock: boolean, Lock or RLock expected")
    end)

    it("names the argument that is wrong, and is as before", function()
      local n = Value("b", 5)
      helper.refuses_strangers(n, {
        get = 0, set = 1, add = 1, cas = 2, update = 1, get_lock = 0, typecode = 0,
      })
      assert.error_matches(function() n:set(300) end,
        "bad argument #1 to 'set' (value: 300 does not fit 'b')", nil, true)
      assert.error_matches(function() n:set() end, "value: number expected, got no value")
      assert.equal(5, n.value)
    end)

    it("leaves nothing behind when there is no memory for it", function()
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return Value("i", 5) end))
      local n = Value "i"
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return n:get_lock() end))
      assert.truthy(n:get_lock())
    end)
  end)
end)
