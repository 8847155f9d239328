--- The driver of nginx on its own cosockets: no libcurl is loaded. A caller sleeps on a semaphore while a server does
--- its exchange. A server is a timer, so that exchanges outlive the request of a client that goes away, and so that a
--- prefetched page does not keep a finished request open. There are at most as many servers as connections.
---
--- A server runs its exchanges in a light thread, and kills that thread when an exchange is cancelled or late: a
--- cosocket's own timeouts count each read. nginx's `lua_ssl_trusted_certificate` decides which certificates are
--- trusted.
local bind = require "retab.driver.bind"
local http1 = require "retab.driver.http1"
local params = require "retab.params"
local phases = require "retab.driver.phases"
local semaphore = require "ngx.semaphore"

local driver_module = {}

--- Milliseconds for which an idle connection is kept.
local idle = 60000

--- Seconds for which a thread goes on over responses that are there already, before others get their turn.
local stretch = 0.002

--- Seconds after which a thread that waits looks around: a timer may never have begun.
local watch = 1

--- Seconds for which a server waits for another ticket before it ends: a new timer costs more than the wait.
local linger = 0.1

--- Exchanges of one server. nginx frees what they allocate when the server's timer ends.
local most_exchanges = 100

--- The most milliseconds that a cosocket takes: the servers bound the time of exchanges.
local forever = 2 ^ 31 - 1

--- Methods that may be sent again if a kept connection turns out to be closed. Others get a connection of their own.
local repeatable = { GET = true, HEAD = true }

local Driver = {}
Driver.__index = Driver

--- Drivers created in this worker. Each has connection pools of its own: nginx never resizes a pool.
local drivers = 0

--- @return table url scheme, host, port, path, authority, credentials
local function split(url)
  local scheme, authority, path = url:match "^(%a+)://([^/?#]*)(.*)$"
  local credentials, address = (authority or ""):match "^(.*)@(.*)$"
  address = address or authority or ""
  local host, port = address:match "^(%[[^%]]*%]):?(%d*)$"
  if not host then host, port = address:match "^([^:]+):?(%d*)$" end
  if not host then params.raise("not a URL with a host: " .. url) end
  return {
    scheme = scheme, host = host, port = tonumber(port) or (scheme == "https" and 443 or 80), authority = address,
    path = path:sub(1, 1) == "/" and path or "/" .. path, credentials = credentials,
  }
end

local function proxy_of(url)
  local proxy = split(url)
  if proxy.scheme ~= "http" then params.raise "option 'proxy' must be an http:// URL with the driver resty" end
  if proxy.credentials then proxy.authorization = "Basic " .. ngx.encode_base64(ngx.unescape_uri(proxy.credentials)) end
  return proxy
end

--- @param settings table max_connections, proxy
--- @return retab.Driver
function driver_module.new(settings)
  if settings.ca_file or settings.ca_path then
    params.raise("options 'ca_file' and 'ca_path' do not work with the driver resty: set lua_ssl_trusted_certificate "
      .. "in nginx's configuration, or use driver = \"ngx\"")
  end
  drivers = drivers + 1
  return bind(setmetatable({
    number = drivers, max_connections = settings.max_connections, opened = 0, alarm = phases.alarm(),
    yielded = 0, -- when others had their turn last, as far as a wait here shows
    proxy = settings.proxy and proxy_of(settings.proxy),
    queue = {}, first = 1, last = 0, -- the tickets that wait for their turn
    live = setmetatable({}, { __mode = "k" }), -- the tickets that are not over
    running = 0, -- timers that serve the queue
    idle = {}, -- those of them that wait for a ticket
    starting = {}, -- when the timers were requested that have not begun
  }, Driver))
end

-- ---- one exchange ------------------------------------------------------------------------------------

--- Opens a tunnel through the proxy to the server of a URL.
local function tunnel(socket, proxy, url)
  local target = ("%s:%d"):format(url.host, url.port)
  local ok, err = http1.write(socket, { method = "CONNECT", headers = {} }, target, target, proxy.authorization)
  if not ok then return nil, err end
  local status
  status, err = http1.read_status(socket)
  if not status then return nil, err end
  if status < 200 or status > 299 then
    return nil, { kind = "connection", message = ("the proxy refused the connection: HTTP %d"):format(status) }
  end
  return true
end

