--- detail.lua: the verb `get`: one run, all that it holds, as names and values.
local columns = require "retab.cli.columns"
local core = require("retab.native").core()
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"
local words = require "retab.cli.words"

local detail = {}

--- Prints the body of the last response: the server's own bytes.
function detail.print_body(session)
  local body = session.body:gsub("%s+$", "")
  terminal.write((terminal.is_terminal(1) and text.escape_json(body) or body) .. "\n")
end

local deepest = 4 -- tables in tables; the rest is in -o json

local function add_values(lines, prefix, value, depth)
  if type(value) ~= "table" then
    if value ~= core.null and value ~= nil then lines[#lines + 1] = { prefix, value } end
    return
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(depth < deepest and names or {}) do
    add_values(lines, (prefix == "" and "" or prefix .. ".") .. tostring(name), value[name], depth + 1)
  end
end

local function value_text(name, value)
  if type(value) == "boolean" then return tostring(value) end
  if name == "timing.duration_ms" and type(value) == "number" then
    return ("%s (%s)"):format(columns.show(value), columns.show_duration(value))
  end
  return text.clean(columns.show(value))
end

--- What a person looks for first.
local first = { "id", "lifecycle.status", "lifecycle.message", "lifecycle.reason", "score", "completed_document_count",
  "total_document_count", "error_count" }

--- Prints an object: what a person looks for first, then all else by name.
function detail.print(object)
  local lines, width = {}, 0
  add_values(lines, "", object, 0)
  local places = {}
  for place, name in ipairs(first) do places[name] = place end
  table.sort(lines, function(a, b)
    local place_a, place_b = places[a[1]] or #first + 1, places[b[1]] or #first + 1
    if place_a ~= place_b then return place_a < place_b end
    return a[1] < b[1]
  end)
  for _, line in ipairs(lines) do
    line[1] = text.clean(line[1])
    width = math.max(width, text.width(line[1]))
  end
  local written = {}
  for index, line in ipairs(lines) do
    local shown = value_text(line[1], line[2])
    if line[1] == "lifecycle.status" and terminal.has_colours(1) then
      shown = terminal.paint(terminal.status_colour(shown), shown)
    end
    written[index] = text.pad(line[1], width) .. "  " .. shown .. "\n"
  end
  terminal.write(table.concat(written))
end

function detail.run(arguments, session)
  local ok, run, _, err = pcall(session.runs.get, arguments.run_id)
  if not ok then words.fail_usage(words.of_misuse(run), arguments.verb) end
  if err then words.fail(err, arguments) end
  if arguments.format == "json" then return detail.print_body(session) end
  detail.print(run)
end

return detail
