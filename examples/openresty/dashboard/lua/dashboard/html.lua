-- html.lua: templates of HTML. A `{name}` in a template becomes the value of that name, escaped. Only what another
-- template made is inserted as it is, so no text of the API or of a URL can become markup.
local html = {}

local Markup = {}

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- Returns the text of a value: of markup, of an array of values, or of anything else, which is escaped.
local function escape(value)
  if value == nil or value == false then return "" end
  if type(value) ~= "table" then return (tostring(value):gsub("[&<>\"']", entities)) end
  if getmetatable(value) == Markup then return value.text end
  local pieces = {}
  for index, item in ipairs(value) do pieces[index] = escape(item) end
  return table.concat(pieces)
end

html.escape = escape

-- Returns a function from a table of values to markup.
function html.template(text)
  return function(values)
    return setmetatable({ text = (text:gsub("{([%w_]+)}", function(name) return escape(values[name]) end)) }, Markup)
  end
end

-- Returns the array of `f(item)`.
function html.each(items, f)
  local pieces = {}
  for index, item in ipairs(items) do pieces[index] = f(item) end
  return pieces
end

return html
