--- The error object: its message, kind, fields and text for every error body that a server can send.
local contains = require "spec.contains"
local failure = require "retab.error"
local retab = require "retab"

local key = "sk_live_%d+[a-z].*$^(-x)"

local function new_runs(api_key, options)
  options = options or {}
  options.api_key = api_key or key
  return retab.new(options).workflows.experiments.runs
end

local runs = new_runs()

--- The error that parse returns for a response.
local function fail(status, body, headers, from)
  local count = select("#", (from or runs).parse(status, headers, body))
  local page, message, err = (from or runs).parse(status, headers, body)
  assert.is_nil(page)
  assert.equal(3, count)
  assert.equal("string", type(message))
  assert.equal(message, err.message)
  assert.equal(status, err.status)
  return err
end

local function message_of(body, status)
  return fail(status or 418, body).message
end

describe("The error body that the API usually sends", function()
  it("has its reason in details.error, because its message is generic", function()
    local err = fail(404, [[{"detail":{"code":"HTTP_EXCEPTION","message":"An HTTP exception occurred.",
      "details":{"error":"Experiment run not found: exprun_404"}}}]])
    assert.equal("Experiment run not found: exprun_404", err.message)
    assert.equal("not_found", err.kind)
    assert.equal("HTTP_EXCEPTION", err.code)
    assert.same({ error = "Experiment run not found: exprun_404" }, err.details)
  end)

  it("can have an object with a message in details.error", function()
    local err = fail(401, [[{"detail":{"code":"HTTP_EXCEPTION","message":"An HTTP exception occurred.",
      "details":{"error":{"message":"Invalid API Key.","code":"invalid_key"}}}}]])
    assert.equal("Invalid API Key.", err.message)
    assert.equal("authentication", err.kind)
  end)

  it("can come without its envelope", function()
    local err = fail(404, [[{"code":"HTTP_EXCEPTION","message":"An HTTP exception occurred.",
      "details":{"error":"Experiment run not found"}}]])
    assert.equal("Experiment run not found", err.message)
    assert.equal("HTTP_EXCEPTION", err.code)
  end)

  it("has its status as the message if it has no reason", function()
    assert.equal("HTTP 500", message_of('{"detail":{"message":"An HTTP exception occurred.","details":{}}}', 500))
    assert.equal("HTTP 500", message_of('{"message":"An HTTP exception occurred."}', 500))
    assert.equal("HTTP 500", message_of(
      '{"detail":{"message":"An HTTP exception occurred.","details":{"error":{"code":"x"}}}}', 500))
  end)
end)

