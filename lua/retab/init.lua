--- retab for Lua: a client of Retab's experiment runs.
---
---     local retab = require "retab"
---     local client = retab.new { api_key = "..." }
---     for run in client.workflows.experiments.runs.iter { experiment_id = "exp_abc" } do
---       print(run.id, run.lifecycle.status)
---     end
local native = require "retab.native"
local core = native.core()
local failure = require "retab.error"
local log = require "retab.log"
local params = require "retab.params"
local resource = require "retab.resource"
local task = require "retab.task"
local url = require "retab.url"

-- A missing libcurl is reported here, not by the first call. In nginx the driver may not need it.
if not rawget(_G, "ngx") then native.curl() end

local retab = {
  _VERSION = core.version,
  --- JSON null as a value: the light userdata NULL, the same as cjson.null and ngx.null.
  null = core.null,
}

--- Returns true for an error object of this library.
--- @param value any
--- @return boolean
function retab.is_error(value)
  return failure.is(value)
end

-- ---- options ----

local default_base_url = "https://api.retab.com"
local default_timeout, default_connect_timeout = 60, 10 -- seconds
local default_max_retries = 2
local default_max_body_bytes = 64 * 1024 * 1024
local default_max_connections = 8

local driver_functions = { "send", "await", "cancel", "sleep", "now" }
local driver_names = { blocking = true, luv = true, ngx = true, resty = true, cqueues = true }

local function check_driver(value)
  local allowed = "must be the name of a driver (blocking, luv, ngx, resty, cqueues) "
    .. "or a table with the functions send, await, cancel, sleep and now"
  if type(value) ~= "table" then
    if driver_names[value] then return value end
    return nil, allowed
  end
  for _, name in ipairs(driver_functions) do
    if type(value[name]) ~= "function" then return nil, allowed end
  end
  return value
end

local function check_debug(value)
  if type(value) == "boolean" or type(value) == "function" then return value end
  return nil, "must be a boolean or a function that takes a line"
end

local check_auth = params.one_of { "api-key", "bearer" }
local check_hook = params.of_type "function"

local client_options = {
  { "api_key", params.key, is_secret = true },
  { "auth", check_auth },
  { "base_url", params.text },
  { "allow_http", params.of_type "boolean" },
  { "timeout", params.seconds },
  { "connect_timeout", params.seconds },
  { "deadline", params.seconds },
  { "max_retries", params.integer(0) },
  { "max_body_bytes", params.integer(1) },
  { "max_connections", params.integer(1, 10000) },
  { "null", params.anything, takes_null = true },
  { "user_agent", params.header_text },
  { "headers", params.headers },
  { "proxy", params.text },
  { "ca_file", params.text },
  { "ca_path", params.text },
  { "on_request", check_hook },
  { "on_response", check_hook },
  { "on_retry", check_hook },
  { "debug", check_debug },
  { "driver", check_driver },
}

--- Returns an environment variable; nil if it is empty, or if a sandbox has no `os`.
local function environment(name)
  local value = os and os.getenv and os.getenv(name)
  return value ~= "" and value or nil
end

--- Returns the first of these environment variables that is set.
--- @return string|nil value
--- @return string|nil name
local function first_variable(...)
  for _, name in ipairs { ... } do
    if environment(name) then return environment(name), name end
  end
end

--- Returns the API key: the option, or the environment variable.
local function find_key(options)
  if options.api_key then return options.api_key end
  local key = environment "RETAB_API_KEY"
  if key == nil then
    params.raise("no API key: pass the option 'api_key', or set the environment variable RETAB_API_KEY")
  end
  local problem = params.key_problem(key)
  if problem then params.raise("bad environment variable RETAB_API_KEY: " .. problem) end
  return key
end

local function find_auth(options)
  if options.auth then return options.auth end
  local auth = environment "RETAB_AUTH"
  if auth == nil then return "api-key" end
  local good, allowed = check_auth(auth)
  if not good then params.raise("bad environment variable RETAB_AUTH: " .. allowed) end
  return good
end

local function find_base_url(options)
  local text, source = options.base_url, "option 'base_url'"
  if not text then
    local variable
    text, variable = first_variable("RETAB_API_BASE_URL", "RETAB_BASE_URL")
    source = "environment variable " .. tostring(variable)
  end
  local base_url, problem = url.base(text or default_base_url, options.allow_http)
  if not base_url then params.raise(("bad %s: %s"):format(source, problem)) end
  return base_url
end

local function find_debug(options)
  if options.debug ~= nil then return options.debug end
  local variable = environment "RETAB_DEBUG"
  return variable ~= nil and variable ~= "0"
end

-- ---- the client ----

--- Returns the name of the driver for this host.
local function host_driver()
  if rawget(_G, "ngx") then return pcall(require, "resty.http") and "resty" or "ngx" end
  if rawget(_G, "vim") then return "luv" end
  return "blocking"
