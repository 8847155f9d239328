--- The error object, and what it is made of: the bodies that the API answers errors with. Secrets are
--- masked here, once, for every text that an error can show.
local core = require "retab.core"
local retry = require "retab.retry"

local failure = {}

local longest_message = 500
local longest_body = 64 * 1024
local longest_text = 4000 - 1

--- A shorter key would be found in words that are none of its echoes.
local shortest_secret = 4

local kinds = {
  [400] = "validation", [401] = "authentication", [403] = "permission", [404] = "not_found", [408] = "timeout",
  [409] = "conflict", [422] = "validation", [429] = "rate_limit",
}

local hints = {
  authentication = "check the API key: the api_key option, or RETAB_API_KEY",
  permission = "the API key is valid, but may not do this: check the workspace that it belongs to",
  not_found = "check the base URL (base_url, RETAB_API_BASE_URL) and the ids",
  validation = "check the parameters against the message above",
  rate_limit = "wait, then try again; max_retries and deadline say how long a call does so itself",
  server = "the server failed: try again later; quote the request id when you report it",
  connection = "check the network, the base URL and the proxy settings",
  timeout = "try again, or allow more time: timeout, connect_timeout, deadline",
  tls = "check the certificates: ca_file, ca_path (TLS verification has no off switch)",
  decode = "what answered is not the Retab API, or it has changed: check the base URL",
  too_large = "ask for less: a smaller limit, or allow more: max_body_bytes",
  cursor_loop = "the server repeats its cursors: start again, or report it with the request id",
}

--- Cuts a text at a whole UTF-8 character; what is no UTF-8 is cut where it is.
local function cut(text, length)
  if #text <= length then return text end
  for whole = length, length - 3, -1 do
    local next_byte = text:byte(whole + 1)
    if next_byte < 0x80 or next_byte >= 0xC0 then return text:sub(1, whole) end
  end
  return text:sub(1, length)
end

--- The ways in which a secret is written: as it is, in JSON, in a URL.
local function spellings(secret)
  local json = secret:gsub('["\\]', "\\%0")
  local percent = secret:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end)
  local all = { secret }
  for _, other in ipairs { json, (json:gsub("/", "\\/")), percent } do
    if other ~= secret then all[#all + 1] = other end
  end
  return all
end

--- Replaces the secret wherever it stands, in strings and in tables of them.
--- @param value any
--- @param secret string|nil
--- @return any
function failure.mask(value, secret)
  if not secret or #secret < shortest_secret then return value end
  if type(value) == "string" then
    for _, spelling in ipairs(spellings(secret)) do
      if value:find(spelling, 1, true) then value = value:gsub(spelling:gsub("%W", "%%%0"), "***") end
    end
    return value
  end
  if type(value) ~= "table" then return value end
  local masked = {}
  for key, item in pairs(value) do masked[failure.mask(key, secret)] = failure.mask(item, secret) end
  return masked
end

local methods = {}
methods.__index = methods

--- Several lines for a person.
function methods.__tostring(err)
  local lines = { ("retab: %s error: %s"):format(err.kind, err.message) }
  local function add(label, value)
    if value ~= nil then lines[#lines + 1] = ("  %s: %s"):format(label, cut(tostring(value), 600)) end
  end
  add("status", err.status)
  add("code", err.code)
  if type(err.errors) == "table" then
    for index, item in ipairs(err.errors) do
      if index > 5 then
        add("and", ("%d more"):format(#err.errors - 5))
        break
      end
      local place = type(item) == "table" and type(item.loc) == "table" and {}
      for _, part in ipairs(place and item.loc or {}) do place[#place + 1] = tostring(part) end
      if place then add(cut(table.concat(place, "."), 100), cut(tostring(item.msg), 200)) end
    end
  end
  add("request", err.url and ("%s %s"):format(err.method or "GET", cut(err.url, 500)))
  add("request id", err.request_id)
  add("attempts", err.attempts)
  add("retry after", err.retry_after and ("%g s"):format(err.retry_after))
  add("resume with after", err.cursor)
  add("hint", hints[err.kind])
  return cut(table.concat(lines, "\n"), longest_text)
end

methods.__name = "retab.error"

--- Makes an error object; the fields are the contract's.
--- @param fields table kind and message at least
--- @return retab.Error
function failure.new(fields)
  fields.message = cut(fields.message, longest_message)
  if fields.body then fields.body = cut(fields.body, longest_body) end
  if fields.retryable == nil then fields.retryable = retry.helps(fields.status or fields.kind) end
  return setmetatable(fields, methods)
end

--- @param value any
--- @return boolean
function failure.is(value)
  return getmetatable(value) == methods
end

local function text_of(value)
  return type(value) == "string" and value:find("%S") and value or nil
end

--- The `msg`s (or plain strings) of a list, joined.
local function joined(list)
  local parts = {}
  for _, item in ipairs(list) do
    parts[#parts + 1] = text_of(item) or (type(item) == "table" and (text_of(item.msg) or text_of(item.message))) or nil
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

local function is_list(value)
  return type(value) == "table" and value[1] ~= nil
end

--- `message`, which one server sends as a JSON list in a string.
local function unfold(message)
  local list = text_of(message) and message:find("^%s*%[") and core.decode(message)
  if is_list(list) and joined(list) then return joined(list), list end
  return text_of(message)
end

--- What an error body says, in the shapes that the API's servers are known to send.
--- @param body string
--- @return table fields message, code, details, errors: those that are there
local function read_body(body)
  local decoded, problem = core.decode(body)
  if problem then return { message = not body:find("^%s*<") and text_of(body) or nil } end
  if type(decoded) ~= "table" then return { message = text_of(decoded) } end
  local detail = decoded.detail
  local fields = { code = decoded.code, details = decoded.details, errors = decoded.errors }
  if fields.code == nil then fields.code = decoded.status_code end
  if is_list(detail) then
    fields.message, fields.errors = joined(detail), detail
  elseif type(detail) == "table" then
    fields.message = text_of(detail.message)
    fields.code = detail.code ~= nil and detail.code or fields.code
    fields.details = detail.details ~= nil and detail.details or fields.details
    fields.errors = detail.errors ~= nil and detail.errors or fields.errors
  else
    fields.message = text_of(detail)
  end
  if not fields.message then
    local message, list = unfold(decoded.message)
    fields.message = message
    if fields.errors == nil then fields.errors = list end
  end
  return fields
end

--- The error that an answer other than 2xx is.
--- @param status number
--- @param headers table names in lower case
--- @param body string
--- @param secret string|nil the API key
--- @return table fields for failure.new
function failure.from_answer(status, headers, body, secret)
  local fields = failure.mask(read_body(body), secret)
  fields.kind = kinds[status] or (status >= 500 and "server") or "api"
  fields.status = status
  fields.request_id = failure.mask(headers["x-request-id"], secret)
  fields.body = failure.mask(body, secret)
  fields.retry_after = retry.after(headers, os.time()) -- a call measures it by the clock of its driver
  if status >= 300 and status < 400 and headers.location then
    fields.message = ("HTTP %d: redirects are not followed, and this one leads to %s"):format(status,
      failure.mask(headers.location, secret))
  end
  fields.message = fields.message or ("HTTP %d"):format(status)
  return fields
end

return failure
