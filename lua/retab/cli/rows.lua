--- rows.lua: from items to lines. Calls and tables for each cell would take most of the time of an export, so the loop
--- over the items is compiled for the columns that were chosen. It knows nothing of widths or quotes.
local core = require("retab.native").core()

local rows = {}

--- Texts of a column that are kept for the next rows: most values repeat, and scores have four digits.
local most_kept = 10000

--- Columns that are joined at once: Lua limits the local variables and the registers of a function.
local most_joined = 20

local load = loadstring or load

--- Returns the source of an expression that is the value at a path of an item. The table on the way goes into `lines`.
--- @param holders table the variables of such tables, by their keys
local function value_at(path, lines, holders)
  local parent, key = path:match "^([^.]*)%.(.*)$"
  if not parent then return ("item[%q]"):format(path) end
  if not holders[parent] then
    local name = "holder" .. #lines -- no other has this number
    lines[#lines + 1] = ("local %s = item[%q]"):format(name, parent)
    lines[#lines + 1] = ("if type(%s) ~= 'table' then %s = nothing end"):format(name, name)
    holders[parent] = name
  end
  return ("%s[%q]"):format(holders[parent], key)
end

--- Returns the source of an expression that is the cell of a column.
local function cell_of(column, place, lines, holders)
  local value = "value" .. place
  if column.read_item then
    lines[#lines + 1] = ("local %s = columns[%d].read_item(item)"):format(value, place)
  else
    local first = value_at(column.paths[1], lines, holders)
    lines[#lines + 1] = ("local %s = %s"):format(value, first)
    if column.paths[2] then
      local other = value_at(column.paths[2], lines, holders)
      lines[#lines + 1] = ("if %s == nil or %s == null then %s = %s end"):format(value, value, value, other)
    end
  end
  lines[#lines + 1] = ("if %s == nil then %s = null end"):format(value, value)
  return ("(kept[%d][%s] or tell[%d](%s))"):format(place, value, place, value)
end

--- Returns the source of a function that puts the lines of items into a table.
local function source_of(columns, separator)
  local lines = {
    "local columns, kept, tell, null, nothing, type = ...",
    "return function(items, lines) for number = 1, #items do",
    "local item, line = items[number], ''",
    "if type(item) ~= 'table' then item = nothing end",
  }
  for first = 1, #columns, most_joined do
    local cells, holders = { "line" }, {}
    lines[#lines + 1] = "do"
    for place = first, math.min(first + most_joined - 1, #columns) do
      if place > 1 then cells[#cells + 1] = ("%q"):format(separator) end
      cells[#cells + 1] = cell_of(columns[place], place, lines, holders)
    end
    lines[#lines + 1] = "line = " .. table.concat(cells, " .. ")
    lines[#lines + 1] = "end"
  end
  lines[#lines + 1] = "lines[number] = line"
  lines[#lines + 1] = "end end"
  return table.concat(lines, "\n")
end

--- Returns a table that is empty but for the texts of null.
local function new_kept(tell)
  return { [core.null] = tell(core.null) }
end

--- Creates a function that turns items into lines.
--- @param columns table { { paths =, read_item =, is_unique = }, ... }; paths: one or two, each of one or two keys: the
---   value is at the first that has one; read_item: a function that returns it, instead; is_unique: values do not
---   repeat, so their texts are not kept
--- @param separator string between two cells
--- @param tell function[] for each column: returns the text of a value, which is null where there is none
--- @return function write (items, lines): puts the line of each item into `lines`
--- @return function forget has what was kept told again
function rows.compile(columns, separator, tell)
  local kept, keeping, counts = {}, {}, {}
  local function forget()
    for place in ipairs(columns) do kept[place], counts[place] = new_kept(tell[place]), 0 end
  end
  for place, column in ipairs(columns) do
    keeping[place] = column.is_unique and tell[place] or function(value)
      local shown = tell[place](value)
      if type(value) == "table" then return shown end
      if counts[place] == most_kept then kept[place], counts[place] = new_kept(tell[place]), 0 end
      kept[place][value], counts[place] = shown, counts[place] + 1
      return shown
    end
  end
  forget()
  return assert(load(source_of(columns, separator)))(columns, kept, keeping, core.null, {}, type), forget
end

return rows
