-- A check for a pipeline: starts a run, waits for it, and compares its score with that of the last completed run.
-- It exits with 1 if the score dropped by more than the tolerance, and with 2 if there is no score to compare.
--
--     RETAB_API_KEY=... lua examples/regression_check.lua exp_abc 0.02
local retab = require "retab"

local experiment = assert(arg[1], "which experiment?")
local tolerance = tonumber(arg[2]) or 0.02

local client = retab.new()
local runs = client.workflows.experiments.runs

-- Returns a value, or prints the error that follows it and exits.
local function check(value, message, err)
  if value then return value end
  io.stderr:write(tostring(err or message), "\n")
  os.exit(2)
end

-- The baseline is requested first: afterwards, the new run would be the last one.
local last = check(runs.list { experiment_id = experiment, status = "completed", limit = 1 }).data[1]
local run = check(runs.create { experiment_id = experiment })
run = check(runs.wait(run, { interval = tonumber(arg[3]) or 2, deadline = 3600 }))
client:close()

check(run.lifecycle.status == "completed", run.id .. " ended with the status " .. run.lifecycle.status)
check(run.score, run.id .. " has no score")
if not last or not last.score then
  print(("%s scored %.3f; no earlier run has a score"):format(run.id, run.score))
  os.exit(0)
end

print(("%s scored %.3f, %s scored %.3f"):format(run.id, run.score, last.id, last.score))
if last.score - run.score > tolerance then
  print(("the score dropped by %.3f"):format(last.score - run.score))
  os.exit(1)
end
