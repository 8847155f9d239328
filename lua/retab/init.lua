--- retab for Lua: lists the experiment runs of Retab.
---
---     local retab = require "retab"
---     local client = retab.new { api_key = "..." }
---     for run in client.workflows.experiments.runs.iter { experiment_id = "exp_abc" } do
---       print(run.id, run.lifecycle.status)
---     end
local call = require "retab.call"
local core = require "retab.core"
local list = require "retab.list"
local params = require "retab.params"
local runs = require "retab.runs"
local task = require "retab.task"
local url = require "retab.url"

local retab = {
  _VERSION = "0.1.0",
  --- JSON null as a value: the light userdata NULL, which is cjson.null and ngx.null too.
  null = core.null,
}

local default_base_url = "https://api.retab.com"
local driver_functions = { "send", "await", "cancel", "sleep", "now" }
local driver_names = { blocking = true, luv = true, ngx = true, resty = true, cqueues = true }

local function check_driver(value)
  local allowed = "the name of a driver (blocking, luv, ngx, resty, cqueues), "
    .. "or a table with send, await, cancel, sleep and now"
  if type(value) ~= "table" then
    if driver_names[value] then return value end
    return nil, allowed
  end
  for _, name in ipairs(driver_functions) do
    if type(value[name]) ~= "function" then return nil, allowed end
  end
  return value
end

local function check_key(value)
  if type(value) == "string" or type(value) == "function" then return value end
  return nil, "a string, or a function that returns one"
end

local hook = params.of_type "function"

local client_options = {
  { "api_key", check_key },
  { "auth", params.one_of { "api-key", "bearer" } },
  { "base_url", params.text },
  { "allow_http", params.of_type "boolean" },
  { "timeout", params.seconds },
  { "connect_timeout", params.seconds },
  { "deadline", params.seconds },
  { "max_retries", params.whole(0) },
  { "max_body_bytes", params.whole(1) },
  { "max_connections", params.whole(1, 10000) },
  { "null", params.anything, true },
  { "user_agent", params.header_text },
  { "headers", params.headers },
  { "proxy", params.of_type "string" },
  { "ca_file", params.text },
  { "ca_path", params.text },
  { "on_request", hook },
  { "on_response", hook },
  { "on_retry", hook },
  { "driver", check_driver },
}

--- The driver of the host that this runs in, by what the host offers.
local function host_driver()
  if rawget(_G, "ngx") then return pcall(require, "resty.http") and "resty" or "ngx" end
  if rawget(_G, "vim") then return "luv" end
  return "blocking"
end

--- How a driver without a spawn of its own runs a function.
local function spawn_task(f, ...)
  return task.spawn(nil, f, ...)
end

local function environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- The inside of a client: its options, its driver, its counters. Clients keep it apart from themselves, so
--- that whoever prints a client's table does not print the key.
local Session = {}
Session.__index = Session

--- The driver, made when it is needed first: building and parsing need none.
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
  local options = params.check(client_options, given, "option")
  local key = options.api_key or environment "RETAB_API_KEY"
  if key == nil then
    params.raise("no API key: pass api_key, or set the environment variable RETAB_API_KEY")
  end
  local problem = type(key) == "string" and call.key_problem(key)
  if problem then params.raise("api_key " .. problem) end
  local text = options.base_url or environment "RETAB_API_BASE_URL" or environment "RETAB_BASE_URL" or default_base_url
  local base_url, why = url.base(text, options.allow_http)
  if not base_url then params.raise(("bad option 'base_url': %s"):format(why)) end
  return setmetatable({
    api_key = key,
    auth = options.auth or "api-key",
    base_url = base_url,
    timeout = options.timeout or 60,
    connect_timeout = options.connect_timeout or 10,
    deadline = options.deadline,
    max_retries = options.max_retries or 2,
    max_body_bytes = options.max_body_bytes or 64 * 1024 * 1024,
    max_connections = options.max_connections or 8,
    null = options.null,
    user_agent = "retab-lua/" .. retab._VERSION .. (options.user_agent and " " .. options.user_agent or ""),
    headers = options.headers or {},
    proxy = options.proxy,
    ca_file = options.ca_file,
    ca_path = options.ca_path,
    on_request = options.on_request,
    on_response = options.on_response,
    on_retry = options.on_retry,
    driver_option = options.driver,
    stats = { requests = 0, retries = 0, bytes = 0 },
    tickets = setmetatable({}, { __mode = "k" }),
  }, Session)
end

local sessions = setmetatable({}, { __mode = "k" })

local Client = {}
Client.__index = Client
Client.__name = "retab.client"

--- Counts since the client was made.
--- @return { requests: integer, retries: integer, bytes: integer, connections: integer }
function Client:stats()
  local session = sessions[self]
  local driver = session.driver_table
  return {
    requests = session.stats.requests, retries = session.stats.retries, bytes = session.stats.bytes,
    connections = driver and driver.connections and driver.connections() or 0,
  }
end

--- Closes the connections and cancels what is under way. Later calls raise.
function Client:close()
  sessions[self]:close()
end

Client.__close = Client.close

--- Runs a function in a coroutine of the client's host: a light thread in nginx. An error that nobody catches
--- is reported: in nginx's error log, in Neovim's messages, else on stderr.
--- @param f function
--- @param ... any what it is called with
--- @return any thread the host's own kind
function Client:spawn(f, ...)
  local session = sessions[self]
  if type(f) ~= "function" then params.raise(("spawn takes a function, not a %s"):format(type(f))) end
  if session.closed then params.raise("client is closed") end
  return (session:driver().spawn or spawn_task)(f, ...)
end

function Client:__tostring()
  local session = sessions[self]
  return ("retab.client (%s%s)"):format(session.base_url, session.closed and ", closed" or "")
end

--- Makes a client.
--- @param options retab.Options|nil
--- @return retab.Client
function retab.new(options)
  local session = new_session(options)
  if rawget(_G, "vim") then -- loading libcurl holds up the screen: rather here than in the midst of the first call
    pcall(require, "retab.driver.luv")
  end
  local client = setmetatable({ workflows = { experiments = { runs = list.bind(session, runs) } } }, Client)
  sessions[client] = session
  return client
end

return retab
