--- retry.lua: decides if and when a failed attempt is repeated. It does not send or wait: the time is a parameter.
local dates = require "retab.dates"
local random = require "retab.random"

local retry = {}

local first_delay = 0.5 -- seconds; doubled for each further attempt
local longest_delay = 8 -- seconds
local jitter = 0.25 -- up to this fraction of a delay is taken off at random, so that clients do not retry all at once

--- The longest delay that a server can ask for, in seconds. If it asks for more, the call fails at once.
local longest_obeyed = 120

local retried = {
  [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true,
  timeout = true, connection = true,
}

--- Returns true if another attempt can help.
--- @param status number|string an HTTP status, or the kind of a failure without one
--- @return boolean
function retry.helps(status)
  return retried[status] or false
end

--- Returns the delay that the server asks for.
--- @param headers table|nil of the response, names in lower case
--- @param now number|nil epoch seconds; without them, dates are ignored
--- @return number|nil seconds
function retry.after(headers, now)
  local milliseconds = headers and tonumber((headers["retry-after-ms"] or ""):match("^%s*(%d+%.?%d*)%s*$"))
  if milliseconds then return milliseconds / 1000 end
  local text = headers and headers["retry-after"]
  if not text then return nil end
  local seconds = tonumber(text:match("^%s*(%d+%.?%d*)%s*$"))
  if seconds then return seconds end
  local date = dates.from_http(text)
  return date and now and math.max(0, date - now) or nil
end

--- Returns the delay before the next attempt.
--- @param failures number the number of attempts that failed before this one: 0 for the first
--- @param status number|string an HTTP status, or the kind of a failure without one
--- @param headers table|nil of the response, names in lower case
--- @param now number|nil epoch seconds
--- @return number|nil seconds nil: do not try again
function retry.delay(failures, status, headers, now)
  if not retry.helps(status) then return nil end
  local asked = retry.after(headers, now)
  if asked then return asked <= longest_obeyed and asked or nil end
  return math.min(first_delay * 2 ^ failures, longest_delay) * (1 - random.number() * jitter)
end

return retry
