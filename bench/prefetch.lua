--- Walks 10,000 runs with 50 ms of server latency and 30 ms of the user's own work per page. With prefetch a walk takes
--- the larger of the two sums; the peers walk in single file and take both. One round of each peer shows that.
local measure = require "bench.measure"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local runs, pages = 10000, 100
local latency, work = 0.05, 0.03
local rounds = 3

local server = simulator.start()
local base_url = server:scenario { shape = "documented", runs = runs, latency = latency, log = false }

local function new_contender(name, command)
  local worker = workers.start(command)
  -- Warm up without latency and work: the server caches its pages, the walker loads its code.
  worker:ask(server:scenario { shape = "documented", runs = runs, log = false } .. " 0")
  return worker, function()
    local start = measure.clock()
    local answer = worker:ask(("%s %.3f"):format(base_url, work))
    assert(tonumber(answer:match("^%d+")) == runs, name .. " walked " .. answer)
    return measure.clock() - start
  end
end

local worker, walk = new_contender("ours", workers.ours)
local ours, bound, total = {}, {}, {}
for round = 1, measure.quick and 1 or rounds do
  ours[round] = walk()
  bound[round] = pages * math.max(latency, work)
  total[round] = pages * (latency + work)
end
worker:stop()

local what = "walk 10,000 runs, 50 ms latency and 30 ms of work a page"
measure.compare { work = what, ours = ours, peer = "the larger of the two sums, calculated", theirs = bound,
  target = 1.10 }
measure.compare { work = what, ours = ours, peer = "both sums, calculated", theirs = total }
for _, peer in ipairs(measure.quick and {} or workers.peers(measure.note)) do
  local peer_worker, peer_walk = new_contender(peer.name, peer.command)
  measure.compare { work = what, ours = { measure.median(ours) }, peer = peer.name, theirs = { peer_walk() } }
  peer_worker:stop()
end
server:stop()
