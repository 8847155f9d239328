--- Returns true if a text occurs anywhere in a value: in a string, or in the keys and values of a table, however deep.
local function contains(value, text, seen)
  if type(value) == "string" then return value:find(text, 1, true) ~= nil end
  if type(value) ~= "table" then return false end
  seen = seen or {}
  if seen[value] then return false end
  seen[value] = true
  for name, item in pairs(value) do
    if contains(name, text, seen) or contains(item, text, seen) then return true end
  end
  return false
end

return contains
