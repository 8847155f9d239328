--- Walks 10,000 runs over loopback: ours beside other clients, each in a process of its own, and beside a bound for
--- clients that wait before they decode: libcurl's own time for the same bytes plus the floor of decoding (floor.c).
local measure = require "bench.measure"
local retab = require "retab"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local runs = 10000
local rounds = 31

local server = simulator.start()
local base_url = server:scenario { shape = "documented", runs = runs, log = false }

--- Writes the URLs of the pages of a walk into a file, one per line, and returns its path.
local function write_urls()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  local client = retab.new {
    api_key = "bench", base_url = base_url, on_request = function(request) file:write(request.url, "\n") end,
  }
  for _ in client.workflows.experiments.runs.iter {} do end
  client:close()
  file:close()
  return path
end

local urls = write_urls()
local running, contenders = {}, {}

local function add(name, command, count)
  local worker = workers.start(command)
  running[#running + 1] = worker
  contenders[#contenders + 1] = { name = name, run = function()
    local answer = worker:ask(base_url .. " 0")
    assert(tonumber(answer:match("^%d+")) == count, name .. " walked " .. answer)
  end }
end

local peers = workers.peers(measure.note)
measure.note "walks: ours requests the next page before it decodes one; the programs of the peers walk in single file"
add("ours", workers.ours, runs)
add("curl", workers.built "bench/fetch" .. " " .. urls, runs / 100)
add("floor", "scripts/lua 5.4 bench/walkers/floor.lua", runs)
for _, peer in ipairs(peers) do add(peer.name, peer.command, runs) end

local seconds = measure.rounds(rounds, contenders)
for _, worker in ipairs(running) do worker:stop() end
os.remove(urls)

local work = "walk 10,000 runs over loopback"
measure.compare { work = work, ours = seconds.ours, peer = "curl + the floor", target = 1.35,
  theirs = measure.sums(seconds.curl, seconds.floor) }
measure.compare { work = work, ours = seconds.ours, peer = "curl, bodies thrown away", theirs = seconds.curl }
for _, peer in ipairs(peers) do
  measure.compare { work = work, ours = seconds.ours, peer = peer.name, theirs = seconds[peer.name],
    target = peer.name == "LuaSocket + lua-cjson" and 0.50 or nil }
end
server:stop()
