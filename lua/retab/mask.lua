--- mask.lua: replaces the API key in texts, in every encoding in which a server can repeat it. It knows nothing of
--- errors or requests.
local mask = {}

--- Shorter keys are not replaced, because they can be part of ordinary words.
local shortest_key = 4

local replacement = "***"

--- The largest number of bytes that encode one byte of the key in practice, such as \\\\u002b.
local longest_spelling = 12

local longest_character = 4 -- bytes in UTF-8

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&apos;" }

--- Returns the position of the last byte of an encoding of `byte` that begins at `position`, or nil. The encodings are
--- backslashes before the byte, \u002b, %2B, %252B (encoded twice), and HTML entities.
local function match_encoded(text, position, byte)
  local first = text:byte(position)
  if first == 92 then -- backslash
    if byte == 92 and text:byte(position + 1) == 92 then return position + 1 end
    local start = text:find("[^\\]", position) -- JSON within JSON has several backslashes
    if not start then return nil end
    if text:byte(start) == byte then return start end
    local hex = text:match("^[uU]00(%x%x)", start)
    return hex and tonumber(hex, 16) == byte and start + 4 or nil
  elseif first == 37 then -- percent
    local hex, twice = text:match("^%%(%x%x)", position), text:match("^%%25(%x%x)", position)
    if twice and tonumber(twice, 16) == byte then return position + 4 end
    return hex and tonumber(hex, 16) == byte and position + 2 or nil
  elseif first == 38 then -- ampersand
    local decimal, hex = text:match("^&#0*(%d+);", position), text:match("^&#[xX]0*(%x+);", position)
    if decimal and tonumber(decimal) == byte or hex and tonumber(hex, 16) == byte then
      return (text:find(";", position, true))
    end
    local entity = entities[string.char(byte)]
    return entity and text:sub(position, position + #entity - 1) == entity and position + #entity - 1 or nil
  end
  return nil
end

local function match_plain(text, position, byte)
  return text:byte(position) == byte and position or nil
end

--- Returns the position of the last byte of a key that begins at `position`, or nil. Matches each byte with the
--- function `first`, or else with `second`.
local function match_by(text, position, key, first, second)
  for index = 1, #key do
    local byte = key:byte(index)
    local last = first(text, position, byte) or second(text, position, byte)
    if not last then return nil end
    position = last + 1
  end
  return position - 1
end

--- Returns the position of the last byte of a key that begins at `position`, or nil. It tries both orders, because a
--- key with an ampersand, a percent sign or a backslash can itself look encoded.
local function match_key(text, position, key)
  return match_by(text, position, key, match_encoded, match_plain)
    or match_by(text, position, key, match_plain, match_encoded)
end

--- Returns a pattern of the characters with which the key, or an encoding of it, can begin.
local function starts_of(key)
  return "[\\%%&" .. key:sub(1, 1):gsub("%W", "%%%0") .. "]"
end

local function mask_text(text, key)
  local starts, pieces, from, position = starts_of(key), {}, 1, 1
  while true do
    position = text:find(starts, position)
    if not position then break end
    local last = match_key(text, position, key)
    if last then
      pieces[#pieces + 1] = text:sub(from, position - 1)
      from = last + 1
    end
    position = last and from or position + 1
  end
  if from == 1 then return text end
  return table.concat(pieces, replacement) .. replacement .. text:sub(from)
end

--- Replaces the API key in a string, and in the names and values of a table, at any depth. Returns other values
--- unchanged.
--- @param value any
--- @param key string|string[]|nil one or several; keys of fewer than 4 bytes are not replaced
--- @return any
function mask.apply(value, key)
  if type(key) == "table" then
    for _, one in ipairs(key) do value = mask.apply(value, one) end
    return value
  end
  if not key or #key < shortest_key then return value end
  if type(value) == "string" then return mask_text(value, key) end
  if type(value) ~= "table" then return value end
  local masked = {}
  for name, item in pairs(value) do masked[mask.apply(name, key)] = mask.apply(item, key) end
  return masked
end

--- Returns the beginning of a text, with the keys replaced. It reads only as much of a long text as it needs. The
--- caller can cut the result at `length`: neither a key nor a character was cut before this position.
--- @param text string
--- @param keys string|string[]|nil
--- @param length integer
--- @return string
function mask.beginning(text, keys, length)
  local margin = 0
  for _, key in ipairs(type(keys) == "table" and keys or { keys }) do
    margin = math.max(margin, #key * longest_spelling)
  end
  local read = length + longest_character + margin
  if #text <= read then return mask.apply(text, keys) end
  return (mask.apply(text:sub(1, read), keys):sub(1, -margin - 1))
end

--- Returns a copy of headers for a hook. Replaces the key in them; a value that is a key is replaced even if the key is
--- short.
--- @param headers table
--- @param keys string[]
--- @return table
function mask.headers(headers, keys)
  local copied = {}
  for name, value in pairs(headers) do
    for _, key in ipairs(keys) do
      if value == key or value == "Bearer " .. key then value = replacement end
    end
    copied[mask.apply(name, keys)] = mask.apply(value, keys)
  end
  return copied
end

return mask
