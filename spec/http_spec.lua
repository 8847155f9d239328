local blocking = require "retab.driver.blocking"
local curl = require "retab.curl"
local interpreter = require "spec.interpreter"
local listener = require "spec.listener"
local retab = require "retab"
local simulator = require "spec.simulator"

local server = simulator.shared()
local key = "sk_test_of_http"
local list_path = "/v1/workflows/experiments/runs"
local quick = os.getenv "RETAB_SPEC_QUICK" == "1"

local function new(base_url, options)
  local given = { api_key = key, base_url = base_url, max_retries = 0, timeout = 30 }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, client
end

--- Returns the base URL of a scenario.
local function at(conditions)
  return (server:scenario(conditions))
end

--- Returns the runs of a client, and a listener that serves it with `handler` while it waits.
local function served(handler, options, settings)
  local peer = listener.open(handler)
  local given = { max_connections = 8 }
  for name, value in pairs(settings or {}) do given[name] = value end
  local with = { driver = peer:drive(blocking.new(given)) }
  for name, value in pairs(options or {}) do with[name] = value end
  local runs, client = new(with.base_url or peer.url, with)
  return runs, peer, client
end

--- Returns the error that a response of these bytes leads to.
local function failure_of(bytes, options)
  local runs, peer = served(function(peer)
    peer:head()
    peer:send(bytes)
    peer:close()
  end, options)
  local page, _, err = runs.list {}
  assert.is_nil(page)
  peer:close()
  return err
end

