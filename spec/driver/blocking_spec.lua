local blocking = require "retab.driver.blocking"
local contract = require "spec.driver.contract"
local curl = require "retab.curl"
local host = require "spec.driver.host"
local interpreter = require "spec.interpreter"
local listener = require "spec.listener"
local retab = require "retab"
local scripted = require "spec.scripted_driver"
local simulator = require "spec.simulator"

local server = simulator.shared()
local list_path = "/v1/workflows/experiments/runs"

contract.describe_here("blocking", host.blocking())

local function request_to(base_url)
  return {
    method = "GET", url = base_url .. list_path, headers = { ["Api-Key"] = "sk_of_blocking" }, timeout = 20,
    connect_timeout = 10, expires = 20, max_body_bytes = 1000000,
  }
end

local function new_client(base_url, options)
  local given = { api_key = "sk_of_blocking", base_url = base_url, driver = "blocking" }
  for name, value in pairs(options or {}) do given[name] = value end
  return retab.new(given)
end

--- Returns the URL of a server that begins its response and does not go on.
local function stalling()
  return server:scenario { runs = 1, fault = "stall", times = 0 }
end

local function collect()
  collectgarbage()
  collectgarbage()
end

describe("the blocking driver", function()
  it("lets all requests make progress while one is awaited", function()
    local driver = blocking.new { max_connections = 8 }
    local base = server:scenario { runs = 1, latency = 0.02 }
    local tickets = {}
    for index = 1, 4 do tickets[index] = driver.send(request_to(base)) end
    local slow = driver.send(request_to((server:scenario { runs = 1, latency = 0.2 })))
    assert.equal(200, driver.await(slow).status)
    for index = 1, 4 do assert.is_true(driver.ready(tickets[index])) end
    for index = 4, 1, -1 do assert.equal(200, driver.await(tickets[index]).status) end
    driver.close()
  end)

  it("lets all requests make progress while it sleeps", function()
    local driver = blocking.new { max_connections = 1 }
    local base, id = server:scenario { runs = 1 }
    local first, second = driver.send(request_to(base)), driver.send(request_to(base))
    listener.wait_until(function()
      driver.sleep(0.002)
      return #server:requests(id) == 2
    end)
    assert.equal(200, driver.await(second).status)
    assert.equal(200, driver.await(first).status)
    driver.close()
  end)

  it("sends a prefetched request before the reader asks for its page", function()
    for _, scheme in ipairs { "http", "tls" } do
      local base, id = server:scenario({ runs = 300 }, scheme)
      local client = new_client(base, { ca_file = server.ca_file })
      local it = client.workflows.experiments.runs.iter {}
      assert(it:next())
      listener.wait_until(function() return #server:requests(id) == 2 end) -- without a call of the library
      for _ = 2, 100 do assert(it:next()) end
      assert.equal(2, #server:requests(id))
      assert(it:next())
      listener.wait_until(function() return #server:requests(id) == 3 end)
      client:close()
    end
  end)

  it("does not count the work of the reader against a prefetched request", function()
    -- about 880 bytes: the last ones come 0.64 s after the first
    local base, id = server:scenario { runs = 2, fault = "slow", bytes = 100, delay = 0.08, at = 2 }
    local client = new_client(base, { timeout = 0.5, max_retries = 0 })
    local it = client.workflows.experiments.runs.pages { limit = 1 }
    assert(it:next())
    local ends = curl.clock() + 0.55
    repeat until curl.clock() > ends -- the work of the reader
    assert(it:next())
    assert.equal(2, #server:requests(id))
    client:close()
  end)

  it("returns the time of day, which never goes back", function()
    local driver = blocking.new { max_connections = 1 }
    local before = os.time()
    local now = driver.now()
    assert.is_true(now > before - 2 and now < os.time() + 2)
    for _ = 1, 1000 do
      local later = driver.now()
      assert.is_true(later >= now)
      now = later
    end
    driver.close()
  end)

  it("does not sleep too briefly", function()
    local driver = blocking.new { max_connections = 1 }
    for _, seconds in ipairs { 0, 0.001, 0.05 } do
      local began = curl.clock()
      driver.sleep(seconds)
      assert.is_true(curl.clock() - began >= seconds)
    end
    driver.close()
  end)

  it("opens at most max_connections, and queued requests take their turns", function()
    local driver = blocking.new { max_connections = 2 }
    local base, id = stalling()
    local plain = server:scenario { runs = 1 }
    local stalled = { driver.send(request_to(base)), driver.send(request_to(base)), driver.send(request_to(base)) }
    listener.wait_until(function() return driver.ready(stalled[1]) or #server:requests(id) >= 2 end)
    for _ = 1, 20 do driver.ready(stalled[3]) end
    assert(new_client(plain).workflows.experiments.runs.list {})
    assert.equal(2, #server:requests(id))
    driver.cancel(stalled[1])
    listener.wait_until(function() return driver.ready(stalled[3]) or #server:requests(id) == 3 end)
    driver.cancel(stalled[2])
    driver.cancel(stalled[3])
    assert.equal(200, driver.await(driver.send(request_to(plain))).status)
    driver.close()
  end)

  it("cancels a request at any time, also twice", function()
    local driver = blocking.new { max_connections = 2 }
    for _, base in ipairs { (stalling()), (server:scenario { runs = 1 }) } do
      local ticket = driver.send(request_to(base))
      driver.cancel(ticket)
      driver.cancel(ticket)
      assert.is_true(driver.ready(ticket))
      local response, err = driver.await(ticket)
      assert.is_nil(response)
      assert.equal("cancelled", err.kind)
      driver.cancel(ticket)
    end
    local ticket = driver.send(request_to((server:scenario { runs = 1 })))
    assert.equal(200, driver.await(ticket).status)
    driver.cancel(ticket)
    driver.close()
  end)

  it("ends what is under way as cancelled when it is closed, and sends nothing afterwards", function()
    local driver = blocking.new { max_connections = 2 }
    local tickets = {}
    for index = 1, 4 do tickets[index] = driver.send(request_to((stalling()))) end
    driver.close()
    driver.close()
    for index = 1, 4 do
      local response, err = driver.await(tickets[index])
      assert.is_nil(response)
      assert.equal("cancelled", err.kind)
    end
    local ticket, err = driver.send(request_to((stalling())))
    assert.is_nil(ticket)
    assert.equal("cancelled", err.kind)
    assert.equal("client is closed", err.message)
    local began = curl.clock()
    driver.sleep(60)
    assert.is_true(curl.clock() - began < 30)
    assert.equal("number", type(driver.connections()))
  end)

  it("frees the connection of a request that is collected", function()
    local driver = blocking.new { max_connections = 1 }
    driver.send(request_to((stalling())))
    collect()
    assert.equal(200, driver.await(driver.send(request_to((server:scenario { runs = 1 })))).status)
    driver.close()
  end)

  it("goes on after a request that it cannot send", function()
    local driver = blocking.new { max_connections = 1 }
    for name, bad in pairs { url = false, headers = 1, timeout = "x", max_body_bytes = {} } do
      local request = request_to((server:scenario { runs = 1 }))
      request[name] = bad or nil
      assert.is_false((pcall(driver.send, request)), name)
    end
    assert.equal(200, driver.await(driver.send(request_to((server:scenario { runs = 1 })))).status)
    driver.close()
  end)
end)

describe("clients, walks and transfers", function()
  it("may be dropped, closed and collected in any order, at any time", function()
    local state = 7
    local function random(most)
      state = state * 16807 % 2147483647
      return state % most + 1
    end
    local stall = stalling()
    local plain = server:scenario { runs = 40, latency = 0.001 }
    for _ = 1, scripted.times(25) do
      local held = {}
      for _ = 1, random(4) do
        local driver = blocking.new { max_connections = random(3) }
        held[#held + 1] = { driver = driver, close = driver.close }
        for _ = 1, random(4) do
          local ticket = driver.send(request_to(random(2) == 1 and stall or plain))
          held[#held + 1] = { ticket = ticket, close = random(2) == 1 and function() driver.cancel(ticket) end }
        end
        local client = new_client(plain)
        local it = client.workflows.experiments.runs.iter({ limit = 5 }, { prefetch = random(4) - 1 })
        for _ = 1, random(12) do assert(it:next()) end
        held[#held + 1] = { client = client, close = function() client:close() end }
        held[#held + 1] = { it = it, close = function() it:close() end }
        local page = assert(client.workflows.experiments.runs.list { limit = 1 })
        held[#held + 1] = { page = page }
      end
      while #held > 0 do
        local one = table.remove(held, random(#held))
        if random(2) == 1 and one.close then one.close() end
        if random(3) == 1 then collect() end
      end
    end
    collect()
    local client = new_client(plain)
    assert.equal(40, #assert(client.workflows.experiments.runs.list { limit = 100 }).data)
  end)

  it("are not collected while they are needed", function()
    local plain = server:scenario { runs = 40 }
    local page, it
    do
      local runs = new_client(plain).workflows.experiments.runs
      page, it = assert(runs.list { limit = 15 }), runs.iter { limit = 15 }
    end
    collect()
    assert.equal(15, #assert(page:next()).data)
    local count = 0
    for _ in it do
      count = count + 1
      if count % 7 == 0 then collect() end
    end
    assert.equal(40, count)
  end)

  --- Ends of a program that has transfers under way.
  local endings = {
    ["runs off its end"] = "",
    ["exits"] = "os.exit(0)",
    ["exits, closing its state"] = "os.exit(0, true)",
    ["drops the client first"] = "client, runs = nil, nil collectgarbage() it = nil collectgarbage()",
    ["drops the walk first"] = "it = nil collectgarbage() collectgarbage() client, runs = nil, nil collectgarbage()",
    ["closes the client first"] = "client:close() it:close() driver.close()",
    ["closes the walk first"] = "it:close() client:close() driver.cancel(tickets[3])",
    ["leaves a coroutine in the middle"] = "coroutine.wrap(function() runs.pages{}:next() coroutine.yield(1) end)()",
  }
  for ending, code in pairs(endings) do
    it("do not disturb the end of a program that " .. ending, function()
      local printed, status = interpreter.run(([[
        driver = require "retab.driver.blocking".new { max_connections = 2 }
        tickets = {}
        for i = 1, 4 do
          tickets[i] = driver.send { method = "GET", url = "%s%s", headers = { ["Api-Key"] = "k_of_child" },
            timeout = 20, connect_timeout = 10, expires = 20, max_body_bytes = 1000000 }
        end
        client = require "retab".new { api_key = "k_of_child", base_url = "%s", driver = "blocking" }
        runs = client.workflows.experiments.runs
        it = runs.iter { limit = 5 }
        for i = 1, 7 do assert(it:next()) end
        io.write("reached") io.flush()
        %s
      ]]):format((stalling()), list_path, (server:scenario { runs = 40 }), code))
      assert.equal("reached", printed)
      assert.equal(0, status)
    end)
  end
end)
