--- grid.lua: a table that is printed page by page and fits a terminal. It knows nothing of what is in it.
local rows = require "retab.cli.rows"
local text = require "retab.cli.text"

local grid = {}

local is_plain = text.is_plain

local gap = 2
local narrowest = 8 -- a flexible column is left out rather than cut below this

--- Returns the columns that are shown, and how wide: in their order, all that fit. The first one always is.
local function lay_out(columns, room)
  local shown, used = {}, -gap
  for index, column in ipairs(columns) do
    local left, width = room - used - gap, column.natural
    if width > left and (index == 1 or column.is_flexible and left >= narrowest) then width = left end
    if width <= left then
      column.width = width
      column.is_last = false
      shown[#shown + 1] = column
      used = used + gap + width
    end
  end
  shown[#shown].is_last = true
  return shown
end

--- Texts of so many spaces.
local blanks = setmetatable({}, { __index = function(blanks, count)
  blanks[count] = (" "):rep(count)
  return blanks[count]
end })

--- Returns a clean text that takes `width` cells, as wide as its column.
local function fit(column, cell, width)
  if width > column.width then
    cell = text.cut(cell, column.width)
    width = text.width(cell)
  end
  if width == column.width or column.is_last and not column.is_right then return cell end
  return column.is_right and blanks[column.width - width] .. cell or cell .. blanks[column.width - width]
end

local function line_of_titles(columns)
  local titles = {}
  for index, column in ipairs(columns) do titles[index] = fit(column, column.title, text.width(column.title)) end
  return table.concat(titles, blanks[gap]) .. "\n"
end

--- Returns a copy of the columns, with the widths of their titles.
local function titled(columns)
  local copies = {}
  for index, column in ipairs(columns) do
    local copy = {}
    for name, value in pairs(column) do copy[name] = value end
    copy.title = text.clean(column.title)
    copy.width = text.width(copy.title)
    copy.natural = copy.width
    copies[index] = copy
  end
  return copies
end

--- Creates a table. Its columns only grow from page to page, and one that has no room any more is left out from then
--- on. Where that happens, the titles come again.
--- @param columns table what rows.lua needs, and { title =, show =, is_flexible =, is_right =, colour = } for each; by
---   their worth: the last ones are left out first. show: returns the value itself where it is a text, else printable
---   ASCII; colour: returns the name of a text's colour
--- @param room number
--- @param paint function|nil (name of a colour, text) -> text
--- @return function page_of takes an array of items; returns their lines as one text
function grid.new(columns, room, paint)
  local shown, lines = titled(columns), {}
  local has_grown, write, forget

  --- Returns a function that returns the cell of a value, and notes how wide it is.
  local function teller(column)
    local show, colour_of = column.show, paint and column.colour
    return function(value)
      local cell = show(value)
      local width = #cell
      if cell == value and not is_plain(cell) then -- what show itself makes is plain
        cell = text.clean(cell)
        width = text.width(cell)
      end
      if width > column.natural then column.natural, has_grown = width, true end
      local colour = colour_of and colour_of(cell)
      if width ~= column.width then cell = fit(column, cell, width) end
      return colour and paint(colour, cell) or cell
    end
  end

  local function compile()
    local tell = {}
    for place, column in ipairs(shown) do tell[place] = teller(column) end
    write, forget = rows.compile(shown, blanks[gap], tell)
  end

  --- Lays the columns out by what they hold now. Returns true if some are left out.
  local function make_room()
    local count = #shown
    shown, has_grown = lay_out(shown, room), false
    if #shown == count then
      forget()
    else
      compile()
    end
    return #shown ~= count
  end

  return function(items)
    local titles, is_first, count = "", not write, #items
    if is_first then compile() end
    write(items, lines)
    if is_first or has_grown then
      if make_room() or is_first then titles = line_of_titles(shown) end
      write(items, lines)
    end
    lines[count + 1] = ""
    return titles .. table.concat(lines, "\n", 1, count + 1)
  end
end

return grid
