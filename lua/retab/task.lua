--- Coroutines that wait: what the drivers of event loops share.
local task = {}

--- Returns true if the caller runs in a coroutine that may be suspended. Lua 5.3 and later know it exactly; before them
--- a C function on the coroutine's stack shows only when the coroutine yields: see task.suspend.
task.can_yield = coroutine.isyieldable or function()
  local thread, is_main = coroutine.running()
  return thread ~= nil and not is_main
end

--- Returns the running coroutine; "main" outside of any in Lua 5.1, which has no value for that.
function task.running()
  return coroutine.running() or "main"
end

--- Returns true unless the coroutine ended, failed or was closed.
--- @param thread thread|"main" from task.running
function task.is_alive(thread)
  return thread == "main" or coroutine.status(thread) ~= "dead"
end

--- Yields. Returns false if a C function on the stack forbids it. PUC 5.1 raises an error instead: its pcall is such a
--- C function itself.
local function yield()
  coroutine.yield()
  return true
end

if rawget(_G, "jit") or _VERSION == "Lua 5.2" then
  function yield() return (pcall(coroutine.yield)) end
end

--- What reports the errors of spawned coroutines, by coroutine.
local reports = setmetatable({}, { __mode = "k" })

--- Resumes a coroutine. An error that nothing in it caught goes, with its traceback, to the report of a spawned
--- coroutine; otherwise it is raised here, and the event loop that called shows it in its own way.
local function resume(thread, ...)
  local ok, problem = coroutine.resume(thread, ...)
  if ok then return end
  local message = tostring(problem)
  if debug then message = debug.traceback(thread, message) end -- a sandbox can be without it
  local report = reports[thread]
  if not report then error(message, 0) end
  report(message)
end

--- Suspends the running coroutine until `done()`.
--- @param done function
--- @param arm function called with the function that resumes, which the event calls once. Other code may resume the
---   coroutine meanwhile: it is suspended again until `done()`, and what it waits for afterwards is left alone.
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

--- Calls `f` when the returned value is collected, or when the Lua state closes: then finalizers run in the reverse
--- order of creation, so that the guard still finds what was created before it. What `f` raises is dropped: LuaJIT
--- can crash where a finalizer raises. Lua 5.1 has no `__gc` for tables.
--- @param f function
--- @return any guard
function task.on_collect(f)
  local function finalize() pcall(f) end
  if not newproxy then return setmetatable({}, { __gc = finalize }) end
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