--- Does the TLS handshake. Only a certificate that fails to verify is of kind `tls`.
local function handshake(socket, url)
  local ok, problem = socket:sslhandshake(false, url.host:gsub("[%[%]]", ""), true)
  if ok and socket:getreusedtimes() then return true end
  -- nginx 1.22 can return true although it closed the socket, where the certificate is not for the host
  problem = ok and "the certificate is not valid for the host" or tostring(problem)
  if problem == "closed" or problem:find("timeout", 1, true) or problem:find("handshake", 1, true)
    or problem:find("connection", 1, true) then
    return http1.broken(problem == "closed" and "the connection was closed in the TLS handshake" or problem)
  end
  return nil, { kind = "tls", message = problem }
end

--- Connects a socket to the server of a URL, or takes a kept connection.
--- @param is_repeatable boolean a kept connection will do
--- @return boolean|nil, retab.DriverError|nil
function Driver:connect(socket, url, proxy, is_repeatable)
  local peer = proxy or url
  local kind = is_repeatable and "" or " once" -- connections of the second kind are never kept
  local ok, problem = socket:connect(peer.host, peer.port, {
    pool = ("retab %d %s://%s:%d%s%s"):format(self.number, url.scheme, url.host, url.port, proxy and " by proxy" or "",
      kind),
    pool_size = self.max_connections,
  })
  if not ok then return http1.broken(problem) end
  if socket:getreusedtimes() > 0 then return true end
  self.opened = self.opened + 1
  if url.scheme ~= "https" then return true end
  if proxy then
    local err
    ok, err = tunnel(socket, proxy, url)
    if not ok then return nil, err end
  end
  return handshake(socket, url)
end

--- Sends a request on a socket and reads the response.
--- @return table|nil response
--- @return retab.DriverError|boolean reusable
local function converse(socket, request, url, proxy)
  local plain_proxy = url.scheme == "http" and proxy
  local target = plain_proxy and "http://" .. url.authority .. url.path or url.path
  local ok, err = http1.write(socket, request, target, url.authority, plain_proxy and plain_proxy.authorization)
  if not ok then return nil, err end
  return http1.read(socket, request)
end

--- Sends the request of a ticket and returns the response. A kept connection may have been closed by the server: then
--- another one is tried.
--- @return table|nil response
--- @return retab.DriverError|nil
function Driver:exchange(ticket)
  local request, url = ticket.request, split(ticket.request.url)
  local proxy, is_repeatable = not request.direct and self.proxy or nil, repeatable[request.method] or false
  while true do
    local socket = ngx.socket.tcp()
    socket:settimeouts(forever, forever, forever)
    local ok, problem = self:connect(socket, url, proxy, is_repeatable)
    if not ok then
      socket:close()
      return nil, problem
    end
    if ticket.over then -- its caller was told that nothing was sent
      socket:close()
      return nil
    end
    ticket.ends = math.min(ticket.expires, ticket.began + request.timeout)
    ticket.late = "the response was not complete within the timeout"
    ticket.sent = true
    local kept = socket:getreusedtimes() > 0
    local response, reusable = converse(socket, request, url, proxy)
    local keeps = response and reusable and is_repeatable
    if not (keeps and socket:setkeepalive(idle, self.max_connections)) then socket:close() end
    if response then return response end
    local err = reusable
    if not (kept and err.silent and is_repeatable) then return nil, err end
  end
end

-- ---- the queue ---------------------------------------------------------------------------------------

--- Ends a ticket. Only its first end counts.
function Driver:finish(ticket, response, err)
  if ticket.over then return end
  if err then err.sent = ticket.sent or false end -- the server may have seen the request
  ticket.over, ticket.response, ticket.err = true, response, err
  self.live[ticket] = nil
  if ticket.waiter then ticket.waiter:post(1) end
  local server = ticket.server
  if server and server.ticket == ticket then server.changed:post(1) end -- its thread is to be killed
end

function Driver:time_out(ticket, message)
  self:finish(ticket, nil, { kind = "timeout", message = message })
end

