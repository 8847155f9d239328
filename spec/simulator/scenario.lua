-- A scenario: what one base URL's server shall do. It travels as the URL's path prefix, `/s/name=value;name=value`, so
-- that specs which run side by side share a server and no state. Plain Lua: both ends of the wire use it.

local scenario = {}

local function number(least)
  return function(text)
    local value = tonumber(text)
    if value and value >= least then return value end
  end
end

local function integer(least, most)
  return function(text)
    local value = tonumber(text)
    if value and value >= least and value <= most and value % 1 == 0 then return value end
  end
end

local function flag(text)
  if text == "1" then return true end
  if text == "0" then return false end
end

local function text_as_is(text) return text end

local function one_of(...)
  local allowed = {}
  for i = 1, select("#", ...) do allowed[(select(i, ...))] = true end
  return function(text) return allowed[text] and text or nil end
end

-- The id names a file: letters, digits, `-` and `_` only.
local function name(text)
  return text:match("^[%w_-]+$")
end

local BIG = 2 ^ 40

-- name → the reader of its value, which returns nil for what makes no sense.
scenario.options = {
  id = name,
  -- The data.
  runs = integer(0, 1000000), -- how many there are
  seed = integer(0, 2 ^ 31 - 1),
  spacing = number(1e-6), -- seconds between one creation and the next
  same = integer(1, 1000000), -- how many runs share one moment of creation
  shape = one_of("documented", "flat", "mixed"),
  gzip = flag, -- compress where the client accepts it
  pretty = flag, -- indent the JSON
  key = text_as_is, -- the only API key accepted
  log = flag, -- whether requests are recorded; a benchmark has no use for that
  -- The conditions.
  latency = number(0), -- seconds before every answer
  fault = one_of("status", "cut", "close", "stall", "garbage", "gzip", "type", "html", "body", "redirect", "cursor",
    "huge", "slow", "empty", "blank"),
  at = integer(1, BIG), -- the first request the fault applies to
  times = integer(0, BIG), -- how many requests it applies to; 0: all from then on
  -- The fault's particulars.
  code = integer(200, 999),
  retry_after = text_as_is,
  retry_after_ms = text_as_is,
  body = text_as_is,
  type = text_as_is,
  to = text_as_is,
  bytes = integer(0, BIG),
  delay = number(0),
  cycle = integer(1, 100000),
  lead = integer(0, 100000),
}

local DEFAULTS = {
  id = "default", runs = 250, seed = 0, spacing = 60, same = 1, shape = "documented", log = true, latency = 0, at = 1,
}

-- These faults show only over a whole walk, or only on its last page.
local LASTING = { cursor = true, blank = true }

local function with_defaults(options)
  for option, value in pairs(DEFAULTS) do
    if options[option] == nil then options[option] = value end
  end
  if options.times == nil then options.times = LASTING[options.fault] and 0 or 1 end
  return options
end

local function percent_encode(text)
  return (text:gsub("[^%w%-._~]", function(char) return string.format("%%%02X", char:byte()) end))
end

function scenario.percent_decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function value_text(value)
  if type(value) == "boolean" then return value and "1" or "0" end
  -- Lua 5.3 writes a float as 1.0, and 5.1 a large integer as 1e+15.
  if type(value) == "number" then return string.format("%.14g", value) end
  return value
end

-- A table of options → `/s/...`. Raises on an option or a value that the server would refuse.
function scenario.encode(options, level)
  level = (level or 1) + 1
  local parts = {}
  for option, value in pairs(options) do
    local read = scenario.options[option]
    if not read then error("no such scenario option: " .. tostring(option), level) end
    local text = value_text(value)
    if type(text) ~= "string" or read(text) == nil then
      error(("bad value for scenario option %s: %s"):format(option, tostring(value)), level)
    end
    parts[#parts + 1] = option .. "=" .. percent_encode(text)
  end
  table.sort(parts)
  return "/s/" .. table.concat(parts, ";")
end

-- The part of the prefix after `/s/` → the options with their defaults, or nil and what is wrong with it.
function scenario.decode(text)
  local options = {}
  for part in text:gmatch("[^;]+") do
    local option, encoded = part:match("^([%w_]+)=(.*)$")
    local read = scenario.options[option]
    if not read then return nil, "no such scenario option: " .. (option or part) end
    options[option] = read(scenario.percent_decode(encoded))
    if options[option] == nil then return nil, "bad value for scenario option " .. option end
  end
  return with_defaults(options)
end

-- Whether the fault strikes the request of this number, counted from 1.
function scenario.strikes(options, count)
  if not options.fault or count < options.at then return false end
  return options.times == 0 or count < options.at + options.times
end

return scenario
