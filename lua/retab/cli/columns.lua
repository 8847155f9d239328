--- columns.lua: the columns of runs and of results: where their values are, and how a person sees them. A second path
--- is that of the other shape in which servers send a run. rows.lua and grid.lua say what a column has.
local core = require("retab.native").core()
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"

local columns = {}

local type = type -- it is called for most cells
local null = core.null

-- ---- values ----

--- Returns a function that reads the field at a path such as "timing.created_at"; it returns nil for null, and where
--- there is none.
local function reader(path)
  local first, second, rest = path:match "^([^.]+)%.?([^.]*)%.?(.*)$"
  if second == "" then
    return function(item)
      local value = item[first]
      if value ~= null then return value end
    end
  end
  local read_rest = rest ~= "" and reader(rest)
  return function(item)
    local value = item[first]
    if type(value) ~= "table" then return nil end
    value = value[second]
    if read_rest then return type(value) == "table" and read_rest(value) or nil end
    if value ~= null then return value end
  end
end

--- Returns a function that reads the first of two paths that has a value.
local function reader_of(paths)
  local read, read_other = reader(paths[1]), paths[2] and reader(paths[2])
  if not read_other then return read end
  return function(item)
    local value = read(item)
    if value == nil then return read_other(item) end
    return value
  end
end

-- ---- how a person sees a value ----

--- Returns a value as text; "-" where there is none, and for tables and booleans. What prints it cleans it.
local function show(value)
  if type(value) == "string" and value ~= "" then return value end
  return type(value) == "number" and text.number(value) or "-"
end
columns.show = show

local function show_score(value)
  local is_usual = type(value) == "number" and value > -1e15 and value < 1e15
  return is_usual and ("%.3f"):format(value) or show(value)
end
columns.show_score = show_score

local minutes = {} -- the texts of durations from a minute to an hour, by their whole seconds in ms

local function show_duration(ms)
  if type(ms) ~= "number" or ms < 0 or ms >= 2 ^ 53 then return show(ms) end
  if ms < 60000 then return ("%.1fs"):format(math.floor(ms / 100) / 10) end
  local whole = ms - ms % 1000
  if minutes[whole] then return minutes[whole] end
  local seconds = math.floor(ms / 1000)
  if seconds < 3600 then
    minutes[whole] = ("%dm%02ds"):format(math.floor(seconds / 60), seconds % 60)
    return minutes[whole]
  end
  return ("%dh%02dm"):format(math.floor(seconds / 3600), math.floor(seconds / 60) % 60)
end
columns.show_duration = show_duration

--- Returns UTC to the minute.
local function show_minute(stamp)
  local shown = show(stamp)
  local day, minute, zone = shown:match "^(%d+%-%d+%-%d+)T(%d+:%d+)[%d:.]*(.*)$"
  return (zone == "Z" or zone == "+00:00") and day .. " " .. minute or shown
end

-- ---- the columns ----

--- Values of most columns repeat.
local function unique(column)
  column.is_unique = true
  return column
end

local function text_column(name, title, ...)
  return { name = name, title = title, paths = { ... }, show = show, is_flexible = true }
end

local function number_column(name, title, path, shown)
  return { name = name, title = title, paths = { path }, show = shown or show, is_right = true }
end

local function time_column(name, title)
  return unique {
    name = name, title = title, title_narrow = title .. " (UTC)", paths = { "timing." .. name }, show = show,
    show_narrow = show_minute,
  }
end

local function status_column()
  return { name = "status", title = "STATUS", paths = { "lifecycle.status" }, show = show,
    colour = terminal.status_colour }
end

--- What an array of columns also knows: `shown` are those of a table, by their worth: where a terminal has no room, the
--- last ones are left out.
columns.runs = {
  unique(text_column("id", "ID", "id")),
  status_column(),
  number_column("score", "SCORE", "score", show_score),
  number_column("completed_document_count", "DONE", "completed_document_count"),
  { name = "total_document_count", title = "TOTAL", paths = { "total_document_count", "document_count" }, show = show,
    is_right = true },
  number_column("error_count", "ERRORS", "error_count"),
  time_column("created_at", "CREATED"),
  time_column("started_at", "STARTED"),
  time_column("completed_at", "COMPLETED"),
  unique(number_column("duration_ms", "TOOK", "timing.duration_ms", show_duration)),
  text_column("block_id", "BLOCK", "block_id"),
  { name = "block_type", title = "TYPE", paths = { "block_type", "block_kind" }, show = show },
  text_column("workflow_id", "WORKFLOW", "workflow_id", "workflow.workflow_id"),
  text_column("workflow_version_id", "VERSION", "workflow_version_id", "workflow.version_id"),
  text_column("experiment_id", "EXPERIMENT", "experiment_id"),
  { name = "trigger_type", title = "TRIGGER", paths = { "trigger.type" }, show = show },
  number_column("n_consensus", "VOTERS", "n_consensus"),
  shown = { "id", "status", "score", "documents", "created_at", "error_count", "duration_ms", "block_id", "block_type",
    "workflow_id", "experiment_id" },
}

