--- headers.lua: reads the header fields of a response, into a table of strings by lower-case name. It knows nothing of
--- statuses or bodies.
local headers = {}

local small = {}
for byte = 65, 90 do small[string.char(byte)] = string.char(byte + 32) end

--- Returns a name in lower case. string.lower obeys the locale of the program: in Turkish, "I" becomes another letter.
--- @param name string
--- @return string
function headers.lower(name)
  local lower = name:lower()
  if lower:find "[A-Z\128-\255]" then lower = name:gsub("[A-Z]", small) end
  return lower
end

--- Adds a field. If its name came before, the values are collected in `repeated`.
local function add(fields, repeated, name, value)
  local end_byte = value:byte(-1)
  if end_byte == 32 or end_byte == 9 then value = value:match "^.*[^ \t]" or "" end
  local earlier = fields[name]
  if not earlier then
    fields[name] = value
  else
    local values = repeated[name] or { earlier }
    repeated[name], values[#values + 1] = values, value
  end
end

--- Reads the lines of a header, without the status line. The values of a repeated name are joined with commas. Long
--- headers take no quadratic time: the pattern is tried at one place in each line.
--- @param lines string
--- @return table<string, string>
function headers.parse(lines)
  local fields, repeated, place = {}, {}, 1
  if lines:find "\n[ \t]" then lines = lines:gsub("\r?\n[ \t]+", " ") end -- a value may continue on the next line
  if lines:find "\r[^\n]" then lines = lines:gsub("\r([^\n])", " %1") end -- only "\n" ends a line
  while place <= #lines do
    local _, last, name, value = lines:find("^([^:\r\n]*[^: \t\r\n])[ \t]*:[ \t]*([^\r\n]*)[\r\n]*", place)
    if name then
      add(fields, repeated, headers.lower(name), value)
    else
      _, last = lines:find("[\r\n]+", place)
    end
    place = (last or #lines) + 1
  end
  for name, values in pairs(repeated) do fields[name] = table.concat(values, ", ") end
  return fields
end

--- Reads the headers that a driver or a caller passes.
--- @param given table|string|nil names in any case, and strings or arrays of strings; or the lines of a header
--- @return table<string, string>
function headers.read(given)
  if type(given) == "string" then return headers.parse(given) end
  local fields = {}
  for name, value in pairs(given or {}) do
    if type(name) == "string" then
      fields[headers.lower(name)] = type(value) == "table" and table.concat(value, ", ") or tostring(value)
    end
  end
  return fields
end

return headers
