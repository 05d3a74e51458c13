-- A server process that has objects, as in Python:
--
--   def f(d, l):
--       d[1] = '1'
--       d['2'] = 2
--       d[0.25] = None
--       l.reverse()
--
--   if __name__ == '__main__':
--       with Manager() as manager:
--           d = manager.dict()
--           l = manager.list(range(10))
--           p = Process(target=f, args=(d, l))
--           p.start()
--           p.join()
--           print(d)
--           print(l)

local multiprocessing = require "conc.multiprocessing"
local Process, Manager = multiprocessing.Process, multiprocessing.Manager

local function f(d, l)
  d[1] = "1"
  d["2"] = 2
  d[0.25] = false
  l:reverse()
end

local manager <close> = Manager()
local d = manager:dict()
local l = manager:list {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
local p = Process {target = f, args = {d, l}}
p:start()
p:join()
for k, v in pairs(d) do print(k, v) end
print(table.concat(l:slice(), " ")) -- prints "9 8 7 6 5 4 3 2 1 0"
