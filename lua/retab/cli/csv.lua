--- csv.lua: rows of RFC 4180. It knows nothing of what is in them, nor where they go.
local text = require "retab.cli.text"

local csv = {}

local function quote(cell)
  if not cell:find '[",\r\n]' then return cell end
  return '"' .. cell:gsub('"', '""') .. '"'
end

--- Returns a value as the text of a cell: empty where there is none, and for objects and arrays.
local function cell_of(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return text.number(value) end
  return kind == "boolean" and tostring(value) or ""
end

local function line_of(cells)
  for index, cell in ipairs(cells) do cells[index] = quote(cell) end
  return table.concat(cells, ",") .. "\r\n"
end

--- Returns the header.
--- @param columns table { { name = }, ... }
--- @return string
function csv.header(columns)
  local names = {}
  for index, column in ipairs(columns) do names[index] = column.name end
  return line_of(names)
end

--- Returns the rows of some items as one text.
--- @param columns table { { read = function }, ... }
--- @param items table
--- @return string
function csv.rows(columns, items)
  local lines, count = {}, #columns
  for number, item in ipairs(items) do
    local cells = {}
    if type(item) ~= "table" then item = {} end
    for index = 1, count do cells[index] = cell_of(columns[index].read(item)) end
    local line, gaps = table.concat(cells, "\0"):gsub("%z", ",")
    -- a row without quotes, line breaks or further commas is written as it is
    if line:find '["\r\n]' or gaps ~= count - 1 or select(2, line:gsub(",", "")) ~= gaps then line = nil end
    lines[number] = line and line .. "\r\n" or line_of(cells)
  end
  return table.concat(lines)
end

return csv
