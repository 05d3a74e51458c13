-- A queue between processes, as in Python:
--
--   def f(q):
--       q.put([42, None, 'hello'])
--
--   if __name__ == '__main__':
--       q = Queue()
--       p = Process(target=f, args=(q,))
--       p.start()
--       print(q.get())    # prints "[42, None, 'hello']"
--       p.join()

local multiprocessing = require "conc.multiprocessing"
local Process, Queue = multiprocessing.Process, multiprocessing.Queue

local function f(q)
  q:put {42, nil, "hello"}
end

local q = Queue()
local p = Process {target = f, args = {q}}
p:start()
print(table.unpack(q:get(), 1, 3)) -- prints "42  nil  hello"
p:join()
