-- The ways to send a response, whole and broken. A response is { status, body, type, headers }: status 200 and type
-- application/json if they are missing, no content type at all if the type is empty.

local reply = {}

local REASONS = { [200] = "OK", [201] = "Created", [202] = "Accepted", [400] = "Bad Request", [401] = "Unauthorized",
  [404] = "Not Found", [405] = "Method Not Allowed", [409] = "Conflict", [422] = "Unprocessable Entity" }

local function send_header(response, length)
  ngx.status = response.status or 200
  local header = ngx.header
  header.content_type = response.type or "application/json"
  header.content_length = length
  if response.headers then
    for name, value in pairs(response.headers) do header[name] = value end
  end
end

function reply.send(response)
  send_header(response, #response.body)
  ngx.print(response.body)
end

-- `next_piece()` returns one text after the other, then nil. Without response.length the body is chunked.
function reply.stream(response, next_piece)
  send_header(response, response.length)
  for piece in next_piece do
    ngx.print(piece)
    if not ngx.flush(true) then return end
  end
end

function reply.close()
  ngx.exit(444)
end

local function is_http2()
  return ngx.req.http_version() == 2
end

-- Sends bytes in place of a response of nginx and closes the connection: at once, or after `seconds` of silence, unless
-- the client closes it first.
function reply.raw(bytes, seconds)
  if is_http2() then return reply.close() end
  local socket = assert(ngx.req.socket(true))
  socket:send(bytes)
  if seconds then
    socket:settimeout(seconds * 1000)
    socket:receive(1)
  end
end

local function raw_header(response)
  local status = response.status or 200
  return string.format("HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
    .. "x-request-id: req_%s\r\nConnection: keep-alive\r\n\r\n", status, REASONS[status] or "",
    ngx.http_time(ngx.time()), response.type or "application/json", #response.body, ngx.var.request_id)
end

local function partial_http2(response, bytes, of, seconds)
  if of == "body" then
    send_header(response, #response.body)
    ngx.print(response.body:sub(1, bytes))
    ngx.flush(true)
  end
  if seconds then ngx.sleep(seconds) end
  reply.close()
end

-- Sends the first `bytes` of the body after a header that announces all of it, half of the body by default. With `of`
-- "response" the header counts too; HTTP/2 sends nothing at all then.
function reply.partial(response, bytes, of, seconds)
  bytes = bytes or math.floor(#response.body / 2)
  if is_http2() then return partial_http2(response, bytes, of, seconds) end
  local header = raw_header(response)
  local text = of == "response" and (header .. response.body):sub(1, bytes) or header .. response.body:sub(1, bytes)
  reply.raw(text, seconds)
end

return reply
