--- dates.lua: reads and writes the dates that the API takes: `YYYY-MM-DD` (a whole UTC day), RFC 3339, a date-time
--- without a zone (UTC), or epoch seconds. It also reads the dates of HTTP. It knows nothing of requests.
local dates = {}

local month_names = {}
for index, name in ipairs { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" } do
  month_names[name] = index
end

local day_seconds = 86400
local year_9999 = 253402300800 -- the first second after it

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

local function days_in(year, month)
  if month == 2 then return is_leap(year) and 29 or 28 end
  return (month == 4 or month == 6 or month == 9 or month == 11) and 30 or 31
end

--- Returns the days from 1970-01-01 to a day of the Gregorian calendar. A year begins in March here, so that the leap
--- day is its last day. An era has 400 years: all eras have the same number of days.
local function to_days(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  local day_of_era = year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100) + day_of_year
  return era * 146097 + day_of_era - 719468
end

--- Returns the year, the month and the day of a number of days from 1970-01-01.
local function from_days(days)
  days = days + 719468
  local era = math.floor(days / 146097)
  local day_of_era = days - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
    - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local shifted = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day
end

--- Returns the epoch seconds of a UTC date and time, or nil if that time does not exist.
local function to_epoch(year, month, day, hour, minute, second)
  if month < 1 or month > 12 or day < 1 or day > days_in(year, month) then return nil end
  if hour > 23 or minute > 59 or second >= 61 then return nil end -- 60 is a leap second
  return to_days(year, month, day) * day_seconds + hour * 3600 + minute * 60 + second
end

--- Returns the first and the last moment of a date of the API, in epoch seconds.
--- @param text string
--- @return number|nil first nil if the text is not a date
--- @return number|nil last
function dates.span(text)
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then return nil end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if rest == "" then
    local first = to_epoch(year, month, day, 0, 0, 0)
    return first, first and first + day_seconds - 1e-6
  end
  local hour, minute, second, fraction, zone = rest:match("^[Tt ](%d%d):(%d%d):(%d%d)(%.?%d*)(.*)$")
  if not hour or fraction == "." or (fraction ~= "" and fraction:sub(1, 1) ~= ".") then return nil end
  local epoch = to_epoch(year, month, day, tonumber(hour), tonumber(minute), tonumber(second .. fraction))
  if not epoch then return nil end
  if zone ~= "" and zone ~= "Z" and zone ~= "z" then
    local sign, zone_hour, zone_minute = zone:match("^([+-])(%d%d):(%d%d)$")
    if not sign or tonumber(zone_hour) > 23 or tonumber(zone_minute) > 59 then return nil end
    local offset = tonumber(zone_hour) * 3600 + tonumber(zone_minute) * 60
    epoch = sign == "+" and epoch - offset or epoch + offset
  end
  return epoch, epoch
end

--- Writes epoch seconds as RFC 3339 in UTC, with a fraction of up to six digits.
--- @param epoch number seconds
--- @return string|nil text nil outside the years 0 to 9999
function dates.format(epoch)
  if epoch ~= epoch or epoch < -62167219200 or epoch >= year_9999 then return nil end
  local whole = math.floor(epoch)
  local micro = math.floor((epoch - whole) * 1e6 + 0.5)
  if micro == 1000000 then whole, micro = whole + 1, 0 end
  local days = math.floor(whole / day_seconds)
  local year, month, day = from_days(days)
  local second = whole - days * day_seconds
  local fraction = micro == 0 and "" or (("%.6f"):format(micro / 1e6):sub(2):gsub("0+$", ""))
  return ("%04d-%02d-%02dT%02d:%02d:%02d%sZ"):format(year, month, day, math.floor(second / 3600),
    math.floor(second / 60) % 60, second % 60, fraction)
end

--- Returns the epoch seconds of the system's clock; nil in a sandbox without `os`.
--- @return number|nil
function dates.now()
  return os and os.time and os.time()
end

--- Reads an HTTP date in any of the three forms of RFC 9110, 5.6.7.
--- @param text string
--- @return number|nil epoch seconds
function dates.from_http(text)
  local day, name, year, hour, minute, second =
    text:match("^%a+, (%d%d)[ -](%a%a%a)[ -](%d+) (%d%d):(%d%d):(%d%d) GMT$")
  if not day then
    name, day, hour, minute, second, year = text:match("^%a+ (%a%a%a) +(%d+) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$")
  end
  local month = name and month_names[name]
  if not month then return nil end
  year = tonumber(year)
  if year < 100 then year = year + (year < 70 and 2000 or 1900) end
  return to_epoch(year, month, tonumber(day), tonumber(hour), tonumber(minute), tonumber(second))
end

return dates
