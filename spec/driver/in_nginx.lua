--- What both drivers of nginx mean the same inside a real worker: the contract, and what is nginx's own.
local assert = require "luassert"
local busted = require "busted"
local contract = require "spec.driver.contract"
local nginx = require "spec.driver.nginx"
local simulator = require "spec.simulator"
local socket = require "socket"

local in_nginx = {}

local describe, it, before_each = busted.describe, busted.it, busted.before_each

local lists = 50

in_nginx.start = nginx.start

--- A worker's specs under a driver.
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

    --- Starts many requests, each a list of another size.
    local function open_lists(conditions, path, more)
      local connections = {}
      for index = 1, lists do
        local args = { driver = driver, url = (upstream:scenario(conditions)), limit = index }
        for name, value in pairs(more or {}) do args[name] = value end
        connections[index] = server:open(path or "/list", args)
      end
      return connections
    end

    local function assert_right(connections)
      for index, connection in ipairs(connections) do
        local body, status = server.answer(connection)
        assert.equal(200, status, body)
        assert.equal(tostring(index), body:match "^%d+")
      end
    end

    it("lets the worker serve others while lists are in flight", function()
      local idle_ends = socket.gettime() + 0.3
      local idle = server:heartbeat(function() return socket.gettime() < idle_ends end)
      local best = math.huge
      for _ = 1, 3 do
        local connections = open_lists({ runs = 100, latency = 0.3, id = "flight_" .. driver }, nil,
          { max_connections = 64 })
        local longest, count = server:heartbeat(function() return #socket.select(connections, nil, 0) < lists end)
        assert_right(connections)
        assert.is_true(count > 20)
        best = math.min(best, longest - idle)
        if best < 0.03 then break end
      end
      assert.is_true(best < 0.15, ("/ping took %g s"):format(best)) -- one list alone takes twice as long
      assert.equal("", server:logged())
    end)

    it("has one client per worker, whose connections all requests share", function()
      local url = upstream:scenario { runs = 100, latency = 0.01 }
      local connections = {}
      for index = 1, lists do
        connections[index] = server:open("/list", { driver = driver, url = url, limit = index })
      end
      assert_right(connections)
      local requests, opened = server:get("/stats", { driver = driver, url = url }):match "(%d+) (%d+)"
      assert.equal(lists, tonumber(requests))
      assert.equal(8, tonumber(opened))
      assert.equal("", server:logged())
    end)

    it("wakes a call as soon as its answer is there, though another one goes on waiting", function()
      local best = math.huge
      for _ = 1, 4 do
        local args = { driver = driver, url = (upstream:scenario { runs = 100, fault = "stall" }), limit = 1 }
        local stalled = server:open("/list", args)
        socket.sleep(0.05)
        local began = socket.gettime()
        for _ = 1, 20 do
          local _, status = server:get("/list", args)
          assert.equal(200, status)
        end
        best = math.min(best, socket.gettime() - began)
        stalled:close()
        if best < 0.3 then break end
      end
      assert.is_true(best < 0.3, ("20 lists took %g s"):format(best))
    end)

    for _, phase in ipairs { "rewrite", "access" } do
      it("waits in the phase " .. phase, function()
        assert.is_truthy(server:get("/phase/" .. phase):find("^waited: "))
      end)
    end

    for _, phase in ipairs { "init", "init_worker", "set", "header_filter", "body_filter", "log" } do
      it("says in the phase " .. phase .. " that it can't wait, and what can", function()
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

    it("works in a timer, and in what is spawned there", function()
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

    it("loses no call when clients go away in the middle of theirs", function()
      local url = upstream:scenario { runs = 100, latency = 0.15 }
      local gone = {}
      for index = 1, 10 do gone[index] = server:open("/list", { driver = driver, url = url, limit = 1 }) end
      socket.sleep(0.05)
      local connections = {}
      for index = 1, lists do
        connections[index] = server:open("/list", { driver = driver, url = url, limit = index })
      end
      for _, connection in ipairs(gone) do connection:close() end
      local began = socket.gettime()
      assert_right(connections)
      assert.is_true(socket.gettime() - began < 4)
      assert.equal("", server:logged())
    end)

    it("leaks nothing where the code is not cached", function()
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

    it("survives reloads, with calls in flight", function()
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
