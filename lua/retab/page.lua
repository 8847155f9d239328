--- page.lua: turns a response into a page of items, and requests the pages before and after it. It knows nothing of
--- walks.
local core = require "retab.core"
local failure = require "retab.error"
local mask = require "retab.mask"
local params = require "retab.params"
local request = require "retab.request"
local response = require "retab.response"

local page = {}

--- The request of each page: { endpoint, params, options }. It is not in the page, whose fields are those that the
--- server sent.
local origins = setmetatable({}, { __mode = "k" })

local methods = { __name = "retab.page" }
methods.__index = methods

--- Creates a page from a response.
--- @param endpoint table a bound endpoint
--- @param received table status, headers, body
--- @param options table of the call: null, fields
--- @param keys string[] the API keys, which the request id can repeat
--- @return retab.Page|nil page
--- @return table|nil fields of an error
function page.read(endpoint, received, options, keys)
  local value, fields = response.decode(core.envelope, endpoint.session, received, options, keys)
  if not value then return nil, fields end
  value.request_id = mask.apply(received.headers["x-request-id"], keys)
  return setmetatable(value, methods)
end

--- Stores the request of a page, so that page:next() and page:prev() work.
--- @param value retab.Page
--- @param origin table endpoint, params (checked), options (checked)
function page.set_origin(value, origin)
  origins[value] = origin
end

--- Requests one page and waits for it.
--- @param endpoint table
--- @param checked table parameters
--- @param options table
--- @return retab.Page|nil page
--- @return string|nil message
--- @return retab.Error|nil err
function page.fetch(endpoint, checked, options)
  local value, message, err = response.fetch(endpoint, checked, options, page.read)
  if not value then
    err.cursor = checked.after
    return nil, message, err
  end
  page.set_origin(value, { endpoint = endpoint, params = checked, options = options })
  return value
end

--- Returns true if another page follows.
--- @return boolean
function methods:has_more()
  return self.list_metadata.after ~= nil
end

--- Requests the page at the cursor `name`, with the same filters.
local function neighbour(self, name, other)
  local origin = origins[self]
  if not origin then params.raise("this page comes from parse: it has no client to request another page with") end
  if origin.endpoint.session.closed then params.raise("client is closed") end
  local cursor = self.list_metadata[name]
  if not cursor then return nil end
  if cursor == origin.params[name] then
    local session = origin.endpoint.session
    local err = failure.new({
      kind = "cursor_loop", message = ("the page's cursor '%s' leads to the page itself"):format(name),
      request_id = self.request_id, cursor = cursor, attempts = 0,
    }, request.known_keys(session, origin.options))
    return nil, err.message, err
  end
  local checked = params.copy(origin.params)
  checked[name], checked[other] = cursor, nil
  return page.fetch(origin.endpoint, checked, origin.options)
end

--- Requests the next page with the same filters.
--- @return retab.Page|nil page nil if there is none, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function methods:next()
  return neighbour(self, "after", "before")
end

--- Requests the previous page with the same filters.
--- @return retab.Page|nil page nil if there is none, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function methods:prev()
  return neighbour(self, "before", "after")
end

return page
