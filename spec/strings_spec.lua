-- Large strings are lent, not copied: the sender's string stays where it is until
-- it is received, or until the sender ends.
--
-- (Behind stress_spec.lua in the order of names: what malloc keeps after large
-- blocks would be taken there for memory that grows.)

local helper = require "spec.helper"
local queue = require "conc.queue"
local threading = require "conc.threading"

local describe, it = helper.plain(describe), helper.plain(it)
local _ENV = helper.globals -- luacheck: ignore 211 (busted's could not travel)

local SIZE = 1 << 20

local function text(i) return ("%08d"):format(i):rep(SIZE // 8) end

-- KiB in use, when finalizers have let go what they held.
local function kilobytes()
  collectgarbage()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count"
end

describe("A large string in a queue", function()
  it("arrives as it was, once or many times", function()
    local q = queue.Queue()
    local s = text(1)
    for _ = 1, 5 do q:put(s) end
    q:put(s .. "\0x")
    for _ = 1, 5 do assert(q:get() == s) end
    assert(q:get() == s .. "\0x")
    for _, n in ipairs {(1 << 18) - 1, 1 << 18, (1 << 18) + 1} do
      q:put(("x"):rep(n))
      assert(q:get() == ("x"):rep(n))
    end
  end)

  it("outlives the sender's interest in it", function()
    local q = queue.LifoQueue()
    for i = 1, 8 do q:put(text(i)) end
    collectgarbage()
    for i = 8, 1, -1 do assert(q:get() == text(i)) end
  end)

  it("outlives the sender", function()
    local q = queue.Queue()
    local function send(out, n, size)
      for i = 1, n do out:put(("%08d"):format(i):rep(size // 8)) end
    end
    helper.thread(send, q, 4, SIZE)()
    for i = 1, 4 do assert(q:get() == text(i)) end
  end)

  it("is let go when it was received, or when the queue is", function()
    local q = queue.Queue()
    local before = kilobytes()
    for i = 1, 8 do q:put(text(i)) end
    assert(kilobytes() > before + 7 * SIZE / 1024)
    for _ = 1, 8 do q:get() end
    assert(kilobytes() < before + SIZE / 1024)
    for i = 1, 8 do q:put(text(i)) end
    q:shutdown {immediate = true}
    assert(kilobytes() < before + SIZE / 1024)
    q = queue.PriorityQueue()
    for i = 1, 8 do q:put(text(i), nil, i) end
    q = nil -- luacheck: ignore q
    assert(kilobytes() < before + SIZE / 1024)
  end)

  it("is let go by a sender that waits", function()
    local q, back = queue.Queue(), queue.Queue()
    local finish = helper.thread(function(there, answers, size)
      local before = collectgarbage "count"
      there:put(("x"):rep(size))
      answers:get()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count" - before
    end, q, back, SIZE)
    assert(#q:get() == SIZE)
    back:put(true)
    assert(finish() < SIZE / 1024 / 2)
  end)

  it("is copied where it is compared or kept", function()
    local d = threading.Dict {x = text(1)}
    assert(threading.Dict.cas(d, "x", text(1), text(2)))
    assert(d.x == text(2))
  end)

  it("leaks nothing when memory fails", function()
    local s = text(3)
    assert(helper.fail_each(function()
      local q = queue.Queue()
      q:put(s)
      assert(q:get() == s)
    end) > 1)
  end)

  it("is received while its sender ends #stress", function()
    local q = queue.Queue()
    local function send(i, out, size)
      for k = 1, 3 do out:put(("%04d%04d"):format(i, k):rep(size // 8)) end
    end
    local function receive(_, from, n)
      for _ = 1, n do
        local s = from:get()
        local first = s:sub(1, 8)
        assert(#s == 1 << 19 and s:sub(-8) == first and s == first:rep(#s // 8))
      end
    end
    for _ = 1, helper.scale(30) do
      local ends = {}
      for i = 1, 4 do ends[i] = helper.thread(send, i, q, 1 << 19) end
      helper.threads(2, receive, q, 6)
      for i = 1, 4 do ends[i]() end
    end
  end)
end)
