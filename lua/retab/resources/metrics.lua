--- Metrics of an experiment run: path and parameters.
local params = require "retab.params"

--- The parameters that a view needs beside the run.
local needed = {
  by_document = { "document_id" },
  by_target = { "target_path" },
  votes = { "document_id", "target_path" },
}

return {
  get = {
    path = "/v1/workflows/experiments/metrics",
    params = {
      { "run_id", params.text, required = true },
      { "view", params.one_of { "summary", "by_document", "by_target", "votes" } },
      { "document_id", params.text },
      { "target_path", params.text },
      { "include_prior", params.of_type "boolean" },
      { "prior_run_id", params.text },
    },
    check_together = function(checked)
      for _, name in ipairs(needed[checked.view] or {}) do
        if checked[name] == nil then
          params.raise(("missing parameter '%s': the view '%s' needs it"):format(name, checked.view))
        end
      end
    end,
  },
}
