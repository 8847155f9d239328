-- The query string of a list request, read and checked as the API does it: FastAPI's error shapes included. It knows
-- nothing of the runs it asks for but the names of their choices.

local dataset = require "spec.simulator.dataset"
local dates = require "spec.simulator.dates"
local json = require "spec.simulator.json"
local scenario = require "spec.simulator.scenario"

local query = {}

local DEFAULT_LIMIT = 20
local MAX_LIMIT = 100

local function decode(text)
  return scenario.percent_decode((text:gsub("+", " ")))
end

-- The raw text → name → array of its values.
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

local function problem(kind, name, message, input, context)
  return string.format('{"type":"%s","loc":["query"%s],"msg":%s,"input":%s%s}', kind,
    name and "," .. json.quote(name) or "", json.quote(message), input and json.quote(input) or "null",
    context and ',"ctx":' .. context or "")
end

-- The last one of a repeated parameter counts; an empty id filters nothing.
local function last(args, name)
  return args[name] and args[name][#args[name]]
end

local function filled(args, name)
  local value = last(args, name)
  if value ~= "" then return value end
end

local function read_limit(args, problems)
  local text = last(args, "limit")
  if not text then return DEFAULT_LIMIT end
  local limit = text:match("^%s*[+-]?%d+%s*$") and tonumber(text)
  if not limit then
    table.insert(problems, problem("int_parsing", "limit",
      "Input should be a valid integer, unable to parse string as an integer", text))
  elseif limit < 1 then
    table.insert(problems, problem("greater_than_equal", "limit", "Input should be greater than or equal to 1", text,
      '{"ge":1}'))
  elseif limit > MAX_LIMIT then
    table.insert(problems, problem("less_than_equal", "limit",
      "Input should be less than or equal to " .. MAX_LIMIT, text, '{"le":' .. MAX_LIMIT .. "}"))
  end
  return limit
end

local function read_order(args, problems)
  local order = last(args, "order") or "desc"
  if order ~= "asc" and order ~= "desc" then
    table.insert(problems, problem("literal_error", "order", "Input should be 'asc' or 'desc'", order,
      '{"expected":"\'asc\' or \'desc\'"}'))
  end
  return order
end

local STATUSES = "'" .. table.concat(dataset.statuses, "', '", 1, #dataset.statuses - 1) .. "' or '"
  .. dataset.statuses[#dataset.statuses] .. "'"

-- The set of the statuses named, by repetition or with commas; nil where there is none.
local function read_statuses(args, name, problems)
  if not args[name] then return nil end
  local known, wanted = {}, {}
  for _, status in ipairs(dataset.statuses) do known[status] = true end
  for _, value in ipairs(args[name]) do
    for status in (value .. ","):gmatch("([^,]*),") do
      wanted[status] = true
      if not known[status] then
        table.insert(problems, problem("enum", name, "Input should be " .. STATUSES, status,
          '{"expected":' .. json.quote(STATUSES) .. "}"))
      end
    end
  end
  return wanted
end

local function read_masks(args, problems)
  local masks = dataset.all()
  masks.experiments = dataset.mask(dataset.experiments, function(experiment)
    for _, name in ipairs { "workflow_id", "experiment_id", "block_id" } do
      local value = filled(args, name)
      if value and experiment[name] ~= value then return false end
    end
    return true
  end)
  local wanted = read_statuses(args, "status", problems)
  local unwanted = read_statuses(args, "exclude_status", problems)
  masks.statuses = dataset.mask(dataset.statuses, function(status)
    return (not wanted or wanted[status]) and not (unwanted and unwanted[status])
  end)
  local trigger = filled(args, "trigger_type")
  if trigger then
    masks.triggers = dataset.mask(dataset.triggers, function(choice) return choice == trigger end)
  end
  return masks
end

-- The moments between which a run must have been created, or nil and the text that is no date.
local function read_dates(args)
  local from, to = filled(args, "from_date"), filled(args, "to_date")
  local earliest, latest, _ = -math.huge, math.huge, nil
  if from then
    earliest = dates.span(from)
    if not earliest then return nil, from end
  end
  if to then
    _, latest = dates.span(to)
    if not latest then return nil, to end
  end
  return earliest, latest
end

-- Arguments as split → { limit, order, masks, earliest, latest, after, before }, or nil, the status and the body of the
-- refusal.
function query.check(args)
  local problems = {}
  local asked = {
    limit = read_limit(args, problems),
    order = read_order(args, problems),
    masks = read_masks(args, problems),
    after = filled(args, "after"),
    before = filled(args, "before"),
  }
  if asked.after and asked.before then
    table.insert(problems, problem("value_error", nil, "Value error, before and after are mutually exclusive"))
  end
  if problems[1] then return nil, 422, '{"detail":[' .. table.concat(problems, ",") .. "]}" end
  local earliest, latest = read_dates(args)
  if not earliest then
    return nil, 400, '{"detail":' .. json.quote("Invalid date format: " .. latest) .. "}"
  end
  asked.earliest, asked.latest = earliest, latest
  return asked
end

return query
