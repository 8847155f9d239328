--- core.items: the items of a list as the server wrote them.
local core = require "retab.core"
local documents = require "spec.documents"

describe("core.items", function()
  it("returns the bytes of each item", function()
    local odd = '{"z":[],"a":{},"big":12345678901234567890,"one":1.0,"data":[1,"]},{"],"s":"q\\"\\\\"}'
    assert.same({ odd, '"text"', "null", "[ 1 ]", "-2e7" },
      core.items('{"data":[' .. odd .. ', "text" ,null,\n[ 1 ],-2e7 ],"list_metadata":{}}'))
    assert.same({ "1" }, core.items ' { "list_metadata" : { } , "data" : [ 1 ] } \n')
  end)

  it("reads only the member data of the list itself, and the last one if there are two", function()
    assert.same({ "7" }, core.items(
      '{"first":{"data":[0]},"note":"data","data":[5],"data":[7],"list_metadata":{},"other":[1],"last":"}"}'))
    assert.same({ "7" }, core.items [[{"d\u0061ta":[7],"list_metadata":{}}]])
  end)

  it("returns an empty array if there are none", function()
    assert.same({}, core.items '{"data":[],"list_metadata":{}}')
    assert.same({}, core.items '{"list_metadata":{},"data":[ ]}')
  end)

  it("returns nil and a message for a text that is not a list", function()
    for _, body in ipairs {
      "", "[]", "1", "{", '{"data":[', '{"data":[1', '{"data":[1,', '{"data":[1,]}', '{"data":[1]', '{"data":[1]}}',
      '{"data":[1 2]}', '{"data" [1]}', '{data:[1]}', '{"data":[1],}', '{"a":1 "b":2}', '{"data":[1]}\0',
      '{"data":["\1"]}', "{}", '{"data":{},"list_metadata":{}}', '{"data":[1],"data":null,"list_metadata":{}}',
      '{"data":[1]}',
      '{"data":[01]}', '{"data":["\255"]}', '{"data":[' .. ("["):rep(200) .. ("]"):rep(200) .. "]}",
    } do
      local items, message = core.items(body)
      assert.is_nil(items, body)
      assert.is_string(message)
    end
    assert.has_error(function() core.items(nil) end)
  end)

  it("accepts what the decoder accepts, and splits it into the same values", function()
    local source = documents.new(11)
    for _ = 1, 300 do
      local texts = {}
      for index = 1, source:below(6) do texts[index] = source:document() end
      local body = '{"data":[' .. table.concat(texts, ",") .. '],"list_metadata":{}}'
      local page = core.decode(body, { null = core.null })
      local items = core.items(body)
      if page == nil then
        assert.is_nil(items)
      else
        assert.equal(#texts, #items)
        for index, item in ipairs(items) do
          assert.same(page.data[index], (core.decode(item, { null = core.null })))
        end
      end
    end
  end)

  it("uses no more memory after many errors", function()
    local deep = '{"data":[' .. ("["):rep(100) .. ("x"):rep(1000)
    for _ = 1, 100 do core.items(deep) end
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 1000 do core.items(deep) end
    collectgarbage()
    assert.is_true(collectgarbage "count" < before + 64)
  end)
end)
