--- Coroutines that wait: what the drivers of event loops have in common.
local task = {}

--- Whether the caller runs in a coroutine that can be suspended.
task.can_yield = coroutine.isyieldable or function()
  return coroutine.running() ~= nil
end

--- What is told of the errors of spawned coroutines, by coroutine.
local reports = setmetatable({}, { __mode = "k" })

--- Goes on with a coroutine. An error that nobody in it caught goes, with its traceback, to the report of
--- a spawned one; else it is raised here, and the event loop that called shows it in its own way.
local function resume(thread, ...)
  local ok, problem = coroutine.resume(thread, ...)
  if ok then return end
  local message = debug.traceback(thread, tostring(problem))
  local report = reports[thread]
  if not report then error(message, 0) end
  report(message)
end

--- Suspends the running coroutine until `done()`.
--- @param done function
--- @param arm function called with the function that resumes, which the event is to call once. Somebody else
---   may resume the coroutine meanwhile: it is suspended again, or goes on if the event has come, and what it
---   is suspended for afterwards is left alone.
function task.suspend(done, arm)
  local thread, suspended = coroutine.running(), true
  arm(function()
    if suspended and coroutine.status(thread) == "suspended" then resume(thread) end
  end)
  repeat coroutine.yield() until done()
  suspended = false
end

--- Calls `f` when the value returned is collected; tables have no __gc in 5.1.
--- @param f function
--- @return any guard
function task.on_collect(f)
  local guard = newproxy and newproxy(true) or setmetatable({}, { __gc = f })
  if newproxy then getmetatable(guard).__gc = f end
  return guard
end

--- Where errors go that have no host to show them.
--- @param message string
function task.report(message)
  io.stderr:write(message, "\n")
end

--- Runs a function in a coroutine of its own, up to where it waits first.
--- @param report function|nil takes the message and traceback of an error that nobody caught; writes it to
---   stderr unless given
--- @param f function
--- @param ... any what it is called with
--- @return thread
function task.spawn(report, f, ...)
  local thread = coroutine.create(f)
  reports[thread] = report or task.report
  resume(thread, ...)
  return thread
end

return task
