--- export.lua: --resume: writes rows into a file, and goes on after its last whole row where the file exists. A program
--- that is killed leaves at most one row in part, which is cut off.
local core = require("retab.native").core()
local csv = require "retab.cli.csv"
local output = require "retab.cli.output"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"
local words = require "retab.cli.words"

local export = {}

local chunk_bytes = 64 * 1024

local function fail(message)
  terminal.say("retab-runs: " .. text.clean(message))
  os.exit(terminal.exit.failure)
end

-- ---- reading what a file holds ----

--- Finds the rows of a file without keeping it. A line break between quotes of csv does not end a row.
--- @return number rows whole rows
--- @return number stop the offset after the last whole row
--- @return number start the offset at which the last whole row starts
--- @return number[] ends the offsets after the first two rows
local function find_rows(file, size, is_csv)
  local rows, start, stop, offset, is_quoted, ends = 0, 0, 0, 0, false, {}
  local pattern = is_csv and '["\n]' or "\n"
  while true do
    local chunk = offset < size and file:read(chunk_bytes) -- a device has no size, and perhaps no end
    if not chunk then return rows, stop, start, ends end
    local place = 0
    while true do
      place = chunk:find(pattern, place + 1, not is_csv)
      if not place then break end
      if chunk:byte(place) == 34 then
        is_quoted = not is_quoted
      elseif not is_quoted then
        rows, start, stop = rows + 1, stop, offset + place
        if rows <= 2 then ends[rows] = stop end
      end
    end
    offset = offset + #chunk
  end
end

