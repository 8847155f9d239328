-- dashboard.lua: finds the handler of a request. nginx itself serves the files under /assets.
local chart = require "dashboard.chart"
local page = require "dashboard.page"
local run = require "dashboard.run"
local runs = require "dashboard.runs"

local dashboard = {}

local routes = {
  { "GET", "^/$", runs.page },
  { "GET", "^/live$", runs.live },
  { "GET", "^/chart$", chart.data },
  { "GET", "^/runs/([^/]+)$", run.page },
  { "GET", "^/live/runs/([^/]+)$", run.live },
  { "POST", "^/runs/([^/]+)/watch$", run.watch },
}

-- Returns the handler and the id in the path; or nil and an error.
local function find(method, path)
  local refused
  for _, route in ipairs(routes) do
    local id = path:match(route[2])
    if id and route[1] == method then return route[3], ngx.unescape_uri(id) end
    if id then refused = route[1] end
  end
  if not refused then return nil, { kind = "page", message = path } end
  ngx.header.Allow = refused
  return nil, { kind = "method", message = method .. " " .. path }
end

function dashboard.respond()
  local method = ngx.req.get_method()
  local handler, id = find(method == "HEAD" and "GET" or method, (ngx.var.request_uri:match "^[^?]*"))
  if not handler then return page.send_problem(id) end
  local ok, message = pcall(handler, id)
  if ok then return end
  ngx.log(ngx.ERR, message)
  if not ngx.headers_sent then page.send_problem { kind = "internal", message = ngx.var.request_id } end
end

return dashboard
