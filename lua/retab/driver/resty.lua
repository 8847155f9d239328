--- The driver of OpenResty on its own cosockets, through lua-resty-http: no libcurl is loaded. Each request is
--- a light thread; who awaits it sleeps on a semaphore. Certificates are those of nginx's
--- `lua_ssl_trusted_certificate`.
local http = require "resty.http"
local params = require "retab.params"
local phases = require "retab.driver.phases"
local semaphore = require "ngx.semaphore"

local driver_module = {}

--- Milliseconds for which an idle connection is kept.
local idle = 60000

--- Calls may queue for a connection as long as their time allows; nginx wants a number.
local backlog = 65536

--- Bytes read at a time.
local chunk_size = 65536

--- Seconds beyond a request's own time after which its light thread counts as killed.
local grace = 1

--- What kind of error a message of a cosocket is.
local function kind_of(problem)
  local text = problem:lower()
  if text:find("timeout", 1, true) or text:find("timed out", 1, true) then return "timeout" end
  if text:find("certificate", 1, true) or text:find("handshake", 1, true) or text:find("ssl", 1, true) then
    return "tls"
  end
  return "connection"
end

local function failed(problem)
  problem = tostring(problem)
  return nil, { kind = kind_of(problem), message = problem }
end

local function split(url)
  local scheme, host, port, path = url:match("^(%a+)://(%[[^%]]*%]):?(%d*)(.*)$")
  if not scheme then scheme, host, port, path = url:match("^(%a+)://([^/:?]*):?(%d*)(.*)$") end
  return scheme, host, tonumber(port) or (scheme == "https" and 443 or 80), path
end

--- @param settings table max_connections, proxy
--- @return retab.Driver
function driver_module.new(settings)
  if settings.ca_file or settings.ca_path then
    params.raise("options 'ca_file' and 'ca_path' are not for the driver resty: set lua_ssl_trusted_certificate in "
      .. "nginx's configuration, or use driver = \"ngx\"")
  end
  local driver = {}
  local connections = 0

  --- The whole exchange, within the request's time.
  local function exchange(request)
    ngx.update_time()
    local ends = ngx.now() + math.min(request.timeout, request.expires or math.huge)
    local client = http.new()
    --- Gives the next operation what is left of the time.
    local function has_time(most)
      ngx.update_time()
      local left = math.floor(math.min(ends - ngx.now(), most or math.huge) * 1000)
      if left > 0 then client:set_timeout(math.min(left, 2 ^ 31 - 1)) end
      return left > 0
    end
    local scheme, host, port, path = split(request.url)
    has_time(request.connect_timeout)
    local ok, problem = client:connect {
      scheme = scheme, host = host, port = port, ssl_verify = true, ssl_server_name = host:gsub("[%[%]]", ""),
      pool_size = settings.max_connections, backlog = backlog,
      proxy_opts = settings.proxy and { http_proxy = settings.proxy, https_proxy = settings.proxy } or nil,
    }
    if not ok then return failed(problem) end
    if client:get_reused_times() == 0 then connections = connections + 1 end
    if not has_time() then return failed "timeout" end
    local answer
    answer, problem = client:request { method = request.method, path = path, headers = request.headers }
    if not answer then return failed(problem) end
    local encoding = answer.headers["Content-Encoding"]
    if encoding and encoding ~= "identity" then
      client:close()
      return nil, { kind = "decode", message = ("the answer is compressed (%s) unasked"):format(encoding) }
    end
    local chunks, size = {}, 0
    while answer.body_reader do
      if not has_time() then return failed "timeout" end
      local chunk
      chunk, problem = answer.body_reader(chunk_size)
      if problem then return failed(problem) end
      if not chunk then break end
      size = size + #chunk
      if size > request.max_body_bytes then
        client:close()
        return nil, { kind = "too_large", message = "the answer is larger than max_body_bytes allows" }
      end
      chunks[#chunks + 1] = chunk
    end
    client:set_keepalive(idle, settings.max_connections)
    return { status = answer.status, headers = answer.headers, body = table.concat(chunks) }
  end

  function driver.send(request)
    phases.check()
    local ticket = { done = semaphore.new(), request = request, since = driver.now() }
    ticket.thread = ngx.thread.spawn(function()
      local ok, answer, err = pcall(exchange, request)
      if not ok then answer, err = failed(answer) end
      if not ticket.over then ticket.over, ticket.answer, ticket.err = true, answer, err end
      ticket.done:post(1)
    end)
    return ticket
  end

  function driver.await(ticket)
    phases.check()
    local ends = ticket.since + math.min(ticket.request.timeout, ticket.request.expires or math.huge) + grace
    while not ticket.over do
      ticket.done:wait(grace)
      if not ticket.over and driver.now() > ends then return failed "timeout" end
    end
    return ticket.answer, ticket.err
  end

  function driver.cancel(ticket)
    if ticket.over then return end
    ticket.over, ticket.err = true, { kind = "cancelled", message = "the request was cancelled" }
    ngx.thread.kill(ticket.thread) -- from another thread than its parent it is refused, and ends by itself
    ticket.done:post(1)
  end

  function driver.sleep(seconds)
    ngx.sleep(seconds)
  end

  function driver.now()
    ngx.update_time()
    return ngx.now()
  end

  function driver.ready(ticket)
    return ticket.over
  end

  function driver.connections()
    return connections
  end

  driver.spawn = phases.spawn

  function driver.close()
    -- idle connections belong to the worker: nginx closes them after a while
  end

  return driver
end

return driver_module
