--- List endpoints: a declaration (runs.lua is one) bound to a client. Pages and walks over one engine, which
--- does not know what is listed.
local call = require "retab.call"
local core = require "retab.core"
local dates = require "retab.dates"
local failure = require "retab.error"
local params = require "retab.params"

local list = {}

--- What every list takes behind its filters.
local paging_params = {
  { "before", params.text },
  { "after", params.text },
  { "limit", params.whole(1, 100) },
  { "order", params.one_of { "asc", "desc" } },
}

local call_options = {
  { "timeout", params.seconds },
  { "deadline", params.seconds },
  { "max_retries", params.whole(0) },
  { "headers", params.headers },
  { "query", params.of_type "table" },
  { "null", params.anything, true },
  { "fields", params.fields },
}

local walk_options = params.join(call_options, {
  { "max_items", params.whole(1) },
  { "max_pages", params.whole(1) },
  { "prefetch", params.whole(0) },
  { "parallel", params.whole(1) },
})

--- Pages know what they were asked with; their users see what the server sent.
local origins = setmetatable({}, { __mode = "k" })

local page_methods = {}
page_methods.__index = page_methods
page_methods.__name = "retab.page"

local Endpoint = {}
Endpoint.__index = Endpoint

--- Checks what a caller passed for this endpoint, all of it before anything is sent.
local function check(endpoint, given, given_options, allowed_options)
  local declared = endpoint.declared
  if given ~= nil and type(given) ~= "table" then
    params.raise(("params are a table, such as { %s = ... }, not a %s"):format(declared[1][1], type(given)))
  end
  local checked = params.check(declared, given, "parameter")
  local options = params.check(allowed_options, given_options, "option")
  if checked.before and checked.after then
    params.raise("bad parameter 'before': it can't be given together with 'after', a page has one boundary")
  end
  local first, last = endpoint.range[1], endpoint.range[2]
  if checked[first] and checked[last] then
    local _, to = dates.span(checked[last])
    if dates.span(checked[first]) > to then
      params.raise(("bad parameter '%s': %s is later than %s, which is %s"):format(first, checked[first], last,
        checked[last]))
    end
  end
  local query = {} -- a copy: the caller's table may change during a walk
  for name, value in pairs(options.query or {}) do
    if type(name) ~= "string" or name == "" then params.raise("bad option 'query': its names are strings") end
    if endpoint.names[name] then
      params.raise(("bad option 'query': '%s' is a parameter, pass it as one"):format(name))
    end
    if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "boolean" then
      params.raise(("bad option 'query': '%s' is a %s, a string is expected"):format(name, type(value)))
    end
    query[name] = tostring(value)
  end
  options.query = query
  return checked, options
end

