-- chart.lua: the numbers of the charts: scores and durations of the newest runs that match the filters, oldest first.
local cjson = require "cjson"
local client = require "dashboard.client"
local filters = require "dashboard.filters"
local page = require "dashboard.page"
local problem = require "dashboard.problem"
local show = require "dashboard.show"

local chart = {}

local most_runs = 200 -- two requests, and as many points as a chart of this width can tell apart
local trend_runs = 10 -- the trend is the mean of this many scores

local fields = { "id", "score", "timing.created_at", "timing.duration_ms" }

local function mean(values, from)
  local sum = 0
  for index = from, #values do sum = sum + values[index] end
  return sum / (#values - from + 1)
end

-- Returns a sentence that says what the chart shows.
local function sentence(name, values, text)
  if #values == 0 then return ("No %s yet."):format(name) end
  local sorted = { unpack(values) }
  table.sort(sorted)
  local median = sorted[math.floor((#sorted + 1) / 2)]
  return ("Latest %s, median %s, from %s to %s."):format(text(values[#values]), text(median), text(sorted[1]),
    text(sorted[#sorted]))
end

-- Returns the columns of the charts.
local function columns(runs)
  local self = { id = {}, created = {}, score = {}, trend = {}, duration = {} }
  local scores, durations = {}, {}
  for index = #runs, 1, -1 do
    local run = runs[index]
    local timing, n = show.object(run.timing), #self.id + 1
    local score = type(run.score) == "number" and run.score or nil
    local duration = type(timing.duration_ms) == "number" and timing.duration_ms or nil
    scores[#scores + 1], durations[#durations + 1] = score, duration
    self.id[n], self.created[n] = run.id, timing.created_at or cjson.null
    self.score[n] = score or cjson.null
    self.trend[n] = score and mean(scores, math.max(1, #scores - trend_runs + 1)) or cjson.null
    self.duration[n] = duration and duration / 1000 or cjson.null
  end
  self.score_text = sentence("scores", scores, show.number)
  self.duration_text = sentence("durations", durations, show.duration)
  return self
end

-- GET /chart
function chart.data()
  local params = filters.read(ngx.req.get_uri_args())
  params.before, params.after, params.order, params.limit = nil, nil, nil, nil
  local runs, err = client.call(function(experiments)
    return experiments.runs.all(params, { max_items = most_runs, fields = fields })
  end)
  if not runs then return page.send_json(problem.status(err), { problem = problem.line(err) }) end
  page.send_json(200, columns(runs))
end

return chart
