--- params.lua: checks what a caller passes against a declaration, before anything is sent.
---
--- A declaration is an array of entries { name, check }, in the order in which they are sent. An entry may also have
--- required = true, takes_null = true (null is a value and does not mean "omitted"), and is_secret = true (messages
--- never quote the value). A check takes a value. It returns the value to use, or nil and what is allowed ("must be
--- ..."). Invalid arguments raise an error that points at the caller's line. It knows nothing of HTTP.
local core = require "retab.core"
local dates = require "retab.dates"
local mask = require "retab.mask"

local params = {}

--- Bytes that no header value may contain (RFC 9110, 5.5); a tab is allowed.
local control_bytes = "[%z\1-\8\10-\31\127]"

--- The largest number of bytes of a value that a message quotes.
local longest_shown = 60

local debug_library = rawget(_G, "debug") -- a sandbox may lack it
local library_path = debug_library and debug_library.getinfo(1, "S").source:match("^(.*)params%.lua$")

--- Returns the level of the first function outside of this library, for a call of `error` in the function that calls
--- this.
local function caller_level()
  if not library_path then return 0 end
  local level = 3
  while true do
    local info = debug_library.getinfo(level, "S")
    if not info then return level - 1 end
    local is_inside = info.source:sub(1, #library_path) == library_path
    if info.what ~= "C" and info.what ~= "tail" and not is_inside then return level - 1 end
    level = level + 1
  end
end

--- Raises `message` at the line of the first caller outside of this library.
--- @param message string
function params.raise(message)
  error(message, caller_level())
end

--- Returns the edit distance of two short words: letters added, removed, replaced or swapped with a neighbour.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    rows[i] = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, rows[i - 2][j - 2] + 1)
      end
      rows[i][j] = best
    end
  end
  return rows[#a][#b]
end

--- Returns the declared name that is most like `name`, or nil if none is similar.
local function suggest(declaration, name)
  local function plain(word) return (word:lower():gsub("[^%w]", "")) end
  local wanted, best, best_distance = plain(name), nil, math.huge
  if #wanted > 40 then return nil end
  for _, entry in ipairs(declaration) do
    local candidate = plain(entry[1])
    local edits = distance(wanted, candidate)
    local is_part = #wanted >= 3 and (candidate:find(wanted, 1, true) or wanted:find(candidate, 1, true))
    if is_part or #wanted == 2 and candidate:sub(1, 2) == wanted then edits = math.min(edits, 2) end
    if edits < best_distance then best, best_distance = entry[1], edits end
  end
  return best_distance <= math.max(2, math.floor(#wanted / 3)) and best or nil
end

local function names_of(declaration)
  local names = {}
  for index, entry in ipairs(declaration) do names[index] = entry[1] end
  return table.concat(names, ", ")
end

--- Returns a text for a message: one line of limited length, with the keys masked.
local function shown_text(text, keys)
  for _, key in ipairs(keys or {}) do
    if text == key then return "***" end -- mask.lua does not look for short keys
  end
  local beginning = mask.beginning(text, keys, longest_shown)
  if #beginning > longest_shown then beginning = beginning:sub(1, longest_shown) .. "..." end
  return (beginning:gsub("%c", function(char) return ("\\%d"):format(char:byte()) end))
end

--- Describes a value in a message. A string can be the API key in the wrong place: it is quoted only if `rules.keys`
--- has the keys to mask.
local function describe(value, rules)
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then return "a " .. type(value) end
  if value == "" then return "an empty string" end
  if not rules.keys or not rules.keys[1] then return "a string" end
  return '"' .. shown_text(value, rules.keys) .. '"'
end

--- Returns true if an unknown name can be quoted, because it looks like the name of an option and not like a key.
local function is_showable(name)
  return #name <= 32 and name:find("^[%a_]+$") ~= nil and not name:find("[sp]k_")
end

local function has(declaration, name)
  for _, entry in ipairs(declaration or {}) do
    if entry[1] == name then return true end
  end
  return false
end

--- Raises an error about a name that is not declared.
local function raise_unknown(declaration, name, kind, rules)
  if has(rules.other, name) then
    params.raise(kind == "parameter" and ("'%s' is an option: pass it in the second table"):format(name)
      or ("'%s' is a parameter: pass it in the first table"):format(name))
  end
  local has_keys = rules.keys and rules.keys[1]
  local shown = type(name) == "string" and (has_keys or is_showable(name))
    and ("'%s'"):format(shown_text(name, rules.keys or rules.hidden))
  local near = type(name) == "string" and suggest(declaration, name)
  if near and not shown then shown = "name" end
  params.raise(("unknown %s %s%s"):format(kind, shown or describe(name, rules),
    near and (": did you mean '%s'?"):format(near) or ("; allowed: %s"):format(names_of(declaration))))
end

--- Checks a table that a caller passed.
--- @param declaration table
--- @param given any a table, or nil for an empty one
--- @param kind "parameter"|"option" what an entry is called in messages
--- @param rules table|nil other: the declaration of the call's other table, whose names get a hint; keys: the API keys,
---   masked in strings that messages quote (without a key they quote none); hidden: keys that are masked in names
--- @return table checked a new table; a value that is nil or null is not in it
function params.check(declaration, given, kind, rules)
  rules = rules or {}
  if given ~= nil and type(given) ~= "table" then
    params.raise(("%ss must be a table such as { %s = ... }, got a %s"):format(kind, declaration[1][1], type(given)))
  end
  local entries, checked = {}, {}
  for _, entry in ipairs(declaration) do entries[entry[1]] = entry end
  for name, value in pairs(given or {}) do
    local entry = entries[name]
    if not entry then raise_unknown(declaration, name, kind, rules) end
    if value ~= core.null or entry.takes_null then
      local good, allowed = entry[2](value)
      if good == nil then
        local got = entry.is_secret and "a " .. type(value) or describe(value, rules)
        params.raise(("bad %s '%s': %s, got %s"):format(kind, name, allowed, got))
      end
      checked[name] = good
    end
  end
  for _, entry in ipairs(declaration) do
    if entry.required and checked[entry[1]] == nil then
      params.raise(("missing %s '%s'"):format(kind, entry[1]))
    end
  end
  return checked
end

--- Returns a copy of a table, one level deep.
function params.copy(original)
  local copied = {}
  for key, value in pairs(original) do copied[key] = value end
  return copied
end

--- Joins declarations into one.
function params.join(...)
  local joined = {}
  for _, declaration in ipairs { ... } do
    for _, entry in ipairs(declaration) do joined[#joined + 1] = entry end
  end
  return joined
end

-- ---- checks: each takes a value and returns the one to use, or nil and what is allowed ----

--- Takes any string except the empty one.
function params.text(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "must be a string that is not empty"
end

--- Returns a check that takes one of the words of an array.
function params.one_of(words)
  local known = {}
  for _, word in ipairs(words) do known[word] = true end
  local allowed = "must be one of " .. table.concat(words, ", ")
  return function(value)
    if known[value] then return value end
    return nil, allowed
  end
end

--- Returns a check that takes an integer from `least` to `most`, or of at least `least` if `most` is nil. A float
--- without a fraction counts as an integer.
function params.integer(least, most)
  local allowed = most and ("must be an integer from %d to %d"):format(least, most)
    or ("must be an integer of at least %d"):format(least)
  return function(value)
    if type(value) == "number" and value >= least and value <= (most or 2 ^ 53) and value % 1 == 0 then
      return math.floor(value)
    end
    return nil, allowed
  end
end

--- Takes a number of seconds above 0.
function params.seconds(value)
  if type(value) == "number" and value > 0 then return value end
  return nil, "must be a number of seconds above 0"
end

--- Takes a date that dates.lua can read. Numbers are epoch seconds and become RFC 3339.
function params.date(value)
  local text = value
  if type(value) == "number" then text = dates.format(value) end
  if type(text) == "string" and dates.span(text) then return text end
  return nil, "must be a date (YYYY-MM-DD, RFC 3339, or epoch seconds)"
end

--- Returns a check that takes values of one Lua type.
function params.of_type(name)
  return function(value)
    if type(value) == name then return value end
    return nil, "must be a " .. name
  end
end

--- Takes any value.
function params.anything(value)
  return value
end

--- Takes the value of an HTTP header.
function params.header_text(value)
  if type(value) == "string" and value ~= "" and not value:find(control_bytes) then return value end
  return nil, "must be a string that is not empty and has no control characters"
end

--- Takes a table of HTTP headers. Control characters are refused: they could begin another header.
function params.headers(value)
  local allowed = "must be a table of header names and values without control characters"
  if type(value) ~= "table" then return nil, allowed end
  local headers = {}
  for name, text in pairs(value) do
    if type(text) == "number" then text = tostring(text) end
    if type(name) ~= "string" or type(text) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$")
      or text:find(control_bytes) then
      return nil, allowed
    end
    headers[name] = text
  end
  return headers
end

--- Takes an array of paths for core.decode. A path is keys joined by dots.
function params.fields(value)
  local allowed = "must be an array of paths such as \"lifecycle.status\""
  if type(value) ~= "table" then return nil, allowed end
  local copied, count = {}, 0
  for _ in pairs(value) do count = count + 1 end
  for index, path in ipairs(value) do
    local is_path = type(path) == "string" and path ~= "" and not path:find("%z") and not path:find("^%.")
      and not path:find("%.$") and not path:find("..", 1, true)
    if not is_path then return nil, allowed end
    copied[index] = path
  end
  if #copied ~= count then return nil, allowed end
  return copied
end

--- Takes an API key, or a function that returns one. request.lua checks what the function returns.
function params.key(value)
  if type(value) == "function" then return value end
  local problem = params.key_problem(value)
  if problem then return nil, problem end
  return value
end

--- @param key any
--- @return string|nil problem what is wrong with a key; nil if it can be sent
function params.key_problem(key)
  if type(key) ~= "string" then return "must be a string or a function that returns one" end
  if key == "" then return "must not be empty" end
  if key:find("[%z\1-\31\127]") then return "must not contain control characters, such as a newline" end
  return nil
end

local query_types = { string = true, number = true, boolean = true }

local function query_values(value)
  if query_types[type(value)] then return { tostring(value) } end
  if type(value) ~= "table" then return nil end
  local values, count = {}, 0
  for _ in pairs(value) do count = count + 1 end
  for index, item in ipairs(value) do
    if not query_types[type(item)] then return nil end
    values[index] = tostring(item)
  end
  return #values == count and values or nil
end

--- Takes the option `query`: a table from names to a string, number or boolean, or an array of them.
--- @return table|nil query from names to arrays of strings
function params.query(value)
  local allowed = "must be a table of names to strings, numbers or booleans, or arrays of them"
  if type(value) ~= "table" then return nil, allowed end
  local query = {}
  for name, item in pairs(value) do
    local values = query_values(item)
    if type(name) ~= "string" or name == "" or not values then return nil, allowed end
    query[name] = values
  end
  return query
end

return params
