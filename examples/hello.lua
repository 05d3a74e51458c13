-- One thread prints at a time.

local threading = require "conc.threading"

local function f1(lock, i)
  lock:acquire()
  print("hello world", i)
  lock:release()
end

local function f2(lock, i)
  local held <close> = lock:acquire()
  print("hello world", i)
end

local lock = threading.Lock()
for num = 0, 9 do
  local f = num % 2 == 0 and f1 or f2
  threading.Thread {target = f, args = {lock, num}}:start()
end
-- The program ends when all threads have.
