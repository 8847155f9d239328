-- Experiment runs for an nginx worker: a location that lists them, and a timer that watches for those that finish.
-- While a call waits, the worker serves its other requests.
local cjson = require "cjson"
local retab = require "retab"

local runs = {}

local fields = { "id", "lifecycle.status", "score", "timing.created_at" }
local finished = { completed = true, error = true, cancelled = true }

-- One client per worker, made when it is needed first: all requests share its connections.
local client

local function list(params)
  client = client or retab.new()
  return client.workflows.experiments.runs.list(params, { fields = fields, deadline = 20 })
end

local function answer(status, value)
  ngx.status = status
  ngx.say(type(value) == "table" and #value == 0 and not next(value) and "[]" or cjson.encode(value))
end

-- GET /runs?experiment_id=exp_abc: the newest runs.
function runs.list()
  local experiment = ngx.req.get_uri_args().experiment_id
  if type(experiment) ~= "string" or experiment == "" then return answer(400, { error = "which experiment_id?" }) end
  local page, message, err = list { experiment_id = experiment }
  if not page then return answer(502, { error = message, kind = err.kind, request_id = err.request_id }) end
  answer(200, page.data)
end

local unfinished = {} -- the runs that were not finished at the last look

local function look(premature)
  if premature then return end
  local page, message = list { limit = 100 }
  if not page then return ngx.log(ngx.WARN, "experiment runs: ", message) end
  for _, run in ipairs(page.data) do
    local status = run.lifecycle.status
    if unfinished[run.id] and finished[status] then
      ngx.log(ngx.NOTICE, "experiment run ", run.id, " finished: ", status, ", score ", run.score or "none")
    end
    unfinished[run.id] = not finished[status] or nil
  end
end

-- Looks every few seconds, in one of the workers.
function runs.watch()
  if ngx.worker.id() ~= 0 then return end
  assert(ngx.timer.every(tonumber(os.getenv "WATCH_SECONDS") or 10, look))
end

return runs
