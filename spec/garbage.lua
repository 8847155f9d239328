--- How eagerly Lua collects its garbage, under the names that each version has for it.
local garbage = {}

local has_names = _VERSION ~= "Lua 5.5"

local function set(name, value)
  if has_names then return collectgarbage("set" .. name, value) end
  return collectgarbage("param", name, value)
end

--- Makes the collector start early and work fast. Returns a function that restores what it was before.
--- @param pause integer percent, see collectgarbage "setpause"
--- @param multiplier integer|nil percent, see collectgarbage "setstepmul"
--- @return function restore
function garbage.hurry(pause, multiplier)
  local old_pause = set("pause", pause)
  local old_multiplier = multiplier and set("stepmul", multiplier)
  return function()
    set("pause", old_pause)
    if multiplier then set("stepmul", old_multiplier) end
  end
end

return garbage
