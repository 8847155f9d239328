--- Values checked against a declaration: an array of { name, check, takes_null }, in the order in which they
--- are sent. A check gives the value to go on with, or nil and what is allowed; null is no value, but where it
--- is taken. Misuse raises at the line of the first
--- caller outside of this library.
local core = require "retab.core"
local dates = require "retab.dates"

local params = {}

--- What no value of a header may hold.
local controls = "[%z\1-\8\10-\31\127]"

local library = debug.getinfo(1, "S").source:match("^(.*)params%.lua$")

--- Raises `message` at the caller's line.
--- @param message string
function params.raise(message)
  local level = 2
  while true do
    local info = debug.getinfo(level, "S")
    if not info then break end
    local inside = library and info.source:sub(1, #library) == library
    if info.what ~= "C" and info.what ~= "tail" and not inside then break end
    level = level + 1
  end
  error(message, level)
end

--- The number of edits (a letter added, dropped, replaced, two swapped) between two short words.
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

--- The name of the declaration that `name` was most likely meant to be, or nil.
local function suggest(declaration, name)
  local function plain(word) return (word:lower():gsub("[^%w]", "")) end
  local wanted, best, best_distance = plain(name), nil, math.huge
  for _, entry in ipairs(declaration) do
    local candidate = plain(entry[1])
    local edits = distance(wanted, candidate)
    local is_part = #wanted >= 3 and (candidate:find(wanted, 1, true) or wanted:find(candidate, 1, true))
    if is_part or #wanted == 2 and candidate:sub(1, 2) == wanted then
      edits = math.min(edits, 2)
    end
    if edits < best_distance then best, best_distance = entry[1], edits end
  end
  return best_distance <= math.max(2, math.floor(#wanted / 3)) and best or nil
end

local function names_of(declaration)
  local names = {}
  for index, entry in ipairs(declaration) do names[index] = entry[1] end
  return table.concat(names, ", ")
end

local function describe(value)
  if type(value) == "string" then return ("%q"):format(#value > 60 and value:sub(1, 60) .. "..." or value) end
  if type(value) == "number" then return tostring(value) end
  return "a " .. type(value)
end

--- Checks what a caller passed.
--- @param declaration table { { name, check }, ... }
--- @param given any a table, or nil for an empty one
--- @param what string what it is called: "parameter", "option"
--- @return table checked a new table; what was nil or null is not in it
function params.check(declaration, given, what)
  if given == nil then return {} end
  if type(given) ~= "table" then
    params.raise(("%ss are a table, such as { %s = ... }, not %s"):format(what, declaration[1][1], describe(given)))
  end
  local checks, checked = {}, {}
  for _, entry in ipairs(declaration) do checks[entry[1]] = entry end
  for name, value in pairs(given) do
    local entry = checks[name]
    if not entry then
      local hint = type(name) == "string" and suggest(declaration, name)
      params.raise(("unknown %s %s%s"):format(what, type(name) == "string" and ("'%s'"):format(name) or describe(name),
        hint and (": did you mean '%s'?"):format(hint) or "; allowed are " .. names_of(declaration)))
    end
    if value ~= core.null or entry[3] then
      local good, allowed = entry[2](value)
      if good == nil then
        params.raise(("bad %s '%s': %s is not allowed, %s is expected"):format(what, name, describe(value), allowed))
      end
      checked[name] = good
    end
  end
  return checked
end

--- A copy of a table, one level deep.
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

--- Any string but the empty one.
function params.text(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "a string that is not empty"
end

--- One of the words of an array.
function params.one_of(words)
  local known = {}
  for _, word in ipairs(words) do known[word] = true end
  local allowed = "one of " .. table.concat(words, ", ")
  return function(value)
    if known[value] then return value end
    return nil, allowed
  end
end

--- A whole number of at least `least`, and at most `most` where that is given.
function params.whole(least, most)
  local allowed = most and ("a whole number from %d to %d"):format(least, most)
    or ("a whole number of at least %d"):format(least)
  return function(value)
    if type(value) == "number" and value >= least and value <= (most or 2 ^ 53) and value % 1 == 0 then
      return math.floor(value)
    end
    return nil, allowed
  end
end

--- Seconds, more than none.
function params.seconds(value)
  if type(value) == "number" and value > 0 then return value end
  return nil, "a number of seconds above 0"
end

--- A date, as dates.lua knows them.
function params.date(value)
  local text = value
  if type(value) == "number" then text = dates.format(value) end
  if type(text) == "string" and dates.span(text) then return text end
  return nil, "a date (YYYY-MM-DD, RFC 3339, or epoch seconds)"
end

--- A value of this Lua type.
function params.of_type(name)
  return function(value)
    if type(value) == name then return value end
    return nil, "a " .. name
  end
end

--- Any value at all.
function params.anything(value)
  return value
end

--- What stands behind the name in an HTTP header: no line of its own.
function params.header_text(value)
  if type(value) == "string" and value ~= "" and not value:find(controls) then return value end
  return nil, "a string that is not empty, without control characters"
end

--- Names and values of HTTP headers: no line of one's own, no second header in a value.
function params.headers(value)
  local allowed = "a table of header names and values without control characters"
  if type(value) ~= "table" then return nil, allowed end
  local headers = {}
  for name, text in pairs(value) do
    if type(text) == "number" then text = tostring(text) end
    if type(name) ~= "string" or type(text) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$")
      or text:find(controls) then
      return nil, allowed
    end
    headers[name] = text
  end
  return headers
end

--- Paths of fields, as core.decode takes them: an array of keys joined by dots.
function params.fields(value)
  local allowed = "an array of paths such as \"lifecycle.status\""
  if type(value) ~= "table" then return nil, allowed end
  local copied, count = {}, 0
  for _ in pairs(value) do count = count + 1 end
  for index, path in ipairs(value) do copied[index] = path end
  if #copied ~= count or not pcall(core.decode, "{}", { fields = copied }) then return nil, allowed end
  return copied
end

return params
