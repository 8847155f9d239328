-- The metrics of a run: one object of six kinds. A completed run has metrics in four views; other runs have none.

local document = require "spec.simulator.document"
local dates = require "spec.simulator.dates"
local json = require "spec.simulator.json"
local problem = require "spec.simulator.problem"
local run = require "spec.simulator.run"
local scores = require "spec.simulator.scores"
local values = require "spec.simulator.values"

local metrics = {}

local quote, object, array = json.quote, json.object, json.array
local floor = math.floor

local VIEWS = { "summary", "by_document", "by_target", "votes" }

-- The parameters that each view requires.
local NEEDS = {
  summary = {}, by_document = { "document_id" }, by_target = { "target_path" },
  votes = { "document_id", "target_path" },
}

local LABELLED = { classifier = true, split = true }

-- Returns the JSON of a score in ten-thousandths, `null` if there is none.
local function score(ten_thousandths)
  return ten_thousandths and run.score_text(ten_thousandths, 0) or json.null
end

-- A subject is what a view needs: { facts, scores, prior (scores) or nil, prior_id, with_prior, document, target }.

-- Returns the JSON of a prior score, nil if the request has include_prior=false.
local function prior_score(subject, read)
  if not subject.with_prior then return nil end
  return score(subject.prior and read(subject.prior))
end

local function document_json(subject)
  return object("id", quote(document.id(subject.facts.experiment.number, subject.document)),
    "filename", quote(document.filename(subject.document)))
end

-- Returns the object of a number for each label, from `read(index)`.
local function by_label(targets, read)
  local members = {}
  for index, label in ipairs(targets) do
    members[2 * index - 1], members[2 * index] = label, score(read(index))
  end
  return object(unpack(members))
end

-- A document whose label is not recognized gets the next label.
local function neighbour(index, count)
  return index % count + 1
end

