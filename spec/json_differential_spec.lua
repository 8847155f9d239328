--- core.decode beside lua-cjson, on generated documents and broken ones: both return the same wherever both accept a
--- text, and each disagreement is one of those listed here.
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "spec.documents"

local oracle = cjson.new()

--- What lua-cjson 2.1 accepts and RFC 8259 does not. `holds` returns true for a text that core.decode refuses for this
--- reason.
local only_cjson = {
  {
    why = "strings that are not UTF-8",
    examples = { '"\255"', '["\192\128"]', '{"\237\160\128":1}', '"\195"', '"\244\144\128\128"' },
    holds = function(_, message) return message == "invalid UTF-8" end,
  },
  {
    why = "control characters in strings",
    examples = { '"\n"', '["a\1"]', '{"\31":1}', '"a\\n\11"' },
    holds = function(_, message) return message == "control character in a string" end,
  },
  {
    why = "leading zeros",
    examples = { "01", "[-012]", "00", "00.5" },
    holds = function(_, message) return message == "leading zero in a number" end,
  },
  {
    why = "a point without digits on both sides",
    examples = { "1.", "[-.5]", "1.e1", "-1." },
    holds = function(text, _, position)
      return text:find("^%-%.", position - 1) ~= nil or text:sub(1, position - 1):find "%d%.$" ~= nil
    end,
  },
  {
    why = "a plus sign",
    examples = { "+1", "[+0.5]" },
    holds = function(text, message, position)
      return message == "expected a value" and text:sub(position):find "^%+[%d.]" ~= nil
    end,
  },
  {
    why = "infinities and NaN, in any case and with either sign",
    examples = { "NaN", "[nan]", "-nan", "Infinity", "-inf", "[INF]", "+inf" },
    holds = function(text, _, position)
      local rest = text:sub(position):lower()
      return rest:find "^%+?inf" ~= nil or rest:find "^%+?nan" ~= nil
        or text:sub(position - 1):lower():find "^nan" ~= nil
    end,
  },
  {
    why = "hexadecimal numbers",
    examples = { "0x10", "[-0XfF]", "0x1p3", "0x1.8" },
    holds = function(text, _, position) return text:sub(position - 1):find "^0[xX][%x.]" ~= nil end,
  },
  {
    why = "numbers past double, as infinities",
    examples = { "1e400", "[-1e309]", ("9"):rep(400) },
    holds = function(_, message) return message == "number too large for a double" end,
  },
  {
    why = "whatever follows a NUL",
    examples = { "[1]\0", "[1] \0nonsense", "true\0" },
    holds = function(text, message, position)
      return message == "bytes after the end of the value" and text:byte(position) == 0
    end,
  },
  {
    why = "1000 open containers, not 128",
    examples = { ("["):rep(129) .. ("]"):rep(129), ('{"a":'):rep(500) .. "1" .. ("}"):rep(500) },
    holds = function(_, message) return message == "nested too deeply" end,
  },
}

--- What core.decode accepts and lua-cjson does not.
local only_ours = {
  {
    why = "the grammar allows an escaped surrogate without its other half",
    examples = { [["\ud800"]], [["\uDC00"]], [["\uD800\u0041"]], [["\uDC00\uD800"]], [[{"\udfff":1}]] },
    holds = function(text) return text:lower():find "\\ud[89a-f]" ~= nil end,
  },
}

local function show(text)
  if #text > 300 then text = text:sub(1, 250) .. "..." .. text:sub(-40) end
  return (text:gsub("[%c\128-\255]", function(byte) return ("<%02X>"):format(byte:byte()) end))
end

local function same_number(ours, theirs)
  return ours + 0.0 == theirs -- the oracle has only doubles
end

local function same(ours, theirs)
  if type(ours) ~= type(theirs) then return false end
  if type(ours) == "number" then return same_number(ours, theirs) end
  if type(ours) ~= "table" then return ours == theirs end
  for key, value in pairs(ours) do
    if not same(value, theirs[key]) then return false end
  end
  for key in pairs(theirs) do
    if ours[key] == nil then return false end
  end
  return true
end