--- Returns the next ticket for a server, which waits a while if there is none. Returns nil if the server is to end.
function Driver:next_ticket(server)
  while true do
    while self.first <= self.last do
      local ticket = self.queue[self.first]
      self.queue[self.first], self.first = nil, self.first + 1
      if not ticket.over then return ticket end
    end
    if not server.lingers then return nil end
    self.idle[#self.idle + 1] = server
    server.wanted:wait(linger)
    for index, one in ipairs(self.idle) do
      if one == server then -- no ticket has come
        table.remove(self.idle, index)
        return nil
      end
    end
  end
end

--- Runs exchanges, one after the other, in the light thread of a server.
function Driver:work(server)
  while server.left > 0 do
    local ticket = self:next_ticket(server)
    if not ticket then break end
    local request = ticket.request
    server.left, server.ticket = server.left - 1, ticket
    ticket.server, ticket.began = server, self:now()
    ticket.ends = math.min(ticket.expires, ticket.began + math.min(request.connect_timeout, request.timeout))
    ticket.late = "the server could not be connected within the timeout"
    if ticket.ends < server.looks then server.changed:post(1) end
    local ok, response, err = pcall(self.exchange, self, ticket)
    if not ok then response, err = nil, { kind = "connection", message = tostring(response) } end
    server.ticket = nil
    self:finish(ticket, response, err)
  end
  server.has_ended = true
  server.changed:post(1)
end

--- Returns when the thread that works for a server has ended, or is to be killed: its ticket is over, or too late.
function Driver:supervise(server)
  while not server.has_ended do
    local ticket, now = server.ticket, self:now()
    if ticket and now >= ticket.ends then self:time_out(ticket, ticket.late) end
    if ticket and ticket.over then return end
    server.looks = ticket and math.min(ticket.ends, now + watch) or now + watch
    server.changed:wait(server.looks - now)
  end
end

--- Serves the queue until it is empty.
--- @param lingers boolean true: and for a while after that
function Driver:serve(lingers)
  local server = {
    lingers = lingers, left = most_exchanges, looks = 0, changed = semaphore.new(), wanted = semaphore.new(),
  }
  repeat
    local thread = ngx.thread.spawn(self.work, self, server)
    self:supervise(server)
    ngx.thread.kill(thread)
    server.ticket = nil
  until server.has_ended or server.left == 0
end

--- Has a timer serve the queue, or a light thread where nginx refuses timers: it exits, or has too many. Such a thread
--- is not counted, since it can be killed together with its request.
function Driver:start_server(now)
  local created = ngx.timer.at(0, function()
    table.remove(self.starting, 1)
    self.running = self.running + 1
    self:serve(true)
    self.running = self.running - 1
    if self.first <= self.last then self:start_server(self:now()) end
  end)
  if created then
    self.starting[#self.starting + 1] = now
  else
    ngx.thread.spawn(self.serve, self, false)
  end
end

-- ---- the driver --------------------------------------------------------------------------------------

local function closed_error()
  return { kind = "cancelled", message = "client is closed" }
end

function Driver:send(request)
  phases.check()
  if self.closed then return nil, closed_error() end
  local now = self:now()
  local ticket = { request = request, expires = now + request.expires }
  self.live[ticket] = true
  self.last = self.last + 1
  self.queue[self.last] = ticket
  local server = table.remove(self.idle)
  if server then
    server.wanted:post(1)
  elseif self.running + #self.starting < self.max_connections then
    self:start_server(now)
  end
  return ticket
end

function Driver:await(ticket)
  phases.check()
  if ticket.over then
    if ticket.response and self:now() - self.yielded >= stretch then
      phases.sleep(phases.tick)
      self.yielded = self:now()
    end
    return ticket.response, ticket.err
  end
  ticket.waiter = semaphore.new()
  while not ticket.over do
    ticket.waiter:wait(math.max(0.001, math.min(watch, ticket.expires - self:now())))
    local now = self:now()
    if now >= ticket.expires then self:time_out(ticket, "the response was not complete within the deadline") end
    if self.starting[1] and now - self.starting[1] > watch then -- nginx drops timers past lua_max_running_timers
      table.remove(self.starting, 1)
      ngx.thread.spawn(self.serve, self, false)
    end
  end
  self.yielded = self:now()
  return ticket.response, ticket.err
end

function Driver:cancel(ticket)
  self:finish(ticket, nil, { kind = "cancelled", message = "the request was cancelled" })
end

function Driver:sleep(seconds)
  self.alarm:sleep(seconds)
end

function Driver.now()
  ngx.update_time()
  return ngx.now()
end

function Driver.ready(_, ticket)
  return ticket.over
end

function Driver:connections()
  return self.opened
end

function Driver.spawn(_, ...)
  return phases.spawn(...)
end

--- Ends all tickets. nginx closes the idle connections after a while.
function Driver:close()
  self.closed = true
  self.alarm:ring()
  for ticket in pairs(self.live) do self:finish(ticket, nil, closed_error()) end
end

return driver_module
