--- Turns an object with methods into a driver: a table of functions that are called without `self`. The headers of a
--- response may be the lines of a header there, as libcurl has them; those of the driver are a table.
local headers = require "retab.headers"

local names = { "send", "await", "cancel", "sleep", "now", "ready", "await_any", "spawn", "connections", "close" }

local function with_headers(response, err)
  if response then response.headers = headers.read(response.headers) end
  return response, err
end

--- @param object table with methods of these names; those of optional functions may be absent
--- @return retab.Driver
return function(object)
  local driver = {}
  for _, name in ipairs(names) do
    local method = object[name]
    if method then driver[name] = function(...) return method(object, ...) end end
  end
  driver.await = function(ticket) return with_headers(object:await(ticket)) end
  return driver
end
