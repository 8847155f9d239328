--- The driver of nginx on its own cosockets: it does not load libcurl. Requests wait in a queue for consumers. A
--- consumer is a timer that does one exchange after another: it sends a request and reads the response, while the
--- caller waits on a semaphore. So an exchange goes on when the client of the caller's own request goes away, and a
--- prefetched page does not keep a finished request open. There are at most max_connections consumers.
---
--- A consumer does its exchanges in a light thread, and kills the thread when an exchange is cancelled or late, because
--- a cosocket's own timeouts limit each read and not the whole exchange.
local bind = require "retab.driver.bind"
local http1 = require "retab.driver.http1"
local light_thread = require "retab.driver.light_thread"
local params = require "retab.params"
local semaphore = require "ngx.semaphore"
local task = require "retab.task"

--- Milliseconds for which an idle connection is kept.
local keepalive = 60000

--- Seconds between two looks of a waiting thread at the time and at the timers.
local watch = 1

--- Seconds for which a consumer waits for another ticket before it ends: a new timer costs more than the wait.
local linger = 0.1

--- The most exchanges of one consumer. nginx frees their memory when the consumer's timer ends.
local most_exchanges = 100

--- Milliseconds: the longest timeout of a cosocket. The consumers limit the time of exchanges.
local forever = 2 ^ 31 - 1

local Driver = {}
Driver.__index = Driver

--- The number of drivers created in this worker. Each has connection pools of its own, because the size of a pool
--- never changes.
local drivers = 0

--- @return table url scheme, host, port, authority (host and port as written), path (with the query), credentials
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

-- ---- one exchange ------------------------------------------------------------------------------------

--- Opens a tunnel through the proxy to the host of a URL.
local function open_tunnel(socket, proxy, url)
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

--- Does the TLS handshake. The error is of kind `tls` only if the certificate does not verify.
local function handshake(socket, url)
  local ok, problem = socket:sslhandshake(false, url.host:gsub("[%[%]]", ""), true)
  if ok and socket:getreusedtimes() then return true end
  -- if the certificate is for another host, nginx 1.22 can return true although it has closed the socket
  problem = ok and "the certificate is not valid for the host" or tostring(problem)
  if problem == "closed" or problem:find("timeout", 1, true) or problem:find("handshake", 1, true)
    or problem:find("connection", 1, true) then
    return http1.broken(problem == "closed" and "the connection was closed in the TLS handshake" or problem)
  end
  return nil, { kind = "tls", message = problem }
end

--- Connects a socket to the host of a URL, or takes a kept connection.
--- @param may_reuse boolean false: the connection must be new
--- @return boolean|nil, retab.DriverError|nil
function Driver:connect(socket, url, proxy, may_reuse)
  local peer = proxy or url
  local ok, problem = socket:connect(peer.host, peer.port, {
    pool = ("retab %d %s://%s:%d%s%s"):format(self.number, url.scheme, url.host, url.port, proxy and " by proxy" or "",
      may_reuse and "" or " once"), -- no connection is ever kept in a pool whose name ends in "once"
    pool_size = self.max_connections,
  })
  if not ok then return http1.broken(problem) end
  if socket:getreusedtimes() > 0 then return true end
  self.opened = self.opened + 1
  if url.scheme ~= "https" then return true end
  if proxy then
    local err
    ok, err = open_tunnel(socket, proxy, url)
    if not ok then return nil, err end
  end
  return handshake(socket, url)
end

--- Sends a request on a connected socket and reads the response.
--- @return table|nil response
--- @return retab.DriverError|boolean is_reusable
local function converse(socket, request, url, proxy)
  local target, authorization = url.path, nil
  if proxy and url.scheme == "http" then -- there is no tunnel: the proxy needs the whole URL
    target, authorization = "http://" .. url.authority .. url.path, proxy.authorization
  end
  local ok, err = http1.write(socket, request, target, url.authority, authorization)
  if not ok then return nil, err end
  return http1.read(socket, request.max_body_bytes)
end

