--- What is a page and what is not: runs.parse on answers of the 200s, and core.envelope beneath it.
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "spec.documents"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local json = { ["content-type"] = "application/json" }

local function new_runs(options)
  options = options or {}
  options.api_key = "sk_secret_of_spec"
  return retab.new(options).workflows.experiments.runs
end

local runs = new_runs()

local function body_of(data, metadata)
  return ('{"data":%s,"list_metadata":%s}'):format(data, metadata or '{"before":null,"after":null}')
end

local function page_of(body, options, headers)
  local page, message, err = runs.parse(200, headers or json, body, options)
  assert(page, message)
  assert.is_nil(err)
  return page
end

--- Refused with a decode error that has all of these words in its message.
local function refuse(body, words, headers)
  local count = select("#", runs.parse(200, headers or json, body))
  local page, message, err = runs.parse(200, headers or json, body)
  assert.equal(3, count, "taken for a page: " .. body:sub(1, 100))
  assert.is_nil(page)
  assert.equal("decode", err.kind)
  assert.equal(message, err.message)
  assert.equal(200, err.status)
  assert.is_true(err.body == body:sub(1, 64 * 1024))
  assert.is_false(err.retryable)
  for _, word in ipairs(words) do
    assert(message:find(word, 1, true), ("%q is not in the message: %s"):format(word, message))
  end
  return err
end

