-- The experiments, each computed from its number: 0 is the newest. Each tests one block of one workflow. Runs belong
-- to the first RUN_BY_DATA of them; those after them have only the runs that clients create.

local experiment = {}

experiment.RUN_BY_DATA = 8

local WORKFLOWS = 4

local BLOCKS = {
  [0] = { "extract-invoice", "extract", "Invoice fields" },
  { "classify-mail", "classifier", "Mail room" },
  { "split-bundle", "split", "Bundle" },
  { "each-receipt", "for_each", "Receipts" },
  { "extract-contract", "extract", "Contract terms" },
  { "extract-lines", "extract", "Line items" },
  { "wrk_-7Qm2xkd0", "classifier", "Façade" },
  { "split-pages", "split", "Pages" },
}

-- What an experiment scores: the paths of an extraction, the labels of a classifier or a split.
local TARGETS = {
  extract = { "number", "date", "supplier.name", "lines[*].total", "total" },
  classifier = { "invoice", "letter", "other" },
  split = { "cover", "contract", "annex" },
  for_each = { "items[*].merchant", "items[*].amount" },
}

local CONSENSUS = { [0] = 3, 5, 5, 7 }

local known = {}

-- Returns { number, experiment_id, workflow_id, block_id, block_type, name, n_consensus, targets }.
function experiment.of(number)
  local one = known[number]
  if one then return one end
  local block = BLOCKS[number % experiment.RUN_BY_DATA]
  one = {
    number = number, experiment_id = "exp_" .. number, workflow_id = "wf_" .. number % WORKFLOWS,
    block_id = block[1], block_type = block[2], name = block[3], n_consensus = CONSENSUS[number % 4],
    targets = TARGETS[block[2]],
  }
  known[number] = one
  return one
end

-- Returns the number of the experiment with this id among the first `count`, or nil.
function experiment.number(id, count)
  local number = tonumber(id:match("^exp_(%d+)$"))
  if number and number < count and "exp_" .. number == id then return number end
end

return experiment
