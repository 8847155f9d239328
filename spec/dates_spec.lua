--- Dates: which texts are dates, which moments they mean, epoch seconds, and the dates of HTTP.
local dates = require "retab.dates"
local documents = require "spec.documents"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local runs = retab.new({ api_key = "sk_test" }).workflows.experiments.runs

local function sent(date)
  return runs.request({ from_date = date }).url:match "from_date=(.*)$":gsub("%%3A", ":"):gsub("%%2B", "+")
    :gsub("%%20", " ")
end

local function is_refused(date)
  local ok, message = pcall(sent, date)
  if ok then return false end
  assert.matches("'from_date'", message)
  assert.matches("date", message)
  return true
end

describe("A date", function()
  it("can be YYYY-MM-DD, RFC 3339, or a date-time without a zone, and is sent unchanged", function()
    for _, date in ipairs {
      "2026-05-01", "2024-02-29", "2000-02-29", "1970-01-01", "9999-12-31", "2026-12-31", "2026-04-30",
      "2026-05-02T11:00:00Z",
      "2026-05-02T11:00:00.5Z", "2026-05-02T11:00:00.123456789Z", "2026-05-02T11:00:00+02:00",
      "2026-05-02T11:00:00-23:59",
      "2026-05-02T11:00:00+00:00", "2026-05-02T00:00:00", "2026-05-02T23:59:59", "2026-05-02T23:59:59.999",
      "2026-06-30T23:59:60Z", "2026-05-02t11:00:00z",
    } do
      assert.equal(date, (sent(date)))
    end
  end)

  it("raises for any other text or value", function()
    for _, date in ipairs {
      "2026-02-30", "2026-02-29", "1900-02-29", "2100-02-29", "2026-04-31", "2026-13-01", "2026-00-01", "2026-01-00",
      "2026-01-32",
      "2026-1-1", "26-01-01", "02026-01-01", "20260101", "2026-01", "2026", "01/02/2026", "2026/01/02", "yesterday",
      "now", " ",
      "2026-01-01 ", " 2026-01-01", "2026-01-01T", "2026-01-01T10", "2026-01-01T10:00", "2026-01-01T24:00:00Z",
      "2026-01-01T10:60:00Z", "2026-01-01T10:00:61Z", "2026-01-01T10:00:00.Z", "2026-01-01T10:00:00,5Z",
      "2026-01-01T10:00:00+2:00", "2026-01-01T10:00:00+0200", "2026-01-01T10:00:00+24:00", "2026-01-01T10:00:00+02:60",
      "2026-01-01T10:00:00ZZ", "2026-01-01T10:00:00 Z", "2026-01-01T10:00:00UTC", "2026-01-01X10:00:00Z",
      "2026-01-01\n",
      "2026-01-01T10:00:00Z\n", "+2026-01-01", "-2026-01-01", "2026-W01-1", "2026-001", "2026-01-01T1:00:00Z",
      "1777719600",
      "2026-01-01T-1:00:00Z", "2026-01-01T10:00:00.5.5Z", "2026-02-30T10:00:00Z", "\0", "2026-01-01\0",
    } do
      assert.is_true(is_refused(date), date)
    end
    for _, date in ipairs { true, {}, print, 0 / 0, math.huge, -math.huge, 1e300, 253402300800, -62167219201 } do
      assert.is_true(is_refused(date), tostring(date))
    end
  end)

  it("can be epoch seconds, which are sent as RFC 3339 in UTC", function()
    assert.equal("2026-05-02T11:00:00Z", (sent(1777719600)))
    assert.equal("2026-05-02T11:00:00Z", (sent(1777719600.0)))
    assert.equal("1970-01-01T00:00:00Z", (sent(0)))
    assert.equal("1969-12-31T23:59:59Z", (sent(-1)))
    assert.equal("2000-02-29T12:34:56Z", (sent(951827696)))
    assert.equal("9999-12-31T23:59:59Z", (sent(253402300799)))
    assert.equal("0000-01-01T00:00:00Z", (sent(-62167219200)))
  end)

  it("keeps the fraction of epoch seconds, rounded to microseconds", function()
    assert.equal("1970-01-01T00:00:01.5Z", (sent(1.5)))
    assert.equal("2026-05-02T11:00:00.25Z", (sent(1777719600.25)))
    assert.equal("1969-12-31T23:59:59.5Z", (sent(-0.5)))
    assert.equal("1970-01-01T00:00:00.000001Z", (sent(0.000001)))
    assert.equal("1970-01-01T00:00:02Z", (sent(1.9999999)))
  end)
end)

