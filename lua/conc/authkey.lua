--- The key by which processes of one family know each other: a string that the
-- first of them makes and the others inherit.

local core = require "conc.core"

local authkey = {}

--- That of this process; made when it is first asked for.
function authkey.get()
  local key = core.note "key"
  if not key then
    -- Another thread may make one as well: the first stays.
    core.set_note("key", core.crypto.random(32), true)
    key = core.note "key"
  end
  return key
end

--- Another one, for this process and those it starts from now on.
function authkey.set(key)
  core.set_note("key", key)
end

return authkey
