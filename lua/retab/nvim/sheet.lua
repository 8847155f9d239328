--- sheet.lua: lines of highlighted text, and a buffer that shows them. A line is an array of chunks, a chunk is
--- { text, group }; the group may be missing. It knows nothing of runs.
local text = require "retab.nvim.text"

local sheet = {}

local api = vim.api
local namespace = api.nvim_create_namespace "retab"
local gap = "  " -- between two columns

--- Writes rows as lines with aligned columns.
--- @param columns table[] { title, right: aligned to the right, most: cells at most }
--- @param rows table[] arrays of chunks, one per column; a chunk may be false
--- @return table[] lines the first one has the titles; none ends with spaces
function sheet.align(columns, rows)
  local cells, widths = { {} }, {}
  for index, column in ipairs(columns) do
    cells[1][index] = { column.title, "RetabHeading" }
    widths[index] = text.width(column.title)
  end
  for _, row in ipairs(rows) do
    local line = {}
    for index, column in ipairs(columns) do
      local chunk = row[index] or { "-", "RetabNote" }
      line[index] = { text.cut(text.clean(chunk[1]), column.most or 40), chunk[2] }
      widths[index] = math.max(widths[index], text.width(line[index][1]))
    end
    cells[#cells + 1] = line
  end
  local lines = {}
  for number, row in ipairs(cells) do
    local line = {}
    for index, column in ipairs(columns) do
      local chunk = row[index]
      local space = (" "):rep(widths[index] - text.width(chunk[1]))
      local before = (index > 1 and gap or "") .. (column.right and space or "")
      if before ~= "" then line[#line + 1] = { before } end
      line[#line + 1] = chunk
      if not column.right and index < #columns and space ~= "" then line[#line + 1] = { space } end
    end
    lines[number] = line
  end
  return lines
end

--- Returns the plain lines, and the highlights as { line from 0, first byte from 0, last byte, group }.
local function flatten(lines)
  local plain, marks = {}, {}
  for number, line in ipairs(lines) do
    local parts, at = {}, 0
    for index, chunk in ipairs(line) do
      local part = text.clean(chunk[1])
      if chunk[2] and part ~= "" then marks[#marks + 1] = { number - 1, at, at + #part, chunk[2] } end
      parts[index], at = part, at + #part
    end
    plain[number] = table.concat(parts)
  end
  return plain, marks
end

local function equals(old, new)
  if #old ~= #new then return false end
  for index, line in ipairs(new) do
    if old[index] ~= line then return false end
  end
  return true
end

--- Has a buffer show lines, and removes all that was there. Where the text is the same, so are its highlights, and
--- nothing is written: a selection survives, and a long list costs little.
--- @param buffer integer
--- @param lines table[]
function sheet.show(buffer, lines)
  local plain, marks = flatten(lines)
  if equals(api.nvim_buf_get_lines(buffer, 0, -1, true), plain) then return end
  api.nvim_buf_clear_namespace(buffer, namespace, 0, -1)
  vim.bo[buffer].modifiable = true
  api.nvim_buf_set_lines(buffer, 0, -1, true, plain)
  vim.bo[buffer].modifiable = false
  vim.bo[buffer].modified = false
  for _, mark in ipairs(marks) do
    api.nvim_buf_set_extmark(buffer, namespace, mark[1], mark[2], { end_col = mark[3], hl_group = mark[4] })
  end
end

--- Returns the width of each line, in cells.
--- @param lines table[]
--- @return integer[]
function sheet.widths(lines)
  return vim.tbl_map(text.width, (flatten(lines)))
end

return sheet