--- Returns the cells of a whole row of csv.
local function cells_of(row)
  local cells, place = {}, 1
  row = row:gsub("\r?\n$", "") .. ","
  while place <= #row do
    local cell, last
    if row:byte(place) == 34 then
      local from = place + 1
      repeat -- two quotes stand for one
        last = row:find('"', from, true) or #row
        from = last + 2
      until row:byte(last + 1) ~= 34
      cell = row:sub(place + 1, last - 1):gsub('""', '"')
      last = last + 1
    else
      last = row:find(",", place, true)
      cell = row:sub(place, last - 1)
    end
    cells[#cells + 1], place = cell, last + 1
  end
  return cells
end

--- Returns the id in the row between two offsets.
local function id_of(self, file, start, stop)
  file:seek("set", start)
  local row = file:read(stop - start)
  if not self.is_csv then
    local item = core.decode(row)
    return type(item) == "table" and item.id or nil
  end
  return cells_of(row)[self.id_place]
end

--- Cuts a file off. Plain Lua cannot: dd does where `of` is not to be kept (POSIX).
local function truncate(path, bytes)
  local quoted = "'" .. path:gsub("'", "'\\''") .. "'"
  if path:find "^%-" then quoted = "./" .. quoted end
  local status = os.execute(("dd if=/dev/null of=%s bs=1 seek=%.0f count=0 2>/dev/null"):format(quoted, bytes))
  if status ~= true and status ~= 0 then fail(("cannot shorten %s to its whole rows"):format(path)) end
end

--- Returns true if a file without a whole row can hold the first part of an export: such a file is written anew.
local function is_begun(start, self)
  if self.is_csv then return self.header:sub(1, #start) == start end
  local item = core.decode(start)
  return start == "" or start:sub(1, 1) == "{" and (item == nil or type(item.id) == "string")
end

--- Reads where to go on.
local function look_back(self)
  local file = io.open(self.path, "rb")
  if not file then return end
  local size = file:seek "end" or 0
  file:seek("set", 0)
  local rows, stop, start, ends = find_rows(file, size, self.is_csv)
  self.bytes = stop
  self.is_partial = size ~= stop
  file:seek("set", 0)
  if rows == 0 and not is_begun(file:read(chunk_bytes) or "", self) then
    words.fail_usage(("%s holds something else than an export: choose another file"):format(self.path), self.verb)
  end
  if self.is_csv and rows > 0 then
    file:seek("set", 0)
    if file:read(#self.header) ~= self.header then
      file:close()
      words.fail_usage(("%s has other columns than this export: choose another file, or the same --columns")
        :format(self.path), self.verb)
    end
    rows = rows - 1
  end
  self.rows = rows
  if rows > 0 then
    self.after = id_of(self, file, start, stop)
    self.first = id_of(self, file, self.is_csv and ends[1] or 0, self.is_csv and ends[2] or ends[1])
    if type(self.after) ~= "string" or self.after == "" then
      words.fail_usage(("the last row of %s has no id to go on from: choose another file"):format(self.path), self.verb)
    end
  end
  file:close()
end

-- ---- writing ----

local function open_file(self)
  if self.is_partial then truncate(self.path, self.bytes) end
  local file, problem = io.open(self.path, "ab")
  if not file then fail(problem) end
  file:setvbuf("full", chunk_bytes)
  self.file = file
end

--- Writes to the file, and waits until the system has it.
local function write(self, written)
  local ok, problem = self.file:write(written)
  if ok then ok, problem = self.file:flush() end
  if not ok then fail(problem) end
end

local function check(arguments, is_csv)
  local function refuse(message) words.fail_usage(message, arguments.verb) end
  if arguments.is_format_given and arguments.format ~= "jsonl" and arguments.format ~= "csv" then
    refuse(("--resume exports jsonl or csv, not %s"):format(arguments.format))
  end
  if arguments.columns and not is_csv then refuse "--columns is for csv: add -o csv" end
  if arguments.parallel then refuse "--parallel does not go with --resume: rows must come in one order" end
  if arguments.after or arguments.before then refuse "--resume finds its own place: leave out --after and --before" end
  if arguments.has_age then
    refuse(("--resume needs dates that stay the same, and an age does not: give --from-date %s")
      :format((arguments.from_date or arguments.to_date):sub(1, 10)))
  end
end

--- Ends the program where a page repeats a row: a server can ignore a cursor that it does not know, and begin again.
local function check_page(self, items)
  for _, item in ipairs(self.after and items or {}) do
    local id = type(item) == "table" and item.id
    if type(id) == "string" and (id == self.first or id == self.after) then
      fail(("the server begins again: it does not know the run of the last row of %s: choose another file")
        :format(self.path))
    end
  end
end

--- Opens an export: an output that writes into a file. Nothing is changed before start().
--- @param arguments table
--- @param list table columns.runs or columns.results
--- @param chosen table|nil columns
--- @return table output; after (a cursor), max_items, and is_complete where nothing is left to do
function export.new(arguments, list, chosen)
  local path = arguments.resume
  local is_csv = arguments.format == "csv" or not arguments.is_format_given and path:find "%.csv$" ~= nil
  check(arguments, is_csv)
  local self = { path = path, is_csv = is_csv, rows = 0, bytes = 0, verb = arguments.verb }
  if is_csv then
    chosen = chosen or list
    for place, column in ipairs(chosen) do
      if column.name == "id" then self.id_place = place end
    end
    if not self.id_place then words.fail_usage("--resume needs the column id: add it to --columns", arguments.verb) end
    self.header = csv.header(chosen)
  end
  look_back(self)
  local sink = output.new(is_csv and "csv" or "jsonl", list, chosen, function(rows) write(self, rows) end)
  local is_new = self.bytes == 0
  sink.after = self.after
  sink.max_items = arguments.max_items and arguments.max_items - self.rows
  sink.how_to_resume = "type the same command again"

  local add = sink.page
  function sink.page(items, texts)
    check_page(self, items)
    add(items, texts)
  end

  function sink.start()
    open_file(self)
    if is_new and is_csv then write(self, self.header) end
  end

  function sink.close() self.file:close() end

  function sink.say_footer(count)
    sink.close()
    if arguments.quiet then return end
    local before = self.rows > 0 and (", after %d that it had"):format(self.rows) or ""
    terminal.say(("%s added to %s%s"):format(text.count(count, "row"), text.clean(path), before))
  end

  if sink.max_items and sink.max_items <= 0 then
    sink.is_complete = true
    if not arguments.quiet then terminal.say(("%s is complete: %s"):format(path, text.count(self.rows, "row"))) end
  end
  return sink
end

return export
