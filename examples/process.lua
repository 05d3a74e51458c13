-- A function in a process of its own, as in Python:
--
--   def f(name):
--       print('hello', name)
--
--   if __name__ == '__main__':
--       p = Process(target=f, args=('bob',))
--       p.start()
--       p.join()

local Process = require "conc.multiprocessing".Process

local function f(name)
  print("hello", name)
end

local p = Process {target = f, args = {"bob"}}
p:start()
p:join()
