--- settings.lua: the user's choices, from vim.g.retab. They are read when they are needed, so that a change counts at
--- once.
local settings = {}

--- Name -> { default, type, check, what is allowed }.
local known = {
  experiment = { nil, "string", function(value) return value ~= "" end, "must be the id of an experiment" },
  refresh = { 10, "number", function(value) return value >= 0 end, "must be seconds, 0 for never" },
  limit = { 50, "number", function(value) return value >= 1 and value <= 100 and value % 1 == 0 end,
    "must be an integer from 1 to 100" },
  wait = { 3600, "number", function(value) return value > 0 end, "must be seconds" },
  client = { {}, "table", function() return true end, "must be a table of the options of retab.new" },
}

--- Returns all settings.
--- @return table settings experiment (string or nil), refresh, limit, wait (numbers), client (table)
--- @return string|nil problem what is wrong with vim.g.retab; the defaults stand in for it
function settings.get()
  local chosen, problem = {}, nil
  for name, rule in pairs(known) do chosen[name] = rule[1] end
  local given = vim.g.retab
  if given == nil then return chosen end
  if type(given) ~= "table" then return chosen, "g:retab must be a table" end
  for name, value in pairs(given) do
    local rule = known[name]
    if not rule then
      problem = ("g:retab has no setting %q: see :help retab-settings"):format(tostring(name))
    elseif type(value) ~= rule[2] or not rule[3](value) then
      problem = ("g:retab.%s %s"):format(name, rule[4])
    else
      chosen[name] = value
    end
  end
  return chosen, problem
end

return settings
