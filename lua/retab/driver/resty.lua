--- The driver of OpenResty on its own cosockets, through lua-resty-http: no libcurl is loaded. Who awaits a
--- request sleeps on a semaphore. The exchanges run in timers, as many at once as there may be connections: so they
--- outlive the request of a client that goes away, and keep none open that is done. (nginx's own queue for the
--- connections of a pool would do, but it hands them on one at a time.) Certificates are those of nginx's
--- `lua_ssl_trusted_certificate`.
local http = require "resty.http"
local params = require "retab.params"
local phases = require "retab.driver.phases"
local semaphore = require "ngx.semaphore"

local driver_module = {}

--- Milliseconds for which an idle connection is kept.
local idle = 60000

--- Bytes read at a time.
local chunk_size = 65536

--- Seconds for which a thread sleeps at most before it looks around.
local watch = 1

--- The most milliseconds that nginx takes.
local forever = 2 ^ 31 - 1

--- Drivers made in this worker so far: each has pools of its own, since a pool stays as large as its first user
--- made it.
local drivers = 0

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
  drivers = drivers + 1
  local driver = {}
  local number = drivers
  local connections = 0
  local queue, first, last = {}, 1, 0 -- tickets that wait for their turn
  local running = 0 -- threads that serve the queue
  local starting = {} -- when timers were asked for that have not begun to

  --- The whole exchange, within the request's time.
  local function exchange(request, expires)
    local ends = math.min(expires, driver.now() + request.timeout)
    local client = http.new()
    --- Gives the next operation what is left of the time.
    local function has_time(most)
      local left = math.floor(math.min(ends - driver.now(), most or math.huge) * 1000)
      if left > 0 then client:set_timeout(math.min(left, forever)) end
      return left > 0
    end
    local scheme, host, port, path = split(request.url)
    if not has_time(request.connect_timeout) then return failed "timeout" end
    local ok, problem = client:connect {
      scheme = scheme, host = host, port = port, ssl_verify = true, ssl_server_name = host:gsub("[%[%]]", ""),
      pool = ("retab %d %s://%s:%d"):format(number, scheme, host, port), pool_size = settings.max_connections,
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

  --- The first end of a request is the one that counts.
  local function finish(ticket, answer, err)
    if ticket.over then return end
    ticket.over, ticket.answer, ticket.err = true, answer, err
    ticket.done:post(1)
    ticket.ended:post(1)
  end

  --- Serves the queue until it is empty. A thread can be killed by its parent only: each exchange has one of its own.
  local function serve()
    running = running + 1
    while first <= last do
      local ticket = queue[first]
      queue[first], first = nil, first + 1
      if not ticket.over then
        local thread = ngx.thread.spawn(function()
          local ok, answer, err = pcall(exchange, ticket.request, ticket.expires)
          if not ok then answer, err = failed(answer) end
          finish(ticket, answer, err)
        end)
        while not ticket.over do ticket.ended:wait(watch) end
        ngx.thread.kill(thread) -- it ended, or was cancelled
      end
    end
    running = running - 1
  end

  local function serve_in_timer()
    table.remove(starting, 1)
    serve()
  end

  function driver.send(request)
    phases.check()
    local now = driver.now()
    local ticket = {
      request = request, expires = now + request.expires, done = semaphore.new(), ended = semaphore.new(),
    }
    last = last + 1
    queue[last] = ticket
    if running + #starting < settings.max_connections then
      if ngx.timer.at(0, serve_in_timer) then
        starting[#starting + 1] = now
      else -- the worker is about to exit, or has too many
        ngx.thread.spawn(serve)
      end
    end
    return ticket
  end

  function driver.await(ticket)
    phases.check()
    while not ticket.over do
      ticket.done:wait(math.max(0.001, math.min(watch, ticket.expires - driver.now())))
      local now = driver.now()
      if now >= ticket.expires then finish(ticket, failed "timeout") end
      if starting[1] and now - starting[1] > watch then -- nginx drops a timer where lua_max_running_timers run
        table.remove(starting, 1)
        ngx.thread.spawn(serve)
      end
    end
    return ticket.answer, ticket.err
  end

  function driver.cancel(ticket)
    finish(ticket, nil, { kind = "cancelled", message = "the request was cancelled" })
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
