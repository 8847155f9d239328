-- Experiment runs for an nginx worker: a location that lists them, and a timer that logs those that finish.
-- The worker serves its other requests while a call waits.
local cjson = require "cjson"
local retab = require "retab"

local runs = {}

local fields = { "id", "lifecycle.status", "score", "timing.created_at" }
local finished = { completed = true, error = true, cancelled = true }

-- One client per worker, created at the first use: all requests share its connections.
local client

-- Returns a page, or nil, a message and an error. An error of kind "configuration" is ours: no API key, say.
local function list(params)
  if not client then
    local ok, created = pcall(retab.new)
    if not ok then
      local message = tostring(created):gsub("^[^:]*:%d+: ", "")
      return nil, message, { kind = "configuration", message = message }
    end
    client = created
  end
  return client.workflows.experiments.runs.list(params, { fields = fields, deadline = 20 })
end

local function respond(status, value)
  ngx.status = status
  ngx.say(type(value) == "table" and #value == 0 and not next(value) and "[]" or cjson.encode(value))
end

-- HTTP statuses by the kind of error; 502 for the other kinds.
local statuses = { configuration = 500, timeout = 504, rate_limit = 503, validation = 400, not_found = 404 }

-- GET /runs?experiment_id=exp_abc: the newest runs.
function runs.list()
  local experiment = ngx.req.get_uri_args().experiment_id
  if type(experiment) ~= "string" or experiment == "" then
    return respond(400, { error = "experiment_id is missing: /runs?experiment_id=exp_abc" })
  end
  local page, message, err = list { experiment_id = experiment }
  if page then return respond(200, page.data) end
  respond(statuses[err.kind] or 502, { error = message, kind = err.kind, request_id = err.request_id })
end

local interval = tonumber(os.getenv "WATCH_SECONDS") or 10
local watched = {} -- the ids of the runs that somebody waits for

local function warn(err, what)
  if err.kind == "cancelled" then return end -- the worker exits
  ngx.log(ngx.WARN, what, ": ", err.message)
end

-- Waits until a run ends, and logs how. Only its light thread is suspended.
local function log_end(id)
  local run, _, err = client.workflows.experiments.runs.wait(id, { interval = interval, deadline = 86400 })
  watched[id] = nil
  if not run then return warn(err, "cannot wait for experiment run " .. id) end
  ngx.log(ngx.NOTICE, "experiment run ", id, " finished: ", run.lifecycle.status, ", score ", run.score or "none")
end

local function look(premature)
  if premature then -- the worker exits: its waits end with the client
    if client then client:close() end
    return
  end
  local page, _, err = list { limit = 100 }
  if not page then return warn(err, "cannot list experiment runs") end
  for _, run in ipairs(page.data) do
    local status = run.lifecycle and run.lifecycle.status
    if status and not finished[status] and not watched[run.id] then
      watched[run.id] = true
      client:spawn(log_end, run.id)
    end
  end
end

-- Looks for runs that are not finished every few seconds, in one of the workers.
function runs.watch()
  if ngx.worker.id() ~= 0 then return end
  assert(ngx.timer.every(interval, look))
end

return runs
