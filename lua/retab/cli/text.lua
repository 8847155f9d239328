--- text.lua: text for a terminal: what of it may be shown, and how wide it is. It knows nothing of tables or runs.
local text = {}

local find = string.find

local replacement = "\239\191\189" -- U+FFFD

--- Returns true for the UTF-8 of a character that a terminal obeys instead of showing it: C1 controls, line separators,
--- and what changes the direction of text.
local function is_unsafe(char)
  return char:find "^\194[\128-\159]" or char == "\216\156" or char:find "^\226\128[\142\143\168-\174]"
    or char:find "^\226\129[\166-\169]"
end

--- Returns true for one well-formed UTF-8 sequence (RFC 3629).
local function is_well_formed(char)
  local first, second = char:byte(1, 2)
  local length = first >= 0xF0 and 4 or first >= 0xE0 and 3 or 2
  if first < 0xC2 or first > 0xF4 or #char ~= length then return false end
  return not (first == 0xE0 and second < 0xA0 or first == 0xED and second > 0x9F or first == 0xF0 and second < 0x90
    or first == 0xF4 and second > 0x8F)
end

--- Returns true if a text holds only printable ASCII: it can be shown, and is as wide as it is long.
--- @param line string
--- @return boolean
function text.is_plain(line)
  return find(line, "^[ -~]*$") ~= nil -- a search for others takes longer
end

--- Replaces controls (C0, DEL, C1), what changes the direction of text, and bytes that are not UTF-8. A line break and
--- the blanks around it become a space.
--- @param line string
--- @return string
function text.clean(line)
  if text.is_plain(line) then return line end
  line = line:gsub(" *[\r\n\t][ \r\n\t]*", " "):gsub("[%c\127]", replacement)
  return (line:gsub("[\128-\255][\128-\191]*", function(char)
    if is_well_formed(char) then return is_unsafe(char) and replacement or nil end
    -- several sequences can touch, such as a character and stray bytes after it
    local whole = char:match "^[\194-\223][\128-\191]" or char:match "^[\224-\239][\128-\191][\128-\191]"
      or char:match "^[\240-\244][\128-\191][\128-\191][\128-\191]"
    if not whole or not is_well_formed(whole) then whole = nil end
    local rest = #char - (whole and #whole or 0)
    return (whole and (is_unsafe(whole) and replacement or whole) or "") .. replacement:rep(rest)
  end))
end

--- Cleans each line of a text.
--- @param lines string
--- @return string
function text.clean_lines(lines)
  return (lines:gsub("[^\n]+", text.clean))
end

local function escape(char)
  local a, b, c = char:byte(1, 3)
  local code = c and (a - 224) * 4096 + (b - 128) * 64 + c - 128 or b and (a - 192) * 64 + b - 128 or a
  return ("\\u%04x"):format(code)
end

--- Writes what a terminal would obey in a JSON text as escapes, which stand for the same.
--- @param json string valid JSON
--- @return string
function text.escape_json(json)
  if not json:find "[\127-\255]" then return json end
  return (json:gsub("\127", escape):gsub("[\194-\244][\128-\191]+", function(char)
    return is_unsafe(char) and escape(char) or nil
  end))
end

-- ---- width ----

local utf8_char = "[%z\1-\127\194-\244][\128-\191]*"

--- Ranges of characters that do not take one cell: marks and joiners take none, East Asian ones and emoji two. It is
--- close enough for columns to line up.
local widths = {
  { "\204\128", "\205\175", 0 }, { "\226\128\139", "\226\128\141", 0 }, { "\239\184\128", "\239\184\143", 0 },
  { "\225\132\128", "\225\133\159", 2 }, { "\226\186\128", "\237\158\175", 2 }, { "\239\188\129", "\239\189\160", 2 },
  { "\240\159\140\128", "\244\143\191\191", 2 },
}

local function char_width(char)
  for _, range in ipairs(#char > 1 and widths or {}) do
    if char >= range[1] and char <= range[2] then return range[3] end
  end
  return 1
end

--- Returns the number of cells of a terminal that a line takes.
--- @param line string clean
--- @return number
function text.width(line)
  if not line:find "[\128-\255]" then return #line end
  local width = 0
  for char in line:gmatch(utf8_char) do width = width + char_width(char) end
  return width
end

--- Cuts a line that is wider than `width` cells; an ellipsis shows that.
--- @param line string clean
--- @param width number
--- @return string
function text.cut(line, width)
  if #line <= width or text.width(line) <= width then return line end
  local kept, used = {}, 0
  for char in line:gmatch(utf8_char) do
    used = used + char_width(char)
    if used >= width then break end
    kept[#kept + 1] = char
  end
  return table.concat(kept) .. "…"
end

--- Breaks a line that is wider than `width` cells at its spaces. What follows is indented. A word that fits no line
--- stays where it is.
--- @param line string clean
--- @param width number
--- @return string
function text.wrap(line, width)
  if text.width(line) <= width then return line end
  local indent, lines, current = line:match "^ *" .. "  ", {}, nil
  for word in line:gmatch " *[^ ]+" do
    local is_over = current and text.width(current) + text.width(word) > width
    if is_over and #indent + text.width(word) - 1 <= width then
      lines[#lines + 1], current = current, indent .. word:match "[^ ]+"
    else
      current = (current or "") .. word
    end
  end
  lines[#lines + 1] = current
  return table.concat(lines, "\n")
end

--- Fills a line up to `width` cells.
--- @param line string clean
--- @param width number
--- @param right boolean|nil the line stands at the right
--- @return string
function text.pad(line, width, right)
  local padding = (" "):rep(width - text.width(line))
  return right and padding .. line or line .. padding
end

--- Returns a number with all its digits.
--- @param value number
--- @return string
function text.number(value)
  if value % 1 == 0 and value > -1e15 and value < 1e15 then return ("%d"):format(value) end
  local short = ("%.14g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end

--- Returns "1 run", "2 runs".
--- @param n number
--- @param noun string
--- @return string
function text.count(n, noun)
  return ("%d %s%s"):format(n, noun, n == 1 and "" or "s")
end

--- Returns the word that is most like `wanted`, or nil where none is near.
--- @param wanted string
--- @param words string[]
--- @return string|nil
function text.nearest(wanted, words)
  local best, best_edits = nil, math.max(2, math.floor(#wanted / 3)) + 1
  wanted = wanted:lower()
  for _, word in ipairs(words) do
    local row = {}
    for j = 0, #word do row[j] = j end
    for i = 1, #wanted do
      local diagonal = row[0]
      row[0] = i
      for j = 1, #word do
        local cost = wanted:byte(i) == word:byte(j) and 0 or 1
        diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      end
    end
    local edits = row[#word]
    if #wanted >= 3 and word:find(wanted, 1, true) then edits = math.min(edits, 2) end
    if edits < best_edits then best, best_edits = word, edits end
  end
  return best
end

return text
