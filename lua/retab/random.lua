--- random.lua: random bytes that differ between processes. Lua's own generator starts with the same seed in each
--- process before 5.4, and reseeding it would change the caller's program.
local dates = require "retab.dates"

local random = {}

local function from_system(count)
  local device = io and io.open("/dev/urandom", "rb")
  if not device then return nil end
  local bytes = device:read(count)
  device:close()
  return bytes and #bytes == count and bytes or nil
end

--- Where no device can be read: math.random, shifted by an address and the time, which differ between processes.
local function from_addresses(count)
  local bytes, seed = {}, tostring({}) .. tostring(dates.now())
  for index = 1, count do
    local shift = seed:byte((index - 1) % #seed + 1) * index
    bytes[index] = string.char((math.random(0, 255) + shift) % 256)
  end
  return table.concat(bytes)
end

--- @param count integer
--- @return string bytes from the operating system, where it has a device for them
function random.bytes(count)
  return from_system(count) or from_addresses(count)
end

--- @return number from 0 up to, but not including, 1
function random.number()
  local high, low = random.bytes(2):byte(1, 2)
  return (high * 256 + low) / 65536
end

--- @return string a random UUID, version 4 (RFC 9562, 5.4)
function random.uuid()
  local bytes = { random.bytes(16):byte(1, 16) }
  bytes[7] = bytes[7] % 16 + 0x40 -- the version
  bytes[9] = bytes[9] % 64 + 0x80 -- the variant
  local format = "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"
  return format:format((unpack or table.unpack)(bytes))
end

return random
