--- text.lua: what may reach a terminal.
local text = require "retab.cli.text"

local shown = "\239\191\189"

describe("text.clean", function()
  it("replaces controls, changes of direction and bytes that are not UTF-8", function()
    for given, expected in pairs {
      ["plain"] = "plain", ["a \r\n\tb\nc"] = "a b c", ["é 請 🎉"] = "é 請 🎉", ["a\27[2Jb"] = "a" .. shown .. "[2Jb",
      ["a\0b\127"] = "a" .. shown .. "b" .. shown,
      ["a\15531m"] = "a" .. shown .. "31m", ["é\155"] = "é" .. shown, ["\155\155"] = shown .. shown,
      ["\194\155"] = shown, ["\226\128\174x"] = shown .. "x", ["\226\129\166"] = shown, ["\226\128\142"] = shown,
      ["\226\128\168"] = shown, ["\216\156"] = shown, ["\192\155"] = shown .. shown,
      ["\224\130\155"] = shown .. shown .. shown,
      ["\237\160\128"] = shown .. shown .. shown, ["\244\144\128\128"] = shown:rep(4), ["a\195"] = "a" .. shown,
      ["\226\128"] = shown .. shown,
    } do
      assert.equal(expected, text.clean(given))
    end
  end)

  it("leaves no byte that a terminal obeys, whatever the bytes are", function()
    math.randomseed(os.time())
    for _ = 1, 3000 do
      local bytes = {}
      for index = 1, 12 do bytes[index] = string.char(math.random(0, 255)) end
      local clean = text.clean(table.concat(bytes))
      assert.is_nil(clean:find "[%c\127]")
      assert.is_nil(clean:gsub("[\194-\244][\128-\191]+", ""):find "[\128-\255]")
      assert.is_nil(clean:find "\194[\128-\159]")
    end
  end)
end)

describe("text.wrap", function()
  it("breaks a line between words, and indents what follows", function()
    assert.equal("a bb ccc", text.wrap("a bb ccc", 8))
    assert.equal("a bb\n  ccc\n  é請", text.wrap("a bb ccc é請", 6))
    assert.equal("  at: one\n    two", text.wrap("  at: one two", 10))
    assert.equal("  at: http://example.com/long\n    x", text.wrap("  at: http://example.com/long x", 10))
  end)
end)

describe("text.escape_json", function()
  it("changes nothing but what a terminal obeys", function()
    assert.equal('{"é":"\\u009b\\u007f\\u202e 請"}', text.escape_json '{"é":"\194\155\127\226\128\174 請"}')
  end)
end)
