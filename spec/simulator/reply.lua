-- The ways of putting an answer on the wire, whole and broken. An answer is { status, body, type, headers }: status
-- 200 and type application/json where they are missing, no content type at all where type is empty.

local reply = {}

local REASONS = { [200] = "OK", [400] = "Bad Request", [401] = "Unauthorized", [404] = "Not Found",
  [405] = "Method Not Allowed", [422] = "Unprocessable Entity" }

local function send_header(answer, length)
  ngx.status = answer.status or 200
  local header = ngx.header
  header.content_type = answer.type or "application/json"
  header.content_length = length
  if answer.headers then
    for name, value in pairs(answer.headers) do header[name] = value end
  end
end

function reply.send(answer)
  send_header(answer, #answer.body)
  ngx.print(answer.body)
end

-- `next_piece()` gives text after text, then nil. Without answer.length the body goes out chunked.
function reply.stream(answer, next_piece)
  send_header(answer, answer.length)
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

-- Bytes past nginx's own idea of an answer, then the end of the connection, or first `seconds` of silence, unless the
-- client goes away sooner.
function reply.raw(bytes, seconds)
  if is_http2() then return reply.close() end
  local socket = assert(ngx.req.socket(true))
  socket:send(bytes)
  if seconds then
    socket:settimeout(seconds * 1000)
    socket:receive(1)
  end
end

local function raw_header(answer)
  local status = answer.status or 200
  return string.format("HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
    .. "x-request-id: req_%s\r\nConnection: keep-alive\r\n\r\n", status, REASONS[status] or "",
    ngx.http_time(ngx.time()), answer.type or "application/json", #answer.body, ngx.var.request_id)
end

-- The header announces answer.body, only `part` of it comes.
function reply.partial(answer, part, seconds)
  if not is_http2() then return reply.raw(raw_header(answer) .. part, seconds) end
  send_header(answer, #answer.body)
  ngx.print(part)
  ngx.flush(true)
  if seconds then ngx.sleep(seconds) end
  reply.close()
end

return reply
