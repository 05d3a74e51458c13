--- What a manager's server has: objects by their numbers, shared by all of its
-- threads.  `shared` is a table of objects of conc:
--
--   counter   Value, for numbers
--   objects   Dict, number = {type =, class =, object = | host =}
--   refs      Dict, number = how many references; a number without one is dead,
--             for ever
--   pins      Dict, name = number: references on their way to somebody
--   owners    Dict, number of a lock = the session that holds it
--   left      Dict, number of a lock = true: its holder has gone
--   loose     Dict, number of a semaphore = true: its permits are nobody's
--   house     queue of the thread that keeps house, see manager_host
--   tasks     executor for calls that wait for what no select can wait for
--   listener, address, key, types

local core = require "conc.core"

local Dict = core.dict

local registry = {}

--- Seconds without a call after which a thread collects its garbage, in which
-- there may be references.
registry.IDLE = 0.02

--- Some references more.  False: it is dead.
function registry.retain(shared, id, n)
  return Dict.update(shared.refs, id, function(refs)
    return refs and refs + (n or 1)
  end) ~= nil
end

--- Some less; the last one ends it.  True when it has.
function registry.release(shared, id, n)
  local left = Dict.update(shared.refs, id, function(refs)
    refs = refs and refs - (n or 1)
    return refs and refs > 0 and refs or nil
  end)
  if left then return false end
  local entry = Dict.pop(shared.objects, id)
  if not entry then return false end
  if entry.host then entry.host:put {op = "drop", id = id} end
  shared.owners[id] = nil
  shared.left[id] = nil
  shared.loose[id] = nil
  return true
end

--- A new object with one reference: its number.
function registry.add(shared, entry, id)
  id = id or shared.counter:add(1)
  shared.objects[id] = entry
  shared.refs[id] = 1
  return id
end

--- A reference that whoever has the value keeps, within this process: when the
-- last copy is dropped, the house hears of it.
function registry.lease(shared, id)
  if not registry.retain(shared, id) then return nil end
  local promise = core.Promise()
  shared.house:put {op = "lease", id = id, future = promise:future()}
  return promise
end

return registry
