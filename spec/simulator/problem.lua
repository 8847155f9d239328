-- The bodies of error responses, in each shape that servers of this API have used. A problem is
-- { reason =, fields = }: a text for a person, and for invalid parameters a list of { type, loc, msg, input, ctx },
-- the last two being JSON texts or nil.

local json = require "spec.simulator.json"

local problem = {}

local GENERIC = "An HTTP exception occurred."
local TITLES = { [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [409] = "Conflict", [422] = "Unprocessable Entity", [429] = "Too Many Requests" }

local quote, object, array = json.quote, json.object, json.array

-- Returns the fields of a problem as JSON texts, each written by `write(field)`. A problem without fields has one.
local function each_field(given, write)
  local texts = {}
  for i, field in ipairs(given.fields or { { type = "error", loc = { "request" }, msg = given.reason } }) do
    texts[i] = write(field)
  end
  return array(texts)
end

local function location(field)
  local parts = {}
  for i, part in ipairs(field.loc) do parts[i] = quote(part) end
  return array(parts)
end

local function short_field(field)
  return object("type", quote(field.type), "loc", location(field), "msg", quote(field.msg))
end

local function full_field(field)
  return object("type", quote(field.type), "loc", location(field), "msg", quote(field.msg), "input", field.input,
    "ctx", field.ctx)
end

local function compiler_field(field)
  return object("message", quote(field.msg), "code", quote(field.type),
    "yaml_path", quote(table.concat(field.loc, ".")), "details", "{}")
end

local function huma_field(field)
  return object("message", quote(field.msg), "location", quote(table.concat(field.loc, ".")),
    "value", field.input or json.null)
end

local function exception(details)
  return object("code", quote "HTTP_EXCEPTION", "message", quote(GENERIC), "details", details)
end

-- name → function(status, given) → body [, content type].
local SHAPES = {
  wrapped = function(_, given) return object("detail", exception(object("error", quote(given.reason)))) end,
  -- The same, with an object for the reason.
  nested = function(_, given)
    local reason = object("message", quote(given.reason), "code", quote "SIMULATED")
    return object("detail", exception(object("error", reason)))
  end,
  unwrapped = function(_, given) return exception(object("error", quote(given.reason))) end,
  numbered = function(status, given)
    return object("status_code", ("%d"):format(10000 + status), "message", quote(each_field(given, short_field)),
      "data", json.null)
  end,
  fields = function(_, given) return object("detail", each_field(given, full_field)) end,
  detail = function(_, given) return object("detail", quote(given.reason)) end,
  message = function(_, given) return object("message", quote(given.reason)) end,
  error = function(_, given) return object("error", quote(given.reason)) end,
  compiler = function(_, given)
    return object("detail", object("code", quote "INVALID_SPEC", "message", quote(given.reason),
      "errors", each_field(given, compiler_field), "details", "{}"))
  end,
  problem = function(status, given)
    return object("title", quote(TITLES[status] or "Error"), "status", ("%d"):format(status),
      "detail", quote(given.reason), "errors", each_field(given, huma_field)), "application/problem+json"
  end,
}

-- Returns the status and the problem of a failed request; a handler returns both.
function problem.new(status, reason)
  return status, { reason = reason }
end

-- Returns what problem.new does, for parameters that are not valid.
function problem.invalid(fields)
  local messages = {}
  for i, field in ipairs(fields) do messages[i] = table.concat(field.loc, ".") .. ": " .. field.msg end
  return 422, { reason = "validation failed: " .. table.concat(messages, "; "), fields = fields }
end

-- Returns the body and its content type. Where the scenario names no shape, the API's own: a list of fields for
-- invalid parameters, else the wrapped exception.
function problem.body(options, status, given)
  local shape = options.error_shape or (given.fields and "fields" or "wrapped")
  return SHAPES[shape](status, given)
end

return problem
