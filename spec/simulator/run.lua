-- A run of a data set: its facts, and its JSON in the flat shape that the API sends today or in the documented, older
-- one. JSON is written as pieces of a page's text: nearly all of them are the same few strings over and over.

local dates = require "spec.simulator.dates"
local experiments = require "spec.simulator.experiment"
local json = require "spec.simulator.json"

local floor, format = math.floor, string.format

local run = {}

local FAILURES = {
  { "Document could not be read: \"facture-é.pdf\"", "document_unreadable" },
  { "The model did not answer within 120 s", "model_timeout" },
  { "Schema path $.lines[*].total does not exist\n(line 3 of the block's schema)", "schema_mismatch" },
  { "Rate limit of the model provider exceeded", "provider_rate_limit" },
}

local REASONS = { "Cancelled by user", "Superseded by a newer run", "Workflow version deleted" }

local CONSENSUS = { [0] = 3, 5, 5, 7 }

-- A version lives for some hundred runs.
local VERSIONS, VERSION_RUNS = 18, 500
local DOCUMENT_SETS = 6

-- How far a parent is looked for among the older runs.
local PARENT_SPAN = 64

-- Returns a function that remembers the results of fn, whose arguments have few values.
local function memoize(fn)
  local known = {}
  return function(a, b)
    local row = known[a]
    if not row then
      row = {}
      known[a] = row
    end
    local result = row[b]
    if not result then
      result = fn(a, b)
      row[b] = result
    end
    return result
  end
end

local version_id = memoize(function(version) return format("draft_2026_05_%02d", VERSIONS - version) end)

-- Returns the JSON of a score in ten-thousandths.
run.score_text = memoize(function(ten_thousandths) return format("%.4g", ten_thousandths / 1e4) end)

-- Fingerprints repeat from run to run, as those of one version and one set of documents do.
local fingerprint = memoize(function(a, b)
  local low = (a * 40503 + b * 2654435 + 97) * 48271 % 2147483647
  return format("%08x%08x", low, low * 69621 % 2147483647)
end)

-- ---- facts ---------------------------------------------------------------------------------------------

-- Returns the numbers of completed documents and of errors of a run of the data.
local function usual_counts(status, total)
  if status == "completed" then return total, 0 end
  if status == "running" or status == "cancelled" then return floor(total / 2), 0 end
  if status == "error" then return floor(total / 3), floor(total / 4) + 1 end
  return 0, 0
end

-- Returns the same for a run that a request changed. A created run processes its completed documents first.
local function counts(change, status, total)
  if not change then return usual_counts(status, total) end
  if change.completed then return change.completed, change.errors end
  if not change.part then return usual_counts(status, total) end
  local through = floor(total * change.part)
  local failing = change.outcome == "error" and floor(total / 4) + 1 or 0
  local completed = math.min(through, total - failing)
  return completed, through - completed
end

local STARTED = { running = true, completed = true, error = true, cancelled = true }
local ENDED = { completed = true, error = true, cancelled = true }

-- Returns the score of a completed run in ten-thousandths.
local function score_of(change, v)
  local chosen = change and change.born and change.options.score
  return chosen and floor(chosen * 1e4 + 0.5) or 5000 + floor(v / 128) % 4999
end

local function fill(facts, set, k)
  local e, status, trigger, u, v = set:traits(k)
  local change = set.changed and set.changed[k]
  local experiment, created = experiments.of(e), set:created(k)
  local total = set.options.documents or floor(v / 32) % 24 + 1
  local milliseconds = 8000 + v % 600000
  facts.k, facts.id, facts.experiment = k, set:id(k), experiment
  facts.status, facts.trigger, facts.v = status, trigger, v
  facts.n_consensus = change and change.born and experiment.n_consensus or CONSENSUS[u % 4]
  facts.version = k < 0 and 0 or floor(k / VERSION_RUNS) % VERSIONS
  facts.total = total
  facts.completed, facts.errors = counts(change, status, total)
  facts.score = status == "completed" and score_of(change, v) or nil
  facts.created, facts.milliseconds = created, milliseconds
  facts.started = STARTED[status] and created + 1 + v % 5 or nil
  facts.ended = ENDED[status] and created + floor(milliseconds / 1000) or nil
  return facts
end

-- Returns the facts of run k: numbers, names and times (seconds since 1970), and no JSON. `score` is in
-- ten-thousandths, nil if the run is not completed. `v` is a random number that decides the rest.
function run.facts(set, k)
  return fill({}, set, k)
end

function run.block_fingerprint(facts)
  return fingerprint(facts.experiment.number, facts.version)
end

local function documents_fingerprint(facts)
  return fingerprint(facts.experiment.number + 100, floor(facts.v / 8) % DOCUMENT_SETS)
