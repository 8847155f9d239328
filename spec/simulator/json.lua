-- The little JSON that the simulator writes: strings, and another layout for a text it has written.

local json = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(char)
  return ESCAPES[char] or string.format("\\u%04x", char:byte())
end

function json.quote(text)
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local function scalar_end(text, from)
  if text:sub(from, from) ~= '"' then return text:find("[,:%]}]", from) - 1 end
  local at = from + 1
  while true do
    at = text:find('["\\]', at)
    if text:sub(at, at) == '"' then return at end
    at = at + 2
  end
end

-- Compact JSON → the same value, indented by two spaces. The text is trusted: it is the simulator's own.
function json.pretty(text)
  local out, depth, at = {}, 0, 1
  local function line() out[#out + 1] = "\n" .. ("  "):rep(depth) end
  while at <= #text do
    local char = text:sub(at, at)
    local stop = at
    if char == "{" or char == "[" then
      if text:find("^[%]}]", at + 1) then
        out[#out + 1] = text:sub(at, at + 1)
        stop = at + 1
      else
        out[#out + 1], depth = char, depth + 1
        line()
      end
    elseif char == "}" or char == "]" then
      depth = depth - 1
      line()
      out[#out + 1] = char
    elseif char == "," then
      out[#out + 1] = char
      line()
    elseif char == ":" then
      out[#out + 1] = ": "
    else
      stop = scalar_end(text, at)
      out[#out + 1] = text:sub(at, stop)
    end
    at = stop + 1
  end
  return table.concat(out)
end

return json
