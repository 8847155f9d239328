--- core.envelope and core.object: which responses are lists, which are objects, and what they become.
local core = require "retab.core"
local documents = require "spec.documents"

local function body_of(data, metadata)
  return ('{"data":%s,"list_metadata":%s}'):format(data, metadata or '{"before":null,"after":null}')
end

local function page_of(body, options)
  assert.equal(1, select("#", core.envelope(body, options)))
  return assert(core.envelope(body, options))
end

--- Asserts that the body is refused, with exactly this message after "the response is not ".
local function refuse(expected, body, options, read)
  read = read or core.envelope
  local value, message, position = read(body, options)
  assert.is_nil(value)
  if position then message = ("the response is not JSON: %s at byte %d"):format(message, position) end
  assert.equal("the response is not " .. expected, message)
end

describe("core.envelope", function()
  it("returns a plain table with the items and the cursors", function()
    local page = page_of(body_of('[{"id":"run_1","score":0.5},{"id":"run_2"}]', '{"before":"run_1","after":"run_2"}'))
    assert.same({ data = { { id = "run_1", score = 0.5 }, { id = "run_2" } },
      list_metadata = { before = "run_1", after = "run_2" } }, page)
    assert.is_nil(getmetatable(page))
  end)

  it("accepts an empty list", function()
    assert.same({ data = {}, list_metadata = {} }, page_of(body_of "[]"))
    assert.same({ data = {}, list_metadata = {} }, page_of ' \n{ "data" : [ ] , "list_metadata" : { } } \t')
  end)

  it("keeps unknown statuses, fields and types of an item", function()
    local item = page_of(body_of [==[[{"lifecycle":{"status":"hibernating","new":[1,{"x":[]}]},"score":"high",
      "created_at":"2026-05-02T11:00:00.123456+02:00","brand_new":{"a":true}}]]==]).data[1]
    assert.same({ lifecycle = { status = "hibernating", new = { 1, { x = {} } } }, score = "high",
      created_at = "2026-05-02T11:00:00.123456+02:00", brand_new = { a = true } }, item)
  end)

  it("keeps integers exact if Lua has integers", function()
    local item = page_of(body_of '[{"duration_ms":258221,"big":9007199254740993,"score":1.0}]').data[1]
    assert.equal(258221, item.duration_ms)
    if math.type then
      assert.equal("integer", math.type(item.duration_ms))
      assert.equal("9007199254740993", ("%d"):format(item.big))
      assert.equal("float", math.type(item.score))
    else
      assert.equal(2 ^ 53, item.big)
    end
  end)

  it("keeps unknown fields of the envelope and of its metadata, in any order", function()
    local page = page_of [[{"list_metadata":{"after":"x","count":3},"object":"list","data":[],"total":12,
      "extra":{"a":[1]}}]]
    assert.same({ object = "list", total = 12, extra = { a = { 1 } }, data = {},
      list_metadata = { after = "x", count = 3 } }, page)
  end)

  it("accepts items that are not objects", function()
    assert.same({ 1, "a", {} }, page_of(body_of '[1,"a",[]]').data)
  end)

  it("leaves out items that are null, unless the option null has a value", function()
    local body = body_of '[null,{"id":"a"},null,[null,1],{"x":[null,2]},null]'
    local data = page_of(body).data
    assert.equal(3, #data)
    assert.equal("a", data[1].id)
    assert.equal(1, data[2][2]) -- inside an item a null keeps its place
    assert.equal(2, data[3].x[2])
    assert.equal(6, #page_of(body, { null = core.null }).data)
    assert.same({ { id = "a" }, { 1 }, {} },
      page_of(body_of '[null,{"id":"a"},null,[1],{"x":1}]', { fields = { "id" } }).data)
  end)

  it("replaces null with the value of the option", function()
    local body = body_of('[{"id":"a","score":null}]', '{"after":null,"total":null}')
    assert.same({ { id = "a" } }, page_of(body).data)
    assert.equal(core.null, page_of(body, { null = core.null }).data[1].score)
    assert.equal(core.null, page_of(body, { null = core.null }).list_metadata.total)
    assert.is_false(page_of(body, { null = false }).data[1].score)
  end)

  it("returns nil for a cursor that is null, absent or empty, whatever the option null is", function()
    for _, metadata in ipairs {
      '{"before":null,"after":null}', "{}", '{"before":"","after":""}', '{"after":""}', '{"before":null}',
    } do
      for _, null in ipairs { "x", core.null, 0, {}, false } do
        assert.same({}, page_of(body_of("[]", metadata), { null = null }).list_metadata)
      end
      assert.same({}, page_of(body_of("[]", metadata)).list_metadata)
    end
  end)

  it("keeps cursors byte for byte", function()
    local metadata = page_of(body_of("[]", [[{"before":"é\u0000\"x","after":" "}]])).list_metadata
    assert.same({ before = 'é\0"x', after = " " }, metadata)
  end)

  describe("with fields", function()
    it("selects fields of the items only", function()
      local page = page_of('{"total":3,"more":{"b":[{"c":1}]},"data":[{"id":"a","lifecycle":{"status":"error","x":1}},'
        .. '{"score":2}],"list_metadata":{"after":"a","x":{"y":1}}}', { fields = { "id", "lifecycle.status" } })
      assert.same({ total = 3, more = { b = { { c = 1 } } }, list_metadata = { after = "a", x = { y = 1 } },
        data = { { id = "a", lifecycle = { status = "error" } }, {} } }, page)
    end)

    it("still refuses a body that is not JSON", function()
      refuse("JSON: expected a value at byte 27", body_of '[{"id":"a","b":[1,]}]', { fields = { "id" } })
    end)

    it("does not mix up the paths with those of core.decode", function()
      for _ = 1, 3 do
        local text = body_of('[{"id":"a","s":{"x":1,"y":2}}]', '{"after":"a"}')
        assert.same({ { s = { y = 2 } } }, core.envelope(text, { fields = { "s.y" } }).data)
        assert.same({ data = { { s = { x = 1 } } } }, (core.decode(text, { fields = { "data.s.x" } })))
        assert.same({ { id = "a", s = { x = 1, y = 2 } } }, core.envelope(text).data)
      end
    end)
  end)

  it("uses the last of two equal keys", function()
    assert.same({ 2 }, page_of('{"data":[1],"data":[2],"list_metadata":{}}').data)
    assert.same({ 2 }, page_of('{"data":"x","data":[2],"list_metadata":{}}').data)
    local page = page_of '{"data":[],"list_metadata":{"after":"a","n":1},"list_metadata":{"before":"b"}}'
    assert.same({ before = "b" }, page.list_metadata)
    assert.equal("b", page_of(body_of("[]", '{"after":"a","after":"b"}')).list_metadata.after)
    assert.is_nil(page_of(body_of("[]", '{"after":"a","after":null}')).list_metadata.after)
    assert.is_nil(page_of(body_of("[]", '{"after":"a","after":""}')).list_metadata.after)
    assert.equal("b", page_of(body_of("[]", '{"after":5,"after":"b"}')).list_metadata.after)
    assert.same({}, page_of('{"data":[],"list_metadata":{"after":5},"list_metadata":{}}').list_metadata)
    refuse("a list: data is null, expected an array", '{"data":[1],"data":null,"list_metadata":{}}')
    refuse("a list: list_metadata is an array, expected an object",
      '{"data":[1],"list_metadata":{},"list_metadata":[]}')
    refuse("a list: list_metadata.after is a number, expected a string or null",
      body_of("[]", '{"after":"b","after":5}'))
  end)

  it("reports an error of JSON before any other error, with its position", function()
    refuse("JSON: expected a value at byte 1", "<html><body>It works!</body></html>")
    refuse("JSON: unexpected end of the text at byte 1", "")
    refuse("JSON: unexpected end of the text at byte 10", '{"data":[')
    refuse("JSON: bytes after the end of the value at byte 57", body_of "[]" .. "x")
    refuse("JSON: expected a value at byte 1", "\239\187\191" .. body_of "[]")
    refuse("JSON: invalid UTF-8 at byte 17", body_of '[{"id":"\255"}]')
    refuse("JSON: nested too deeply at byte 136", body_of(("["):rep(200) .. ("]"):rep(200)))
    refuse("JSON: nested too deeply at byte 9", '{"data":[]}', { max_depth = 1 })
    refuse("JSON: nested too deeply at byte 18", '{"list_metadata":{}}', { max_depth = 1 })
    refuse("JSON: expected a value at byte 27", '{"data":5,"list_metadata":}')
    refuse("JSON: expected ',' or '}' at byte 12", '{"data":[] "x":1}')
    refuse("JSON: expected a string as key at byte 12", '{"data":[],}')
  end)

  it("refuses a value that is not an object", function()
    for body, kind in pairs { ["[]"] = "an array", ['[{"id":"a"}]'] = "an array", ["null"] = "null",
      ['"text"'] = "a string", ["5"] = "a number", ["true"] = "a boolean" } do
      refuse(("a list: it is %s, expected an object"):format(kind), body)
    end
  end)

  it("refuses data that is missing or not an array", function()
    refuse("a list: data is missing, expected an array", "{}")
    refuse("a list: data is missing, expected an array", '{"Data":[],"list_metadata":{}}')
    refuse("a list: data is missing, expected an array", '{"data\\u0000":[],"list_metadata":{}}')
    for value, kind in pairs { ["{}"] = "an object", ['{"1":{}}'] = "an object", ["null"] = "null",
      ['"a"'] = "a string", ["5"] = "a number", ["false"] = "a boolean" } do
      for _, null in ipairs { {}, "x", false } do
        refuse(("a list: data is %s, expected an array"):format(kind), body_of(value), { null = null })
      end
    end
  end)

  it("refuses list_metadata that is missing or not an object", function()
    refuse("a list: list_metadata is missing, expected an object", '{"data":[]}')
    for value, kind in pairs { ["[]"] = "an array", ["null"] = "null", ['"a"'] = "a string", ["0"] = "a number",
      ["true"] = "a boolean" } do
      refuse(("a list: list_metadata is %s, expected an object"):format(kind), body_of("[]", value))
    end
  end)

  it("refuses cursors that are neither strings nor null", function()
    for _, name in ipairs { "before", "after" } do
      for value, kind in pairs { ["[]"] = "an array", ["{}"] = "an object", ["0"] = "a number", ["false"] = "a boolean",
        ['["a"]'] = "an array" } do
        refuse(("a list: list_metadata.%s is %s, expected a string or null"):format(name, kind),
          body_of("[]", ('{"%s":%s}'):format(name, value)))
      end
    end
  end)

  it("reads nested values anywhere, however little room the stack of a coroutine has", function()
    local load = loadstring or load
    for locals = 1, 30 do
      local names = "a" .. (",a"):rep(locals)
      local read = assert(load(("local f, body = ... local %s local page = f(body) return page"):format(names)))
      for depth = 1, 16 do
        local nested = ('{"a":'):rep(depth) .. "1" .. ("}"):rep(depth)
        for _, form in ipairs { '{"data":[%s],"list_metadata":{}}', '{"data":[],"list_metadata":{"x":%s}}' } do
          assert.is_table(coroutine.wrap(function() return read(core.envelope, form:format(nested)) end)())
        end
      end
    end
  end)

  it("reads valid pages after invalid ones", function()
    for _ = 1, 3 do
      refuse("a list: data is an object, expected an array", '{"data":{}}')
      assert.same({ { id = "a" } }, page_of(body_of '[{"id":"a"}]').data)
    end
  end)

  it("agrees with core.decode on values, errors and their positions", function()
    local source = documents.new(77)
    local good = 0
    for _ = 1, documents.times(3000) do
      local text = ('{ "data" :[{"id":"a","x":null}] , "total":1,"list_metadata":{"n":[1],"after":"%s" ,"b":{} } } ')
        :format(source:digits(3))
      if not source:once_in(5) then text = source:mutate(text) end
      local value, problem, position = core.decode(text, { null = core.null })
      local page, message, place = core.envelope(text, { null = core.null })
      if problem then
        assert.is_nil(page, text)
        assert.same({ problem, position }, { message, place })
      elseif page then
        good = good + 1
        assert.same(value, page)
      else
        assert.matches("not a list", message)
      end
    end
    assert.is_true(good > 0)
  end)

  it("raises for invalid arguments", function()
    assert.has_error(function() core.envelope(nil) end)
    assert.has_error(function() core.envelope(5) end)
    assert.has_error(function() core.envelope(io.stdout) end)
    assert.has_error(function() core.envelope("{}", { nonsense = 1 }) end)
    assert.has_error(function() core.envelope(body_of "[]", { fields = { "a..b" } }) end)
    assert.has_error(function() core.envelope(body_of "[]", { fields = "id" }) end)
  end)
end)

describe("core.object", function()
  local function object_of(body, options)
    assert.equal(1, select("#", core.object(body, options)))
    return assert(core.object(body, options))
  end

  it("returns the object, like core.decode", function()
    assert.same({ id = "run_1", lifecycle = { status = "error" } },
      object_of ' {"id":"run_1","lifecycle":{"status":"error"},"score":null} ')
    assert.same({}, object_of "{}")
    assert.equal(core.null, object_of('{"score":null}', { null = core.null }).score)
  end)

  it("selects fields of the object", function()
    assert.same({ lifecycle = { status = "error" } },
      object_of('{"id":"a","lifecycle":{"status":"error","x":1}}', { fields = { "lifecycle.status" } }))
  end)

  it("refuses what is not JSON, and what is not an object", function()
    refuse("JSON: expected a value at byte 1", "<html>", nil, core.object)
    refuse("JSON: bytes after the end of the value at byte 3", "{}{}", nil, core.object)
    for body, kind in pairs { ["[]"] = "an array", ["null"] = "null", ['"text"'] = "a string", ["5"] = "a number",
      ["false"] = "a boolean" } do
      refuse(("an object: it is %s, expected an object"):format(kind), body, nil, core.object)
    end
  end)
end)
