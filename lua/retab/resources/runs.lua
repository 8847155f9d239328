--- Experiment runs: paths and parameters.
local params = require "retab.params"

local path = "/v1/workflows/experiments/runs"

local status = params.one_of { "pending", "queued", "running", "completed", "error", "cancelled" }

return {
  list = {
    path = path,
    params = {
      { "workflow_id", params.text },
      { "experiment_id", params.text },
      { "block_id", params.text },
      { "status", status },
      { "exclude_status", status },
      { "trigger_type", params.text },
      { "from_date", params.date },
      { "to_date", params.date },
      { "sort_by", params.text },
    },
    range = { "from_date", "to_date" }, -- the parameters that bound the time of creation
    most_per_page = 100,
    page_size = 100, -- of walks
    has_order = true,
  },
  get = { path = path .. "/{id}" },
  create = {
    method = "POST",
    path = path,
    params = {
      { "experiment_id", params.text, required = true },
      { "workflow_id", params.text },
      { "plan_token", params.text },
    },
    sends_body = true,
    at_most_once = true,
    -- what to do after a failure that may have created a run
    lookup = "list the runs of the experiment before you create another one",
  },
  cancel = { method = "POST", path = path .. "/{id}/cancel" },
  wait = { -- polls get
    status = "lifecycle.status",
    terminal = { completed = true, error = true, cancelled = true },
    counts = { "total_document_count", "completed_document_count", "document_count", "error_count" },
  },
}
