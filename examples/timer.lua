-- Something that happens later, unless it is cancelled.

local conc = require "conc"
local threading = require "conc.threading"

local begin = conc.time()

local function greet(whom)
  print(("hello, %s, after %.1f s"):format(whom, conc.time() - begin))
end

local timer = threading.Timer(0.2, greet, {"world"}):start()
local never = threading.Timer(60, greet, {"nobody"}):start()

never:cancel()
never:join()
timer:join()
print("done")