describe("A page", function()
  it("holds the runs and the cursors as the server sent them", function()
    local page = page_of(body_of('[{"id":"run_1","score":0.5},{"id":"run_2"}]', '{"before":"run_1","after":"run_2"}'))
    assert.same({ { id = "run_1", score = 0.5 }, { id = "run_2" } }, page.data)
    assert.same({ before = "run_1", after = "run_2" }, page.list_metadata)
    assert.is_true(page:has_more())
  end)

  it("may be empty", function()
    local page = page_of(body_of "[]")
    assert.same({}, page.data)
    assert.same({}, page.list_metadata)
    assert.is_false(page:has_more())
  end)

  it("keeps unknown statuses, fields and types of a run", function()
    local page = page_of(body_of [==[[{"id":"r","lifecycle":{"status":"hibernating","new":[1,{"x":[]}]},"score":"high",
      "created_at":"2026-05-02T11:00:00.123456+02:00","brand_new":{"a":true}}]]==])
    local run = page.data[1]
    assert.equal("hibernating", run.lifecycle.status)
    assert.same({ 1, { x = {} } }, run.lifecycle.new)
    assert.equal("high", run.score)
    assert.equal("2026-05-02T11:00:00.123456+02:00", run.created_at)
    assert.same({ a = true }, run.brand_new)
  end)

  it("gives integers as integers where Lua has them", function()
    local run = page_of(body_of '[{"duration_ms":258221,"big":9007199254740993,"score":1.0}]').data[1]
    assert.equal(258221, run.duration_ms)
    if math.type then
      assert.equal("integer", math.type(run.duration_ms))
      assert.equal("9007199254740993", ("%d"):format(run.big))
      assert.equal("float", math.type(run.score))
    else
      assert.equal(2 ^ 53, run.big)
    end
  end)

  it("keeps further fields of the envelope and of its metadata", function()
    local page = page_of [[{"object":"list","data":[],"total":12,"extra":{"a":[1]},
      "list_metadata":{"after":"x","count":3}}]]
    assert.equal("list", page.object)
    assert.equal(12, page.total)
    assert.same({ a = { 1 } }, page.extra)
    assert.equal(3, page.list_metadata.count)
    assert.equal("x", page.list_metadata.after)
  end)

  it("takes the metadata before the data", function()
    assert.same({ { id = "a" } }, page_of('{"list_metadata":{"after":null},"data":[{"id":"a"}]}').data)
  end)

  it("takes data that are no objects, since what is listed is the server's affair", function()
    assert.same({ 1, "a", {} }, page_of(body_of '[1,"a",[]]').data)
  end)

  it("has no holes where the server lists nulls, unless null is a value", function()
    local body = body_of '[null,{"id":"a"},null,[null,1],{"x":[null,2]},null]'
    local data = page_of(body).data
    assert.equal(3, #data)
    assert.equal("a", data[1].id)
    assert.equal(1, data[2][2]) -- inside of what is listed a null keeps its place
    assert.equal(2, data[3].x[2])
    assert.equal(6, #page_of(body, { null = retab.null }).data)
    assert.same({ { id = "a" }, { 1 }, {} }, (function()
      local page = page_of(body_of '[null,{"id":"a"},null,[1],{"x":1}]', { fields = { "id" } })
      return page.data
    end)())
  end)

  it("carries the request id of the answer, whatever the case of the header's name", function()
    for _, name in ipairs { "x-request-id", "X-Request-Id", "X-REQUEST-ID" } do
      assert.equal("req_7", page_of(body_of "[]", nil, { ["Content-Type"] = "application/json",
        [name] = "req_7" }).request_id)
    end
    assert.is_nil(page_of(body_of "[]").request_id)
  end)

  it("takes any answer of the 200s", function()
    assert.same({}, assert(runs.parse(206, json, body_of "[]")).data)
  end)

  it("raises when a parsed one is asked for its neighbours", function()
    local page = page_of(body_of("[]", '{"before":"a","after":"b"}'))
    assert.has_error(function() page:next() end)
    assert.has_error(function() page:prev() end)
  end)
end)

describe("The cursors of a page", function()
  it("are nil when null, absent or empty, whatever null is", function()
    for _, metadata in ipairs {
      '{"before":null,"after":null}', "{}", '{"before":"","after":""}', '{"after":""}', '{"before":null}',
    } do
      for _, null in ipairs { "x", core.null, 0, {}, false } do
        local page = page_of(body_of("[]", metadata), { null = null })
        assert.is_nil(page.list_metadata.before)
        assert.is_nil(page.list_metadata.after)
        assert.is_false(page:has_more())
      end
      assert.is_nil(page_of(body_of("[]", metadata)).list_metadata.after)
    end
  end)

  it("are kept byte for byte", function()
    local page = page_of(body_of("[]", [[{"before":"é\u0000\"x","after":" "}]]))
    assert.equal('é\0"x', page.list_metadata.before)
    assert.equal(" ", page.list_metadata.after)
  end)

  it("are found whatever fields says", function()
    local page = page_of(body_of('[{"id":"a","b":1}]', '{"after":"a"}'), { fields = { "b" } })
    assert.same({ { b = 1 } }, page.data)
    assert.equal("a", page.list_metadata.after)
  end)
end)

describe("null in a page", function()
  local body = body_of('[{"id":"a","score":null}]', '{"after":null,"total":null}')

  it("is an absent field, unless told", function()
    assert.same({ { id = "a" } }, page_of(body).data)
  end)

  it("is the value that the call or the client names, the call first", function()
    assert.equal(retab.null, page_of(body, { null = retab.null }).data[1].score)
    assert.equal(cjson.null, page_of(body, { null = retab.null }).list_metadata.total)
    assert.is_false(page_of(body, { null = false }).data[1].score)
    local page = assert(new_runs { null = "none" }.parse(200, json, body))
    assert.equal("none", page.data[1].score)
    page = assert(new_runs { null = "none" }.parse(200, json, body, { null = "other" }))
    assert.equal("other", page.data[1].score)
    page = assert(new_runs { null = false }.parse(200, json, body))
    assert.is_false(page.data[1].score)
  end)
end)

describe("fields of a page", function()
  it("start at a run", function()
    local body = body_of('[{"id":"a","lifecycle":{"status":"error","message":"m"},"score":1},{"score":2,"data":3}]')
    local page = page_of(body, { fields = { "id", "lifecycle.status" } })
    assert.same({ { id = "a", lifecycle = { status = "error" } }, {} }, page.data)
  end)

  it("leave the rest of the envelope alone", function()
    local page = page_of('{"total":3,"more":{"b":[{"c":1}]},"data":[{"id":"a"}],'
      .. '"list_metadata":{"after":"a","x":{"y":1}}}', { fields = { "none" } })
    assert.equal(3, page.total)
    assert.same({ b = { { c = 1 } } }, page.more)
    assert.same({ after = "a", x = { y = 1 } }, page.list_metadata)
    assert.same({ {} }, page.data)
  end)

  it("do not excuse what is no JSON", function()
    local page, message = runs.parse(200, json, body_of '[{"id":"a","b":[1,]}]', { fields = { "id" } })
    assert.is_nil(page)
    assert.matches("not JSON", message)
  end)

  it("raise when they are no paths", function()
    assert.has_error(function() runs.parse(200, json, body_of "[]", { fields = { "a..b" } }) end)
    assert.has_error(function() runs.parse(200, json, body_of "[]", { fields = "id" }) end)
  end)
end)

describe("A member that comes twice", function()
  it("counts as it was last", function()
    assert.same({ 2 }, page_of('{"data":[1],"data":[2],"list_metadata":{}}').data)
    assert.same({ 2 }, page_of('{"data":"x","data":[2],"list_metadata":{}}').data)
    local page = page_of '{"data":[],"list_metadata":{"after":"a","n":1},"list_metadata":{"before":"b"}}'
    assert.same({ before = "b" }, page.list_metadata)
    assert.equal("b", page_of(body_of("[]", '{"after":"a","after":"b"}')).list_metadata.after)
    assert.is_nil(page_of(body_of("[]", '{"after":"a","after":null}')).list_metadata.after)
    assert.is_nil(page_of(body_of("[]", '{"after":"a","after":""}')).list_metadata.after)
    assert.equal("b", page_of(body_of("[]", '{"after":5,"after":"b"}')).list_metadata.after)
    assert.same({}, page_of('{"data":[],"list_metadata":{"after":5},"list_metadata":{}}').list_metadata)
    refuse('{"data":[1],"data":null,"list_metadata":{}}', { "data", "null" })
    refuse('{"data":[1],"list_metadata":{},"list_metadata":[]}', { "list_metadata", "an array" })
    refuse(body_of("[]", '{"after":"b","after":5}'), { "list_metadata.after", "a number" })
  end)
end)

describe("No page", function()
  it("is what is not JSON, and the message says where", function()
    refuse("<html><body>It works!</body></html>", { "not JSON", "byte 1" })
    refuse("not found", { "not JSON", "byte 2" })
    refuse("", { "empty" })
    refuse('{"data":[', { "not JSON", "end", "byte 10" })
    refuse(body_of "[]" .. "x", { "not JSON", "byte 57" })
    refuse("\239\187\191" .. body_of "[]", { "not JSON", "byte 1" })
    refuse(body_of '[{"id":"\255"}]', { "not JSON", "UTF-8", "byte 17" })
    refuse(body_of(("["):rep(200) .. ("]"):rep(200)), { "not JSON", "deep" })
    refuse('{"data":5,"list_metadata":}', { "not JSON", "byte 27" })
  end)

  it("is a value of another kind, and the message says which", function()
    refuse("[]", { "an array", "an object is expected" })
    refuse('[{"id":"a"}]', { "an array" })
    refuse("null", { "null" })
    refuse('"text"', { "a string" })
    refuse("5", { "a number" })
    refuse("true", { "a boolean" })
  end)

  it("is one whose data is missing or no array", function()
    refuse('{"list_metadata":{}}', { "data", "missing", "an array" })
    refuse("{}", { "data", "missing" })
    refuse('{"detail":"no such list"}', { "data", "missing" })
    for value, kind in pairs { ["{}"] = "an object", ['{"1":{}}'] = "an object", ["null"] = "null",
      ['"a"'] = "a string",
      ["5"] = "a number", ["false"] = "a boolean" } do
      refuse(body_of(value), { "data", kind, "an array is expected" })
    end
    refuse('{"Data":[],"list_metadata":{}}', { "data", "missing" })
    refuse('{"data\\u0000":[],"list_metadata":{}}', { "data", "missing" })
  end)

  it("is one whose list_metadata is missing or no object", function()
    refuse('{"data":[]}', { "list_metadata", "missing", "an object" })
    for value, kind in pairs { ["[]"] = "an array", ["null"] = "null", ['"a"'] = "a string", ["0"] = "a number",
      ["true"] = "a boolean" } do
      refuse(body_of("[]", value), { "list_metadata", kind, "an object is expected" })
    end
  end)

  it("is one whose cursors are neither strings nor null", function()
    for _, name in ipairs { "before", "after" } do
      for value, kind in pairs { ["[]"] = "an array", ["{}"] = "an object", ["0"] = "a number", ["false"] = "a boolean",
        ['["a"]'] = "an array" } do
        refuse(body_of("[]", ('{"%s":%s}'):format(name, value)), { "list_metadata." .. name, kind, "a string or null" })
      end
    end
  end)

  it("stays refused whatever null is", function()
    for _, null in ipairs { {}, "x", false } do
      local page, _, err = runs.parse(200, json, '{"data":null,"list_metadata":{}}', { null = null })
      assert.is_nil(page)
      assert.equal("decode", err.kind)
    end
  end)

  it("is followed by good pages", function()
    for _ = 1, 3 do
      refuse('{"data":{}}', { "data" })
      assert.same({ { id = "a" } }, page_of(body_of '[{"id":"a"}]').data)
    end
  end)
end)

describe("The content type of a page", function()
  local function headers(value, name)
    return { [name or "content-type"] = value }
  end

  it("is JSON, in any case and with parameters", function()
    for _, value in ipairs {
      "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON",
      " application/json ", "application/json ; x=y",
    } do
      page_of(body_of "[]", nil, headers(value))
      page_of(body_of "[]", nil, headers(value, "Content-Type"))
      page_of(body_of "[]", nil, headers(value, "CONTENT-TYPE"))
    end
  end)

  it("may be of the +json kind", function()
    for _, value in ipairs { "application/hal+json", "application/vnd.api+json; version=1",
      "application/problem+JSON" } do
      page_of(body_of "[]", nil, headers(value))
    end
  end)

  it("may be missing", function()
    page_of(body_of "[]", nil, {})
    assert(runs.parse(200, nil, body_of "[]"))
  end)

  it("is nothing else, and the message says what came", function()
    for _, value in ipairs {
      "text/html", "text/html; charset=utf-8", "text/plain", "application/xml", "application/octet-stream",
      "application/jsonp", "application/json-seq", "application/x-ndjson", "text/json+html", "application/javascript",
    } do
      refuse(body_of "[]", { value }, headers(value))
    end
    refuse("<!doctype html><title>Sign in</title>", { "text/html", "Sign in" }, headers "text/html")
    refuse(("<p>%s</p>"):format(("x"):rep(100000)), { "text/html" }, headers "text/html")
  end)

  it("gives an error with the request id", function()
    local err = refuse("oops", { "text/plain" }, { ["content-type"] = "text/plain", ["x-request-id"] = "req_1" })
    assert.equal("req_1", err.request_id)
  end)
end)

describe("core.envelope", function()
  it("gives a page's plain table, or nil and a message", function()
    local page = core.envelope(body_of '[{"id":"a"}]')
    assert.same({ data = { { id = "a" } }, list_metadata = {} }, page)
    assert.is_nil(getmetatable(page))
    assert.equal(2, select("#", core.envelope "[]"))
    local none, message = core.envelope "[]"
    assert.is_nil(none)
    assert.is_string(message)
  end)

  it("refuses what core.decode refuses, at the same byte, and gives what it gives", function()
    local source = documents.new(77)
    local good = 0
    for _ = 1, scripted.times(3000) do
      local text = ('{ "data" :[{"id":"a","x":null}] , "total":1,"list_metadata":{"n":[1],"after":"%s" ,"b":{} } } ')
        :format(source:digits(3))
      if not source:once_in(5) then text = source:mutate(text) end
      local value, problem, position = core.decode(text, { null = core.null })
      local page, message = core.envelope(text, { null = core.null })
      if problem then
        assert.is_nil(page, text)
        assert.equal(("the answer is not JSON: %s at byte %d"):format(problem, position), message)
      elseif page then
        good = good + 1
        assert.same(value, page)
      else
        assert.matches("no list", message)
      end
    end
    assert.is_true(good > 0)
  end)

  it("raises for what is no string", function()
    assert.has_error(function() core.envelope(nil) end)
    assert.has_error(function() core.envelope(5) end)
    assert.has_error(function() core.envelope("{}", { nonsense = 1 }) end)
  end)

  it("does not mix up what it learns with what core.decode does", function()
    for _ = 1, 3 do
      local text = body_of('[{"id":"a","s":{"x":1,"y":2}}]', '{"after":"a"}')
      assert.same({ { s = { y = 2 } } }, core.envelope(text, { fields = { "s.y" } }).data)
      assert.same({ data = { { s = { x = 1 } } } }, (core.decode(text, { fields = { "data.s.x" } })))
      assert.same({ { id = "a", s = { x = 1, y = 2 } } }, core.envelope(text).data)
    end
  end)
end)