local function flows(targets, read)
  local texts = {}
  for index, label in ipairs(targets) do
    texts[index] = object("source", quote(label), "target", quote(targets[neighbour(index, #targets)]),
      "score", score(10000 - read(index)))
  end
  return array(texts)
end

-- Returns the confusion of a labelled block, from the share `read(index)` of each label that is recognized.
local function confusion(experiment, read)
  if not LABELLED[experiment.block_type] then return experiment.block_type == "extract" and json.null or nil end
  return object("diag", by_label(experiment.targets, read), "flows", flows(experiment.targets, read))
end

local function aggregate(subject)
  local experiment = subject.facts.experiment
  local function read(index) return subject.scores:target(index) end
  if experiment.block_type == "extract" then
    return object("likelihoods", by_label(experiment.targets, read))
  end
  return confusion(experiment, read) or json.null
end

-- Returns the array of `write(d)` for each document.
local function each_document(subject, write)
  local texts = {}
  for d = 0, subject.facts.total - 1 do
    texts[d + 1] = write(quote(document.id(subject.facts.experiment.number, d)), quote(document.filename(d)), d)
  end
  return array(texts)
end

local views = {}

function views.summary(subject)
  local facts = subject.facts
  return object("kind", '"summary"', "view", '"summary"', "experiment_id", quote(facts.experiment.experiment_id),
    "run_id", quote(facts.id), "block_type", quote(facts.experiment.block_type),
    "block_execution_fingerprint", quote(run.block_fingerprint(facts)), "score", score(subject.scores.run),
    "prior_score", prior_score(subject, function(prior) return prior.run end),
    "prior_run_id", subject.with_prior and json.optional(subject.prior_id) or nil,
    "documents", each_document(subject, function(id, filename, d)
      return object("id", id, "filename", filename, "score", score(subject.scores:document(d)),
        "prior_score", prior_score(subject, function(prior) return prior:document(d) end))
    end),
    "scored_document_count", ("%d"):format(facts.completed), "total_document_count", ("%d"):format(facts.total),
    "aggregate", aggregate(subject))
end

function views.by_document(subject)
  local facts, d = subject.facts, subject.document
  local targets = {}
  for index, path in ipairs(facts.experiment.targets) do
    targets[index] = object("path", quote(path), "score", score(subject.scores:cell(d, index)),
      "prior_score", prior_score(subject, function(prior) return prior:cell(d, index) end),
      "value", values.of(facts.experiment, index, d))
  end
  return object("kind", '"by_document"', "view", '"by_document"', "run_id", quote(facts.id),
    "document", document_json(subject), "score", score(subject.scores:document(d)),
    "prior_score", prior_score(subject, function(prior) return prior:document(d) end),
    "confusion", confusion(facts.experiment, function(index) return subject.scores:cell(d, index) end),
    "targets", array(targets))
end

-- Returns the confusion of one label: the labels it is confused with, in both directions.
local function target_confusion(subject)
  local experiment, index = subject.facts.experiment, subject.target
  if not LABELLED[experiment.block_type] then return experiment.block_type == "extract" and json.null or nil end
  local targets = experiment.targets
  local previous = (index - 2) % #targets + 1
  return object("self", score(subject.scores:target(index)),
    "flow_from", object(targets[previous], score(10000 - subject.scores:target(previous))),
    "flow_to", object(targets[neighbour(index, #targets)], score(10000 - subject.scores:target(index))))
end

function views.by_target(subject)
  local facts, index = subject.facts, subject.target
  return object("kind", '"by_target"', "view", '"by_target"', "run_id", quote(facts.id),
    "target", quote(facts.experiment.targets[index]), "score", score(subject.scores:target(index)),
    "prior_score", prior_score(subject, function(prior) return prior:target(index) end),
    "confusion", target_confusion(subject),
    "documents", each_document(subject, function(id, filename, d)
      return object("id", id, "filename", filename, "score", score(subject.scores:cell(d, index)),
        "prior_score", prior_score(subject, function(prior) return prior:cell(d, index) end),
        "value", values.of(facts.experiment, index, d))
    end))
end

-- The share of the voters that agree is the score. Of the others, the last one has no value.
local function vote_row(subject, row)
  local facts, d, index = subject.facts, subject.document, subject.target
  local count, cell = facts.n_consensus, subject.scores:cell(subject.document, subject.target)
  local agreeing = math.max(1, floor(cell / 10000 * count + 0.5))
  local votes = {}
  for voter = 1, count do
    votes[voter] = voter <= agreeing and values.of(facts.experiment, index, d + row)
      or voter == count and json.null or values.other(facts.experiment, index, d + row)
  end
  local present = agreeing == count and count or count - 1
  return object("consensus", values.of(facts.experiment, index, d + row), "votes", array(votes), "score", score(cell),
    "row_presence_score", score(floor(present / count * 10000 + 0.5)),
    "present_voter_count", ("%d"):format(present), "total_voter_count", ("%d"):format(count))
end

-- A path through an array has a row for each of its elements: two here.
function views.votes(subject)
  local facts, d, index = subject.facts, subject.document, subject.target
  local target = facts.experiment.targets[index]
  local rows = { vote_row(subject, 0) }
  if target:find("[*]", 1, true) then rows[2] = vote_row(subject, 1) end
  return object("kind", '"votes"', "view", '"votes"', "run_id", quote(facts.id), "document", document_json(subject),
    "target", quote(target), "score", score(subject.scores:cell(d, index)),
    "prior_score", prior_score(subject, function(prior) return prior:cell(d, index) end), "rows", array(rows))
end

local function no_metrics(facts)
  return object("kind", '"no_metrics"', "error", '"no_metrics"',
    "experiment_id", quote(facts.experiment.experiment_id),
    "message", quote("The run has no metrics: it is not completed"))
end

local function stale_metrics(facts)
  return object("kind", '"stale_metrics"', "error", '"stale_metrics"',
    "experiment_id", quote(facts.experiment.experiment_id),
    "message", quote "The block's configuration has changed since the last run",
    "last_run", object("run_id", quote(facts.id), "block_execution_fingerprint", quote(run.block_fingerprint(facts)),
      "score", score(facts.score), "created_at", quote(dates.text(facts.created))),
    "stale_reasons", '["config_changed"]', "current_block_execution_fingerprint", quote "00000000c0ff1e00")
end

-- Reads the document and the target of a view into the subject. Returns nil, or a problem.
local function read_details(query, view, subject)
  local experiment = subject.facts.experiment
  for _, name in ipairs(NEEDS[view]) do
    local value = query:text(name)
    if not value then return problem.new(400, ("%s is required for view=%s"):format(name, view)) end
    if name == "document_id" then
      subject.document = document.number(experiment.number, value)
      if not subject.document or subject.document >= subject.facts.total then
        return problem.new(404, "Document not found in the run: " .. value)
      end
    else
      for index, target in ipairs(experiment.targets) do
        if target == value then subject.target = index end
      end
      if not subject.target then return problem.new(404, "Target not found in the run: " .. value) end
    end
  end
end

-- Reads the prior run into the subject: the one requested, or the previous completed one of the experiment. Returns
-- nil, or a problem.
local function read_prior(query, set, subject)
  local id = query:text "prior_run_id"
  local k = id and set:number(id)
  if id and not k then return problem.new(404, "Experiment run not found: " .. id) end
  k = k or set:newest(subject.facts.experiment.number, subject.facts.k + 1, "completed")
  if not k then return nil end
  local facts = run.facts(set, k)
  subject.prior_id = facts.id
  if facts.score and facts.experiment == subject.facts.experiment then subject.prior = scores.new(facts) end
end

function metrics.get(request, set)
  local query = request.query
  local id, view = query:required "run_id", query:choice("view", VIEWS, "summary")
  local subject = { with_prior = query:boolean("include_prior", true) }
  local status, refusal = query:problem()
  if status then return status, refusal end
  local k = set:number(id)
  if not k then return problem.new(404, "Experiment run not found: " .. id) end
  subject.facts = run.facts(set, k)
  status, refusal = read_details(query, view, subject)
  if status then return status, refusal end

  local wanted = request.options.metrics
  if wanted == "stale" then return 200, stale_metrics(subject.facts) end
  if wanted == "none" or not subject.facts.score then return 200, no_metrics(subject.facts) end
  subject.scores = scores.new(subject.facts)
  if subject.with_prior then
    status, refusal = read_prior(query, set, subject)
    if status then return status, refusal end
  end
  return 200, views[view](subject)
end

return metrics
