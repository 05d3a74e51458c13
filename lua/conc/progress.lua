--- How far a map is: what `progress` does.
--
-- @module conc.progress

local core = require "conc.core"

local WIDTH = 30 -- of the bar
local OFTEN = 0.1 -- seconds between two drawings

local function duration(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds < 3600 then return ("%d:%02d"):format(seconds // 60, seconds % 60) end
  return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

-- The line for so many items in so many seconds.
local function line(done, total, seconds)
  local rate = seconds > 0 and done / seconds or 0
  if not total then
    return ("%d, %.1f/s, %s"):format(done, rate, duration(seconds))
  end
  local filled = total > 0 and WIDTH * done // total or WIDTH
  local left = rate > 0 and duration((total - done) / rate) or "?"
  return ("[%s%s] %d/%d, %.1f/s, %s left"):format(("#"):rep(filled), ("-"):rep(WIDTH - filled),
    done, total, rate, left)
end

-- A function that draws the bar on stderr.
local function bar()
  local began, last, width = core.time(), 0, 0
  return function(done, total)
    local now = core.time()
    if now - last < OFTEN and done ~= total then return end
    last = now
    local text = line(done, total, now - began)
    io.stderr:write("\r", text, (" "):rep(width - #text), done == total and "\n" or "")
    io.stderr:flush()
    width = #text
  end
end

local function nothing() end

-- The iterator of a map and what a for loop wants after it, with `progress`
-- told of every item that is taken.
return function(progress, total, next, state, control, closing)
  if progress == true then
    progress = core.stderr_is_terminal() and bar() or nothing
  end
  local done = 0
  local function count(...)
    if (...) == nil then return ... end
    done = done + 1
    progress(done, total)
    return ...
  end
  return function(s, c) return count(next(s, c)) end, state, control, closing
end
