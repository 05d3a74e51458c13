-- Producers and consumers: what is put into a queue by any thread is taken out
-- by one.

local queue = require "conc.queue"
local threading = require "conc.threading"

local PRODUCERS, CONSUMERS, JOBS = 2, 3, 10

local function produce(jobs, who)
  for i = 1, JOBS do jobs:put {from = who, number = i} end
end

local function consume(jobs, results)
  local me = threading.current_thread():name()
  for job in jobs:items() do -- until the queue is shut down and empty
    results:put {by = me, from = job.from, square = job.number ^ 2}
    jobs:task_done()
  end
end

local jobs = queue.Queue(4) -- full at four: put waits
local results = queue.Queue()
local producers, consumers = {}, {}

for i = 1, CONSUMERS do
  consumers[i] = threading.Thread {
    target = consume, args = {jobs, results}, name = "consumer " .. i,
  }:start()
end
for i = 1, PRODUCERS do
  producers[i] = threading.Thread {target = produce, args = {jobs, i}}:start()
end

for _, thread in ipairs(producers) do thread:join() end
jobs:join() -- every job has been done
jobs:shutdown()
for _, thread in ipairs(consumers) do thread:join() end
results:shutdown()

local sum, share = 0, {}
for result in results:items() do
  sum = sum + result.square
  share[result.from] = (share[result.from] or 0) + 1
end
for i = 1, PRODUCERS do print("producer " .. i, share[i] .. " jobs done") end
print(("sum of squares: %d"):format(sum))
assert(sum == PRODUCERS * 385)

-- Any value can be an item, nil too: the second result tells it from no item.
jobs = queue.Queue()
local function f(q) q:put {42, nil, "hello"} end
threading.Thread {target = f, args = {jobs}}:start()
local item = jobs:get()
print(item[1], item[2], item[3])
print(jobs:get(0))
