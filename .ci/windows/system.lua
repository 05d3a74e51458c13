-- What busted needs of lua-system, for an interpreter that has only conc.
local conc = require "conc"

return {monotime = conc.time, gettime = os.time, sleep = conc.sleep}