--- Sends the request of a ticket and returns the response. A GET may use a kept connection; if the server has closed
--- it, the GET is sent on another connection.
--- @return table|nil response
--- @return retab.DriverError|nil
function Driver:exchange(ticket)
  local request, url = ticket.request, split(ticket.request.url)
  local proxy, may_reuse = not request.direct and self.proxy or nil, request.method == "GET"
  while true do
    local socket = ngx.socket.tcp()
    socket:settimeouts(forever, forever, forever)
    local ok, err = self:connect(socket, url, proxy, may_reuse)
    if not ok then
      socket:close()
      return nil, err
    end
    if ticket.over then -- its caller was told that nothing was sent
      socket:close()
      return nil
    end
    ticket.ends = math.min(ticket.expires, ticket.began + request.timeout)
    ticket.late = "the response was not complete within the timeout"
    ticket.sent = true
    local was_kept = may_reuse and socket:getreusedtimes() > 0
    local response, result = converse(socket, request, url, proxy)
    local is_reusable = response and result and may_reuse
    if not (is_reusable and socket:setkeepalive(keepalive, self.max_connections)) then socket:close() end
    if response then return response end
    if not (was_kept and result.silent) then return nil, result end
  end
end

-- ---- the queue ---------------------------------------------------------------------------------------
-- A ticket has `request` and `expires`, the time at which it is late if it still waits for a consumer. Its exchange
-- adds `consumer`, `began`, `ends` (the time at which it is late), `late` (the message then) and `sent`; its end adds
-- `over`, and `response` or `err`. `waiter` is the semaphore of the thread that awaits it.

--- Ends a ticket. It does nothing to a ticket that has ended.
function Driver:finish(ticket, response, err)
  if ticket.over then return end
  if err then err.sent = ticket.sent or false end -- the server may have seen the request
  ticket.over, ticket.response, ticket.err = true, response, err
  self.live[ticket] = nil
  if ticket.waiter then ticket.waiter:post(1) end
  local consumer = ticket.consumer
  if consumer and consumer.ticket == ticket then consumer.changed:post(1) end -- it kills its thread
end

function Driver:time_out(ticket, message)
  self:finish(ticket, nil, { kind = "timeout", message = message })
end

