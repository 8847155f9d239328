--- runs.wait: it polls a run until its status is terminal, and goes on after failures that a later request can
--- overcome.
local contains = require "spec.contains"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local key = "sk_secret_of_spec"
local url = "https://api.example.com/v1/workflows/experiments/runs/run_1"

local function new(script, options, settings)
  local driver = scripted.new(script, settings)
  local given = { api_key = key, base_url = "https://api.example.com", driver = driver }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, driver, client
end

--- A response that is a run with this status.
local function run(status, completed, more)
  return {
    status = 200, headers = { ["content-type"] = "application/json", ["x-request-id"] = "req_1" },
    body = ('{"id":"run_1","lifecycle":{"status":"%s"},"total_document_count":4,"completed_document_count":%d,'
      .. '"error_count":0,"score":null%s}'):format(status, completed or 0, more or ""),
  }
end

local function always(answer)
  return function() return answer end
end

--- The message that wait raises at a line of this file.
local function raised(...)
  local runs, driver = new {}
  local arguments, count = { ... }, select("#", ...)
  local ok, message = pcall(function()
    local result = runs.wait((unpack or table.unpack)(arguments, 1, count))
    return result
  end)
  assert.is_false(ok)
  assert.matches("spec/wait_spec%.lua:%d+: ", message)
  assert.equal(0, #driver.sent)
  return message
end

describe("wait", function()
  it("polls until the run is completed, and returns the run unmodified", function()
    local runs, driver = new { run "pending", run "queued", run("running", 1), run("completed", 4, ',"new":[1]') }
    local got, message, err = runs.wait "run_1"
    assert.equal("completed", got.lifecycle.status)
    assert.equal(4, got.completed_document_count)
    assert.same({ 1 }, got.new)
    assert.is_nil(message)
    assert.is_nil(err)
    assert.equal(4, #driver.sent)
    for _, request in ipairs(driver.sent) do
      assert.equal("GET", request.method)
      assert.equal(url, request.url)
    end
    assert.same({ "send 1", "await 1", "sleep", "send 2", "await 2", "sleep", "send 3", "await 3", "sleep", "send 4",
      "await 4" }, driver.log)
  end)

  it("ends at each terminal status", function()
    for _, status in ipairs { "completed", "error", "cancelled" } do
      local runs, driver = new { run(status) }
      assert.equal(status, assert(runs.wait "run_1").lifecycle.status)
      assert.equal(1, #driver.sent)
      assert.same({}, driver.slept)
    end
  end)

  it("sleeps two seconds between two requests, or the interval", function()
    local runs, driver = new { run "pending", run "running", run "completed" }
    assert(runs.wait "run_1")
    assert.same({ 2, 2 }, driver.slept)
    runs, driver = new { run "pending", run "running", run "completed" }
    assert(runs.wait("run_1", { interval = 0.25 }))
    assert.same({ 0.25, 0.25 }, driver.slept)
  end)

  it("takes a run instead of its id, and a colon", function()
    local runs, driver = new(always(run "completed"))
    assert(runs.wait { id = "run_1", lifecycle = { status = "pending" } })
    assert(runs:wait "run_1")
    assert(runs:wait({ id = "run_1" }, { interval = 1 }))
    for _, request in ipairs(driver.sent) do assert.equal(url, request.url) end
    assert.equal(3, #driver.sent)
  end)

  it("raises for invalid arguments", function()
    assert.matches("has no id", raised {})
    assert.matches("has no id", raised { lifecycle = { status = "pending" } })
    assert.matches("'id'.*string", raised { id = 5 })
    assert.matches("'id'.*empty", raised { id = "" })
    assert.matches("'id'.*empty", raised "")
    assert.matches("'id'.*number", raised(5))
    assert.matches("'id'.*nil", raised())
    for _, interval in ipairs { 0, -1, "2", true, 0 / 0 } do
      assert.matches("'interval'", raised("run_1", { interval = interval }))
    end
    for _, deadline in ipairs { 0, -1, "2", {} } do
      assert.matches("'deadline'", raised("run_1", { deadline = deadline }))
    end
    assert.matches("'on_update'", raised("run_1", { on_update = "print" }))
    assert.matches("unknown option 'on_updates'.*'on_update'", raised("run_1", { on_updates = print }))
    assert.matches("unknown option 'max_items'", raised("run_1", { max_items = 1 }))
    assert.matches("options must be a table", raised("run_1", 5))
  end)

  it("sends the options of a call with each request", function()
    local runs, driver = new { run "pending", run "completed" }
    local got = assert(runs.wait("run_1", { query = { q = 1 }, headers = { ["X-A"] = "1" }, timeout = 3,
      api_key = "sk_other", null = retab.null }))
    assert.equal(retab.null, got.score)
    for _, request in ipairs(driver.sent) do
      assert.equal(url .. "?q=1", request.url)
      assert.equal("1", request.headers["X-A"])
      assert.equal("sk_other", request.headers["Api-Key"])
      assert.equal(3, request.timeout)
    end
  end)

  it("ends whatever fields are selected", function()
    local seen = {}
    local runs = new { run "pending", run("pending", 1), run("completed", 4) }
    local got = assert(runs.wait("run_1", { fields = { "score" }, null = retab.null,
      on_update = function(update) seen[#seen + 1] = update end }))
    assert.same({ score = retab.null }, got)
    assert.equal(3, #seen)
    for _, update in ipairs(seen) do assert.same({ score = retab.null }, update) end
  end)

  it("continues at an unknown status, and at a run without a status", function()
    local strange = { status = 200, body = '{"id":"run_1"}' }
    local runs, driver = new {
      run "paused", strange, { status = 200, body = '{"id":"run_1","lifecycle":null}' },
      { status = 200, body = '{"id":"run_1","lifecycle":"completed"}' },
      { status = 200, body = '{"id":"run_1","lifecycle":{"status":null}}' },
      { status = 200, body = '{"id":"run_1","lifecycle":{"status":["completed"]}}' }, run "completed",
    }
    assert.equal("completed", assert(runs.wait("run_1", { null = retab.null })).lifecycle.status)
    assert.equal(7, #driver.sent)
    runs, driver = new(always(strange))
    local _, _, err = runs.wait("run_1", { deadline = 5 })
    assert.equal("timeout", err.kind)
    assert.same({ id = "run_1" }, err.run)
    assert.equal(3, #driver.sent)
  end)

  it("sends one request at a time, and suspends only its own coroutine", function()
    local runs, driver = new({ run "pending", run "completed" }, nil, { yields = true })
    local got
    local waiting = coroutine.create(function() got = runs.wait "run_1" end)
    local steps = {}
    while coroutine.status(waiting) ~= "dead" do
      local _, step = assert(coroutine.resume(waiting))
      steps[#steps + 1] = step
    end
    assert.same({ "await", "sleep", "await" }, steps)
    assert.equal("completed", got.lifecycle.status)
    assert.same({ "send 1", "await 1", "sleep", "send 2", "await 2" }, driver.log)
  end)
end)

describe("on_update", function()
  it("is called with the first run, and at each change of status or counts only", function()
    local seen = {}
    local runs = new {
      run "pending", run "pending", run "queued", run "running", run("running", 1), run("running", 1),
      run("running", 2, ',"other":1'), run("running", 2, ',"other":2'), run("completed", 4),
    }
    local got = assert(runs.wait("run_1", { on_update = function(update, ...)
      assert.equal(0, select("#", ...))
      seen[#seen + 1] = update.lifecycle.status .. " " .. update.completed_document_count
    end }))
    assert.same({ "pending 0", "queued 0", "running 0", "running 1", "running 2", "completed 4" }, seen)
    assert.equal("completed", got.lifecycle.status)
  end)

  it("is called once for a run that has ended already", function()
    local calls = 0
    local runs = new { run "completed" }
    assert(runs.wait("run_1", { on_update = function() calls = calls + 1 end }))
    assert.equal(1, calls)
  end)

  it("is called when any of the counts changes", function()
    for _, name in ipairs { "total_document_count", "completed_document_count", "document_count", "error_count" } do
      local calls = 0
      local runs = new(function(_, number)
        return { status = 200, body = ('{"lifecycle":{"status":"%s"},"%s":%d}')
          :format(number == 3 and "error" or "running", name, math.min(number, 2)) }
      end)
      assert(runs.wait("run_1", { on_update = function() calls = calls + 1 end }))
      assert.equal(3, calls, name)
    end
  end)
end)

describe("A failure during a wait", function()
  it("does not end it if the failure can pass", function()
    for _, answer in ipairs {
      scripted.status(429), scripted.status(500), scripted.status(502), scripted.status(503), scripted.status(504),
      scripted.status(408), { failure = { kind = "connection", message = "reset" } },
      { failure = { kind = "timeout" } },
    } do
      local runs, driver = new({ run "pending", answer, answer, run "running", answer, run "completed" },
        { max_retries = 0 })
      assert.equal("completed", assert(runs.wait "run_1").lifecycle.status)
      assert.equal(6, #driver.sent)
      assert.same({ 2, 2, 2, 2, 2 }, driver.slept)
    end
  end)

  it("is retried first, as in any other call", function()
    local runs, driver = new { scripted.status(503), scripted.status(503), run "completed" }
    assert(runs.wait "run_1")
    assert.equal(3, #driver.sent)
    for _, seconds in ipairs(driver.slept) do assert.is_true(seconds <= 1) end
  end)

  it("delays the next request by Retry-After, even beyond 120 seconds", function()
    local runs, driver = new({ scripted.status(429, { ["Retry-After"] = "30" }), run "completed" }, { max_retries = 0 })
    assert(runs.wait "run_1")
    assert.same({ 30 }, driver.slept)
    runs, driver = new { scripted.status(503, { ["Retry-After"] = "300" }), run "completed" }
    assert(runs.wait "run_1")
    assert.same({ 300 }, driver.slept)
    runs, driver = new({ scripted.status(503, { ["Retry-After"] = "0.5" }), run "completed" }, { max_retries = 0 })
    assert(runs.wait "run_1")
    assert.same({ 2 }, driver.slept)
  end)

  it("ends it if no later request can help", function()
    for _, case in ipairs {
      { scripted.status(400), "validation" }, { scripted.status(401), "authentication" },
      { scripted.status(403), "permission" }, { scripted.status(422), "validation" },
      { { failure = { kind = "tls", message = "bad certificate" } }, "tls" },
      { { status = 200, body = "[]" }, "decode" }, { { status = 200, body = "" }, "decode" },
    } do
      local runs, driver = new { run("running", 1), case[1] }
      local got, message, err = runs.wait "run_1"
      assert.is_nil(got)
      assert.equal(message, err.message)
      assert.equal(case[2], err.kind)
      assert.equal(2, #driver.sent)
      assert.equal(1, err.run.completed_document_count)
    end
  end)

  it("leaves err.run nil if no run was received", function()
    local runs = new { scripted.status(403) }
    local _, _, err = runs.wait "run_1"
    assert.equal("permission", err.kind)
    assert.is_nil(err.run)
  end)
end)

describe("A 404 during a wait", function()
  local missing = scripted.status(404)

  it("is tolerated twice in a row", function()
    local runs, driver = new { missing, missing, run "pending", missing, missing, run "completed" }
    assert(runs.wait "run_1")
    assert.equal(6, #driver.sent)
    assert.same({ 2, 2, 2, 2, 2 }, driver.slept)
  end)

  it("is counted from 0 again after another failure", function()
    local runs, driver = new({ missing, missing, scripted.status(503), missing, missing, run "completed" },
      { max_retries = 0 })
    assert(runs.wait "run_1")
    assert.equal(6, #driver.sent)
  end)

  it("ends it the third time in a row", function()
    local runs, driver = new { run "pending", missing, missing, missing }
    local got, message, err = runs.wait "run_1"
    assert.is_nil(got)
    assert.equal("this is a 404", message)
    assert.equal("not_found", err.kind)
    assert.equal("pending", err.run.lifecycle.status)
    assert.equal(4, #driver.sent)
  end)
end)

describe("The deadline of a wait", function()
  it("is 600 seconds by default", function()
    local runs, driver = new(always(run "running"))
    local began = driver.clock
    local _, _, err = runs.wait "run_1"
    assert.equal("timeout", err.kind)
    assert.is_true(driver.clock - began > 590 and driver.clock - began <= 600)
    began = driver.clock
    runs.wait("run_1", { deadline = 9 })
    assert.is_true(driver.clock - began > 6 and driver.clock - began <= 9)
  end)

  it("returns an error with the last run received", function()
    local runs, driver = new(function(_, number) return run("running", number) end)
    local got, message, err = runs.wait("run_1", { deadline = 5 })
    assert.is_nil(got)
    assert.equal(message, err.message)
    assert.equal("timeout", err.kind)
    assert.is_true(err.retryable)
    assert.equal(3, #driver.sent)
    assert.equal(3, err.run.completed_document_count)
    assert.matches("5 s", message)
    assert.matches("running", message)
  end)

  it("reports the status even if the fields do not contain it", function()
    local runs = new(always(run "running"))
    local _, message, err = runs.wait("run_1", { deadline = 3, fields = { "id" } })
    assert.matches("running", message)
    assert.same({ id = "run_1" }, err.run)
  end)

  it("ends a request that was sent", function()
    local runs, driver = new { run "running", { status = 200, takes = 1000 } }
    local began = driver.clock
    local _, _, err = runs.wait("run_1", { deadline = 10 })
    assert.equal("timeout", err.kind)
    assert.equal(10, driver.clock - began)
    assert.equal("running", err.run.lifecycle.status)
    assert.equal(2, #driver.sent)
    assert.is_true(driver.sent[2].timeout <= 8)
  end)

  it("ends the first request, too", function()
    local runs, driver = new { { status = 200, takes = 1000 } }
    local began = driver.clock
    local _, _, err = runs.wait("run_1", { deadline = 10 })
    assert.equal("timeout", err.kind)
    assert.equal(10, driver.clock - began)
    assert.is_nil(err.run)
  end)

  it("keeps the reason of the last failure in its message", function()
    local runs = new(always(scripted.status(503)), { max_retries = 0 })
    local _, message, err = runs.wait("run_1", { deadline = 5 })
    assert.equal("timeout", err.kind)
    assert.matches("this is a 503", message)
  end)

  it("is not exceeded by a delay", function()
    local runs, driver = new(always(scripted.status(429, { ["Retry-After"] = "100" })))
    local _, _, err = runs.wait("run_1", { deadline = 50 })
    assert.equal("timeout", err.kind)
    assert.equal(1, #driver.sent)
    assert.same({}, driver.slept)
  end)

  it("is that of the whole wait, whatever deadline the client has", function()
    local runs, driver = new(always(run "running"), { deadline = 1 })
    local began = driver.clock
    runs.wait("run_1", { deadline = 20 })
    assert.is_true(driver.clock - began > 15)
  end)

  it("sends nothing if a sleep took too long", function()
    local runs, driver = new(always(run "running"))
    local sleep = driver.sleep
    driver.sleep = function(seconds)
      sleep(seconds)
      driver.clock = driver.clock + 100
    end
    local _, _, err = runs.wait("run_1", { deadline = 10 })
    assert.equal("timeout", err.kind)
    assert.equal("running", err.run.lifecycle.status)
    assert.equal(1, #driver.sent)
  end)
end)

describe("Closing the client during a wait", function()
  local function is_cancelled(results)
    assert.is_nil(results[1])
    assert.equal("client is closed", results[2])
    assert.equal("cancelled", results[3].kind)
    assert.is_false(results[3].retryable)
  end

  --- Begins a wait in a coroutine, up to the first time that it suspends in `step`.
  local function begin(step, script)
    local runs, driver, client = new(script, nil, { yields = true })
    local results = {}
    local waiting = coroutine.create(function()
      results[1], results[2], results[3] = runs.wait "run_1"
    end)
    repeat local _, at = assert(coroutine.resume(waiting)) until at == step
    return client, driver, waiting, results
  end

  it("cancels the request under way", function()
    local client, driver, waiting, results = begin("await", {})
    client:close()
    assert.same({ 1 }, driver.cancelled)
    assert(coroutine.resume(waiting))
    is_cancelled(results)
    assert.equal(1, #driver.sent)
  end)

  it("ends it when the sleep ends, with the last run received", function()
    local client, driver, waiting, results = begin("sleep", { run("running", 2) })
    client:close()
    assert(coroutine.resume(waiting))
    assert.equal("dead", coroutine.status(waiting))
    is_cancelled(results)
    assert.equal(2, results[3].run.completed_document_count)
    assert.equal(1, #driver.sent)
  end)

  it("is of kind cancelled even if the sleep passed the deadline", function()
    local runs, driver, client
    runs, driver, client = new { run "running" }
    driver.sleep = function()
      driver.clock = driver.clock + 100
      client:close()
    end
    is_cancelled { runs.wait("run_1", { deadline = 10 }) }
  end)

  it("in on_update ends it without a sleep", function()
    local runs, driver, client
    runs, driver, client = new { run "running" }
    is_cancelled { runs.wait("run_1", { on_update = function() client:close() end }) }
    assert.same({}, driver.slept)
    assert.equal(1, #driver.sent)
  end)

  it("in on_update of the last run still returns the run", function()
    local runs, client, _
    runs, _, client = new { run "completed" }
    local got = assert(runs.wait("run_1", { on_update = function() client:close() end }))
    assert.equal("completed", got.lifecycle.status)
  end)
end)

describe("The key", function()
  it("is in no error of a wait, and not in err.run", function()
    local runs = new(function(_, number)
      if number == 1 then return run("running", 1, (',"echo":"%s","%s":1'):format(key, key)) end
      return scripted.status(503, nil, "no " .. key)
    end, { max_retries = 0 })
    local _, message, err = runs.wait("run_1", { deadline = 5 })
    assert.equal("timeout", err.kind)
    assert.is_false(contains(message, key))
    assert.is_false(contains(err, key))
    assert.equal("***", err.run.echo)
    runs = new(always(run(key)))
    _, message, err = runs.wait("run_1", { deadline = 5 })
    assert.is_false(contains(message, key))
    assert.is_false(contains(err, key))
  end)
end)
