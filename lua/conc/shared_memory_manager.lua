--- What makes blocks of shared memory and removes all of them at its end.

local arguments = require "conc.arguments"
local core = require "conc.core"
local shareable_list = require "conc.shareable_list"

local Manager = {}
Manager.__index = Manager
Manager.__name = "SharedMemoryManager"

-- Handles of its own: users close theirs.

local function running(manager, what)
  if manager.state ~= "started" then
    core.raise(("cannot make a %s: the manager is not running"):format(what))
  end
end

local function SharedMemoryManager(...)
  arguments.no_more(1, "SharedMemoryManager", ...)
  return setmetatable({state = "new", blocks = {}}, Manager)
end

--- Begin; once.  Returns the manager.
function Manager:start()
  if self.state ~= "new" then core.raise("the manager was started before") end
  self.state = "started"
  return self
end

--- A new block of so many bytes.
function Manager:SharedMemory(size)
  running(self, "SharedMemory")
  local shm = core.shared.SharedMemory {create = true, size = size}
  table.insert(self.blocks, core.shared.SharedMemory(shm:name()))
  return shm
end

--- A new list with these values.
function Manager:ShareableList(sequence)
  running(self, "ShareableList")
  local list = shareable_list.ShareableList(sequence)
  table.insert(self.blocks, core.shared.SharedMemory(list:shm():name()))
  return list
end

--- Remove the names of all that it made; may be called again.
function Manager:shutdown()
  for i, shm in ipairs(self.blocks) do
    self.blocks[i] = nil
    pcall(shm.unlink, shm) -- it may have been unlinked by hand
  end
  self.state = "shut down"
end

Manager.__close = Manager.shutdown
Manager.__gc = Manager.shutdown

arguments.seal_methods(Manager, Manager)

return {SharedMemoryManager = SharedMemoryManager}
