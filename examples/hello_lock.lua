-- Ten processes that say hello, one at a time, as in Python:
--
--   def f(l, i):
--       with l:
--           print('hello world', i)
--
--   if __name__ == '__main__':
--       lock = Lock()
--       for num in range(10):
--           Process(target=f, args=(lock, num)).start()

local multiprocessing = require "conc.multiprocessing"
local Process, Lock = multiprocessing.Process, multiprocessing.Lock

local function f(l, i)
  local held <close> = l:acquire() -- luacheck: ignore 211
  print("hello world", i)
end

local lock = Lock()
for num = 0, 9 do
  Process {target = f, args = {lock, num}}:start()
end