local small = {} -- the texts of small numbers
for number = 0, 200 do small[number] = ("%d"):format(number) end

--- Returns "3/12".
local function documents_of(run)
  local done, total = run.completed_document_count, run.total_document_count
  if total == nil or total == null then total = run.document_count end
  local shown_done, shown_total = small[done] or show(done), small[total] or show(total)
  if shown_done == "-" and shown_total == "-" then return null end
  return shown_done .. "/" .. shown_total
end

--- A column of tables only.
columns.documents = {
  name = "documents", title = "DOCS", read_item = documents_of, show = show, is_right = true,
  paths = { "total_document_count", "document_count", "completed_document_count" },
}

--- Returns the name of the first file that went into a result.
local function filename_of(result)
  local first, filename
  for name, handle in pairs(type(result.handle_inputs) == "table" and result.handle_inputs or {}) do
    local document = type(handle) == "table" and handle.document
    local found = type(document) == "table" and document.filename
    if type(found) == "string" and (not first or name < first) then first, filename = name, found end
  end
  return filename
end

columns.results = {
  unique(text_column("id", "ID", "id")),
  status_column(),
  text_column("document_id", "DOCUMENT", "document_id"),
  time_column("created_at", "CREATED"),
  time_column("started_at", "STARTED"),
  time_column("completed_at", "COMPLETED"),
  unique(number_column("duration_ms", "TOOK", "timing.duration_ms", show_duration)),
  number_column("attempt", "ATTEMPT", "attempt"),
  { name = "operation", title = "OPERATION", paths = { "artifact.operation" }, show = show },
  text_column("artifact_id", "ARTIFACT", "artifact.id"),
  { name = "block_type", title = "TYPE", paths = { "block_type" }, show = show },
  text_column("experiment_run_id", "RUN", "experiment_run_id"),
  text_column("experiment_id", "EXPERIMENT", "experiment_id"),
  { name = "filename", title = "FILE", paths = { "handle_inputs" }, read_item = filename_of, show = show,
    is_flexible = true },
  shown = { "id", "status", "filename", "duration_ms", "attempt", "document_id", "created_at", "operation",
    "artifact_id" },
}


for _, list in ipairs { columns.runs, columns.results, { columns.documents } } do
  for _, column in ipairs(list) do column.read = column.read_item or reader_of(column.paths) end
end

--- Returns the names of columns.
--- @return string[]
function columns.names(list)
  local names = {}
  for index, column in ipairs(list) do names[index] = column.name end
  return names
end

--- Finds one column by its name, or makes one of a path with a dot in it.
local function find(list, name)
  for _, column in ipairs(list) do
    if column.name == name then return column end
  end
  if name == "documents" and list == columns.runs then return columns.documents end
  local is_path = name:find(".", 1, true) and not ("." .. name .. "."):find("..", 1, true)
  if is_path then
    local read = reader(name)
    return {
      name = name, title = name:upper(), paths = { name }, read = read, show = show, is_flexible = true,
      read_item = name:find "%..*%." and read or nil,
    }
  end
  local near = text.nearest(name, columns.names(list))
  if near then return nil, ("unknown column '%s'. Did you mean '%s'?"):format(text.clean(name), near) end
  return nil, ("unknown column '%s'.\nThe columns are: %s,\nand paths with a dot such as timing.created_at.")
    :format(text.clean(name), table.concat(columns.names(list), ", "))
end

--- Returns the columns with these names.
--- @param list table columns.runs or columns.results
--- @param names string names with commas between them
--- @return table|nil chosen
--- @return string|nil problem
function columns.choose(list, names)
  local chosen = {}
  for name in (names .. ","):gmatch "%s*([^,]-)%s*," do
    local column, problem = find(list, name)
    if not column then return nil, problem end
    chosen[#chosen + 1] = column
  end
  return chosen
end

--- Returns the columns of a table that was not told which.
function columns.shown(list)
  return (columns.choose(list, table.concat(list.shown, ",")))
end

--- Returns the columns as they are shown where the width is limited.
function columns.narrow(chosen)
  local narrow = {}
  for index, column in ipairs(chosen) do
    narrow[index] = {}
    for name, value in pairs(column) do narrow[index][name] = value end
    narrow[index].show, narrow[index].title = column.show_narrow or column.show, column.title_narrow or column.title
  end
  return narrow
end

--- Returns the paths of fields that some columns need.
--- @return string[]
function columns.fields(chosen)
  local fields, seen = {}, {}
  for _, column in ipairs(chosen) do
    for _, path in ipairs(column.paths) do
      if not seen[path] then fields[#fields + 1], seen[path] = path, true end
    end
  end
  return fields
end

return columns
