--- error.lua: creates error objects, and reads responses other than 2xx. It masks the API key in all fields of an
--- error. It knows nothing of calls or drivers.
local core = require "retab.core"
local dates = require "retab.dates"
local mask = require "retab.mask"
local retry = require "retab.retry"

local failure = {}

local longest = { message = 500, body = 64 * 1024 } -- bytes of these fields
local longest_text = 4000 - 1 -- of tostring
local longest_line = 600
local most_items = 5 -- of `errors`, in tostring

--- The API's servers send this message with every error; the reason is elsewhere in the body.
local generic_message = "An HTTP exception occurred."

local kinds = {
  [400] = "validation", [401] = "authentication", [403] = "permission", [404] = "not_found", [408] = "timeout",
  [409] = "conflict", [422] = "validation", [429] = "rate_limit",
}

--- What to do about an error, by status or by kind.
local hints = {
  [404] = "check the id, and that the API key belongs to the organization that owns it; check base_url",
  [405] = "this endpoint is not enabled for your organization, or base_url leads to another server",
  authentication = "check the API key: the api_key option, or RETAB_API_KEY",
  permission = "the API key is valid but not allowed to do this: check the workspace that it belongs to",
  validation = "check the parameters against the message above",
  rate_limit = "wait, then try again; max_retries and deadline control how long a call does that itself",
  server = "the server failed: try again later, and quote the request id when you report it",
  connection = "check the network, base_url and the proxy settings",
  timeout = "try again, or allow more time: timeout, connect_timeout, deadline",
  tls = "check the certificates: ca_file, ca_path (TLS verification has no off switch)",
  decode = "the server is not the Retab API, or the API has changed: check base_url",
  too_large = "request less with a smaller limit, or raise max_body_bytes",
  cursor_loop = "the server repeats its cursors: start again, or report it with the request id",
}

--- Cuts a text to at most `length` bytes. UTF-8 characters stay whole.
local function cut(text, length)
  if #text <= length then return text end
  for whole = length, length - 3, -1 do
    local next_byte = text:byte(whole + 1)
    if next_byte < 0x80 or next_byte >= 0xC0 then return text:sub(1, whole) end
  end
  return text:sub(1, length)
end

-- ---- the object ----

local methods = { __name = "retab.error" }
methods.__index = methods

--- Returns the place of an item of `errors`: its `location`, or its `loc` joined by dots; nil if it has neither.
local function place_of(item)
  if type(item.location) == "string" and item.location ~= "" then return item.location end
  if type(item.loc) == "string" and item.loc ~= "" then return item.loc end
  if type(item.loc) ~= "table" then return nil end
  local parts = {}
  for index, part in ipairs(item.loc) do parts[index] = tostring(part) end
  return parts[1] and table.concat(parts, ".") or nil
end

local function text_of(value)
  return type(value) == "string" and value:find("%S") and value or nil
end

local function message_of(item)
  return text_of(item.msg) or text_of(item.message)
end

