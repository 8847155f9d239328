--- The memory of a walk of 1,000,000 runs, in a process of its own: its peak beside an idle interpreter that has loaded
--- the module, and what the second half adds to the peak of the first.
local measure = require "bench.measure"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local runs = measure.quick and 100000 or 1000000

local server = simulator.start()
local base_url = server:scenario { shape = "documented", runs = runs, log = false }
local worker = workers.start(("scripts/lua 5.4 bench/walkers/memory.lua %s %d"):format(workers.quote(base_url),
  runs))
local idle, driver, half, peak = worker:ask("go"):match("^(%d+) (%d+) (%d+) (%d+)$")
worker:stop()
server:stop()

local function mebibytes(kibibytes)
  return ("%.1f MiB"):format(kibibytes / 1024)
end

local work = ("memory of a walk of %d runs"):format(runs)
measure.row {
  work = work .. ", peak", ours = mebibytes(peak), peer = "idle, module loaded", theirs = mebibytes(idle),
  ratio = "+" .. mebibytes(peak - idle), target = "≤ 12 MiB more", met = peak - idle <= 12 * 1024,
}
measure.row {
  work = work .. ", peak", ours = mebibytes(peak), peer = "idle, libcurl loaded too", theirs = mebibytes(driver),
  ratio = "+" .. mebibytes(peak - driver),
}
measure.row {
  work = work .. ", second half", ours = mebibytes(peak), peer = "first half", theirs = mebibytes(half),
  ratio = "+" .. mebibytes(peak - half), target = "≤ 1 MiB more", met = peak - half <= 1024,
}