describe("An error body", function()
  it("with text as its detail: the message is that text", function()
    local body = '{"detail":"Experiment exp_x was not found"}'
    local err = fail(404, body)
    assert.equal("Experiment exp_x was not found", err.message)
    assert.equal(body, err.body)
    assert.is_nil(err.code)
    assert.is_nil(err.details)
    assert.is_nil(err.errors)
  end)

  it("with an object as its detail: its message, code and details are read", function()
    local err = fail(409, [[{"detail":{"code":"EXPERIMENT_LOCKED","message":"The experiment is locked",
      "details":{"by":"usr_1","since":5}}}]])
    assert.equal("The experiment is locked", err.message)
    assert.equal("EXPERIMENT_LOCKED", err.code)
    assert.same({ by = "usr_1", since = 5 }, err.details)
  end)

  it("with a list as its detail: the messages are joined, each after its place", function()
    local err = fail(422, [[{"detail":[
      {"loc":["query","limit"],"msg":"Input should be less than or equal to 100","type":"less_than_equal"},
      {"loc":["body","documents",0],"msg":"Field required","type":"missing"}]}]])
    assert.equal("query.limit: Input should be less than or equal to 100; body.documents.0: Field required",
      err.message)
    assert.equal(2, #err.errors)
    assert.same({ "query", "limit" }, err.errors[1].loc)
    assert.equal("missing", err.errors[2].type)
  end)

  it("with errors beside its detail: they follow the detail", function()
    local err = fail(422, [[{"title":"Unprocessable Entity","status":422,"detail":"validation failed",
      "errors":[{"message":"expected number <= 100","location":"query.limit","value":1000}]}]],
      { ["content-type"] = "application/problem+json" })
    assert.equal("validation failed: query.limit: expected number <= 100", err.message)
    assert.equal(1000, err.errors[1].value)
    err = fail(400, [[{"detail":{"code":"SPEC","message":"The spec does not compile","errors":[
      {"message":"unknown block","code":"B1","yaml_path":"blocks.0","details":null}],"details":null}}]])
    assert.equal("The spec does not compile: unknown block", err.message)
    assert.equal("SPEC", err.code)
    assert.equal("blocks.0", err.errors[1].yaml_path)
  end)

  it("with errors that repeat its detail: the message has them once", function()
    assert.equal("too large", message_of '{"detail":"too large","errors":[{"message":"too large"}]}')
  end)

  it("without an envelope: its message, code and details are read", function()
    local err = fail(403, '{"code":"FORBIDDEN","message":"Not your workspace","details":{"workspace":"ws_1"}}')
    assert.equal("Not your workspace", err.message)
    assert.equal("FORBIDDEN", err.code)
    assert.same({ workspace = "ws_1" }, err.details)
  end)

  it("with a JSON list as the text of its message: the list is read", function()
    local err = fail(422, [==[{"status_code":10422,"data":null,"message":]==]
      .. [==["[{\"type\":\"x\",\"loc\":[\"query\",\"limit\"],\"msg\":\"too large\"},{\"msg\":\"no order\"}]"}]==])
    assert.equal("query.limit: too large; no order", err.message)
    assert.equal(10422, err.code)
    assert.same({ "query", "limit" }, err.errors[1].loc)
  end)

  it("with a message that only looks like a JSON list: it is plain text", function()
    for _, text in ipairs { "[oops", "[1,2", "[a] is wrong", "[]", "[{}]", "[5]" } do
      assert.equal(text, message_of(('{"message":"%s"}'):format(text)))
    end
  end)

  it("with an error: the message is its text, or its message", function()
    assert.equal("no such run", message_of '{"error":"no such run"}')
    assert.equal("no such run", message_of '{"error":{"message":"no such run","code":5}}')
  end)

  it("with a title alone: the message is the title", function()
    assert.equal("Not Found", message_of '{"title":"Not Found","status":404}')
  end)

  it("of plain text: the message is that text", function()
    assert.equal("upstream connect error", message_of "upstream connect error")
    assert.equal('{"detail":"cut', message_of '{"detail":"cut')
    assert.equal("as a JSON string", message_of '"as a JSON string"')
  end)

  it("of HTML: the message is the status, and the body is kept", function()
    local body = "<html><head><title>502 Bad Gateway</title></head></html>"
    local err = fail(502, body)
    assert.equal("HTTP 502", err.message)
    assert.equal(body, err.body)
    assert.equal("HTTP 500", message_of("\n <!DOCTYPE html>", 500))
  end)

  it("that is empty: the message is the status", function()
    assert.equal("HTTP 503", message_of("", 503))
    assert.equal("HTTP 404", message_of(nil, 404))
    assert.equal("HTTP 404", message_of(" \n", 404))
  end)

  it("of JSON without any message: the message is the status", function()
    for _, body in ipairs {
      "{}", "[]", "null", "5", "true", '""', '{"detail":null}', '{"detail":""}', '{"detail":{}}', '{"detail":[]}',
      '{"detail":{"message":""}}', '{"detail":[{}]}', '{"detail":[{"msg":""}]}', '{"message":""}', '{"message":null}',
      '{"message":5}', '{"detail":true}', '{"error":{}}', '{"detail":{"message":{"a":1}}}', '{"detail":[[]]}',
      '{"detail":" "}', '{"error":null}', '{"title":""}', '{"details":{"error":""}}', '{"errors":[]}',
    } do
      assert.equal("HTTP 418", message_of(body), body)
    end
  end)
end)

describe("The message", function()
  --- Parts of a body in the order in which they are looked at, each with its text.
  local parts = {
    { '"detail":"detail"', "detail" },
    { '"message":"message"', "message" },
    { '"details":{"error":"reason"}', "reason" },
    { '"error":"error"', "error" },
    { '"title":"title"', "title" },
  }

  it("is the first text that is not empty, in the contract's order", function()
    for first = 1, #parts do
      for second = first + 1, #parts do
        assert.equal(parts[first][2], message_of(("{%s,%s}"):format(parts[second][1], parts[first][1])))
      end
    end
  end)

  it("skips empty texts", function()
    assert.equal("d", message_of '{"detail":{"message":"d"},"message":"m"}')
    for _, detail in ipairs { '""', "null", "{}", '{"message":""}', "[]", '[{"type":"x"}]', '{"code":"x"}' } do
      assert.equal("m", message_of(('{"detail":%s,"message":"m"}'):format(detail)), detail)
    end
    assert.equal("e", message_of '{"detail":"","message":"","details":{"error":""},"error":"e"}')
    assert.equal("t", message_of '{"error":{"message":""},"title":"t"}')
  end)

  it("is the reason of the detail rather than that of the body", function()
    assert.equal("inner", message_of '{"detail":{"details":{"error":"inner"}},"details":{"error":"outer"}}')
  end)

  it("leaves out items of a list that have no message", function()
    assert.equal("a; b", message_of '{"detail":[{"msg":"a"},{"msg":""},{},5,{"msg":"b"}]}')
    assert.equal("text", message_of '{"detail":["text"]}')
  end)

  it("has at most 500 bytes, of whole characters", function()
    assert.equal(("x"):rep(500), message_of(('{"detail":"%s"}'):format(("x"):rep(500))))
    assert.equal(("x"):rep(500), message_of(('{"detail":"%s"}'):format(("x"):rep(501))))
    assert.equal(500, #message_of(("y"):rep(100000)))
    for shift = 0, 3 do
      for _, char in ipairs { "é", "€", "\240\159\153\130" } do
        local text = ("x"):rep(shift) .. char:rep(500)
        local message = message_of(('{"detail":"%s"}'):format(text))
        assert.is_true(#message <= 500 and #message > 496)
        assert.equal(text:sub(1, #message), message)
        assert.equal(0, (#message - shift) % #char)
      end
    end
  end)

  it("is kept if it is not UTF-8", function()
    assert.equal(("\128"):rep(500), message_of(("\128"):rep(600)))
    assert.equal(500, #message_of(("\191"):rep(5000)))
  end)
end)

describe("err.body", function()
  it("is the body, cut at 64 KiB", function()
    local body = ("x"):rep(64 * 1024)
    assert.is_true(fail(500, body).body == body)
    assert.is_true(fail(500, body .. "y").body == body)
    assert.is_true(fail(500, "\255" .. body).body == "\255" .. body:sub(2))
    assert.equal("", fail(500, "").body)
  end)

  it("is not cut within a character", function()
    for shift = 0, 3 do
      local body = fail(500, ("x"):rep(shift) .. ("\240\159\153\130"):rep(20000)).body
      assert.is_true(#body <= 64 * 1024 and #body > 64 * 1024 - 4)
      assert.equal(0, (#body - shift) % 4)
    end
  end)
end)

describe("parse", function()
  it("takes an integer as the status", function()
    for _, status in ipairs { "200", 0 / 0, 1 / 0, 200.5, -1, {} } do
      local ok, problem = pcall(runs.parse, status, {}, "")
      assert.is_false(ok)
      assert.matches("bad argument 'status': must be an integer", problem)
    end
  end)
end)

describe("err.kind", function()
  it("is decided by the status", function()
    for kind, statuses in pairs {
      validation = { 400, 422 }, authentication = { 401 }, permission = { 403 }, not_found = { 404 },
      conflict = { 409 }, rate_limit = { 429 }, timeout = { 408 }, server = { 500, 501, 502, 503, 504, 505, 599 },
      api = { 100, 300, 301, 304, 307, 402, 405, 410, 413, 418, 451 },
    } do
      for _, status in ipairs(statuses) do assert.equal(kind, fail(status, '{"detail":"x"}').kind, tostring(status)) end
    end
  end)

  it("or the status decides whether err.retryable is true", function()
    for _, status in ipairs { 408, 429, 500, 502, 503, 504 } do
      assert.is_true(fail(status, "").retryable, tostring(status))
    end
    for _, status in ipairs { 400, 401, 403, 404, 409, 422, 418, 301, 501, 505, 599 } do
      assert.is_false(fail(status, "").retryable, tostring(status))
    end
    for _, kind in ipairs { "timeout", "connection" } do
      assert.is_true(failure.new({ kind = kind, message = "m" }).retryable)
    end
    for _, kind in ipairs { "tls", "decode", "too_large", "cursor_loop", "cancelled" } do
      assert.is_false(failure.new({ kind = kind, message = "m" }).retryable)
    end
  end)
end)

describe("A redirect", function()
  it("is not followed, and the message has its target", function()
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local err = fail(status, "<html>moved</html>", { Location = "https://elsewhere.example/x" })
      assert.equal("api", err.kind)
      assert(err.message:find("https://elsewhere.example/x", 1, true), err.message)
      assert(err.message:find(tostring(status), 1, true), err.message)
    end
  end)

  it("without a target has its status as its message", function()
    assert.equal("HTTP 302", fail(302, "").message)
  end)
end)

describe("The headers of an error", function()
  it("are read in any case of their names", function()
    local err = fail(503, "", { ["X-Request-ID"] = "req_9", ["Retry-After"] = "7" })
    assert.equal("req_9", err.request_id)
    assert.equal(7, err.retry_after)
    assert.equal(0.5, fail(429, "", { ["retry-after-ms"] = "500" }).retry_after)
  end)

  it("leave request_id and retry_after nil if they are absent", function()
    assert.is_nil(fail(503, "").request_id)
    assert.is_nil(fail(503, "").retry_after)
  end)
end)

describe("err.hint", function()
  it("for a 401 names the other way to send the key", function()
    local function hint(auth) return fail(401, "", nil, new_runs(key, { auth = auth })).hint end
    assert.is_truthy(hint("api-key"):find("bearer", 1, true))
    assert.is_truthy(hint("bearer"):find("api-key", 1, true))
    assert.is_truthy(hint():find("bearer", 1, true))
    assert.is_truthy(hint():find("RETAB_API_KEY", 1, true))
  end)

  it("for a 404 and a 405 says what they usually mean", function()
    assert.matches("organization", fail(404, "").hint)
    assert.matches("base_url", fail(404, "").hint)
    assert.matches("not enabled for your organization", fail(405, "").hint)
  end)

  it("exists for every kind that the user can do something about", function()
    for kind, word in pairs {
      authentication = "RETAB_API_KEY", permission = "workspace", validation = "parameters",
      rate_limit = "max_retries", server = "later", connection = "proxy", timeout = "timeout", tls = "ca_file",
      decode = "base_url", too_large = "max_body_bytes", cursor_loop = "start again",
    } do
      local err = failure.new { kind = kind, message = "m" }
      assert(err.hint and err.hint:find(word, 1, true), kind .. ": " .. tostring(err.hint))
      assert(tostring(err):find("hint: " .. err.hint, 1, true), kind)
    end
    assert.is_nil(tostring(failure.new { kind = "cancelled", message = "m" }):find "hint")
  end)
end)

describe("The key", function()
  it("is masked in every field that can repeat it", function()
    local echo = "x" .. key .. "y" .. key
    local bodies = {
      ('{"detail":"%s"}'):format(echo),
      ('{"detail":{"message":"%s","code":"%s","details":{"%s":["%s"]},"errors":["%s"]}}'):format(echo, echo, echo,
        echo, echo),
      ('{"detail":{"message":"An HTTP exception occurred.","details":{"error":"%s"}}}'):format(echo),
      ('{"detail":[{"loc":["%s"],"msg":"%s","input":{"a":["%s"]}}]}'):format(echo, echo, echo),
      ('{"title":"%s","errors":[{"location":"%s","message":"%s"}]}'):format(echo, echo, echo),
      ('{"code":"%s","message":"%s","details":"%s"}'):format(echo, echo, echo),
      ('{"message":"[\\"%s\\"]"}'):format(echo), ('{"error":"%s"}'):format(echo), echo, "<html>" .. echo,
      ('{"other":"%s"}'):format(echo), ("x"):rep(490) .. echo, ("x"):rep(64 * 1024 - 10) .. echo,
    }
    for _, body in ipairs(bodies) do
      for _, status in ipairs { 401, 500, 302 } do
        local err = fail(status, body, { ["x-request-id"] = echo, location = "https://h/?k=" .. key })
        assert.is_false(contains(err, key), body)
        assert.is_false(contains(tostring(err), key), body)
      end
    end
  end)

  it("is masked in every spelling that a body can have", function()
    local secret = 'sk/se"cret\\1+x'
    local own = new_runs(secret, { base_url = "http://localhost" })
    local _, message, err = own.parse(401, { ["content-type"] = "application/json" },
      [[{"detail":"bad key sk\/se\"cret\\1\u002Bx and sk%2fse%22cret%5C1%252Bx and sk&#47;se&quot;cret\\1&#43;x"}]])
    assert.equal("bad key *** and *** and ***", message)
    assert.is_false(contains(err, "cret"))
  end)

  it("leaves the text around it unchanged", function()
    assert.equal("the key *** is wrong", fail(401, '{"detail":"the key ' .. key .. ' is wrong"}').message)
  end)

  it("is masked if a response is not a JSON page", function()
    for _, headers in ipairs { { ["content-type"] = "text/" .. key }, {}, { ["x-request-id"] = key } } do
      local _, _, err = runs.parse(200, headers, "the key is " .. key)
      assert.equal("decode", err.kind)
      assert.is_false(contains(err, key))
      assert.is_false(contains(tostring(err), key))
    end
  end)

  it("is masked completely if a long body is cut", function()
    for _, spelled in ipairs { key, (key:gsub(".", function(char) return ("%%%02X"):format(char:byte()) end)) } do
      local long = ("x" .. spelled):rep(20000)
      for shift = 0, #spelled, 5 do
        local err = fail(500, ("y"):rep(shift) .. long)
        assert.is_true(#err.body <= 64 * 1024)
        assert.is_nil(err.body:gsub("%*%*%*", ""):gsub("%*+$", ""):find("[^xy]"))
        assert.is_nil(err.message:gsub("%*%*%*", ""):gsub("%*+$", ""):find("[^xy]"))
      end
    end
  end)

  it("is masked if a message quotes only the beginning of a body", function()
    local _, message = runs.parse(200, { ["content-type"] = "text/html" }, ("x"):rep(72) .. key)
    assert.is_nil(message:find("sk_live", 1, true))
  end)
end)

describe("tostring of an error", function()
  it("is several lines for a person", function()
    local text = tostring(fail(422, [[{"detail":[{"loc":["query","limit"],"msg":"too large"}]}]],
      { ["x-request-id"] = "req_1", ["retry-after"] = "3" }))
    assert.matches("\n", text)
    local first = text:match "^[^\n]*"
    assert.matches("validation", first)
    assert.matches("too large", first)
    for _, part in ipairs { "422", "req_1", "query.limit: too large", "3 s", "hint: " } do
      assert(text:find(part, 1, true), part .. " is not in " .. text)
    end
  end)

  it("has what is known of the call", function()
    local text = tostring(failure.new { kind = "server", message = "m", status = 500, code = "OOPS", method = "GET",
      url = "https://h/p?limit=1", attempts = 3, cursor = "run_5", request_id = "req_2" })
    for _, part in ipairs { "server", "500", "OOPS", "GET https://h/p?limit=1", "3", "run_5", "req_2" } do
      assert(text:find(part, 1, true), part .. " is not in " .. text)
    end
  end)

  it("stays under 4000 bytes whatever the server sends", function()
    local long = ("é"):rep(5000)
    local items = {}
    for index = 1, 100 do items[index] = ('{"loc":["%s","%s"],"msg":"%s"}'):format(long, long, long) end
    local err = fail(422, ('{"detail":{"message":"%s","code":"%s","errors":[%s]}}'):format(long, long,
      table.concat(items, ",")), { ["x-request-id"] = long })
    err.url, err.cursor = "https://h/?after=" .. long, long
    assert.is_true(#tostring(err) < 4000)
    assert.is_true(#tostring(err) > 1000)
    assert.matches("and: 95 more", tostring(err))
  end)

  it("works for errors of any shape", function()
    for _, errors in ipairs {
      '"x"', "5", "{}", '["a"]', "[5]", '[{"loc":"a"}]', '[{"loc":[1,true,{}],"msg":5}]', '[{"loc":[]}]',
      '[{"msg":"m"}]', "[[]]", '[{"location":5,"message":"m"}]', '[{"loc":["a"]}]',
    } do
      local err = fail(422, ('{"detail":{"message":"m","code":{},"details":5,"errors":%s}}'):format(errors))
      local text = tostring(err)
      assert.equal("string", type(text))
      assert.matches("^m", err.message)
      assert.is_nil(text:find(": nil", 1, true), text)
    end
  end)
end)

describe("An error object", function()
  it("is recognized by retab.is_error", function()
    assert.is_true(retab.is_error(fail(500, "")))
    for _, value in ipairs { {}, "x", 5, true, { kind = "server", message = "m" }, retab.null, print } do
      assert.is_false(retab.is_error(value))
    end
    assert.is_false(retab.is_error(nil))
    assert.is_false(retab.is_error())
  end)

  it("can be raised and caught", function()
    local err = fail(500, "")
    local ok, caught = pcall(error, err)
    assert.is_false(ok)
    assert.equal(err, caught)
  end)
end)
