--- Walks, and prints resident KiB: idle with the module loaded, with the driver loaded too, the peak of the first half,
--- the peak of the whole.
local function resident(name)
  for line in io.lines("/proc/self/status") do
    local value = line:match("^" .. name .. ":%s*(%d+) kB")
    if value then return tonumber(value) end
  end
end

local base_url, count = arg[1], tonumber(arg[2])
local retab = require "retab"
collectgarbage()
local idle = resident "VmRSS"
require "retab.driver.blocking"
local loaded = resident "VmRSS"
io.read("*l")

local client = retab.new { api_key = "bench", base_url = base_url }
local seen, half = 0, nil
for _ in client.workflows.experiments.runs.iter {} do
  seen = seen + 1
  if seen == count // 2 then half = resident "VmHWM" end
end
assert(seen == count, seen)
print(("%d %d %d %d"):format(idle, loaded, half, resident "VmHWM"))
