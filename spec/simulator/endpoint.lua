-- GET /v1/workflows/experiments/runs: the right answer to a request, before any fault. It sends nothing.

local cache = require "spec.simulator.cache"
local dataset = require "spec.simulator.dataset"
local json = require "spec.simulator.json"
local page = require "spec.simulator.page"
local query = require "spec.simulator.query"

local endpoint = {}

local PATH = "/v1/workflows/experiments/runs"
local CACHE_BYTES = 32 * 1024 * 1024

local pages = cache.new(CACHE_BYTES)

-- Pages depend on these alone, so scenarios with other ids and conditions share them.
local function data_key(options)
  return table.concat({ options.runs, options.seed, options.spacing, options.same, options.shape,
    options.pretty and 1 or 0 }, ";")
end

local function accepted(options, key)
  if options.key then return key == options.key end
  return key ~= "wrong" and key:sub(1, 3) ~= "bad"
end

-- nil where the request may pass; else the status and the body of the refusal.
local function refuse_key(options, headers)
  local bearer = headers.authorization
  bearer = type(bearer) == "string" and bearer:match("^[Bb]earer%s+(.+)$") or nil
  local key = headers["api-key"] or bearer
  if type(key) ~= "string" or key == "" then return 401, '{"detail":"Not authenticated"}' end
  if not accepted(options, key) then
    return 401, '{"detail":{"code":"INVALID_API_KEY","message":"Invalid API key","details":{}}}'
  end
end

local function render(options, asked, edit)
  local set = dataset.new(options)
  local selected = page.select(set, asked)
  if edit then edit(selected, asked, set) end
  local body = page.json(set, selected)
  return options.pretty and json.pretty(body) .. "\n" or body
end

-- `request`: method, path, query (raw text), headers, options (the scenario). `edit(selected, asked, set)` may change a
-- page before it is written. → status, body, extra headers or nil.
-- before it is written. → status, body, extra headers or nil.
function endpoint.answer(request, edit)
  local options = request.options
  if request.path ~= PATH then return 404, '{"detail":"Not Found"}' end
  if request.method ~= "GET" then return 405, '{"detail":"Method Not Allowed"}', { Allow = "GET" } end
  local status, refusal = refuse_key(options, request.headers)
  if status then return status, refusal end

  local key = not edit and data_key(options) .. "?" .. request.query
  local body = key and pages:get(key)
  if body then return 200, body end
  local asked
  asked, status, refusal = query.check(query.split(request.query))
  if not asked then return status, refusal end
  body = render(options, asked, edit)
  if key then pages:put(key, body) end
  return 200, body
end

return endpoint
