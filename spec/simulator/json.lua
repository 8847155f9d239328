-- The little JSON that the simulator needs. It writes objects with their keys in a given order, reads request bodies,
-- and indents a text that it has written. It needs no C module, so that the simulator runs on a bare nginx.

local json = {}

json.null = "null"

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(char)
  return ESCAPES[char] or string.format("\\u%04x", char:byte())
end

function json.quote(text)
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

-- Returns a string as JSON, and `null` for nil and false.
function json.optional(text)
  return text and json.quote(text) or json.null
end

-- Returns the object of the names and the JSON texts given in turn. A nil in place of a text leaves the name out.
function json.object(...)
  local members = {}
  for i = 1, select("#", ...), 2 do
    local name, text = select(i, ...)
    if text then members[#members + 1] = json.quote(name) .. ":" .. text end
  end
  return "{" .. table.concat(members, ",") .. "}"
end

-- Returns the array of JSON texts.
function json.array(texts)
  return "[" .. table.concat(texts, ",") .. "]"
end

-- ---- reading -------------------------------------------------------------------------------------------

local LITERALS = { ["true"] = true, ["false"] = false }
local UNESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local read_value

-- Characters outside ASCII are not needed in a request body: an escape of one becomes "?".
local function read_string(text, at)
  local parts = {}
  while true do
    local stop = text:find('["\\%c]', at) or error("unterminated string", 0)
    parts[#parts + 1] = text:sub(at, stop - 1)
    local char = text:sub(stop, stop)
    if char == '"' then return table.concat(parts), stop + 1 end
    if char ~= "\\" then error("control character in a string", 0) end
    local code = text:match("^u(%x%x%x%x)", stop + 1)
    local plain = code and (tonumber(code, 16) < 128 and string.char(tonumber(code, 16)) or "?")
      or UNESCAPES[text:sub(stop + 1, stop + 1)] or error("bad escape", 0)
    parts[#parts + 1] = plain
    at = stop + (code and 6 or 2)
  end
end

local function read_members(text, at, close, read_member)
  at = text:match("^%s*()", at)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = text:match("^%s*()", read_member(at))
    local char = text:sub(at, at)
    if char == close then return at + 1 end
    if char ~= "," then error("expected , or " .. close, 0) end
    at = at + 1
  end
end

local function read_object(text, at)
  local object = {}
  return object, read_members(text, at, "}", function(from)
    local start = text:match('^%s*"()', from) or error("expected a name", 0)
    local name, stop = read_string(text, start)
    object[name], stop = read_value(text, text:match("^%s*:()", stop) or error("expected a colon", 0))
    return stop
  end)
end

local function read_array(text, at)
  local array, n = {}, 0
  return array, read_members(text, at, "]", function(from)
    n = n + 1
    array[n], from = read_value(text, from)
    return from
  end)
end

function read_value(text, at)
  at = text:match("^%s*()", at)
  local char = text:sub(at, at)
  if char == '"' then return read_string(text, at + 1) end
  if char == "{" then return read_object(text, at + 1) end
  if char == "[" then return read_array(text, at + 1) end
  local word, stop = text:match("^([%w+%-.]+)()", at)
  if word == "null" then return nil, stop end
  if LITERALS[word] ~= nil then return LITERALS[word], stop end
  return tonumber(word) or error("unexpected token", 0), stop
end

-- Returns the members of a JSON object, null ones left out; nil and a message for anything else.
function json.read_object(text)
  if not text:find("^%s*{") then return nil, "expected an object" end
  local ok, value, stop = pcall(read_value, text, 1)
  if not ok then return nil, value end
  if text:find("%S", stop) then return nil, "unexpected text after the object" end
  return value
end

-- ---- indenting -----------------------------------------------------------------------------------------

local function scalar_end(text, from)
  if text:sub(from, from) ~= '"' then return text:find("[,:%]}]", from) - 1 end
  local at = from + 1
  while true do
    at = text:find('["\\]', at)
    if text:sub(at, at) == '"' then return at end
    at = at + 2
  end
end

-- Returns compact JSON indented by two spaces. The text is trusted: the simulator has written it.
function json.pretty(text)
  local out, depth, at = {}, 0, 1
  local function line() out[#out + 1] = "\n" .. ("  "):rep(depth) end
  while at <= #text do
    local char = text:sub(at, at)
    local stop = at
    if char == "{" or char == "[" then
      if text:find("^[%]}]", at + 1) then
        out[#out + 1] = text:sub(at, at + 1)
        stop = at + 1
      else
        out[#out + 1], depth = char, depth + 1
        line()
      end
    elseif char == "}" or char == "]" then
      depth = depth - 1
      line()
      out[#out + 1] = char
    elseif char == "," then
      out[#out + 1] = char
      line()
    elseif char == ":" then
      out[#out + 1] = ": "
    else
      stop = scalar_end(text, at)
      out[#out + 1] = text:sub(at, stop)
    end
    at = stop + 1
  end
  return table.concat(out)
end

return json
