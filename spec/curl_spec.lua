--- retab.curl as the drivers use it: pools and transfers.
local curl = require "retab.curl"
local garbage = require "spec.garbage"
local interpreter = require "spec.interpreter"
local listener = require "spec.listener"
local simulator = require "spec.simulator"
local socket = require "socket"
local task = require "retab.task"

local server = simulator.shared()
local jit = rawget(_G, "jit")

local function request(url, more)
  local fields = {
    url = url, headers = {}, timeout = 20, connect_timeout = 20, expires = 20, max_body_bytes = 1e6,
  }
  for name, value in pairs(more or {}) do fields[name] = value end
  return fields
end

--- The URL of a list of the simulator, in such a scenario.
local function list_url(conditions, scheme)
  return (server:scenario(conditions or { runs = 3 }, scheme)) .. "/v1/workflows/experiments/runs"
end

local key = { ["Api-Key"] = "sk_test_of_curl" }

local function finish(pool, transfer)
  while not transfer:done() do pool:wait(1) end
  return transfer:result()
end

--- Sends one request to a listener, and returns the result, and the listener.
local function exchange(handler, more, scheme)
  local peer = listener.open(handler)
  local pool = curl.pool { max_connections = 1 }
  local transfer = assert(pool:send(request((peer.url:gsub("^http", scheme or "http")), more)))
  peer:poll_until(function()
    pool:step()
    return transfer:done()
  end)
  local response, err = transfer:result()
  peer:close()
  pool:close()
  return response, err, peer
end

--- What socket.select takes for the descriptor of a pool.
local function selectable(pool)
  return { { getfd = function() return pool:descriptor() end, dirty = function() return false end } }
end

--- One turn of an event loop that has a pool with `events`.
local function turn(pool)
  socket.select(selectable(pool), nil, pool:timeout() or 0)
  pool:step()
end

--- Works for so many seconds, without a look at any pool.
local function work(seconds)
  local ends = curl.clock() + seconds
  repeat until curl.clock() >= ends
end

