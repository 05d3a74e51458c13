-- Two kinds of news and an end, in one place.

local conc = require "conc"
local queue = require "conc.queue"
local threading = require "conc.threading"

local function reporter(out, what, pause)
  for i = 1, 3 do
    conc.sleep(pause)
    out:put(("%s %d"):format(what, i))
  end
  out:shutdown()
end

local weather, sports = queue.Queue(), queue.Queue()
threading.Thread {target = reporter, args = {weather, "weather", 0.02}}:start()
threading.Thread {target = reporter, args = {sports, "sports", 0.03}}:start()

local open = {weather, sports}
while #open > 0 do
  local which, item, err = conc.select {open[1], open[2], timeout = 5}
  if not which then
    print "no news for five seconds"
  elseif err == "closed" then
    table.remove(open, which)
  else
    print(item)
  end
end
print "that was the news"