describe("A range of dates", function()
  local function is_taken(from, to)
    local ok, message = pcall(runs.request, { from_date = from, to_date = to })
    if not ok then
      assert.matches("'from_date'", message)
      assert.matches("later than to_date", message)
    end
    return ok
  end

  it("raises if it ends before it begins", function()
    assert.is_false(is_taken("2026-05-02", "2026-05-01"))
    assert.is_false(is_taken("2027-01-01", "2026-12-31"))
    assert.is_false(is_taken("2026-05-02T11:00:01Z", "2026-05-02T11:00:00Z"))
    assert.is_false(is_taken("2026-05-02T11:00:00.2Z", "2026-05-02T11:00:00.1Z"))
    assert.is_false(is_taken("2026-05-03", "2026-05-02T23:59:59Z"))
    assert.is_false(is_taken(1777719601, 1777719600))
    assert.is_false(is_taken(1777719600, "2026-05-01"))
    assert.is_false(is_taken("2026-05-02T00:00:00", "2026-05-01"))
  end)

  it("can be one moment or one day, because it includes both ends", function()
    assert.is_true(is_taken("2026-05-02", "2026-05-02"))
    assert.is_true(is_taken("2026-05-02T11:00:00Z", "2026-05-02T11:00:00Z"))
    assert.is_true(is_taken("2026-05-02T23:59:59Z", "2026-05-02")) -- a day includes its last second
    assert.is_true(is_taken("2026-05-02", "2026-05-02T00:00:00Z"))
    assert.is_true(is_taken(1777719600, 1777719600))
  end)

  it("is compared by moments, not by texts", function()
    assert.is_true(is_taken("2026-05-02T12:00:00+02:00", "2026-05-02T11:00:00Z"))
    assert.is_false(is_taken("2026-05-02T11:00:00-02:00", "2026-05-02T12:00:00Z"))
    assert.is_true(is_taken("2026-05-02T11:00:00", "2026-05-02T11:00:00Z")) -- without a zone it is UTC
    assert.is_false(is_taken("2026-05-02T11:00:01", "2026-05-02T11:00:00+00:00"))
    assert.is_true(is_taken(1777719600, "2026-05-02T11:00:00Z"))
    assert.is_true(is_taken("2026-05-03T00:30:00+01:00", "2026-05-02"))
  end)

  it("can be open on either side", function()
    assert.is_true(is_taken("2026-05-02", nil))
    assert.is_true(is_taken(nil, "2026-05-02"))
    assert.is_true(is_taken("2026-05-02", retab.null))
  end)
end)

describe("dates.span", function()
  it("returns a whole UTC day for a date, and one moment for a date-time", function()
    local first, last = dates.span "2026-05-02"
    assert.equal(1777680000, first)
    assert.is_true(last > 1777766399 and last < 1777766400)
    assert.same({ 1777719600, 1777719600 }, { dates.span "2026-05-02T11:00:00Z" })
    assert.same({ 1777719600.5, 1777719600.5 }, { dates.span "2026-05-02T11:00:00.5" })
    assert.same({ 1777712400, 1777712400 }, { dates.span "2026-05-02T11:00:00+02:00" })
    assert.same({ 1777726800 + 1800, 1777726800 + 1800 }, { dates.span "2026-05-02T11:00:00-02:30" })
  end)

  it("returns nil for any other text", function()
    assert.is_nil((dates.span "2026-02-30"))
    assert.is_nil((dates.span "today"))
    assert.is_nil((dates.span ""))
  end)

  it("knows the length of every month from 1600 to 2400", function()
    local days = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
    for year = 1600, 2400 do
      local expected = dates.span(("%04d-01-01"):format(year))
      for month = 1, 12 do
        local leap = month == 2 and (year % 400 == 0 or year % 4 == 0 and year % 100 ~= 0)
        local count = days[month] + (leap and 1 or 0)
        for day = 1, count, count - 1 do
          assert.equal(expected + (day - 1) * 86400, (dates.span(("%04d-%02d-%02d"):format(year, month, day))))
        end
        assert.is_nil((dates.span(("%04d-%02d-%02d"):format(year, month, count + 1))))
        expected = expected + count * 86400
      end
      assert.equal(expected, (dates.span(("%04d-01-01"):format(year + 1))))
    end
  end)
end)

describe("dates.format", function()
  it("agrees with the system's calendar, and with dates.span", function()
    local source = documents.new(31)
    for _ = 1, scripted.times(3000) do
      local epoch = source:below(2 ^ 31) * 100 - 30000000000 + source:below(100)
      local text = dates.format(epoch)
      assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", epoch), text)
      assert.equal(epoch, (dates.span(text)))
    end
  end)

  it("returns nil outside the years 0 to 9999", function()
    for _, epoch in ipairs { -62167219201, 253402300800, math.huge, -math.huge, 0 / 0 } do
      assert.is_nil(dates.format(epoch))
    end
  end)
end)

describe("dates.from_http", function()
  it("reads the three forms of RFC 9110", function()
    assert.equal(784111777, dates.from_http "Sun, 06 Nov 1994 08:49:37 GMT")
    assert.equal(784111777, dates.from_http "Sunday, 06-Nov-94 08:49:37 GMT")
    assert.equal(784111777, dates.from_http "Sun Nov  6 08:49:37 1994")
    assert.equal(1777719600, dates.from_http "Sat, 02 May 2026 11:00:00 GMT")
    assert.equal(1777719600, dates.from_http "Saturday, 02-May-26 11:00:00 GMT")
  end)

  it("reads every month", function()
    for month, name in ipairs { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" } do
      assert.equal((dates.span(("2026-%02d-15T01:02:03Z"):format(month))),
        dates.from_http(("Mon, 15 %s 2026 01:02:03 GMT"):format(name)))
    end
  end)

  it("returns nil for any other text", function()
    for _, text in ipairs {
      "", "5", "tomorrow", "2026-05-02T11:00:00Z", "Sat, 02 May 2026 11:00:00", "Sat, 02 May 2026 11:00:00 CET",
      "Sat, 02 Mai 2026 11:00:00 GMT", "Sat, 30 Feb 2026 11:00:00 GMT", "Sat, 02 May 2026 25:00:00 GMT",
      "Sat, 2 May 2026 11:00 GMT",
      "Sat, 02 May 2026 11:00:00 GMT x",
    } do
      assert.is_nil(dates.from_http(text), text)
    end
  end)
end)
