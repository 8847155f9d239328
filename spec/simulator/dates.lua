-- Moments in UTC: the text that the API uses to and from seconds since 1970. It knows nothing of runs.

local floor = math.floor
local format = string.format

local DAY = 86400

local dates = {}

-- Returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar. Here the year begins in March, so
-- that the leap day comes last.
local function day_number(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = floor(year / 400)
  local of_era = year - era * 400
  local of_year = floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  return era * 146097 + of_era * 365 + floor(of_era / 4) - floor(of_era / 100) + of_year - 719468
end

local function civil(days)
  days = days + 719468
  local era = floor(days / 146097)
  local of_era = days - era * 146097
  local year_of_era = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
  local shifted = floor((5 * of_year + 2) / 153)
  local day = of_year - floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day
end

local function month_length(year, month)
  return day_number(month == 12 and year + 1 or year, month % 12 + 1, 1) - day_number(year, month, 1)
end

local function offset_of(zone)
  if zone == "" or zone == "Z" or zone == "z" then return 0 end
  local sign, hours, minutes = zone:match("^([+-])(%d%d):?(%d%d)$")
  if not sign or tonumber(hours) > 23 or tonumber(minutes) > 59 then return nil end
  return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
end

-- Returns the first and the last moment that a text names, in seconds: a whole UTC day for `YYYY-MM-DD`, one moment for
-- a date-time. Returns nil if the text is not a date.
function dates.span(text)
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then return nil end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if year < 1 or month < 1 or month > 12 or day < 1 or day > month_length(year, month) then return nil end
  local midnight = day_number(year, month, day) * DAY
  -- A microsecond is the finest step of the data. A double can still tell it from the next day.
  if rest == "" then return midnight, midnight + DAY - 1e-6 end

  local hour, minute, second, fraction, zone = rest:match("^[Tt ](%d%d):(%d%d):(%d%d)(%.?%d*)(.*)$")
  if not hour or fraction == "." or (fraction ~= "" and fraction:sub(1, 1) ~= ".") then return nil end
  local offset = offset_of(zone)
  if not offset or tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second) > 59 then return nil end
  local moment = midnight + hour * 3600 + minute * 60 + second + (tonumber("0" .. fraction) or 0) - offset
  return moment, moment
end

local minutes, seconds = {}, {}
for n = 0, 1439 do minutes[n] = format("%02d:%02d", floor(n / 60), n % 60) end
for n = 0, 59 do seconds[n] = format(":%02d", n) end

-- Neighbouring runs mostly have the same day.
local last_day, last_text

local function day_text(days)
  if days ~= last_day then
    last_day, last_text = days, format("%04d-%02d-%02dT", civil(days))
  end
  return last_text
end

-- Appends `2026-05-20T12:00:00Z`, with six decimals if the moment is not whole, to the n pieces of a text and returns
-- the new number of pieces. The moment is in seconds.
function dates.write(moment, pieces, n)
  local whole = floor(moment)
  local micros = floor((moment - whole) * 1e6 + 0.5)
  if micros == 1e6 then whole, micros = whole + 1, 0 end
  local days = floor(whole / DAY)
  local second = whole - days * DAY
  pieces[n + 1], pieces[n + 2], pieces[n + 3] = day_text(days), minutes[floor(second / 60)], seconds[second % 60]
  pieces[n + 4] = micros == 0 and "Z" or format(".%06dZ", micros)
  return n + 4
end

function dates.text(moment)
  local pieces = {}
  dates.write(moment, pieces, 0)
  return table.concat(pieces)
end

return dates
