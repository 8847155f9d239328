--- What every driver must mean the same, as cases that run in any host (spec/driver/host.lua), be it this process, an
--- nginx worker or Neovim. A case is a name and a function of the host, which knows the simulator's url and directory.
local assert = require "luassert"
local journal = require "spec.simulator.journal"
local retab = require "retab"
local scenario = require "spec.simulator.scenario"

local contract = {}

local cases = {}
contract.cases = cases

local function case(name, f)
  cases[#cases + 1] = { name = name, run = f }
end

--- What a busy machine may add to a time that is asserted, in seconds, at the best of some tries.
local late = 0.1

--- A spec that waits for longer than this waits in vain.
local patience = 20

--- Whether a for loop may wait: PUC 5.1 can't yield out of an iterator.
local loops_wait = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local function id_of(host)
  host.scenarios = (host.scenarios or 0) + 1
  return ("%s_%d_%d"):format(host.prefix, host.number or 0, host.scenarios)
end

--- A client of the host's driver, where the simulator behaves so.
--- @return table runs
--- @return table client
--- @return function requests what arrived, as spec.simulator tells it
local function new(host, conditions, options)
  local id = id_of(host)
  local chosen = { id = id }
  for name, value in pairs(conditions or {}) do chosen[name] = value end
  local given = {
    api_key = "sk_of_the_contract", base_url = host.url .. scenario.encode(chosen), driver = host.driver,
    max_retries = 0, timeout = 10,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, client, function() return journal.read(host.directory, id) end
end

--- Lets the host go on until `done`.
local function wait_until(host, done, what)
  local ends = host.now() + patience
  while not done() do
    assert(host.now() < ends, "waited in vain until " .. what)
    host.sleep(0.002)
  end
end

--- Runs f(1) to f(count) beside each other, until all have ended.
local function beside(host, count, f)
  local ended = 0
  for index = 1, count do
    host.spawn(function()
      f(index)
      ended = ended + 1
    end)
  end
  wait_until(host, function() return ended == count end, "all coroutines have ended")
end

--- That `f` takes so many seconds: a busy machine gets some tries to be in time, an early end none.
local function assert_takes(host, seconds, f)
  local over
  for _ = 1, 4 do
    local began = host.now()
    f()
    over = host.now() - began - seconds
    assert.is_true(over > -0.01, ("ended %g s early"):format(-over))
    if over < late then return end
  end
  error(("%g s too late, at the best of some tries"):format(over))
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

case("a walk gives every run once, in order, over one connection", function(host)
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

case("a for loop waits as a call does", function(host)
  if not loops_wait then return end
  local runs, client = new(host, { runs = 250, latency = 0.01 })
  local count, pages = 0, 0
  for _ in runs.iter {} do count = count + 1 end
  for page in runs.pages {} do pages = pages + (#page.data > 0 and 1 or 0) end
  assert.equal(250, count)
  assert.equal(3, pages)
  client:close()
end)

case("a failure is raised out of the loop as the error object", function(host)
  if not loops_wait then return end
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

case("the errors are of the same kinds", function(host)
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
  local id = id_of(host)
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

case("a failure that may pass is tried again, as late as the server says", function(host)
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

case("a lost connection is tried again", function(host)
  local runs, client = new(host, { fault = "close" }, { max_retries = 1 })
  assert(runs.list {})
  assert.equal(1, client:stats().retries)
  assert.equal(2, client:stats().connections)
  client:close()
end)

case("a timeout is held", function(host)
  local runs, client = new(host, { fault = "stall", times = 0 })
  assert_takes(host, 0.2, function()
    local _, _, err = runs.list({}, { timeout = 0.2 })
    assert.equal("timeout", err.kind)
  end)
  client:close()
end)

case("a deadline cuts a transfer, and begins no wait that would pass it", function(host)
  local runs, client = new(host, { latency = 5 }, { max_retries = 5 })
  assert_takes(host, 0.25, function()
    local _, _, err = runs.list({}, { deadline = 0.25 })
    assert.equal("timeout", err.kind)
    assert.equal(1, err.attempts)
  end)
  client:close()
  runs, client = new(host, { fault = "status", code = 503, times = 0, retry_after_ms = "300" }, { max_retries = 5 })
  assert_takes(host, 0.3, function()
    local _, _, err = runs.list({}, { deadline = 0.5 })
    assert.equal("server", err.kind)
    assert.equal(2, err.attempts)
  end)
  client:close()
end)

case("a timeout counts from the connection, not from the queue for one", function(host)
  local runs, client = new(host, { latency = 0.2 }, { max_connections = 1, timeout = 0.5 })
  beside(host, 5, function() assert(runs.list {}) end)
  client:close()
end)

-- ---- ahead, and given up -----------------------------------------------------------------------------

case("the next page is asked for when one arrives, and none with prefetch 0", function(host)
  for prefetch, expected in pairs { [0] = 1, [1] = 2 } do
    local runs, client, requests = new(host, { runs = 300 })
    local it = runs.iter({}, { prefetch = prefetch })
    assert(it:next())
    if host.alone then
      assert(runs.list { limit = 1 }) -- what was sent goes on while something is waited for
      expected = expected + 1
    end
    wait_until(host, function() return #requests() >= expected end, "the requests have arrived")
    host.sleep(0.05)
    assert.equal(expected, #requests())
    it:close()
    client:close()
  end
end)

case("the next page is on its way while the reader is busy", function(host)
  if host.alone then return end
  local runs, client = new(host, { runs = 400, latency = 0.1 })
  local began, it = host.now(), runs.pages {}
  for _ = 1, 4 do
    assert(it:next())
    host.sleep(0.1)
  end
  assert.is_true(host.now() - began < 0.75) -- one after the other: 0.8
  client:close()
end)

case("closing a walk cancels what was sent ahead", function(host)
  local runs, client, requests = new(host, { runs = 300, fault = "stall", at = 2 }, { max_connections = 1 })
  local it = runs.iter {}
  assert(it:next())
  if not host.alone then wait_until(host, function() return #requests() == 2 end, "the second page stalls") end
  it:close()
  it:close()
  assert.is_nil((it:next()))
  local began = host.now()
  assert(runs.list {}) -- there is one connection: it is free, or this waits for a minute
  assert.is_true(host.now() - began < 5)
  client:close()
end)

case("a call that waits for a connection gets that of one that is given up", function(host)
  if host.alone then return end
  local runs, client, requests = new(host, { runs = 300, fault = "stall", at = 2, times = 1 }, { max_connections = 1 })
  local it = runs.iter {}
  assert(it:next())
  wait_until(host, function() return #requests() == 2 end, "the second page stalls")
  local count
  host.spawn(function() count = #assert(runs.list { limit = 3 }).data end)
  host.sleep(0.02)
  it:close()
  local began = host.now()
  wait_until(host, function() return count end, "the list is there")
  assert.equal(3, count)
  assert.is_true(host.now() - began < 5)
  client:close()
end)

case("a walk that nobody has any more is collected, and what it sent ahead is cancelled", function(host)
  local runs, client, requests = new(host, { runs = 300, fault = "stall", at = 2 }, { max_connections = 1 })
  local weak = setmetatable({}, { __mode = "k" })
  do
    local it = runs.iter {}
    assert(it:next())
    if not host.alone then wait_until(host, function() return #requests() == 2 end, "the second page stalls") end
    weak[it] = true
  end
  collectgarbage()
  collectgarbage()
  assert.is_nil((next(weak)))
  local began = host.now()
  assert(runs.list {})
  assert.is_true(host.now() - began < 5)
  client:close()
end)

case("breaking out of a loop cancels what was sent ahead, at once", function(host)
  if _VERSION ~= "Lua 5.4" then return end
  local runs, client, requests = new(host, { runs = 300, fault = "stall", at = 2 }, { max_connections = 1 })
  collectgarbage "stop"
  for _ in runs.iter {} do
    if not host.alone then wait_until(host, function() return #requests() == 2 end, "the second page stalls") end
    break
  end
  local began = host.now()
  assert(runs.list {})
  collectgarbage "restart"
  assert.is_true(host.now() - began < 5)
  client:close()
end)

case("a client that is closed meanwhile gives up its calls as cancelled", function(host)
  if host.alone then return end
  local runs, client = new(host, { latency = 15 }, { max_connections = 2, timeout = 60 })
  local kinds, it = {}, runs.iter {}
  for index = 1, 4 do -- two of them wait for a connection
    host.spawn(function()
      local outcome = index == 1 and { it:next() } or { runs.list {} }
      kinds[index] = outcome[3].kind
    end)
  end
  host.sleep(0.1)
  assert.same({}, kinds)
  local began = host.now()
  client:close()
  wait_until(host, function() return #kinds == 4 end, "all calls have ended")
  assert.same({ "cancelled", "cancelled", "cancelled", "cancelled" }, kinds)
  assert.is_true(host.now() - began < 2)
  client:close()
end)

case("a client that is closed between two tries ends the call", function(host)
  if host.alone then return end
  local kind
  local runs, client = new(host, { fault = "status", code = 503, times = 0, retry_after_ms = "300" },
    { max_retries = 3 })
  host.spawn(function()
    local _, _, err = runs.list {}
    kind = err.kind
  end)
  host.sleep(0.15)
  client:close()
  wait_until(host, function() return kind end, "the call has ended")
  assert.equal("cancelled", kind)
end)

case("a closed client raises at the caller's line", function(host)
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

case("a walk that is closed by somebody else stops waiting", function(host)
  if host.alone then return end
  local runs, client = new(host, { latency = 15 }, { timeout = 60 })
  local it, ended, run, err = runs.iter {}, false, nil, nil
  host.spawn(function()
    local _
    run, _, err = it:next()
    ended = true
  end)
  host.sleep(0.1)
  it:close()
  wait_until(host, function() return ended end, "the step has ended")
  assert.is_nil(run)
  assert.equal("cancelled", err.kind)
  client:close()
end)

-- ---- many at once ------------------------------------------------------------------------------------

--- 50 lists, each of another size.
local function list_fifty(host, runs)
  local right = 0
  beside(host, 50, function(index)
    local page = assert(runs.list { limit = index })
    assert.equal(index, #page.data)
    assert.equal(index, #ids_of(page.data))
    right = right + 1
  end)
  assert.equal(50, right)
end

case("50 calls on one client each get their own page, over 8 connections", function(host)
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

case("50 calls with connections enough take hardly longer than one", function(host)
  if host.alone then return end
  local runs, client = new(host, { runs = 100, latency = 0.3 }, { max_connections = 64 })
  local began = host.now()
  list_fifty(host, runs)
  assert.is_true(host.now() - began < 1.5) -- one after the other: 15
  assert.equal(50, client:stats().connections)
  client:close()
end)

case("two clients wait beside each other", function(host)
  local one, first = new(host, { runs = 5, latency = 0.05 })
  local other, second = new(host, { runs = 9, latency = 0.05 })
  beside(host, 10, function(index)
    local page = assert((index % 2 == 0 and one or other).list {})
    assert.equal(index % 2 == 0 and 5 or 9, #page.data)
  end)
  first:close()
  second:close()
end)

--- A driver of the host's, over a network whose every answer is there at once.
local function new_driver_without_waits(module)
  local kept = { [module] = package.loaded[module], ["retab.curl"] = package.loaded["retab.curl"] }
  local transfer = {
    id = function() return 1 end, done = function() return true end, result = function() return { status = 200 } end,
  }
  local function nothing() end
  local pool = { send = function() return transfer end }
  for _, name in ipairs { "step", "timeout", "descriptor", "finished", "close" } do pool[name] = nothing end
  package.loaded["retab.curl"] = { pool = function() return pool end, clock = require "retab.curl".clock }
  package.loaded[module] = nil
  local driver = require(module).new { max_connections = 1 }
  for name, value in pairs(kept) do package.loaded[name] = value end
  return driver
end

case("answers that are there at once hold up nobody", function(host)
  if host.alone or host.driver == "resty" then return end -- whose every answer comes from another light thread
  local driver = new_driver_without_waits("retab.driver." .. (host.driver or "luv"))
  local ended, turns = false, 0
  host.spawn(function()
    local ends = host.now() + 0.2
    repeat
      local began = host.now()
      driver.await(driver.send {})
      repeat until host.now() - began > 0.0002 -- the reading of a page
    until host.now() > ends
    ended = true
  end)
  wait_until(host, function()
    turns = turns + 1
    return ended
  end, "the walk has ended")
  assert.is_true(turns > 10, turns .. " turns")
  driver.close()
end)

-- ---- spawn, and errors -------------------------------------------------------------------------------

case("client:spawn runs a function with its arguments, which may wait", function(host)
  local runs, client = new(host, { runs = 3, latency = 0.05 })
  local results = {}
  for index = 1, 4 do
    client:spawn(function(given, none, last)
      assert.is_nil(none)
      assert.equal("last", last)
      results[given] = #assert(runs.list {}).data
    end, index, nil, "last")
  end
  wait_until(host, function() return #results == 4 end, "the functions have ended")
  assert.same({ 3, 3, 3, 3 }, results)
  client:close()
end)

case("what a spawned function raises is reported with its traceback, and stops nobody", function(host)
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

case("what is raised behind a wait comes out of pcall", function(host)
  if not loops_wait then return end -- nor out of pcall, on PUC 5.1
  local runs, client = new(host, { runs = 3, latency = 0.02 })
  local ok, message = pcall(function()
    assert(runs.list {})
    error("mine", 0)
  end)
  assert.is_false(ok)
  assert.equal("mine", message)
  client:close()
end)

case("a coroutine that somebody else resumes goes on waiting for its own", function(host)
  if not host.raw then return end
  local runs, client = new(host, { runs = 3, latency = 0.2 })
  local count
  local thread = coroutine.create(function() count = #assert(runs.list({}, { timeout = 5 })).data end)
  assert(coroutine.resume(thread))
  for _ = 1, 5 do
    host.sleep(0.01)
    assert(coroutine.resume(thread))
    assert.is_nil(count)
  end
  wait_until(host, function() return count end, "the list is there")
  assert.equal(3, count)
  client:close()
end)

case("a coroutine that is resumed as soon as its answer is there is not resumed once more", function(host)
  if not host.raw then return end
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

--- Registers the cases with busted. `run(case, number)` runs one and raises what it raised.
function contract.describe(name, run)
  local busted = require "busted"
  busted.describe("the driver " .. name, function()
    for number, one in ipairs(cases) do
      busted.it(one.name, function() run(one, number) end)
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
