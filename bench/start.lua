--- From the start of a process to its end with `require "retab"` and one page, beside the curl command.
local measure = require "bench.measure"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local rounds = 41

local server = simulator.start()
local base_url = server:scenario { shape = "documented", runs = 1000, log = false }

local script = os.tmpname()
local file = assert(io.open(script, "w"))
file:write([[
local retab = require "retab"
local client = retab.new { api_key = "bench", base_url = arg[1] }
assert(#assert(client.workflows.experiments.runs.list { limit = 100 }).data == 100)
]])
file:close()

--- Runs programs in turns. The interpreter gets the environment of scripts/lua, but not the time of that shell.
local function launch(...)
  local command = { workers.built "bench/launch", tostring(measure.quick and 3 or rounds) }
  for index, program in ipairs { ... } do command[#command + 1] = (index > 1 and "-- " or "") .. program end
  local output = assert(io.popen(table.concat(command, " ")))
  local seconds = {}
  for line in output:lines() do
    local program = 0
    for number in line:gmatch("%S+") do
      program = program + 1
      seconds[program] = seconds[program] or {}
      table.insert(seconds[program], tonumber(number))
    end
  end
  output:close()
  return seconds
end

local url = base_url .. "/v1/workflows/experiments/runs?limit=100"
-- This process runs under scripts/lua, so its children have the module paths.
local seconds = launch(("lua5.4 %s '%s'"):format(script, base_url),
  ("curl -sS -H 'Api-Key: bench' '%s'"):format(url), "lua5.4 -e ''",
  "lua5.4 -e 'require [[retab]]'", "lua5.4 -e 'require [[retab.driver.blocking]]'", "curl --version")
os.remove(script)
server:stop()

local work = "start, first page, exit"
measure.compare { work = work, ours = seconds[1], peer = "the curl command", theirs = seconds[2], target = 1.50 }
measure.compare { work = "its part: the interpreter alone", ours = seconds[3], peer = "the whole", theirs = seconds[1] }
measure.compare { work = "its part: require \"retab\", with libcurl", ours = seconds[4], peer = "the whole",
  theirs = seconds[1] }
measure.compare { work = "its part: libcurl, loaded and initialized", ours = seconds[5], peer = "curl --version",
  theirs = seconds[6] }
