--- Experiments of a workflow: paths and parameters.
local params = require "retab.params"

local path = "/v1/workflows/experiments"

return {
  list = {
    path = path,
    params = { { "workflow_id", params.text, required = true }, { "block_id", params.text } },
    most_per_page = 100,
    page_size = 100, -- of walks
    has_order = true,
  },
  get = { path = path .. "/{id}" },
}
