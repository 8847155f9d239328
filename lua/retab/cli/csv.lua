--- csv.lua: rows of RFC 4180. It does not know where they go.
local rows = require "retab.cli.rows"
local text = require "retab.cli.text"

local csv = {}

local find, type = string.find, type -- they are called for most cells

local function quote(cell)
  if find(cell, '^[^",\r\n]*$') then return cell end
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
  local tell, lines = {}, {}
  for place in ipairs(chosen) do tell[place] = cell_of end
  local write = rows.compile(chosen, ",", tell)
  return function(items)
    local count = #items
    write(items, lines)
    lines[count + 1] = ""
    return table.concat(lines, "\r\n", 1, count + 1)
  end
end

return csv
