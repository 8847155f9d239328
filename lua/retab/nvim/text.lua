--- text.lua: text that is safe in a buffer, and as wide as a column. It knows nothing of runs.
local text = {}

--- Control characters (C0, DEL, C1), and characters that turn the direction of text.
local unsafe = { "%c", "\194[\128-\159]", "\226\128[\142\143\168-\174]", "\226\129[\166-\169]" }
local replacement = "\239\191\189" -- U+FFFD

--- Returns a value of the server as one line.
--- @param value any
--- @return string
function text.clean(value)
  local line = tostring(value)
  if not line:find "[%c\194\226]" then return line end -- nearly all
  for _, pattern in ipairs(unsafe) do line = line:gsub(pattern, replacement) end
  return line
end

--- @param line string
--- @return integer cells
function text.width(line)
  return line:find "[\128-\255]" and vim.fn.strdisplaywidth(line) or #line
end

--- Cuts a line that is wider than `width` cells. An ellipsis shows it.
--- @param line string
--- @param width integer
--- @return string
function text.cut(line, width)
  if text.width(line) <= width then return line end
  local count = math.min(vim.fn.strchars(line), width)
  repeat
    count = count - 1
    local part = vim.fn.strcharpart(line, 0, count)
    if text.width(part) < width then return part .. "…" end
  until count == 0
  return "…"
end

return text
