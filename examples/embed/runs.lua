-- A script for the sandbox of sandbox.c: lists the runs of an experiment. It gets the API key from the program, because
-- a sandbox without `os` has no environment variables.
local api_key, base_url, experiment = ...
local retab = require "retab"

local client = retab.new { api_key = api_key, base_url = base_url, max_body_bytes = 4 * 1024 * 1024 }
local runs = client.workflows.experiments.runs

for run in runs.iter { experiment_id = assert(experiment, "which experiment?") } do
  print(run.id, run.lifecycle.status, run.score or "no score")
end
client:close()
