-- Numbers that threads share: a Value, an Array, and a counter that no thread
-- spoils for another.

local threading = require "conc.threading"

local function f(n, a)
  n.value = 3.1415927
  for i = 1, #a do a[i] = -a[i] end
end

local num = threading.Value("d", 0.0)
local arr = threading.Array("i", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})

local t = threading.Thread {target = f, args = {num, arr}}
t:start()
t:join()

print(num.value)
print(table.concat(arr:slice(), ", "))

-- add is one step, n.value = n.value + 1 would be two.
local function count(n, times)
  for _ = 1, times do n:add(1) end
end

local n, threads = threading.Value("i", 0), {}
for i = 1, 4 do
  threads[i] = threading.Thread {target = count, args = {n, 25000}}:start()
end
for _, thread in ipairs(threads) do thread:join() end
print(n.value)
assert(n.value == 100000)
