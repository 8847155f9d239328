--- Walks a date range of 100 pages with 50 ms of latency and eight requests at a time, beside the same walk in single
--- file: the same runs in the same order, each once.
local measure = require "bench.measure"
local retab = require "retab"
local simulator = require "spec.simulator"

local runs = 10000

--- A week within the data, and all of the data.
local week = { from_date = "2026-05-10", to_date = "2026-05-16" }
local everything = { from_date = "1990-01-01", to_date = "2026-12-31" }

local latency = 0.05
local rounds = 3

local server = simulator.start()

local function walk(base_url, params, parallel)
  local client = retab.new { api_key = "bench", base_url = base_url }
  local ids = {}
  for run in client.workflows.experiments.runs.iter(params, { parallel = parallel }) do ids[#ids + 1] = run.id end
  local requests = client:stats().requests
  client:close()
  return ids, requests
end

--- @param options table of the scenario: how the runs are spread over time
local function compare(name, options, params)
  options.runs, options.log, options.shape = options.runs or runs, false, "documented"
  local warm_url = server:scenario(options)
  options.latency = latency
  local base_url = server:scenario(options)
  local single = walk(warm_url, params)
  walk(warm_url, params, 8)
  local ours, theirs, requests = {}, {}, nil
  for round = 1, measure.quick and 1 or rounds do
    for _, parallel in ipairs { 1, 8 } do
      local start = measure.clock()
      local ids, sent = walk(base_url, params, parallel)
      local times = parallel == 8 and ours or theirs
      times[round] = measure.clock() - start
      assert(#ids == #single and #ids >= runs, "a walk lost runs")
      for index, id in ipairs(ids) do assert(id == single[index], "another order") end
      if parallel == 8 then requests = sent end
    end
  end
  local work = "walk %d pages, parallel = 8, 50 ms latency, %s (%d requests)"
  measure.compare { work = work:format(math.ceil(#single / 100), name, requests), ours = ours,
    peer = "single file", theirs = theirs, target = 0.18 }
end

compare("a run a minute, a week", { runs = 2 * runs, spacing = 60 }, week)
compare("a run a minute, 36 years", { spacing = 60 }, everything)
compare("seven runs at a time, every ten seconds", { spacing = 10, same = 7 }, everything)
compare("five runs a second", { spacing = 0.2 }, everything)
server:stop()
