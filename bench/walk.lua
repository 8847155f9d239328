--- Walking 10,000 runs over loopback, nothing else done: ours beside other clients, each in a process of its own, and
--- beside what nobody can be faster than, curl's own time for the same bytes and the floor of decoding them.
local measure = require "bench.measure"
local retab = require "retab"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local runs = 10000
local rounds = 31

local server = simulator.start()
local base_url = server:scenario { shape = "documented", runs = runs, log = false }

--- The URLs of the walk's pages, one a line, in a file.
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
measure.note "walks: ours has the next page under way while it hands one out; the peers' programs walk in single file"
add("ours", workers.ours, runs)
add("curl", workers.built "bench/fetch" .. " " .. urls, runs / 100)
add("floor", "scripts/lua 5.4 bench/walkers/floor.lua", runs)
for _, peer in ipairs(peers) do add(peer.name, peer.command, runs) end

local seconds = measure.rounds(rounds, contenders)
for _, worker in ipairs(running) do worker:stop() end
os.remove(urls)

local work = "walk 10,000 runs over loopback"
measure.compare { work = work, ours = seconds.ours, peer = "curl + the floor", target = 1.40,
  theirs = measure.sums(seconds.curl, seconds.floor) }
measure.compare { work = work, ours = seconds.ours, peer = "curl, bodies thrown away", theirs = seconds.curl }
for _, peer in ipairs(peers) do
  measure.compare { work = work, ours = seconds.ours, peer = peer.name, theirs = seconds[peer.name],
    target = peer.name == "LuaSocket + lua-cjson" and 0.50 or nil }
end
server:stop()
