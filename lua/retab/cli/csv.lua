--- csv.lua: rows of RFC 4180. It does not know where they go.
local columns = require "retab.cli.columns"
local text = require "retab.cli.text"

local csv = {}

local no_fields = {} -- of an item that is no object

local function quote(cell)
  if not cell:find '[",\r\n]' then return cell end
  return '"' .. cell:gsub('"', '""') .. '"'
end

--- Returns a value as a cell: empty where there is none, and for objects and arrays.
local function cell_of(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "number" then return text.number(value) end
  return kind == "boolean" and tostring(value) or ""
end

--- Returns the header.
--- @param chosen table columns of columns.lua
--- @return string
function csv.header(chosen)
  local names = {}
  for index, column in ipairs(chosen) do names[index] = quote(column.name) end
  return table.concat(names, ",") .. "\r\n"
end

--- Creates a function that takes items and returns their rows as one text.
--- @param chosen table columns of columns.lua
--- @return function
function csv.writer(chosen)
  local tellers, count = {}, #chosen
  for index, column in ipairs(chosen) do tellers[index] = columns.teller(column, cell_of) end
  local cells = {}
  return function(items)
    local lines = {}
    for number, item in ipairs(items) do
      if type(item) ~= "table" then item = no_fields end
      for index = 1, count do cells[index] = tellers[index](item) end
      lines[number] = table.concat(cells, ",")
    end
    lines[#lines + 1] = ""
    return table.concat(lines, "\r\n")
  end
end

return csv
