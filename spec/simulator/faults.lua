-- What can go wrong, one function per fault of a scenario: fault(request, options). Each one answers the request in
-- its own way. `options` is the scenario.

local bit = require "bit"
local endpoint = require "spec.simulator.endpoint"
local page = require "spec.simulator.page"
local reply = require "spec.simulator.reply"

local faults = {}

local STALL_SECONDS = 60
local PIECE = 65536

local HTML = "<!DOCTYPE html>\n<html><head><title>Service unavailable</title></head>"
  .. "<body><h1>We will be back soon</h1></body></html>\n"

local function json_body(request, edit)
  local status, body, headers = endpoint.answer(request, edit)
  return { status = status, body = body, headers = headers }
end

function faults.status(_, options)
  reply.send {
    status = options.code or 500,
    body = options.body or '{"detail":"Simulated failure"}',
    type = options.type,
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
  local answer = json_body(request)
  answer.type = options.type or "text/html"
  reply.send(answer)
end

function faults.redirect(_, options)
  reply.send { status = options.code or 302, body = "", headers = { Location = options.to or "/" } }
end

function faults.close()
  reply.close()
end

function faults.garbage()
  reply.raw("\0\1\2SSH-2.0-not_http\r\n\255\254 what you expected\r\n\r\n")
end

local function part(answer, options)
  return answer.body:sub(1, options.bytes or math.floor(#answer.body / 2))
end

function faults.cut(request, options)
  local answer = json_body(request)
  reply.partial(answer, part(answer, options))
end

function faults.stall(request, options)
  local answer = json_body(request)
  reply.partial(answer, part(answer, options), STALL_SECONDS)
end

local function little_endian(n)
  return string.char(n % 256, math.floor(n / 256))
end

-- A gzip member with one stored block, which needs no compressor, that ends in the middle of the block.
function faults.gzip(request)
  local answer = json_body(request)
  local content = answer.body:sub(1, 65535)
  answer.body = "\31\139\8\0\0\0\0\0\0\3\1" .. little_endian(#content) .. little_endian(bit.bxor(#content, 0xffff))
    .. content:sub(1, math.floor(#content / 2))
  answer.headers = { ["Content-Encoding"] = "gzip" }
  reply.send(answer)
end

-- In pieces, so that a gigabyte costs no memory.
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
  local answer = json_body(request)
  local body, size = answer.body, math.max(1, options.bytes or 1024)
  local at = 1
  reply.stream(answer, function()
    if at > #body then return nil end
    if at > 1 then ngx.sleep(options.delay or 0.01) end
    local text = body:sub(at, at + size - 1)
    at = at + size
    return text
  end)
end

local LARGEST_PAGE = 100

-- Cursor i of the walk leads past i full pages; after the last one of the cycle comes the cycle's first again. There
-- are runs enough for every one of those pages, whatever the scenario says.
function faults.cursor(request, options)
  local lead, cycle = options.lead or 0, options.cycle or 1
  local runs = math.max(options.runs, (lead + cycle + 1) * LARGEST_PAGE)
  request.options = setmetatable({ runs = runs }, { __index = options })
  reply.send(json_body(request, function(selected, asked, set)
    local function place(k) return asked.order == "asc" and set.runs - 1 - k or k end
    local last = asked.after and set:number(asked.after)
    local i = last and math.floor((place(last) + 1) / asked.limit) or 0
    local after = i < lead + cycle and i + 1 or lead + 1
    selected.after = set:id(place(after * asked.limit - 1))
  end))
end

-- No runs, and a cursor that leads to those this page should have held.
function faults.empty(request)
  reply.send(json_body(request, function(selected, asked)
    selected.numbers, selected.before = {}, nil
    selected.after = page.alias(asked.after, request.count)
  end))
end

function faults.blank(request)
  reply.send(json_body(request, function(selected)
    selected.after = selected.after or ""
  end))
end

return faults
