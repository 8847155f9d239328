-- What can go wrong, one function per fault of a scenario: fault(request, options). Each sends its own response.
-- `options` is the scenario.

local bit = require "bit"
local endpoint = require "spec.simulator.endpoint"
local page = require "spec.simulator.page"
local problem = require "spec.simulator.problem"
local reply = require "spec.simulator.reply"

local faults = {}

local STALL_SECONDS = 60
local PIECE = 65536

local HTML = "<!DOCTYPE html>\n<html><head><title>Service unavailable</title></head>"
  .. "<body><h1>We will be back soon</h1></body></html>\n"

function faults.status(_, options)
  local status = options.code or 500
  local body, kind = problem.body(options, status, { reason = "Simulated failure" })
  reply.send {
    status = status, body = options.body or body, type = options.type or kind,
    headers = { ["Retry-After"] = options.retry_after, ["Retry-After-Ms"] = options.retry_after_ms },
  }
end

function faults.body(_, options)
  reply.send { body = options.body or "", type = options.type }
end

function faults.html()
  reply.send { body = HTML, type = "text/html; charset=utf-8" }
end

function faults.type(request, options)
  local response = endpoint.respond(request)
  response.type = options.type or "text/html"
  reply.send(response)
end

function faults.redirect(_, options)
  reply.send { status = options.code or 302, body = "", headers = { Location = options.to or "/" } }
end

function faults.close()
  reply.close()
end

-- server.lua leaves the request's body unread.
faults.unread = faults.close

function faults.garbage()
  reply.raw("\0\1\2SSH-2.0-not_http\r\n\255\254 what you expected\r\n\r\n")
end

function faults.cut(request, options)
  reply.partial(endpoint.respond(request), options.bytes, options.of)
end

function faults.stall(request, options)
  reply.partial(endpoint.respond(request), options.bytes, options.of, STALL_SECONDS)
end

local function little_endian(n)
  return string.char(n % 256, math.floor(n / 256))
end

-- Sends a gzip member with one stored block, which needs no compressor, that ends in the middle of the block.
function faults.gzip(request)
  local response = endpoint.respond(request)
  local content = response.body:sub(1, 65535)
  response.body = "\31\139\8\0\0\0\0\0\0\3\1" .. little_endian(#content) .. little_endian(bit.bxor(#content, 0xffff))
    .. content:sub(1, math.floor(#content / 2))
  response.headers = { ["Content-Encoding"] = "gzip" }
  reply.send(response)
end

-- Sends pieces, so that a gigabyte costs no memory.
function faults.huge(_, options)
  local head = '{"data":[],"list_metadata":{"before":null,"after":null},"padding":"'
  local tail = '"}'
  local padding = math.max(0, (options.bytes or 2 ^ 26) - #head - #tail)
  local piece = ("x"):rep(PIECE)
  local sent = -1
  reply.stream({ length = #head + padding + #tail }, function()
    if sent < 0 then sent = 0 return head end
    if sent < padding then
      local text = piece:sub(1, math.min(#piece, padding - sent))
      sent = sent + #text
      return text
    end
    if tail then
      local text = tail
      tail = nil
      return text
    end
  end)
end

function faults.slow(request, options)
  local response = endpoint.respond(request)
  local body, size = response.body, math.max(1, options.bytes or 1024)
  local at = 1
  reply.stream(response, function()
    if at > #body then return nil end
    if at > 1 then ngx.sleep(options.delay or 0.01) end
    local text = body:sub(at, at + size - 1)
    at = at + size
    return text
  end)
end

local LARGEST_PAGE = 100

-- Cursor i of the walk leads past i full pages; after the last one of the cycle comes the cycle's first again. There
-- are enough items for all of those pages, even if the scenario has fewer.
function faults.cursor(request, options)
  local lead, cycle = options.lead or 0, options.cycle or 1
  local items = (lead + cycle + 1) * LARGEST_PAGE
  local more = request.endpoint and request.endpoint.name == "results"
    and { documents = math.max(options.documents or 0, items) } or { runs = math.max(options.runs, items) }
  request.options = setmetatable(more, { __index = options })
  reply.send(endpoint.respond(request, function(selected, asked, list)
    local function place(k) return asked.order == "asc" and list.last - k or k end
    local last = asked.after and list.number(asked.after)
    local i = last and math.floor((place(last) + 1) / asked.limit) or 0
    local after = i < lead + cycle and i + 1 or lead + 1
    selected.after = list.id(place(after * asked.limit - 1))
  end))
end

-- Sends an empty page with a cursor that leads to the items it should have held.
function faults.empty(request)
  reply.send(endpoint.respond(request, function(selected, asked)
    selected.numbers, selected.before = {}, nil
    selected.after = page.alias(asked.after, request.count)
  end))
end

function faults.blank(request)
  reply.send(endpoint.respond(request, function(selected)
    selected.after = selected.after or ""
  end))
end

-- The others need the endpoint's own response, so that the request takes effect.
local WITHOUT = { status = true, body = true, html = true, redirect = true, close = true, garbage = true, huge = true }

-- Sends the response of the scenario's fault.
function faults.apply(request)
  local options = request.options
  if options.acts and WITHOUT[options.fault] then endpoint.respond(request) end
  faults[options.fault](request, options)
end

return faults
