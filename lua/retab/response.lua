--- response.lua: turns a successful response (2xx) into a decoded value, or into the fields of a `decode` error.
local call = require "retab.call"
local core = require "retab.core"
local mask = require "retab.mask"
local request = require "retab.request"

local response = {}

local longest_excerpt = 80 -- bytes of a body that is not JSON, in a message

--- Returns true for the media types of JSON. A response without a content type counts as JSON.
local function is_json(content_type)
  local media = content_type:lower():match("^%s*([^;%s]*)")
  return media == "" or media == "application/json" or media == "text/json"
    or media:find("^[^/]+/[^/]+%+json$") ~= nil
end

--- Returns the beginning of a body as one line, for a person.
local function excerpt(body)
  local text = body:sub(1, 200):gsub("%s+", " ")
  return #text > longest_excerpt and text:sub(1, longest_excerpt) .. "..." or text
end

--- Decodes the body of a response.
--- @param decode function core.envelope or core.object
--- @param session table of the client
--- @param received table status, headers (names in lower case), body
--- @param options table of the call: null, fields
--- @param keys string[] the API keys, which a body can repeat
--- @return table|nil value
--- @return table|nil fields of an error
function response.decode(decode, session, received, options, keys)
  local problem
  local content_type = received.headers["content-type"] or ""
  if not is_json(content_type) then
    local beginning = mask.beginning(received.body, keys, longest_excerpt)
    problem = ("the response is not JSON but %s: %s"):format(content_type, excerpt(beginning))
  elseif #received.body == 0 then
    problem = "the response is empty, expected JSON"
  else
    local null = options.null
    if null == nil then null = session.null end
    local value, message, position = decode(received.body, { null = null, fields = options.fields })
    if value then return value end
    problem = position and ("the response is not JSON: %s at byte %d"):format(message, position) or message
  end
  return nil, {
    kind = "decode", message = problem, status = received.status, request_id = received.headers["x-request-id"],
    body = received.body,
  }
end

--- Sends one request and waits for its value.
--- @param endpoint table a bound endpoint
--- @param checked table parameters
--- @param options table of the call
--- @param read function (endpoint, received, options, keys) -> value, or nil and the fields of an error
--- @return table|nil value
--- @return string|nil message
--- @return retab.Error|nil err
function response.fetch(endpoint, checked, options, read)
  local pending = call.start(endpoint.session, request.target(endpoint, checked, options), options)
  local received, message, err = call.finish(pending)
  if not received then return nil, message, err end
  local value, fields = read(endpoint, received, options, pending.keys)
  if value then return value end
  return call.fail(pending, fields)
end

--- Reads one object, for response.fetch.
function response.read_object(endpoint, received, options, keys)
  return response.decode(core.object, endpoint.session, received, options, keys)
end

return response
