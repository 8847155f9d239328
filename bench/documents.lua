--- The documents of the decoding benchmarks: the same ones in every run and under every Lua.
local source = require "spec.documents"

local documents = {}

--- Several of a kind, so that no decoder gains by reading the same bytes again.
local variants = 8

local hexadecimal = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f" }

local function hex(from, count)
  local digits = {}
  for index = 1, count do digits[index] = from:pick(hexadecimal) end
  return table.concat(digits)
end

local statuses = { "completed", "completed", "completed", "completed", "completed", "error", "running", "queued" }
local triggers = { "api", "api", "api", "manual", "schedule" }
local kinds = { "extract", "classifier", "split", "for_each" }

local function time(from, day, hour)
  return ("2026-05-%02dT%02d:%02d:%02dZ"):format(day, hour, from:below(60) - 1, from:below(60) - 1)
end

--- A run as the API documents it, its values varied.
local function run(from)
  local day, hour, kind = from:below(28), from:below(24) - 1, from:pick(kinds)
  local total = from:below(40)
  return ('{"id":"exprun_%s","workflow":{"workflow_id":"wf_%s","version_id":"draft_2026_05_%02d"},'
    .. '"trigger":{"type":"%s"},"lifecycle":{"status":"%s"},'
    .. '"timing":{"created_at":"%s","started_at":"%s","completed_at":"%s","duration_ms":%d},'
    .. '"experiment_id":"exp_%s","block_id":"%s-invoice","block_kind":"%s","n_consensus":%s,'
    .. '"total_document_count":%d,"completed_document_count":%d,"error_count":%d,"score":0.%s,'
    .. '"definition_fingerprint":"%s","documents_fingerprint":"%s"}'):format(
    hex(from, 8), from:pick { "abc123", "def456", "a77e01" }, day, from:pick(triggers), from:pick(statuses),
    time(from, day, hour), time(from, day, hour), time(from, day, hour), from:below(900000),
    from:pick { "abc", "def", "ghi" }, kind, kind, from:pick { "3", "5", "7" },
    total, total, from:below(4) - 1, tostring(from:below(99)), hex(from, 16), hex(from, 16))
end

--- A page of 100 documented runs.
function documents.page(seed)
  local from, runs = source.new(seed), {}
  for index = 1, 100 do runs[index] = run(from) end
  return ('{"data":[%s],"list_metadata":{"before":null,"after":"exprun_%s"}}'):format(table.concat(runs, ","),
    hex(from, 8))
end

local function array(count, element)
  local elements = {}
  for index = 1, count do elements[index] = element(index) end
  return "[" .. table.concat(elements, ",") .. "]"
end

local function object(count, key, value)
  local members = {}
  for index = 1, count do members[index] = ('"%s":%s'):format(key(index), value(index)) end
  return "{" .. table.concat(members, ",") .. "}"
end

local function words(from, choices, count)
  local picked = {}
  for index = 1, count do picked[index] = from:pick(choices) end
  return '"' .. table.concat(picked) .. '"'
end

local latin = { "invoice ", "total ", "of the ", "vendor ", "a ", "page ", "date, ", "and then ", "amount; " }
local escapes = { [[\n]], [[\"]], [[line\\]], [[\t]], [[a]], [[ word ]], [[\u00e9]], [[\ud83d\ude42]], [[\/]] }
local scripts = { "é", "straße ", "名前", "наименование ", "🙂", "Σύνολο ", "a", "合計", "ñ" }
local whites = { " ", "\n    ", "\t" }

--- Documents of other shapes, about 100 kB each: { name, make }.
local shapes = {
  { "deep: 120 containers, 100 times", function(from)
    return array(100, function()
      local inner = tostring(from:below(1000))
      for level = 1, 118 do
        inner = level % 2 == 0 and '{"k":' .. inner .. "}" or "[" .. inner .. "," .. from:below(9) .. "]"
      end
      return inner
    end)
  end },
  { "wide: an object of 5,000 keys", function(from)
    return object(5000, function(index) return "key_" .. index .. "_" .. from:below(90) end,
      function() return tostring(from:below(100000)) end)
  end },
  { "a map of records by id", function(from)
    return object(1000, function() return "exprun_" .. hex(from, 10) end, function()
      return ('{"status":"%s","score":0.%d,"documents":%d}'):format(from:pick(statuses), from:below(99),
        from:below(50))
    end)
  end },
  { "an array of 3,000 small objects", function(from)
    return array(3000, function()
      return ('{"x":%d,"y":%d,"name":"%s"}'):format(from:below(1000), from:below(1000), hex(from, 6))
    end)
  end },
  { "an array of 20,000 arrays", function(from)
    return array(20000, function() return "[" .. from:below(99) .. "]" end)
  end },
  { "objects of changing keys", function(from)
    return array(1500, function()
      return object(5, function() return from:pick(kinds) .. "_" .. hex(from, 2) end,
        function() return tostring(from:below(100)) end)
    end)
  end },
  { "long strings", function(from)
    return array(20, function() return words(from, latin, 800) end)
  end },
  { "short strings, all different", function(from)
    return array(8000, function() return '"' .. hex(from, 12) .. '"' end)
  end },
  { "short strings that repeat", function(from)
    return array(10000, function() return '"' .. from:pick(statuses) .. '"' end)
  end },
  { "integers", function(from)
    return array(15000, function() return tostring(from:below(10000000)) end)
  end },
  { "long integers", function(from)
    return array(6000, function() return from:below(9) .. from:digits(17) end)
  end },
  { "numbers of two decimals", function(from)
    return array(15000, function() return from:below(1000) .. "." .. from:digits(2) end)
  end },
  { "numbers of 17 digits", function(from)
    return array(5000, function() return "0." .. from:below(9) .. from:digits(16) end)
  end },
  { "numbers with exponents", function(from)
    return array(6000, function()
      return from:below(9) .. "." .. from:digits(8) .. "e" .. from:pick { "-", "" } .. from:below(250)
    end)
  end },
  { "escapes", function(from)
    return array(600, function() return words(from, escapes, 60) end)
  end },
  { "non-ASCII", function(from)
    return array(600, function() return words(from, scripts, 30) end)
  end },
  { "long non-ASCII", function(from)
    return array(10, function() return words(from, scripts, 1500) end)
  end },
  { "words: true, false, null", function(from)
    return array(20000, function() return from:pick { "true", "false", "null" } end)
  end },
  { "white space", function(from)
    return array(3000, function()
      local white = from:pick(whites)
      return ('%s{%s"a"%s:%s%d,%s"b" : [%s]%s}'):format(white, white, white, white, from:below(100), white, white,
        white)
    end)
  end },
  { "empty containers", function(from)
    return array(20000, function() return from:pick { "{}", "[]" } end)
  end },
}

--- Every variant of a kind of document.
local function all_variants(make)
  local texts = {}
  for index = 1, variants do texts[index] = make(source.new(7919 * index)) end
  return texts
end

--- @return string[] pages of 100 documented runs
function documents.pages()
  local texts = {}
  for index = 1, variants do texts[index] = documents.page(104729 * index) end
  return texts
end

--- @return table[] each { name =, texts = }
function documents.shapes()
  local made = {}
  for index, shape in ipairs(shapes) do made[index] = { name = shape[1], texts = all_variants(shape[2]) } end
  return made
end

return documents
