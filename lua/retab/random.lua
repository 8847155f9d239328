--- random.lua: random bytes that differ between processes. Before Lua 5.4, math.random starts with the same seed in
--- each process, and reseeding it would change the caller's program.
local dates = require "retab.dates"

local random = {}

local function from_system(count)
  local device = io and io.open and io.open("/dev/urandom", "rb")
  if not device then return nil end
  local bytes = device:read(count)
  device:close()
  return bytes and #bytes == count and bytes or nil
end

--- For hosts without such a device: math.random, combined with a seed that differs between processes and calls (the
--- address of a new table, the time) in the generator of Park and Miller, whose products fit a double.
local function from_addresses(count)
  local state, bytes = 1, {}
  local seed = tostring({}) .. tostring(dates.now()) .. tostring(os and os.clock and os.clock())
  for index = 1, #seed do state = (state * 16807 + seed:byte(index)) % 2147483647 end
  for index = 1, count do
    state = state * 16807 % 2147483647
    bytes[index] = string.char((math.random(0, 255) + state) % 256)
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
