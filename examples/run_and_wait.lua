-- Starts a run of an experiment, shows its progress and waits for its end. It exits with 1 if the run did not complete.
--
--     RETAB_API_KEY=... lua examples/run_and_wait.lua exp_abc
local retab = require "retab"

local client = retab.new()
local runs = client.workflows.experiments.runs

-- The request is never sent twice where the server may have acted on it: the error then says what to look up.
local run, _, err = runs.create { experiment_id = assert(arg[1], "which experiment?") }
if not run then
  io.stderr:write(tostring(err), "\n")
  os.exit(1)
end
print("started " .. run.id)

local ended
ended, _, err = runs.wait(run, {
  interval = tonumber(arg[2]) or 2, -- seconds between two requests
  deadline = 3600, -- seconds in total
  on_update = function(now) -- called with the first response, and when the status or a count changes
    print(("%s, %d of %d documents"):format(now.lifecycle.status, now.completed_document_count or 0,
      now.total_document_count or 0))
  end,
})
if not ended then
  io.stderr:write(tostring(err), "\n")
  os.exit(1)
end

client:close()
print("score", ended.score or "none")
os.exit(ended.lifecycle.status == "completed" and 0 or 1)
