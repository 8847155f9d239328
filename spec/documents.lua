--- Generated JSON texts: documents, and mutations of texts. A seed yields the same ones under every Lua.
---
---     local documents = require "spec.documents"
---     local source = documents.new(42)
---     local text = source:document()
---     local broken = source:mutate(text)
local documents = {}

local Source = {}
Source.__index = Source

--- Returns how often a spec repeats something: `count`, or a tenth of it in a quick run.
--- @param count integer
function documents.times(count)
  return os.getenv "RETAB_SPEC_QUICK" == "1" and math.ceil(count / 10) or count
end

--- @param seed number 1 to 2147483646
function documents.new(seed)
  return setmetatable({ state = seed }, Source)
end

--- Returns an integer from 1 to `most`. (The generator of Park and Miller, whose products fit a double.)
function Source:below(most)
  self.state = self.state * 16807 % 2147483647
  return math.floor(self.state / 2147483647 * most) + 1
end

--- Returns one element of an array.
function Source:pick(choices)
  return choices[self:below(#choices)]
end

--- Returns true once in so many times.
function Source:once_in(times)
  return self:below(times) == 1
end

function Source:digits(count)
  local digits = {}
  for index = 1, count do digits[index] = self:below(10) - 1 end
  return table.concat(digits)
end

local exact_numbers = {
  "0", "-0", "1", "-1", "0.0", "-0.0", "9007199254740991", "9007199254740992", "9007199254740993",
  "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
  "18446744073709551615", "18446744073709551616", "100000000000000000000", "0.1", "0.3", "1e23", "5e-324", "2e-324",
  "2.2250738585072011e-308", "1.7976931348623157e308", "1E+2", "1e-2", "1e00", "0e10", "0.87", "258221",
}

--- Returns a number that fits a double.
function Source:number()
  if self:once_in(4) then return self:pick(exact_numbers) end
  local sign = self:once_in(3) and "-" or ""
  local whole = self:once_in(4) and "0" or tostring(self:below(9)) .. self:digits(self:below(22) - 1)
  local fraction = self:once_in(2) and "." .. self:digits(self:below(22)) or ""
  local exponent = self:once_in(3)
    and self:pick { "e", "E" } .. self:pick { "", "+", "-" } .. tostring(self:below(280)) or ""
  return sign .. whole .. fraction .. exponent
end

--- Pieces of strings, as they stand between the quotes.
local plain_pieces = {
  "a", "run", "completed", " ", "exprun_2", "2026-05-02T11:00:00Z", "/", "'", "{", "]", ":", ",", "\127",
  "0123456789abcdef0123456789abcdef", "é", "ß", "€", "\240\159\153\130", "\239\191\191", "\226\128\168",
}
local escaped_pieces = {
  [[\"]], [[\\]], [[\/]], [[\b]], [[\f]], [[\n]], [[\r]], [[\t]], [[\u0000]], [[\u001f]], [[\u0041]], [[\u00e9]],
  [[\u20AC]], [[\ud83d\ude42]], [[\uDBFF\uDFFF]], [[\uffff]],
}

function Source:text()
  local pieces = {}
  for index = 1, self:below(5) - 1 do
    pieces[index] = self:pick(self:once_in(4) and escaped_pieces or plain_pieces)
  end
  return '"' .. table.concat(pieces) .. '"'
end

--- So few that documents share keys and objects repeat them.
local keys = {
  '"id"', '"status"', '"lifecycle"', '"timing"', '"score"', '"workflow"', '"a"', '"b"', '"ab"', '""', '"i\\u0064"',
  '"a\\"b"', '"a\\\\"', '"\\u0000"', '"\\u0001"', '"é"', '"\\u00e9"', '"status_of_a_very_long_name_1"',
  '"status_of_a_very_long_name_2"', '"."', '"lifecycle.status"',
}

local spaces = { "", "", "", "", "", "", " ", "\n", "\t", "\r\n  " }

function Source:space()
  return self:pick(spaces)
end

function Source:array(depth)
  local parts = {}
  for index = 1, self:once_in(30) and 60 or self:below(5) - 1 do
    parts[index] = self:space() .. self:value(depth) .. self:space()
  end
  return "[" .. (parts[1] and table.concat(parts, ",") or self:space()) .. "]"
end

--- Returns an object: most have a few keys in any order, some are maps of many keys.
function Source:object(depth)
  local parts = {}
  local is_map = self:once_in(30)
  for index = 1, is_map and 80 or self:below(7) - 1 do
    local key = is_map and not self:once_in(10) and ('"key %d"'):format(self:below(120))
      or self:once_in(12) and self:text() or self:pick(keys)
    parts[index] = self:space() .. key .. self:space() .. ":" .. self:space() .. self:value(depth) .. self:space()
  end
  return "{" .. (parts[1] and table.concat(parts, ",") or self:space()) .. "}"
end

function Source:value(depth)
  local kind = self:below(depth > 0 and 10 or 6)
  if kind <= 2 then return self:text() end
  if kind <= 4 then return self:number() end
  if kind == 5 then return self:pick { "true", "false" } end
  if kind == 6 then return "null" end
  return kind <= 8 and self:array(depth - 1) or self:object(depth - 1)
end

--- Returns a text that is JSON: mostly a container.
function Source:document()
  local depth = self:below(5)
  local value
  if self:once_in(10) then
    value = self:value(depth)
  elseif self:once_in(2) then
    value = self:object(depth)
  else
    value = self:array(depth)
  end
  return self:space() .. value .. self:space()
end

local bytes = {
  "{", "}", "[", "]", ",", ":", '"', "\\", "0", "1", "9", "-", "+", ".", "e", "E", "x", "u", "n", "t", "f", "a", " ",
  "\n",
  "\0", "\1", "\31", "\11", "\12", "/", "'", "\127", "\128", "\191", "\192", "\194", "\224", "\237", "\240", "\244",
  "\245", "\255", "\\ud800", "\\udc00", "null", "true", "NaN", "Infinity", "-Infinity", "0x1F", "1e999", "01",
  "\239\187\191", "//", "\194\160",
}

--- Returns the text with one to three changes: bytes are removed, inserted, replaced, doubled, exchanged or cut off.
function Source:mutate(text)
  for _ = 1, self:below(3) do
    local at = self:below(#text + 1)
    local head, tail = text:sub(1, at - 1), text:sub(at)
    local how = self:below(6)
    if how == 1 then
      text = head .. tail:sub(1 + self:below(3))
    elseif how == 2 then
      text = head .. self:pick(bytes) .. tail
    elseif how == 3 then
      text = head .. self:pick(bytes) .. tail:sub(2)
    elseif how == 4 then
      text = head .. tail:sub(1, self:below(8)) .. tail
    elseif how == 5 then
      text = head .. tail:sub(2, 2) .. tail:sub(1, 1) .. tail:sub(3)
    else
      text = self:once_in(4) and head or text
    end
  end
  return text
end

return documents
