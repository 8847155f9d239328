--- Coroutines that wait, and their errors: what drivers share.
local task = {}

--- Returns true if the caller runs in a coroutine that can yield. Lua 5.1 and 5.2 do not know whether a C function on
--- the coroutine's stack forbids it: there task.suspend finds out.
task.can_yield = coroutine.isyieldable or function()
  local thread, is_main = coroutine.running()
  return thread ~= nil and not is_main
end

--- Returns the running coroutine. Lua 5.1 has no value for the main one: there "main" is returned.
function task.running()
  return coroutine.running() or "main"
end

--- Returns true unless the coroutine ended, failed or was closed.
--- @param thread thread|"main" from task.running
function task.is_alive(thread)
  return thread == "main" or coroutine.status(thread) ~= "dead"
end

--- Yields. Returns false if a C function on the stack forbids it. PUC 5.1 raises an error instead: there no pcall can
--- catch it, because pcall itself is such a C function.
local function yield()
  coroutine.yield()
  return true
end

if rawget(_G, "jit") or _VERSION == "Lua 5.2" then
  function yield() return (pcall(coroutine.yield)) end
end

--- Spawned coroutine -> the function that reports its error.
local reports = setmetatable({}, { __mode = "k" })

--- Resumes a coroutine. An uncaught error of a spawned coroutine is reported with its traceback. That of any other
--- coroutine is raised here, and the event loop that called shows it in its own way.
local function resume(thread, ...)
  local ok, problem = coroutine.resume(thread, ...)
  if ok then return end
  local message = tostring(problem)
  if debug then message = debug.traceback(thread, message) end -- a sandbox can lack it
  local report = reports[thread]
  if not report then error(message, 0) end
  report(message)
end

--- Suspends the running coroutine until `done()`. If other code resumes it earlier, it is suspended again.
--- @param done function
--- @param arm function gets a function that resumes the coroutine; an event calls that one when `done()` is true. It
---   does nothing if the coroutine does not wait here any more.
--- @return boolean suspended false if the coroutine cannot yield here
function task.suspend(done, arm)
  local thread, suspended = coroutine.running(), true
  arm(function()
    if suspended and coroutine.status(thread) == "suspended" then resume(thread) end
  end)
  repeat suspended = yield() until not suspended or done()
  local waited = suspended
  suspended = false
  return waited
end

--- Calls `f` when the returned guard is collected, or when the Lua state closes. On closing, finalizers run in the
--- reverse order of creation: what was created before the guard is still usable in `f`. An error of `f` is ignored,
--- because LuaJIT can crash if a finalizer raises one.
--- @param f function
--- @return any guard
function task.on_collect(f)
  local function finalize() pcall(f) end
  if not newproxy then return setmetatable({}, { __gc = finalize }) end -- Lua 5.1 has no __gc for tables
  local guard = newproxy(true)
  getmetatable(guard).__gc = finalize
  return guard
end

--- Reports an error where the host shows none.
--- @param message string
function task.report(message)
  if io then io.stderr:write(message, "\n") else print(message) end
end

--- Runs a function in a coroutine of its own, up to its first wait.
--- @param report function|nil takes the message and traceback of an error that nothing caught (default: task.report)
--- @param f function
--- @param ... any its arguments
--- @return thread
function task.spawn(report, f, ...)
  local thread = coroutine.create(f)
  reports[thread] = report or task.report
  resume(thread, ...)
  return thread
end

--- Returns the error of a request whose client was closed.
--- @param sent boolean false if the server cannot have seen the request
function task.closed(sent)
  return { kind = "cancelled", message = "client is closed", sent = sent }
end

return task
