-- Numbers that processes share, as in Python:
--
--   def f(n, a):
--       n.value = 3.1415927
--       for i in range(len(a)):
--           a[i] = -a[i]
--
--   if __name__ == '__main__':
--       num = Value('d', 0.0)
--       arr = Array('i', range(10))
--       p = Process(target=f, args=(num, arr))
--       p.start()
--       p.join()
--       print(num.value)
--       print(arr[:])

local multiprocessing = require "conc.multiprocessing"
local Process, Value, Array =
  multiprocessing.Process, multiprocessing.Value, multiprocessing.Array

local function f(n, a)
  n.value = 3.1415927
  for i = 1, #a do a[i] = -a[i] end
end

local num = Value("d", 0.0)
local arr = Array("i", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})

local p = Process {target = f, args = {num, arr}}
p:start()
p:join()

print(num.value)
print(table.concat(arr:slice(1, #arr), ", "))
