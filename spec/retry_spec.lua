--- If and when a failed attempt is repeated: a function of the attempt, the status, the headers and the time.
local retry = require "retab.retry"

local now = 1777719600 -- Sat, 02 May 2026 11:00:00 GMT

local function delay(attempt, status, headers)
  return retry.delay(attempt, status, headers or {}, now)
end

describe("A retry", function()
  it("helps after statuses and failures that can pass", function()
    for _, status in ipairs { 408, 429, 500, 502, 503, 504, "timeout", "connection" } do
      assert.is_true(retry.helps(status), tostring(status))
      assert.is_number(delay(0, status))
    end
  end)

  it("helps after nothing else, whatever Retry-After says", function()
    for _, status in ipairs {
      200, 204, 301, 304, 400, 401, 403, 404, 409, 410, 418, 422, 451, 501, 505, 511, 599, "tls", "decode", "too_large",
      "cursor_loop", "cancelled", "validation", "api",
    } do
      assert.is_false(retry.helps(status), tostring(status))
      assert.is_nil(delay(0, status, { ["retry-after"] = "1" }), tostring(status))
    end
  end)
end)

describe("The delay before a retry", function()
  it("doubles from half a second to eight, jittered to 75 to 100 %", function()
    local longest = { [0] = 0.5, 1, 2, 4, 8, 8, 8, 8 }
    for attempt = 0, 7 do
      local low, high = math.huge, 0
      for _ = 1, 200 do
        local seconds = delay(attempt, 503)
        assert.is_true(seconds >= longest[attempt] * 0.75 and seconds <= longest[attempt], tostring(seconds))
        low, high = math.min(low, seconds), math.max(high, seconds)
      end
      assert.is_true(low < high, "the delays have no jitter")
    end
  end)

  it("spreads over the whole range of the jitter", function()
    local low, high = math.huge, 0
    for _ = 1, 1000 do
      local part = delay(0, 503) / 0.5
      low, high = math.min(low, part), math.max(high, part)
    end
    assert.is_true(low < 0.77 and high > 0.98, ("%g to %g"):format(low, high))
  end)

  it("does not change the program's own random numbers", function()
    math.randomseed(5)
    local expected = math.random(1000000)
    math.randomseed(5)
    delay(0, 503)
    assert.equal(expected, math.random(1000000))
  end)

  it("stays at eight seconds however many attempts failed", function()
    for _, attempt in ipairs { 10, 100, 1000, 5000 } do
      local seconds = delay(attempt, 503)
      assert.is_true(seconds >= 6 and seconds <= 8)
    end
  end)

  it("is the default without headers", function()
    local seconds = retry.delay(0, "connection", nil, now)
    assert.is_true(seconds >= 0.375 and seconds <= 0.5)
  end)

  it("is the number of seconds in Retry-After, without jitter", function()
    for text, seconds in pairs { ["0"] = 0, ["1"] = 1, ["7"] = 7, ["120"] = 120, [" 3 "] = 3, ["007"] = 7 } do
      assert.equal(seconds, delay(0, 429, { ["retry-after"] = text }))
      assert.equal(seconds, delay(3, 503, { ["retry-after"] = text }))
    end
  end)

  it("ends at the date in Retry-After", function()
    for text, seconds in pairs {
      ["Sat, 02 May 2026 11:00:30 GMT"] = 30, ["Sat, 02 May 2026 11:02:00 GMT"] = 120,
      ["Sat, 02 May 2026 11:00:00 GMT"] = 0,
      ["Sat, 02 May 2026 10:00:00 GMT"] = 0, ["Saturday, 02-May-26 11:00:05 GMT"] = 5, ["Sat May  2 11:00:09 2026"] = 9,
    } do
      assert.equal(seconds, delay(0, 503, { ["retry-after"] = text }))
    end
  end)

  it("is taken from Retry-After-Ms rather than from Retry-After", function()
    assert.equal(0.25, delay(0, 429, { ["retry-after-ms"] = "250" }))
    assert.equal(1.5, delay(0, 429, { ["retry-after-ms"] = "1500", ["retry-after"] = "60" }))
    assert.equal(120, delay(0, 429, { ["retry-after-ms"] = "120000" }))
  end)

  it("is nil if the server asks for more than 120 seconds: there is no further attempt", function()
    assert.is_nil(delay(0, 429, { ["retry-after"] = "121" }))
    assert.is_nil(delay(0, 503, { ["retry-after"] = "3600" }))
    assert.is_nil(delay(0, 503, { ["retry-after"] = ("9"):rep(400) }))
    assert.is_nil(delay(0, 503, { ["retry-after-ms"] = "120001" }))
    assert.is_nil(delay(0, 503, { ["retry-after"] = "Sat, 02 May 2026 11:02:01 GMT" }))
  end)

  it("is the default if the header is not valid", function()
    for _, text in ipairs {
      "", "soon", "-1", "1 second", "1e3", "0x10", "nan", "inf", "Sat, 31 Feb 2026 11:00:00 GMT",
      "2026-05-02T11:00:30Z", "1,2",
    } do
      local seconds = delay(1, 503, { ["retry-after"] = text })
      assert.is_true(seconds ~= nil and seconds >= 0.75 and seconds <= 1, text)
      seconds = delay(1, 503, { ["retry-after-ms"] = text })
      assert.is_true(seconds ~= nil and seconds >= 0.75 and seconds <= 1, text)
    end
    assert.equal(4, delay(0, 503, { ["retry-after-ms"] = "soon", ["retry-after"] = "4" }))
  end)
end)

describe("The delay that the server asks for", function()
  it("is returned in seconds, however long it is", function()
    assert.equal(3600, retry.after({ ["retry-after"] = "3600" }, now))
    assert.equal(0.5, retry.after({ ["retry-after-ms"] = "500" }, now))
    assert.equal(86400, retry.after({ ["retry-after"] = "Sun, 03 May 2026 11:00:00 GMT" }, now))
    assert.equal(0, retry.after({ ["retry-after"] = "Fri, 01 May 2026 11:00:00 GMT" }, now))
  end)

  it("is nil for a date if the time is not known", function()
    assert.is_nil(retry.after({ ["retry-after"] = "Sun, 03 May 2026 11:00:00 GMT" }, nil))
    assert.equal(7, retry.after({ ["retry-after"] = "7" }, nil))
  end)

  it("is nil if the server asks for none", function()
    assert.is_nil(retry.after({}, now))
    assert.is_nil(retry.after(nil, now))
    assert.is_nil(retry.after({ ["retry-after"] = "later" }, now))
  end)
end)
