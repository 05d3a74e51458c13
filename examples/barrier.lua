-- Rounds: nobody begins the next one before all have ended this one.

local threading = require "conc.threading"

local RUNNERS, ROUNDS = 3, 4

local total = threading.Value("i", 0)

local barrier = threading.Barrier {
  parties = RUNNERS,
  -- The last to arrive does this, while the others still wait.
  action = function() print("all there, total " .. total.value) end,
}

local function run(me)
  for round = 1, ROUNDS do
    total:add(me * round)
    barrier:wait()
  end
end

local threads = {}
for i = 1, RUNNERS do
  threads[i] = threading.Thread {target = run, args = {i}}:start()
end
for _, thread in ipairs(threads) do thread:join() end
assert(total.value == 6 * 10)
