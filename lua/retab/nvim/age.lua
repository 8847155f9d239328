--- age.lua: times for a person: "3 min ago", "1 min 05 s". It knows nothing of runs.
local dates = require "retab.dates"

local age = {}

local minute, hour, day = 60, 3600, 86400

--- The first unit whose limit is above the seconds counts.
local units = {
  { minute, 1, "%d s ago" },
  { hour, minute, "%d min ago" },
  { 2 * day, hour, "%d h ago" },
  { 60 * day, day, "%d days ago" },
  { 730 * day, 30 * day, "%d months ago" },
  { math.huge, 365 * day, "%d years ago" },
}

--- Returns how long ago a time of the server was.
--- @param time any RFC 3339
--- @param now number epoch seconds
--- @return string|nil nil if it is not a time
function age.of(time, now)
  local epoch = type(time) == "string" and dates.span(time)
  if not epoch then return nil end
  local seconds = now - epoch
  if seconds < 1 then return "just now" end -- also where the clocks differ
  for _, unit in ipairs(units) do
    if seconds < unit[1] then return unit[3]:format(math.floor(seconds / unit[2])) end
  end
end

--- Returns a duration.
--- @param milliseconds any
--- @return string|nil nil if it is not a duration
function age.duration(milliseconds)
  if type(milliseconds) ~= "number" or milliseconds < 0 or milliseconds ~= milliseconds then return nil end
  if milliseconds < 1000 then return ("%d ms"):format(milliseconds) end
  local seconds = milliseconds / 1000
  if seconds < minute then return ("%.1f s"):format(math.floor(seconds * 10) / 10) end
  if seconds < hour then return ("%d min %02d s"):format(seconds / minute, seconds % minute) end
  return ("%d h %02d min"):format(seconds / hour, seconds % hour / minute)
end

return age