end

--- Runs a function in a coroutine, for a driver that has no `spawn`.
local function spawn_task(f, ...)
  return task.spawn(nil, f, ...)
end

--- A session has the options, the driver and the counters of a client. It is kept apart from the client, so that
--- printing the client's table shows no key.
local Session = {}
Session.__index = Session

--- Returns the driver. It is created at the first use: building requests and parsing responses need none.
function Session:driver()
  if not self.driver_table then
    self.driver_table = type(self.driver_option) == "table" and self.driver_option
      or require("retab.driver." .. (self.driver_option or host_driver())).new {
        max_connections = self.max_connections, ca_file = self.ca_file, ca_path = self.ca_path, proxy = self.proxy,
      }
  end
  return self.driver_table
end

function Session:close()
  if self.closed then return end
  self.closed = true
  local driver = self.driver_table
  if not driver then return end
  for ticket in pairs(self.tickets) do pcall(driver.cancel, ticket) end
  self.tickets = {}
  if driver.close then driver.close() end
end

local function new_session(given)
  local hidden = { environment "RETAB_API_KEY" }
  if type(given) == "table" and type(given.api_key) == "string" then hidden[#hidden + 1] = given.api_key end
  local options = params.check(client_options, given, "option", { hidden = hidden })
  local base_url = find_base_url(options)
  local user_agent = "retab-lua/" .. retab._VERSION
  return setmetatable({
    api_key = find_key(options),
    auth = find_auth(options),
    base_url = base_url,
    -- a proxy could read the key in a plain request to this machine
    direct = url.is_plain_loopback(base_url) and not (options.proxy and options.allow_http),
    timeout = options.timeout or default_timeout,
    connect_timeout = options.connect_timeout or default_connect_timeout,
    deadline = options.deadline,
    max_retries = options.max_retries or default_max_retries,
    max_body_bytes = options.max_body_bytes or default_max_body_bytes,
    max_connections = options.max_connections or default_max_connections,
    null = options.null,
    user_agent = options.user_agent and user_agent .. " " .. options.user_agent or user_agent,
    headers = options.headers or {},
    proxy = options.proxy,
    ca_file = options.ca_file,
    ca_path = options.ca_path,
    on_request = options.on_request,
    on_response = options.on_response,
    on_retry = options.on_retry,
    log = log.sink(find_debug(options)),
    driver_option = options.driver,
    stats = { requests = 0, retries = 0, bytes = 0 },
    tickets = setmetatable({}, { __mode = "k" }), -- of the requests in flight
  }, Session)
end

--- The functions of a client. They take its session.
local functions = {}

--- Returns counts since the client was created: attempts sent, retries, bytes of bodies received, connections opened.
--- @return { requests: integer, retries: integer, bytes: integer, connections: integer }
function functions.stats(session)
  local driver = session.driver_table
  return {
    requests = session.stats.requests, retries = session.stats.retries, bytes = session.stats.bytes,
    connections = driver and driver.connections and driver.connections() or 0,
  }
end

--- Closes the connections and cancels the requests in flight. Later calls raise.
function functions.close(session)
  session:close()
end

--- Runs a function in a coroutine of the client's host: a light thread in nginx. The host reports an error that nobody
--- catches: in nginx's error log, in Neovim's messages, else on stderr.
--- @param f function
--- @param ... any its arguments
--- @return any thread of the host's own kind
function functions.spawn(session, f, ...)
  if type(f) ~= "function" then params.raise(("spawn takes a function, got a %s"):format(type(f))) end
  if session.closed then params.raise("client is closed") end
  return (session:driver().spawn or spawn_task)(f, ...)
end

local sessions = setmetatable({}, { __mode = "k" })

local Client = { __name = "retab.client" }

function Client:__close()
  sessions[self]:close()
end

function Client:__tostring()
  local session = sessions[self]
  return ("retab.client (%s%s)"):format(session.base_url, session.closed and ", closed" or "")
end

--- Creates a client. It sends nothing. Invalid options and a missing key raise.
--- @param options retab.Options|nil
--- @return retab.Client
function retab.new(options)
  local session = new_session(options)
  if rawget(_G, "vim") then -- load libcurl now: in the first call it would block the screen
    pcall(require, "retab.driver.luv")
  end
  local experiments = resource.bind(session, require "retab.resources.experiments")
  for _, name in ipairs { "runs", "results", "metrics" } do
    experiments[name] = resource.bind(session, require("retab.resources." .. name))
  end
  local client = setmetatable({ workflows = { experiments = experiments } }, Client)
  sessions[client] = session
  for name, f in pairs(functions) do
    client[name] = function(first, ...) -- client.stats() and client:stats() are the same
      if rawequal(first, client) then return f(session, ...) end
      return f(session, first, ...)
    end
  end
  return client
end

return retab
