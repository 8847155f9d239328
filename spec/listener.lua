--- A server in the test's own process, for responses that no proper server sends. A function, the handler, serves each
--- connection. It runs while the driver waits, because the listener wraps the driver.
---
---     local server = listener.open(function(peer)
---       peer:head()
---       peer:send "HTTP/1.1 200 OK\r\n\r\n"
---     end)
---     local client = retab.new { base_url = server.url, driver = server:drive(blocking.new { ... }), ... }
local socket = require "socket"

local listener = {}

--- The longest that a spec waits, in seconds.
local patience = 30

--- Connections that wait to be accepted. Further ones are tried again only after a second.
local backlog = 256

local Peer = {}
Peer.__index = Peer

--- Returns the header of the next request, up to its empty line; nil if the other side has closed.
function Peer:head()
  local lines = {}
  while true do
    local line, problem, part = self.socket:receive("*l", self.part)
    self.part = part
    if line == "" then
      local head = table.concat(lines, "\n")
      table.insert(self.listener.heads, head)
      return head
    elseif line then
      lines[#lines + 1] = line
    elseif problem ~= "timeout" then
      return nil
    else
      coroutine.yield()
    end
  end
end

--- Returns the next `count` bytes; fewer if the other side has closed.
function Peer:bytes(count)
  local received = self.part or ""
  self.part = nil
  while #received < count do
    local bytes, problem, part = self.socket:receive(count - #received)
    received = received .. (bytes or part)
    if problem == "closed" then break end
    if problem then coroutine.yield() end
  end
  return received
end

--- Sends a whole text; returns false if the other side has closed.
function Peer:send(text)
  local at = 1
  while at <= #text do
    local last, problem, reached = self.socket:send(text, at)
    at = (last or reached or at - 1) + 1
    if problem and problem ~= "timeout" then return false end
    if problem then coroutine.yield() end
  end
  return true
end

--- Sends a whole JSON response.
function Peer:page(body)
  body = body or '{"data":[{"id":"run_1"}],"list_metadata":{"before":null,"after":null}}'
  local head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
  return self:send(head:format(#body) .. body)
end

function Peer:close()
  self.socket:close()
  self.listener.peers[self] = nil
end

--- Waits until the other side closes, and closes.
function Peer:wait_for_close()
  repeat
    local _, problem = self.socket:receive(1)
    if problem ~= "closed" then coroutine.yield() end
  until problem == "closed"
  self.listener.closed = self.listener.closed + 1
  self:close()
end

--- Relays bytes to and from a port of this machine, until one side closes.
function Peer:relay(port)
  local other = assert(socket.connect("127.0.0.1", port))
  other:settimeout(0)
  while true do
    for from, to in pairs { [self.socket] = other, [other] = self.socket } do
      local bytes, problem, part = from:receive(65536)
      bytes = bytes or part
      local at = 1
      while at <= #bytes do
        local last, failed, reached = to:send(bytes, at)
        if failed and failed ~= "timeout" then return end
        at = (last or reached) + 1
        if failed then coroutine.yield() end
      end
      if problem == "closed" then
        other:close()
        return
      end
    end
    coroutine.yield()
  end
end

local Listener = {}
Listener.__index = Listener

--- @param handler function|nil called in a coroutine per connection, with the peer and the number of the connection; a
---   connection that it leaves open is closed with the listener. Without a handler, no connection is accepted
--- @return table listener url, port, heads (of the requests, in order), accepted and closed (numbers of connections)
function listener.open(handler)
  local server = assert(socket.bind("127.0.0.1", 0, backlog))
  server:settimeout(0)
  local _, port = server:getsockname()
  return setmetatable({
    server = server, port = tonumber(port), url = "http://127.0.0.1:" .. port,
    handler = handler, heads = {}, accepted = 0, closed = 0,
    threads = {}, -- number of the connection -> the coroutine of its handler, until it ends
    peers = {}, -- the peers that are open, as keys
  }, Listener)
end

--- Starts a handler for a connection.
function Listener:serve(connection)
  connection:settimeout(0)
  self.accepted = self.accepted + 1
  local peer = setmetatable({ socket = connection, listener = self }, Peer)
  local number = self.accepted
  self.peers[peer] = true
  self.threads[number] = coroutine.create(function() self.handler(peer, number) end)
end

--- Accepts the connections that wait, and resumes every handler.
function Listener:poll()
  local connection = self.handler and self.server:accept()
  while connection do
    self:serve(connection)
    connection = self.server:accept()
  end
  for number, thread in pairs(self.threads) do
    assert(coroutine.resume(thread))
    if coroutine.status(thread) == "dead" then self.threads[number] = nil end
  end
end

--- Polls until `done()`.
function Listener:poll_until(done)
  local ends = socket.gettime() + patience
  while not done() do
    self:poll()
    assert(socket.gettime() < ends, "the listener waits too long")
    socket.select(nil, nil, 0.0005)
  end
end

--- Returns the driver, wrapped so that the listener runs while it waits.
function Listener:drive(driver)
  local await, sleep = driver.await, driver.sleep
  function driver.await(ticket)
    self:poll_until(function() return driver.ready(ticket) end)
    return await(ticket)
  end
  function driver.sleep(seconds)
    self:poll()
    return sleep(seconds)
  end
  return driver
end

function Listener:close()
  self.server:close()
  for peer in pairs(self.peers) do peer:close() end
end

--- Returns a URL of this machine to which no connection can be made, since the queue of its server is full.
--- @return string url
--- @return table sockets which keep it full until they are closed
function listener.full()
  local server = assert(socket.tcp())
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(1))
  local _, port = server:getsockname()
  local held, refused = { server }, 0
  while refused < 2 do
    local caller = assert(socket.tcp())
    caller:settimeout(0)
    caller:connect("127.0.0.1", port)
    local _, writable = socket.select(nil, { caller }, 0.05)
    if not writable[1] then refused = refused + 1 end
    held[#held + 1] = caller
    assert(#held < 100, "the queue does not fill")
  end
  return "http://127.0.0.1:" .. port, held
end

--- Returns a URL of this machine where no server listens.
function listener.refusing()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:close()
  return "http://127.0.0.1:" .. port
end

--- Waits until `done` returns true.
function listener.wait_until(done)
  local ends = socket.gettime() + patience
  while not done() do
    assert(socket.gettime() < ends, "this takes too long")
    socket.select(nil, nil, 0.001)
  end
end

return listener
