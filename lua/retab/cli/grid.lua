--- A table that is printed page by page and fits a terminal. It knows nothing of what is in it.
local text = require "retab.cli.text"

local grid = {}

local gap = 2
local narrowest = 8 -- a flexible column is left out rather than cut below this
local usual_terminal = 80

--- The columns of the terminal: those of COLUMNS where it is exported, else what the terminal says.
--- @return number width math.huge in a pipe or a file, where nothing needs to be cut
function grid.room()
  local columns = tonumber(os.getenv "COLUMNS")
  if columns and columns >= 1 then return columns end
  local is_terminal = os.execute "test -t 1"
  if is_terminal ~= true and is_terminal ~= 0 then return math.huge end -- Lua 5.1 gives the status
  local stty = io.popen "stty size </dev/tty 2>/dev/null"
  columns = tonumber(stty:read("*a"):match "^%d+ (%d+)")
  stty:close()
  return columns and columns >= 1 and columns or usual_terminal
end

--- Which columns are shown, and how wide: in their order, all that fit. The first one always is.
local function lay_out(columns, natural, room)
  local shown, used = {}, -gap
  for index, column in ipairs(columns) do
    local left, width = room - used - gap, natural[index]
    if width > left and column.flexible and (left >= narrowest or index == 1) then width = left end
    if width <= left then
      shown[#shown + 1] = { index = index, width = width, right = column.right }
      used = used + gap + width
    end
  end
  return shown
end

local function line_of(cells, shown)
  local line = {}
  for position, column in ipairs(shown) do
    local cell = text.cut(cells[column.index], column.width)
    local padding = (" "):rep(column.width - text.width(cell))
    line[position] = column.right and padding .. cell or cell .. padding
  end
  return (table.concat(line, (" "):rep(gap)):gsub(" +$", ""))
end

--- A table whose columns only grow from page to page. Where that changes which ones are shown, their names come again.
--- @param columns table { { name, flexible =, right = }, ... } by their worth: the last ones are left out first
--- @param room number
--- @return function page_of takes an array of rows, each an array of texts; gives an array of lines
function grid.new(columns, room)
  local names, natural, columns_shown = {}, {}, 0
  for index, column in ipairs(columns) do names[index], natural[index] = column[1], #column[1] end
  return function(rows)
    for _, row in ipairs(rows) do
      for index in ipairs(columns) do natural[index] = math.max(natural[index], text.width(row[index])) end
    end
    local shown, lines = lay_out(columns, natural, room), {}
    if #shown ~= columns_shown then lines[1], columns_shown = line_of(names, shown), #shown end
    for _, row in ipairs(rows) do lines[#lines + 1] = line_of(row, shown) end
    return lines
  end
end

return grid
