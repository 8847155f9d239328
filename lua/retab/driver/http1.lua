--- HTTP/1.1 on a connected socket: writes one request and reads one response. It limits memory, and the caller limits
--- time. Of nginx it knows only three methods of a cosocket: `send`, `receive`, `receiveuntil`.
local header_fields = require "retab.headers"

local http1 = {}

--- The most bytes of a response's header, interim responses and trailers included. libcurl has the same limit.
local header_bytes = 256 * 1024

--- The most bytes of the line that begins a chunk.
local chunk_line_bytes = 4096

--- The most hexadecimal digits of a chunk's length: a double holds all integers of so many digits.
local most_digits = 13

--- The number of chunks that are joined at a time. A table of all chunks would need much more memory than the body,
--- where each chunk is a byte.
local joined_chunks = 1024

--- The most bytes that one call of a cosocket reads.
local most_bytes = 2 ^ 31 - 2

--- Statuses whose responses have no body.
local bodiless = { [204] = true, [304] = true }

--- @return nil, retab.DriverError
local function fail(kind, message)
  return nil, { kind = kind, message = message }
end

--- Returns the error for a socket's message.
--- @param problem string
--- @return nil, retab.DriverError
function http1.broken(problem)
  problem = tostring(problem)
  if problem:find("timeout", 1, true) or problem:find("timed out", 1, true) then return fail("timeout", problem) end
  if problem == "closed" then problem = "the server closed the connection before the response was complete" end
  return fail("connection", problem)
end

-- ---- the request -------------------------------------------------------------------------------------

