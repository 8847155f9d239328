-- A run of a data set as compact JSON, in the documented shape or in the newer, flat one. It is written as pieces of a
-- page's text: nearly all of them are the same few strings over and over, so a page makes few new ones.

local dates = require "spec.simulator.dates"
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

-- What differs between the shapes: the keys.
local KEYS = {
  documented = {
    workflow = ',"workflow":{"workflow_id":"', version = '","version_id":"', versioned = '"}',
    kind = '","block_kind":"', fingerprint = ',"definition_fingerprint":"',
  },
  flat = {
    workflow = ',"workflow_id":"', version = '","workflow_version_id":"', versioned = '"',
    kind = '","block_type":"', fingerprint = ',"block_execution_fingerprint":"',
  },
}

-- fn's results by its arguments, which are few.
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

local score_text = memoize(function(ten_thousandths) return format("%.4g", ten_thousandths / 1e4) end)

-- Fingerprints repeat from run to run, as those of one version and one set of documents do.
local fingerprint = memoize(function(a, b)
  local low = (a * 40503 + b * 2654435 + 97) * 48271 % 2147483647
  return format("%08x%08x", low, low * 69621 % 2147483647)
end)

local counts = memoize(function(status, total)
  local completed, errors = 0, 0
  if status == "completed" then
    completed = total
  elseif status == "running" or status == "cancelled" then
    completed = floor(total / 2)
  elseif status == "error" then
    completed, errors = floor(total / 3), floor(total / 4) + 1
  end
  return format(',"total_document_count":%d,"completed_document_count":%d,"error_count":%d,"score":', total, completed,
    errors)
end)

local plain_lifecycle = memoize(function(status, choice)
  if status ~= "cancelled" then return '{"status":"' .. status .. '"}' end
  return format('{"status":"cancelled","reason":"%s"}', REASONS[choice % #REASONS + 1])
end)

local error_lifecycle = memoize(function(experiment, choice)
  local failure = FAILURES[choice % #FAILURES + 1]
  local message = json.quote(failure[1])
  return format('{"status":"error","message":%s,"details":{"message":%s,"stack_trace":null,"block_id":"%s",'
    .. '"block_name":%s,"error_code":"%s","context":{"attempt":%d}}}', message, message, experiment.block_id,
    json.quote(experiment.block_name), failure[2], choice % 3 + 1)
end)

local function lifecycle(status, experiment, v)
  if status == "error" then return error_lifecycle(experiment, v % 12) end
  return plain_lifecycle(status, v % 12)
end

local trigger_text = memoize(function(trigger)
  return ',"trigger":{"type":' .. (trigger and json.quote(trigger) or "null") .. '},"lifecycle":'
end)

local STARTED = { running = true, completed = true, error = true, cancelled = true }
local ENDED = { completed = true, error = true, cancelled = true }

local function write_timing(status, created, v, pieces, n)
  pieces[n + 1] = ',"timing":{"created_at":"'
  n = dates.write(created, pieces, n + 1)
  if STARTED[status] then
    pieces[n + 1] = '","started_at":"'
    n = dates.write(created + 1 + v % 5, pieces, n + 1)
  end
  if not ENDED[status] then
    pieces[n + 1] = STARTED[status] and '","completed_at":null,"duration_ms":null}'
      or '","started_at":null,"completed_at":null,"duration_ms":null}'
    return n + 1
  end
  local milliseconds = 8000 + v % 600000
  pieces[n + 1] = '","completed_at":"'
  n = dates.write(created + floor(milliseconds / 1000), pieces, n + 1)
  pieces[n + 1], pieces[n + 2], pieces[n + 3] = '","duration_ms":', milliseconds, "}"
  return n + 3
end

-- Appends run k of the set to the n pieces of a text, its keys in the order of the documentation, and returns the new
-- number of pieces.
function run.write(set, k, pieces, n)
  local e, status, trigger, u, v = set:traits(k)
  local experiment = set.experiments[e]
  local shape = set.shape
  if shape == "mixed" then shape = k % 2 == 0 and "documented" or "flat" end
  local keys = KEYS[shape]
  local version = floor(k / VERSION_RUNS) % VERSIONS

  pieces[n + 1], pieces[n + 2], pieces[n + 3] = '{"id":"', set:id(k), '"'
  pieces[n + 4], pieces[n + 5] = keys.workflow, experiment.workflow_id
  pieces[n + 6], pieces[n + 7], pieces[n + 8] = keys.version, version_id(version, 0), keys.versioned
  pieces[n + 9], pieces[n + 10] = trigger_text(trigger, 0), lifecycle(status, experiment, v)
  n = write_timing(status, set:created(k), v, pieces, n + 10)
  pieces[n + 1], pieces[n + 2] = ',"experiment_id":"', experiment.experiment_id
  pieces[n + 3], pieces[n + 4] = '","block_id":"', experiment.block_id
  pieces[n + 5], pieces[n + 6] = keys.kind, experiment.block_kind
  pieces[n + 7], pieces[n + 8] = '","n_consensus":', CONSENSUS[u % 4]
  pieces[n + 9] = counts(status, floor(v / 32) % 24 + 1)
  pieces[n + 10] = status == "completed" and score_text(5000 + floor(v / 128) % 4999, 0) or "null"
  pieces[n + 11], pieces[n + 12] = keys.fingerprint, fingerprint(e, version)
  pieces[n + 13], pieces[n + 14] = '","documents_fingerprint":"', fingerprint(e + 100, floor(v / 8) % DOCUMENT_SETS)
  pieces[n + 15] = '"}'
  return n + 15
end

return run
