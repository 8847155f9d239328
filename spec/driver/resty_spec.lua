local in_nginx = require "spec.driver.in_nginx"
local scripted_nginx = require "spec.driver.scripted_nginx"

local page = { status = 200, headers = { ["Content-Type"] = "application/json" }, chunks = { '{"da', 'ta":[]}' } }

local function with(changes)
  local changed = {}
  for key, value in pairs(page) do changed[key] = value end
  for key, value in pairs(changes) do changed[key] = value end
  return changed
end

-- PUC 5.1 can't yield out of pcall, and is never in nginx.
if _VERSION ~= "Lua 5.1" or rawget(_G, "jit") then
  describe("the driver resty, on a scripted nginx,", function()
    local kept

    --- Runs `f(driver, nginx)` in a light thread.
    local function run(answer, settings, f)
      if type(answer) == "table" then
        local always = answer
        answer = function() return always end
      end
      local nginx = scripted_nginx.new(answer, settings)
      rawset(_G, "ngx", nginx.ngx)
      for name, module in pairs(nginx.modules) do package.loaded[name] = module end
      for _, name in ipairs { "resty", "phases" } do package.loaded["retab.driver." .. name] = nil end
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

    local modules = { "ngx.semaphore", "resty.http", "retab.driver.resty", "retab.driver.phases" }

    before_each(function()
      kept = { ngx = rawget(_G, "ngx") }
      for _, name in ipairs(modules) do kept[name] = package.loaded[name] or false end
    end)

    after_each(function()
      rawset(_G, "ngx", kept.ngx)
      for _, name in ipairs(modules) do package.loaded[name] = kept[name] or nil end
    end)

    it("sends a request, and keeps the connection", function()
      run(page, nil, function(driver, nginx)
        local answer = assert(driver.await(driver.send(request())))
        assert.equal(200, answer.status)
        assert.equal('{"data":[]}', answer.body)
        assert.equal("application/json", answer.headers["Content-Type"])
        local client = nginx.clients[1]
        assert.same({ method = "GET", path = "/v1/runs?limit=1", headers = { ["Api-Key"] = "k" } }, client.request_sent)
        local options = client.options
        assert.same({ "https", "api.example.com", 443, true, "api.example.com", 2 }, { options.scheme, options.host,
          options.port, options.ssl_verify, options.ssl_server_name, options.pool_size })
        assert.is_nil(options.proxy_opts)
        assert.same({ 5000, 20000 }, { client.timeouts[1], client.timeouts[2] })
        assert.equal("kept", client.gone)
        assert.equal(2, client.kept[2])
        assert.equal(1, driver.connections())
      end)
    end)

    it("finds host, port and path of every URL", function()
      local urls = {
        ["http://127.0.0.1:8080/v1"] = { "http", "127.0.0.1", 8080, "/v1" },
        ["http://localhost/v1?a=b:c"] = { "http", "localhost", 80, "/v1?a=b:c" },
        ["https://[::1]:4433/v1"] = { "https", "[::1]", 4433, "/v1" },
        ["https://[::1]/v1"] = { "https", "[::1]", 443, "/v1" },
      }
      for url, expected in pairs(urls) do
        run(page, nil, function(driver, nginx)
          assert(driver.await(driver.send(request { url = url })))
          local options = nginx.clients[1].options
          assert.same(expected, { options.scheme, options.host, options.port, nginx.clients[1].request_sent.path })
          assert.equal(expected[2]:gsub("[%[%]]", "") .. "", options.ssl_server_name)
        end)
      end
    end)

    it("goes through a proxy", function()
      run(page, { proxy = "http://127.0.0.1:3128" }, function(driver, nginx)
        assert(driver.await(driver.send(request())))
        assert.equal("http://127.0.0.1:3128", nginx.clients[1].options.proxy_opts.https_proxy)
      end)
    end)

    it("counts the connections that it opened", function()
      local answers = { page, with { reused = true }, with { refused = "connection refused" } }
      run(function(number) return answers[number] end, nil, function(driver)
        for _ = 1, 3 do driver.await(driver.send(request())) end
        assert.equal(1, driver.connections())
      end)
    end)

    it("tells what kind of failure it was", function()
      local failures = {
        { "connection", { refused = "connection refused" } }, { "timeout", { refused = "timeout" } },
        { "tls", { refused = "18: self-signed certificate" } }, { "tls", { refused = "handshake failed" } },
        { "connection", { failed = "closed" } }, { "connection", { broken = "closed" } },
        { "timeout", { broken = "timeout" } }, { "timeout", { takes = 30 } },
        { "too_large", { chunks = { ("x"):rep(60), ("x"):rep(60) } } },
        { "decode", { headers = { ["Content-Encoding"] = "gzip" } } },
      }
      for _, failure in ipairs(failures) do
        run(with(failure[2]), nil, function(driver, nginx)
          local answer, err = driver.await(driver.send(request()))
          assert.is_nil(answer)
          assert.equal(failure[1], err.kind)
          assert.equal("string", type(err.message))
          assert.is_nil(nginx.clients[1].kept)
        end)
      end
    end)

    it("takes an error of lua-resty-http's for a failure of the connection", function()
      run(function() error "a bug" end, nil, function(driver)
        local _, err = driver.await(driver.send(request()))
        assert.equal("connection", err.kind)
        assert.is_truthy(err.message:find("a bug", 1, true))
      end)
    end)

    it("gives no request more time than it has", function()
      run(with { takes = 3 }, nil, function(driver, nginx)
        local began = driver.now()
        local _, err = driver.await(driver.send(request { timeout = 2 }))
        assert.equal("timeout", err.kind)
        assert.equal(2, driver.now() - began)
        _, err = driver.await(driver.send(request { expires = 1 }))
        assert.equal("timeout", err.kind)
        assert.equal(3, driver.now() - began)
        assert.equal(1000, nginx.clients[2].timeouts[1])
      end)
    end)

    it("has as many exchanges at once as there may be connections, in the order of sending", function()
      local order = {}
      local nginx = run(with { takes = 1 }, nil, function(driver, nginx)
        local tickets, began = {}, driver.now()
        for index = 1, 6 do tickets[index] = driver.send(request { url = "http://localhost/" .. index }) end
        for index = 1, 6 do assert(driver.await(tickets[index])) end
        assert.equal(3, driver.now() - began)
        for index, client in ipairs(nginx.clients) do order[index] = client.request_sent.path end
      end)
      assert.same({ "/1", "/2", "/3", "/4", "/5", "/6" }, order)
      assert.equal(2, nginx.most_open)
    end)

    it("counts a timeout from the connection, and a deadline from the sending", function()
      run(with { takes = 1 }, { max_connections = 1 }, function(driver)
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
      local nginx = run(with { takes = 10 }, { max_connections = 1 }, function(driver, nginx)
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
      assert.equal(2, #nginx.clients)
      assert.equal("closed", nginx.clients[1].gone)
      assert.equal(1, nginx.most_open)
    end)

    for _, timers in ipairs { "refused", "dropped" } do
      it("serves its queue all the same where a timer is " .. timers, function()
        run(page, { timers = timers }, function(driver)
          for _ = 1, 3 do assert(driver.await(driver.send(request()))) end
        end)
      end)
    end

    it("says where nginx does not let it wait, and that certificates are nginx's", function()
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

local server = in_nginx.start()
if server:get("/has", { name = "resty.http" }) == "true" then
  in_nginx.describe("resty", server)
else
  server:stop()
  describe("the driver resty in nginx", function()
    pending "is not tested here: lua-resty-http was not found (RETAB_RESTY_PATH names a directory with resty/http.lua)"
  end)
end
