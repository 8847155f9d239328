--- Results of an experiment run, one per document: paths and parameters.
local params = require "retab.params"

local path = "/v1/workflows/experiments/results"

return {
  list = {
    path = path,
    params = { { "run_id", params.text, required = true } },
    most_per_page = 100,
    page_size = 100, -- of walks
    has_order = true,
  },
  get = { path = path .. "/{id}" },
}
