-- The simulated Retab API, for specs, benchmarks and the demo: starts `serve`, returns base URLs, and returns the
-- requests that arrived. The server ends with this process. Plain Lua, for every version.
--
--   local simulator = require "spec.simulator"
--   local server = simulator.shared()
--   local base_url, id = server:scenario { runs = 1000, latency = 0.05, fault = "status", code = 503, at = 2 }
--   -- ... requests ...
--   assert(server:requests(id)[1].args.limit == "100")

local here = ...
local journal = require(here .. ".journal")
local scenario = require(here .. ".scenario")

local simulator = {}

local server = {}
server.__index = server

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function script()
  local directory = debug.getinfo(1, "S").source:match("^@(.*)init%.lua$")
  return (directory == "" and "./" or directory) .. "serve"
end

-- Calls `fn` when the value returned is collected or the state closes; tables have no __gc in 5.1.
local function on_collect(fn)
  local proxy = newproxy and newproxy(true) or setmetatable({}, { __gc = fn })
  if newproxy then getmetatable(proxy).__gc = fn end
  return proxy
end

-- A sanitizer's runtime is for the process under test, not for the shells that it starts.
local CLEAN = "unset LD_PRELOAD ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS; "

local function make_fifo()
  local path = os.tmpname()
  os.execute(CLEAN .. ("rm -f %s && mkfifo -m 600 %s"):format(shell_quote(path), shell_quote(path)))
  return path
end

-- Starts `serve` and waits for the lines that it prints when it is up. Our end of its standard input is the leash.
-- Opening the FIFO waits for the shell to open it; it ends early if `serve` fails.
local function launch(template)
  local fifo = make_fifo()
  -- The shell prints its process id first: it becomes `serve` by exec.
  local command = ("%sexec >%s; echo supervisor=$$; exec %s"):format(CLEAN, shell_quote(fifo), shell_quote(script()))
  if template then command = command .. " -c " .. shell_quote(template) end
  local leash = assert(io.popen(command, "w"))
  local lines = assert(io.open(fifo, "r"))
  os.remove(fifo)
  local text = lines:read("*a")
  lines:close()
  return leash, text
end

-- Starts a server that nobody else uses. Raises if it does not start; the reason is on standard error then. With the
-- path of a template of nginx's configuration it is another server than the simulator, with the same life.
function simulator.start(template)
  local leash, text = launch(template)
  local self = setmetatable({ leash = leash, scenarios = 0 }, server)
  for key, value in text:gmatch("([%w_]+)=([^\n]*)") do self[key] = value end
  if not self.url then
    leash:close()
    error("the simulator did not start", 2)
  end
  self.guard = on_collect(function() self:stop() end)
  return self
end

-- Returns the server of this process, which the first call starts. It is kept in the registry, so that test runners
-- that reload modules still share it.
function simulator.shared()
  local registry = debug.getregistry()
  local shared = registry["spec.simulator"]
  if not shared or not shared.leash then
    shared = simulator.start()
    registry["spec.simulator"] = shared
  end
  return shared
end

local SCHEMES = { http = "url", tls = "tls_url", http2 = "http2_url" }

-- Returns a base URL at which the server behaves as `options` say (scenario.lua lists them), and the id under which its
-- requests, and the runs that they create, are kept: a fresh one unless the options name it. `scheme` is "http", "tls"
-- or "http2".
function server:scenario(options, scheme)
  local base = self[SCHEMES[scheme or "http"] or error("no such scheme: " .. tostring(scheme), 2)]
  self.scenarios = self.scenarios + 1
  local chosen = { id = "s" .. self.scenarios }
  for option, value in pairs(options or {}) do chosen[option] = value end
  return base .. scenario.encode(chosen, 2), chosen.id
end

-- Returns the requests that arrived under an id, in order, each { method, uri, path, query, args, headers, body, auth,
-- protocol, connection, time, request_id }. Header names are in lower case; an argument or a header that was repeated
-- has an array of its values. `body` is empty if there was none. `auth` is "api-key", "bearer", "both" or "none".
function server:requests(id)
  return journal.read(self.directory, id)
end

-- Ends the server and waits until it is gone. It sends a signal first: other children of this process may have
-- inherited our end of the leash, so closing it might not end the server.
function server:stop()
  local leash = self.leash
  if not leash then return end
  self.leash = nil
  os.execute(CLEAN .. "kill " .. self.supervisor .. " 2>/dev/null")
  leash:close()
end

return simulator
