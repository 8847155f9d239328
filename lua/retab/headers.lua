--- headers.lua: the header fields of a response, as a table of strings by lower-case name.
local headers = {}

--- Reads the lines of a header, without the status line. The values of a name that comes twice are joined with commas.
--- No header takes quadratic time: each pattern here begins at a known byte, and has nothing to go back for.
--- @param lines string
--- @return table<string, string>
function headers.parse(lines)
  local fields, repeated = {}, {}
  if lines:find "\n[ \t]" then lines = lines:gsub("\r?\n[ \t]+", " ") end -- a value may go on in the next line
  for line in lines:gmatch "[^\r\n]+" do
    local colon = line:find(":", 2, true)
    if colon then
      local name, value = line:sub(1, colon - 1):lower(), line:match("^[ \t]*(.*)", colon + 1)
      local last = value:byte(-1)
      if last == 32 or last == 9 then value = value:match "^.*[^ \t]" or "" end
      local earlier = fields[name]
      if not earlier then
        fields[name] = value
      else
        local values = repeated[name] or { earlier }
        repeated[name], values[#values + 1] = values, value
      end
    end
  end
  for name, values in pairs(repeated) do fields[name] = table.concat(values, ", ") end
  return fields
end

--- Reads what a driver or a caller gives as headers.
--- @param given table|string|nil names in any case, and strings or arrays of strings; or the lines of a header
--- @return table<string, string>
function headers.read(given)
  if type(given) == "string" then return headers.parse(given) end
  local fields = {}
  for name, value in pairs(given or {}) do
    if type(name) == "string" then
      fields[name:lower()] = type(value) == "table" and table.concat(value, ", ") or tostring(value)
    end
  end
  return fields
end

return headers
