--- Counts the calls of the C heap per page of a walk, after the first page: none by the decoder, and for a transfer one
--- for its header and one for its body. libcurl allocates for each request: to keep its memory from one to the next
--- would make a walk 1 % faster.
local measure = require "bench.measure"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local names = { decoder = "the decoder", ours = "the transfer", libcurl = "libcurl itself" }

local most_allowed = { decoder = 0, ours = 3 }

local server = simulator.start()
local base_url = server:scenario { shape = "documented", runs = 5000, log = false }
local output = assert(io.popen(("%s bench/walkers/allocations.lua %s"):format(workers.built "bench/allocations",
  workers.quote(base_url))))
local text = output:read("*a")
output:close()
server:stop()

for line in text:gmatch("[^\n]+") do
  local name, least, most, first = line:match("^(%a+) (%d+) (%d+) (%d+)$")
  local allowed = most_allowed[name]
  measure.row {
    work = ("C heap allocations per page, %s"):format(names[name]),
    ours = least == most and most or least .. "–" .. most,
    peer = "the first page", theirs = first, target = allowed and ("≤ %d"):format(allowed),
    met = allowed and tonumber(most) <= allowed,
  }
end