--- Returns several lines for a person, at most 4000 bytes.
function methods.__tostring(err)
  local lines = { ("retab: %s error: %s"):format(tostring(err.kind), tostring(err.message)) }
  local function add(label, value)
    if value ~= nil then lines[#lines + 1] = ("  %s: %s"):format(label, cut(tostring(value), longest_line)) end
  end
  add("status", err.status)
  add("code", err.code)
  local items = type(err.errors) == "table" and err.errors or {}
  for index, item in ipairs(items) do
    if index > most_items then
      add("and", ("%d more"):format(#items - most_items))
      break
    end
    local place = type(item) == "table" and message_of(item) and place_of(item)
    if place then add(cut(place, 100), cut(message_of(item), 200)) end
  end
  add("request", err.url and ("%s %s"):format(tostring(err.method), cut(tostring(err.url), 500)))
  add("request id", err.request_id)
  add("attempts", err.attempts)
  add("retry after", type(err.retry_after) == "number" and ("%g s"):format(err.retry_after) or nil)
  add("resume with after", err.cursor)
  add("hint", err.hint)
  return cut(table.concat(lines, "\n"), longest_text)
end

--- Creates an error object.
--- @param fields table the contract's fields; kind and message at least
--- @param key string|string[]|nil the API key, which is masked in all fields
--- @return retab.Error
function failure.new(fields, key)
  local err = {}
  for name, value in pairs(fields) do
    local most = longest[name]
    if most then
      err[name] = cut(mask.beginning(value, key, most), most)
    else
      err[name] = name == "kind" and value or mask.apply(value, key)
    end
  end
  if err.retryable == nil then err.retryable = retry.helps(err.status or err.kind) end
  if err.hint == nil then err.hint = hints[err.status] or hints[err.kind] end
  return setmetatable(err, methods)
end

--- Returns true for an error object of this library.
--- @param value any
--- @return boolean
function failure.is(value)
  return type(value) == "table" and getmetatable(value) == methods
end

-- ---- what a response says ----

local function is_list(value)
  return type(value) == "table" and value[1] ~= nil
end

--- Joins the messages of a list, each after its place; nil where it has none.
local function joined(list)
  local parts = {}
  for _, item in ipairs(list) do
    local text = text_of(item)
    if type(item) == "table" then
      text = message_of(item)
      local place = text and place_of(item)
      if place then text = place .. ": " .. text end
    end
    parts[#parts + 1] = text
  end
  return parts[1] and table.concat(parts, "; ") or nil
end

--- Reads a `message`. One server sends a JSON list as its text.
--- @return string|nil message nil for the generic message
--- @return table|nil list the JSON list
local function unfold(message)
  local text = text_of(message)
  if not text or text == generic_message then return nil end
  local list = text:find("^%s*%[") and core.decode(text)
  if is_list(list) and joined(list) then return joined(list), list end
  return text
end

--- Returns a text itself, or the `message` of a table.
local function text_or_message(value)
  if type(value) == "table" then return (unfold(value.message)) end
  return text_of(value)
end

--- Returns the `details.error` of an object.
local function reason_of(object)
  return type(object.details) == "table" and text_or_message(object.details.error) or nil
end

local function first_given(...)
  for index = 1, select("#", ...) do
    local value = select(index, ...)
    if value ~= nil then return value end
  end
end

--- Reads an error body, in any form that the API's servers send.
--- @param body string
--- @return table fields message, code, details, errors; nil where the body has none
local function read_body(body)
  local decoded, problem = core.decode(body)
  if problem then return { message = not body:find("^%s*<") and text_of(body) or nil } end
  if type(decoded) ~= "table" then return { message = text_of(decoded) } end
  local detail = type(decoded.detail) == "table" and decoded.detail or {}
  local unfolded, list = unfold(decoded.message)
  local errors = first_given(is_list(detail) and detail or nil, detail.errors, decoded.errors, list)
  local fields = {
    code = first_given(detail.code, decoded.code, decoded.status_code),
    details = first_given(detail.details, decoded.details),
    errors = errors,
  }
  local listed = is_list(errors) and joined(errors) or nil
  local said = text_of(decoded.detail) or unfold(detail.message) or unfolded or reason_of(detail) or reason_of(decoded)
  if said and listed and not said:find(listed, 1, true) then said = said .. ": " .. listed end
  fields.message = said or listed or text_or_message(decoded.error) or text_of(decoded.title)
  return fields
end

--- Returns the fields of an error for a response other than 2xx.
--- @param status number
--- @param headers table names in lower case
--- @param body string
--- @return table fields for failure.new
function failure.from_response(status, headers, body)
  local fields = read_body(body)
  fields.kind = kinds[status] or (status >= 500 and "server") or "api"
  fields.status = status
  fields.request_id = headers["x-request-id"]
  fields.body = body
  fields.retry_after = retry.after(headers, dates.now()) -- call.lua replaces it, with the driver's clock
  if status >= 300 and status < 400 and headers.location then
    fields.message = ("HTTP %d: redirects are not followed; this one leads to %s"):format(status, headers.location)
  end
  fields.message = fields.message or ("HTTP %d"):format(status)
  return fields
end

return failure