local function decode_both(text)
  local ours, message, position = core.decode(text, { null = cjson.null })
  local agreed, theirs = pcall(oracle.decode, text)
  return { ours = ours, message = message, position = position, ours_accepts = message == nil,
    theirs = theirs, theirs_accepts = agreed }
end

local function explained(list, text, result)
  for _, entry in ipairs(list) do
    if entry.holds(text, result.message, result.position) then return entry end
  end
end

--- Fails unless both agree on the text, or their disagreement is a listed one. Returns what happened.
local function compare(text)
  local result = decode_both(text)
  if result.ours_accepts and result.theirs_accepts then
    assert(same(result.ours, result.theirs), "decoded to something else: " .. show(text))
    return "both"
  elseif result.theirs_accepts then
    assert(explained(only_cjson, text, result), ("only lua-cjson accepts: %s (%s at byte %d)"):format(show(text),
      result.message, result.position or 0))
    return "only lua-cjson"
  elseif result.ours_accepts then
    assert(explained(only_ours, text, result), ("lua-cjson refuses: %s (%s)"):format(show(text),
      tostring(result.theirs)))
    return "only ours"
  end
  return "neither"
end

describe("core.decode and lua-cjson", function()
  for _, entry in ipairs(only_cjson) do
    it("disagree: lua-cjson accepts " .. entry.why, function()
      for _, text in ipairs(entry.examples) do
        local result = decode_both(text)
        assert.is_false(result.ours_accepts, show(text))
        assert.is_true(result.theirs_accepts, show(text))
        assert.is_true(entry.holds(text, result.message, result.position), show(text))
      end
    end)
  end

  for _, entry in ipairs(only_ours) do
    it("disagree: lua-cjson refuses, though " .. entry.why, function()
      for _, text in ipairs(entry.examples) do
        local result = decode_both(text)
        assert.is_true(result.ours_accepts, show(text))
        assert.is_false(result.theirs_accepts, show(text))
        assert.is_true(entry.holds(text), show(text))
      end
    end)
  end

  it("return the same for generated documents, and accept them all", function()
    local source = documents.new(20260502)
    for _ = 1, documents.times(2500) do
      local text = source:document()
      assert.equal("both", compare(text), show(text))
    end
  end)

  it("agree on broken documents, or disagree in a listed way", function()
    local source = documents.new(17)
    local counts = { both = 0, neither = 0, ["only lua-cjson"] = 0, ["only ours"] = 0 }
    local times = documents.times(7000)
    for _ = 1, times do
      local outcome = compare(source:mutate(source:document()))
      counts[outcome] = counts[outcome] + 1
    end
    -- the generator must not stop breaking documents unnoticed
    assert.is_true(counts.both > times / 20, "too few are accepted")
    assert.is_true(counts.neither > times / 5, "too few are refused")
    assert.is_true(counts["only lua-cjson"] > times / 100)
    assert.is_true(counts["only ours"] > 0)
  end)

  it("agree on every text of up to four tokens", function()
    local pieces = { "[", "]", "{", "}", ",", ":", '"a"', "1", "-", "0", ".5", "e1", "true", "null", " ", "\\" }
    local function extend(text, left)
      compare(text)
      if left == 0 then return end
      for _, piece in ipairs(pieces) do extend(text .. piece, left - 1) end
    end
    extend("", os.getenv "RETAB_SPEC_QUICK" == "1" and 2 or 4)
  end)

  it("return the same for a page of runs", function()
    local run = [[{"id":"exprun_%d","workflow":{"workflow_id":"wf_abc123","version_id":"draft"},
      "trigger":{"type":"api"},"lifecycle":{"status":"%s"},"timing":{"created_at":"2026-05-02T11:00:00Z",
      "completed_at":null,"duration_ms":%d},"n_consensus":5,"score":%s,"labels":["é","\u20ac"]}]]
    local source = documents.new(99)
    for size = 0, 100, 20 do
      local parts = {}
      for index = 1, size do
        parts[index] = run:format(index, source:pick { "completed", "error", "running" }, source:below(1000000),
          source:pick { "0.87", "null", "1", "0.333333333333333314829616256247" })
      end
      assert.equal("both", compare('{"data":[' .. table.concat(parts, ",") .. '],"list_metadata":{"after":null}}'))
    end
  end)
end)
