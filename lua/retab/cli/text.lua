--- Text for a terminal: what of it may get there, and how wide it is. It takes valid UTF-8, which is all that the
--- library lets through, and knows nothing of tables or runs.
local text = {}

--- What a terminal would obey instead of showing it: controls (C0, DEL, C1), and what turns the direction of text.
local unsafe = { "%c", "\194[\128-\159]", "\226\128[\142\143\168-\174]", "\226\129[\166-\169]" }

local utf8_char = "[%z\1-\127\194-\244][\128-\191]*"

--- Ranges of characters that do not take one cell: marks and joiners take none, East Asian ones and emoji two. It is
--- close enough for columns to line up.
local widths = {
  { "\204\128", "\205\175", 0 }, { "\226\128\139", "\226\128\141", 0 }, { "\239\184\128", "\239\184\143", 0 },
  { "\225\132\128", "\225\133\159", 2 }, { "\226\186\128", "\237\158\175", 2 }, { "\239\188\129", "\239\189\160", 2 },
  { "\240\159\140\128", "\244\143\191\191", 2 },
}

--- @param line string
--- @param replacement string|function|nil of each unsafe character, as gsub takes it; U+FFFD unless given
--- @return string
function text.clean(line, replacement)
  for _, pattern in ipairs(unsafe) do line = line:gsub(pattern, replacement or "\239\191\189") end
  return line
end

local function char_width(char)
  for _, range in ipairs(#char > 1 and widths or {}) do
    if char >= range[1] and char <= range[2] then return range[3] end
  end
  return 1
end

--- @param line string
--- @return number cells of a terminal
function text.width(line)
  if not line:find "[\128-\255]" then return #line end
  local width = 0
  for char in line:gmatch(utf8_char) do width = width + char_width(char) end
  return width
end

--- Cuts a line that is wider than `width` cells, and says so with an ellipsis.
--- @param line string
--- @param width number
--- @return string
function text.cut(line, width)
  if text.width(line) <= width then return line end
  local kept, used = {}, 0
  for char in line:gmatch(utf8_char) do
    used = used + char_width(char)
    if used >= width then break end
    kept[#kept + 1] = char
  end
  return table.concat(kept) .. "…"
end

return text
