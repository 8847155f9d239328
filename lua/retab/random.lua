--- random.lua: random bytes that differ between processes. Lua's own generator starts with the same seed in each
--- process before 5.4, and reseeding it would change the caller's program.
local random = {}

local function from_system(count)
  local device = io and io.open("/dev/urandom", "rb")
  if not device then return nil end
  local bytes = device:read(count)
  device:close()
  return bytes and #bytes == count and bytes or nil
end

--- @param count integer
--- @return string bytes from the operating system; from math.random where that has none
function random.bytes(count)
  local bytes = from_system(count)
  if bytes then return bytes end
  local all = {}
  for index = 1, count do all[index] = string.char(math.random(0, 255)) end
  return table.concat(all)
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
  return ("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"):format((unpack or table.unpack)(bytes))
end

return random
