-- filters.lua: the filters of the list, from the arguments of a URL and back. The library checks them.
local filters = {}

-- In the order in which a URL has them.
local names = { "experiment_id", "workflow_id", "block_id", "status", "exclude_status", "trigger_type", "from_date",
  "to_date", "order", "limit", "before", "after" }

-- Returns the parameters of runs.list. A field of the form that was left empty is no filter.
function filters.read(arguments)
  local params = {}
  for name, value in pairs(arguments) do
    if value ~= "" and value ~= true then params[name] = value end -- true: it has no `=`
  end
  params.limit = tonumber(params.limit) or params.limit
  return params
end

-- Returns the query of a URL, with its question mark, of the filters and of the cursors that `cursor` has.
function filters.query(params, cursor)
  local parts = {}
  for _, name in ipairs(names) do
    local value = params[name]
    if name == "before" or name == "after" then value = cursor and cursor[name] end
    if type(value) == "string" or type(value) == "number" then
      parts[#parts + 1] = name .. "=" .. ngx.escape_uri(value)
    end
  end
  return #parts == 0 and "" or "?" .. table.concat(parts, "&")
end

return filters
