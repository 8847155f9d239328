-- luacheck: read globals ngx
--- What the measured nginx worker does for a request: one list of runs, by this library under one of its drivers, or by
--- lua-resty-http and lua-cjson as most would write it.
local retab = require "retab"

local worker = {}
local listers = {}

--- As many connections as wrk keeps requests under way.
local connections = 32

--- lua-resty-http requires these for client certificates only. OpenResty has them, Debian has not.
for _, name in ipairs { "string", "openssl.x509.chain", "openssl.x509", "openssl.pkey" } do
  name = "resty." .. name
  if not package.searchpath(name, package.path) then package.loaded[name] = {} end
end

local clients = {}

local function list_by(driver)
  return function(args)
    clients[driver] = clients[driver] or retab.new {
      api_key = "bench", base_url = args.url, driver = driver, max_connections = connections,
    }
    return assert(clients[driver].workflows.experiments.runs.list { limit = tonumber(args.limit) }).data
  end
end

listers.ngx = list_by "ngx"
listers.resty = list_by "resty"

function listers.by_hand(args)
  local client = assert(require "resty.http".new())
  client:set_timeouts(10000, 60000, 60000)
  local response = assert(client:request_uri(args.url .. "/v1/workflows/experiments/runs", {
    query = { limit = args.limit }, headers = { ["Api-Key"] = "bench", Accept = "application/json" },
    keepalive_timeout = 60000, keepalive_pool = connections,
  }))
  assert(response.status == 200, response.status)
  return require "cjson".decode(response.body).data
end

function worker.content()
  local data = listers[ngx.var.uri:sub(2)](ngx.req.get_uri_args())
  ngx.print(#data, " ", data[1].id)
end

return worker
