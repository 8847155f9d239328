-- The results of a run, one for each of its documents, and their endpoints.

local document = require "spec.simulator.document"
local json = require "spec.simulator.json"
local page = require "spec.simulator.page"
local problem = require "spec.simulator.problem"
local run = require "spec.simulator.run"
local values = require "spec.simulator.values"

local results = {}

local DEFAULT_LIMIT = 100

-- Results of one run are created this far apart, in seconds.
local STEP = 0.001

local OPERATIONS = {
  extract = { "extraction", "extr_" }, classifier = { "classification", "clss_" }, split = { "split", "splt_" },
  for_each = { "partition", "prtn_" },
}

local quote, object = json.quote, json.object

-- Returns the status of the result of document d: a run processes its completed documents first, then those that fail.
local function status_of(facts, d)
  if d < facts.completed then return "completed" end
  if d < facts.completed + facts.errors then return "error" end
  if facts.status == "running" then return d == facts.completed + facts.errors and "running" or "pending" end
  return facts.status == "error" and "cancelled" or facts.status
end

-- Returns the times of a result; they lie within those of its run.
local function times_of(facts, d, status)
  local times = { created = facts.created + d * STEP }
  if status == "pending" or status == "queued" or not facts.started then return times end
  times.started = facts.started
  if status == "running" then return times end
  local span = math.max(0, facts.milliseconds - (facts.started - facts.created) * 1000 - 1000)
  times.milliseconds = math.floor(span * (d + 1) / facts.total)
  times.ended = facts.started + times.milliseconds / 1000
  return times
end

local function timing(times, bare)
  local pieces = {}
  run.write_timing(times, bare, pieces, 0)
  return table.concat(pieces)
end

local function json_handle(data)
  return object("type", '"json"', "data", data)
end

local function inputs(facts, d)
  return object("input-file-0", object("type", '"file"', "document", object(
    "id", quote("file_" .. document.id(facts.experiment.number, d):sub(#"expdoc_" + 1)),
    "filename", quote(document.filename(d)), "mime_type", quote(document.mime_type(d)))))
end

-- If there is no output, the handles are missing, empty, or without data.
local function outputs(facts, d, status)
  if status == "completed" then return object("output-json-0", json_handle(values.output(facts.experiment, d))) end
  if status == "error" then return object("output-json-0", json_handle(d % 2 == 0 and json.null or nil)) end
  return d % 2 == 0 and "{}" or nil
end

local function artifact(facts, d, status, code)
  if status ~= "completed" then return d % 2 == 0 and json.null or nil end
  local operation = OPERATIONS[facts.experiment.block_type]
  return object("operation", quote(operation[1]), "id", quote(("%s%s%06x"):format(operation[2], code, d)))
end

local function result_id(code, d)
  return ("expresult_%s%06x"):format(code, d)
end

-- Returns the JSON of the result of document d of a run.
local function result_json(set, facts, d)
  local code, status = set:code(facts.k), status_of(facts, d)
  local attempt = facts.v % 3 == 0 and 1 or 0
  return object("id", quote(result_id(code, d)), "experiment_run_id", quote(facts.id),
    "experiment_id", quote(facts.experiment.experiment_id),
    "document_id", quote(document.id(facts.experiment.number, d)),
    "lifecycle", run.lifecycle(status, facts.experiment, facts.v + d),
    "timing", timing(times_of(facts, d, status), d % 2 == 1), "block_type", quote(facts.experiment.block_type),
    "handle_inputs", inputs(facts, d), "handle_outputs", outputs(facts, d, status),
    "artifact", artifact(facts, d, status, code),
    "attempt", (attempt > 0 or d % 2 == 0) and ("%d"):format(attempt) or nil)
end

-- Returns the run's and the document's number of a result's id, or nil.
local function find(set, id)
  local code, d = id:match("^expresult_(%x+)(%x%x%x%x%x%x)$")
  local k = code and set:decode(code)
  if k then return k, tonumber(d, 16) end
end

-- A result's number in the list counts down from the last document: the newest has the least.
local function list_of(set, k)
  local facts = run.facts(set, k)
  local code, last = set:code(k), facts.total - 1
  local list = { first = 0, last = last, collect = page.every }
  function list.id(number) return result_id(code, last - number) end
  function list.number(id)
    local of, d = find(set, id)
    if of == k and d <= last then return last - d end
  end
  function list.write(number, pieces, n)
    pieces[n + 1] = result_json(set, facts, last - number)
    return n + 1
  end
  return list
end

function results.list(request, set, edit)
  local query = request.query
  local id, asked = query:required "run_id", query:paging(DEFAULT_LIMIT)
  local status, refusal = query:problem()
  if status then return status, refusal end
  local k = set:number(id)
  if not k then return problem.new(404, "Experiment run not found: " .. id) end
  return page.response(list_of(set, k), asked, edit)
end

function results.get(request, set)
  local k, d = find(set, request.id)
  local facts = k and run.facts(set, k)
  if not facts or d >= facts.total then return problem.new(404, "Experiment result not found: " .. request.id) end
  return 200, result_json(set, facts, d)
end

return results
