-- Strings kept up to a number of bytes. Two generations replace a list of the least recently used: a string that is
-- read moves to the younger one, and the elder is dropped as a whole when the younger is full.

local cache = {}
cache.__index = cache

-- `capacity` is in bytes, both generations together.
function cache.new(capacity)
  return setmetatable({ half = capacity / 2, bytes = 0, young = {}, old = {} }, cache)
end

function cache:get(key)
  local value = self.young[key]
  if value then return value end
  value = self.old[key]
  if value then self:put(key, value) end
  return value
end

function cache:put(key, value)
  if self.bytes + #value > self.half then
    self.old, self.young, self.bytes = self.young, {}, 0
  end
  self.young[key] = value
  self.bytes = self.bytes + #value
end

return cache
