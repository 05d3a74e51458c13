local helper = require "spec.helper"
local queue = require "conc.queue"

helper.for_both(function(sync, module)
  local Array, Lock = sync.Array, sync.Lock

  describe("An Array of " .. module, function()
    it("is so many zeros", function()
      local a = Array("i", 3)
      assert.equal(3, #a)
      assert.same({0, 0, 0}, a:slice())
      assert.same({"\0"}, Array("c", 1):slice())
      assert.equal(0, #Array("d", 0))
    end)

    it("is made of a sequence", function()
      assert.same({1, 2, 3}, Array("i", {1, 2, 3}):slice())
      assert.same({0.5}, Array("d", {0.5}):slice())
      assert.same({}, Array("d", {}):slice())
      assert.same({1, 2}, Array("i", setmetatable({}, {
        __len = function() return 2 end, __index = function(_, i) return i end,
      })):slice())
    end)

    it("is made of another Array, whose elements fit", function()
      assert.same({1, 2}, Array("d", Array("b", {1, 2})):slice())
      assert.error_matches(function() Array("b", Array("i", {1, 300})) end,
        "values%[2%]: 300 does not fit 'b'")
    end)

    it("of characters is made of a string", function()
      assert.same({"h", "\0", "\255"}, Array("c", "h\0\255"):slice())
      assert.same({"é", "€", "😀"}, Array("u", "é€😀"):slice())
      assert.error_matches(function() Array("u", "\xff") end, "values: not UTF%-8")
      assert.error_matches(function() Array("u", "é\xc3") end, "values: not UTF%-8")
      assert.error_matches(function() Array("b", "x") end, "values: sequence expected, got string")
    end)

    it("is made of positions or of named options", function()
      assert.same({0, 0}, Array {type = "i", size = 2}:slice())
      assert.same({1, 2}, Array {type = "i", values = {1, 2}}:slice())
      assert.error_matches(function() Array {type = "i", size = 2, values = {}} end,
        "size: given together with 'values'")
      assert.error_matches(function() Array {type = "i", siez = 2} end, "unknown option 'siez'")
      assert.error_matches(function() Array("i", 1, true, 1) end, "surplus argument")
    end)

    it("refuses to be made of anything else", function()
      assert.error_matches(function() Array() end, "type: typecode expected, got nil")
      assert.error_matches(function() Array("zz", 1) end, "type: unknown typecode 'zz'")
      assert.error_matches(function() Array "i" end, "values: sequence expected, got nil")
      assert.error_matches(function() Array("i", true) end,
        "values: sequence expected, got boolean")
      assert.error_matches(function() Array("i", -1) end, "size: must be at least 0")
      assert.error_matches(function() Array("i", 1.5) end, "size: .* no integer representation")
      assert.error_matches(function() Array {type = "i", size = "1"} end,
        "size: integer expected, got string")
      assert.error_matches(function() Array("i", math.maxinteger) end, "size: must be at most")
      assert.error_matches(function() Array("i", {1, "2"}) end,
        "values%[2%]: number expected, got string")
      assert.error_matches(function() Array("b", {1, 2, 300}) end,
        "values%[3%]: 300 does not fit 'b'")
      assert.error_matches(function() Array("i", setmetatable({}, {
        __len = function() return -1 end,
      })) end, "length %-1")
    end)

    it("is read and written by index, from 1", function()
      local a = Array("i", {10, 20, 30})
      assert.equal(10, a[1])
      assert.equal(30, a[3])
      assert.equal(20, a[2.0])
      a[2] = 21
      assert.equal(21, a[2])
      assert.same({10, 21, 30}, a:slice())
    end)

    it("reads nil just behind its end, and raises further out", function()
      local a = Array("i", 3)
      assert.is_nil(a[4])
      for _, i in ipairs {0, -1, 5, math.mininteger, math.maxinteger} do
        assert.error_matches(function() return a[i] end,
          ("index: %d is not in 1 to 3"):format(i), nil, true)
      end
      assert.is_nil(Array("i", 0)[1])
      assert.error_matches(function() return Array("i", 0)[0] end, "0, but the Array is empty")
    end)

    it("raises when an element is written that is not there", function()
      local a = Array("i", 3)
      for _, i in ipairs {0, -1, 4, 5, math.mininteger, math.maxinteger} do
        assert.error_matches(function() a[i] = 1 end,
          ("index: %d is not in 1 to 3"):format(i), nil, true)
      end
      assert.same({0, 0, 0}, a:slice())
    end)

    it("raises on an index that is none", function()
      local a = Array("i", 3)
      assert.error_matches(function() return a[1.5] end, "index: .*no integer representation")
      assert.error_matches(function() a[1.5] = 1 end, "index: .*no integer representation")
      for _, bad in ipairs {true, {}, print} do
        assert.error_matches(function() return a[bad] end, "index: integer expected, got")
        assert.error_matches(function() a[bad] = 1 end, "index: integer expected, got")
      end
      assert.error_matches(function() a["1"] = 1 end, "index: integer expected, got string")
      assert.error_matches(function() a.x = 1 end, "index: integer expected, got string")
      assert.is_nil(a["1"])
      assert.is_nil(a.x)
    end)

    it("checks what is written, and keeps the element otherwise", function()
      local a = Array("b", {5})
      assert.error_matches(function() a[1] = 300 end, "value: 300 does not fit 'b'")
      assert.error_matches(function() a[1] = nil end, "value: number expected, got nil")
      assert.error_matches(function() a[1] = "1" end, "value: number expected, got string")
      assert.error_matches(function() a:set(1, 300) end,
        "bad argument #2 to 'set' (value: 300 does not fit 'b')", nil, true)
      assert.equal(5, a[1])
    end)

    it("is walked by ipairs, by pairs and by #", function()
      local a = Array("i", {10, 20, 30})
      for _, walk in ipairs {ipairs, pairs} do
        local seen = {}
        for i, x in walk(a) do seen[#seen + 1] = {i, x} end
        assert.same({{1, 10}, {2, 20}, {3, 30}}, seen)
      end
      for _ in pairs(Array("i", 0)) do error "not empty" end
      for _ in ipairs(Array("i", 0)) do error "not empty" end
    end)

    it("keeps neighbours of every size apart", function()
      for _, type in ipairs {"b", "B", "h", "H", "i", "I", "q", "Q", "f", "d"} do
        local a = Array(type, {1, 2, 3})
        a[2] = 100
        assert.equal(1, a[1])
        assert.equal(100, a[2])
        assert.equal(3, a[3])
      end
    end)

    describe("get and set", function()
      it("are like an index, but raise just behind the end too", function()
        local a = Array("i", {1, 2})
        assert.equal(0, select("#", a:set(2, 5)))
        assert.equal(5, a:get(2))
        assert.error_matches(function() a:get(3) end, "index: 3 is not in 1 to 2")
        assert.error_matches(function() a:set(3, 0) end, "index: 3 is not in 1 to 2")
        assert.error_matches(function() a:get() end, "index: integer expected, got no value")
      end)
    end)

    describe("add", function()
      it("returns the sum, and raises when it does not fit", function()
        local a = Array("b", {100, 0})
        assert.equal(127, a:add(1, 27))
        assert.error_matches(function() a:add(1, 1) end, "n: the sum does not fit 'b'")
        assert.error_matches(function() a:add(3, 1) end, "index: 3 is not in 1 to 2")
        assert.same({127, 0}, a:slice())
        assert.equal(1.5, Array("d", {1}):add(1, 0.5))
      end)
    end)

    describe("cas", function()
      it("writes if the element is the expected one, and says whether", function()
        local a = Array("i", {1, 2})
        assert.is_true(a:cas(2, 2, 5))
        assert.is_false(a:cas(2, 2, 6))
        assert.same({1, 5}, a:slice())
        assert.error_matches(function() a:cas(1, 1, 2 ^ 40) end, "new: .* does not fit 'i'")
        assert.error_matches(function() a:cas(1, "1", 2) end, "expected: number expected")
        assert.error_matches(function() a:cas(0, 1, 2) end, "index: 0 is not in 1 to 2")
      end)
    end)

    describe("update", function()
      it("writes what the function makes of the element, and returns it", function()
        local a = Array("i", {1, 2})
        assert.equal(20, a:update(2, function(x) return x * 10 end))
        assert.same({1, 20}, a:slice())
      end)

      it("calls the function again if the element changed meanwhile", function()
        local a, calls = Array("i", {1}), 0
        assert.equal(12, a:update(1, function(x)
          calls = calls + 1
          if calls == 1 then helper.thread(function(b) b:add(1, 10) end, a)() end
          return x + 1
        end))
        assert.equal(2, calls)
      end)

      it("raises when the function itself writes to the element", function()
        local a = Array("i", {1, 5, 1})
        for _, write in ipairs {
          function() a[2] = 6 end,
          function() a:set(2, 5) end,
          function() a:add(2, 1) end,
          function() a:cas(2, 5, 6) end,
          function() a:update(2, function() return 6 end) end,
          function() a:fill(6) end,
          function() a:set_slice(1, {6, 6}) end,
          function() a:frombytes(a:tobytes()) end,
        } do
          a:set(2, 5)
          assert.error_matches(function()
            a:update(2, function() write() return 7 end)
          end, "fn: has itself written what 'update' was to write")
          assert.is_true(a[2] ~= 7)
        end
        assert.equal(7, a:update(2, function() a[1], a[3] = 8, 8 a:fill(9, 3) return 7 end))
      end)

      it("changes nothing when it raises", function()
        local a = Array("i", {1})
        assert.error_matches(function() a:update(1, function() error "mine" end) end, "mine")
        assert.error_matches(function() a:update(1, function() return "x" end) end,
          "result of fn: number expected, got string")
        assert.error_matches(function() a:update(1, 5) end, "fn: function expected, got number")
        assert.error_matches(function() a:update(2, print) end, "index: 2 is not in 1 to 1")
        assert.same({1}, a:slice())
      end)
    end)

    describe("slice", function()
      it("takes the indexes of string.sub", function()
        local a, s = Array("c", "abcde"), "abcde"
        local list = {math.mininteger, -7, -6, -5, -4, -1, 0, 1, 2, 5, 6, 7, math.maxinteger}
        for _, i in ipairs(list) do
          assert.equal(s:sub(i), table.concat(a:slice(i)))
          for _, j in ipairs(list) do
            assert.equal(s:sub(i, j), table.concat(a:slice(i, j)), i .. ", " .. j)
          end
        end
        assert.same({}, Array("i", 0):slice())
        assert.same({}, Array("i", 0):slice(-1, 1))
      end)

      it("is a table of its own", function()
        local a = Array("i", {1, 2})
        a:slice()[1] = 5
        assert.equal(1, a[1])
      end)

      it("raises on what is no index", function()
        local a = Array("i", 3)
        assert.error_matches(function() a:slice "x" end, "i: integer expected, got string")
        assert.error_matches(function() a:slice(1, 1.5) end, "j: .*no integer representation")
      end)
    end)

    describe("set_slice", function()
      it("writes a sequence from an index on", function()
        local a = Array("i", {1, 2, 3, 4})
        assert.equal(0, select("#", a:set_slice(2, {20, 30})))
        assert.same({1, 20, 30, 4}, a:slice())
        a:set_slice(-1, {40})
        a:set_slice(5, {})
        a:set_slice(1, Array("b", {10}))
        assert.same({10, 20, 30, 40}, a:slice())
        local c = Array("c", "hello")
        c:set_slice(4, "p!")
        assert.equal("help!", table.concat(c:slice()))
      end)

      it("raises when the sequence does not fit in, and writes nothing", function()
        local a = Array("i", {1, 2, 3})
        for _, case in ipairs {{3, 2}, {4, 1}, {0, 1}, {-4, 1}, {-1, 2}, {1, 4}, {5, 0}} do
          local i, n = table.unpack(case)
          assert.error_matches(function() a:set_slice(i, Array("i", n)) end,
            ("i: %d values from %d on are not in 1 to 3"):format(n, i), nil, true)
        end
        assert.same({1, 2, 3}, a:slice())
      end)

      it("raises when a value does not fit, and writes nothing", function()
        local a = Array("b", {1, 2, 3})
        assert.error_matches(function() a:set_slice(1, {5, 6, 300}) end,
          "values%[3%]: 300 does not fit 'b'")
        assert.error_matches(function() a:set_slice(1, 5) end, "values: sequence expected")
        assert.error_matches(function() a:set_slice() end, "i: integer expected, got no value")
        assert.same({1, 2, 3}, a:slice())
      end)
    end)

    describe("fill", function()
      it("writes one value everywhere, or from i to j as string.sub has it", function()
        local a = Array("i", 4)
        assert.equal(0, select("#", a:fill(7)))
        assert.same({7, 7, 7, 7}, a:slice())
        a:fill(1, 3)
        a:fill(2, -1)
        a:fill(3, 1, 1)
        a:fill(9, 3, 2)
        assert.same({3, 7, 1, 2}, a:slice())
      end)

      it("raises when the value does not fit", function()
        local a = Array("b", {1, 2})
        assert.error_matches(function() a:fill(300) end, "value: 300 does not fit 'b'")
        assert.error_matches(function() a:fill() end, "value: number expected, got no value")
        assert.error_matches(function() a:fill(1, "x") end, "i: integer expected, got string")
        assert.same({1, 2}, a:slice())
      end)
    end)

    describe("copy", function()
      it("is another Array with the same type and elements", function()
        local a = Array("h", {1, 2})
        local b = a:copy()
        assert.not_equal(a, b)
        assert.equal("h", b:typecode())
        b[1] = 5
        assert.same({1, 2}, a:slice())
        assert.same({5, 2}, b:slice())
      end)

      it("has a lock of its own, or none if the Array has none", function()
        local a = Array("h", 1)
        assert.not_equal(a:get_lock(), a:copy():get_lock())
        assert.error(function() Array("h", 1, false):copy():get_lock() end)
      end)
    end)

    describe("tobytes and frombytes", function()
      it("are the elements as they lie in memory", function()
        assert.equal(string.pack("=i4i4", 1, -2), Array("i", {1, -2}):tobytes())
        assert.equal(string.pack("=d", 0.1), Array("d", {0.1}):tobytes())
        assert.equal("hello", Array("c", "hello"):tobytes())
        assert.equal("", Array("d", 0):tobytes())
        local a = Array("i", 3)
        assert.equal(0, select("#", a:frombytes(string.pack("=i4i4", 5, 6))))
        assert.same({5, 6, 0}, a:slice())
        a:frombytes(string.pack("=i4i4", 7, 8), -2)
        assert.same({5, 7, 8}, a:slice())
      end)

      it("restore each other for every type", function()
        for _, type in ipairs {"b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "f", "d"} do
          local a = Array(type, {1, 2, 100})
          local b = Array(type, 3)
          b:frombytes(a:tobytes())
          assert.same(a:slice(), b:slice())
        end
      end)

      it("raise on what does not fit, and write nothing", function()
        local a = Array("i", {1, 2})
        assert.error_matches(function() a:frombytes "xxx" end,
          "bytes: 3 bytes are not whole elements of 4")
        assert.error_matches(function() a:frombytes(("x"):rep(12)) end, "i: 3 values from 1 on")
        assert.error_matches(function() a:frombytes(("x"):rep(8), 2) end, "i: 2 values from 2 on")
        assert.error_matches(function() a:frombytes(5) end, "bytes: string expected, got number")
        assert.error_matches(function() Array("u", 1):frombytes "\xff\xff\xff\xff" end,
          "bytes: no character")
        assert.same({1, 2}, a:slice())
      end)
    end)

    it("of characters is a string too", function()
      local a = Array("c", 4)
      a.value = "ab"
      assert.equal("ab", a.value)
      assert.equal("ab\0\0", a.raw)
      a.raw = "wxyz"
      assert.equal("wxyz", a.value)
      a.value = "b"
      assert.equal("b\0yz", a.raw)
      assert.error_matches(function() a.value = "12345" end, "value: 5 bytes do not fit into 4")
      assert.error_matches(function() a.raw = 5 end, "value: string expected")
      assert.equal("b\0yz", a.raw)
      assert.is_nil(Array("b", 4).value)
    end)

    it("has a lock as a Value has", function()
      local lock = Lock()
      local a = Array("i", 1)
      assert.matches("^RLock", tostring(a:get_lock()))
      assert.is_true(rawequal(a:get_lock(), a:get_lock()))
      assert.is_true(rawequal(lock, Array("i", 1, lock):get_lock()))
      assert.is_true(rawequal(lock, Array("i", 1, {lock = lock}):get_lock()))
      assert.is_true(rawequal(lock, Array {type = "i", size = 1, lock = lock}:get_lock()))
      assert.error_matches(function() Array("i", 1, {lock = false}):get_lock() end,
        "this Array was made with lock = false")
      assert.error_matches(function() Array("i", 1, 5) end, "lock: boolean, Lock or RLock expected")
    end)

    it("is one and the same in all threads", function()
      local a, q = Array("i", {1, 2, 3}), queue.SimpleQueue()
      helper.thread(function(array) array[2] = array[1] + array[3] end, a)()
      assert.same({1, 4, 3}, a:slice())
      q:put(a)
      assert.is_true(rawequal(a, q:get()))
    end)

    it("loses no addition of any thread, to whichever element", function()
      local rounds = helper.scale(2000)
      for _, type in ipairs {"h", "I", "q", "f"} do
        local a = Array(type, 7)
        helper.threads(4, function(_, array, count)
          for _ = 1, count do
            for k = 1, #array do array:add(k, 1) end
          end
        end, a, rounds)
        for _, x in ipairs(a) do assert.equal(4 * rounds, x) end
      end
    end)

    it("shows its first elements as text", function()
      assert.equal("Array('i', {1, 2})", tostring(Array("i", {1, 2})))
      assert.equal("Array('i', {})", tostring(Array("i", 0)))
      assert.equal("Array('i', {0, 0, 0, 0, 0, 0, 0, 0, ...})", tostring(Array("i", 100)))
    end)

    it("knows its typecode", function()
      assert.equal("i", Array("i", 1):typecode())
      assert.equal("i32", Array("i32", 1):typecode())
    end)

    it("names the argument that is wrong, and is as before", function()
      local a = Array("b", {1, 2})
      helper.refuses_strangers(a, {
        get = 1, set = 2, add = 2, cas = 3, update = 2, slice = 2, set_slice = 2, fill = 3,
        copy = 0, tobytes = 0, frombytes = 2, typecode = 0, get_lock = 0,
      })
      assert.same({1, 2}, a:slice())
    end)

    it("may be large", function()
      local a = Array("d", 1e6)
      a:fill(0.5)
      a[1e6] = 2
      assert.equal(0.5, a[1])
      assert.equal(2.0, a[1000000])
      assert.equal(8e6, #a:tobytes())
    end)

    it("leaves nothing behind when there is no memory for it", function()
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return Array("i", 100) end))
      assert.equal(helper.parts(sync, 1), helper.fail_each(function()
        return Array("i", {1, 2})
      end))
      local a = Array("i", {1, 2})
      assert.equal(helper.parts(sync, 1), helper.fail_each(function() return a:copy() end))
    end)
  end)
end)
