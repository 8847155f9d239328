--- Lists per second of one nginx worker, under both drivers, beside lua-resty-http and lua-cjson written by hand. wrk
--- keeps 32 requests under way; the upstream is the simulator, whose own core should not be the busier one.
local measure = require "bench.measure"
local nginx = require "spec.driver.nginx"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local rounds = 7
local seconds = 2
local concurrency = tonumber(os.getenv "CONC") or 32

if not workers.succeeds "command -v wrk" then
  measure.note "wrk is not installed: lists per second of nginx are not measured"
  return
end

local upstream = simulator.start()
local base_url = upstream:scenario { runs = 1000, log = false }
local server = nginx.start "bench/nginx.conf"

local function url_of(name, limit)
  return ("%s/%s?url=%s&limit=%d"):format(server.url, name, base_url, limit)
end

--- Returns the seconds that a list takes, while as many as `concurrency` are under way.
local function seconds_per_list(name, limit)
  local output = assert(io.popen(("wrk -t 1 -c %d -d %ds %s"):format(concurrency, seconds,
    workers.quote(url_of(name, limit)))))
  local text = output:read "*a"
  output:close()
  assert(not text:find "Non%-2xx", text .. server:logged())
  return 1 / assert(tonumber(text:match "Requests/sec:%s*([%d.]+)"), text)
end

local names = { "ngx", "resty" }
local peer = server:get("/by_hand", { url = base_url, limit = 20 }):find "^20 "
if peer then
  names[3] = "by_hand"
else
  measure.note "lua-resty-http or lua-cjson is not there: lists of nginx are measured without a peer (RETAB_RESTY_PATH)"
end

local targets = { [100] = 1 / 1.4, [20] = 1.00 }

for _, limit in ipairs { tonumber(os.getenv "LIMIT") or 100, tonumber(os.getenv "LIMIT2") } do
  local taken = {}
  for round = 0, measure.quick and 3 or rounds do
    for turn = 1, #names do
      local name = names[(round + turn) % #names + 1]
      taken[name] = taken[name] or {}
      local time = seconds_per_list(name, limit)
      if round > 0 then taken[name][round] = time end -- the first round is warm-up
    end
  end
  for index = 1, 2 do
    measure.compare {
      work = ("a list of %d runs in one nginx worker, driver %s"):format(limit, names[index]),
      ours = taken[names[index]], peer = "lua-resty-http + lua-cjson", theirs = taken[peer and "by_hand" or names[index]],
      target = peer and targets[limit] or nil,
    }
  end
end

server:stop()
upstream:stop()