local function head_of(body, more)
  return ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s%s\r\n"):format(
    body and ("Content-Length: %d\r\n"):format(#body) or "", more or "")
end

local page_body = '{"data":[{"id":"run_1"}],"list_metadata":{"before":null,"after":null}}'

--- Runs `f`, which must take `seconds`. It may be 100 ms late at the best of some tries, but never early.
local function assert_takes(seconds, f)
  local over = math.huge
  for _ = 1, 6 do
    local began = curl.clock()
    f()
    local took = curl.clock() - began
    assert.is_true(took > seconds - 0.005, ("ended %g s early"):format(seconds - took))
    over = math.min(over, took - seconds)
    if over < 0.1 then return end
  end
  assert.is_true(over < (quick and 1 or 0.1), ("%g s too late, at best"):format(over))
end

describe("a request", function()
  it("has only the documented headers", function()
    local base, id = server:scenario { runs = 1 }
    assert(new(base).list {})
    assert(new(base, { auth = "bearer", headers = { ["X-Team"] = "red; blue", ["X-Empty"] = "" } }).list {})
    local first, second = server:requests(id)[1], server:requests(id)[2]
    assert.equal("GET", first.method)
    assert.equal("HTTP/1.1", first.protocol)
    local agent, host = "retab-lua/" .. retab._VERSION, base:match("//([^/]+)")
    local encodings = first.headers["accept-encoding"]
    assert.is_truthy(encodings:find("gzip", 1, true))
    assert.same({ host = host, accept = "application/json", ["user-agent"] = agent, ["api-key"] = key,
      ["accept-encoding"] = encodings }, first.headers)
    assert.same({ host = host, accept = "application/json", ["user-agent"] = agent, authorization = "Bearer " .. key,
      ["accept-encoding"] = encodings, ["x-team"] = "red; blue", ["x-empty"] = "" }, second.headers)
  end)

  it("has the exact query string of its parameters", function()
    local base, id = server:scenario { runs = 300 }
    local runs = new(base)
    assert(runs.list {})
    assert(runs.list { limit = 7, order = "asc", workflow_id = "wf_1", experiment_id = "exp_1", block_id = "b",
      status = "completed", exclude_status = "error", trigger_type = "api", from_date = "2026-05-01",
      to_date = "2026-05-20T10:00:00Z", sort_by = "created_at", after = "exprun_x" })
    local params = { experiment_id = "a b&c=d/\195\169+%~-._", before = "x" }
    assert(runs.list(params, { query = { ["q[]"] = "1 2", a = "#" } }))
    local queries = {}
    for index, request in ipairs(server:requests(id)) do
      queries[index] = request.query
      assert.equal(list_path, request.path)
    end
    assert.same({
      "", "workflow_id=wf_1&experiment_id=exp_1&block_id=b&status=completed&exclude_status=error&trigger_type=api"
        .. "&from_date=2026-05-01&to_date=2026-05-20T10%3A00%3A00Z&sort_by=created_at&after=exprun_x&limit=7&order=asc",
      "experiment_id=a%20b%26c%3Dd%2F%C3%A9%2B%25~-._&before=x&a=%23&q%5B%5D=1%202",
    }, queries)
  end)

  it("has the URL and headers that runs.request returns", function()
    local base, id = server:scenario { runs = 1 }
    local runs = new(base, { headers = { ["X-Team"] = "red" } })
    local request = runs.request({ experiment_id = "exp 1" }, { headers = { ["X-Call"] = "7" } })
    assert(runs.list({ experiment_id = "exp 1" }, { headers = { ["X-Call"] = "7" } }))
    local arrived = server:requests(id)[1]
    assert.equal(request.method, arrived.method)
    assert.is_truthy(request.url:find(arrived.uri, 1, true))
    for name, value in pairs(request.headers) do assert.equal(value, arrived.headers[name:lower()]) end
  end)
end)

describe("a connection", function()
  for _, scheme in ipairs { "http", "tls", "http2" } do
    it("serves a walk of 100 pages over " .. scheme, function()
      local count = quick and 1000 or 10000
      local base, id = server:scenario({ runs = count }, scheme)
      local runs, client = new(base, { ca_file = server.ca_file })
      local seen, ids = 0, {}
      for run in runs.iter({}, { fields = { "id" } }) do
        seen = seen + 1
        assert.is_nil(ids[run.id])
        ids[run.id] = true
      end
      assert.equal(count, seen)
      local requests, numbers = server:requests(id), {}
      assert.equal(count / 100, #requests)
      for _, request in ipairs(requests) do
        numbers[request.connection] = true
        assert.equal(scheme == "http2" and "HTTP/2.0" or "HTTP/1.1", request.protocol)
      end
      local first = next(numbers)
      assert.is_nil(next(numbers, first))
      local stats = client:stats()
      assert.equal(1, stats.connections)
      assert.equal(count / 100, stats.requests)
      assert.equal(0, stats.retries)
      assert.is_true(stats.bytes > count * 100)
    end)
  end

  it("is replaced without a retry if the server has closed it since the last request", function()
    local runs, peer, client = served(function(peer)
      peer:head()
      peer:page()
      peer:close()
    end)
    for index = 1, 3 do
      assert(runs.list {})
      assert.equal(index, peer.accepted)
    end
    assert.equal(3, client:stats().connections)
    assert.equal(0, client:stats().retries)
  end)

  it("is kept after an error response", function()
    local base = server:scenario { runs = 1, fault = "status", code = 422, times = 3 }
    local runs, client = new(base)
    for _ = 1, 3 do assert.is_nil((runs.list {})) end
    assert(runs.list {})
    assert.equal(1, client:stats().connections)
  end)
end)

describe("a response", function()
  it("can be compressed", function()
    local base = server:scenario { runs = 100, gzip = true }
    local plain = server:scenario { runs = 100 }
    local encoding
    local runs, client = new(base, { on_response = function(event) encoding = event.headers["content-encoding"] end })
    local page = assert(runs.list { limit = 100 })
    assert.equal("gzip", encoding)
    assert.same(assert(new(plain).list { limit = 100 }).data, page.data)
    assert.is_true(client:stats().bytes > 20000)
  end)

  it("can arrive in pieces of any size", function()
    local base = server:scenario { runs = 3, fault = "slow", bytes = 97, delay = 0.001 }
    assert.equal(3, #assert(new(base).list {}).data)
    local runs = served(function(peer)
      peer:head()
      peer:send(head_of(nil, "Transfer-Encoding: chunked\r\n"))
      for char in page_body:gmatch "." do
        peer:send(("1\r\n%s\r\n"):format(char))
        coroutine.yield()
      end
      peer:send "0\r\n\r\n"
    end)
    assert.equal("run_1", assert(runs.list {}).data[1].id)
  end)

  it("can follow interim responses, and repeat headers in any spelling", function()
    local seen
    local runs = served(function(peer)
      peer:head()
      peer:send("HTTP/1.1 103 Early Hints\r\nX-Request-Id: interim\r\nLink: </a>\r\n\r\n")
      peer:send(("HTTP/1.1 200 OK\r\ncontent-TYPE:application/json;charset=utf-8\r\nX-REQUEST-ID:   req 7 \t\r\n"
        .. "X-Two: a\r\nx-two: b\r\nX-Empty:\r\nContent-Length: %d\r\n\r\n%s"):format(#page_body, page_body))
    end, { on_response = function(event) seen = event.headers end })
    local page = assert(runs.list {})
    assert.equal("req 7", page.request_id)
    assert.equal("a, b", seen["x-two"])
    assert.equal("", seen["x-empty"])
    assert.is_nil(seen.link)
  end)

  it("can end with the connection", function()
    local runs = served(function(peer)
      peer:head()
      peer:send(head_of() .. page_body)
      peer:close()
    end)
    assert.equal("run_1", assert(runs.list {}).data[1].id)
  end)

  it("puts its request id into the page and the error", function()
    local base, id = server:scenario { runs = 1, fault = "status", code = 404, at = 2 }
    local runs = new(base)
    local page = assert(runs.list {})
    local _, _, err = runs.list {}
    assert.equal(server:requests(id)[1].request_id, page.request_id)
    assert.equal(server:requests(id)[2].request_id, err.request_id)
    assert.is_truthy(page.request_id:find "^req_%x+$")
  end)
end)

describe("a response that is too large", function()
  it("is refused while it arrives", function()
    local base = server:scenario { runs = 1, fault = "huge", bytes = 2 ^ 30 }
    local page, _, err = new(base, { max_body_bytes = 100000 }).list {}
    assert.is_nil(page)
    assert.equal("too_large", err.kind)
    assert.is_false(err.retryable)
  end)

  it("is refused before it ends, even if it never ends", function()
    local chunk = ("x"):rep(1000)
    local ways = {
      { head_of(nil, "Content-Length: 100000000\r\n"), chunk }, { head_of(), chunk },
      { head_of(nil, "Transfer-Encoding: chunked\r\n"), ("3e8\r\n%s\r\n"):format(chunk) },
    }
    for _, way in ipairs(ways) do
      local runs, peer, client = served(function(peer)
        peer:head()
        peer:send(way[1] .. way[2]:rep(11))
        peer:wait_for_close()
      end, { max_body_bytes = 10000, max_retries = 2 })
      local _, _, err = runs.list {}
      assert.equal("too_large", err.kind)
      assert.equal(1, client:stats().requests)
      peer:poll_until(function() return peer.closed == 1 end)
    end
  end)

  it("is measured after decompression", function()
    local pipe = assert(io.popen("head -c 20000000 /dev/zero | gzip -9", "r"))
    local bomb = pipe:read "*a"
    pipe:close()
    assert.is_true(#bomb > 1000 and #bomb < 100000)
    local err = failure_of(head_of(bomb, "Content-Encoding: gzip\r\n") .. bomb, { max_body_bytes = 1000000 })
    assert.equal("too_large", err.kind)
  end)

  it("is one that exceeds the limit by one byte", function()
    local body = page_body .. (" "):rep(1000 - #page_body)
    for limit, kind in pairs { [999] = "too_large", [1000] = false, [1001] = false } do
      for _, options in ipairs { { fault = "body", body = body }, { fault = "body", body = body, gzip = true } } do
        local page, _, err = new(at(options), { max_body_bytes = limit }).list {}
        assert.equal(kind, err and err.kind or false)
        assert.equal(not kind, page ~= nil)
      end
    end
  end)

  it("can be one whose header is too large", function()
    local lines = ("X-Long: " .. ("y"):rep(8000) .. "\r\n"):rep(60)
    local err = failure_of(head_of(page_body, lines) .. page_body)
    assert.equal("too_large", err.kind)
  end)
end)

describe("the timeout", function()
  local function timed_out(base, options)
    local runs = new(base, options)
    return function()
      local page, _, err = runs.list {}
      assert.is_nil(page)
      assert.equal("timeout", err.kind)
      assert.is_true(err.retryable)
      assert.equal(1, err.attempts)
    end
  end

  it("ends a wait for the first byte of a response", function()
    local silent = listener.open()
    assert_takes(0.15, timed_out(silent.url, { timeout = 0.15 }))
    silent:close()
  end)

  it("ends a response that stalls", function()
    for _, options in ipairs { { bytes = 0 }, { bytes = 10 } } do
      options.runs, options.fault, options.times = 1, "stall", 0
      assert_takes(0.15, timed_out(server:scenario(options), { timeout = 0.15 }))
    end
  end)

  it("ends a response that arrives too slowly", function()
    local base = server:scenario { runs = 20, fault = "slow", bytes = 1, delay = 0.002, times = 0 }
    assert_takes(0.15, timed_out(base, { timeout = 0.15 }))
  end)

  it("works over TLS and HTTP/2", function()
    for _, scheme in ipairs { "tls", "http2" } do
      local base = server:scenario({ runs = 1, fault = "stall", times = 0 }, scheme)
      assert_takes(0.25, timed_out(base, { timeout = 0.25, ca_file = server.ca_file }))
    end
  end)

  it("to connect ends an attempt to connect", function()
    local url, held = listener.full()
    assert_takes(0.15, timed_out(url, { timeout = 20, connect_timeout = 0.15 }))
    assert_takes(0.15, timed_out(url, { timeout = 0.15, connect_timeout = 10 }))
    for _, socket in ipairs(held) do socket:close() end
  end)

  it("to connect does not limit the response", function()
    local base = server:scenario { runs = 1, latency = 0.3 }
    assert(new(base, { connect_timeout = 0.2 }).list {})
  end)

  it("is the deadline of the call if that is earlier", function()
    local silent = listener.open()
    assert_takes(0.15, timed_out(silent.url, { timeout = 20, deadline = 0.15, max_retries = 5 }))
    local runs = new(silent.url)
    assert_takes(0.15, function()
      local _, _, err = runs.list({}, { deadline = 0.15 })
      assert.equal("timeout", err.kind)
    end)
    silent:close()
  end)
end)

describe("a connection that fails", function()
  --- Returns a driver whose sleeps end at once.
  local function impatient()
    local driver = blocking.new { max_connections = 8 }
    driver.slept = {}
    function driver.sleep(seconds) table.insert(driver.slept, seconds) end
    return driver
  end

  it("is an error of kind connection that names the host if it is refused", function()
    local driver = impatient()
    local runs, client = new(listener.refusing(), { driver = driver, max_retries = 2 })
    local page, message, err = runs.list {}
    assert.is_nil(page)
    assert.equal("connection", err.kind)
    assert.is_truthy(message:find("127.0.0.1", 1, true))
    assert.equal(3, client:stats().requests)
    assert.equal(2, #driver.slept)
    assert.is_nil(err.status)
  end)

  it("is an error of kind connection if the name has no address", function()
    local _, _, err = new("https://retab.invalid").list {}
    assert.equal("connection", err.kind)
    assert.is_truthy(err.message:find("retab.invalid", 1, true))
  end)

  it("is retried if it closes at any byte of the response", function()
    for _, bytes in ipairs { 0, 1, 100, 1500 } do
      local base, id = server:scenario { runs = 5, fault = "cut", bytes = bytes }
      local _, _, err = new(base).list {}
      assert.equal("connection", err.kind, bytes)
      assert.is_true(err.retryable)
      assert.equal(1, #server:requests(id))
      base, id = server:scenario { runs = 5, fault = "cut", bytes = bytes, times = 2 }
      local driver = impatient()
      local runs, client = new(base, { driver = driver, max_retries = 2 })
      assert.equal(5, #assert(runs.list {}).data)
      assert.equal(3, #server:requests(id))
      assert.equal(2, client:stats().retries)
    end
  end)

  it("is retried if it is closed before the response", function()
    for _, scheme in ipairs { "http", "tls", "http2" } do
      local base, id = server:scenario({ runs = 5, fault = "close" }, scheme)
      local _, _, err = new(base, { ca_file = server.ca_file }).list {}
      assert.equal("connection", err.kind)
      assert.is_true(err.retryable)
      assert.equal(1, #server:requests(id))
    end
  end)

  it("is an error of kind connection if the server does not speak HTTP", function()
    local _, _, err = new(at { runs = 5, fault = "garbage" }).list {}
    assert.equal("connection", err.kind)
    assert.equal("connection", failure_of("220 mail.example ESMTP\r\n").kind)
    assert.equal("connection", failure_of("HTTP/1.1 hello\r\n\r\n").kind)
    assert.equal("connection", failure_of("").kind)
  end)
end)

describe("a response that is broken", function()
  it("is an error of kind decode, without a retry, if its compression is broken", function()
    local base, id = server:scenario { runs = 50, fault = "gzip", times = 0 }
    local _, _, err = new(base, { max_retries = 2 }).list {}
    assert.equal("decode", err.kind)
    assert.equal(1, #server:requests(id))
    assert.equal("decode", failure_of(head_of("not gzip", "Content-Encoding: gzip\r\n") .. "not gzip").kind)
  end)

  it("is an error of kind decode if its encoding is unknown", function()
    assert.equal("decode", failure_of(head_of(page_body, "Content-Encoding: rot13\r\n") .. page_body).kind)
  end)

  it("is an error of kind decode that names the content type if it is not JSON", function()
    local _, message, err = new(at { runs = 1, fault = "html" }).list {}
    assert.equal("decode", err.kind)
    assert.equal(200, err.status)
    assert.is_truthy(message:find("text/html", 1, true))
    assert.is_truthy(err.body:find("We will be back soon", 1, true))
    _, _, err = new(at { runs = 1, fault = "type", type = "text/plain" }).list {}
    assert.equal("decode", err.kind)
    assert(new(at { runs = 1, fault = "type", type = "application/vnd.retab+json; charset=utf-8" }).list {})
  end)

  it("is an error of kind decode if its JSON is broken", function()
    for _, body in ipairs { "", "[]", '{"data":[', '{"data":{},"list_metadata":{}}', '{"data":[]}', "null" } do
      local _, _, err = new(at { fault = "body", body = body }).list {}
      assert.equal("decode", err.kind, body)
      assert.equal(200, err.status)
    end
  end)
end)

describe("a redirect", function()
  it("is not followed: the error names its target, and the key is not sent there", function()
    for _, code in ipairs { 301, 302, 303, 307, 308 } do
      local target, target_id = server:scenario { runs = 1 }
      local base, id = server:scenario { runs = 1, fault = "redirect", code = code, to = target .. list_path }
      local page, message, err = new(base).list {}
      assert.is_nil(page)
      assert.equal("api", err.kind)
      assert.equal(code, err.status)
      assert.is_truthy(message:find(target, 1, true))
      assert.is_false(err.retryable)
      assert.equal(1, #server:requests(id))
      assert.equal(0, #server:requests(target_id))
    end
  end)
end)

describe("a refusal", function()
  it("of the key is an error of kind authentication", function()
    local _, message, err = new(at { runs = 1 }, { api_key = "bad_key_of_mine" }).list {}
    assert.equal("authentication", err.kind)
    assert.equal(401, err.status)
    assert.equal("HTTP_EXCEPTION", err.code)
    assert.equal("Invalid API Key.", message)
    assert.is_nil(tostring(err):find("bad_key_of_mine", 1, true))
  end)

  it("of a parameter is an error of kind validation", function()
    local base = server:scenario { fault = "status", code = 422, body = '{"detail":[{"type":"enum","loc":["query","x"],'
      .. '"msg":"Input should be 1","input":"2"},{"type":"t","loc":["query"],"msg":"And 3"}]}' }
    local _, message, err = new(base).list {}
    assert.equal("validation", err.kind)
    assert.equal(422, err.status)
    assert.is_truthy(message:find("Input should be 1", 1, true))
    assert.is_truthy(message:find("And 3", 1, true))
    assert.equal("x", err.errors[1].loc[2])
  end)

  it("of too many requests is retried after the time that the server asks for", function()
    local base, id = server:scenario { runs = 1, fault = "status", code = 429, retry_after_ms = "20" }
    local delays = {}
    local function on_retry(event) table.insert(delays, event.delay) end
    local runs, client = new(base, { max_retries = 1, on_retry = on_retry })
    assert(runs.list {})
    assert.same({ 0.02 }, delays)
    assert.equal(2, #server:requests(id))
    assert.equal(1, client:stats().retries)
    assert.equal(1, client:stats().connections)
  end)
end)

describe("TLS", function()
  it("with a certificate of an unknown authority is an error of kind tls, which is not retried", function()
    for _, scheme in ipairs { "tls", "http2" } do
      local base, id = server:scenario({ runs = 1 }, scheme)
      local runs, client = new(base, { max_retries = 2 })
      local page, _, err = runs.list {}
      assert.is_nil(page)
      assert.equal("tls", err.kind)
      assert.is_false(err.retryable)
      assert.equal(1, client:stats().requests)
      assert.equal(0, #server:requests(id))
    end
  end)

  it("trusts the authorities of a directory", function()
    local directory = os.tmpname()
    os.remove(directory)
    local command = "unset LD_PRELOAD; mkdir -m 700 %s && cp %s %s/ca.pem && openssl rehash %s"
    os.execute(command:format(directory, server.ca_file, directory, directory))
    local base = server:scenario({ runs = 1 }, "tls")
    local page, message = new(base, { ca_path = directory }).list {}
    os.execute("unset LD_PRELOAD; rm -r " .. directory)
    assert(page, message)
  end)

  it("fails if the file of authorities is missing or empty", function()
    local base = server:scenario({ runs = 1 }, "tls")
    for _, file in ipairs { "/nonexistent/ca.crt", "/dev/null" } do
      local page, _, err = new(base, { ca_file = file }).list {}
      assert.is_nil(page)
      assert.equal("tls", err.kind)
    end
  end)

  it("with a server that does not speak it is an error of kind connection", function()
    local _, _, err = new((at({}):gsub("^http:", "https:"))).list {}
    assert.equal("connection", err.kind)
  end)
end)

describe("a proxy", function()
  local function tunnel(port)
    return function(peer)
      peer:head()
      peer:send "HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n"
      peer:relay(port)
    end
  end

  it("gets the whole URL", function()
    local proxy = listener.open(function(peer)
      peer:head()
      peer:page()
    end)
    local driver = proxy:drive(blocking.new { max_connections = 1, proxy = proxy.url })
    local through = new("http://retab.example:8080", { allow_http = true, driver = driver })
    assert(through.list { limit = 3 })
    assert.equal("GET http://retab.example:8080" .. list_path .. "?limit=3 HTTP/1.1", proxy.heads[1]:match "^[^\n\r]+")
    proxy:close()
  end)

  it("tunnels TLS: it sees no key, and the host is verified", function()
    local port = tonumber(server.tls_url:match ":(%d+)$")
    local prefix = server:scenario({ runs = 1 }, "tls"):match "//[^/]+(.*)$"
    local proxy = listener.open(tunnel(port))
    local driver = proxy:drive(blocking.new { max_connections = 4, proxy = proxy.url, ca_file = server.ca_file })
    local seen
    local runs = new("https://localhost:4433" .. prefix, { driver = driver, on_response = function(event)
      seen = event.headers
    end })
    assert(runs.list {})
    assert.equal("CONNECT localhost:4433 HTTP/1.1", proxy.heads[1]:match "^[^\n\r]+")
    assert.is_nil(proxy.heads[1]:find(key, 1, true))
    assert.is_nil(seen["x-proxy"])
    local _, _, err = new("https://wrong.example" .. prefix, { driver = driver }).list {}
    assert.equal("tls", err.kind)
    assert.equal("CONNECT wrong.example:443 HTTP/1.1", proxy.heads[2]:match "^[^\n\r]+")
    proxy:close()
  end)

  it("that refuses is an error of kind connection", function()
    local proxy = listener.open(function(peer)
      peer:head()
      peer:send "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    end)
    local driver = proxy:drive(blocking.new { max_connections = 1, proxy = proxy.url })
    local _, _, err = new("https://retab.example", { driver = driver }).list {}
    assert.equal("connection", err.kind)
    proxy:close()
  end)

  --- Lists once in a child process that has such a proxy, and returns the first line of its request.
  local function first_line(base_url, options, environment, answer)
    local proxy = listener.open(function(peer)
      peer:head()
      answer(peer)
      peer:close()
    end)
    for name, value in pairs(environment) do environment[name] = value and value:gsub("PROXY", proxy.url) end
    local names = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY" }
    for _, name in ipairs(names) do
      if environment[name] == nil then environment[name] = false end
    end
    local output = interpreter.start(([[
      local runs = require "retab".new { api_key = "k_of_child", base_url = "%s", allow_http = true, max_retries = 0,
        %s }.workflows.experiments.runs
      local page, message, err = runs.list { limit = 1 }
      io.write(page and page.data[1].id or err.kind, "\n")
    ]]):format(base_url, options:gsub("PROXY", proxy.url)), environment)
    proxy:poll_until(function() return proxy.accepted == 1 and next(proxy.threads) == nil end)
    local text, status = interpreter.finish(output)
    proxy:close()
    assert.equal(0, status, text)
    return proxy.heads[1]:match "^[^\r\n]+", text
  end

  local function give_page(peer) peer:page() end
  local function refuse(peer) peer:send "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n" end

  it("is taken from the environment unless the options name one", function()
    local line, text = first_line("http://retab.example", "", { http_proxy = "PROXY" }, give_page)
    assert.equal("GET http://retab.example" .. list_path .. "?limit=1 HTTP/1.1", line)
    assert.equal("run_1\n", text)
    line, text = first_line("https://retab.example", "", { https_proxy = "PROXY" }, refuse)
    assert.equal("CONNECT retab.example:443 HTTP/1.1", line)
    assert.equal("connection\n", text)
    line = first_line("http://retab.example", "proxy = 'PROXY',", { http_proxy = listener.refusing() }, give_page)
    assert.equal("GET http://retab.example" .. list_path .. "?limit=1 HTTP/1.1", line)
  end)
end)

describe("a walk over HTTP", function()
  it("survives every fault after which a retry can help, and returns each run once", function()
    for _, fault in ipairs { { "status", code = 503, retry_after_ms = "1" }, { "cut", bytes = 300 }, { "close" } } do
      local options = { runs = 60, fault = fault[1], at = 3, times = 2 }
      for name, value in pairs(fault) do
        if name ~= 1 then options[name] = value end
      end
      local expected = {}
      for run in new(at { runs = 60 }).iter {} do expected[#expected + 1] = run.id end
      local driver = blocking.new { max_connections = 2 }
      function driver.sleep() end
      local base, id = server:scenario(options)
      local runs = new(base, { driver = driver, max_retries = 2 })
      local seen = {}
      for run in runs.iter { limit = 10 } do seen[#seen + 1] = run.id end
      assert.equal(60, #seen)
      assert.same(expected, seen)
      assert.equal(6 + 2, #server:requests(id))
    end
  end)

  it("ends with an error if the cursors of the server form a loop", function()
    for _, case in ipairs { { 0, 1 }, { 3, 4 }, { 5, 1 } } do
      local base, id = server:scenario { fault = "cursor", lead = case[1], cycle = case[2] }
      local ok, err = pcall(function()
        for _ in new(base).iter({}, { fields = { "id" } }) do end
      end)
      assert.is_false(ok)
      assert.equal("cursor_loop", err.kind)
      assert.is_true(#server:requests(id) <= 3 * (case[1] + case[2]) + 6)
    end
  end)

  it("ends at an empty cursor, and continues after an empty page with a cursor", function()
    local count = 0
    for _ in new(at { runs = 25, fault = "blank" }).iter { limit = 10 } do count = count + 1 end
    assert.equal(25, count)
    count = 0
    for _ in new(at { runs = 25, fault = "empty", at = 2, times = 2 }).iter { limit = 10 } do
      count = count + 1
    end
    assert.equal(25, count)
  end)

  it("can go backwards page by page", function()
    local runs = new(at { runs = 30 })
    local first = assert(runs.list { limit = 10 })
    local second = assert(first:next())
    local third = assert(second:next())
    assert.is_nil((third:next()))
    assert.same(second.data, assert(third:prev()).data)
    assert.same(first.data, assert(assert(third:prev()):prev()).data)
  end)
end)

describe("a client", function()
  it("has no more connections than max_connections", function()
    local base, id = server:scenario { runs = 400 }
    local runs, client = new(base, { max_connections = 2 })
    local walks = {}
    for index = 1, 6 do walks[index] = runs.pages { limit = 100 } end
    for _ = 1, 4 do
      for _, walk in ipairs(walks) do assert(walk:next()) end
    end
    local numbers, count = {}, 0
    for _, request in ipairs(server:requests(id)) do
      if not numbers[request.connection] then count = count + 1 end
      numbers[request.connection] = true
    end
    assert.is_true(count <= 2, count)
    assert.equal(count, client:stats().connections)
    assert.equal(24, client:stats().requests)
  end)
end)
