--- Threads, and what they synchronize with, as in Python's `threading`.
--
-- @module conc.threading

local core = require "conc.core"

--- A table that threads share.  `Dict(t)` makes one; the operations are
-- functions (`Dict.update(d, key, f)`), because a Dict's fields are its keys.
local Dict = setmetatable(core.dict, {
  __call = function(_, ...)
    return core.new_dict(...)
  end,
  __name = "Dict",
})

local threading = {
  Thread = core.Thread,
  Local = core.Local,
  Lock = core.Lock,
  RLock = core.RLock,
  Condition = core.Condition,
  Semaphore = core.Semaphore,
  BoundedSemaphore = core.BoundedSemaphore,
  Event = core.Event,
  Barrier = core.Barrier,
  Value = core.Value,
  Array = core.Array,
  Dict = Dict,
  current_thread = core.current_thread,
  main_thread = core.main_thread,
  enumerate = core.enumerate,
  active_count = core.active_count,
  get_ident = core.get_ident,
  get_native_id = core.get_native_id,
  stack_size = core.stack_size,
  excepthook = core.excepthook,
  __excepthook__ = core.excepthook,
}

threading.Timer = require "conc.timer"

return threading
