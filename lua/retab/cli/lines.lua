--- JSON lines: the items of a page as the API sent them, so that numbers, the order of keys and empty arrays survive
--- every Lua. It takes the text of a page that the library has accepted.
local core = require "retab.core"
local text = require "retab.cli.text"

local lines = {}

local function escape(char)
  local a, b, c = char:byte(1, 3)
  local code = c and (a - 224) * 4096 + (b - 128) * 64 + c - 128 or b and (a - 192) * 64 + b - 128 or a
  return ("\\u%04x"):format(code)
end

--- The JSON value that begins at `first`, with more behind it, and where it ends. It comes as one line; nothing else of
--- it is changed, but for escapes of what a terminal would obey.
local function value_at(body, first)
  local rest = body:sub(first)
  local _, _, stop = core.decode(rest, { fields = {} }) -- the decoder says where what follows the value begins
  local value = rest:sub(1, stop - 1):gsub("%s+$", "")
  value = value:gsub("[\t\r\n]%s*", "") -- in a string these are escapes, never bytes
  return text.clean(value, escape), first + stop - 1
end

--- @param body string
--- @return string[] items of `data`, in order
function lines.of(body)
  local items, position = {}, body:find '"'
  while position do
    local key
    key, position = value_at(body, position)
    position = body:find("[^%s:]", position)
    if key:find '^"data"' and body:find("^%[", position) then
      items, position = {}, body:find("[^%s,]", position + 1)
      while not body:find("^%]", position) do
        items[#items + 1], position = value_at(body, position)
        position = body:find("[^%s,]", position)
      end
    else
      position = select(2, value_at(body, position))
    end
    position = body:find('"', position)
  end
  return items
end

return lines
