-- The API key of a request: which headers carry one, and whether the scenario accepts it.

local problem = require "spec.simulator.problem"

local key = {}

local function bearer_of(headers)
  local value = headers.authorization
  return type(value) == "string" and value:match("^[Bb]earer%s+(.+)$") or nil
end

local function api_key_of(headers)
  local value = headers["api-key"]
  return type(value) == "string" and value ~= "" and value or nil
end

-- Returns "api-key", "bearer", "both" or "none".
function key.kind(headers)
  local bearer, api_key = bearer_of(headers), api_key_of(headers)
  if bearer and api_key then return "both" end
  return bearer and "bearer" or api_key and "api-key" or "none"
end

local function accepted(options, value)
  if options.key then return value == options.key end
  return value and value ~= "wrong" and value:sub(1, 3) ~= "bad"
end

-- Returns nil if the request may pass, else a problem.
function key.refuse(options, headers)
  local value
  if options.auth ~= "bearer" then value = api_key_of(headers) end
  if options.auth ~= "api-key" then value = value or bearer_of(headers) end
  if not accepted(options, value) then return problem.new(401, "Invalid API Key.") end
end

return key
