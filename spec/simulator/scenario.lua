-- A scenario: how the server behaves under one base URL. It is the prefix of the URL's path,
-- `/s/name=value;name=value`, so that specs which run at the same time share a server and no state. Plain Lua: the
-- server and the specs both use it.

local scenario = {}

local function number(least, most)
  return function(text)
    local value = tonumber(text)
    if value and value >= least and value <= (most or math.huge) then return value end
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

-- name → the reader of its value, which returns nil for a value that makes no sense.
scenario.options = {
  id = name,
  -- The data.
  runs = integer(0, 1000000), -- the number of runs
  seed = integer(0, 2 ^ 31 - 1),
  spacing = number(1e-6), -- seconds between one creation and the next
  same = integer(1, 1000000), -- the number of runs that share one time of creation
  shape = one_of("flat", "documented", "mixed"), -- of runs: today's, the older one, or both in turn
  documents = integer(1, 100000), -- the number of documents of every run; 1 to 24 by default
  experiments = integer(0, 10000), -- the number of experiments; the runs of the data belong to the first 8
  metrics = one_of("stale", "none"), -- the kind of every response of metrics
  ends = number(0.001), -- the seconds after its first request in which the unended runs end, one after another
  -- What requests change.
  advance = one_of("look", "time"), -- a created run moves on at each GET of it, or with time
  looks = integer(1, BIG), -- the GET that finds it ended
  lasts = number(0.001), -- the seconds after which it has ended
  outcome = one_of("completed", "error", "cancelled", "paused"), -- how it ends; the API has no status "paused"
  score = number(0, 1), -- its score; derived from the seed by default
  lag = integer(0, BIG), -- the number of GETs after its creation that return 404
  created_status = integer(200, 202), -- the HTTP status of a creation
  idempotency = flag, -- the same Idempotency-Key returns the same run
  -- After each list response "create" adds runs at the head; "leave" changes the status of the last run on the page.
  churn = one_of("create", "leave"),
  churn_runs = integer(1, 1000), -- the number of runs that "create" adds
  -- The response.
  gzip = flag, -- compress it if the client accepts that
  pretty = flag, -- indent the JSON
  -- The shape of error bodies; problem.lua has them.
  error_shape = one_of("wrapped", "nested", "unwrapped", "numbered", "fields", "detail", "message", "error", "compiler",
    "problem"),
  key = text_as_is, -- the only API key accepted
  auth = one_of("any", "api-key", "bearer"), -- the only way accepted to send it
  log = flag, -- record the requests; benchmarks turn it off
  -- The conditions.
  latency = number(0), -- seconds before every response
  fault = one_of("status", "cut", "close", "unread", "stall", "garbage", "gzip", "type", "html", "body", "redirect",
    "cursor", "huge", "slow", "empty", "blank"),
  -- The endpoint that the fault applies to; all of them by default.
  on = one_of("list", "create", "get", "cancel", "results", "result", "metrics", "experiments", "experiment"),
  at = integer(1, BIG), -- the first request that the fault applies to, among those of that endpoint
  times = integer(0, BIG), -- the number of requests that it applies to; 0: all from then on
  -- The particulars of the fault.
  acts = flag, -- the request takes effect also before faults that do not need its response, such as "close"
  of = one_of("body", "response"), -- what `bytes` counts in "cut" and "stall"
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
  id = "default", runs = 250, seed = 0, spacing = 60, same = 1, shape = "flat", experiments = 8, advance = "look",
  looks = 3, lasts = 3, outcome = "completed", lag = 0, created_status = 201, idempotency = true, churn_runs = 1,
  auth = "any", log = true, latency = 0, at = 1, of = "body",
}

-- These faults are visible only over a whole walk, or only on its last page.
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

-- Returns the prefix `/s/...` of a table of options. Raises on an option or a value that the server would refuse.
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

-- Returns the options, with their defaults, of the part of the prefix after `/s/`; or nil and a message.
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

-- Returns true if the fault applies to the request with this number, counted from 1.
function scenario.strikes(options, count)
  if count < options.at then return false end
  return options.times == 0 or count < options.at + options.times
end

return scenario
