--- One call: retries, delays, deadline, headers, the key, hooks, debug, errors, and what a closed client does.
local contains = require "spec.contains"
local interpreter = require "spec.interpreter"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local key = "sk_test_4f9a%d+.(x)"

local function new(script, options, settings)
  local driver = type(script) == "table" and script.send and script or scripted.new(script, settings)
  local given = { api_key = key, base_url = "https://api.example.com", driver = driver }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, driver, client
end

local function always(answer)
  return function() return answer end
end

local page = scripted.page { "run_1" }

--- Returns the headers with names in lower case. A name in two spellings fails the spec.
local function lower(headers)
  local lowered = {}
  for name, value in pairs(headers) do
    assert.is_nil(lowered[name:lower()], "two spellings of " .. name)
    lowered[name:lower()] = value
  end
  return lowered
end

local function ratio_of(delay, attempt)
  return delay / math.min(8, 0.5 * 2 ^ attempt)
end

describe("a call", function()
  it("retries after 408, 429, 500, 502, 503 and 504, and after no other status", function()
    local retried = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }
    for _, range in ipairs { { 300, 308 }, { 400, 431 }, { 451, 451 }, { 500, 511 }, { 520, 530 }, { 599, 599 } } do
      for status = range[1], range[2] do
        local runs, driver = new(always(scripted.status(status)))
        local got, message, err = runs.list {}
        assert.is_nil(got)
        assert.equal(err.message, message)
        assert.equal(status, err.status)
        assert.equal(retried[status] and 3 or 1, #driver.sent, status)
        assert.equal(retried[status] and 2 or 0, #driver.slept, status)
        assert.equal(#driver.sent, err.attempts)
        assert.equal(retried[status] or false, err.retryable, status)
      end
    end
  end)

  it("retries after timeouts and connection failures, and after no other kind", function()
    for kind, retried in pairs { timeout = true, connection = true, tls = false, decode = false, too_large = false,
      cancelled = false } do
      local runs, driver = new(always { failure = { kind = kind, message = "it broke" } })
      local _, message, err = runs.list {}
      assert.equal(kind, err.kind)
      assert.equal("it broke", message)
      assert.equal(retried and 3 or 1, #driver.sent, kind)
      assert.equal(retried, err.retryable, kind)
      assert.equal(#driver.sent, err.attempts)
    end
  end)

  it("does not retry after a response that is not a page", function()
    local runs, driver = new { { status = 200, headers = { ["Content-Type"] = "text/html" }, body = "<p>" } }
    local _, _, err = runs.list {}
    assert.equal("decode", err.kind)
    assert.is_false(err.retryable)
    assert.equal(1, #driver.sent)
    assert.equal(1, err.attempts)
  end)

  it("retries with the same request", function()
    local runs, driver = new { scripted.status(503), scripted.status(500), page }
    assert(runs.list { experiment_id = "exp_1", limit = 7 })
    for _, request in ipairs(driver.sent) do
      assert.equal("GET", request.method)
      assert.equal("https://api.example.com/v1/workflows/experiments/runs?experiment_id=exp_1&limit=7", request.url)
      assert.same(driver.sent[1].headers, request.headers)
      assert.is_nil(request.body)
    end
    assert.equal(3, #driver.sent)
  end)

  it("returns the first page that it receives, without an error", function()
    local runs, driver = new { { failure = { kind = "connection", message = "reset" } }, page }
    local got, message, err = runs.list {}
    assert.equal("run_1", got.data[1].id)
    assert.is_nil(message)
    assert.is_nil(err)
    assert.equal(2, #driver.sent)
  end)

  it("retries up to max_retries times, by its own option or else the client's", function()
    for _, case in ipairs { { nil, nil, 3 }, { 0, nil, 1 }, { 4, nil, 5 }, { 0, 2, 3 }, { 5, 0, 1 } } do
      local runs, driver = new(always(scripted.status(500)), { max_retries = case[1] })
      local _, _, err = runs.list({}, { max_retries = case[2] })
      assert.equal(case[3], #driver.sent)
      assert.equal(case[3], err.attempts)
    end
  end)

  it("returns the error of the last attempt, not of the first", function()
    local runs = new { scripted.status(500), scripted.status(502), scripted.status(404) }
    local _, message, err = runs.list {}
    assert.equal("this is a 404", message)
    assert.equal("not_found", err.kind)
    assert.equal(3, err.attempts)
    assert.is_false(err.retryable)
  end)
end)

describe("the delay before a retry", function()
  it("doubles from half a second up to eight, jittered to 75 to 100 %", function()
    local least, most = math.huge, -math.huge
    for _ = 1, 20 do
      local runs, driver = new(always(scripted.status(503)), { max_retries = 8 })
      runs.list {}
      assert.equal(8, #driver.slept)
      for index, delay in ipairs(driver.slept) do
        local ratio = ratio_of(delay, index - 1)
        assert.is_true(ratio >= 0.75 and ratio <= 1, ("delay %d is %g"):format(index, delay))
        least, most = math.min(least, ratio), math.max(most, ratio)
      end
    end
    assert.is_true(least < 0.8, "the jitter does not reach down")
    assert.is_true(most > 0.95, "the jitter does not reach up")
  end)

  local function first_delay(headers)
    local runs, driver = new { scripted.status(429, headers), page }
    local got, _, err = runs.list {}
    return driver.slept[1], got, err, #driver.sent
  end

  it("is the number of seconds in Retry-After, in any case of the name", function()
    assert.equal(7, (first_delay { ["Retry-After"] = "7" }))
    assert.equal(7, (first_delay { ["retry-after"] = "7" }))
    assert.equal(0, (first_delay { ["RETRY-AFTER"] = "0" }))
    assert.equal(1.5, (first_delay { ["retry-after"] = " 1.5 " }))
    assert.equal(120, (first_delay { ["retry-after"] = "120" }))
  end)

  it("is taken from Retry-After-Ms rather than from Retry-After", function()
    assert.equal(0.25, (first_delay { ["retry-after-ms"] = "250" }))
    assert.equal(0.25, (first_delay { ["Retry-After-Ms"] = "250", ["Retry-After"] = "90" }))
    assert.equal(120, (first_delay { ["retry-after-ms"] = "120000" }))
  end)

  it("ends at the date in Retry-After, by the driver's clock", function()
    assert.equal(20, (first_delay { ["Retry-After"] = "Thu, 28 May 2026 20:27:00 GMT" }))
    assert.equal(20, (first_delay { ["Retry-After"] = "Thursday, 28-May-26 20:27:00 GMT" }))
    assert.equal(20, (first_delay { ["Retry-After"] = "Thu May 28 20:27:00 2026" }))
    assert.equal(0, (first_delay { ["Retry-After"] = "Thu, 28 May 2026 20:00:00 GMT" }))
    assert.equal(120, (first_delay { ["Retry-After"] = "Thu, 28 May 2026 20:28:40 GMT" }))
  end)

  it("is taken from Retry-After of a 503, too", function()
    local runs, driver = new { scripted.status(503, { ["retry-after"] = "11" }), page }
    assert(runs.list {})
    assert.same({ 11 }, driver.slept)
  end)

  it("is the default if Retry-After is not valid", function()
    for _, text in ipairs { "", "soon", "-5", "1e2x", "Thu, 99 May 2026 20:27:00 GMT", "nan", "inf", "0x10" } do
      local delay, got = first_delay { ["Retry-After"] = text }
      assert.is_truthy(got, text)
      assert.is_true(delay >= 0.375 and delay <= 0.5, text)
    end
    local delay = first_delay { ["Retry-After-Ms"] = "soon", ["Retry-After"] = "3" }
    assert.equal(3, delay)
  end)

  it("is at most 120 s: if the server asks for more, the error returns at once, with retry_after", function()
    for _, case in ipairs {
      { { ["Retry-After"] = "121" }, 121 },
      { { ["Retry-After"] = "86400" }, 86400 },
      { { ["Retry-After-Ms"] = "120001" }, 120.001 },
      { { ["Retry-After"] = "Thu, 28 May 2026 20:28:41 GMT" }, 121 },
      { { ["Retry-After"] = "Fri, 29 May 2026 20:26:40 GMT" }, 86400 },
    } do
      local delay, got, err, sent = first_delay(case[1])
      assert.is_nil(got)
      assert.is_nil(delay)
      assert.equal(1, sent)
      assert.equal("rate_limit", err.kind)
      assert.is_true(math.abs(case[2] - err.retry_after) < 1e-6)
      assert.is_true(err.retryable)
    end
  end)

  it("is in retry_after of the error after the last attempt, if the server asked for it", function()
    local runs = new(always(scripted.status(429, { ["retry-after"] = "2" })))
    local _, _, err = runs.list {}
    assert.equal(2, err.retry_after)
    runs = new(always(scripted.status(429)))
    _, _, err = runs.list {}
    assert.is_nil(err.retry_after)
  end)
end)

describe("the deadline", function()
  it("is not exceeded by a delay: the last error is returned instead", function()
    local runs, driver = new(always { status = 503, takes = 1 }, { max_retries = 50, deadline = 3 })
    local began = driver.clock
    local _, _, err = runs.list {}
    assert.equal("server", err.kind)
    assert.equal(503, err.status)
    assert.equal(2, #driver.sent) -- 1 s + 0.375..0.5 s + 1 s, and no room for 0.75 s
    assert.equal(1, #driver.slept)
    assert.is_true(driver.clock - began <= 3)
  end)

  it("includes the delay that the server asks for", function()
    local runs, driver = new(always(scripted.status(429, { ["retry-after"] = "30" })), { deadline = 29 })
    local _, _, err = runs.list {}
    assert.equal("rate_limit", err.kind)
    assert.equal(30, err.retry_after)
    assert.same({}, driver.slept)
    runs, driver = new({ scripted.status(429, { ["retry-after"] = "30" }), page }, { deadline = 31 })
    assert(runs.list {})
    assert.same({ 30 }, driver.slept)
  end)

  it("ends a transfer with an error of kind timeout", function()
    local runs, driver = new(always { status = 200, takes = 1000 }, { deadline = 5 })
    local began = driver.clock
    local _, _, err = runs.list {}
    assert.equal("timeout", err.kind)
    assert.equal(1, #driver.sent)
    assert.equal(5, driver.clock - began)
    assert.equal(1, err.attempts)
  end)

  it("limits each attempt to the time that is left, and to timeout", function()
    local runs, driver = new({
      { failure = { kind = "connection", message = "reset" }, takes = 4 }, { status = 200, takes = 1000 },
    }, { deadline = 10, timeout = 6 })
    local began = driver.clock
    local _, _, err = runs.list {}
    assert.equal("timeout", err.kind)
    assert.equal(6, driver.sent[1].timeout)
    assert.equal(2, #driver.sent)
    local left = 10 - 4 - driver.slept[1]
    assert.is_true(math.abs(left - driver.sent[2].timeout) < 1e-6)
    assert.is_true(driver.sent[2].connect_timeout <= driver.sent[2].timeout)
    assert.is_true(math.abs(driver.clock - began - 10) < 1e-6)
  end)

  it("limits a call whatever the server sends", function()
    math.randomseed(11)
    for _ = 1, scripted.times(200) do
      local deadline = math.random() * 20
      local runs, driver = new(function()
        local takes = math.random() < 0.2 and 100 or math.random() * 3
        if math.random() < 0.5 then return { failure = { kind = "connection", message = "reset" }, takes = takes } end
        return { status = 503, takes = takes, headers = { ["retry-after"] = math.random(3) == 1 and "1" or nil } }
      end, { max_retries = 1000 })
      local began = driver.clock
      local got, _, err = runs.list({}, { deadline = deadline, timeout = 5 })
      assert.is_nil(got)
      assert.equal(#driver.sent, err.attempts)
      assert.is_true(driver.clock - began <= deadline + 1e-6)
    end
  end)

  it("is not set by default", function()
    local runs, driver = new(always { status = 503, takes = 60 }, { max_retries = 30 })
    runs.list {}
    assert.equal(31, #driver.sent)
  end)
end)

describe("an option of a call", function()
  it("overrides that of the client", function()
    local runs, driver = new(always(page), { timeout = 7, headers = { ["X-Team"] = "a", ["X-Kept"] = "k" } })
    assert(runs.list {})
    assert(runs.list({}, { timeout = 3, headers = { ["x-team"] = "b" } }))
    assert.equal(7, driver.sent[1].timeout)
    assert.equal(3, driver.sent[2].timeout)
    assert.equal("a", lower(driver.sent[1].headers)["x-team"])
    assert.equal("b", lower(driver.sent[2].headers)["x-team"])
    assert.equal("k", lower(driver.sent[2].headers)["x-kept"])
    runs, driver = new(always { status = 503, takes = 1 }, { deadline = 1.1 })
    runs.list {}
    assert.equal(1, #driver.sent)
    runs.list({}, { deadline = 100 })
    assert.equal(1 + 3, #driver.sent)
  end)

  it("has the defaults of the contract", function()
    local runs, driver = new(always(page))
    assert(runs.list {})
    assert.equal(60, driver.sent[1].timeout)
    assert.equal(10, driver.sent[1].connect_timeout)
    assert.equal(64 * 1024 * 1024, driver.sent[1].max_body_bytes)
  end)
end)

describe("the headers", function()
  it("are Api-Key, User-Agent and Accept", function()
    local runs, driver = new(always(page))
    assert(runs.list {})
    assert.same({ ["api-key"] = key, ["user-agent"] = "retab-lua/" .. retab._VERSION, accept = "application/json" },
      lower(driver.sent[1].headers))
    runs, driver = new(always(page), { auth = "bearer", user_agent = "nightly/2" })
    assert(runs.list {})
    local headers = lower(driver.sent[1].headers)
    assert.equal("Bearer " .. key, headers.authorization)
    assert.is_nil(headers["api-key"])
    assert.equal(1, headers["user-agent"]:find("retab-lua/" .. retab._VERSION, 1, true))
    assert.is_truthy(headers["user-agent"]:find("nightly/2", 1, true))
  end)

  it("are overridden by those of the caller, in any case of their names", function()
    local runs, driver = new(always(page), { headers = { ["user-AGENT"] = "mine", ACCEPT = "application/vnd.x+json" } })
    assert(runs.list {})
    assert(runs.list({}, { headers = { Accept = "text/json" } }))
    local first, second = lower(driver.sent[1].headers), lower(driver.sent[2].headers)
    assert.equal("mine", first["user-agent"])
    assert.equal("application/vnd.x+json", first.accept)
    assert.equal("text/json", second.accept)
  end)

  it("of a caller never replace that of the key", function()
    for _, name in ipairs { "Api-Key", "api-key", "API-KEY" } do
      local runs, driver = new(always(page), { headers = { [name] = "intruder" } })
      assert(runs.list({}, { headers = { [name] = "another" } }))
      assert.equal(key, lower(driver.sent[1].headers)["api-key"])
    end
    for _, name in ipairs { "Authorization", "authorization" } do
      local runs, driver = new(always(page), { auth = "bearer", headers = { [name] = "intruder" } })
      assert(runs.list({}, { headers = { [name] = "another" } }))
      assert.equal("Bearer " .. key, lower(driver.sent[1].headers).authorization)
    end
  end)
end)

describe("a key from a function", function()
  it("is requested once per attempt", function()
    local asked = 0
    local runs, driver = new({ scripted.status(500), scripted.status(503), page }, {
      api_key = function()
        asked = asked + 1
        return "key_number_" .. asked
      end,
    })
    assert.equal(0, asked)
    assert(runs.list {})
    assert.equal(3, asked)
    for attempt = 1, 3 do
      assert.equal("key_number_" .. attempt, lower(driver.sent[attempt].headers)["api-key"])
    end
  end)

  it("raises at the caller's line if it cannot be sent", function()
    for _, bad in ipairs { "", "two\nlines", 12, false } do
      local runs, driver = new({}, { api_key = function() return bad end })
      local ok, message = pcall(function() return runs.list {} end)
      assert.is_false(ok)
      assert.is_truthy(message:find("call_spec.lua:%d+: .*api_key"), message)
      assert.equal(0, #driver.sent)
    end
  end)

  it("raises the error of the function", function()
    local problem = {}
    local runs = new({}, { api_key = function() error(problem) end })
    local ok, raised = pcall(runs.list, {})
    assert.is_false(ok)
    assert.equal(problem, raised)
  end)
end)

describe("the key", function()
  it("is not in an error, whatever the response repeats", function()
    local bodies = {
      ('{"detail":"no such key %s"}'):format(key), ('{"detail":{"message":"%s?","code":"%s"}}'):format(key, key),
      ('{"detail":[{"loc":["header"],"msg":"bad %s","type":"t"}]}'):format(key), key, ("<p>%s</p>"):format(key),
      ('{"message":"m","details":{"%s":["%s"]}}'):format(key, key),
    }
    for _, body in ipairs(bodies) do
      for _, status in ipairs { 401, 422, 302, 200 } do
        local runs = new(always {
          status = status, body = body,
          headers = { ["x-request-id"] = "req_" .. key, location = "https://elsewhere.example/" .. key,
            ["content-type"] = status == 200 and "text/" .. key or "application/json" },
        })
        local _, message, err = runs.list({ experiment_id = "exp_1" }, { max_retries = 0 })
        assert.is_false(contains(message, key))
        assert.is_false(contains(err, key))
        assert.is_false(contains(tostring(err), key))
      end
    end
    local runs = new(always { failure = { kind = "connection", message = "no route for " .. key } })
    local _, message, err = runs.list {}
    assert.is_false(contains(message, key) or contains(err, key))
  end)

  it("is masked in what hooks see, however short it is", function()
    for _, secret in ipairs { key, "k9" } do
      for _, auth in ipairs { "api-key", "bearer" } do
        local seen = {}
        local function hook(event) seen[#seen + 1] = event end
        local runs, driver = new({
          { status = 503, headers = { ["x-echo"] = "<" .. key .. ">" }, body = key },
          { failure = "refused: " .. key }, page,
        }, { api_key = secret, auth = auth, on_request = hook, on_response = hook, on_retry = hook })
        assert(runs.list {})
        assert.equal(3 + 2 + 2, #seen)
        for _, event in ipairs(seen) do
          if secret == key then assert.is_false(contains(event, key)) end
          if event.method then
            local headers = lower(event.headers)
            assert.is_false(contains(headers[auth == "bearer" and "authorization" or "api-key"], secret))
          end
        end
        local sent = lower(driver.sent[1].headers)
        assert.equal(auth == "bearer" and "Bearer " .. secret or secret,
          sent[auth == "bearer" and "authorization" or "api-key"])
      end
    end
  end)

  it("is masked in a page's request id, and in the error of a repeated cursor", function()
    for _, spelled in ipairs { key, (key:gsub("%W", function(char) return ("%%%02x"):format(char:byte()) end)) } do
      local answer = scripted.page({ "run_1" }, { after = key })
      answer.headers["x-request-id"] = "req_" .. spelled
      local runs = new(always(answer))
      local got = assert(runs.list { after = key })
      assert.equal("req_***", got.request_id)
      local none, message, err = got:next()
      assert.is_nil(none)
      assert.equal("cursor_loop", err.kind)
      assert.is_false(contains(message, key) or contains(err, key) or contains(tostring(err), key))
    end
  end)

  it("is masked in every error of a call with the key as a parameter", function()
    for _, answer in ipairs {
      scripted.status(500), { failure = { kind = "timeout", message = "late" } }, { status = 200, body = "[]" },
    } do
      local seen = {}
      local function hook(event) seen[#seen + 1] = event end
      local runs = new(always(answer), { on_request = hook, on_response = hook, on_retry = hook })
      local _, message, err = runs.list({ experiment_id = key }, { query = { x = key }, headers = { ["X-A"] = key } })
      assert.is_false(contains(message, key) or contains(err, key) or contains(tostring(err), key))
      for _, event in ipairs(seen) do
        assert.is_false(contains(event, key))
        assert.is_nil((event.url or ""):find("sk_test_4f9a", 1, true))
      end
    end
  end)

  it("is not in the client's tables", function()
    local runs, _, client = new({})
    assert.is_false(contains(tostring(client), key))
    assert.is_false(contains(client, key))
    assert.is_false(contains(runs, key))
  end)
end)

describe("a hook", function()
  it("is called with one table, once per attempt, in order", function()
    local seen = {}
    local function hook(name)
      return function(...)
        assert.equal(1, select("#", ...))
        local event = ...
        seen[#seen + 1] = { name = name, event = event }
      end
    end
    local runs = new({
      scripted.status(503, { ["X-Request-Id"] = "req_1" }), { failure = { kind = "timeout", message = "late" } }, page,
    }, { on_request = hook "request", on_response = hook "response", on_retry = hook "retry" })
    assert(runs.list { limit = 2 })
    local order = {}
    for index, entry in ipairs(seen) do order[index] = entry.name .. entry.event.attempt end
    assert.same({ "request1", "response1", "retry1", "request2", "retry2", "request3", "response3" }, order)

    local url = "https://api.example.com/v1/workflows/experiments/runs?limit=2"
    local request, response, retry = seen[1].event, seen[2].event, seen[3].event
    assert.equal("GET", request.method)
    assert.equal(url, request.url)
    assert.equal("application/json", lower(request.headers).accept)
    assert.equal(503, response.status)
    assert.equal(url, response.url)
    assert.equal("req_1", lower(response.headers)["x-request-id"])
    assert.equal("req_1", response.request_id)
    assert.equal("number", type(response.elapsed))
    assert.equal("req_of_page", seen[7].event.request_id)
    assert.is_true(retry.delay >= 0.375 and retry.delay <= 0.5)
    assert.equal("server", retry.error.kind)
    assert.equal("this is a 503", retry.error.message)
    assert.equal("timeout", seen[5].event.error.kind)
  end)

  it("on_response has the seconds of its attempt and the request id", function()
    local seen = {}
    local runs = new({ { status = 503, takes = 1.5 }, { status = 200, takes = 0.25, headers = page.headers,
      body = page.body } }, { on_response = function(event) seen[#seen + 1] = event end })
    assert(runs.list {})
    assert.is_true(math.abs(seen[1].elapsed - 1.5) < 1e-6)
    assert.is_nil(seen[1].request_id)
    assert.is_true(math.abs(seen[2].elapsed - 0.25) < 1e-6)
    assert.equal("req_of_page", seen[2].request_id)
  end)

  it("on_retry is called before each wait, with its delay", function()
    local delays, driver = {}, nil
    local runs
    runs, driver = new(always(scripted.status(503)), {
      max_retries = 4,
      on_retry = function(event)
        assert.equal(#delays, #driver.slept)
        delays[#delays + 1] = event.delay
      end,
    })
    runs.list {}
    assert.equal(4, #delays)
    assert.same(driver.slept, delays)
  end)

  it("can raise without breaking the call", function()
    local called = 0
    local function hook()
      called = called + 1
      error "a failure of the hook"
    end
    local runs = new({ scripted.status(503), page }, { on_request = hook, on_response = hook, on_retry = hook })
    assert.equal("run_1", assert(runs.list {}).data[1].id)
    assert.equal(5, called)
  end)

  it("cannot change what is sent or returned", function()
    for _, secret in ipairs { key, "k9" } do
      local function hook(event)
        for name in pairs(event.headers or {}) do event.headers[name] = nil end
        event.url, event.status, event.error = "changed", 1, nil
      end
      local runs, driver = new({ scripted.status(503), page },
        { api_key = secret, on_request = hook, on_response = hook, on_retry = hook })
      local got = assert(runs.list {})
      assert.equal("req_of_page", got.request_id)
      for _, request in ipairs(driver.sent) do
        assert.equal(secret, lower(request.headers)["api-key"])
        assert.equal("https://api.example.com/v1/workflows/experiments/runs", request.url)
      end
    end
  end)
end)

describe("an error", function()
  it("has the request, the number of attempts, and the response", function()
    local runs = new(always(scripted.status(422, { ["X-Request-ID"] = "req_9" },
      '{"detail":[{"loc":["query","limit"],"msg":"too big","type":"less_than_equal"}]}')))
    local got, message, err = runs.list { experiment_id = "exp 1" }
    assert.is_nil(got)
    assert.equal("string", type(message))
    assert.equal(message, err.message)
    assert.equal("validation", err.kind)
    assert.equal("query.limit: too big", err.message)
    assert.equal(422, err.status)
    assert.equal("GET", err.method)
    assert.equal("https://api.example.com/v1/workflows/experiments/runs?experiment_id=exp%201", err.url)
    assert.equal(1, err.attempts)
    assert.equal("req_9", err.request_id)
    assert.is_truthy(err.body:find("less_than_equal", 1, true))
    assert.equal("too big", err.errors[1].msg)
    assert.is_false(err.retryable)
    assert.is_nil(err.cursor)
    local text = tostring(err)
    for _, part in ipairs { "validation", "too big", "422", "req_9", err.url } do
      assert.is_truthy(text:find(part, 1, true), part)
    end
    assert.is_truthy(text:find("\n", 1, true))
  end)

  it("is of kind decode if the response is not a page", function()
    local runs = new { { status = 200, headers = { ["content-type"] = "text/html", ["x-request-id"] = "req_7" },
      body = "<html>" } }
    local _, _, err = runs.list { limit = 1 }
    assert.equal("decode", err.kind)
    assert.equal("GET", err.method)
    assert.equal("https://api.example.com/v1/workflows/experiments/runs?limit=1", err.url)
    assert.equal("req_7", err.request_id)
    assert.equal("<html>", err.body)
    assert.is_truthy(err.message:find("text/html", 1, true))
  end)

  it("has at most 64 KiB of the body, 500 bytes of the message, 4000 bytes of text", function()
    local runs = new(always(scripted.status(400, nil, '{"detail":"' .. ("é"):rep(50000) .. '"}')))
    local _, message, err = runs.list {}
    assert.is_true(#err.body <= 65536 and #err.body > 65000)
    assert.is_true(#message <= 500 and #message > 490)
    assert.is_true(#tostring(err) < 4000)
  end)

  it("can be a string, a table or nil when it comes from a driver", function()
    for _, case in ipairs {
      { "connection refused", "connection", "connection refused" },
      { { kind = "tls", message = "bad certificate" }, "tls", "bad certificate" },
      { { message = "only words" }, "connection", "only words" },
      { { kind = "timeout" }, "timeout" },
      { nil, "connection" },
    } do
      local runs = new(always { failure = case[1] })
      local got, message, err = runs.list({}, { max_retries = 0 })
      assert.is_nil(got)
      assert.equal(case[2], err.kind)
      assert.equal("string", type(message))
      assert.is_true(#message > 0)
      if case[3] then assert.equal(case[3], message) end
      assert.is_nil(err.status)
    end
  end)

  it("is returned for a response without headers or body", function()
    local runs = new(always { status = 500 })
    local _, message, err = runs.list({}, { max_retries = 0 })
    assert.equal("HTTP 500", message)
    assert.equal("server", err.kind)
  end)
end)

describe("client:stats()", function()
  it("counts requests, retries and bytes", function()
    local runs, _, client = new { scripted.status(503, nil, "12345"), page, page }
    local stats = client:stats()
    assert.same({ 0, 0, 0 }, { stats.requests, stats.retries, stats.bytes })
    assert(runs.list {})
    stats = client:stats()
    assert.same({ 2, 1, 5 + #page.body }, { stats.requests, stats.retries, stats.bytes })
    assert(runs.list {})
    stats = client:stats()
    assert.same({ 3, 1, 5 + 2 * #page.body }, { stats.requests, stats.retries, stats.bytes })
    assert.equal("number", type(stats.connections))
  end)

  it("counts only retries that were sent", function()
    local runs, _, client = new(always(scripted.status(429, { ["retry-after"] = "500" })))
    runs.list {}
    assert.equal(0, client:stats().retries)
    assert.equal(1, client:stats().requests)
  end)
end)

describe("a closed client", function()
  it("raises at the caller's line in every function", function()
    local runs, driver, client = new(always(scripted.page({ "run_1" }, { after = "run_1" })))
    local got = assert(runs.list {})
    client:close()
    client:close()
    local sent = #driver.sent
    for name, call in pairs {
      list = function() return runs.list {} end, iter = function() return runs.iter {} end,
      pages = function() return runs.pages {} end, all = function() return runs.all {} end,
      next = function() return got:next() end, request = function() return runs.request {} end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok, name)
      message = tostring(message)
      assert.is_truthy(message:find("call_spec.lua:%d+: client is closed$"), name .. ": " .. message)
    end
    assert.equal(sent, #driver.sent)
    assert.is_truthy(tostring(client):find("closed", 1, true))
  end)

  it("cancels the request under way: the call returns kind cancelled", function()
    local runs, driver, client = new({}, nil, { yields = true })
    local results
    local waiting = coroutine.create(function() results = { runs.list {} } end)
    assert.same({ true, "await" }, { coroutine.resume(waiting) })
    client:close()
    assert.same({ 1 }, driver.cancelled)
    assert(coroutine.resume(waiting))
    assert.equal("dead", coroutine.status(waiting))
    assert.is_nil(results[1])
    assert.equal("cancelled", results[3].kind)
    assert.equal(1, #driver.sent)
    assert.equal(0, #driver.slept)
  end)

  it("ends a call with kind cancelled, whatever the driver reports", function()
    for _, failure in ipairs { "socket closed", { kind = "connection", message = "gone" }, { kind = "timeout" } } do
      local driver = scripted.new(always { failure = failure }, { yields = true })
      driver.cancel = function() end
      local runs, _, client = new(driver)
      local results
      local waiting = coroutine.create(function() results = { runs.list {} } end)
      assert(coroutine.resume(waiting))
      client:close()
      assert(coroutine.resume(waiting))
      assert.equal("cancelled", results[3].kind)
      assert.equal(1, #driver.sent)
    end
  end)

  it("ends a call during the delay before a retry", function()
    local runs, driver, client = new({ scripted.status(503) }, nil, { yields = true })
    local results
    local waiting = coroutine.create(function() results = { runs.list {} } end)
    assert(coroutine.resume(waiting))
    assert.same({ true, "sleep" }, { coroutine.resume(waiting) })
    client:close()
    assert(coroutine.resume(waiting))
    assert.equal("dead", coroutine.status(waiting))
    assert.is_nil(results[1])
    assert.equal("cancelled", results[3].kind)
    assert.equal(1, #driver.sent)
  end)

  it("cancels each of many calls once", function()
    local runs, driver, client = new({}, nil, { yields = true })
    local results, waiting = {}, {}
    for index = 1, 5 do
      waiting[index] = coroutine.create(function() results[index] = { runs.list {} } end)
      assert(coroutine.resume(waiting[index]))
    end
    client:close()
    table.sort(driver.cancelled)
    assert.same({ 1, 2, 3, 4, 5 }, driver.cancelled)
    for index = 1, 5 do
      assert(coroutine.resume(waiting[index]))
      assert.equal("cancelled", results[index][3].kind)
    end
  end)
end)

describe("close() in a hook", function()
  --- Lists runs with a hook that closes the client at its first call.
  local function list(name, script)
    local runs, driver, client
    local retries = 0
    local options = { on_retry = function() retries = retries + 1 end }
    options[name] = function() client:close() end
    runs, driver, client = new(script, options)
    local got, message, err = runs.list {}
    assert.equal(0, retries)
    return got, message, err, driver, client
  end

  it("sends nothing in on_request, and the error is of kind cancelled", function()
    local got, message, err, driver, client = list("on_request", {})
    assert.is_nil(got)
    assert.equal("client is closed", message)
    assert.equal("cancelled", err.kind)
    assert.is_false(err.retryable)
    assert.equal(0, #driver.sent)
    assert.equal(0, client:stats().requests)
  end)

  it("sends no further attempt in on_response, and returns a page that arrived", function()
    local got = list("on_response", { page })
    assert.equal("run_1", got.data[1].id)
    local none, _, err = list("on_response", { scripted.status(404) })
    assert.is_nil(none)
    assert.equal("not_found", err.kind)
    local driver
    none, _, err, driver = list("on_response", { scripted.status(503) })
    assert.is_nil(none)
    assert.equal("cancelled", err.kind)
    assert.equal(1, #driver.sent)
    assert.equal(0, #driver.slept)
  end)

  it("ends the call without a delay in on_retry, and the error is of kind cancelled", function()
    local got, _, err, driver, client = list("on_retry", { scripted.status(503) })
    assert.is_nil(got)
    assert.equal("cancelled", err.kind)
    assert.equal(1, #driver.sent)
    assert.equal(0, #driver.slept)
    assert.equal(0, client:stats().retries)
  end)

  it("does the same in the function api_key", function()
    local runs, driver, client
    runs, driver, client = new({}, { api_key = function()
      client:close()
      return key
    end })
    local _, _, err = runs.list {}
    assert.equal("cancelled", err.kind)
    assert.equal(0, #driver.sent)
  end)
end)

describe("debug", function()
  local path = "https://api.example.com/v1/workflows/experiments/runs"

  --- Lists runs, and returns the lines that were written.
  local function lines_of(script, params, options, call_options)
    local lines = {}
    options = options or {}
    options.debug = function(...)
      assert.equal(1, select("#", ...))
      lines[#lines + 1] = (...)
    end
    local runs = new(script, options)
    runs.list(params or {}, call_options)
    return lines
  end

  it("writes a line per attempt", function()
    assert.same({
      ("retab: GET %s?limit=2 -> 200 in 53 ms, %d bytes, req_of_page (attempt 1)"):format(path, #page.body),
    }, lines_of({ { status = 200, takes = 0.053, headers = page.headers, body = page.body } }, { limit = 2 }))
  end)

  it("writes a line per retry, with its delay", function()
    local lines = lines_of { scripted.status(503, { ["Retry-After"] = "7", ["X-Request-Id"] = "req_7" }), page }
    assert.equal(3, #lines)
    assert.equal(("retab: GET %s -> 503 in 0 ms, 26 bytes, req_7 (attempt 1)"):format(path), lines[1])
    assert.matches("^retab: .*this is a 503.*7%.00 s.*attempt 2", lines[2])
    assert.matches("^retab: GET .* %-> 200 in .*%(attempt 2%)$", lines[3])
  end)

  it("writes a line for an attempt without a response", function()
    local lines = lines_of({ { failure = { kind = "connection", message = "connection refused" } } }, {},
      { max_retries = 0 })
    assert.same({ ("retab: GET %s -> connection: connection refused (attempt 1)"):format(path) }, lines)
  end)

  it("masks the key", function()
    local echo = { ["X-Request-Id"] = "req_" .. key }
    for _, script in ipairs {
      { { status = 503, headers = echo, body = "no " .. key }, { status = 200, headers = echo, body = page.body } },
      { { failure = "refused: " .. key }, { failure = { kind = "timeout", message = key } } },
    } do
      local lines = lines_of(script, { experiment_id = key }, { max_retries = 1 })
      assert.equal(3, #lines)
      for _, line in ipairs(lines) do
        assert.is_false(contains(line, key))
        assert.is_nil(line:find("sk_test_4f9a", 1, true))
      end
    end
    for _, line in ipairs(lines_of({ { status = 500, body = "sk_of_call" }, page }, { experiment_id = "sk_of_call" },
      nil, { api_key = "sk_of_call" })) do
      assert.is_false(contains(line, "sk_of_call"))
    end
  end)

  it("ignores the error of a function that raises", function()
    local runs = new({ scripted.status(503), page }, { debug = function() error "full" end })
    assert(runs.list {})
  end)

  local script = [[
    local scripted = require "spec.scripted_driver"
    local driver = scripted.new { scripted.page { "a" } }
    local client = require("retab").new { api_key = "sk_x", driver = driver, debug = DEBUG }
    assert(client.workflows.experiments.runs.list {})
  ]]

  --- Returns what a process writes to stderr.
  local function written(prefix, variable)
    local environment = { RETAB_DEBUG = variable or false, RETAB_API_BASE_URL = false, RETAB_BASE_URL = false }
    local output, status = interpreter.run(prefix .. " " .. script, environment, true)
    assert.equal(0, status, output)
    return output
  end

  it("writes to stderr if it is true, or if RETAB_DEBUG is set", function()
    local line = "^retab: GET https://api%.retab%.com/v1/workflows/experiments/runs %-> 200 in %d+ ms, %d+ bytes, "
      .. "req_of_page %(attempt 1%)\n$"
    assert.matches(line, written("DEBUG = true"))
    assert.matches(line, written("", "1"))
    assert.matches(line, written("", "yes"))
    assert.matches(line, written("DEBUG = true", "0"))
  end)

  it("writes to nginx's error log at notice, and to Neovim's messages", function()
    local in_nginx = [[
      ngx = { NOTICE = "notice", log = function(level, line) print("log", level, line) end }
      DEBUG = true
    ]]
    assert.matches("^log\tnotice\tretab: GET [^\n]*\n$", written(in_nginx))
    local in_neovim = [[
      local scheduled
      vim = {
        schedule = function(f) scheduled = true f() scheduled = false end,
        notify = function(line) print(scheduled and "notify" or "at once", line) end,
      }
      DEBUG = true
    ]]
    assert.matches("^notify\tretab: GET [^\n]*\n$", written(in_neovim))
  end)

  it("is off by default, with RETAB_DEBUG=0, and if the option is false", function()
    assert.equal("", written(""))
    assert.equal("", written("", "0"))
    assert.equal("", written("", ""))
    assert.equal("", written("DEBUG = false", "1"))
  end)
end)

describe("api_key of a call", function()
  it("is sent instead of the client's, in every attempt, and masked in the error", function()
    local runs, driver = new(function() return scripted.status(503, nil, "no sk_of_call here") end)
    local _, message, err = runs.list({}, { api_key = "sk_of_call" })
    assert.equal("no *** here", message)
    assert.is_false(contains(err, "sk_of_call"))
    assert.equal(3, #driver.sent)
    for _, request in ipairs(driver.sent) do assert.equal("sk_of_call", lower(request.headers)["api-key"]) end
    runs.list {}
    assert.equal(key, lower(driver.sent[4].headers)["api-key"])
  end)

  it("does not reveal the client's key in the error of a repeated cursor", function()
    local runs = new(always(scripted.page({ "run_1" }, { after = key })))
    local got = assert(runs.list({ after = key }, { api_key = "sk_of_call" }))
    local _, _, err = got:next()
    assert.equal("cursor_loop", err.kind)
    assert.is_false(contains(err, key))
  end)

  it("does not reveal the client's key", function()
    local seen = {}
    local function note(event) seen[#seen + 1] = event end
    local runs = new(always(scripted.status(503, { ["x-a"] = key })),
      { on_request = note, on_response = note, on_retry = note, debug = note })
    local _, message, err = runs.list({ experiment_id = key }, { api_key = "sk_of_call", headers = { ["X-A"] = key } })
    assert.is_true(#seen > 9)
    for _, value in ipairs { message, err, tostring(err), seen } do
      assert.is_false(contains(value, key))
      assert.is_false(contains(value, "sk_test_4f9a"))
    end
  end)

  it("can be a function, which is called once per attempt", function()
    local count = 0
    local runs, driver = new({ scripted.status(503), page })
    assert(runs.list({}, { api_key = function()
      count = count + 1
      return "sk_number_" .. count
    end }))
    assert.equal("sk_number_1", lower(driver.sent[1].headers)["api-key"])
    assert.equal("sk_number_2", lower(driver.sent[2].headers)["api-key"])
  end)

  it("is used for the next page, too", function()
    local runs, driver = new({ scripted.page({ "a" }, { after = "a" }), page })
    local first = assert(runs.list({}, { api_key = "sk_of_call" }))
    assert(first:next())
    assert.equal("sk_of_call", lower(driver.sent[2].headers)["api-key"])
  end)
end)

describe("the hint of a 401", function()
  it("names the other way to send the key", function()
    for auth, other in pairs { ["api-key"] = "bearer", bearer = "api-key" } do
      local runs, driver = new(always(scripted.status(401)), { auth = auth })
      local _, _, err = runs.list {}
      assert.equal("authentication", err.kind)
      assert.is_truthy(err.hint:find(('auth = "%s"'):format(other), 1, true), err.hint)
      assert.equal(1, #driver.sent)
    end
  end)
end)

describe("a prefetched request", function()
  local function walk(script, deadline)
    local requests = {}
    local runs, driver, client = new(script, { deadline = deadline,
      on_request = function(event) requests[#requests + 1] = event.attempt end })
    return runs.iter({}, { prefetch = 1 }), driver, client, requests
  end

  it("is sent again if it expired before the caller waited for it, and this does not count as a failure", function()
    local it_, driver, client, attempts = walk({
      scripted.page({ "a" }, { after = "a" }), { status = 200, takes = 1000 }, scripted.page { "b" },
    }, 5)
    assert.equal("a", it_:next().id)
    assert.equal(2, #driver.sent)
    driver.clock = driver.clock + 60 -- the caller works for a minute
    assert.equal("b", assert(it_:next()).id)
    assert.equal(3, #driver.sent)
    assert.same({ 1, 1, 1 }, attempts)
    assert.equal(0, client:stats().retries)
    assert.same({}, driver.slept)
  end)

  it("has the whole deadline from the moment when the caller waits for it", function()
    local it_, driver = walk({
      scripted.page({ "a" }, { after = "a" }), scripted.status(503), scripted.page { "b" },
    }, 5)
    assert.equal("a", it_:next().id)
    driver.clock = driver.clock + 60
    assert.equal("b", assert(it_:next()).id)
    assert.equal(1, #driver.slept)
  end)
end)

describe("a driver of the caller's own", function()
  local function with_driver(driver, options)
    options = options or {}
    options.api_key, options.base_url, options.driver = "sk_test", "http://localhost", driver
    return retab.new(options).workflows.experiments.runs
  end
  local empty = '{"data":[],"list_metadata":{}}'

  it("can return numbers as header values", function()
    local driver = scripted.new {
      { status = 503, headers = { ["Retry-After"] = 2 }, body = "" },
      { status = 200, headers = {}, body = empty },
    }
    assert.is_truthy(with_driver(driver).list {})
  end)

  it("can fail to send", function()
    local driver = scripted.new(function() return { status = 200, headers = {}, body = empty } end)
    driver.send = function() return nil, "no socket" end
    local none, message, err = with_driver(driver, { max_retries = 0 }).list {}
    assert.is_nil(none)
    assert.equal("no socket", message)
    assert.equal("connection", err.kind)
  end)

  it("can report an unknown kind of failure", function()
    local driver = scripted.new(function() return { status = 200, headers = {}, body = empty } end)
    driver.await = function() return nil, { kind = "weird", message = {} } end
    local _, message, err = with_driver(driver, { max_retries = 0 }).list {}
    assert.equal("connection", err.kind)
    assert.equal("string", type(message))
  end)

  it("can return more than max_body_bytes", function()
    local driver = scripted.new(function() return { status = 200, headers = {}, body = empty } end)
    local _, _, err = with_driver(driver, { max_body_bytes = 10 }).list {}
    assert.equal("too_large", err.kind)
  end)

  it("is told to cancel a call that is collected", function()
    local driver = scripted.new(scripted.runs(6))
    local cancelled = 0
    driver.cancel = function() cancelled = cancelled + 1 end
    local it = with_driver(driver).iter { limit = 2 }
    it:next()
    it = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(1, cancelled)
  end)
end)
