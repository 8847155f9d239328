-- Prints the ten newest runs of an experiment.
--
--     RETAB_API_KEY=... lua examples/first_page.lua exp_abc
local retab = require "retab"

local client = retab.new() -- reads the key from RETAB_API_KEY
local runs = client.workflows.experiments.runs

-- A failure is returned as nil, a message, and an error object that has the details.
local page, message, err = runs.list { experiment_id = assert(arg[1], "which experiment?"), limit = 10 }
if not page then
  print(err.kind, message)
  os.exit(1)
end

for _, run in ipairs(page.data) do
  print(run.id, run.lifecycle.status, run.score or "no score")
end
print(page:has_more() and "There are more." or "There are no more.")

client:close()
