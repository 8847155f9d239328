-- Reports each drop of an experiment's score from one completed run to the next, and exits with 1 if there was one. It
-- is meant for cron.
--
--     RETAB_API_KEY=... lua examples/score_alert.lua exp_abc 0.05
local retab = require "retab"

local experiment = assert(arg[1], "which experiment?")
local tolerance = tonumber(arg[2]) or 0.05

local client = retab.new()
local runs = client.workflows.experiments.runs

-- The newest run comes first. Only these fields are built.
local options = { max_items = 50, fields = { "id", "score", "timing.created_at" } }

local newer, alerts = nil, 0
for run in runs.iter({ experiment_id = experiment, status = "completed" }, options) do
  if run.score then
    if newer and run.score - newer.score > tolerance then
      alerts = alerts + 1
      print(("%s  %s dropped to %.3f from %.3f (%s)"):format(newer.timing.created_at, newer.id, newer.score, run.score,
        run.id))
    end
    newer = run
  end
end

client:close()
os.exit(alerts == 0 and 0 or 1)
