--- Finalizers at the worst moments: while a function runs, Lua collects all garbage at nearly every allocation, and
--- each time a finalizer calls `attack`. (An emergency collection, as spec/c/host.c causes it, runs no finalizers.) A
--- full collection takes as long as the heap is large: use it in a small process, with spec/interpreter.lua.
---
---     local attacks = hostile.run(function() core.decode "[1]" end, function() ... end)
local hostile = {}

--- Calls `f` in a finalizer, at the end of the next collection.
local function at_collection(f)
  if newproxy then
    getmetatable(newproxy(true)).__gc = f
  else
    setmetatable({}, { __gc = f })
  end
end

--- Makes the collector do a whole cycle in each of its steps, without a pause between cycles. Returns what undoes that.
local function collect_always()
  if _VERSION == "Lua 5.5" then
    local mode, before = collectgarbage "incremental", {}
    for name, value in pairs { pause = 0, stepmul = 0, stepsize = 1 } do
      before[name] = collectgarbage("param", name, value)
    end
    return function()
      collectgarbage(mode)
      for name, value in pairs(before) do collectgarbage("param", name, value) end
    end
  elseif _VERSION == "Lua 5.4" then
    collectgarbage("incremental", 1, 1000, 63) -- 0 would mean as it is, and a pause of 1 is rounded down
    return function() collectgarbage("incremental", 200, 100, 13) end
  end
  local pause = collectgarbage("setpause", 0)
  local multiplier = collectgarbage("setstepmul", 1000000)
  return function()
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", multiplier)
  end
end

--- Calls `body` while finalizers call `attack`. An error in either is raised.
--- @param attack function
--- @param body function
--- @return integer attacks how often `attack` was called
function hostile.run(attack, body)
  local is_active, attacks, problem = true, 0, nil
  -- Nothing is to be collected during a finalizer. Lua 5.1 has to be told, and resumes by itself after it.
  local stops = _VERSION == "Lua 5.1" and not rawget(_G, "jit")
  local function finalize()
    if not is_active then return end
    attacks = attacks + 1
    if stops then collectgarbage "stop" end
    local ok, message = pcall(attack)
    if not ok then problem = problem or message end
    at_collection(finalize)
  end
  local restore = collect_always()
  collectgarbage() -- the next cycle begins when this one says
  at_collection(finalize)
  local ok, message = pcall(body)
  is_active = false
  restore()
  if not ok then error(message, 0) end
  if problem then error(problem, 0) end
  return attacks
end

return hostile
