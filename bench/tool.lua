--- Rows per second of the command line, beside the library that walks the same pages and builds every run.
local measure = require "bench.measure"
local simulator = require "spec.simulator"

local rounds, runs = 11, 20000

local server = simulator.start()
local base_url = server:scenario { runs = runs, log = false }

local script = os.tmpname()
local file = assert(io.open(script, "w"))
file:write([[
local client = require("retab").new { api_key = "bench", base_url = arg[1] }
local count = 0
for _ in client.workflows.experiments.runs.iter() do count = count + 1 end
assert(count == tonumber(arg[2]))
]])
file:close()

local function run(command)
  return function()
    local status = os.execute(command .. " >/dev/null")
    assert(status == true or status == 0, command)
  end
end

-- This process runs under scripts/lua, so its children have the module paths.
local formats = { "table", "jsonl", "json", "csv", "ids" }
local contenders = { { name = "library", run = run(("lua5.4 %s '%s' %d"):format(script, base_url, runs)) } }
for index, format in ipairs(formats) do
  contenders[index + 1] = {
    name = format,
    run = run(("RETAB_API_KEY=bench RETAB_API_BASE_URL='%s' lua5.4 bin/retab-runs --all -q -o %s"):format(base_url,
      format)),
  }
end
local seconds = measure.rounds(rounds, contenders)
os.remove(script)
server:stop()

for _, format in ipairs(formats) do
  measure.compare {
    work = ("%d runs by retab-runs -o %s"):format(runs, format), ours = seconds[format],
    peer = "the library's iter, nothing printed", theirs = seconds.library,
  }
end
measure.note(("retab-runs prints rows per second: table %.0f, jsonl %.0f, csv %.0f"):format(
  runs / measure.median(seconds.table), runs / measure.median(seconds.jsonl), runs / measure.median(seconds.csv)))
