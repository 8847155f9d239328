--- output.lua: the ways to print the items of a list: as a table, JSON, JSON lines, CSV or ids. Each takes page after
--- page and keeps nothing of them.
---
--- An output has: fields (the paths that it reads of an item), page(items, texts), and finish() where something follows
--- the last page. `texts` is a function that returns the server's own bytes of the items, and true if some can stand on
--- several lines; wants_texts: it is called.
local columns = require "retab.cli.columns"
local csv = require "retab.cli.csv"
local grid = require "retab.cli.grid"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"

local output = {}

--- What may reach stdout: all there is, but on a terminal nothing that it would obey.
local function for_stdout(clean)
  if terminal.is_terminal(1) then return clean end
  return function(line) return line end
end

--- Returns a JSON text on one line. In its strings, line breaks are escapes and never bytes.
local function one_line(item)
  return (item:gsub("[\n\r]%s*", ""))
end

--- Returns a function that takes items and returns the lines of a table.
--- @param chosen table columns
--- @return function
function output.lines_of(chosen)
  local room = terminal.width()
  if room < math.huge then chosen = columns.narrow(chosen) end
  return grid.new(chosen, room, terminal.has_colours(1) and terminal.paint or nil)
end

local formats = {}

function formats.table(chosen)
  local lines_of = output.lines_of(chosen)
  return {
    fields = columns.fields(chosen),
    page = function(items)
      if items[1] ~= nil then terminal.write(lines_of(items)) end
    end,
  }
end

function formats.ids()
  local clean = for_stdout(text.clean_lines)
  return {
    fields = { "id" },
    page = function(items)
      local ids, count = {}, 0
      for _, item in ipairs(items) do
        local id = type(item) == "table" and item.id
        if type(id) == "string" then
          count = count + 1
          ids[count] = id
        end
      end
      ids[count + 1] = ""
      terminal.write(clean(table.concat(ids, "\n")))
    end,
  }
end

--- @param write function|nil takes the rows, instead of stdout
function formats.csv(chosen, write)
  local has_header = write ~= nil -- export.lua writes it
  local clean = write and tostring or for_stdout(function(rows)
    return (rows:gsub("[^\r\n]+", text.clean))
  end)
  write = write or terminal.write
  local rows_of = csv.writer(chosen)
  local function add_header()
    if not has_header then write(csv.header(chosen)) end
    has_header = true
  end
  return {
    fields = columns.fields(chosen),
    page = function(items)
      add_header()
      write(clean(rows_of(items)))
    end,
    finish = add_header,
  }
end

function formats.jsonl(_, write)
  local clean = write and tostring or for_stdout(text.escape_json)
  write = write or terminal.write
  return {
    fields = { "id" }, wants_texts = true,
    page = function(_, texts)
      local items, has_breaks = texts()
      if not items[1] then return end
      if has_breaks then
        for index, item in ipairs(items) do items[index] = one_line(item) end
      end
      items[#items + 1] = ""
      write(clean(table.concat(items, "\n")))
    end,
  }
end

function formats.json()
  local clean, separator = for_stdout(text.escape_json), "[\n"
  return {
    fields = { "id" }, wants_texts = true,
    page = function(_, texts)
      local items = texts()
      if not items[1] then return end
      terminal.write(separator .. clean(table.concat(items, ",\n")))
      separator = ",\n"
    end,
    finish = function() terminal.write(separator == ",\n" and "\n]\n" or "[]\n") end,
  }
end

--- Creates an output.
--- @param format "table"|"json"|"jsonl"|"csv"|"ids"
--- @param list table columns.runs or columns.results
--- @param chosen table|nil columns
--- @param write function|nil of jsonl and csv: takes what is to be written
function output.new(format, list, chosen, write)
  return formats[format](chosen or (format == "csv" and list or columns.shown(list)), write)
end

-- ---- sorted ----

--- Returns a function that compares values: numbers, then texts, then what is absent.
local function comparison(is_descending)
  local ranks = { number = 1, string = 2 }
  return function(a, b)
    local rank_a, rank_b = ranks[type(a.value)] or 3, ranks[type(b.value)] or 3
    if rank_a ~= rank_b then return rank_a < rank_b end
    if rank_a == 3 or a.value == b.value then return a.place < b.place end
    if is_descending then return a.value > b.value end
    return a.value < b.value
  end
end

--- Wraps an output: keeps all items, and passes them on sorted.
--- @param under table an output
--- @param column table
--- @param is_descending boolean
function output.sorted(under, column, is_descending)
  local kept, has_breaks = {}, false
  local fields = columns.fields { column }
  for _, path in ipairs(under.fields) do fields[#fields + 1] = path end
  return {
    fields = fields, wants_texts = under.wants_texts,
    page = function(items, texts)
      local bytes, breaks = {}, false
      if under.wants_texts then bytes, breaks = texts() end
      has_breaks = has_breaks or breaks
      for index, item in ipairs(items) do
        local value = type(item) == "table" and column.read(item)
        kept[#kept + 1] = { item = item, text = bytes[index], value = value, place = #kept }
      end
    end,
    finish = function()
      table.sort(kept, comparison(is_descending))
      local items, bytes = {}, {}
      for index, entry in ipairs(kept) do items[index], bytes[index] = entry.item, entry.text end
      under.page(items, function() return bytes, has_breaks end)
      if under.finish then under.finish() end
    end,
  }
end

return output
