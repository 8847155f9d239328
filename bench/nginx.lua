--- The time per list of one busy nginx worker, under both drivers, beside lua-resty-http and lua-cjson written by hand.
--- wrk keeps 32 requests under way, so this is the inverse of lists per second. The upstream is the simulator.
local measure = require "bench.measure"
local nginx = require "spec.driver.nginx"
local simulator = require "spec.simulator"
local workers = require "bench.workers"

local rounds = 7
local seconds = 2
local concurrency = 32

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

--- Returns the seconds per list.
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
  measure.note "lua-resty-http or lua-cjson is not installed (RETAB_RESTY_PATH): lists of nginx have no peer"
end

--- The largest ratios, by runs per page: at least 1.4 times as many lists per second, and no fewer.
local targets = { [100] = 1 / 1.4, [20] = 1.00 }

for _, limit in ipairs { 100, 20 } do
  local taken = {}
  for round = 0, measure.quick and 3 or rounds do
    for turn = 1, #names do
      local name = names[(round + turn) % #names + 1]
      taken[name] = taken[name] or {}
      local time = seconds_per_list(name, limit)
      if round > 0 then taken[name][round] = time end -- the first round is warm-up
    end
  end
  for _, name in ipairs { "ngx", "resty" } do
    local work = ("a list of %d runs in a busy nginx worker, driver %s"):format(limit, name)
    if peer then
      measure.compare { work = work, ours = taken[name], peer = "lua-resty-http + lua-cjson", theirs = taken.by_hand,
        target = targets[limit] }
    else
      measure.row { work = work, ours = ("%.1f µs"):format(measure.median(taken[name]) * 1e6) }
    end
  end
end

server:stop()
upstream:stop()
