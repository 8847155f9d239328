--- The floor of a walk: builds the tables of its pages from recorded plans. Each line of standard input begins with a
--- base URL; the pages of the first one are built for every line.
local floor = require "bench.floor"
local retab = require "retab"

local plans

local function record(base_url)
  local client = retab.new { api_key = "bench", base_url = base_url }
  plans = {}
  for page in client.workflows.experiments.runs.pages {} do
    plans[#plans + 1] = floor.record { data = page.data, list_metadata = page.list_metadata }
  end
  client:close()
end

for line in io.lines() do
  if not plans then record((line:match("^%S+"))) end
  local count = 0
  for _, plan in ipairs(plans) do count = count + #floor.build(plan).data end
  print(count)
  io.stdout:flush()
end
