--- The specs of both drivers of nginx in a real worker: the contract, and what only nginx can do to a driver.
local assert = require "luassert"
local busted = require "busted"
local contract = require "spec.driver.contract"
local listener = require "spec.listener"
local nginx = require "spec.driver.nginx"
local simulator = require "spec.simulator"
local socket = require "socket"

local in_nginx = {}

local describe, it, before_each = busted.describe, busted.it, busted.before_each

local lists = 50

in_nginx.start = nginx.start

--- Registers the specs of a driver.
function in_nginx.describe(driver, server)
  local upstream = simulator.shared()

  local function wait_until(done, what)
    local ends = socket.gettime() + 20
    while not done() do
      assert(socket.gettime() < ends, "waited in vain until " .. what)
      socket.sleep(0.01)
    end
  end

  contract.describe(driver .. " in nginx", function(_, number)
    local body = server:get("/case", {
      driver = driver, number = number, url = upstream.url, tls_url = upstream.tls_url, directory = upstream.directory,
      prefix = "contract_" .. driver,
    })
    if body ~= "passed" then error(body, 0) end
  end)

  describe("the driver " .. driver .. " in nginx", function()
    before_each(function()
      server:get("/driver", { driver = driver })
      server:logged()
    end)

    --- Sends many requests, each for a list of another size.
    local function open_lists(url, more)
      local connections = {}
      for index = 1, lists do
        local args = { driver = driver, url = url, limit = index }
        for name, value in pairs(more or {}) do args[name] = value end
        connections[index] = server:open("/list", args)
      end
      return connections
    end

    --- Asserts that each request of open_lists gets its own list.
    local function assert_right(connections)
      for index, connection in ipairs(connections) do
        local body, status = server.response(connection)
        assert.equal(200, status, body)
        assert.equal(tostring(index), body:match "^%d+")
      end
    end

    it("lets the worker serve others while lists are under way", function()
      local may_respond = false
      local peer = listener.open(function(peer)
        local limit = peer:head():match "limit=(%d+)"
        while not may_respond do coroutine.yield() end
        peer:page(('{"data":[%s{"id":"run"}],"list_metadata":{}}'):format(('{"id":"run"},'):rep(limit - 1)))
      end)
      local connections = open_lists(peer.url, { max_connections = lists })
      peer:poll_until(function() return #peer.heads == lists end)
      for _ = 1, 10 do assert.equal("pong", (server:get "/ping")) end
      assert.equal(0, #socket.select(connections, nil, 0))
      may_respond = true
      peer:poll_until(function() return #socket.select(connections, nil, 0) == lists end)
      assert_right(connections)
      peer:close()
      assert.equal("", server:logged())
    end)

    it("shares the connections of one client among all requests", function()
      local url = upstream:scenario { runs = 100, latency = 0.01 }
      assert_right(open_lists(url))
      local requests, opened = server:get("/stats", { driver = driver, url = url }):match "(%d+) (%d+)"
      assert.equal(lists, tonumber(requests))
      assert.equal(8, tonumber(opened))
      assert.equal("", server:logged())
    end)

    it("wakes a call as soon as its response is there, while another call still waits", function()
      local count = 40
      local best = math.huge
      for _ = 1, 3 do
        local url, id = upstream:scenario { runs = 100, fault = "stall" }
        local args = { driver = driver, url = url, limit = 1 }
        local stalled = server:open("/list", args)
        wait_until(function() return #upstream:requests(id) == 1 end, "the first list stalls")
        local began = socket.gettime()
        for _ = 1, count do
          local _, status = server:get("/list", args)
          assert.equal(200, status)
        end
        best = math.min(best, (socket.gettime() - began) / count)
        stalled:close()
      end
      assert.is_true(best < 0.03, ("a list took %g s"):format(best)) -- a driver that only looks around takes 0.05
    end)

    for _, phase in ipairs { "rewrite", "access" } do
      it("can wait in the phase " .. phase, function()
        assert.is_truthy(server:get("/phase/" .. phase):find("^waited: "))
      end)
    end

    for _, phase in ipairs { "init", "init_worker", "set", "header_filter", "body_filter", "log" } do
      it("raises an error in the phase " .. phase .. " that names what to use there", function()
        server:get("/phase/" .. phase)
        local message
        wait_until(function()
          message = server:get("/tell", { phase = phase })
          return message ~= "nothing"
        end, "the phase was over")
        assert.is_truthy(message:find("nginx's " .. phase .. " phase (" .. phase .. "_by_lua)", 1, true), message)
        assert.is_truthy(message:find("ngx.timer.at", 1, true), message)
      end)
    end

    it("works in a timer, and in a function spawned there", function()
      server:get("/timer", { driver = driver, url = (upstream:scenario { runs = 3 }), key = "timer_" .. driver })
      local spawned
      wait_until(function()
        spawned = server:get("/tell", { phase = "timer_" .. driver .. "_spawned" })
        return spawned ~= "nothing"
      end, "the timer's function has ended")
      assert.equal("3", spawned)
      assert.equal("3", server:get("/tell", { phase = "timer_" .. driver }))
      assert.equal("", server:logged())
    end)

    it("completes every call when other clients go away in the middle of theirs", function()
      local url, id = upstream:scenario { runs = 100, latency = 0.15 }
      local gone = {}
      for index = 1, 10 do gone[index] = server:open("/list", { driver = driver, url = url, limit = 1 }) end
      wait_until(function() return #upstream:requests(id) >= 8 end, "all connections are in use")
      local connections = open_lists(url)
      for _, connection in ipairs(gone) do connection:close() end
      assert_right(connections)
      assert.equal("", server:logged())
    end)

    it("completes the calls of others when light threads are killed in the middle of theirs", function()
      local url = upstream:scenario { runs = 100, latency = 0.2 }
      for _ = 1, 3 do assert.equal("12", (server:get("/kills", { driver = driver, url = url }))) end
      assert.equal("", server:logged())
    end)

    it("frees the connection of a light thread that was killed", function()
      local url = upstream:scenario { runs = 100, fault = "stall" }
      assert.equal("3", (server:get("/kill_frees", { driver = driver, url = url })))
      assert.equal("", server:logged())
    end)

    it("completes the calls of others after a request that exits while one of its threads waits", function()
      local url = upstream:scenario { runs = 100, latency = 0.1 }
      for index = 1, 5 do
        local exiting = server:open("/exits", { driver = driver, url = url })
        local listing = server:open("/list", { driver = driver, url = url, limit = index })
        assert.equal("exits", (server.response(exiting)))
        assert.equal(tostring(index), server.response(listing):match "^%d+")
      end
      assert.equal("", server:logged())
    end)

    it("writes nothing to the error log while it is busy", function()
      local url = upstream:scenario { runs = 100 }
      for _ = 1, 3 do assert_right(open_lists(url)) end
      assert.equal("", server:logged())
    end)

    it("retries at once if the server says so, without a warning in the error log", function()
      local url = upstream:scenario { runs = 3, fault = "status", code = 503, times = 1, retry_after_ms = "0" }
      assert.equal("3", (server:get("/retries", { driver = driver, url = url })))
      assert.equal("", server:logged())
    end)

    it("leaks no descriptors with lua_code_cache off", function()
      local function descriptors() return tonumber(server:get("/descriptors"):match "%d+$") end
      local function rounds(count)
        for _ = 1, count do
          local body, status = server:get("/uncached/list", {
            driver = driver, url = (upstream:scenario { runs = 100, id = "uncached_" .. driver }), limit = 7,
          })
          assert.equal(200, status, body)
          assert.equal("7", body:match "^%d+")
        end
      end
      rounds(10)
      local before = descriptors()
      rounds(30)
      assert.is_true(descriptors() - before < 12, ("%d descriptors more"):format(descriptors() - before))
      assert.equal("", server:logged())
    end)

    it("survives reloads with calls under way", function()
      local url = upstream:scenario { runs = 100, latency = 0.2, log = false }
      local workers = {}
      for _ = 1, 3 do
        local connections = {}
        for index = 1, 20 do
          connections[index] = server:open("/list", { driver = driver, url = url, limit = index })
        end
        local pid = server:get("/descriptors"):match "^%d+"
        assert.is_nil(workers[pid])
        workers[pid] = true
        os.execute("kill -HUP " .. server.pid)
        assert_right(connections)
        wait_until(function() return server:get("/descriptors"):match "^%d+" ~= pid end, "another worker serves")
        wait_until(function() return os.execute("! kill -0 " .. pid .. " 2>/dev/null") end, "the old worker is gone")
      end
      local text = server:logged()
      assert.is_nil(text:find("exited on signal", 1, true), text)
      assert.is_nil(text:find("open socket", 1, true), text)
      assert.is_nil(text:find("[alert]", 1, true), text)
      assert.is_nil(text:find("[error]", 1, true), text)
    end)
  end)
end

return in_nginx
