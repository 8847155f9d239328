--- fields.lua: adds the fields that this library needs to those that the caller selects, and removes them from the item
--- before the caller gets it.
local params = require "retab.params"

local fields = {}

--- Returns true if one of the selected fields is the path or contains it.
local function selects(selected, path)
  for _, field in ipairs(selected) do
    if field == path or path:sub(1, #field + 1) == field .. "." then return true end
  end
  return false
end

local function selects_below(selected, key)
  for _, field in ipairs(selected) do
    if field:sub(1, #key + 1) == key .. "." then return true end
  end
  return false
end

--- Adds paths to the selection of a call.
--- @param options table of the call; without `fields`, everything is selected and nothing is added
--- @param needed string[] paths of one or two keys
--- @return table options of the request
--- @return table[]|nil added for fields.strip; nil if nothing was added
function fields.add(options, needed)
  if not options.fields then return options, nil end
  local extended, added = params.copy(options), {}
  extended.fields = params.copy(options.fields)
  for _, path in ipairs(needed) do
    if not selects(options.fields, path) then
      extended.fields[#extended.fields + 1] = path
      local parent, key = path:match("^([^.]+)%.(.+)$")
      if parent and not selects_below(options.fields, parent) then parent, key = nil, parent end
      added[#added + 1] = { parent = parent, key = key or path }
    end
  end
  return extended, added[1] and added or nil
end

--- Removes from an item the fields that fields.add added.
--- @param item any a value that is not a table is left unchanged
--- @param added table[]
function fields.strip(item, added)
  for _, field in ipairs(added) do
    local holder = item
    if field.parent and type(item) == "table" then holder = item[field.parent] end
    if type(holder) == "table" then holder[field.key] = nil end
  end
end

return fields
