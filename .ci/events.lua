-- An output handler of busted for .ci/specs: a line as each spec begins, one as
-- it ends (success, pending, failure or error), and what went wrong.

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  -- A line of its own, whatever a program under test has written last.
  local function say(...)
    io.write("\n", table.concat({...}, " "), "\n")
    io.flush()
    return nil, true
  end

  local function name(element)
    local trace = element.trace
    return ("%s:%d: %s"):format(trace.short_src, trace.currentline, handler.getFullName(element))
  end

  local function message(list)
    local last = list[#list]
    local text = last and last.message and tostring(last.message) or ""
    return (text:gsub("^%S*helper%.lua:%d+: ", ""))
  end

  handler.testStart = function(element) return say("## begin", name(element)) end

  handler.testEnd = function(element, _, status)
    if status == "pending" then say("## because", message(handler.pendings)) end
    return say("## " .. status, name(element))
  end

  -- Of a spec, or of what is around it.
  local function bad(list, word)
    return function(element)
      say(message(list))
      if element.descriptor ~= "it" then say("## " .. word, handler.getFullName(element) or "") end
      return nil, true
    end
  end

  busted.subscribe({"test", "start"}, handler.testStart, {predicate = handler.cancelOnPending})
  busted.subscribe({"test", "end"}, handler.testEnd, {predicate = handler.cancelOnPending})
  busted.subscribe({"failure"}, bad(handler.failures, "failure"))
  busted.subscribe({"error"}, bad(handler.errors, "error"))
  return handler
end