end

-- ---- lifecycle -----------------------------------------------------------------------------------------

-- Nullable members have a value, are null, or are left out: `choice` decides.
local function failure(experiment, choice)
  local kind = choice % 12
  local known = FAILURES[choice % #FAILURES + 1]
  local message = json.quote(known[1])
  if kind == 9 then
    local details = json.object("message", message, "stack_trace", json.quote "block.py:17\nrun.py:3",
      "block_id", json.null, "block_name", json.null, "error_code", json.null, "context", json.null)
    return json.object("status", '"error"', "message", message, "details", details)
  end
  if kind == 10 then return json.object("status", '"error"', "message", message, "details", json.null) end
  if kind == 11 then return '{"status":"error"}' end
  return run.documented_lifecycle("error", experiment, choice)
end

local cancellation = memoize(function(_, choice)
  if choice % 5 == 3 then return '{"status":"cancelled","reason":null}' end
  if choice % 5 == 4 then return '{"status":"cancelled"}' end
  return run.documented_lifecycle("cancelled", nil, choice)
end)

local known_failure = memoize(failure)

-- Returns the JSON of a lifecycle.
function run.lifecycle(status, experiment, v)
  if status == "error" then return known_failure(experiment, v % 60) end
  if status == "cancelled" then return cancellation(status, v % 60) end
  return run.documented_lifecycle(status, experiment, v)
end

local plain_lifecycle = memoize(function(status, choice)
  if status ~= "cancelled" then return '{"status":"' .. status .. '"}' end
  return format('{"status":"cancelled","reason":"%s"}', REASONS[choice % #REASONS + 1])
end)

local error_lifecycle = memoize(function(experiment, choice)
  local known = FAILURES[choice % #FAILURES + 1]
  local message = json.quote(known[1])
  return format('{"status":"error","message":%s,"details":{"message":%s,"stack_trace":null,"block_id":"%s",'
    .. '"block_name":%s,"error_code":"%s","context":{"attempt":%d}}}', message, message, experiment.block_id,
    json.quote(experiment.name), known[2], choice % 3 + 1)
end)

function run.documented_lifecycle(status, experiment, v)
  if status == "error" then return error_lifecycle(experiment, v % 12) end
  return plain_lifecycle(status, v % 12)
end

-- ---- timing --------------------------------------------------------------------------------------------

-- The end of a timing without completed_at, by whether missing times are left out, and whether there is started_at.
local REST = {
  [true] = { [true] = '"}', [false] = '"}' },
  [false] = {
    [true] = '","completed_at":null,"duration_ms":null}',
    [false] = '","started_at":null,"completed_at":null,"duration_ms":null}',
  },
}

-- Appends a timing. `bare` leaves missing times out, in place of null.
function run.write_timing(times, bare, pieces, n)
  pieces[n + 1] = '{"created_at":"'
  n = dates.write(times.created, pieces, n + 1)
  if times.started then
    pieces[n + 1] = '","started_at":"'
    n = dates.write(times.started, pieces, n + 1)
  end
  if not times.ended then
    pieces[n + 1] = REST[bare][times.started ~= nil]
    return n + 1
  end
  pieces[n + 1] = '","completed_at":"'
  n = dates.write(times.ended, pieces, n + 1)
  pieces[n + 1], pieces[n + 2], pieces[n + 3] = '","duration_ms":', times.milliseconds, "}"
  return n + 3
end

-- ---- the shapes ----------------------------------------------------------------------------------------

local trigger_text = memoize(function(trigger, bare)
  if bare and not trigger then return ',"trigger":{},"lifecycle":' end
  return ',"trigger":{"type":' .. json.optional(trigger) .. '},"lifecycle":'
end)

local documented_counts = memoize(function(key, total)
  return format(',"total_document_count":%d,"completed_document_count":%d,"error_count":%d', total,
    floor(key / 1e6), key % 1e6)
end)

local function counts_text(facts)
  return documented_counts(facts.completed * 1e6 + facts.errors, facts.total)
end

local function write_documented(_, facts, pieces, n)
  local experiment = facts.experiment
  pieces[n + 1], pieces[n + 2], pieces[n + 3] = '{"id":"', facts.id, '","workflow":{"workflow_id":"'
  pieces[n + 4], pieces[n + 5], pieces[n + 6] = experiment.workflow_id, '","version_id":"', version_id(facts.version, 0)
  pieces[n + 7], pieces[n + 8] = '"}', trigger_text(facts.trigger, false)
  pieces[n + 9], pieces[n + 10] = run.documented_lifecycle(facts.status, experiment, facts.v), ',"timing":'
  n = run.write_timing(facts, false, pieces, n + 10)
  pieces[n + 1], pieces[n + 2] = ',"experiment_id":"', experiment.experiment_id
  pieces[n + 3], pieces[n + 4] = '","block_id":"', experiment.block_id
  pieces[n + 5], pieces[n + 6] = '","block_kind":"', experiment.block_type
  pieces[n + 7], pieces[n + 8] = '","n_consensus":', facts.n_consensus
  pieces[n + 9], pieces[n + 10] = counts_text(facts), ',"score":'
  pieces[n + 11] = facts.score and run.score_text(facts.score, 0) or "null"
  pieces[n + 12], pieces[n + 13] = ',"definition_fingerprint":"', run.block_fingerprint(facts)
  pieces[n + 14] = '","documents_fingerprint":"'
  pieces[n + 15], pieces[n + 16] = documents_fingerprint(facts), '"}'
  return n + 16
end

-- Returns the id of an older run of the experiment, nil if none is near.
local function parent_of(set, facts)
  for k = facts.k + 1, math.min(facts.k + PARENT_SPAN, set.last) do
    if (set:traits(k)) == facts.experiment.number then return set:id(k) end
  end
end

-- Appends the members that are null in some runs and missing in others.
local function write_optional(set, facts, pieces, n)
  local choice = floor(facts.v / 4) % 4
  local parent = choice == 0 and parent_of(set, facts)
  if parent then
    pieces[n + 1], pieces[n + 2], pieces[n + 3] = ',"parent_run_id":"', parent, '"'
    n = n + 3
  elseif choice < 2 then
    pieces[n + 1] = ',"parent_run_id":null'
    n = n + 1
  end
  if choice == 3 then return n end
  if choice == 2 then
    pieces[n + 1] = ',"block_version_id":null,"metrics_validity_fingerprint":null'
      .. ',"metrics_validity_fingerprint_version":null'
    return n + 1
  end
  pieces[n + 1], pieces[n + 2] = ',"block_version_id":"blkv_', fingerprint(facts.experiment.number + 200, facts.version)
  pieces[n + 3] = '","metrics_validity_fingerprint":"'
  pieces[n + 4] = fingerprint(facts.experiment.number + 300, facts.version)
  pieces[n + 5] = '","metrics_validity_fingerprint_version":2'
  return n + 5
end

local function write_flat(set, facts, pieces, n)
  local experiment, bare = facts.experiment, facts.v % 2 == 1
  pieces[n + 1], pieces[n + 2], pieces[n + 3] = '{"id":"', facts.id, '","workflow_id":"'
  pieces[n + 4], pieces[n + 5] = experiment.workflow_id, '","workflow_version_id":"'
  pieces[n + 6], pieces[n + 7], pieces[n + 8] = version_id(facts.version, 0), '"', trigger_text(facts.trigger, bare)
  pieces[n + 9], pieces[n + 10] = run.lifecycle(facts.status, experiment, facts.v), ',"timing":'
  n = run.write_timing(facts, bare, pieces, n + 10)
  pieces[n + 1], pieces[n + 2] = ',"experiment_id":"', experiment.experiment_id
  pieces[n + 3], pieces[n + 4] = '","block_id":"', experiment.block_id
  pieces[n + 5], pieces[n + 6] = '","block_type":"', experiment.block_type
  pieces[n + 7], pieces[n + 8] = '","n_consensus":', facts.n_consensus
  pieces[n + 9], pieces[n + 10], pieces[n + 11] = counts_text(facts), ',"document_count":', facts.total
  n = write_optional(set, facts, pieces, n + 11)
  if facts.score then
    pieces[n + 1], pieces[n + 2] = ',"score":', run.score_text(facts.score, 0)
    n = n + 2
  elseif not bare then
    pieces[n + 1] = ',"score":null'
    n = n + 1
  end
  pieces[n + 1], pieces[n + 2] = ',"block_execution_fingerprint":"', run.block_fingerprint(facts)
  pieces[n + 3] = '","documents_fingerprint":"'
  pieces[n + 4], pieces[n + 5] = documents_fingerprint(facts), '"}'
  return n + 5
end

local WRITERS = { documented = write_documented, flat = write_flat }

-- Lists write hundreds of runs: they share one table.
local shared = {}

-- Appends run k of the set to the n pieces of a text and returns the new number of pieces.
function run.write(set, k, pieces, n)
  local shape = set.options.shape
  if shape == "mixed" then shape = k % 2 == 0 and "documented" or "flat" end
  return WRITERS[shape](set, fill(shared, set, k), pieces, n)
end

-- Returns the JSON of run k.
function run.json(set, k)
  local pieces = {}
  run.write(set, k, pieces, 0)
  return table.concat(pieces)
end

return run
