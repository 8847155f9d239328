--- Hostile servers. The first part of a path names what the server does. A connection that begins with a TLS handshake
--- is closed in the middle of it.
---
---     scripts/lua VERSION spec/driver/hostile_servers.lua DIRECTORY      writes its URL to DIRECTORY/peers
---
--- The process ends when its first connection does.
local listener = require "spec.listener"
local socket = require "socket"

local function sleep(seconds)
  local ends = socket.gettime() + seconds
  repeat coroutine.yield() until socket.gettime() >= ends
end

--- Returns a page of one run, with the method and the body of the request.
local function page_of(head, body)
  return ('{"data":[{"id":"run_1","method":"%s","body":"%s"}],"list_metadata":{"before":null,"after":null}}'):format(
    head:match "^%u+", body)
end

local head_of_json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

local behaviours = {}

--- Returns a behaviour that sends `first`, and then `text` again and again, with pauses.
local function dripping(first, text)
  return function(peer)
    if not peer:send(first) then return end
    while peer:send(text) do sleep(0.02) end
  end
end

behaviours.header_drips = dripping("HTTP/1.1 200 OK\r\nX-Endless: ", "x")
behaviours.body_drips = dripping(head_of_json .. "Content-Length: 1000000\r\n\r\n", " ")
behaviours.chunk_drips = dripping(head_of_json .. "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n")
behaviours.unsized_drips = dripping(head_of_json .. "\r\n", " ")

--- Returns a behaviour that sends `first`, and then `text` again and again, as fast as it is read.
local function endless(first, text)
  return function(peer)
    if not peer:send(first) then return end
    while peer:send(text) do coroutine.yield() end
  end
end

behaviours.endless_header = endless("HTTP/1.1 200 OK\r\n", ("X-Endless: " .. ("x"):rep(1000) .. "\r\n"):rep(16))
behaviours.endless_line = endless("HTTP/1.1 200 OK\r\nX-Endless: ", ("x"):rep(16384))
behaviours.endless_body = endless(head_of_json .. "Connection: close\r\n\r\n", (" "):rep(16384))

function behaviours.interim(peer, head)
  peer:send "HTTP/1.1 102 Processing\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
  peer:page(page_of(head, ""))
end

--- Responds with the method and the body of the request.
function behaviours.echo(peer, head)
  local length = tonumber(head:lower():match "content%-length: (%d+)") or 0
  peer:page(page_of(head, peer:bytes(length)))
end

--- Responds with the path of the request.
function behaviours.path(peer, head)
  peer:page(head:match "^%u+ (%S+)")
end

local responses = {
  sized = head_of_json .. 'Content-Length: 23\r\n\r\n{"data":[{"id":"run"}]}',
  chunked = head_of_json .. "Transfer-Encoding: chunked\r\n\r\n"
    .. '9\r\n{"data":[\r\n00e;x=1\r\n{"id":"run"}]}\r\n0\r\nX: 1\r\n\r\n',
}

--- /mangled/RESPONSE/HOW/COUNT: a response whose first COUNT bytes are right. Then the connection is closed or reset,
--- nothing more comes, or the next byte is changed.
function behaviours.mangled(peer, head)
  local name, how, count = head:match "^%u+ /mangled/(%l+)/(%l+)/(%d+)"
  local response = responses[name]
  peer:send(response:sub(1, count))
  if how == "closed" or how == "reset" then
    peer.socket:setoption("linger", { on = how == "reset", timeout = 0 })
    peer:close()
  elseif how == "altered" then
    local byte = response:byte(count + 1)
    peer:send(string.char(byte % 2 == 0 and byte + 1 or byte - 1) .. response:sub(count + 2))
  end
end

--- Requests by the name in their path: of `stalls` { requests, closed }, of `together` the number.
local stalled, arrived = {}, {}

--- /stalls/NAME: responds to a list. It never responds to a request for the next page, and counts those whose
--- connections were closed.
function behaviours.stalls(peer, head)
  if not head:find "^%u+ %S+[?&]after=" then
    return peer:page '{"data":[{"id":"run_1"}],"list_metadata":{"before":null,"after":"run_1"}}'
  end
  local name = head:match "^%u+ /stalls/([%w_]+)"
  local seen = stalled[name] or { requests = 0, closed = 0 }
  stalled[name] = seen
  seen.requests = seen.requests + 1
  peer:wait_for_close()
  seen.closed = seen.closed + 1
