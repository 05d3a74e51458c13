-- A pipe between processes, as in Python:
--
--   def f(conn):
--       conn.send([42, None, 'hello'])
--       conn.close()
--
--   if __name__ == '__main__':
--       parent_conn, child_conn = Pipe()
--       p = Process(target=f, args=(child_conn,))
--       p.start()
--       print(parent_conn.recv())   # prints "[42, None, 'hello']"
--       p.join()

local multiprocessing = require "conc.multiprocessing"
local Process, Pipe = multiprocessing.Process, multiprocessing.Pipe

local function f(conn)
  conn:send {42, nil, "hello"}
  conn:close()
end

local parent_conn, child_conn = Pipe()
local p = Process {target = f, args = {child_conn}}
p:start()
print(table.unpack(parent_conn:recv(), 1, 3)) -- prints "42  nil  hello"
p:join()
