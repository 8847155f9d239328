--- The error object: what each error body says, what it is called, what is cut, and that the key is nowhere.
local failure = require "retab.error"
local retab = require "retab"

local key = "sk_live_%d+[a-z].*$^(-x)"

local function new_runs(api_key)
  return retab.new({ api_key = api_key or key }).workflows.experiments.runs
end

local runs = new_runs()

--- The error that an answer is.
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

describe("An error body", function()
  it("that has text as its detail says that", function()
    local body = '{"detail":"Experiment exp_x was not found"}'
    local err = fail(404, body)
    assert.equal("Experiment exp_x was not found", err.message)
    assert.equal(body, err.body)
    assert.is_nil(err.code)
    assert.is_nil(err.details)
    assert.is_nil(err.errors)
  end)

  it("that has an object as its detail gives its message, code, details and errors", function()
    local err = fail(409, [[{"detail":{"code":"EXPERIMENT_LOCKED","message":"The experiment is locked",
      "details":{"by":"usr_1","since":5},"errors":[{"loc":["body","x"],"msg":"no"}]}}]])
    assert.equal("The experiment is locked", err.message)
    assert.equal("EXPERIMENT_LOCKED", err.code)
    assert.same({ by = "usr_1", since = 5 }, err.details)
    assert.same({ { loc = { "body", "x" }, msg = "no" } }, err.errors)
  end)

  it("that has a list as its detail joins the messages and gives the list as errors", function()
    local err = fail(422, [[{"detail":[
      {"loc":["query","limit"],"msg":"Input should be less than or equal to 100","type":"less_than_equal"},
      {"loc":["query","order"],"msg":"Input should be 'asc' or 'desc'","type":"literal_error"}]}]])
    assert.equal("Input should be less than or equal to 100; Input should be 'asc' or 'desc'", err.message)
    assert.equal(2, #err.errors)
    assert.same({ "query", "order" }, err.errors[2].loc)
    assert.equal("literal_error", err.errors[2].type)
  end)

  it("that is flat gives its message, code and details", function()
    local err = fail(403, '{"code":"FORBIDDEN","message":"Not your workspace","details":{"workspace":"ws_1"}}')
    assert.equal("Not your workspace", err.message)
    assert.equal("FORBIDDEN", err.code)
    assert.same({ workspace = "ws_1" }, err.details)
  end)

  it("that has a JSON list in its message is unfolded", function()
    local err = fail(422, [==[{"status_code":10422,"data":null,"message":]==]
      .. [==["[{\"loc\":[\"query\",\"limit\"],\"msg\":\"too large\"},{\"loc\":[\"x\"],\"msg\":\"no order\"}]"}]==])
    assert.equal("too large; no order", err.message)
    assert.equal(10422, err.code)
    assert.same({ "query", "limit" }, err.errors[1].loc)
  end)

  it("that has a bracket but no list in its message is left as it is", function()
    for _, text in ipairs { "[oops", "[1,2", "[a] is wrong", "[]", "[{}]", "[5]" } do
      assert.equal(text, message_of(('{"message":"%s"}'):format(text)))
    end
  end)

  it("that is plain text says that", function()
    assert.equal("upstream connect error", message_of "upstream connect error")
    assert.equal('{"detail":"cut', message_of '{"detail":"cut')
    assert.equal("as a JSON string", message_of '"as a JSON string"')
  end)

  it("that is an HTML page is called by its status, and kept", function()
    local body = "<html><head><title>502 Bad Gateway</title></head></html>"
    local err = fail(502, body)
    assert.equal("HTTP 502", err.message)
    assert.equal(body, err.body)
    assert.equal("HTTP 500", message_of("\n <!DOCTYPE html>", 500))
  end)

  it("that is empty is called by its status", function()
    assert.equal("HTTP 503", message_of("", 503))
    assert.equal("HTTP 404", message_of(nil, 404))
    assert.equal("HTTP 404", message_of(" \n", 404))
  end)

  it("that is JSON but says nothing is called by its status", function()
    for _, body in ipairs {
      "{}", "[]", "null", "5", "true", '""', '{"detail":null}', '{"detail":""}', '{"detail":{}}', '{"detail":[]}',
      '{"detail":{"message":""}}', '{"detail":[{}]}', '{"detail":[{"msg":""}]}', '{"message":""}', '{"message":null}',
      '{"message":5}', '{"detail":true}', '{"error":{}}', '{"detail":{"message":{"a":1}}}', '{"detail":[[]]}',
      '{"detail":" "}',
    } do
      assert.equal("HTTP 418", message_of(body), body)
    end
  end)
end)

describe("The message", function()
  it("is the first that is not empty: detail, message, the status", function()
    assert.equal("d", message_of '{"detail":"d","message":"m"}')
    assert.equal("d", message_of '{"message":"m","detail":"d"}')
    assert.equal("d", message_of '{"detail":{"message":"d"},"message":"m"}')
    assert.equal("d", message_of '{"detail":[{"msg":"d"}],"message":"m"}')
    assert.equal("m", message_of '{"detail":"","message":"m"}')
    assert.equal("m", message_of '{"detail":null,"message":"m"}')
    assert.equal("m", message_of '{"detail":{},"message":"m"}')
    assert.equal("m", message_of '{"detail":{"message":""},"message":"m"}')
    assert.equal("m", message_of '{"detail":[],"message":"m"}')
    assert.equal("m", message_of '{"detail":[{"type":"x"}],"message":"m"}')
    assert.equal("m", message_of '{"detail":{"code":"x"},"message":"m"}')
  end)

  it("leaves out the parts of a list that say nothing", function()
    assert.equal("a; b", message_of '{"detail":[{"msg":"a"},{"msg":""},{},5,{"msg":"b"}]}')
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

  it("is not lost where it is no UTF-8", function()
    assert.equal(("\128"):rep(500), message_of(("\128"):rep(600)))
    assert.equal(500, #message_of(("\191"):rep(5000)))
  end)
end)

describe("The body", function()
  it("is kept up to 64 KiB", function()
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

describe("The kind", function()
  it("follows from the status", function()
    for status, kind in pairs {
      [400] = "validation", [422] = "validation", [401] = "authentication", [403] = "permission", [404] = "not_found",
      [409] = "conflict", [429] = "rate_limit", [408] = "timeout", [500] = "server", [501] = "server", [502] = "server",
      [503] = "server", [504] = "server", [505] = "server", [599] = "server", [402] = "api", [405] = "api",
      [410] = "api",
      [413] = "api", [418] = "api", [451] = "api", [300] = "api", [301] = "api", [304] = "api", [307] = "api",
      [100] = "api",
    } do
      assert.equal(kind, fail(status, '{"detail":"x"}').kind, tostring(status))
    end
  end)

  it("says whether another try could have helped", function()
    for _, status in ipairs { 408, 429, 500, 502, 503, 504 } do assert.is_true(fail(status, "").retryable,
      tostring(status)) end
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
  it("is not followed, and names its target", function()
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local err = fail(status, "<html>moved</html>", { Location = "https://elsewhere.example/x" })
      assert.equal("api", err.kind)
      assert(err.message:find("https://elsewhere.example/x", 1, true), err.message)
      assert(err.message:find(tostring(status), 1, true), err.message)
    end
  end)

  it("without a target is called by its status", function()
    assert.equal("HTTP 302", fail(302, "").message)
  end)
end)

describe("What the headers say", function()
  it("is in the error, whatever the case of their names", function()
    local err = fail(503, "", { ["X-Request-ID"] = "req_9", ["Retry-After"] = "7" })
    assert.equal("req_9", err.request_id)
    assert.equal(7, err.retry_after)
    assert.equal(0.5, fail(429, "", { ["retry-after-ms"] = "500" }).retry_after)
  end)

  it("is nil where they say nothing", function()
    assert.is_nil(fail(503, "").request_id)
    assert.is_nil(fail(503, "").retry_after)
  end)
end)

describe("The key", function()
  --- Whether the text is in the value, in any of its tables, keys and all.
  local function contains(value, text)
    if type(value) == "string" then return value:find(text, 1, true) ~= nil end
    if type(value) ~= "table" then return false end
    for name, item in pairs(value) do
      if contains(name, text) or contains(item, text) then return true end
    end
    return false
  end

  it("is masked in every field that an echo could reach", function()
    local echo = "x" .. key .. "y" .. key
    local bodies = {
      ('{"detail":"%s"}'):format(echo),
      ('{"detail":{"message":"%s","code":"%s","details":{"%s":["%s"]},"errors":["%s"]}}'):format(echo, echo, echo,
        echo, echo),
      ('{"detail":[{"loc":["%s"],"msg":"%s","input":{"a":["%s"]}}]}'):format(echo, echo, echo),
      ('{"code":"%s","message":"%s","details":"%s"}'):format(echo, echo, echo),
      ('{"message":"[\\"%s\\"]"}'):format(echo), echo, "<html>" .. echo, ('{"other":"%s"}'):format(echo),
      ("x"):rep(490) .. echo, ("x"):rep(64 * 1024 - 10) .. echo,
    }
    for _, body in ipairs(bodies) do
      for _, status in ipairs { 401, 500, 302 } do
        local err = fail(status, body, { ["x-request-id"] = echo, location = "https://h/?k=" .. key })
        assert.is_false(contains(err, key), body)
        assert.is_false(contains(tostring(err), key), body)
      end
    end
  end)

  it("leaves the rest of the text as it was", function()
    assert.equal("the key *** is wrong", fail(401, '{"detail":"the key ' .. key .. ' is wrong"}').message)
  end)

  it("is masked in what is no page, too", function()
    for _, headers in ipairs { { ["content-type"] = "text/" .. key }, {}, { ["x-request-id"] = key } } do
      local _, _, err = runs.parse(200, headers, "the key is " .. key)
      assert.equal("decode", err.kind)
      assert.is_false(contains(err, key))
      assert.is_false(contains(tostring(err), key))
    end
  end)

  it("is masked with its escapes undone", function()
    local tricky = new_runs 'a"b\\c/d'
    local err = fail(401, [[{"detail":"bad key a\"b\\c\/d","details":["a\u0022b\\c/d"]}]], nil, tricky)
    assert.is_false(contains(err.message, 'a"b\\c/d'))
    assert.is_false(contains(err.details, 'a"b\\c/d'))
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

  it("names what else is known", function()
    local text = tostring(failure.new { kind = "server", message = "m", status = 500, code = "OOPS", method = "GET",
      url = "https://h/p?limit=1", attempts = 3, cursor = "run_5", request_id = "req_2" })
    for _, part in ipairs { "server", "500", "OOPS", "GET https://h/p?limit=1", "3", "run_5", "req_2" } do
      assert(text:find(part, 1, true), part .. " is not in " .. text)
    end
  end)

  it("says what to do, of every kind that one can do something about", function()
    for kind, word in pairs {
      authentication = "RETAB_API_KEY", permission = "workspace", not_found = "base_url", validation = "parameters",
      rate_limit = "max_retries", server = "later", connection = "proxy", timeout = "timeout", tls = "ca_file",
      decode = "base URL", too_large = "max_body_bytes", cursor_loop = "start again",
    } do
      local text = tostring(failure.new { kind = kind, message = "m" })
      local hint = text:match "hint: ([^\n]*)"
      assert(hint and hint:find(word, 1, true), kind .. ": " .. tostring(hint))
    end
    assert.is_nil(tostring(failure.new { kind = "cancelled", message = "m" }):find "hint")
  end)

  it("stays under 4000 bytes whatever came", function()
    local long = ("é"):rep(5000)
    local parts = {}
    for index = 1, 100 do parts[index] = ('{"loc":["%s","%s"],"msg":"%s"}'):format(long, long, long) end
    local err = fail(422, ('{"detail":{"message":"%s","code":"%s","errors":[%s]}}'):format(long, long,
      table.concat(parts, ",")),
      { ["x-request-id"] = long })
    err.url, err.cursor = "https://h/?after=" .. long, long
    assert.is_true(#tostring(err) < 4000)
    assert.is_true(#tostring(err) > 1000)
    assert.matches("and: 95 more", tostring(err))
  end)

  it("survives errors of any shape", function()
    for _, errors in ipairs { '"x"', "5", "{}", '["a"]', "[5]", '[{"loc":"a"}]', '[{"loc":[1,true,{}],"msg":5}]',
      '[{"loc":[]}]',
      '[{"msg":"m"}]', "[[]]" } do
      local err = fail(422, ('{"detail":{"message":"m","code":{},"details":5,"errors":%s}}'):format(errors))
      assert.equal("string", type(tostring(err)))
      assert.equal("m", err.message)
    end
  end)
end)

describe("An error object", function()
  it("is told from other tables", function()
    assert.is_true(failure.is(fail(500, "")))
    for _, value in ipairs { {}, "x", 5, { kind = "server", message = "m" } } do assert.is_false(failure.is(value)) end
    assert.is_false(failure.is(nil))
  end)

  it("can be raised and caught whole", function()
    local err = fail(500, "")
    local ok, caught = pcall(error, err)
    assert.is_false(ok)
    assert.equal(err, caught)
  end)
end)

describe("the key in another spelling", function()
  local secret = 'sk/se"cret\\1'
  local own_runs = require("retab").new({ api_key = secret, base_url = "http://localhost" }).workflows.experiments.runs

  it("is masked where JSON escapes it, and in a URL", function()
    local _, message, err = own_runs.parse(401, { ["content-type"] = "application/json" },
      [[{"detail":"bad key sk\/se\"cret\\1 and sk%2Fse%22cret%5C1"}]])
    assert.equal("bad key *** and ***", message)
    assert.is_nil(err.body:find("cret", 1, true))
  end)

  it("is masked where an excerpt of a page ends in the middle of it", function()
    local _, message = own_runs.parse(200, { ["content-type"] = "text/html" }, ("x"):rep(72) .. secret)
    assert.is_nil(message:find("sk/", 1, true))
  end)
end)
