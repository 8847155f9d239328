-- The endpoints of experiments, the parents of runs: list and get. An experiment repeats facts of its last run.

local dates = require "spec.simulator.dates"
local experiments = require "spec.simulator.experiment"
local json = require "spec.simulator.json"
local page = require "spec.simulator.page"
local problem = require "spec.simulator.problem"
local run = require "spec.simulator.run"

local parents = {}

local DEFAULT_LIMIT = 50

-- Experiments were created a day apart, all before the oldest run that a data set has.
local EPOCH = dates.span("2020-01-01")
local DAY = 86400

local STATUS = { pending = "processing", queued = "processing", running = "processing", completed = "completed",
  error = "failed", cancelled = "cancelled" }

-- An experiment that never ran has this many documents.
local DRAFT_DOCUMENTS = 3

local quote, object = json.quote, json.object

local function moment(seconds)
  return quote(dates.text(seconds))
end

-- Returns the members that come from the last run. Without one, they are null in some experiments, missing in others.
local function last_run_members(set, one)
  local k = set:newest(one.number, set.first)
  if not k then
    local nothing = one.number % 2 == 0 and json.null or nil
    return { documents = DRAFT_DOCUMENTS, id = nothing, score = nothing, status = "draft", freshness = "unknown" }
  end
  local facts = run.facts(set, k)
  return { documents = facts.total, id = quote(facts.id), status = STATUS[facts.status],
    score = facts.score and run.score_text(facts.score, 0) or json.null, updated = facts.created,
    freshness = set.options.metrics == "stale" and "stale" or "fresh" }
end

local function freshness(last, reasons)
  return object("status", quote(last.freshness), "reasons", reasons, "validity_fingerprint", json.null,
    "baseline_run_id", last.id)
end

local function experiment_json(set, one)
  local last, stale = last_run_members(set, one), set.options.metrics == "stale"
  local created, reasons = EPOCH - one.number * DAY, stale and '["inputs_changed"]' or "[]"
  return object("id", quote(one.experiment_id), "workflow_id", quote(one.workflow_id), "block_id", quote(one.block_id),
    "name", quote(one.name), "block_type", quote(one.block_type), "n_consensus", ("%d"):format(one.n_consensus),
    "document_count", ("%d"):format(last.documents), "last_run_id", last.id, "created_at", moment(created),
    "updated_at", moment(last.updated or created), "status", quote(last.status), "score", last.score,
    "is_stale", tostring(stale), "freshness", freshness(last, reasons), "freshness_state", quote(last.freshness),
    "freshness_reasons", reasons, "run_plan_mode", stale and '"run"' or '"noop"',
    "rerunnable_document_count", ("%d"):format(stale and last.documents or 0), "schema_drift", '"none"',
    "schema_drift_detail", one.number % 2 == 0 and json.null or nil,
    "drift", object("status", '"none"', "affected_targets", "[]", "detail", json.null))
end

-- Returns the list of the experiments of a workflow, of one block if there is one. Their numbers here are those of the
-- selection.
local function list_of(set, workflow, block)
  local chosen, numbers = {}, {}
  for e = 0, set.options.experiments - 1 do
    local one = experiments.of(e)
    if one.workflow_id == workflow and (not block or one.block_id == block) then
      chosen[#chosen + 1] = one
      numbers[one.experiment_id] = #chosen
    end
  end
  return {
    first = 1, last = #chosen, collect = page.every,
    id = function(i) return chosen[i].experiment_id end,
    number = function(id) return numbers[id] end,
    write = function(i, pieces, n)
      pieces[n + 1] = experiment_json(set, chosen[i])
      return n + 1
    end,
  }
end

function parents.list(request, set, edit)
  local query = request.query
  local workflow, block, asked = query:required "workflow_id", query:text "block_id", query:paging(DEFAULT_LIMIT)
  local status, refusal = query:problem()
  if status then return status, refusal end
  return page.response(list_of(set, workflow, block), asked, edit)
end

function parents.get(request, set)
  local e = experiments.number(request.id, request.options.experiments)
  if not e then return problem.new(404, "Experiment not found: " .. request.id) end
  return 200, experiment_json(set, experiments.of(e))
end

return parents
