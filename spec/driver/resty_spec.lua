local in_nginx = require "spec.driver.in_nginx"
local scripted_nginx = require "spec.driver.scripted_nginx"

local head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
local page = { head, '{"da', 'ta":[]}' }

local function with(changes)
  local changed = {}
  for key, value in pairs(page) do changed[key] = value end
  for key, value in pairs(changes) do changed[key] = value end
  return changed
end

--- The page, after so many seconds.
local function slow(seconds)
  return { seconds, head, '{"data":[]}' }
end

-- PUC 5.1 cannot yield out of pcall, and never runs in nginx.
if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
  describe("the driver resty, on a scripted nginx", function()
    pending "is not tested here: PUC Lua 5.1 cannot yield out of pcall"
  end)
else
  describe("the driver resty, on a scripted nginx,", function()
    local kept

    --- Runs `f(driver, nginx)` in a light thread.
    --- @param script table|function the script of all sockets, or a function (number of the socket) -> script
    local function run(script, settings, f)
      local script_of = type(script) == "function" and script or function() return script end
      local nginx = scripted_nginx.new(script_of, settings)
      rawset(_G, "ngx", nginx.ngx)
      for name, module in pairs(nginx.modules) do package.loaded[name] = module end
      for _, name in ipairs { "resty", "light_thread" } do package.loaded["retab.driver." .. name] = nil end
      local given = { max_connections = 2 }
      for name, value in pairs(settings or {}) do given[name] = value end
      local driver = require "retab.driver.resty".new(given)
      nginx.run(function() f(driver, nginx) end)
      return nginx
    end

    local function request(changes)
      local made = {
        method = "GET", url = "https://api.example.com/v1/runs?limit=1", headers = { ["Api-Key"] = "k" }, timeout = 20,
        connect_timeout = 5, expires = math.huge, max_body_bytes = 100,
      }
      for key, value in pairs(changes or {}) do made[key] = value end
      return made
    end

    local modules = { "ngx.semaphore", "retab.driver.resty", "retab.driver.light_thread" }

    before_each(function()
      kept = { ngx = rawget(_G, "ngx") }
      for _, name in ipairs(modules) do kept[name] = package.loaded[name] or false end
    end)

    after_each(function()
      rawset(_G, "ngx", kept.ngx)
      for _, name in ipairs(modules) do package.loaded[name] = kept[name] or nil end
    end)

    it("sends a request and keeps the connection", function()
      run(page, nil, function(driver, nginx)
        local response = assert(driver.await(driver.send(request())))
        assert.equal(200, response.status)
        assert.equal('{"data":[]}', response.body)
        assert.equal("application/json", response.headers["content-type"])
        local socket = nginx.sockets[1]
        assert.equal("api.example.com:443", socket.peer)
        assert.same({ false, "api.example.com", true }, socket.handshake)
        assert.equal("GET /v1/runs?limit=1 HTTP/1.1\r\nApi-Key: k\r\nHost: api.example.com\r\n\r\n", socket.sent[1])
        assert.equal(2, socket.options.pool_size)
        assert.equal("kept", socket.gone)
        assert.equal(2, socket.kept[2])
        assert.equal(1, driver.connections())
      end)
    end)

    it("sends a POST with its body", function()
      run(page, nil, function(driver, nginx)
        assert(driver.await(driver.send(request { method = "POST", body = '{"a":1}' })))
        assert.is_truthy(nginx.sockets[1].sent[1]:find '^POST .*\r\nContent%-Length: 7\r\n\r\n{"a":1}$')
      end)
    end)

    it("closes a connection whose response was not read to its end", function()
      for _, script in ipairs {
        { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" }, { "HTTP/1.1 200 OK\r\n\r\n{}" },
        { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" }, { "HTTP/1.1 200 OK\r\n" },
      } do
        run(script, nil, function(driver, nginx)
          driver.await(driver.send(request()))
          assert.equal("closed", nginx.sockets[1].gone)
        end)
      end
    end)

    it("closes a connection on which the server sent more than the response", function()
      run(with { unread = true }, nil, function(driver, nginx)
        assert(driver.await(driver.send(request())))
        assert.equal("closed", nginx.sockets[1].gone)
      end)
    end)

    it("finds host, port and path of every URL", function()
      local urls = {
        ["http://127.0.0.1:8080/v1"] = { "127.0.0.1:8080", "/v1", "127.0.0.1:8080" },
        ["http://localhost/v1?a=b:c@d"] = { "localhost:80", "/v1?a=b:c@d", "localhost" },
        ["https://[::1]:4433/v1"] = { "[::1]:4433", "/v1", "[::1]:4433", "::1" },
        ["https://[::1]/v1"] = { "[::1]:443", "/v1", "[::1]", "::1" },
        ["https://localhost"] = { "localhost:443", "/", "localhost", "localhost" },
        ["https://localhost?a=b"] = { "localhost:443", "/?a=b", "localhost", "localhost" },
      }
      for url, expected in pairs(urls) do
        run(page, nil, function(driver, nginx)
          assert(driver.await(driver.send(request { url = url })))
          local socket = nginx.sockets[1]
          assert.equal(expected[1], socket.peer)
          assert.equal(expected[2], socket.sent[1]:match "^GET (%S+)")
          assert.equal(expected[3], socket.sent[1]:match "\r\nHost: (%S+)")
          assert.equal(expected[4], socket.handshake and socket.handshake[2])
        end)
      end
    end)

    it("sends plain http through a proxy", function()
      run(page, { proxy = "http://me:secret@127.0.0.1:3128" }, function(driver, nginx)
        assert(driver.await(driver.send(request { url = "http://example.com:81/v1" })))
        local socket = nginx.sockets[1]
        assert.equal("127.0.0.1:3128", socket.peer)
        assert.equal("http://example.com:81/v1", socket.sent[1]:match "^GET (%S+)")
        assert.equal("base64 of me:secret", socket.sent[1]:match "\r\nProxy%-Authorization: Basic ([^\r]+)")
      end)
    end)

    it("sends https through a tunnel of the proxy", function()
      local script = { "HTTP/1.1 200 Connection established\r\n\r\n", head, '{"data":[]}' }
      run(script, { proxy = "http://127.0.0.1:3128" }, function(driver, nginx)
        assert(driver.await(driver.send(request())))
        local socket = nginx.sockets[1]
        assert.equal("127.0.0.1:3128", socket.peer)
        assert.equal("api.example.com:443", socket.sent[1]:match "^CONNECT (%S+) HTTP/1.1\r\nHost: ")
        assert.equal("api.example.com", socket.handshake[2])
        assert.equal("/v1/runs?limit=1", socket.sent[2]:match "^GET (%S+)")
      end)
      run({ "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n" }, { proxy = "http://127.0.0.1:3128" },
        function(driver, nginx)
          local _, err = driver.await(driver.send(request()))
          assert.equal("connection", err.kind)
          assert.is_truthy(err.message:find("407", 1, true))
          assert.is_nil(nginx.sockets[1].handshake)
        end)
    end)

    it("uses no proxy for a direct request", function()
      run(page, { proxy = "http://127.0.0.1:3128" }, function(driver, nginx)
        assert(driver.await(driver.send(request { url = "http://127.0.0.1:80/v1", direct = true })))
        assert.equal("127.0.0.1:80", nginx.sockets[1].peer)
        assert.equal("/v1", nginx.sockets[1].sent[1]:match "^GET (%S+)")
      end)
    end)

    it("counts the connections that it opened", function()
      local scripts = { page, with { reused = true }, { refused = "connection refused" } }
      run(function(number) return scripts[number] end, nil, function(driver)
        for _ = 1, 3 do driver.await(driver.send(request())) end
        assert.equal(1, driver.connections())
      end)
    end)

    it("takes another connection if the server has closed a kept one", function()
      local scripts = { { reused = true }, { reused = true, unsent = "broken pipe" }, page }
      run(function(number) return scripts[number] end, nil, function(driver, nginx)
        assert(driver.await(driver.send(request())))
        assert.equal(3, #nginx.sockets)
      end)
      for _, script in ipairs { { reused = true, "HTTP" }, { reused = true, problem = "timeout" }, {} } do
        run(script, nil, function(driver, nginx)
          assert.is_nil(driver.await(driver.send(request())))
          assert.equal(1, #nginx.sockets)
        end)
      end
    end)

    it("never sends a POST twice", function()
      run({ reused = true }, nil, function(driver, nginx)
        local _, err = driver.await(driver.send(request { method = "POST", body = "{}" }))
        assert.equal("connection", err.kind)
        assert.equal(1, #nginx.sockets)
      end)
    end)

    it("returns errors of the right kind", function()
      local failures = {
        { "connection", { refused = "connection refused" } }, { "timeout", { refused = "timeout" } },
        { "connection", { refused = "api.example.com could not be resolved (3: Host not found)" } },
        { "tls", { handshake = "self-signed certificate" } }, { "tls", { handshake = "certificate host mismatch" } },
        { "tls", { handshake = "IP address mismatch" } }, { "connection", { handshake = "handshake failed" } },
        { "connection", { handshake = "closed" } }, { "connection", { handshake = "connection reset by peer" } },
        { "timeout", { handshake = "timeout" } }, { "connection", {} }, { "connection", { head } },
        { "timeout", { head, problem = "timeout" } }, { "timeout", { 30 } },
        { "too_large", { head:gsub("11", "101") .. "" } },
        { "decode", { "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n" } },
      }
      for number, failure in ipairs(failures) do
        run(failure[2], nil, function(driver, nginx)
          local response, err = driver.await(driver.send(request()))
          assert.is_nil(response)
          assert.equal(failure[1], err.kind, number)
          assert.equal("string", type(err.message))
          assert.is_nil(nginx.sockets[1].kept)
        end)
      end
    end)

    it("reports an error of its own as a connection failure", function()
      run(function() error "a bug" end, nil, function(driver)
        local _, err = driver.await(driver.send(request()))
        assert.equal("connection", err.kind)
        assert.is_truthy(err.message:find("a bug", 1, true))
      end)
    end)

    it("limits the time of a whole exchange, however slowly the bytes arrive", function()
      --- Sends `first`, then `text` again and again, 0.4 seconds apart.
      local function drips(first, text)
        return setmetatable({ first }, { __index = function(_, at)
          return type(at) == "number" and (at % 2 == 0 and 0.4 or text) or nil
        end })
      end
      for _, script in ipairs {
        drips("", "x"), drips("HTTP/1.1 200 OK\r\nX: ", "x"), drips("", "HTTP/1.1 100 Continue\r\n\r\n"),
        drips("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "x"), drips("HTTP/1.1 200 OK\r\n\r\n", "x"),
        drips("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), slow(30),
        { connects_in = 1.5, 0.6, head },
      } do
        run(script, nil, function(driver, nginx)
          for _, times in ipairs { { timeout = 2 }, { expires = 2 } } do
            local began = driver.now()
            local _, err = driver.await(driver.send(request(times)))
            assert.equal("timeout", err.kind)
            assert.is_true(math.abs(driver.now() - began - 2) < 0.01)
            nginx.ngx.sleep(0.001)
            assert.equal("closed", nginx.sockets[#nginx.sockets].gone)
          end
        end)
      end
    end)

    it("limits the time of connecting", function()
      run({ connects_in = 30 }, nil, function(driver)
        local began = driver.now()
        local _, err = driver.await(driver.send(request { connect_timeout = 3 }))
        assert.equal("timeout", err.kind)
        assert.equal(3, driver.now() - began)
      end)
    end)

    it("has at most max_connections exchanges at once, in the order of sending", function()
      local order = {}
      local nginx = run(slow(1), nil, function(driver, nginx)
        local tickets, began = {}, driver.now()
        for index = 1, 6 do tickets[index] = driver.send(request { url = "http://localhost/" .. index }) end
        for index = 1, 6 do assert(driver.await(tickets[index])) end
        assert.equal(3, driver.now() - began)
        for index, socket in ipairs(nginx.sockets) do order[index] = socket.sent[1]:match "^GET (%S+)" end
      end)
      assert.same({ "/1", "/2", "/3", "/4", "/5", "/6" }, order)
      assert.equal(2, nginx.most_open)
    end)

    it("needs few timers for many requests, but several: nginx frees memory when a timer ends", function()
      for _, in_turn in ipairs { true, false } do
        run(page, { max_connections = 1 }, function(driver, nginx)
          local at, started, tickets = nginx.ngx.timer.at, 0, {}
          function nginx.ngx.timer.at(...)
            started = started + 1
            return at(...)
          end
          for index = 1, 1000 do
            tickets[index] = driver.send(request())
            if in_turn then assert(driver.await(tickets[index])) end
          end
          for index = 1, in_turn and 0 or 1000 do assert(driver.await(tickets[index])) end
          assert.is_true(started > 1 and started <= 50, started .. " timers")
        end)
      end
    end)

    it("counts a timeout from the connection, and a deadline from the sending", function()
      run(slow(1), { max_connections = 1 }, function(driver)
        local tickets = {}
        for index = 1, 4 do
          tickets[index] = driver.send(request { timeout = 1.5, expires = index == 4 and 2.5 or nil })
        end
        for index = 1, 3 do assert(driver.await(tickets[index])) end
        local _, err = driver.await(tickets[4])
        assert.equal("timeout", err.kind)
      end)
    end)

    it("cancels what is under way, and never sends what was waiting", function()
      local nginx = run(slow(10), { max_connections = 1 }, function(driver, nginx)
        local first, second, third = driver.send(request()), driver.send(request()), driver.send(request())
        nginx.ngx.sleep(1)
        driver.cancel(second)
        driver.cancel(first)
        driver.cancel(first)
        local began = driver.now()
        for _, ticket in ipairs { first, second } do
          local _, err = driver.await(ticket)
          assert.equal("cancelled", err.kind)
        end
        assert.equal(began, driver.now())
        assert(driver.await(third))
      end)
      assert.equal(2, #nginx.sockets)
      assert.equal("closed", nginx.sockets[1].gone)
      assert.equal(1, nginx.most_open)
    end)

    it("sends nothing if the request is cancelled at the moment when it is connected", function()
      run(page, nil, function(driver, nginx)
        local open, ticket = nginx.ngx.socket.tcp, nil
        function nginx.ngx.socket.tcp()
          local socket = open()
          function socket.sslhandshake()
            driver.cancel(ticket)
            return true
          end
          return socket
        end
        ticket = driver.send(request { method = "POST", body = "{}" })
        local _, err = driver.await(ticket)
        assert.is_false(err.sent)
        nginx.ngx.sleep(1)
        assert.same({}, nginx.sockets[1].sent)
        assert.equal("closed", nginx.sockets[1].gone)
      end)
    end)

    it("ends every request as cancelled when the client is closed", function()
      local nginx = run(slow(10), { max_connections = 1 }, function(driver, nginx)
        local errors = {}
        for index = 1, 3 do
          local ticket = driver.send(request())
          nginx.ngx.thread.spawn(function() errors[index] = select(2, driver.await(ticket)) end)
        end
        nginx.ngx.sleep(1)
        driver.close()
        nginx.ngx.sleep(0.001)
        for index = 1, 3 do
          local was_sent = index == 1 -- the others waited for their turn
          assert.same({ kind = "cancelled", message = "client is closed", sent = was_sent }, errors[index])
        end
        local ticket, err = driver.send(request())
        assert.is_nil(ticket)
        assert.same({ kind = "cancelled", message = "client is closed", sent = false }, err)
      end)
      assert.equal("closed", nginx.sockets[1].gone)
      assert.equal(1, #nginx.sockets)
    end)

    for _, timers in ipairs { "refused", "dropped" } do
      it("serves its queue if timers are " .. timers, function()
        run(page, { timers = timers }, function(driver)
          for _ = 1, 3 do assert(driver.await(driver.send(request()))) end
        end)
      end)
    end

    it("raises an error in a phase that cannot yield, and for the option ca_file", function()
      run(page, { phase = "log" }, function(driver)
        local ok, message = pcall(driver.send, request())
        assert.is_false(ok)
        assert.is_truthy(tostring(message):find("log_by_lua", 1, true))
        ok, message = pcall(require "retab.driver.resty".new, { max_connections = 1, ca_file = "ca.crt" })
        assert.is_false(ok)
        assert.is_truthy(tostring(message):find("lua_ssl_trusted_certificate", 1, true))
      end)
    end)
  end)
end

in_nginx.describe("resty", in_nginx.start())
