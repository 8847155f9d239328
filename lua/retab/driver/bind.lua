--- Turns an object with methods into a driver: a table of functions that are called without `self`.
local names = { "send", "await", "cancel", "sleep", "now", "ready", "await_any", "spawn", "connections", "close" }

--- @param object table with methods of these names; those of optional functions may be absent
--- @return retab.Driver
return function(object)
  local driver = {}
  for _, name in ipairs(names) do
    local method = object[name]
    if method then driver[name] = function(...) return method(object, ...) end end
  end
  return driver
end
