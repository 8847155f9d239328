--- Functions for one object: get, create and cancel of runs, get of results, experiments and metrics.
local cjson = require "cjson"
local contains = require "spec.contains"
local interpreter = require "spec.interpreter"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local key = "sk_secret_of_spec"
local base = "https://api.example.com"

local function new(script, options, settings)
  local driver = scripted.new(script, settings)
  local given = { api_key = key, base_url = base, driver = driver }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments, driver, client
end

--- A JSON response.
local function json(body, status, headers)
  headers = headers or {}
  headers["Content-Type"], headers["X-Request-Id"] = "application/json", "req_1"
  return { status = status or 200, headers = headers, body = body }
end

local run_body = '{"id":"run_1","lifecycle":{"status":"queued"},"score":null,"total_document_count":3}'

local function lower(headers)
  local lowered = {}
  for name, value in pairs(headers) do lowered[name:lower()] = value end
  return lowered
end

--- Checks that `f` raises at a line of this file, with all of these words in the message.
local function refuse(f, arguments, ...)
  local ok, message = pcall(function()
    local result = f((unpack or table.unpack)(arguments, 1, arguments.n or #arguments))
    return result
  end)
  assert.is_false(ok)
  assert.matches("spec/object_spec%.lua:%d+: ", message)
  for _, word in ipairs { ... } do
    assert(message:find(word, 1, true), ("%q is not in the message: %s"):format(word, message))
  end
  return message
end

describe("get", function()
  local paths = {
    { "runs", "/v1/workflows/experiments/runs/" }, { "results", "/v1/workflows/experiments/results/" },
    { nil, "/v1/workflows/experiments/" },
  }

  local function resource(experiments, name)
    return name and experiments[name] or experiments
  end

  for _, case in ipairs(paths) do
    local name, path = case[1], case[2]
    it("of " .. (name or "experiments") .. " sends one GET by id and returns the object unmodified", function()
      local experiments, driver = new { json '{"id":"x_1","new_field":[1,{"a":null}],"score":0.5}' }
      local object, message, err = resource(experiments, name).get "x_1"
      assert.same({ id = "x_1", new_field = { 1, {} }, score = 0.5 }, object)
      assert.is_nil(message)
      assert.is_nil(err)
      assert.equal(1, #driver.sent)
      assert.equal("GET", driver.sent[1].method)
      assert.equal(base .. path .. "x_1", driver.sent[1].url)
      assert.is_nil(driver.sent[1].body)
      assert.equal(key, lower(driver.sent[1].headers)["api-key"])
      assert.is_nil(lower(driver.sent[1].headers)["content-type"])
    end)

    it("of " .. (name or "experiments") .. " percent-encodes the id", function()
      local experiments, driver = new { json "{}" }
      assert(resource(experiments, name).get "a/../b?c#d %é")
      assert.equal(base .. path .. "a%2F..%2Fb%3Fc%23d%20%25%C3%A9", driver.sent[1].url)
    end)

    it("of " .. (name or "experiments") .. " raises for an id that is empty or not a string", function()
      local experiments, driver = new {}
      local get = resource(experiments, name).get
      refuse(get, { "" }, "'id'", "empty")
      refuse(get, { 5 }, "'id'", "string", "number")
      refuse(get, { true }, "'id'", "boolean")
      refuse(get, { nil, n = 1 }, "'id'", "nil")
      refuse(get, { n = 0 }, "'id'")
      refuse(get, { { id = "x" } }, "'id'", "table")
      refuse(get, { { "x" } }, "'id'", "table")
      assert.equal(0, #driver.sent)
    end)
  end

  it("can be called with a colon", function()
    local experiments, driver = new { json "{}", json "{}" }
    assert(experiments.runs:get("run_1"))
    assert(experiments:get("exp_1", { timeout = 5 }))
    assert.equal(base .. "/v1/workflows/experiments/runs/run_1", driver.sent[1].url)
    assert.equal(base .. "/v1/workflows/experiments/exp_1", driver.sent[2].url)
    assert.equal(5, driver.sent[2].timeout)
  end)

  it("takes the options of a call", function()
    local experiments, driver = new { json '{"id":"run_1","lifecycle":{"status":"error","message":"m"},"score":null}' }
    local run = assert(experiments.runs.get("run_1", {
      fields = { "lifecycle.status", "score" }, null = retab.null, headers = { ["X-A"] = "1" }, query = { q = "v" },
      api_key = "sk_other", timeout = 3,
    }))
    assert.same({ lifecycle = { status = "error" }, score = retab.null }, run)
    assert.equal(base .. "/v1/workflows/experiments/runs/run_1?q=v", driver.sent[1].url)
    assert.equal("1", driver.sent[1].headers["X-A"])
    assert.equal("sk_other", driver.sent[1].headers["Api-Key"])
    assert.equal(3, driver.sent[1].timeout)
  end)

  it("raises for an option that it does not have", function()
    local experiments = new {}
    refuse(experiments.runs.get, { "run_1", { interval = 5 } }, "unknown option 'interval'")
    refuse(experiments.runs.get, { "run_1", { max_items = 5 } }, "unknown option 'max_items'")
    refuse(experiments.runs.get, { "run_1", "options" }, "options must be a table")
  end)

  it("is retried like a list", function()
    local experiments, driver = new { scripted.status(503), { failure = { kind = "timeout" } }, json "{}" }
    assert(experiments.runs.get "run_1")
    assert.equal(3, #driver.sent)
  end)

  it("returns the error of a response", function()
    local experiments = new { json('{"detail":{"code":"HTTP_EXCEPTION","message":"An HTTP exception occurred.",'
      .. '"details":{"error":"Experiment run not found: run_1"}}}', 404) }
    local run, message, err = experiments.runs.get "run_1"
    assert.is_nil(run)
    assert.equal("Experiment run not found: run_1", message)
    assert.equal("not_found", err.kind)
    assert.equal("GET", err.method)
    assert.equal(base .. "/v1/workflows/experiments/runs/run_1", err.url)
    assert.equal("req_1", err.request_id)
    assert.equal(1, err.attempts)
    assert.is_nil(err.cursor)
  end)

  it("returns a decode error for a 2xx that is not a JSON object", function()
    for _, body in ipairs { "[]", '[{"id":"run_1"}]', "null", "5", '"text"', "true", "", " ", "{", '{"id":}', "<p>" } do
      local experiments, driver = new { json(body) }
      local run, message, err = experiments.runs.get "run_1"
      assert.is_nil(run, body)
      assert.equal("string", type(message))
      assert.equal("decode", err.kind, body)
      assert.equal(200, err.status)
      assert.equal("req_1", err.request_id)
      assert.is_false(err.retryable)
      assert.equal(1, #driver.sent)
    end
    local experiments = new { { status = 200, headers = { ["content-type"] = "text/html" }, body = "{}" } }
    local _, message, err = experiments.runs.get "run_1"
    assert.equal("decode", err.kind)
    assert.matches("text/html", message)
    experiments = new { { status = 204 } }
    _, message, err = experiments.runs.get "run_1"
    assert.equal("decode", err.kind)
    assert.matches("empty", message)
  end)

  it("takes every 2xx and every media type of JSON", function()
    for _, status in ipairs { 200, 201, 202, 203, 299 } do
      local experiments = new { json(run_body, status) }
      assert.equal("run_1", assert(experiments.runs.get "run_1").id)
    end
    for _, media in ipairs { "application/json; charset=utf-8", "Application/JSON", "application/problem+json" } do
      local experiments = new { { status = 200, headers = { ["Content-Type"] = media }, body = run_body } }
      assert.equal("run_1", assert(experiments.runs.get "run_1").id)
    end
    local experiments = new { { status = 200, body = run_body } }
    assert.equal("run_1", assert(experiments.runs.get "run_1").id)
  end)
end)

describe("cancel", function()
  it("sends a POST without a body", function()
    local experiments, driver = new { json '{"id":"run/1","lifecycle":{"status":"cancelled","reason":null}}' }
    assert.same({ id = "run/1", lifecycle = { status = "cancelled" } }, experiments.runs.cancel "run/1")
    assert.equal("POST", driver.sent[1].method)
    assert.equal(base .. "/v1/workflows/experiments/runs/run%2F1/cancel", driver.sent[1].url)
    assert.is_nil(driver.sent[1].body)
    assert.is_nil(lower(driver.sent[1].headers)["idempotency-key"])
  end)

  it("is retried like a GET, because cancelling twice is harmless", function()
    local experiments, driver = new { { failure = { kind = "connection", message = "reset" } }, scripted.status(502),
      json '{"id":"run_1","lifecycle":{"status":"cancelled"}}' }
    assert(experiments.runs.cancel "run_1")
    assert.equal(3, #driver.sent)
    for _, request in ipairs(driver.sent) do assert.equal("POST", request.method) end
    experiments = new(function() return scripted.status(503) end)
    local _, message, err = experiments.runs.cancel "run_1"
    assert.equal("this is a 503", message)
    assert.is_true(err.retryable)
    assert.equal("POST", err.method)
  end)

  it("raises for an id that is empty or not a string", function()
    local experiments = new {}
    refuse(experiments.runs.cancel, { "" }, "'id'", "empty")
    refuse(experiments.runs.cancel, { {} }, "'id'", "table")
  end)
end)

describe("create", function()
  it("posts its parameters as JSON and returns the run", function()
    local experiments, driver = new { json(run_body, 201) }
    local run = assert(experiments.runs.create { experiment_id = 'exp "1"', workflow_id = "wf_1", plan_token = "t/1" })
    assert.equal("run_1", run.id)
    local request = driver.sent[1]
    assert.equal("POST", request.method)
    assert.equal(base .. "/v1/workflows/experiments/runs", request.url)
    assert.same({ experiment_id = 'exp "1"', workflow_id = "wf_1", plan_token = "t/1" }, cjson.decode(request.body))
    assert.equal("application/json", lower(request.headers)["content-type"])
    assert.equal("application/json", lower(request.headers).accept)
  end)

  it("does not send parameters that are nil or null", function()
    local experiments, driver = new { json(run_body) }
    assert(experiments.runs.create { experiment_id = "exp_1", workflow_id = retab.null })
    assert.same({ experiment_id = "exp_1" }, cjson.decode(driver.sent[1].body))
  end)

  it("takes 200, 201 and 202", function()
    for _, status in ipairs { 200, 201, 202 } do
      local experiments = new { json(run_body, status) }
      assert.equal("run_1", assert(experiments.runs.create { experiment_id = "exp_1" }).id)
    end
  end)

  it("raises for invalid parameters, and sends nothing", function()
    local experiments, driver = new {}
    local create = experiments.runs.create
    refuse(create, { {} }, "missing parameter 'experiment_id'")
    refuse(create, { n = 0 }, "missing parameter 'experiment_id'")
    refuse(create, { { experiment_id = "" } }, "'experiment_id'", "empty")
    refuse(create, { { experiment_id = 5 } }, "'experiment_id'", "string")
    refuse(create, { { experiment_id = retab.null } }, "missing parameter 'experiment_id'")
    refuse(create, { { experiment = "exp_1" } }, "unknown parameter 'experiment'", "did you mean 'experiment_id'?")
    refuse(create, { { experiment_id = "exp_1", limit = 5 } }, "unknown parameter 'limit'")
    refuse(create, { { experiment_id = "exp_1", plan_token = 5 } }, "'plan_token'")
    refuse(create, { { experiment_id = "exp_1", timeout = 5 } }, "'timeout' is an option", "second table")
    refuse(create, { { experiment_id = "exp_1", max_items = 5 } }, "unknown parameter 'max_items'")
    refuse(create, { { experiment_id = "exp_1" }, { workflow_id = "wf_1" } }, "'workflow_id' is a parameter",
      "first table")
    refuse(create, { "exp_1" }, "must be a table")
    assert.equal(0, #driver.sent)
  end)

  it("names the missing package if nothing can encode JSON", function()
    local loaded, preload = package.loaded["cjson.safe"], package.preload["cjson.safe"]
    package.loaded["cjson.safe"] = nil
    package.preload["cjson.safe"] = function() error "not installed" end
    local experiments, driver = new {}
    local ok, message = pcall(function() return experiments.runs.create { experiment_id = "exp_1" } end)
    package.loaded["cjson.safe"], package.preload["cjson.safe"] = loaded, preload
    assert.is_false(ok)
    assert.matches("lua%-cjson", message)
    assert.equal(0, #driver.sent)
  end)
end)

describe("The Idempotency-Key of create", function()
  local function is_uuid(text)
    return text:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$") ~= nil
  end

  it("is the same UUID version 4 in every attempt of a call", function()
    local experiments, driver = new { scripted.status(429), { failure = { kind = "connection", message = "refused",
      sent = false } }, json(run_body) }
    assert(experiments.runs.create { experiment_id = "exp_1" })
    assert.equal(3, #driver.sent)
    local sent = lower(driver.sent[1].headers)["idempotency-key"]
    assert.is_true(is_uuid(sent), sent)
    for _, request in ipairs(driver.sent) do
      assert.equal(sent, lower(request.headers)["idempotency-key"])
      assert.equal(driver.sent[1].body, request.body)
    end
  end)

  it("differs between calls", function()
    local experiments, driver = new(function() return json(run_body) end)
    local seen = {}
    for index = 1, 200 do
      assert(experiments.runs.create { experiment_id = "exp_1" })
      local uuid = lower(driver.sent[index].headers)["idempotency-key"]
      assert.is_true(is_uuid(uuid), uuid)
      assert.is_nil(seen[uuid])
      seen[uuid] = true
    end
  end)

  it("differs between processes", function()
    local script = 'for _ = 1, 3 do print(require("retab.random").uuid()) end'
    local without_devices = 'local print, require = print, require io = nil ' .. script
    for _, source in ipairs { script, without_devices } do
      local seen, count = {}, 0
      for _ = 1, 3 do
        local output = interpreter.run(source)
        for uuid in output:gmatch("%S+") do
          assert.is_true(is_uuid(uuid), uuid)
          assert.is_nil(seen[uuid], uuid)
          seen[uuid], count = true, count + 1
        end
      end
      assert.equal(9, count)
    end
  end)

  it("can be set by the caller", function()
    local experiments, driver = new { json(run_body) }
    assert(experiments.runs.create({ experiment_id = "exp_1" }, { headers = { ["idempotency-key"] = "mine" } }))
    assert.equal("mine", lower(driver.sent[1].headers)["idempotency-key"])
  end)
end)

describe("A create that fails", function()
  local function create(answer, options)
    local experiments, driver = new(type(answer) == "function" and answer or function() return answer end)
    local run, message, err = experiments.runs.create({ experiment_id = "exp_1" }, options)
    assert.is_nil(run)
    assert.equal(message, err.message)
    return err, #driver.sent
  end

  --- Checks that the error says that a run may exist, and what to look up.
  local function is_ambiguous(err)
    assert.is_false(err.retryable)
    assert.matches("may have", err.message)
    assert.matches("list the runs", err.message)
    assert.matches("list the runs", err.hint)
  end

  it("is sent once if the server can have acted, and the error says what to look up", function()
    for _, answer in ipairs {
      { failure = { kind = "connection", message = "reset" } }, { failure = { kind = "timeout", message = "late" } },
      { failure = { kind = "decode", message = "bad header" } }, { failure = { kind = "too_large", message = "big" } },
      { failure = "reset" }, scripted.status(500), scripted.status(502), scripted.status(503), scripted.status(504),
      scripted.status(408), scripted.status(503, { ["retry-after"] = "1" }),
    } do
      local err, sent = create(answer)
      assert.equal(1, sent)
      assert.equal(1, err.attempts)
      is_ambiguous(err)
    end
  end)

  it("keeps the reason in its message", function()
    assert.matches("connection reset by peer", create({ failure = { kind = "connection",
      message = "connection reset by peer" } }).message)
    assert.matches("this is a 503", create(scripted.status(503)).message)
  end)

  it("is ambiguous if a 2xx is not a readable run", function()
    for _, answer in ipairs { json("", 201), json("[]", 201), json("{", 202), { status = 204 },
      { status = 200, headers = { ["content-type"] = "text/html" }, body = "<p>" } } do
      local err, sent = create(answer)
      assert.equal("decode", err.kind)
      assert.equal(1, sent)
      is_ambiguous(err)
    end
  end)

  it("is retried if nothing was sent", function()
    local err, sent = create { failure = { kind = "connection", message = "refused", sent = false } }
    assert.equal(3, sent)
    assert.is_true(err.retryable)
    assert.equal("refused", err.message)
    err, sent = create { failure = { kind = "timeout", message = "no connection in time", sent = false } }
    assert.equal(3, sent)
    assert.is_true(err.retryable)
  end)

  it("is retried after 429, and obeys Retry-After", function()
    local experiments, driver = new { scripted.status(429, { ["Retry-After"] = "7" }), json(run_body, 201) }
    assert.equal("run_1", assert(experiments.runs.create { experiment_id = "exp_1" }).id)
    assert.same({ 7 }, driver.slept)
    local err, sent = create(scripted.status(429))
    assert.equal(3, sent)
    assert.is_true(err.retryable)
    assert.equal("this is a 429", err.message)
  end)

  it("is never retried after a TLS failure", function()
    local err, sent = create { failure = { kind = "tls", message = "bad certificate", sent = false } }
    assert.equal(1, sent)
    assert.equal("bad certificate", err.message)
  end)

  it("is not ambiguous if the server refused", function()
    for _, status in ipairs { 400, 401, 403, 404, 405, 409, 413, 422 } do
      local err, sent = create(scripted.status(status))
      assert.equal(1, sent)
      assert.equal("this is a " .. status, err.message)
      assert.is_false(err.retryable)
    end
  end)

  it("stops at the first attempt that can have reached the server", function()
    local err, sent = create(function(_, number)
      return number == 1 and scripted.status(429) or { failure = { kind = "connection", message = "reset" } }
    end)
    assert.equal(2, sent)
    assert.equal(2, err.attempts)
    is_ambiguous(err)
  end)

  it("is ambiguous if the deadline ends it, and is not sent again", function()
    local err, sent = create({ status = 201, takes = 100 }, { deadline = 5 })
    assert.equal("timeout", err.kind)
    assert.equal(1, sent)
    is_ambiguous(err)
  end)

  it("is not sent again if the driver took longer than the deadline to send it", function()
    local experiments, driver = new { { status = 201, takes = 100 } }
    local send = driver.send
    driver.send = function(request)
      local ticket = send(request)
      driver.clock = driver.clock + 10
      return ticket
    end
    local _, _, err = experiments.runs.create({ experiment_id = "exp_1" }, { deadline = 5 })
    assert.equal("timeout", err.kind)
    assert.equal(1, #driver.sent)
    is_ambiguous(err)
  end)

  it("is ambiguous if the client is closed after it was sent", function()
    local experiments, _, client = new({}, nil, { yields = true })
    local results
    local waiting = coroutine.create(function() results = { experiments.runs.create { experiment_id = "exp_1" } } end)
    assert(coroutine.resume(waiting))
    client:close()
    assert(coroutine.resume(waiting))
    assert.equal("cancelled", results[3].kind)
    is_ambiguous(results[3])
  end)

  it("is not ambiguous if the client is closed before it was sent", function()
    local client, experiments, driver
    experiments, driver, client = new({}, { on_request = function() client:close() end })
    local _, message, err = experiments.runs.create { experiment_id = "exp_1" }
    assert.equal(0, #driver.sent)
    assert.equal("cancelled", err.kind)
    assert.equal("client is closed", message)
    experiments, driver, client = new({ scripted.status(429) }, { on_retry = function() client:close() end })
    _, message, err = experiments.runs.create { experiment_id = "exp_1" }
    assert.equal(1, #driver.sent)
    assert.equal(0, #driver.slept)
    assert.equal("cancelled", err.kind)
    assert.equal("client is closed", message)
  end)
end)

describe("metrics.get", function()
  it("sends its parameters in the contract's order", function()
    local experiments, driver = new(function() return json '{"kind":"summary"}' end)
    local get = experiments.metrics.get
    assert(get { run_id = "run_1" })
    assert(get { prior_run_id = "run_0", include_prior = false, target_path = "a.b", document_id = "d/1",
      view = "votes", run_id = "run_1" })
    assert(get { run_id = "run_1", include_prior = true })
    local path = base .. "/v1/workflows/experiments/metrics"
    assert.equal(path .. "?run_id=run_1", driver.sent[1].url)
    assert.equal(path .. "?run_id=run_1&view=votes&document_id=d%2F1&target_path=a.b&include_prior=false"
      .. "&prior_run_id=run_0", driver.sent[2].url)
    assert.equal(path .. "?run_id=run_1&include_prior=true", driver.sent[3].url)
    assert.equal("GET", driver.sent[1].method)
  end)

  it("returns each of the six kinds as a table", function()
    for _, kind in ipairs { "summary", "by_document", "by_target", "votes", "stale_metrics", "no_metrics" } do
      local experiments = new { json(('{"kind":"%s","run_id":"run_1","score":0.5,"x":[1,2]}'):format(kind)) }
      assert.same({ kind = kind, run_id = "run_1", score = 0.5, x = { 1, 2 } },
        experiments.metrics.get { run_id = "run_1" })
    end
  end)

  it("raises if a view lacks a parameter that it needs", function()
    local experiments, driver = new {}
    local get = experiments.metrics.get
    refuse(get, { {} }, "missing parameter 'run_id'")
    refuse(get, { { run_id = "r", view = "votes", target_path = "a" } }, "'document_id'", "votes")
    refuse(get, { { run_id = "r", view = "votes", document_id = "d" } }, "'target_path'", "votes")
    refuse(get, { { run_id = "r", view = "by_document" } }, "'document_id'", "by_document")
    refuse(get, { { run_id = "r", view = "by_target" } }, "'target_path'", "by_target")
    assert.equal(0, #driver.sent)
  end)

  it("raises for invalid parameters", function()
    local experiments, driver = new {}
    local get = experiments.metrics.get
    refuse(get, { { run_id = "r", view = "by_documents" } }, "'view'", "summary, by_document, by_target, votes")
    refuse(get, { { run_id = "r", include_prior = "true" } }, "'include_prior'", "boolean")
    refuse(get, { { run_id = "" } }, "'run_id'", "empty")
    refuse(get, { { run_id = "r", document_id = 5 } }, "'document_id'", "string")
    refuse(get, { { run = "r" } }, "unknown parameter 'run'", "'run_id'")
    refuse(get, { "run_1" }, "must be a table")
    refuse(get, { { run_id = "r" }, { view = "votes" } }, "'view' is a parameter", "first table")
    assert.equal(0, #driver.sent)
  end)
end)

describe("results", function()
  it("raise without run_id, in every function of the list", function()
    local experiments, driver = new {}
    for _, name in ipairs { "list", "iter", "pages", "all", "request" } do
      refuse(experiments.results[name], { {} }, "missing parameter 'run_id'")
      refuse(experiments.results[name], { n = 0 }, "missing parameter 'run_id'")
      refuse(experiments.results[name], { { run_id = "r", status = "error" } }, "unknown parameter 'status'")
    end
    assert.equal(0, #driver.sent)
  end)
end)

describe("experiments", function()
  it("raise without workflow_id, in every function of the list", function()
    local experiments = new {}
    for _, name in ipairs { "list", "iter", "pages", "all", "request" } do
      refuse(experiments[name], { {} }, "missing parameter 'workflow_id'")
    end
  end)
end)

describe("A closed client", function()
  it("raises at the caller's line in every function for one object", function()
    local experiments, driver, client = new {}
    client:close()
    for _, call in ipairs {
      { experiments.runs.get, "run_1" }, { experiments.runs.cancel, "run_1" }, { experiments.runs.wait, "run_1" },
      { experiments.runs.create, { experiment_id = "exp_1" } }, { experiments.results.get, "x" },
      { experiments.get, "exp_1" }, { experiments.metrics.get, { run_id = "run_1" } },
    } do
      refuse(call[1], { call[2] }, "client is closed")
    end
    assert.equal(0, #driver.sent)
  end)
end)

describe("The key", function()
  it("is in no error of these functions, even if it is passed as an id", function()
    for _, status in ipairs { 200, 404, 500 } do
      local experiments = new(function()
        return { status = status, headers = { ["x-request-id"] = "req_" .. key }, body = "no " .. key }
      end, { max_retries = 0 })
      for _, call in ipairs {
        function() return experiments.runs.get(key) end, function() return experiments.runs.cancel(key) end,
        function() return experiments.runs.create { experiment_id = key } end,
        function() return experiments.metrics.get { run_id = key } end,
        function() return experiments.runs.wait(key, { deadline = 3 }) end,
      } do
        local _, message, err = call()
        assert.is_false(contains(message, key) or contains(err, key) or contains(tostring(err), key))
      end
    end
  end)
end)
