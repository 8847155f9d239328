--- resource.lua: binds the declaration of a resource (resources/) to a client. A list endpoint becomes the functions
--- list, iter, pages, all, request and parse; endpoints of one object become get, create, cancel and wait. A new
--- endpoint needs only a declaration: method, path and parameters. It knows nothing of HTTP.
local dates = require "retab.dates"
local failure = require "retab.error"
local headers = require "retab.headers"
local page = require "retab.page"
local params = require "retab.params"
local request = require "retab.request"
local response = require "retab.response"

local resource = {}

local call_options = {
  { "timeout", params.seconds },
  { "deadline", params.seconds },
  { "max_retries", params.integer(0) },
  { "headers", params.headers },
  { "query", params.query },
  { "null", params.anything, takes_null = true },
  { "fields", params.fields },
  { "api_key", params.key, is_secret = true },
}

local walk_options = params.join(call_options, {
  { "max_items", params.integer(1) },
  { "max_pages", params.integer(1) },
  { "prefetch", params.integer(0) },
  { "parallel", params.integer(1) },
})

local wait_options = params.join(call_options, {
  { "interval", params.seconds },
  { "on_update", params.of_type "function" },
})

-- ---- a bound endpoint ----

local Endpoint = {}
Endpoint.__index = Endpoint

--- Returns the declarations of the parameters that every list has. They follow its filters.
local function paging_params(declaration)
  local paging = {
    { "before", params.text },
    { "after", params.text },
    { "limit", params.integer(1, declaration.most_per_page) },
  }
  if declaration.has_order then paging[4] = { "order", params.one_of { "asc", "desc" } } end
  return paging
end

local function bind_list(session, declaration)
  return setmetatable({
    session = session, method = "GET", path = declaration.path, page_size = declaration.page_size,
    range = declaration.range, declared = params.join(declaration.params, paging_params(declaration)),
  }, Endpoint)
end

local function bind_object(session, declaration)
  local self = params.copy(declaration)
  self.session, self.method, self.declared = session, declaration.method or "GET", declaration.params or {}
  return setmetatable(self, Endpoint)
end

--- Raises an error if the first date of a range is later than the last.
local function check_range(range, checked)
  local first, last = checked[range[1]], checked[range[2]]
  if not first or not last then return end
  local _, last_moment = dates.span(last)
  if dates.span(first) > last_moment then
    params.raise(("bad parameter '%s': must not be later than %s, got %s after %s"):format(range[1], range[2], first,
      last))
  end
end

--- Checks what a caller passed, before anything is sent.
--- @return table checked parameters
--- @return table options
function Endpoint:check(given, given_options, allowed_options)
  local keys = request.known_keys(self.session, given_options)
  local other = self.page_size and walk_options or allowed_options
  local checked = params.check(self.declared, given, "parameter", { other = other, keys = keys })
  local options = params.check(allowed_options, given_options, "option", { other = self.declared })
  if checked.before and checked.after then
    params.raise("bad parameter 'before': must not be given together with 'after'")
  end
  if self.range then check_range(self.range, checked) end
  for _, entry in ipairs(self.declared) do
    if options.query and options.query[entry[1]] then
      params.raise(("bad option 'query': '%s' is a parameter: pass it as one"):format(entry[1]))
    end
  end
  if self.check_together then self.check_together(checked) end
  return checked, options
end

-- ---- the public functions of a list ----

local check_status = params.integer(0)

local list = {}

function list.list(endpoint, given, given_options)
  local checked, options = endpoint:check(given, given_options, call_options)
  return page.fetch(endpoint, checked, options)
end

for _, kind in ipairs { "iter", "pages", "all" } do
  list[kind] = function(endpoint, given, given_options)
    local checked, options = endpoint:check(given, given_options, walk_options)
    return require("retab.walk")[kind](endpoint, checked, options) -- a program of one page does not load it
  end
end

function list.request(endpoint, given, given_options)
  local checked, options = endpoint:check(given, given_options, call_options)
  local session = endpoint.session
  return request.build(session, request.target(endpoint, checked, options), options, request.key(session, options))
end

function list.parse(endpoint, status, given_headers, body, given_options)
  local problem
  status, problem = check_status(status)
  if not status then params.raise("bad argument 'status': " .. problem) end
  if given_headers ~= nil and type(given_headers) ~= "table" then
    params.raise("bad argument 'headers': must be a table")
  end
  if body ~= nil and type(body) ~= "string" then params.raise("bad argument 'body': must be a string") end
  local options = params.check(call_options, given_options, "option", { other = endpoint.declared })
  local received = { status = status, headers = headers.read(given_headers), body = body or "" }
  local keys = request.known_keys(endpoint.session, options)
  local value, fields
  if status >= 200 and status < 300 then
    value, fields = page.read(endpoint, received, options, keys)
    if value then return value end
  else
    fields = failure.from_response(status, received.headers, received.body)
    if status == 401 then fields.hint = request.key_hint(endpoint.session) end
  end
  local err = failure.new(fields, keys)
  return nil, err.message, err
end

-- ---- the public functions of one object ----

local function check_id(id)
  if type(id) ~= "string" then params.raise(("bad argument 'id': must be a string, got a %s"):format(type(id))) end
  if id == "" then params.raise("bad argument 'id': must not be empty") end
  return id
end

--- Returns the id of an object. The caller gives the id, or the object.
local function id_of(given)
  if type(given) ~= "table" then return check_id(given) end
  if given.id == nil then params.raise("bad argument 'id': the table has no id") end
  return check_id(given.id)
end

--- Requests the object with an id.
local function fetch_by_id(endpoint, id, given_options)
  local checked, options = { id = check_id(id) }, params.check(call_options, given_options, "option")
  return response.fetch(endpoint, checked, options, response.read_object)
end

--- Requests the object that parameters describe.
local function fetch_by_params(endpoint, given, given_options)
  local checked, options = endpoint:check(given, given_options, call_options)
  return response.fetch(endpoint, checked, options, response.read_object)
end

local function wait_for(endpoint, rule, id, given_options)
  id = id_of(id)
  return require("retab.wait").run(endpoint, rule, id, params.check(wait_options, given_options, "option"))
end

-- ---- binding ----

--- Defines a function that users call with a dot or a colon. On a closed client it raises.
local function define(session, public, name, f)
  public[name] = function(first, ...)
    if session.closed then params.raise("client is closed") end
    if rawequal(first, public) then return f(...) end
    return f(first, ...)
  end
end

--- Binds a declaration to a client.
--- @param session table of the client
--- @param declaration table
---   list: { path, params, range, most_per_page, page_size, has_order };
---   get, create, cancel: { method, path, params, check_together, sends_body, at_most_once, lookup }, where {id} in the
---   path takes the id that the function is called with; wait: { status, terminal, counts }, which polls get
--- @return table public the functions that users call
function resource.bind(session, declaration)
  local public = {}
  if declaration.list then
    local endpoint = bind_list(session, declaration.list)
    for name, f in pairs(list) do
      define(session, public, name, function(...) return f(endpoint, ...) end)
    end
  end
  for _, name in ipairs { "get", "create", "cancel" } do
    if declaration[name] then
      local endpoint = bind_object(session, declaration[name])
      local fetch = endpoint.path:find("{id}", 1, true) and fetch_by_id or fetch_by_params
      define(session, public, name, function(...) return fetch(endpoint, ...) end)
    end
  end
  if declaration.wait then
    local endpoint = bind_object(session, declaration.get)
    define(session, public, "wait", function(...) return wait_for(endpoint, declaration.wait, ...) end)
  end
  return public
end

return resource
