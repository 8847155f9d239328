--- Starts dashboards of examples/openresty/dashboard, and speaks HTTP with them as a browser without JavaScript does.
local http = require "socket.http"
local ltn12 = require "ltn12"

local server = {}

local here = debug.getinfo(1, "S").source:match "^@(.*)spec/dashboard/server%.lua$"

local function capture(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  return (output:gsub("%s+$", ""))
end

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

server.quote, server.capture = quote, capture

--- The directory of the project, with a slash.
server.root = capture("cd " .. quote(here == "" and "." or here) .. " && pwd -P") .. "/"
local build = os.getenv "BUILD" or "build"
server.build = build:find "^/" and build or server.root .. build

--- Variables that would change what a dashboard does.
local cleared = "-u RETAB_API_KEY -u RETAB_API_BASE_URL -u RETAB_BASE_URL -u RETAB_AUTH -u RETAB_DEBUG -u SSL_CERT_FILE"

local Dashboard = {}
Dashboard.__index = Dashboard

--- Begins to start a dashboard, which ends with this process. `ready` waits until it has started.
--- @param environment table<string, string>
--- @return table dashboard
function server.begin(environment)
  local values = {
    LUA_PATH = ("%slua/?.lua;%slua/?/init.lua;%s;;"):format(server.root, server.root, environment.path or ""),
    LUA_CPATH = server.build .. "/lua/5.1/?.so;;", no_proxy = "127.0.0.1",
  }
  for name, value in pairs(environment) do
    if name ~= "path" then values[name] = value end
  end
  local words = {}
  for name, value in pairs(values) do words[#words + 1] = quote(name .. "=" .. value) end
  local fifo, log = os.tmpname(), os.tmpname()
  os.execute(("rm -f %s && mkfifo -m 600 %s"):format(quote(fifo), quote(fifo)))
  -- Our end of its standard input is the leash.
  local leash = assert(io.popen(("exec >%s 2>%s; unset LD_PRELOAD; env %s %s %s & pid=$!; exec >/dev/null; "
    .. "cat >/dev/null; kill $pid; wait $pid"):format(quote(fifo), quote(log), cleared, table.concat(words, " "),
    quote(server.root .. "examples/openresty/dashboard/start")), "w"))
  local lines = assert(io.open(fifo))
  os.remove(fifo)
  return setmetatable({ lines = lines, leash = leash, log = log }, Dashboard)
end

--- @return table self with `url` (without a slash at its end)
function Dashboard:ready()
  local url = self.lines:read "*l"
  self.lines:close()
  if not url then error("the dashboard did not start: " .. self:logged(), 2) end
  self.url = url:gsub("/$", "")
  return self
end

--- Starts a dashboard.
function server.start(environment)
  return server.begin(environment):ready()
end

function Dashboard:stop()
  self.leash:close()
  os.remove(self.log)
end

function Dashboard:logged()
  local file = assert(io.open(self.log))
  local text = file:read "*a"
  file:close()
  return text
end

--- Sends a request. Redirects are not followed.
--- @return table response status, headers, body
function Dashboard:request(path, options)
  options = options or {}
  local chunks = {}
  local _, status, headers = http.request {
    url = self.url .. path, method = options.method or "GET", headers = options.headers, redirect = false,
    sink = ltn12.sink.table(chunks),
  }
  assert(type(status) == "number", status)
  return { status = status, headers = headers, body = table.concat(chunks) }
end

return server