--- The URL: parameters in declared order, then those of `query` by name.
local function build_url(endpoint, checked, options)
  local pairs_sent = {}
  for _, entry in ipairs(endpoint.declared) do
    local value = checked[entry[1]]
    if value ~= nil then
      pairs_sent[#pairs_sent + 1] = entry[1]
      pairs_sent[#pairs_sent + 1] = type(value) == "number" and ("%d"):format(value) or value
    end
  end
  local names = {}
  for name in pairs(options.query) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    pairs_sent[#pairs_sent + 1] = name
    pairs_sent[#pairs_sent + 1] = options.query[name]
  end
  return core.url(endpoint.session.base_url, endpoint.path, pairs_sent)
end

local function is_json(content_type)
  local media = content_type:lower():match("^%s*([^;%s]*)")
  return media == "" or media == "application/json" or media == "text/json"
    or media:find("^[^/]+/[^/]+%+json$") ~= nil
end

--- The first line of a body, for a person.
local function excerpt(body)
  local text = body:sub(1, 200):gsub("%s+", " ")
  return #text > 80 and text:sub(1, 80) .. "..." or text
end

--- An answer of the 200s to a page.
--- @return table|nil page
--- @return table|nil fields of an error
local function to_page(endpoint, answer, options, secret)
  local problem
  local content_type = answer.headers["content-type"] or ""
  if not is_json(content_type) then
    problem = ("the answer is not JSON but %s: %s"):format(content_type,
      excerpt(failure.mask(tostring(answer.body), secret)))
  elseif #answer.body == 0 then
    problem = "the answer is empty where JSON is expected"
  else
    local null = options.null
    if null == nil then null = endpoint.session.null end
    local page, message = core.envelope(answer.body, { null = null, fields = options.fields })
    if page then
      if answer.headers["x-request-id"] then page.request_id = answer.headers["x-request-id"] end
      return setmetatable(page, page_methods)
    end
    problem = message
  end
  return nil, failure.mask({
    kind = "decode", message = problem, status = answer.status, request_id = answer.headers["x-request-id"],
    body = tostring(answer.body),
  }, secret)
end

--- Sends the request of a page.
--- @return table pending
function Endpoint:send(checked, options)
  return call.send(self.session, build_url(self, checked, options), options)
end

--- Waits for a page that was sent for.
--- @param pending table
--- @param checked table what it was sent with
--- @param options table
--- @param own_options table|nil the caller's, for the pages that this one leads to
--- @return retab.Page|nil page
--- @return string|nil message
--- @return retab.Error|nil err
function Endpoint:receive(pending, checked, options, own_options)
  local answer, message, err = call.receive(pending)
  if not answer then return nil, message, err end
  local page, fields = to_page(self, answer, options, pending.key)
  call.release(answer.body)
  if not page then return call.fail(pending, fields) end
  origins[page] = { endpoint = self, params = checked, options = own_options or options }
  return page
end

--- One page.
function Endpoint:list(checked, options)
  local page, message, err = self:receive(self:send(checked, options), checked, options)
  if not page then
    err.cursor = checked.after
    return nil, message, err
  end
  return page
end

--- Whether a page follows.
function page_methods:has_more()
  return self.list_metadata.after ~= nil
end

--- The page on that side, asked for with the same filters.
local function neighbour(page, name, other)
  local origin = origins[page]
  if not origin then params.raise("this page was parsed from an answer: it has no client to go on with") end
  local cursor = page.list_metadata[name]
  if not cursor then return nil end
  if cursor == origin.params[name] then
    local err = failure.new {
      kind = "cursor_loop", message = ("the page's '%s' leads to the page itself"):format(name),
      request_id = page.request_id, attempts = 0,
    }
    return nil, err.message, err
  end
  local checked = {}
  for key, value in pairs(origin.params) do checked[key] = value end
  checked[name], checked[other] = cursor, nil
  return origin.endpoint:list(checked, origin.options)
end

--- @return retab.Page|nil page nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function page_methods:next()
  return neighbour(self, "after", "before")
end

--- The page before, like next.
function page_methods:prev()
  return neighbour(self, "before", "after")
end

--- Binds a declaration to a client.
--- @param session table the client's inside
--- @param declaration table path, params, range
--- @return table endpoint list, pages, iter, request, parse
function list.bind(session, declaration)
  local endpoint = setmetatable({
    session = session, path = declaration.path, range = declaration.range or {},
    declared = params.join(declaration.params, paging_params), names = {},
  }, Endpoint)
  for _, entry in ipairs(endpoint.declared) do endpoint.names[entry[1]] = true end

  local public = {}

  --- Makes `public.f(...)` and `public:f(...)` the same.
  local function define(name, f)
    public[name] = function(first, ...)
      if session.closed then params.raise("client is closed") end
      if rawequal(first, public) then return f(...) end
      return f(first, ...)
    end
  end

  local function walk(kind, given, given_options)
    local checked, options = check(endpoint, given, given_options, walk_options)
    return require("retab.pager")[kind](endpoint, checked, options) -- here: a program of one page starts sooner
  end

  define("list", function(given, given_options)
    local checked, options = check(endpoint, given, given_options, call_options)
    return endpoint:list(checked, options)
  end)

  define("iter", function(given, given_options) return walk("iter", given, given_options) end)

  define("pages", function(given, given_options) return walk("pages", given, given_options) end)

  define("request", function(given, given_options)
    local checked, options = check(endpoint, given, given_options, call_options)
    return (call.request(session, build_url(endpoint, checked, options), options))
  end)

  define("parse", function(status, headers, body, given_options)
    if type(status) ~= "number" then params.raise("bad argument 'status': a number is expected") end
    if headers ~= nil and type(headers) ~= "table" then params.raise("bad argument 'headers': a table is expected") end
    if type(body or "") ~= "string" then params.raise("bad argument 'body': a string is expected") end
    local options = params.check(call_options, given_options, "option")
    headers, body = call.lower_names(headers), body or ""
    local secret = session.last_key or (type(session.api_key) == "string" and session.api_key) or nil
    local page, fields
    if status >= 200 and status < 300 then
      page, fields = to_page(endpoint, { status = status, headers = headers, body = body }, options, secret)
      if page then return page end
    else
      fields = failure.from_answer(status, headers, body, secret)
    end
    local err = failure.new(fields)
    return nil, err.message, err
  end)

  return public
end

return list
