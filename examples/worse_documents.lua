-- Prints the documents whose score is lower than in the run before, the largest drop first, and for each of them the
-- fields that dropped.
--
--     RETAB_API_KEY=... lua examples/worse_documents.lua exprun_1
local retab = require "retab"

local run_id = assert(arg[1], "which run?")
local client = retab.new()
local metrics = client.workflows.experiments.metrics

local function get(params)
  local value, _, err = metrics.get(params)
  if not value then error(tostring(err), 0) end
  if value.kind == params.view then return value end
  error(value.message, 0) -- the metrics are stale, or there are none
end

-- Returns the items whose score dropped, the largest drop first.
local function dropped(items)
  local worse = {}
  for _, item in ipairs(items or {}) do
    if item.score and item.prior_score and item.score < item.prior_score then worse[#worse + 1] = item end
  end
  table.sort(worse, function(a, b) return a.prior_score - a.score > b.prior_score - b.score end)
  return worse
end

local summary = get { run_id = run_id, view = "summary" }
if not summary.prior_run_id then error("no earlier run of the experiment is completed", 0) end
for _, document in ipairs(dropped(summary.documents)) do
  print(("%s  %.3f, was %.3f"):format(document.filename, document.score, document.prior_score))
  local details = get { run_id = run_id, view = "by_document", document_id = document.id }
  for _, target in ipairs(dropped(details.targets)) do
    print(("    %s  %.3f, was %.3f"):format(target.path, target.score, target.prior_score))
  end
end
client:close()
