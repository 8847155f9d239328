--- Masking: the API key is found in every spelling in which a text can repeat it, and nothing else is changed.
local contains = require "spec.contains"
local documents = require "spec.documents"
local mask = require "retab.mask"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local key = "sk_live_a+b/c"

--- Every spelling of the characters + and / that a server can send back.
local spellings = {
  ["as it is"] = { "+", "/" },
  ["as JSON, in lower case"] = { "\\u002b", "\\u002f" },
  ["as JSON, in upper case"] = { "\\u002B", "\\u002F" },
  ["as JSON with a backslash"] = { "+", "\\/" },
  ["as JSON within JSON"] = { "\\\\u002b", "\\\\/" },
  ["percent-encoded, in upper case"] = { "%2B", "%2F" },
  ["percent-encoded, in lower case"] = { "%2b", "%2f" },
  ["percent-encoded twice"] = { "%252B", "%252F" },
  ["percent-encoded twice, in lower case"] = { "%252b", "%252f" },
  ["as decimal HTML entities"] = { "&#43;", "&#47;" },
  ["as hexadecimal HTML entities"] = { "&#x2B;", "&#x2f;" },
  ["as HTML entities with leading zeros"] = { "&#043;", "&#X002F;" },
  ["in two ways at once"] = { "%2B", "&#47;" },
}

local function spell(spelling)
  return "sk_live_a" .. spelling[1] .. "b" .. spelling[2] .. "c"
end

describe("masking", function()
  for name, spelling in pairs(spellings) do
    it("finds a key that is written " .. name, function()
      local text = spell(spelling)
      assert.equal("***", mask.apply(text, key))
      assert.equal("[***]", mask.apply("[" .. text .. "]", key))
      assert.equal("a *** b *** c", mask.apply("a " .. text .. " b " .. text .. " c", key))
      assert.equal("sk_live_***", mask.apply("sk_live_" .. text, key))
    end)
  end

  it("finds a key in which every character is encoded", function()
    local function all(format)
      return (key:gsub(".", function(char) return format:format(char:byte()) end))
    end
    for _, format in ipairs { "%%%02X", "%%%02x", "%%25%02x", "\\u%04x", "\\u%04X", "\\\\u%04x", "&#%d;", "&#x%x;" } do
      assert.equal("<***>", mask.apply("<" .. all(format) .. ">", key), format)
    end
  end)

  it("finds keys with characters that JSON and HTML escape", function()
    local quoted = [[sk"a\b<c>&'d]]
    for _, text in ipairs {
      quoted, [[sk\"a\\b<c>&'d]], "sk&quot;a\\b&lt;c&gt;&amp;&apos;d", "sk%22a%5Cb%3Cc%3E%26%27d",
      [[sk\u0022a\u005Cb\u003cc\u003E\u0026\u0027d]],
    } do
      assert.equal("***", mask.apply(text, quoted), text)
    end
  end)

  it("finds keys that look encoded themselves", function()
    for _, tricky in ipairs { "sk%25x", "sk%2Bx", "sk&amp;x", [[sk\\\\x]], [[sk\u0041]], "100%_sure" } do
      assert.equal("<***>", mask.apply("<" .. tricky .. ">", tricky), tricky)
      local encoded = tricky:gsub(".", function(char) return ("%%%02X"):format(char:byte()) end)
      assert.equal("<***>", mask.apply("<" .. encoded .. ">", tricky), tricky)
    end
  end)

  it("treats pattern characters in the key as plain characters", function()
    local special = "sk%d+[a-z].*$^(-x)"
    assert.equal("a *** b", mask.apply("a " .. special .. " b", special))
    assert.equal("sk1[a].", mask.apply("sk1[a].", special))
  end)

  it("leaves other text unchanged", function()
    for _, text in ipairs {
      "", "sk_live_", "sk_live_a+b/d", "sk_live_a-b/c", "sk_live_a%2Cb/c", "SK_LIVE_A+B/C", "%", "%2", "&", "&#", "\\",
      "\\u00", "sk_live_a&#43b/c", "sk_live_a%2", "sk_live_a\\",
    } do
      assert.equal(text, mask.apply(text, key))
    end
  end)

  it("reaches the keys and values of nested tables, and does not change them", function()
    local original = { key, { [key] = "x" .. key, count = 5, on = true }, none = retab.null }
    local masked = mask.apply(original, key)
    assert.same({ "***", { ["***"] = "x***", count = 5, on = true }, none = retab.null }, masked)
    assert.equal(key, original[1])
  end)

  it("masks several keys", function()
    assert.equal("*** and ***", mask.apply("first_key and second_key", { "first_key", "second_key" }))
    assert.equal("text", mask.apply("text", {}))
  end)

  it("does not mask keys of fewer than four bytes, because ordinary words contain them", function()
    assert.equal("a key", mask.apply("a key", "key"))
    assert.equal("a ***", mask.apply("a keys", "keys"))
    assert.equal("a key", mask.apply("a key", nil))
  end)

  it("masks a header that is the key, however short the key is", function()
    assert.same({ ["Api-Key"] = "***", ["X-A"] = "k9 and more" },
      mask.headers({ ["Api-Key"] = "k9", ["X-A"] = "k9 and more" }, { "k9" }))
    assert.same({ Authorization = "***" }, mask.headers({ Authorization = "Bearer k9" }, { "key", "k9" }))
  end)

  it("finds the key in random surroundings, in a random spelling of each character", function()
    local source = documents.new(7)
    local noise = { "\\", "%", "&", "&#", "s", "sk", "%2", "\\u", "\\u00", "é", " ", '"', "sk_live_", "25" }
    for _ = 1, scripted.times(2000) do
      local parts = {}
      for index = 1, 6 do parts[index] = source:pick(noise) end
      local before, text, after = table.concat(parts, "", 1, 3), "", table.concat(parts, "", 4)
      for char in key:gmatch(".") do
        text = text .. source:pick { char, ("%%%02X"):format(char:byte()), ("\\u%04x"):format(char:byte()),
          ("&#%d;"):format(char:byte()) }
      end
      local masked = mask.apply(before .. text .. after, key)
      assert.is_truthy(masked:find("***", 1, true), before .. text .. after)
      assert.is_false(contains(masked, text))
    end
  end)
end)