end

--- /stalls_seen/NAME: responds with what a server of `stalls` has counted.
function behaviours.stalls_seen(peer, head)
  local seen = stalled[head:match "^%u+ /stalls_seen/([%w_]+)"] or { requests = 0, closed = 0 }
  peer:page(('{"requests":%d,"closed":%d}'):format(seen.requests, seen.closed))
end

--- /together/NAME/COUNT: responds to no list before COUNT of them have arrived. The id of its run is the limit.
function behaviours.together(peer, head)
  local name, count = head:match "^%u+ /together/([%w_]+)/(%d+)"
  arrived[name] = (arrived[name] or 0) + 1
  while arrived[name] < tonumber(count) do coroutine.yield() end
  peer:page(('{"data":[{"id":"run_%s"}],"list_metadata":{"before":null,"after":null}}'):format(
    head:match "^%u+ %S+[?&]limit=(%d+)"))
end

-- ---- a server of creations that cuts its connections ------------------------------------------------

--- The listeners, the first of which serves the behaviours.
local listeners = {}

local created = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
  .. '{"id":"run_new"}'

--- Reads a request of which at most so many bytes are wanted.
--- @return string text
--- @return string|nil key the request's Idempotency-Key, if the request is complete
local function read_request(peer, most)
  local text, head, whole = "", nil, math.huge
  while #text < most and #text < whole do
    local byte, problem = peer.socket:receive(1)
    if problem == "timeout" then coroutine.yield() elseif problem then return text end
    text = text .. (byte or "")
    if not head and text:find "\r\n\r\n$" then
      head = text:lower()
      whole = #text + (tonumber(head:match "\r\ncontent%-length: (%d+)") or 0)
    end
  end
  return text, #text == whole and head:match "\r\nidempotency%-key: (%S+)" or nil
end

--- Opens a server that creates a run for each complete request. It cuts its first connection at once, the second one
--- after one byte, the third one after two: bytes of the request first, then of the response.
function behaviours.cuts(peer)
  local keys = {} -- Idempotency-Key -> the number of its runs
  local cuts = listener.open(function(cut, number)
    local text, key = read_request(cut, number - 1)
    if key then
      keys[key] = (keys[key] or 0) + 1
      cut:send(created:sub(1, number - 1 - #text))
      cut.socket:setoption("linger", { on = number % 2 == 0, timeout = 0 }) -- every second one is reset
    end
    cut:close() -- resets the connection if bytes of the request are unread
  end)
  cuts.keys = keys
  listeners[#listeners + 1] = cuts
  peer:page(('{"url":"%s","number":%d}'):format(cuts.url, #listeners))
end

--- Responds with what a server of `cuts` has seen: /cuts_seen/NUMBER.
function behaviours.cuts_seen(peer, head)
  local cuts = listeners[tonumber(head:match "^%u+ /cuts_seen/(%d+)")]
  local keys, most = 0, 0
  for _, count in pairs(cuts.keys) do
    keys, most = keys + 1, math.max(most, count)
  end
  peer:page(('{"connections":%d,"keys":%d,"most":%d}'):format(cuts.accepted, keys, most))
end

--- Serves the requests of a connection.
local function converse(peer)
  local head = peer:head()
  while head do
    local behaviour = behaviours[head:match "^%u+ /([%w_]+)"]
    if behaviour then behaviour(peer, head) end
    head = peer:head()
  end
  peer:close()
end

listeners[1] = listener.open(function(peer, number)
  if number == 1 then
    peer:wait_for_close()
    os.exit(0)
  end
  peer.part = peer:bytes(1)
  if peer.part == "\22" then return peer:close() end -- a TLS handshake
  converse(peer)
end)

local file = assert(io.open(arg[1] .. "/peers.new", "w"))
file:write(listeners[1].url, "\n")
file:close()
os.rename(arg[1] .. "/peers.new", arg[1] .. "/peers")

while true do
  for _, one in ipairs(listeners) do one:poll() end
  socket.select(nil, nil, 0.001)
end
