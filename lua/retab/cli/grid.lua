--- grid.lua: a table that is printed page by page and fits a terminal. It knows nothing of what is in it.
local text = require "retab.cli.text"

local grid = {}

local gap = 2
local narrowest = 8 -- a flexible column is left out rather than cut below this
local widest_format = 99 -- of a conversion such as "%-20s"
local unpack = table.unpack or unpack

--- Returns the columns that are shown, and how wide: in their order, all that fit. The first one always is.
local function lay_out(columns, natural, room)
  local shown, used = {}, -gap
  for index, column in ipairs(columns) do
    local left, width = room - used - gap, natural[index]
    if width > left and column.is_flexible and (left >= narrowest or index == 1) then width = left end
    if width <= left then
      shown[#shown + 1] = { index = index, width = width, is_right = column.is_right, is_cut = width < natural[index] }
      used = used + gap + width
    end
  end
  return shown
end

local function line_of(cells, shown, paint)
  local line = {}
  for position, column in ipairs(shown) do
    local cell = text.cut(cells[column.index], column.width)
    local is_last = position == #shown and not column.is_right
    local padded = is_last and cell or text.pad(cell, column.width, column.is_right)
    line[position] = paint and paint(column.index, cell, padded) or padded
  end
  return (table.concat(line, (" "):rep(gap)):gsub(" +$", ""))
end

--- Returns the format of a line whose cells are plain and not cut; nil where there is none.
local function format_of(shown)
  local parts = {}
  for position, column in ipairs(shown) do
    if column.is_cut or column.width > widest_format then return nil end
    if position == #shown and not column.is_right then
      parts[position] = "%s"
    else
      parts[position] = ("%%%s%ds"):format(column.is_right and "" or "-", column.width)
    end
  end
  return table.concat(parts, (" "):rep(gap)) .. "\n"
end

--- Creates a table whose columns only grow from page to page. Where that changes which ones are shown, their names come
--- again.
--- @param columns table { { title =, is_flexible =, is_right = }, ... } by their worth: the last ones are left out
---   first
--- @param room number
--- @param paint function|nil (index of a column, cell, padded cell) -> string: adds colours
--- @return function page_of takes an array of rows, each an array of texts; returns the lines as one text
function grid.new(columns, room, paint)
  local titles, natural, columns_shown, count = {}, {}, 0, #columns
  for index, column in ipairs(columns) do
    titles[index] = text.clean(column.title)
    natural[index] = text.width(titles[index])
  end

  --- Cleans the cells and widens the columns. Returns true if all cells are plain.
  local function measure(rows)
    local joined = {}
    for index, row in ipairs(rows) do joined[index] = table.concat(row) end
    local is_plain = text.is_plain(table.concat(joined))
    for index = 1, count do
      local width = natural[index]
      for number = 1, #rows do
        local row = rows[number]
        local cell = row[index]
        local cell_width = #cell
        if not is_plain then
          cell = text.clean(cell)
          row[index], cell_width = cell, text.width(cell)
        end
        if cell_width > width then width = cell_width end
      end
      natural[index] = width
    end
    return is_plain
  end

  return function(rows)
    local is_plain = measure(rows)
    local shown, lines = lay_out(columns, natural, room), {}
    if #shown ~= columns_shown then
      lines[1], columns_shown = line_of(titles, shown) .. "\n", #shown
    end
    local format = is_plain and not paint and #shown == count and format_of(shown)
    for _, row in ipairs(rows) do
      lines[#lines + 1] = format and format:format(unpack(row, 1, count)) or line_of(row, shown, paint) .. "\n"
    end
    return table.concat(lines)
  end
end

return grid
