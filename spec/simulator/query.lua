-- The parameters of a request, read and checked as the API does it. Each reader notes what is wrong in the query, so
-- that one response reports all of it. It knows nothing of runs.

local dates = require "spec.simulator.dates"
local json = require "spec.simulator.json"
local problem = require "spec.simulator.problem"
local scenario = require "spec.simulator.scenario"

local query = {}
query.__index = query

local MAX_LIMIT = 100

local function decode(text)
  return scenario.percent_decode((text:gsub("+", " ")))
end

-- Returns a table of the values by name: name → array.
function query.split(text)
  local args = {}
  for part in text:gmatch("[^&]+") do
    local name, value = part:match("^([^=]*)=?(.*)$")
    name = decode(name)
    args[name] = args[name] or {}
    table.insert(args[name], decode(value))
  end
  return args
end

-- `text` is the part of a URL after the question mark.
function query.new(text)
  return setmetatable({ args = query.split(text), fields = {} }, query)
end

function query:note(kind, name, message, input, context)
  table.insert(self.fields, { type = kind, loc = { "query", name }, msg = message, input = json.optional(input),
    ctx = context })
end

-- Of a repeated parameter the last one counts.
local function last(self, name)
  local values = self.args[name]
  return values and values[#values]
end

-- Returns the value, nil if it is missing or empty.
function query:text(name)
  local value = last(self, name)
  if value ~= "" then return value end
end

function query:required(name)
  local value = self:text(name)
  if not value then self:note("missing", name, "Field required") end
  return value
end

function query:limit(default)
  local text = last(self, "limit")
  if not text then return default end
  local limit = text:match("^%s*[+-]?%d+%s*$") and tonumber(text)
  if not limit then
    self:note("int_parsing", "limit", "Input should be a valid integer, unable to parse string as an integer", text)
  elseif limit < 1 then
    self:note("greater_than_equal", "limit", "Input should be greater than or equal to 1", text, '{"ge":1}')
  elseif limit > MAX_LIMIT then
    self:note("less_than_equal", "limit", "Input should be less than or equal to " .. MAX_LIMIT, text,
      '{"le":' .. MAX_LIMIT .. "}")
  end
  return limit
end

-- Returns one of `allowed`, or the default.
function query:choice(name, allowed, default)
  local value = self:text(name)
  if not value then return default end
  for _, one in ipairs(allowed) do
    if value == one then return value end
  end
  local expected = "'" .. table.concat(allowed, "', '", 1, #allowed - 1) .. "' or '" .. allowed[#allowed] .. "'"
  self:note("enum", name, "Input should be " .. expected, value, json.object("expected", json.quote(expected)))
end

function query:boolean(name, default)
  local value = self:choice(name, { "true", "false" })
  if value == nil then return default end
  return value == "true"
end

-- Reads the parameters that every list has: limit, order, after, before.
function query:paging(default_limit)
  local paging = {
    limit = self:limit(default_limit), order = self:choice("order", { "asc", "desc" }, "desc"),
    after = self:text "after", before = self:text "before",
  }
  self.exclusive = paging.after and paging.before
  return paging
end

-- Reads from_date and to_date: the first and the last moment in seconds, without bounds if they are missing.
function query:dates()
  local from, to = self:text "from_date", self:text "to_date"
  local earliest, latest, _ = -math.huge, math.huge, nil
  if from then earliest = dates.span(from) end
  if to then _, latest = dates.span(to) end
  self.bad_date = not earliest and from or not latest and to
  return earliest, latest
end

-- Returns nil if all is well, else a problem.
function query:problem()
  if self.fields[1] then return problem.invalid(self.fields) end
  if self.exclusive then return problem.new(400, "before and after are mutually exclusive: drop one of them") end
  if self.bad_date then return problem.new(400, "Invalid date format: " .. self.bad_date) end
end

return query
