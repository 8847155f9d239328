-- The endpoints of runs: list, create, get and cancel.

local changes = require "spec.simulator.changes"
local dataset = require "spec.simulator.dataset"
local experiments = require "spec.simulator.experiment"
local json = require "spec.simulator.json"
local page = require "spec.simulator.page"
local problem = require "spec.simulator.problem"
local run = require "spec.simulator.run"

local runs = {}

local DEFAULT_LIMIT = 20

-- Reads the filter of a list request; dataset.compile says what it is.
local function filter_of(query)
  local workflow, experiment, block = query:text "workflow_id", query:text "experiment_id", query:text "block_id"
  local wanted = query:choice("status", dataset.statuses)
  local unwanted = query:choice("exclude_status", dataset.statuses)
  local trigger = query:text "trigger_type"
  return {
    experiment = function(one)
      return (not workflow or one.workflow_id == workflow) and (not experiment or one.experiment_id == experiment)
        and (not block or one.block_id == block)
    end,
    status = function(status) return (not wanted or status == wanted) and status ~= unwanted end,
    trigger = function(one) return not trigger or one == trigger end,
  }
end

-- Returns the list of the runs that pass and were created between the two moments.
local function list_of(set, filter, earliest, latest)
  local compiled = dataset.compile(filter)
  local list = { first = set.first, last = set.last }
  if latest < math.huge then list.first = set:first_at_or_before(latest) end
  -- Runs created before the earliest moment are out: the first of them is at one microsecond before it, or later.
  if earliest > -math.huge then list.last = set:first_at_or_before(earliest - 1e-6) - 1 end
  function list.collect(limit, first, last, step) return set:collect(compiled, limit, first, last, step) end
  function list.number(id) return set:number(id) end
  function list.id(k) return set:id(k) end
  function list.write(k, pieces, n) return run.write(set, k, pieces, n) end
  return list
end

-- Changes the list after a response, as the scenario's `churn` says: "create" adds runs at the head, "leave" gives the
-- last run of the page, where the cursor points, another status.
local function churn(request, set, selected)
  local options, changed = request.options, request.changes
  if options.churn == "create" then
    for _ = 1, options.churn_runs do
      local k = changed:add()
      if k and options.ends then changed:let_end(set, k, options.ends, ngx.now()) end
    end
  elseif selected.numbers[1] then
    local k = selected.numbers[#selected.numbers]
    local _, status = set:traits(k)
    changed:finish(k, status == "completed" and "error" or "completed")
  end
end

function runs.list(request, set, edit)
  local query = request.query
  local asked, filter = query:paging(DEFAULT_LIMIT), filter_of(query)
  local earliest, latest = query:dates()
  local status, refusal = query:problem()
  if status then return status, refusal end
  local shown
  local body = select(2, page.response(list_of(set, filter, earliest, latest), asked, function(selected, ...)
    if edit then edit(selected, ...) end
    shown = selected
  end))
  if request.options.churn then churn(request, set, shown) end
  return 200, body
end

local function not_found(id)
  return problem.new(404, "Experiment run not found: " .. id)
end

function runs.get(request, set)
  local k = set:number(request.id)
  if not k then return not_found(request.id) end
  local changed = request.changes
  if changed and not changed:look(k) then return not_found(request.id) end
  return 200, run.json(set, k)
end

-- Reads the body of a create request. Returns the number of the experiment; nil, a status and a problem if it is wrong.
local function read_creation(request)
  local options = request.options
  local given, message = json.read_object(request.body or "")
  if not given then
    return nil, problem.invalid { { type = "json_invalid", loc = { "body" }, msg = "JSON decode error: " .. message } }
  end
  local fields = {}
  for _, name in ipairs { "experiment_id", "workflow_id", "plan_token" } do
    local value = given[name]
    if value == nil and name == "experiment_id" then
      table.insert(fields, { type = "missing", loc = { "body", name }, msg = "Field required" })
    elseif value ~= nil and type(value) ~= "string" then
      table.insert(fields, { type = "string_type", loc = { "body", name }, msg = "Input should be a valid string" })
    end
  end
  if fields[1] then return nil, problem.invalid(fields) end
  local e = experiments.number(given.experiment_id, options.experiments)
  if not e or (given.workflow_id and given.workflow_id ~= experiments.of(e).workflow_id) then
    return nil, problem.new(404, "Experiment not found: " .. given.experiment_id)
  end
  if given.plan_token == "stale" then return nil, problem.new(409, "The run plan has changed: preview it again") end
  return e
end

-- The same Idempotency-Key returns the run that it created, unless the scenario ignores the header.
function runs.create(request)
  local e, status, refusal = read_creation(request)
  if not e then return status, refusal end
  local options, changed = request.options, changes.open(request.options.id)
  local key = options.idempotency and request.headers["idempotency-key"]
  local k = key and changed.keys[key]
  if not k then
    k = changed:create(e, options, ngx.now())
    if not k then return problem.new(429, "Too many runs in this scenario") end
    if key then changed.keys[key] = k end
  end
  return options.created_status, run.json(dataset.new(options, changed), k)
end

-- Cancelling succeeds again for a cancelled run. A run that is completed or ended in error is not found.
function runs.cancel(request, set)
  local k = set:number(request.id)
  if not k then return not_found(request.id) end
  local facts = run.facts(set, k)
  if facts.status == "completed" or facts.status == "error" then
    return problem.new(404, ("Experiment run not found or already %s: %s"):format(facts.status, request.id))
  end
  if facts.status ~= "cancelled" then
    local changed = changes.open(request.options.id)
    changed:finish(k, "cancelled")
    changed.runs[k].completed, changed.runs[k].errors = facts.completed, facts.errors
  end
  return 200, json.object("id", json.quote(request.id),
    "lifecycle", run.lifecycle("cancelled", facts.experiment, facts.v))
end

return runs