describe("a request", function()
  local function head_of(more)
    local _, _, peer = exchange(function(peer)
      peer:head()
      peer:page()
    end, more)
    return peer.heads[1] .. "\n"
  end

  it("is a GET by default", function()
    local head = head_of {}
    assert.equal("GET / HTTP/1.1", head:match "^[^\r\n]+")
    assert.is_nil(head:find("Content-Length", 1, true))
  end)

  it("sends its body with NUL bytes, and only the given headers", function()
    local body, received = "a\0b" .. ("x"):rep(3000000), nil
    local response, _, peer = exchange(function(peer)
      peer:head()
      received = peer:bytes(#body)
      peer:page()
    end, { method = "POST", body = body, headers = { ["Content-Type"] = "application/json" } })
    assert.equal(200, response.status)
    assert.is_true(received == body)
    local head = peer.heads[1]
    assert.equal("POST / HTTP/1.1", head:match "^[^\r\n]+")
    assert.is_truthy(head:find("Content-Length: 3000003", 1, true))
    assert.is_truthy(head:find("Content-Type: application/json", 1, true))
    assert.equal(1, select(2, head:gsub("Content%-Type", "")))
    assert.is_nil(head:find("Expect", 1, true))
  end)

  it("sends a POST without a body and without headers that were not given", function()
    local _, _, peer = exchange(function(peer)
      peer:head()
      peer:page()
    end, { method = "POST", headers = {} })
    local head = peer.heads[1]
    assert.is_truthy(head:find("Content-Length: 0", 1, true))
    assert.is_nil(head:find("Content-Type", 1, true))
    assert.is_nil(head:find("Expect", 1, true))
  end)

  it("has a length of 0 if it is a POST without a body", function()
    local head = head_of { method = "POST" }
    assert.equal("POST / HTTP/1.1", head:match "^[^\r\n]+")
    assert.is_truthy(head:find("Content-Length: 0", 1, true))
    assert.is_nil(head:find("Content-Type", 1, true))
  end)

  it("can have any other method", function()
    assert.equal("DELETE / HTTP/1.1", head_of({ method = "DELETE" }):match "^[^\r\n]+")
  end)

  it("is not sent twice if it has a body and the connection turns out to be closed", function()
    local peer = listener.open(function(peer, number)
      peer:head()
      if number == 1 then
        peer:page()
        peer:head() -- a second request on this connection would be sent again after the close
        peer:close()
      else
        peer:page()
      end
    end)
    local pool = curl.pool { max_connections = 1 }
    for _, method in ipairs { "GET", "POST" } do
      local transfer = assert(pool:send(request(peer.url, { method = method })))
      peer:poll_until(function()
        pool:step()
        return transfer:done()
      end)
      assert.equal(200, assert(transfer:result()).status)
    end
    assert.equal(2, peer.accepted)
    assert.equal(2, #peer.heads)
    peer:close()
    pool:close()
  end)

  it("fails with kind connection if libcurl refuses it", function()
    local pool = curl.pool { max_connections = 1 }
    local transfer, err = pool:send(request("http://127.0.0.1/" .. ("x"):rep(8100000)))
    assert.is_nil(transfer)
    assert.equal("connection", err.kind)
    assert.is_truthy(err.message:find("the URL is too long", 1, true))
    assert.is_nil(pool:timeout())
    assert.equal(200, assert(finish(pool, assert(pool:send(request(list_url(), { headers = key }))))).status)
    pool:close()
  end)

  it("raises an error that names a wrong field", function()
    local pool = curl.pool { max_connections = 1 }
    for _, name in ipairs { "url", "headers", "timeout", "connect_timeout", "expires", "max_body_bytes", "body",
      "method" } do
      local ok, message = pcall(pool.send, pool, request("http://127.0.0.1/", { [name] = true }))
      assert.is_false(ok)
      assert.is_truthy(message:find(("'%s'"):format(name), 1, true), message)
    end
    assert.is_nil(pool:timeout())
  end)

  it("uses no proxy if it is direct", function()
    local refusing = listener.refusing()
    local script = ([[
      local curl = require "retab.curl"
      local pool = curl.pool { max_connections = 1 }
      for _, direct in ipairs { false, true } do
        local transfer = pool:send { url = %q, headers = { ["Api-Key"] = "k" }, timeout = 20, connect_timeout = 20,
          expires = 20, max_body_bytes = 1e6, direct = direct }
        while not transfer:done() do pool:wait(1) end
        local response, err = transfer:result()
        print(response and response.status or err.kind)
      end
    ]]):format(list_url())
    local environment = { http_proxy = refusing, all_proxy = refusing, no_proxy = false, NO_PROXY = false }
    assert.equal("connection\n200\n", (interpreter.run(script, environment)))
    local pool = curl.pool { max_connections = 1, proxy = refusing }
    assert.equal(200, assert(finish(pool, pool:send(request(list_url(), { headers = key, direct = true })))).status)
  end)
end)

describe("a response", function()
  it("has the lines of its header as they were sent, without the status line and interim responses", function()
    local response = assert(exchange(function(peer)
      peer:head()
      peer:send "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
      peer:send "HTTP/1.1 200 OK\r\nX-Many: a\r\nx-many:b\r\nContent-Length: 0\r\n\r\n"
    end))
    assert.equal("X-Many: a\r\nx-many:b\r\nContent-Length: 0\r\n", response.headers)
  end)

  it("has no trailers among the lines of its header", function()
    local response = assert(exchange(function(peer)
      peer:head()
      peer:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Type: text/html\r\n\r\n"
    end))
    assert.equal("{}", response.body)
    assert.equal("Transfer-Encoding: chunked\r\n", response.headers)
  end)

  it("has a header of 256 KiB at most, interim responses included", function()
    local line = "X-Long: " .. ("y"):rep(8182) .. "\r\n" -- 8 KiB
    local function endless(peer, text)
      peer:head()
      repeat until not peer:send(text)
    end
    local ways = {
      function(peer) endless(peer, "HTTP/1.1 103 Early Hints\r\n" .. line .. "\r\n") end,
      function(peer)
        peer:head()
        peer:send "HTTP/1.1 200 OK\r\n"
        repeat until not peer:send(line)
      end,
      function(peer)
        peer:head()
        peer:send "HTTP/1.1 200 OK\r\nX-Long: "
        repeat until not peer:send(line:sub(1, -3))
      end,
    }
    for index, way in ipairs(ways) do
      local response, err = exchange(way)
      assert.is_nil(response)
      assert.equal("too_large", err.kind, index)
    end
    assert(exchange(function(peer)
      peer:head()
      peer:send("HTTP/1.1 200 OK\r\n" .. line:rep(31) .. "Content-Length: 0\r\n\r\n")
    end))
  end)

  it("is an error of kind connection if it ends inside its header", function()
    for _, text in ipairs { "", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Type: app",
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n" } do
      local response, err = exchange(function(peer)
        peer:head()
        peer:send(text)
        peer:close()
      end)
      assert.is_nil(response)
      assert.equal("connection", err.kind, text)
    end
  end)
end)

describe("a TLS handshake", function()
  --- Reads a client's first message, and answers with these bytes and the end of the connection.
  local function refusal(bytes, linger)
    return function(peer)
      local length = peer:bytes(5)
      peer:bytes(length:byte(4) * 256 + length:byte(5))
      peer:send(bytes)
      if linger then peer.socket:setoption("linger", { on = true, timeout = 0 }) end
      peer:close()
    end
  end

  it("fails with kind connection if the server closes the connection", function()
    local ways = {
      fin = refusal "", reset = refusal("", true),
      ["close_notify alert"] = refusal "\21\3\3\0\2\1\0", ["internal_error alert"] = refusal "\21\3\3\0\2\2\80",
      ["half a message"] = refusal "\22\3\3\0\122\2\0\0", ["no TLS"] = refusal "HTTP/1.1 400 Bad Request\r\n\r\n",
    }
    for name, way in pairs(ways) do
      local response, err = exchange(way, {}, "https")
      assert.is_nil(response)
      assert.equal("connection", err.kind, name)
    end
  end)

  it("fails with kind tls if the server asks for a client certificate", function()
    for _, version in ipairs { "tls1_3", "tls1_2" } do
      local command = "unset LD_PRELOAD; cd %s && exec openssl s_server -quiet -no_ign_eof -accept 127.0.0.1:%d"
        .. " -cert server.crt -key server.key -Verify 1 -%s -naccept 1 </dev/null >/dev/null 2>&1 &"
      local url = listener.refusing()
      os.execute(command:format(server.directory, url:match "%d+$", version))
      local pool = curl.pool { max_connections = 1, ca_file = server.ca_file }
      local response, err
      listener.wait_until(function() -- until the server listens
        response, err = finish(pool, pool:send(request((url:gsub("^http", "https")))))
        return response or not err.message:find("connect to", 1, true)
      end)
      assert.is_nil(response)
      assert.equal("tls", err.kind, err.message)
      assert.is_truthy(err.message:find("client certificate", 1, true))
      pool:close()
    end
  end)
end)

describe("the authorities that are trusted", function()
  local directory, remove

  setup(function()
    directory, remove = interpreter.directory()
    local trusted = "unset LD_PRELOAD; cd %s && mkdir trusted other && cp %s trusted/ca.pem && openssl rehash trusted"
    os.execute(trusted:format(directory, server.ca_file))
    os.execute(("unset LD_PRELOAD; cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
      .. " -keyout key.pem -out other.pem -days 2 -subj /CN=other 2>/dev/null && cp other.pem other/ && openssl rehash"
      .. " other"):format(directory))
  end)
  teardown(function() remove() end)

  --- The status or kind of error of a request over TLS in a child, whose libcurl trusts the simulator by default, as
  --- far as the environment can say so. `later` is run when the pool is created.
  local function try(options, environment, later)
    environment = environment or {}
    for _, name in ipairs { "SSL_CERT_FILE", "SSL_CERT_DIR" } do
      environment[name] = environment[name] and directory .. "/" .. environment[name] or false
    end
    local script = ([[
      local curl = require "retab.curl"
      local pool = curl.pool { max_connections = 1, %s }
      %s
      local transfer = pool:send { url = %q, headers = { ["Api-Key"] = "k" }, timeout = 20, connect_timeout = 20,
        expires = 20, max_body_bytes = 1e6, direct = true }
      while not transfer:done() do pool:wait(1) end
      local response, err = transfer:result()
      io.write(response and response.status or err.kind)
    ]]):format((options:gsub("DIR", directory)), later or "", list_url({ runs = 1 }, "tls"))
    return (interpreter.run(script, environment))
  end

  it("are those of the file alone if there is a file", function()
    assert.equal("200", try("ca_file = 'DIR/trusted/ca.pem'"))
    assert.equal("tls", try("ca_file = 'DIR/other.pem'"))
    assert.equal("tls", try("ca_file = 'DIR/other.pem'", { SSL_CERT_DIR = "trusted" }))
  end)

  it("are those of the directory alone if there is a directory", function()
    assert.equal("200", try("ca_path = 'DIR/trusted'"))
    assert.equal("tls", try("ca_path = 'DIR/other'"))
    assert.equal("tls", try("ca_path = 'DIR/other'", { SSL_CERT_FILE = "trusted/ca.pem" }))
  end)

  it("are those of both if there are both", function()
    assert.equal("200", try("ca_file = 'DIR/other.pem', ca_path = 'DIR/trusted'"))
    assert.equal("200", try("ca_file = 'DIR/trusted/ca.pem', ca_path = 'DIR/other'"))
  end)

  it("are those of the environment if nothing else is given", function()
    assert.equal("200", try("", { SSL_CERT_FILE = "trusted/ca.pem" }))
    assert.equal("200", try("", { SSL_CERT_DIR = "trusted" }))
    assert.equal("tls", try("", { SSL_CERT_FILE = "other.pem" }))
    assert.equal("tls", try("", {}))
  end)

  it("are those of the environment when the pool was created", function()
    if not jit then return pending "only LuaJIT can change the environment" end
    local change = [[
      require("ffi").cdef "int setenv(const char *, const char *, int);"
      require("ffi").C.setenv("SSL_CERT_FILE", "/nowhere", 1)
    ]]
    assert.equal("200", try("", { SSL_CERT_FILE = "trusted/ca.pem" }, change))
  end)
end)

describe("the time in which the caller has control", function()
  it("counts against no timeout of a pool that waits", function()
    for _, scheme in ipairs { "http", "tls" } do
      local pool = curl.pool { max_connections = 1, ca_file = server.ca_file }
      local url = list_url({ runs = 1 }, scheme)
      local transfer = pool:send(request(url, { headers = key, timeout = 0.5, connect_timeout = 0.5 }))
      work(0.7)
      pool:step()
      work(0.7)
      local response, err = finish(pool, transfer)
      assert.equal(200, response and response.status, err and err.message)
      pool:close()
    end
  end)

  it("counts against no timeout of a pool in an event loop", function()
    for _, scheme in ipairs { "http", "tls" } do
      local pool = curl.pool { max_connections = 1, ca_file = server.ca_file, events = true }
      local url = list_url({ runs = 1 }, scheme)
      local transfer = pool:send(request(url, { headers = key, timeout = 0.5, connect_timeout = 0.5 }))
      for _ = 1, 2 do
        pool:timeout()
        work(0.7)
        turn(pool)
      end
      while not transfer:done() do turn(pool) end
      local response, err = transfer:result()
      assert.equal(200, response and response.status, err and err.message)
      pool:close()
    end
  end)

  it("counts against the deadline of the call", function()
    local silent = listener.open()
    local pool = curl.pool { max_connections = 1 }
    local transfer = pool:send(request(silent.url, { expires = 0.1 }))
    work(0.15)
    pool:step()
    assert.is_true(transfer:done())
    local _, err = transfer:result()
    assert.equal("timeout", err.kind)
    silent:close()
  end)
end)

describe("a timeout in an event loop", function()
  local function outcome(more, url)
    local pool = curl.pool { max_connections = 1, events = true }
    local transfer = pool:send(request(url, more))
    while not transfer:done() do turn(pool) end
    local response, err = transfer:result()
    pool:close()
    return response, err
  end

  it("ends a request to a silent server", function()
    local silent = listener.open()
    local _, err = outcome({ timeout = 0.2 }, silent.url)
    assert.equal("timeout", err.kind)
    assert.equal("no response within 0.2 s", err.message)
    silent:close()
  end)

  it("ends a response that arrives too slowly", function()
    local url = list_url { runs = 20, fault = "slow", bytes = 1, delay = 0.002, times = 0 }
    local _, err = outcome({ timeout = 0.2, headers = key }, url)
    assert.equal("timeout", err.kind)
  end)

  it("ends an attempt to connect", function()
    local url, held = listener.full()
    local _, err = outcome({ connect_timeout = 0.2 }, url)
    assert.equal("timeout", err.kind)
    assert.equal("no connection within 0.2 s", err.message)
    for _, holder in ipairs(held) do holder:close() end
  end)
end)

describe("a pool", function()
  it("does nothing after it is closed", function()
    for _, events in ipairs { false, true } do
      local silent = listener.open()
      local pool = curl.pool { max_connections = 1, events = events }
      local running, queued = pool:send(request(silent.url)), pool:send(request(silent.url))
      pool:close()
      pool:close()
      for _, transfer in ipairs { running, queued } do
        assert.is_true(transfer:done())
        local response, err = transfer:result()
        assert.is_nil(response)
        assert.equal("cancelled", err.kind)
        assert.equal("client is closed", err.message)
      end
      local transfer, err = pool:send(request(silent.url))
      assert.is_nil(transfer)
      assert.equal("cancelled", err.kind)
      assert.equal("client is closed", err.message)
      assert.is_falsy(pool:step())
      assert.is_falsy(pool:wait(10))
      assert.is_nil(pool:timeout())
      assert.is_nil(pool:descriptor())
      assert.is_nil(pool:finished())
      assert.is_number(pool:connections())
      silent:close()
    end
  end)

  it("reports each transfer that ends, once", function()
    local pool = curl.pool { max_connections = 2, events = true }
    local expected, count = {}, 0
    for _ = 1, 5 do
      local transfer = pool:send(request(list_url(), { headers = key }))
      expected[transfer:id()] = transfer
    end
    while true do -- some can have ended before the first turn
      for id in function() return pool:finished() end do
        assert.equal(200, assert(expected[id]:result()).status)
        expected[id] = nil
        count = count + 1
      end
      if not pool:timeout() then break end
      turn(pool)
    end
    assert.equal(5, count)
    assert.is_nil(pool:finished())
  end)

  it("reuses the connection of a transfer that is collected", function()
    local silent = listener.open()
    for _, events in ipairs { false, true } do
      local pool = curl.pool { max_connections = 1, events = events }
      pool:send(request(silent.url)) -- nobody holds the transfer
      local transfer = pool:send(request(list_url(), { headers = key }))
      collectgarbage()
      collectgarbage()
      while not transfer:done() do
        if events then turn(pool) else pool:wait(1) end
      end
      assert.equal(200, assert(transfer:result()).status)
      pool:close()
    end
    silent:close()
  end)

  it("starts the next transfer as soon as one is cancelled", function()
    for _, events in ipairs { false, true } do
      local silent, waiting = listener.open(), listener.open(function(peer) peer:wait_for_close() end)
      local pool = curl.pool { max_connections = 1, events = events }
      local first = pool:send(request(silent.url))
      local second = pool:send(request(waiting.url))
      first:cancel()
      waiting:poll_until(function() return waiting.accepted == 1 end) -- nobody steps
      assert.is_false(second:done())
      pool:close()
      silent:close()
      waiting:close()
    end
  end)

  it("asks an event loop to step again soon while a transfer runs", function()
    local silent = listener.open()
    local pool = curl.pool { max_connections = 1, events = true }
    local transfer = pool:send(request(silent.url))
    assert.is_true(pool:timeout() <= 0.1)
    transfer:cancel()
    assert.is_nil(pool:timeout())
    silent:close()
  end)
end)

describe("Lua code that runs inside a call", function()
  --- What of a pool, or of all that a test has, a hostile hand may close.
  local function close_all(pool, transfers)
    for _, transfer in ipairs(transfers or {}) do transfer:cancel() end
    pool:close()
  end

  it("can close the pool while send reads the fields of a request", function()
    for _, events in ipairs { false, true } do
      for _, name in ipairs { "url", "method", "body", "headers", "timeout", "connect_timeout", "expires",
        "max_body_bytes", "direct" } do
        local pool = curl.pool { max_connections = 1, events = events }
        local other = pool:send(request(list_url(), { headers = key }))
        local fields, hidden = request(list_url(), { headers = key, method = "GET" }), nil
        hidden, fields[name] = fields[name], nil
        setmetatable(fields, {
          __index = function(_, field)
            if field ~= name then return nil end
            close_all(pool, { other })
            return hidden
          end,
        })
        local transfer, err = pool:send(fields)
        assert.is_nil(transfer, name)
        assert.equal("cancelled", err.kind)
      end
    end
  end)

  --- Calls f(arm) again and again, with the collector eager and a finalizer that calls what f armed, until that was
  --- called so many times.
  local function with_finalizers(times, f)
    -- LuaJIT itself crashes at times where a finalizer runs at the exit of a trace
    if jit then jit.off() end
    local armed, called = nil, 0
    local function rearm()
      task.on_collect(function()
        local strike = armed
        armed = nil
        if strike then
          called = called + 1
          strike()
        end
        if called < times then rearm() end
      end)
    end
    rearm()
    local restore = garbage.hurry(0, 1000)
    local rounds = 0
    repeat
      rounds = rounds + 1
      f(function(strike) armed = strike end)
      armed = nil
    until called >= times or rounds > 400
    restore()
    if jit then jit.on() end
    assert.is_true(called > 0) -- when a collection ends is the choice of the collector
  end

  it("can be a finalizer that closes everything while a request is sent", function()
    local headers = {}
    for index = 1, 60 do headers["X-" .. index] = ("v"):rep(200) .. index end
    local url = listener.refusing()
    with_finalizers(30, function(arm)
      local pool = curl.pool { max_connections = 1, events = true }
      local other = pool:send(request(url))
      for index = 1, 60 do headers["X-" .. index] = ("v"):rep(200) .. index .. tostring(pool) end
      arm(function() close_all(pool, { other }) end)
      local transfer, err = pool:send(request(url, { headers = headers }))
      assert.is_true(transfer ~= nil or err.kind == "cancelled")
      if transfer then transfer:cancel() end
      pool:close()
    end)
  end)

  it("can be a finalizer that closes or takes everything while a result is returned", function()
    local fields = {}
    for index = 1, 300 do fields[index] = ("X-%d: %d\r\nX-Many: %d\r\n"):format(index, index, index) end
    local peer = listener.open(function(peer)
      peer:head()
      peer:send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" .. table.concat(fields) .. "\r\nbody")
    end)
    local round = 0
    with_finalizers(30, function(arm)
      round = round + 1
      local pool = curl.pool { max_connections = 1 }
      local url = round % 3 == 0 and listener.refusing() or peer.url
      local transfer = pool:send(request(url))
      peer:poll_until(function()
        pool:step()
        return transfer:done()
      end)
      arm(function()
        if round % 2 == 0 then transfer:result() end
        close_all(pool, { transfer })
      end)
      local response, err = transfer:result()
      assert.is_true(err ~= nil or response.body == "body" and response.headers:find("X-300: 300", 1, true) ~= nil)
      assert.is_true(response ~= nil or err.kind == "cancelled" or err.kind == "connection")
    end)
    peer:close()
  end)
end)

describe("the process", function()
  it("survives a peer that closes its connection while a large request is sent over TLS", function()
    local script = ([[
      local curl = require "retab.curl"
      local pool = curl.pool { max_connections = 1, ca_file = %q }
      for _ = 1, 3 do
        local transfer = pool:send { method = "POST", body = ("x"):rep(5e6), url = %q, headers = {}, timeout = 20,
          connect_timeout = 20, expires = 20, max_body_bytes = 1e6, direct = true }
        while not transfer:done() do pool:wait(1) end
        local response, err = transfer:result()
        assert(response or err.kind == "connection", err and err.message)
      end
      print "alive"
    ]]):format(server.ca_file, list_url({ runs = 1, fault = "close", times = 0 }, "tls"))
    local output, status = interpreter.run(script, {})
    assert.equal("alive\n", output)
    assert.equal(0, status)
  end)

  it("starts programs that inherit none of its sockets", function()
    local list = io.open "/proc/self/fd"
    if not list then return pending "this system has no /proc/self/fd" end
    list:close()
    local script = ([[
      local curl = require "retab.curl"
      for _, events in ipairs { false, true } do
        local pool = curl.pool { max_connections = 2, events = events }
        local function send()
          return pool:send { url = %q, headers = { ["Api-Key"] = "k" }, timeout = 20, connect_timeout = 20,
            expires = 20, max_body_bytes = 1e6, direct = true }
        end
        local first = send()
        while not first:done() do pool:wait(1) end
        local second = send()
        local listing = io.popen "ls -l /proc/self/fd"
        for line in listing:lines() do
          if line:find "socket:" or line:find "eventpoll" then print(line) end
        end
        listing:close()
        second:cancel()
      end
    ]]):format(list_url())
    assert.equal("", (interpreter.run(script, {})))
  end)
end)
