--- Threads, and what they synchronize with, as in Python's `threading`.
--
-- @module conc.threading

local arguments = require "conc.arguments"
local core = require "conc.core"

--- A table that threads share.  `Dict(t)` makes one; the operations are
-- functions (`Dict.update(d, key, f)`), because a Dict's fields are its keys.
local Dict = setmetatable(core.dict, {
  __call = function(_, ...)
    return core.Dict(...)
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
  __excepthook__ = core.excepthook,
}

threading.Timer = require "conc.timer"

-- Not a field: a function that a module holds travels by its name, and would
-- be another one over there.
local excepthook = core.excepthook

return setmetatable(threading, {
  __index = function(_, key)
    if key == "excepthook" then return excepthook end
  end,
  __newindex = function(t, key, value)
    if key ~= "excepthook" then
      rawset(t, key, value)
    elseif value == nil or type(value) == "function" then
      excepthook = value
    else
      core.raise("excepthook: function or nil expected, got " .. arguments.kind(value))
    end
  end,
})
