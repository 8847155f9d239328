--- A real nginx with one worker, whose program is worker.lua. Specs talk to it over HTTP.
local simulator = require "spec.simulator"
local socket = require "socket"

local nginx = {}

local here = debug.getinfo(1, "S").source:match("^@(.*)nginx%.lua$")

--- Seconds after which a response counts as lost.
local patience = 60

local Server = {}
Server.__index = Server

--- @param template string|nil the configuration's, next to this file unless it has a slash
function nginx.start(template)
  template = template or "nginx.conf"
  local process = simulator.start(template:find("/", 1, true) and template or here .. template)
  local log = assert(io.open(process.directory .. "/error.log"))
  log:seek "end"
  return setmetatable({ process = process, url = process.url, pid = process.pid, log = log }, Server)
end

function Server:stop()
  self.process:stop()
end

--- Returns the text that the error log got since the last call, without the lines about lua_code_cache.
function Server:logged()
  return (self.log:read "*a":gsub("[^\n]*lua_code_cache is off[^\n]*\n", ""))
end

local function encode(args)
  local parts = {}
  for name, value in pairs(args or {}) do
    parts[#parts + 1] = name .. "=" .. tostring(value):gsub("[^%w%-._~]", function(char)
      return ("%%%02X"):format(char:byte())
    end)
  end
  return table.concat(parts, "&")
end

--- Sends a request without waiting for the response.
--- @return table connection
function Server:open(path, args)
  local connection = assert(socket.connect("127.0.0.1", tonumber(self.url:match("%d+$"))))
  connection:settimeout(patience)
  assert(connection:send(("GET %s?%s HTTP/1.0\r\nHost: localhost\r\n\r\n"):format(path, encode(args))))
  return connection
end

--- Waits for the response to a request of `open`.
--- @return string body
--- @return number status
function Server.response(connection)
  local text = assert(connection:receive "*a")
  connection:close()
  local status, body = text:match("^HTTP/1%.%d (%d+).-\r\n\r\n(.*)$")
  return body, tonumber(status)
end

--- @return string body
--- @return number status
function Server:get(path, args)
  return self.response(self:open(path, args))
end

return nginx
