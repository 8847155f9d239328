--- Whether and when to try again. Pure: nothing is sent, nothing waits, the time is a parameter.
local dates = require "retab.dates"

local retry = {}

local first_delay = 0.5
local longest_delay = 8
--- A server that asks for more than this is not waited for: the caller is told instead.
local longest_obeyed = 120

local retried = {
  [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true,
  timeout = true, connection = true,
}

--- Whether another try could help.
--- @param status number|string an HTTP status, or the kind of a failure without one
--- @return boolean
function retry.helps(status)
  return retried[status] or false
end

--- What the server asks for.
--- @param headers table|nil of the answer, names in lower case
--- @param now number epoch seconds
--- @return number|nil seconds
function retry.after(headers, now)
  local milliseconds = headers and tonumber((headers["retry-after-ms"] or ""):match("^%s*(%d+%.?%d*)%s*$"))
  if milliseconds then return milliseconds / 1000 end
  local text = headers and headers["retry-after"]
  if not text then return nil end
  local seconds = tonumber(text:match("^%s*(%d+%.?%d*)%s*$"))
  if seconds then return seconds end
  local date = dates.from_http(text)
  return date and math.max(0, date - now)
end

--- How long to wait before the next try.
--- @param attempt number how many tries have failed before this one: 0 at the first
--- @param status number|string an HTTP status, or the kind of a failure without one
--- @param headers table|nil of the answer, names in lower case
--- @param now number epoch seconds
--- @return number|nil seconds nil: do not try again
function retry.delay(attempt, status, headers, now)
  if not retry.helps(status) then return nil end
  local asked = retry.after(headers, now)
  if asked then return asked <= longest_obeyed and asked or nil end
  return math.min(first_delay * 2 ^ attempt, longest_delay) * (1 - math.random() * 0.25)
end

return retry
