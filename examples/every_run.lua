-- Counts the runs of an experiment by status, over all pages, and prints their mean score.
--
--     RETAB_API_KEY=... lua examples/every_run.lua exp_abc
local retab = require "retab"

local client = retab.new()
local runs = client.workflows.experiments.runs

local counts, statuses, scored, sum = {}, {}, 0, 0

-- The loop requests one page ahead. A failure raises an error, so the loop never ends early in silence.
for run in runs.iter { experiment_id = assert(arg[1], "which experiment?") } do
  local status = run.lifecycle.status
  if not counts[status] then
    counts[status] = 0
    statuses[#statuses + 1] = status
  end
  counts[status] = counts[status] + 1
  if run.score then scored, sum = scored + 1, sum + run.score end
end

table.sort(statuses)
for _, status in ipairs(statuses) do
  print(("%-10s %d"):format(status, counts[status]))
end
if scored > 0 then print(("mean score %.3f"):format(sum / scored)) end

client:close()
