--- core.next_cursor: the cursor in the tail of a body, without decoding. It never differs from what decoding finds.
local core = require "retab.core"
local documents = require "spec.documents"

local function body_of(metadata)
  return '{"data":[{"id":"a"}],"list_metadata":' .. metadata .. "}"
end

describe("core.next_cursor", function()
  it("returns the cursor of a page", function()
    for _, metadata in ipairs {
      '{"before":null,"after":"run_2"}', '{"after":"run_2","before":null}', '{"after":"run_2"}',
      '{"before":"run_1","after":"run_2"}', '{"after":"run_2","before":""}',
      ' { "before" : null ,\n"after"\t:\r"run_2" } ',
    } do
      assert.equal("run_2", core.next_cursor(body_of(metadata)))
      assert.equal("run_2", core.next_cursor(body_of(metadata) .. " \n"))
    end
    assert.equal("b", core.next_cursor(body_of '{"after":"a","count":1,"after":"b"}'))
    assert.equal('é"\n', core.next_cursor(body_of [[{"\u0061fter":"é\"\n"}]]))
    assert.equal("a }] , : {b", core.next_cursor(body_of '{"after":"a }] , : {b"}'))
  end)

  it("returns false if there is none", function()
    for _, metadata in ipairs {
      '{"before":null,"after":null}', '{"before":"a","after":""}', '{"after":5}', '{"after":{}}', "{}", " { } ",
      '{"before":"a"}', '{"after":null}',
    } do
      assert.is_false(core.next_cursor(body_of(metadata)))
    end
  end)

  it("returns nil if the tail is not that of a list", function()
    for _, body in ipairs {
      "", "}", "}}", "{}", "[]", "null", '"a"', " ", "{}}", ':{"after":"a"}}', '"list_metadata":{"after":"a"}}',
      '"after":"a"}}', '"a"}}', '{"list_metadata":{"after":"a"}', '{"list_metadata":{"after":"a"}}\0',
      '{"list_metadata":{"after":"a"}}x', '{"list_metadata":{"after":"a"},"more":1}', '{"list_metadata":["a"]}',
      '{"list_metadata":{,"after":"a"}}',
      '{"list_metadata":{"after":"a",}}', '{"list_metadata":{"after" "a"}}', '{"list_metadata":{"after":a}}',
      '{"list_metadata":{"after":"a\1"}}', '{"List_metadata":{"after":"a"}}',
      [[{"x\"list_metadata":{"after":"a"}}]], '{"data":[{"list_metadata":{"after":"a"}}]}',
      '{"data":{"list_metadata":{"after":"a"}},"x":{}}', '{"nullist_metadata":{"after":"a"}}',
    } do
      assert.is_nil(core.next_cursor(body), body)
    end
  end)

  it("is not misled by text that looks like a tail", function()
    local tail = [[\"list_metadata\":{\"after\":\"wrong\"}}]]
    assert.is_nil(core.next_cursor('{"data":["' .. tail .. '"]}'))
    assert.equal((tail:gsub("\\", "")), core.next_cursor('{"data":[],"list_metadata":{"after":"' .. tail .. '"}}'))
    assert.equal("right", core.next_cursor('{"data":["' .. tail .. '"],"list_metadata":{"after":"right"}}'))
    assert.equal("b", core.next_cursor('{"data":[],"list_metadata":{"after":"a"},"list_metadata":{"after":"b"}}'))
  end)

  it("never differs from core.envelope if both have a cursor", function()
    local source = documents.new(2026)
    local pieces = {
      '{"data":[', "]", "}", "{", ",", ":", '"', '"list_metadata"', '"after"', '"before"', "null", '""', '"a"', '"b"',
      '"after":"c"', '"list_metadata":{"after":"d"}', '"list_metadata":{', "}}", "]}", [[\"]], [[\\]], [["\\"]],
      [["\"list_metadata\":{\"after\":\"e\"}}"]], " ", "\n", '"x":', '"data":[', '"data":[],', "[", "1", '"after":',
      '{"after":"f"}}', '{"before":null,"after":"g"}}',
    }
    local function body()
      local text = '{"data":[],"list_metadata":{"before":null,"after":"h"}}'
      local how = source:below(4)
      if how == 1 then
        local parts = {}
        for index = 1, source:below(14) do parts[index] = source:pick(pieces) end
        return '{"data":[]' .. source:pick { ",", "", ',"x":' } .. table.concat(parts)
      elseif how == 2 then
        return '{"data":[' .. source:text() .. '],"list_metadata":{"after":' .. source:text() .. "}}"
      end
      for _ = 1, source:below(4) do
        local at = source:below(#text + 1)
        local cut = source:once_in(3) and source:below(6) or 0
        text = text:sub(1, at - 1) .. source:pick(pieces) .. text:sub(at + cut)
      end
      return text
    end
    local counts = { cursor = 0, none = 0 }
    for _ = 1, documents.times(60000) do
      local text = body()
      local hint, page = core.next_cursor(text), core.envelope(text)
      if page and hint ~= nil then
        assert.equal(page.list_metadata.after, hint or nil, text)
        counts[hint and "cursor" or "none"] = counts[hint and "cursor" or "none"] + 1
      end
    end
    for kind, count in pairs(counts) do assert(count > 0, "no accepted body is of the kind " .. kind) end
  end)

  it("raises if the body is not a string", function()
    assert.has_error(function() core.next_cursor() end)
    assert.has_error(function() core.next_cursor(5) end)
    assert.has_error(function() core.next_cursor {} end)
  end)
end)