--- Returns the next ticket for a consumer, or nil if there is none. A consumer that lingers waits for one.
function Driver:next_ticket(consumer)
  while true do
    while self.first <= self.last do
      local ticket = self.queue[self.first]
      self.queue[self.first], self.first = nil, self.first + 1
      if not ticket.over then return ticket end
    end
    if not consumer.lingers then return nil end
    self.idle[#self.idle + 1] = consumer
    consumer.wanted:wait(linger)
    for index, one in ipairs(self.idle) do
      if one == consumer then -- it was not wanted
        table.remove(self.idle, index)
        return nil
      end
    end
  end
end

--- Does exchanges, one after the other, in the light thread of a consumer.
function Driver:work(consumer)
  while consumer.left > 0 do
    local ticket = self:next_ticket(consumer)
    if not ticket then break end
    local request = ticket.request
    consumer.left, consumer.ticket = consumer.left - 1, ticket
    ticket.consumer, ticket.began = consumer, self.now()
    ticket.ends = math.min(ticket.expires, ticket.began + math.min(request.connect_timeout, request.timeout))
    ticket.late = "could not connect to the server within the timeout"
    if ticket.ends < consumer.looks then consumer.changed:post(1) end
    local ok, response, err = pcall(self.exchange, self, ticket)
    if not ok then response, err = nil, { kind = "connection", message = tostring(response) } end
    consumer.ticket = nil
    self:finish(ticket, response, err)
  end
  consumer.has_ended = true
  consumer.changed:post(1)
end

--- Returns when the thread of a consumer has ended, or when it is to be killed: its ticket is over, or late.
function Driver:supervise(consumer)
  while not consumer.has_ended do
    local ticket, now = consumer.ticket, self.now()
    if ticket and now >= ticket.ends then self:time_out(ticket, ticket.late) end
    if ticket and ticket.over then return end
    consumer.looks = ticket and math.min(ticket.ends, now + watch) or now + watch
    consumer.changed:wait(consumer.looks - now)
  end
end

--- Runs a consumer until the queue is empty, or until it has done its number of exchanges.
--- @param lingers boolean true: it waits a while for further tickets
function Driver:consume(lingers)
  local consumer = {
    lingers = lingers,
    left = most_exchanges,
    ticket = nil, -- whose exchange is under way
    looks = 0, -- when `supervise` looks next
    changed = semaphore.new(), -- posted when `supervise` has to look
    wanted = semaphore.new(), -- posted when there is a ticket for an idle consumer
  }
  repeat
    local thread = ngx.thread.spawn(self.work, self, consumer)
    self:supervise(consumer)
    ngx.thread.kill(thread)
    consumer.ticket = nil
  until consumer.has_ended or consumer.left == 0
end

--- Starts a consumer in a timer. If nginx refuses the timer (it exits, or has too many), a light thread of the caller's
--- request consumes the queue. Such a thread is not counted, because nothing tells when nginx kills it with its
--- request: there can be more connections than max_connections.
function Driver:start_consumer()
  local created = ngx.timer.at(0, function()
    table.remove(self.starting, 1)
    self.running = self.running + 1
    self:consume(true)
    self.running = self.running - 1
    if self.first <= self.last then self:start_consumer() end
  end)
  if created then
    self.starting[#self.starting + 1] = self.now()
  else
    ngx.thread.spawn(self.consume, self, false)
  end
end

-- ---- the driver --------------------------------------------------------------------------------------

function Driver:send(request)
  light_thread.check_phase()
  if self.closed then return nil, task.closed(false) end
  local ticket = { request = request, expires = self.now() + request.expires }
  self.live[ticket] = true
  self.last = self.last + 1
  self.queue[self.last] = ticket
  local consumer = table.remove(self.idle)
  if consumer then
    consumer.wanted:post(1)
  elseif self.running + #self.starting < self.max_connections then
    self:start_consumer()
  end
  return ticket
end

function Driver:await(ticket)
  light_thread.check_phase()
  if ticket.response then light_thread.give_way() end
  ticket.waiter = semaphore.new()
  while not ticket.over do
    light_thread.wait(ticket.waiter, math.min(watch, ticket.expires - self.now()))
    local now = self.now()
    if now >= ticket.expires then self:time_out(ticket, "the response was not complete within the deadline") end
    if self.starting[1] and now - self.starting[1] > watch then -- nginx drops timers past lua_max_running_timers
      table.remove(self.starting, 1)
      ngx.thread.spawn(self.consume, self, false)
    end
  end
  return ticket.response, ticket.err
end

function Driver:cancel(ticket)
  self:finish(ticket, nil, { kind = "cancelled", message = "the request was cancelled" })
end

function Driver:sleep(seconds)
  self.alarm:sleep(seconds)
end

Driver.now = light_thread.now

function Driver.ready(_, ticket)
  return ticket.over
end

function Driver:connections()
  return self.opened
end

function Driver.spawn(_, ...)
  return light_thread.spawn(...)
end

--- Ends all tickets. nginx closes the idle connections after a while.
function Driver:close()
  self.closed = true
  self.alarm:ring()
  for ticket in pairs(self.live) do self:finish(ticket, nil, task.closed()) end
end

--- @param settings table max_connections, proxy
--- @return retab.Driver
local function new(settings)
  if settings.ca_file or settings.ca_path then
    params.raise("options 'ca_file' and 'ca_path' do not work with the driver resty: set lua_ssl_trusted_certificate "
      .. "in nginx's configuration, or use driver = \"ngx\"")
  end
  drivers = drivers + 1
  return bind(setmetatable({
    number = drivers,
    max_connections = settings.max_connections,
    proxy = settings.proxy and proxy_of(settings.proxy),
    alarm = light_thread.alarm(),
    opened = 0, -- connections
    queue = {}, first = 1, last = 0, -- tickets that wait for a consumer
    live = setmetatable({}, { __mode = "k" }), -- tickets that are not over
    running = 0, -- the number of consumers in timers
    idle = {}, -- those of them that wait for a ticket
    starting = {}, -- when the timers were requested that have not begun
  }, Driver))
end

return { new = new }
