--- The endpoint of experiment runs: where it is and what it takes. The engine is list.lua.
local params = require "retab.params"

local status = params.one_of { "pending", "queued", "running", "completed", "error", "cancelled" }

return {
  path = "/v1/workflows/experiments/runs",
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
  --- The parameters that bound the time of creation.
  range = { "from_date", "to_date" },
}