--- Writes a request.
--- @param socket table
--- @param request table method, headers, body
--- @param target string the request target: the path and the query; for a proxy the URL, or host and port
--- @param host string value of the header Host
--- @param proxy_authorization string|nil value of the header Proxy-Authorization
--- @return boolean|nil
--- @return retab.DriverError|nil err with `silent = true`: the server sent nothing
function http1.write(socket, request, target, host, proxy_authorization)
  local lines, body, has_host = {}, request.body, false
  for name, value in pairs(request.headers) do
    local lower = header_fields.lower(name)
    has_host = has_host or lower == "host"
    if lower ~= "content-length" and lower ~= "transfer-encoding" then lines[#lines + 1] = name .. ": " .. value end
  end
  if not has_host then lines[#lines + 1] = "Host: " .. host end
  if proxy_authorization then lines[#lines + 1] = "Proxy-Authorization: " .. proxy_authorization end
  if body or request.method == "POST" then
    lines[#lines + 1] = "Content-Length: " .. #(body or "")
  end
  local sent, problem = socket:send(("%s %s HTTP/1.1\r\n%s\r\n\r\n%s"):format(request.method, target,
    table.concat(lines, "\r\n"), body or ""))
  if not sent then
    local _, err = http1.broken(problem)
    err.silent = true
    return nil, err
  end
  return true
end

-- ---- the header of the response ----------------------------------------------------------------------

--- Reads a line or a header. Its bytes are subtracted from those that the reader may still read of headers.
--- @param read function from socket:receiveuntil(ending)
--- @return string|nil block without the ending
--- @return retab.DriverError|nil
local function read_block(reader, read)
  local room = reader.header_left
  local block, problem = read(room + 1)
  if not block then
    if problem then return http1.broken(problem) end
    return "" -- the block is empty
  end
  if #block > room then return fail("too_large", "the response's header is larger than 256 KiB") end
  reader.header_left = math.max(0, room - #block - 2) -- the ending has at least 2 bytes
  local more
  more, problem = read(1)
  if problem then return http1.broken(problem) end
  return block .. (more or "")
end

--- Reads a status line and headers.
--- @return integer|nil status
--- @return table|retab.DriverError headers, or the error, with `silent = true` if the server sent nothing
--- @return boolean|nil is_reusable false for HTTP/1.0
local function read_head(reader)
  local start, problem, part = reader.socket:receive(5)
  if not start then
    local _, err = http1.broken(problem)
    err.silent = problem ~= "timeout" and (part or "") == ""
    return nil, err
  end
  if start ~= "HTTP/" then return fail("connection", "the response is not HTTP") end
  local block, err = read_block(reader, reader.read_header)
  if not block then return nil, err end
  local version, status, rest = block:match "^(1%.%d) (%d%d%d)[^\r\n]*(.*)$"
  if not version then return fail("connection", "the response's status line is not HTTP/1.1") end
  return tonumber(status), header_fields.parse(rest), version ~= "1.0"
end

-- ---- the body of the response ------------------------------------------------------------------------

local function too_large()
  return fail("too_large", "the response is larger than max_body_bytes allows")
end

local function read_length(reader, length)
  local size = length:match "^%d+$" and tonumber(length)
  if not size then return fail("connection", "the response's Content-Length is not a number: " .. length:sub(1, 80)) end
  if size > reader.max_body_bytes then return too_large() end
  local body, problem = reader.socket:receive(size)
  if not body then return http1.broken(problem) end
  return body
end

local function read_until_closed(reader)
  local body, problem, part = reader.socket:receive(math.min(reader.max_body_bytes + 1, most_bytes))
  if body then return too_large() end
  if problem ~= "closed" then return http1.broken(problem) end
  return part
end

local function read_chunks(reader)
  local socket, read_line = reader.socket, reader.socket:receiveuntil "\r\n"
  local joined, chunks, size = {}, {}, 0
  while true do
    local line, problem = read_line(chunk_line_bytes)
    if not line and problem then return http1.broken(problem) end
    local zeros, digits = (line and #line < chunk_line_bytes and line or ""):match "^(0*)(%x*)"
    if zeros == "" and digits == "" then return fail("connection", "the response's chunks are malformed") end
    read_line(1) -- skips the line's ending
    if digits == "" then break end
    local length = #digits > most_digits and math.huge or tonumber(digits, 16)
    size = size + length
    if size > reader.max_body_bytes then return too_large() end
    local chunk
    chunk, problem = socket:receive(length + 2)
    if not chunk then return http1.broken(problem) end
    if chunk:sub(-2) ~= "\r\n" then return fail("connection", "the response's chunks are malformed") end
    chunks[#chunks + 1] = chunk:sub(1, -3)
    if #chunks == joined_chunks then joined[#joined + 1], chunks = table.concat(chunks), {} end
  end
  repeat -- trailers, up to an empty line
    local line, err = read_block(reader, read_line)
    if not line then return nil, err end
  until line == ""
  return table.concat(joined) .. table.concat(chunks)
end

--- @return string|nil body
--- @return retab.DriverError|nil
--- @return boolean|nil has_closed true if the server closed the connection after the body
local function read_body(reader, status, headers)
  if bodiless[status] then return "" end
  local coding, length = headers["transfer-encoding"], headers["content-length"]
  if coding then
    if coding:lower() ~= "chunked" then
      return fail("connection", "the response has an unknown Transfer-Encoding: " .. coding:sub(1, 80))
    end
    return read_chunks(reader)
  end
  if length then return read_length(reader, length) end
  local body, err = read_until_closed(reader)
  return body, err, true
end

-- ---- the response ------------------------------------------------------------------------------------

--- Reads status line and headers of the final response, and skips interim responses (1xx). Returns as read_head.
local function read_final_head(reader)
  local status, headers, is_reusable
  repeat
    status, headers, is_reusable = read_head(reader)
  until not status or status >= 200
  return status, headers, is_reusable
end

local function new_reader(socket, max_body_bytes)
  return {
    socket = socket, max_body_bytes = max_body_bytes, header_left = header_bytes,
    read_header = socket:receiveuntil "\r\n\r\n",
  }
end

--- Reads the response to CONNECT, which has no body.
--- @return integer|nil status
--- @return retab.DriverError|nil
function http1.read_status(socket)
  local status, err = read_final_head(new_reader(socket, 0))
  if not status then return nil, err end
  return status
end

--- Reads a response.
--- @param socket table
--- @param max_body_bytes integer
--- @return table|nil response { status, headers, body }
--- @return retab.DriverError|boolean is_reusable the error, or true if the connection can be used again
function http1.read(socket, max_body_bytes)
  local reader = new_reader(socket, max_body_bytes)
  local status, headers, is_reusable = read_final_head(reader)
  if not status then return nil, headers end
  local encoding = headers["content-encoding"]
  if encoding and encoding ~= "identity" then
    return fail("decode", ("the response is compressed (%s), which was not requested"):format(encoding:sub(1, 80)))
  end
  local body, err, has_closed = read_body(reader, status, headers)
  if not body then return nil, err end
  local will_close = (headers.connection or ""):lower():find("close", 1, true)
  return { status = status, headers = headers, body = body }, is_reusable and not will_close and not has_closed
end

return http1
