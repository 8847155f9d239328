-- client.lua: the one client of a worker. The API key stays here: no page, response or log line has it.
local retab = require "retab"

local client = {}

-- A person waits for a page, so a request ends sooner than a script's does.
local options = { timeout = 10, connect_timeout = 5, deadline = 15, max_retries = 1 }

local created

local function without_place(message)
  return (tostring(message):gsub("^[^:]*:%d+: ", ""))
end

-- Returns client.workflows.experiments; or nil and an error of kind "configuration", for example without a key.
function client.experiments()
  if not created then
    local ok, result = pcall(retab.new, options)
    if not ok then return nil, { kind = "configuration", message = without_place(result) } end
    created = result
  end
  return created.workflows.experiments
end

-- Calls `f(experiments)`, which returns what a function of the library returns. Returns its value; or nil and the
-- error. A parameter that the library refuses becomes an error of kind "parameter".
function client.call(f)
  local experiments, problem = client.experiments()
  if not experiments then return nil, problem end
  local ok, value, _, err = pcall(f, experiments)
  if ok then return value, err end
  local message = without_place(value)
  if not message:find "^%a+ [%a ]+ '" then error(value, 0) end
  local name = message:match "'(.-)'"
  return nil, { kind = "parameter", name = name, message = (message:gsub("^bad parameter '(.-)':", "%1")) }
end

return client
