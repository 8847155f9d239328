--- What every driver must do, as cases that run in any host (spec/driver/host.lua): this process, an nginx worker, or
--- Neovim. A case is a name and a function that takes the host, which knows the simulator's URL and directory. A case
--- that the host cannot run is pending, with the reason.
local assert = require "luassert"
local headers = require "retab.headers"
local journal = require "spec.simulator.journal"
local peers = require "spec.driver.peers"
local retab = require "retab"
local scenario = require "spec.simulator.scenario"

local contract = {}

local cases = {}
contract.cases = cases

local function case(name, f)
  cases[#cases + 1] = { name = name, run = f }
end

--- The beginning of the message of a pending case, which can come from a host in another process.
local pending_mark = "pending: "

--- Ends the case as pending unless the host can run it.
local function needs(possible, reason)
  if not possible then error(pending_mark .. reason, 0) end
end

local function needs_coroutines(host)
  needs(not host.alone, "a wait blocks this host")
end

local function needs_loops()
  needs(_VERSION ~= "Lua 5.1" or rawget(_G, "jit"), "PUC 5.1 cannot yield out of an iterator or a pcall")
end

--- Seconds after which a wait counts as vain.
local patience = 20

--- Seconds: a timeout that cannot be what ends a wait.
local long = 3 * patience

local function new_id(host)
  host.scenarios = (host.scenarios or 0) + 1
  return ("%s_%d_%d"):format(host.prefix, host.number or 0, host.scenarios)
end

local function new_at(host, base_url, options)
  local given = {
    api_key = "sk_of_the_contract", base_url = base_url, driver = host.driver, max_retries = 0, timeout = 10,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, client
end

--- Returns a client of the host's driver, for a simulator that behaves as `conditions` say.
--- @return table runs
--- @return table client
--- @return function requests returns what arrived, as spec.simulator does
local function new(host, conditions, options)
  local id = new_id(host)
  local chosen = { id = id }
  for name, value in pairs(conditions or {}) do chosen[name] = value end
  local runs, client = new_at(host, host.url .. scenario.encode(chosen), options)
  return runs, client, function() return journal.read(host.directory, id) end
end

--- Returns a driver of the host, and a function that completes a request to a base URL.
local function new_driver(host, settings)
  local driver = require("retab.driver." .. (host.driver or "luv")).new(settings or { max_connections = 4 })
  return driver, function(base_url, fields)
    local request = {
      method = "GET", url = base_url .. "/v1/workflows/experiments/runs", headers = { ["Api-Key"] = "k" },
      timeout = 10, connect_timeout = 10, expires = 10, max_body_bytes = 1e6,
    }
    for name, value in pairs(fields or {}) do request[name] = value end
    return request
  end
end

--- Returns the base URL of a hostile server (spec/driver/hostile_servers.lua).
local function peer_of(host, name)
  return peers.url(host.directory) .. "/" .. name
end

--- Sends a GET to a hostile server, and returns the numbers and texts of the JSON object in the response, by name.
local function ask_peer(host, path)
  local driver, request = new_driver(host)
  local response = assert(driver.await(driver.send(request("", { url = peer_of(host, path) }))))
  local values = {}
  for name, text in tostring(response.body):gmatch '"(%w+)":"?([^",}]*)"?' do
    values[name] = tonumber(text) or text
  end
  driver.close()
  return values
end

--- Lets the host go on until `done()`.
local function wait_until(host, done, what)
  local ends = host.now() + patience
  while not done() do
    assert(host.now() < ends, "waited in vain until " .. what)
    host.sleep(0.002)
  end
end

--- Runs f(1) to f(count) concurrently, until all have ended.
local function concurrently(host, count, f)
  local ended = 0
  for index = 1, count do
    host.spawn(function()
      f(index)
      ended = ended + 1
    end)
  end
  wait_until(host, function() return ended == count end, "all coroutines have ended")
end

--- Returns a client with one connection to a server that responds to a list, and never to a request for its next page.
--- @return table runs
--- @return table client
--- @return function seen returns { requests, closed }: the numbers of requests for a next page, and of those whose
---   connections were closed
local function new_stalling(host)
  local name = new_id(host)
  local runs, client = new_at(host, peer_of(host, "stalls/" .. name), { max_connections = 1, timeout = long })
  return runs, client, function() return ask_peer(host, "stalls_seen/" .. name) end
end

--- Starts a walk and waits until its second page is requested.
local function start_walk(host, runs, seen)
  local it = runs.iter {}
  assert(it:next())
  wait_until(host, function() return seen().requests == 1 end, "the second page is requested")
  return it
end

--- Asserts that the request for the second page was cancelled: its connection was closed.
local function assert_cancelled(host, runs, seen)
  wait_until(host, function() return seen().closed == 1 end, "the connection is closed")
  assert(runs.list {})
end

--- Asserts that `f` takes at least so many seconds, and that it ends.
local function assert_ends_after(host, seconds, f)
  local began = host.now()
  f()
  local over = host.now() - began - seconds
  assert.is_true(over > -0.01, ("ended %g s early"):format(-over))
  assert.is_true(over < patience, ("ended %g s late"):format(over))
end

--- Collects garbage, also that which only finalizers release.
local function collect()
  for _ = 1, 3 do collectgarbage() end
end

local function ids_of(runs)
  local ids = {}
  for index, run in ipairs(runs) do ids[index] = run.id end
  return ids
end

-- ---- results -----------------------------------------------------------------------------------------

case("a list is the page that the server sent", function(host)
  local runs, client, requests = new(host, { runs = 30, seed = 7 })
  local page = assert(runs.list { limit = 10 })
  assert.equal(10, #page.data)
  assert.equal("string", type(page.data[1].lifecycle.status))
  assert.equal(page.data[10].id, page.list_metadata.after)
  assert.equal(requests()[1].request_id, page.request_id)
  assert.equal("10", requests()[1].args.limit)
  local following = assert(page:next())
  assert.equal(10, #following.data)
  assert.not_equal(page.data[1].id, following.data[1].id)
  assert.same(ids_of(page.data), ids_of(assert(following:prev()).data))
  assert.same({ requests = 3, retries = 0, connections = 1 }, {
    requests = client:stats().requests, retries = client:stats().retries, connections = client:stats().connections,
  })
  assert.is_true(client:stats().bytes > 3000)
  client:close()
end)

case("a walk returns every run once, in order, over one connection", function(host)
  local runs, client, requests = new(host, { runs = 1030 })
  local walked, seen = {}, {}
  local it = runs.iter { limit = 100 }
  local run = it:next()
  while run do
    assert.is_nil(seen[run.id])
    seen[run.id] = true
    walked[#walked + 1] = run.id
    run = it:next()
  end
  assert.equal(1030, #walked)
  assert.equal(walked[1030], it.cursor)
  local paged, pages = {}, runs.pages { limit = 100 }
  local page = pages:next()
  while page do
    for _, one in ipairs(page.data) do paged[#paged + 1] = one.id end
    page = pages:next()
  end
  assert.same(walked, paged)
  assert.equal(22, #requests())
  assert.equal(1, client:stats().connections)
  client:close()
end)

case("a for loop suspends its coroutine as a call does", function(host)
  needs_loops()
  local runs, client = new(host, { runs = 250, latency = 0.01 })
  local count, pages = 0, 0
  for _ in runs.iter {} do count = count + 1 end
  for page in runs.pages {} do pages = pages + (#page.data > 0 and 1 or 0) end
  assert.equal(250, count)
  assert.equal(3, pages)
  client:close()
end)

case("a for loop raises the error object of a failure", function(host)
  needs_loops()
  local runs, client = new(host, { runs = 250, fault = "status", code = 500, at = 2 })
  local count = 0
  local ok, err = pcall(function()
    for _ in runs.iter {} do count = count + 1 end
  end)
  assert.is_false(ok)
  assert.equal("server", err.kind)
  assert.equal(100, count)
  client:close()
end)

case("errors have the same kinds in every host", function(host)
  local kinds = {
    { "validation", { fault = "status", code = 422 } }, { "permission", { fault = "status", code = 403 } },
    { "rate_limit", { fault = "status", code = 429 } }, { "server", { fault = "status", code = 503 } },
    { "api", { fault = "redirect" } }, { "decode", { fault = "html" } }, { "decode", { fault = "body", body = "{" } },
    { "connection", { fault = "close" } }, { "connection", { fault = "garbage" } }, { "connection", { fault = "cut" } },
    { "authentication", {}, { api_key = "wrong" } }, { "too_large", { fault = "huge" }, { max_body_bytes = 100000 } },
    { "connection", {}, { base_url = "http://127.0.0.1:1" } },
    { "connection", {}, { base_url = "https://127.0.0.1:1" } },
    { "timeout", { fault = "stall" }, { timeout = 0.1 } }, { "timeout", { latency = 5 }, { timeout = 0.1 } },
  }
  for _, expected in ipairs(kinds) do
    local runs, client = new(host, expected[2], expected[3])
    local page, message, err = runs.list {}
    local what = ("%s: %s"):format(expected[2].fault or "no fault", tostring(message))
    assert.is_nil(page, what)
    assert.equal(expected[1], err.kind, what)
    assert.equal(1, err.attempts, what)
    assert.equal(message, err.message)
    client:close()
  end
end)

case("TLS is verified", function(host)
  local id = new_id(host)
  local client = retab.new {
    api_key = "sk_of_the_contract", base_url = host.tls_url .. scenario.encode { id = id }, driver = host.driver,
  }
  local page, _, err = client.workflows.experiments.runs.list {}
  assert.is_nil(page)
  assert.equal("tls", err.kind)
  assert.is_false(err.retryable)
  assert.equal(0, #journal.read(host.directory, id))
  client:close()
end)

-- ---- retries and time --------------------------------------------------------------------------------

case("a temporary failure is retried after the delay that the server names", function(host)
  local delays = {}
  local runs, client, requests = new(host, { fault = "status", code = 503, times = 2, retry_after_ms = "150" }, {
    max_retries = 2, on_retry = function(event) delays[#delays + 1] = event.delay end,
  })
  assert(runs.list {})
  assert.same({ 0.15, 0.15 }, delays)
  local arrived = requests()
  assert.equal(3, #arrived)
  for index = 2, 3 do assert.is_true(arrived[index].time - arrived[index - 1].time > 0.14) end
  assert.equal(2, client:stats().retries)
  client:close()
end)

case("a lost connection is retried", function(host)
  local runs, client = new(host, { fault = "close" }, { max_retries = 1 })
  assert(runs.list {})
  assert.equal(1, client:stats().retries)
  assert.equal(2, client:stats().connections)
  client:close()
end)

case("the timeout bounds a response that stalls", function(host)
  local runs, client = new(host, { fault = "stall", times = 0 }, { timeout = long })
  assert_ends_after(host, 0.2, function()
    local _, _, err = runs.list({}, { timeout = 0.2 })
    assert.equal("timeout", err.kind)
  end)
  client:close()
end)

case("the deadline ends a request under way, and no retry waits beyond it", function(host)
  local runs, client = new(host, { fault = "stall", times = 0 }, { max_retries = 5, timeout = long })
  assert_ends_after(host, 0.25, function()
    local _, _, err = runs.list({}, { deadline = 0.25 })
    assert.equal("timeout", err.kind)
    assert.equal(1, err.attempts)
  end)
  client:close()
  runs, client = new(host, { fault = "status", code = 503, times = 0, retry_after_ms = "700" }, { max_retries = 5 })
  assert_ends_after(host, 0.7, function()
    local _, _, err = runs.list({}, { deadline = 1.3 })
    assert.equal("server", err.kind)
    assert.equal(2, err.attempts)
  end)
  client:close()
end)

case("the timeout does not count the wait for a connection", function(host)
  local runs, client = new(host, { latency = 0.2 }, { max_connections = 1, timeout = 1 })
  concurrently(host, 7, function() assert(runs.list {}) end)
  client:close()
end)

-- ---- prefetched, and cancelled -----------------------------------------------------------------------

case("the next page is requested when a page arrives, but not with prefetch = 0", function(host)
  for prefetch, expected in pairs { [0] = 1, [1] = 2 } do
    local runs, client, requests = new(host, { runs = 300 })
    local it = runs.iter({}, { prefetch = prefetch })
    assert(it:next())
    wait_until(host, function() return #requests() == expected end, "the requests have arrived")
    assert(runs.list { limit = 1 })
    assert.equal(expected + 1, #requests())
    it:close()
    client:close()
  end
end)

case("each next page is requested while the reader is busy", function(host)
  needs_coroutines(host)
  local runs, client, requests = new(host, { runs = 400 })
  local it = runs.pages {}
  for page = 1, 3 do
    assert(it:next())
    wait_until(host, function() return #requests() == page + 1 end, "page " .. page + 1 .. " is requested")
  end
  it:close()
  client:close()
end)

case("closing a walk cancels what was prefetched", function(host)
  local runs, client, seen = new_stalling(host)
  local it = start_walk(host, runs, seen)
  collectgarbage "stop" -- which would cancel it too
  it:close()
  it:close()
  assert.is_nil((it:next()))
  assert_cancelled(host, runs, seen)
  collectgarbage "restart"
  client:close()
end)

case("a queued call gets the connection of a cancelled one", function(host)
  needs_coroutines(host)
  local runs, client, seen = new_stalling(host)
  local it = start_walk(host, runs, seen)
  local page
  host.spawn(function() page = assert(runs.list {}) end)
  assert.is_nil(page)
  it:close()
  wait_until(host, function() return page end, "the page is there")
  client:close()
end)

case("a walk without references is collected, and what it prefetched is cancelled", function(host)
  local runs, client, seen = new_stalling(host)
  local weak = setmetatable({}, { __mode = "k" })
  weak[start_walk(host, runs, seen)] = true
  collect()
  assert.is_nil((next(weak)))
  assert_cancelled(host, runs, seen)
  client:close()
end)

case("breaking out of a loop cancels what was prefetched at once", function(host)
  needs(coroutine.close, "this Lua has no to-be-closed variables")
  local runs, client, seen = new_stalling(host)
  collectgarbage "stop"
  for _ in runs.iter {} do
    wait_until(host, function() return seen().requests == 1 end, "the second page is requested")
    break
  end
  assert_cancelled(host, runs, seen)
  collectgarbage "restart"
  client:close()
end)

case("closing a client ends its calls as cancelled", function(host)
  needs_coroutines(host)
  local runs, client, requests = new(host, { fault = "stall", times = 0 }, { max_connections = 2, timeout = long })
  local failures, count, it = {}, 0, runs.iter {}
  for index = 1, 4 do -- two of them wait for a connection
    host.spawn(function()
      local outcome = index == 1 and { it:next() } or { runs.list {} }
      failures[index], count = outcome[3].kind .. ": " .. outcome[2], count + 1 -- in any order
    end)
  end
  wait_until(host, function() return #requests() == 2 end, "two requests have arrived")
  assert.same({}, failures)
  client:close()
  wait_until(host, function() return count == 4 end, "all calls have ended")
  for index = 1, 4 do assert.equal("cancelled: client is closed", failures[index]) end
  client:close()
end)

case("closing a client between two attempts ends the call as cancelled", function(host)
  needs_coroutines(host)
  local kind, delay
  local runs, client = new(host, { fault = "status", code = 503, times = 0, retry_after_ms = "60000" }, {
    max_retries = 3, on_retry = function(event) delay = event.delay end,
  })
  host.spawn(function()
    local _, _, err = runs.list {}
    kind = err.kind
  end)
  wait_until(host, function() return delay end, "the first attempt has failed")
  assert.equal(60, delay)
  client:close()
  wait_until(host, function() return kind end, "the call has ended")
  assert.equal("cancelled", kind)
end)

case("a call on a closed client raises", function(host)
  local runs, client = new(host, { runs = 300 })
  local it = runs.iter {}
  assert(it:next())
  client:close()
  for _, f in ipairs { runs.list, runs.iter, runs.pages, function() client:spawn(print) end } do
    local ok, message = pcall(f, {})
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find("client is closed", 1, true))
  end
end)

case("a walk that another coroutine closes stops waiting", function(host)
  needs_coroutines(host)
  local runs, client, requests = new(host, { fault = "stall", times = 0 }, { timeout = long })
  local it, ended, run, err = runs.iter {}, false, nil, nil
  host.spawn(function()
    local _
    run, _, err = it:next()
    ended = true
  end)
  wait_until(host, function() return #requests() == 1 end, "the request has arrived")
  it:close()
  wait_until(host, function() return ended end, "the step has ended")
  assert.is_nil(run)
  assert.equal("cancelled", err.kind)
  client:close()
end)

-- ---- create and wait ---------------------------------------------------------------------------------

case("a create whose connection is cut at any byte is sent once, and its error says what to look up", function(host)
  local cuts = ask_peer(host, "cuts")
  local runs, client = new_at(host, cuts.url, { max_retries = 2, timeout = patience })
  local sent, created = 0, 0
  repeat
    concurrently(host, host.alone and 1 or 8, function()
      sent = sent + 1
      local run, message, err = runs.create { experiment_id = "exp_1" }
      if run then
        assert.equal("run_new", run.id)
        created = created + 1
        return
      end
      assert.equal("connection", err.kind, message)
      assert.is_false(err.retryable, message)
      assert.equal(1, err.attempts)
      assert.is_truthy(message:find("list the runs of the experiment", 1, true), message)
    end)
  until created > 0
  local seen = ask_peer(host, "cuts_seen/" .. cuts.number)
  assert.equal(sent, seen.connections)
  assert.equal(1, seen.most)
  assert.is_true(seen.keys >= created and seen.keys < sent)
  client:close()
end)

case("a create that is refused with 429 is sent again, with the same Idempotency-Key", function(host)
  local runs, client, requests = new(host, {
    fault = "status", code = 429, on = "create", times = 2, retry_after_ms = "5", idempotency = false,
  }, { max_retries = 2 })
  local run = assert(runs.create { experiment_id = "exp_0" })
  local arrived = requests()
  assert.equal(3, #arrived)
  for index = 1, 3 do
    assert.equal("POST", arrived[index].method)
    assert.equal(arrived[1].headers["idempotency-key"], arrived[index].headers["idempotency-key"])
  end
  assert.is_truthy(arrived[1].headers["idempotency-key"]:find "^%x+%-%x+%-4%x+%-")
  assert.equal(run.id, assert(runs.list { limit = 1 }).data[1].id)
  client:close()
end)

case("a create that no server receives is tried again, and its error is retryable", function(host)
  local runs, client = new_at(host, "http://127.0.0.1:1", { max_retries = 1 })
  local run, message, err = runs.create { experiment_id = "exp_0" }
  assert.is_nil(run)
  assert.equal("connection", err.kind)
  assert.equal(2, err.attempts)
  assert.is_true(err.retryable)
  assert.is_nil(message:find("list the runs", 1, true))
  client:close()
end)

case("a POST uses no connection that was kept", function(host)
  local runs, client, requests = new(host)
  for _ = 1, 2 do
    assert(runs.list {})
    assert(runs.create { experiment_id = "exp_0" })
  end
  local arrived, seen = requests(), {}
  for _, one in ipairs(arrived) do
    if one.method == "POST" then assert.is_nil(seen[one.connection]) end
    seen[one.connection] = true
  end
  assert.equal(4, #arrived)
  client:close()
end)

case("wait suspends its coroutine only, and reports each change once", function(host)
  local runs, client, requests = new(host, { documents = 4, looks = 30 })
  local id = assert(runs.create { experiment_id = "exp_0" }).id
  local seen, ticks, run = {}, 0, nil
  host.spawn(function()
    run = assert(runs.wait(id, { interval = 0.01, on_update = function(now)
      seen[#seen + 1] = table.concat({
        now.lifecycle.status, tostring(now.total_document_count), tostring(now.completed_document_count),
        tostring(now.document_count), tostring(now.error_count),
      }, " ")
    end }))
  end)
  wait_until(host, function()
    ticks = ticks + 1
    return run
  end, "the run has ended")
  assert.equal("completed", run.lifecycle.status)
  assert.equal("completed", seen[#seen]:match "^%a+")
  for index = 2, #seen do assert.not_equal(seen[index - 1], seen[index]) end
  assert.is_true(#requests() > #seen + 2, #requests() .. " requests") -- most responses had no change
  if not host.alone then assert.is_true(ticks > 4, ticks .. " ticks") end
  client:close()
end)

case("wait goes on after 429 and 503, and obeys the delays that the server names", function(host)
  for _, code in ipairs { 429, 503 } do
    local runs, client, requests = new(host, {
      fault = "status", code = code, on = "get", at = 2, times = 2, retry_after_ms = "60",
    })
    local id = assert(runs.create { experiment_id = "exp_0" }).id
    assert.equal("completed", assert(runs.wait(id, { interval = 0.001 })).lifecycle.status)
    local arrived = requests()
    assert.equal(6, #arrived)
    for index = 4, 5 do assert.is_true(arrived[index].time - arrived[index - 1].time > 0.055) end
    client:close()
  end
end)

case("the deadline of wait ends a request under way", function(host)
  local runs, client = new(host, { fault = "stall", on = "get", at = 2, times = 0 }, { timeout = long })
  local id = assert(runs.create { experiment_id = "exp_0" }).id
  assert_ends_after(host, 0.25, function()
    local run, _, err = runs.wait(id, { deadline = 0.25, interval = 0.01 })
    assert.is_nil(run)
    assert.equal("timeout", err.kind)
  end)
  client:close()
end)

case("wait ends at once when the client is closed, between two requests and during one", function(host)
  needs_coroutines(host)
  for _, conditions in ipairs { { looks = 100 }, { fault = "stall", on = "get", times = 0 } } do
    local runs, client, requests = new(host, conditions, { timeout = long })
    local id = assert(runs.create { experiment_id = "exp_0" }).id
    local has_looked, err
    host.spawn(function()
      local _
      _, _, err = runs.wait(id, { interval = long, on_update = function() has_looked = true end })
    end)
    wait_until(host, function()
      return #requests() == 2 and (conditions.fault or has_looked)
    end, "the first response is there, or stalls")
    assert.is_nil(err)
    client:close()
    wait_until(host, function() return err end, "the wait has ended")
    assert.equal("cancelled", err.kind)
    assert.equal("client is closed", err.message)
  end
end)

-- ---- many at once ------------------------------------------------------------------------------------

--- Sends 50 lists, each with another page size.
local function list_fifty(host, runs)
  local right = 0
  concurrently(host, 50, function(index)
    local page = assert(runs.list { limit = index })
    assert.equal(index, #page.data)
    assert.equal(index, #ids_of(page.data))
    right = right + 1
  end)
  assert.equal(50, right)
end

case("50 concurrent calls each get their own page, over 8 connections", function(host)
  local runs, client, requests = new(host, { runs = 100, latency = host.alone and 0 or 0.02 })
  list_fifty(host, runs)
  local connections, count = {}, 0
  for _, request in ipairs(requests()) do
    count = count + (connections[request.connection] and 0 or 1)
    connections[request.connection] = true
  end
  assert.equal(50, #requests())
  assert.equal(host.alone and 1 or 8, count)
  assert.equal(count, client:stats().connections)
  assert.equal(50, client:stats().requests)
  client:close()
end)

case("50 concurrent calls are under way at once, over 50 connections", function(host)
  needs_coroutines(host)
  local together = peer_of(host, ("together/%s/50"):format(new_id(host))) -- responds when 50 requests are there
  local runs, client = new_at(host, together, { max_connections = 64, timeout = long })
  concurrently(host, 50, function(index)
    assert.equal("run_" .. index, assert(runs.list { limit = index }).data[1].id)
  end)
  assert.equal(50, client:stats().connections)
  client:close()
end)

case("two clients wait concurrently", function(host)
  local one, first = new(host, { runs = 5, latency = 0.05 })
  local other, second = new(host, { runs = 9, latency = 0.05 })
  concurrently(host, 10, function(index)
    local page = assert((index % 2 == 0 and one or other).list {})
    assert.equal(index % 2 == 0 and 5 or 9, #page.data)
  end)
  first:close()
  second:close()
end)

case("a coroutine that reads responses which have arrived does not hold up the others", function(host)
  needs_coroutines(host)
  local driver, request = new_driver(host, { max_connections = 50 })
  local base = host.url .. scenario.encode { id = new_id(host), runs = 1 }
  local tickets = {}
  for index = 1, 200 do tickets[index] = driver.send(request(base)) end
  wait_until(host, function()
    for index = 1, 200 do
      if not driver.ready(tickets[index]) then return false end
    end
    return true
  end, "all responses are there")
  local read, turns = 0, 0
  host.spawn(function()
    for index = 1, 200 do
      assert.equal(200, driver.await(tickets[index]).status)
      local began = host.now()
      repeat until host.now() - began > 0.0002 -- the decoding of a page
      read = index
    end
  end)
  wait_until(host, function()
    turns = turns + 1
    return read == 200
  end, "all responses are read")
  assert.is_true(turns > 4, turns .. " turns")
  driver.close()
end)

-- ---- hostile servers ---------------------------------------------------------------------------------

case("the method and the body of a request reach the server", function(host)
  local driver, request = new_driver(host)
  for _, sent in ipairs { { "POST", "of 9 byte" }, { "POST", "" }, { "GET" }, { "POST" } } do
    local ticket = assert(driver.send(request(peer_of(host, "echo"), { method = sent[1], body = sent[2] })))
    local response, err = driver.await(ticket)
    local body = tostring(response and response.body or err.message)
    local echoed = ('"method":"%s","body":"%s"'):format(sent[1], sent[2] or "")
    assert.is_truthy(body:find(echoed, 1, true), sent[1] .. ": " .. body)
  end
  driver.close()
end)

case("the timeout bounds a header and a body that arrive slowly", function(host)
  for _, name in ipairs { "header_drips", "body_drips", "chunk_drips", "unsized_drips" } do
    local runs, client = new_at(host, peer_of(host, name), { timeout = long })
    assert_ends_after(host, 0.3, function()
      local page, _, err = runs.list({}, { timeout = 0.3 })
      assert.is_nil(page)
      assert.equal("timeout", err.kind)
    end)
    client:close()
  end
end)

case("an endless header is refused", function(host)
  for name, kinds in pairs { endless_header = { too_large = true },
      endless_line = { too_large = true, connection = true } } do -- libcurl has its own limit for a line
    local runs, client = new_at(host, peer_of(host, name))
    local page, message, err = runs.list {}
    assert.is_nil(page)
    assert.is_true(kinds[err.kind], name .. ": " .. message)
    client:close()
  end
end)

case("an endless body is refused beyond max_body_bytes", function(host)
  local runs, client = new_at(host, peer_of(host, "endless_body"), { max_body_bytes = 100000 })
  local page, _, err = runs.list {}
  assert.is_nil(page)
  assert.equal("too_large", err.kind)
  client:close()
end)

case("a response that goes wrong at any byte ends its request, and does not disturb others", function(host)
  local kinds = { closed = "connection", reset = "connection", stalled = "timeout" }
  local possible = { connection = true, timeout = true, decode = true, too_large = true }
  local driver, request = new_driver(host, { max_connections = 64 })
  local function send(path, timeout)
    return assert(driver.send(request("", { url = peer_of(host, path), timeout = timeout, expires = patience })))
  end
  for response, length in pairs { sized = 94, chunked = 128 } do -- libcurl does not need the last byte of the chunks
    for _, how in ipairs { "closed", "reset", "stalled", "altered" } do
      local tickets = {}
      for count = 0, length - 1 do
        local path = ("mangled/%s/%s/%d"):format(response, how, count)
        tickets[count] = send(path, kinds[how] == "connection" and 10 or 0.3)
      end
      for count = 0, length - 1 do
        local got, err = driver.await(tickets[count])
        local what = ("%s, %s after %d bytes: %s"):format(response, how, count, got and "a response" or err.message)
        if how == "altered" then
          assert.is_true(got ~= nil or possible[err.kind], what)
        else
          assert.is_nil(got, what)
          assert.equal(kinds[how], err.kind, what)
        end
      end
      for index = 1, 64 do tickets[index] = send("path/" .. index) end
      for index = 1, 64 do
        local got, err = driver.await(tickets[index])
        assert.equal("/path/" .. index, tostring(got and got.body or err.message))
      end
    end
  end
  driver.close()
end)

case("interim responses are skipped", function(host)
  local driver, request = new_driver(host)
  local response = driver.await(driver.send(request(peer_of(host, "interim"))))
  assert.equal(200, response.status)
  for name in pairs(headers.read(response.headers)) do assert.is_nil(name:lower():find "interim") end
  assert.is_truthy(tostring(response.body):find("run_1", 1, true))
  driver.close()
end)

case("a connection that breaks in the TLS handshake is a failure of the connection", function(host)
  local runs, client = new_at(host, (peer_of(host, ""):gsub("^http:", "https:")))
  local page, message, err = runs.list {}
  assert.is_nil(page)
  assert.equal("connection", err.kind, message)
  client:close()
end)

case("no timeout counts the time in which the caller works", function(host)
  needs(host.driver ~= "resty", "nginx's configuration names the certificates")
  local id = new_id(host)
  local runs, client = new_at(host, host.tls_url .. scenario.encode { id = id, runs = 3 }, {
    connect_timeout = 0.8, timeout = 0.8, ca_file = host.directory .. "/ca.crt",
    headers = { Connection = "close" }, -- every page needs a new connection
  })
  local it = runs.iter { limit = 1 }
  for number = 1, 3 do
    local run, message = it:next()
    assert.is_table(run, ("page %d: %s"):format(number, tostring(message)))
    local ends = host.now() + 1
    repeat until host.now() > ends
  end
  assert.is_nil((it:next()))
  local connections = {}
  for index, request in ipairs(journal.read(host.directory, id)) do connections[index] = request.connection end
  assert.equal(3, #connections)
  assert.not_equal(connections[1], connections[2])
  client:close()
end)

-- ---- clients that end --------------------------------------------------------------------------------

case("clients that are dropped, in any order, disturb no other client", function(host)
  local state = 11
  local function random(most)
    state = state * 16807 % 2147483647
    return state % most + 1
  end
  local clients = {}
  local function add()
    local runs, client = new(host, { runs = 3 }, { timeout = 3 })
    assert.equal(3, #assert(runs.list {}).data)
    clients[#clients + 1] = { runs = runs, client = client }
  end
  for round = 1, 30 do
    add()
    if #clients > 3 then
      local one = table.remove(clients, random(#clients))
      if round % 3 == 0 then one.client:close() end
    end
    if random(2) == 1 then collect() end
    for _, one in ipairs(clients) do assert.equal(3, #assert(one.runs.list {}).data) end
  end
  for _, one in ipairs(clients) do one.client:close() end
end)

case("clients that are dropped with requests under way disturb no other client", function(host)
  for _ = 1, 10 do
    local it = new(host, { runs = 300, fault = "stall", at = 2 }).iter { limit = 1 }
    assert(it:next())
    it = nil -- luacheck: ignore 311
    collect()
    local runs, client = new(host, { runs = 3 }, { timeout = 3 })
    assert.equal(3, #assert(runs.list {}).data)
    client:close()
  end
end)

case("a call that is abandoned holds up no other call", function(host)
  needs(host.abandon, "nothing abandons a coroutine in this host")
  local runs, client, requests = new(host, { runs = 3, fault = "stall", times = 1 }, {
    max_connections = 2, timeout = long,
  })
  host.abandon(function() runs.list {} end, function() return #requests() == 1 end)
  collect()
  concurrently(host, 4, function() assert.equal(3, #assert(runs.list {}).data) end)
  client:close()
end)

case("closing a driver ends its waits, and it sends nothing afterwards", function(host)
  local driver, request = new_driver(host)
  local id = new_id(host)
  local stalled = request(host.url .. scenario.encode { id = id, runs = 3, fault = "stall", times = 0 })
  local function assert_closed(result, err)
    assert.is_nil(result)
    assert.equal("cancelled", err.kind)
    assert.equal("client is closed", err.message)
  end
  local ticket, ended = driver.send(stalled), host.alone
  if not host.alone then
    local awaited = driver.send(stalled)
    host.spawn(function()
      assert_closed(driver.await(awaited))
      ended = true
    end)
    wait_until(host, function() return #journal.read(host.directory, id) == 2 end, "the requests have arrived")
    driver.close()
    wait_until(host, function() return ended end, "the wait has ended")
  end
  driver.close()
  assert_closed(driver.await(ticket))
  assert_closed(driver.send(stalled))
end)

case("a hook may close the client, which ends the call as cancelled", function(host)
  for _, hook in ipairs { "on_request", "on_retry" } do
    local runs, client
    runs, client = new(host, { fault = "status", code = 503, times = 0 }, {
      max_retries = 3, [hook] = function() client:close() end,
    })
    local page, message, err = runs.list {}
    assert.is_nil(page)
    assert.equal("cancelled", err.kind, hook)
    assert.equal("client is closed", message)
  end
end)

-- ---- spawn, and errors -------------------------------------------------------------------------------

case("client:spawn calls a function, which may wait, with its arguments", function(host)
  local runs, client = new(host, { runs = 3, latency = 0.05 })
  local results, ended = {}, 0
  for index = 1, 4 do
    client:spawn(function(given, none, last)
      assert.is_nil(none)
      assert.equal("last", last)
      results[given] = #assert(runs.list {}).data
      ended = ended + 1
    end, index, nil, "last")
  end
  wait_until(host, function() return ended == 4 end, "the functions have ended")
  assert.same({ 3, 3, 3, 3 }, results)
  client:close()
end)

case("an error in a spawned function is reported with its traceback and stops nothing else", function(host)
  local runs, client = new(host, { runs = 3, latency = 0.05 })
  host.reported()
  local function fails_at_this_name(page)
    error("the spawned " .. #page.data)
  end
  local ended = 0
  client:spawn(function()
    fails_at_this_name(assert(runs.list {}))
  end)
  client:spawn(function()
    assert(runs.list {})
    ended = ended + 1
  end)
  wait_until(host, function() return ended == 1 end, "the other function has ended")
  local text = ""
  wait_until(host, function()
    text = text .. host.reported()
    return text:find("the spawned 3", 1, true)
  end, "the error was reported")
  assert.is_truthy(text:find("stack traceback", 1, true), text)
  assert.is_truthy(text:find("fails_at_this_name", 1, true), text)
  client:close()
end)

case("pcall returns an error that is raised after a wait", function(host)
  needs_loops()
  local runs, client = new(host, { runs = 3, latency = 0.02 })
  local ok, message = pcall(function()
    assert(runs.list {})
    error("mine", 0)
  end)
  assert.is_false(ok)
  assert.equal("mine", message)
  client:close()
end)

case("a coroutine that other code resumes goes on waiting", function(host)
  needs(host.raw, "only the host resumes its coroutines")
  local together = peer_of(host, ("together/%s/2"):format(new_id(host))) -- responds when 2 requests are there
  local runs, client = new_at(host, together)
  local page
  local thread = coroutine.create(function() page = assert(runs.list { limit = 1 }) end)
  assert(coroutine.resume(thread))
  for _ = 1, 5 do
    host.sleep(0.01)
    assert(coroutine.resume(thread))
    assert.is_nil(page)
  end
  assert(runs.list { limit = 2 })
  wait_until(host, function() return page end, "the page is there")
  assert.equal("run_1", page.data[1].id)
  client:close()
end)

case("a coroutine that other code resumes when its response is there is not resumed a second time", function(host)
  needs(host.raw, "only the host resumes its coroutines")
  local runs, client = new(host, { runs = 3, fault = "status", code = 503, times = 0, retry_after_ms = "5" })
  for _ = 1, 20 do
    local listed, again = false, false
    local thread = coroutine.create(function()
      runs.list({}, { max_retries = 1 })
      listed = true
      coroutine.yield()
      again = true
    end)
    assert(coroutine.resume(thread))
    local ends = host.now() + patience
    while not listed do
      host.sleep(0.001)
      if not listed then assert(coroutine.resume(thread)) end
      assert(host.now() < ends)
    end
    host.sleep(0.005)
    assert.is_false(again)
  end
  client:close()
end)

--- Returns the environment of the spec file that calls this, in which busted puts `pending`: it ends a running case.
local function environment()
  local compatibility = require "busted.compatibility"
  local level = 2
  while debug.getinfo(level, "f") do
    local found = compatibility.getfenv(debug.getinfo(level, "f").func)
    if type(found) == "table" and found.pending then return found end
    level = level + 1
  end
end

--- Registers the cases with busted. `run(case, number)` runs one, and raises an error if it failed.
function contract.describe(name, run)
  local busted, spec = require "busted", environment()
  busted.describe("the driver " .. name, function()
    busted.setup(function() peers.start(require "spec.simulator".shared().directory) end)
    for number, one in ipairs(cases) do
      busted.it(one.name, function()
        local ok, problem = pcall(run, one, number)
        if ok then return end
        local reason = tostring(problem):match(pending_mark .. "([^\n]*)")
        if reason then spec.pending(reason) end
        error(problem, 0)
      end)
    end
  end)
end

--- Runs the cases in this process.
function contract.describe_here(name, host)
  local server = require "spec.simulator".shared()
  host.url, host.tls_url, host.directory = server.url, server.tls_url, server.directory
  host.prefix = "contract_" .. name
  contract.describe(name, function(one)
    host.run(function() one.run(host) end)
  end)
end

return contract
