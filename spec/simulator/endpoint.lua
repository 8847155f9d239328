-- The endpoints, and the right response to a request, before any fault. It sends nothing.

local cache = require "spec.simulator.cache"
local changes = require "spec.simulator.changes"
local dataset = require "spec.simulator.dataset"
local json = require "spec.simulator.json"
local key = require "spec.simulator.key"
local metrics = require "spec.simulator.metrics"
local parents = require "spec.simulator.parents"
local problem = require "spec.simulator.problem"
local query = require "spec.simulator.query"
local results = require "spec.simulator.results"
local runs = require "spec.simulator.runs"
local scenario = require "spec.simulator.scenario"

local endpoint = {}

local BASE = "/v1/workflows/experiments"
local CACHE_BYTES = 32 * 1024 * 1024

-- `name` is what the option `on` of a scenario calls it. `handle(request, set, edit)` returns a status and a body, or a
-- status and a problem. `cached`: the response depends on the data and the query alone.
local ENDPOINTS = {
  { name = "list", method = "GET", path = BASE .. "/runs", handle = runs.list, cached = true },
  { name = "create", method = "POST", path = BASE .. "/runs", handle = runs.create },
  { name = "get", method = "GET", path = BASE .. "/runs/{id}", handle = runs.get },
  { name = "cancel", method = "POST", path = BASE .. "/runs/{id}/cancel", handle = runs.cancel },
  { name = "results", method = "GET", path = BASE .. "/results", handle = results.list, cached = true },
  { name = "result", method = "GET", path = BASE .. "/results/{id}", handle = results.get },
  { name = "metrics", method = "GET", path = BASE .. "/metrics", handle = metrics.get, cached = true },
  { name = "experiments", method = "GET", path = BASE, handle = parents.list, cached = true },
  { name = "experiment", method = "GET", path = BASE .. "/{id}", handle = parents.get },
}

-- The endpoints by path and method: paths without an id as they are, the others as patterns.
local fixed, patterns = {}, {}
for _, one in ipairs(ENDPOINTS) do
  local routes = fixed
  local path = one.path
  if path:find("{id}", 1, true) then
    routes, path = patterns, "^" .. path:gsub("{id}", "([^/]+)") .. "$"
  end
  routes[path] = routes[path] or {}
  routes[path][one.method] = one
end

-- Returns the endpoints of a path by method, and the id in it. Returns nil for an unknown path.
local function methods_of(path)
  if fixed[path] then return fixed[path] end
  for pattern, methods in pairs(patterns) do
    local id = path:match(pattern)
    if id then return methods, scenario.percent_decode(id) end
  end
end

-- Returns the endpoint of a request or nil, the id in its path, and the endpoints of the path by method.
function endpoint.find(method, path)
  local methods, id = methods_of(path)
  return methods and methods[method], id, methods
end

local function no_endpoint(methods)
  if not methods then return problem.new(404, "Not Found") end
  local allowed = {}
  for method in pairs(methods) do allowed[#allowed + 1] = method end
  table.sort(allowed)
  local status, refusal = problem.new(405, "Method Not Allowed")
  return status, refusal, { Allow = table.concat(allowed, ", ") }
end

local pages = cache.new(CACHE_BYTES)

-- Returns a text of the options that cached responses depend on: scenarios that agree in them share the responses.
local function data_key(options)
  options.data_key = options.data_key or table.concat({ options.runs, options.seed, options.spacing, options.same,
    options.shape, options.pretty and 1 or 0, options.documents or "", options.experiments, options.metrics or "",
    options.error_shape or "" }, ";")
  return options.data_key
end

-- Lets all unended runs of the data end, as the scenario's `ends` says.
local function let_end(options)
  local opened, set = changes.open(options.id), dataset.new(options)
  for k = set.first, set.last do opened:let_end(set, k, options.ends, ngx.now()) end
end

local function handle(request, edit)
  local options = request.options
  if options.ends and not changes.of(options.id) then let_end(options) end
  if options.churn then changes.open(options.id) end
  request.changes = changes.of(options.id)
  if request.changes then request.changes:settle(ngx.now()) end
  request.query = query.new(request.query_text)
  return request.endpoint.handle(request, dataset.new(options, request.changes), edit)
end

local function write(request, status, body)
  local options, kind = request.options, nil
  if type(body) == "table" then body, kind = problem.body(options, status, body) end
  return status, options.pretty and json.pretty(body) .. "\n" or body, kind
end

-- `request` is { endpoint, id, methods (from endpoint.find), query_text, headers, body, options (the scenario) }.
-- `edit(selected, asked, list)` may change a page before it is written. Returns a response for reply.lua.
function endpoint.respond(request, edit)
  local options, one = request.options, request.endpoint
  local status, body, headers = key.refuse(options, request.headers)
  if not status and not one then status, body, headers = no_endpoint(request.methods) end
  local name
  if not status then
    name = one.cached and not edit and not options.churn and not options.ends and not changes.of(options.id)
      and one.name .. data_key(options) .. "?" .. request.query_text
    local text = name and pages:get(name)
    if text then return { status = 200, body = text } end
    status, body, headers = handle(request, edit)
  end
  local kind
  status, body, kind = write(request, status, body)
  if name and status == 200 then pages:put(name, body) end
  return { status = status, body = body, type = kind, headers = headers }
end

return endpoint
