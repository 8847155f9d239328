-- The requests that arrived: one file for each scenario id, one line for each request. A line is a Lua table
-- constructor, so that `load` reads it in any Lua. Plain Lua: the server writes it, the specs read it.

local journal = {}

-- The number of files kept open between requests: a walk writes thousands of lines to the same one.
local MAX_OPEN = 64

local open_files, open_count = {}, 0

-- `%q` breaks the line at a newline; a record must not. Lua 5.1 reads a carriage return in a string as a newline.
local function quote(text)
  return (string.format("%q", text):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
end

local function quote_value(value)
  if type(value) ~= "table" then return quote(value) end
  local items = {}
  for i, item in ipairs(value) do items[i] = quote(item) end
  return "{" .. table.concat(items, ",") .. "}"
end

local function quote_map(map)
  local fields, n = {}, 0
  for name, value in pairs(map) do
    n = n + 1
    fields[n] = "[" .. quote(name) .. "]=" .. quote_value(value)
  end
  return "{" .. table.concat(fields, ",") .. "}"
end

local function line(record)
  return "{method=" .. quote(record.method) .. ",uri=" .. quote(record.uri) .. ",path=" .. quote(record.path)
    .. ",query=" .. quote(record.query) .. ",args=" .. quote_map(record.args)
    .. ",headers=" .. quote_map(record.headers) .. ",body=" .. quote(record.body)
    .. ",auth=" .. quote(record.auth) .. ",protocol=" .. quote(record.protocol)
    .. ",request_id=" .. quote(record.request_id)
    .. string.format(",connection=%d,time=%.3f}\n", record.connection, record.time)
end

local function path_of(directory, id)
  return directory .. "/log/" .. id
end

local function file_of(path)
  local file = open_files[path]
  if file then return file end
  if open_count == MAX_OPEN then
    for _, other in pairs(open_files) do other:close() end
    open_files, open_count = {}, 0
  end
  file = assert(io.open(path, "ab"))
  open_files[path], open_count = file, open_count + 1
  return file
end

-- Writes the whole line at once; readers see it when this returns.
function journal.append(directory, id, record)
  local file = file_of(path_of(directory, id))
  file:write(line(record))
  file:flush()
end

-- Returns the text of the file, an empty one if no request has arrived.
function journal.text(directory, id)
  local file = io.open(path_of(directory, id), "rb")
  if not file then return "" end
  local text = file:read("*a")
  file:close()
  return text
end

-- Returns the records in the order of arrival.
function journal.read(directory, id)
  local load = loadstring or load
  local records = {}
  for record in journal.text(directory, id):gmatch("[^\n]+") do
    records[#records + 1] = assert(load("return " .. record))()
  end
  return records
end

return journal
