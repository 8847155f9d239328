--- columns.lua: the columns of runs and of results: where their values are, and how a person sees them. A second path
--- is that of the other shape in which servers send a run.
local core = require "retab.core"
local text = require "retab.cli.text"

local columns = {}

local null = core.null

--- Values of a column whose texts are kept for the next row: most values repeat.
local most_kept = 1000

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
  return type(value) == "number" and ("%.3f"):format(value) or show(value)
end
columns.show_score = show_score

local function show_duration(ms)
  if type(ms) ~= "number" or ms < 0 or ms >= 2 ^ 53 then return show(ms) end
  if ms < 60000 then return ("%.1fs"):format(math.floor(ms / 100) / 10) end
  local seconds = math.floor(ms / 1000)
  if seconds < 3600 then return ("%dm%02ds"):format(math.floor(seconds / 60), seconds % 60) end
  return ("%dh%02dm"):format(math.floor(seconds / 3600), math.floor(seconds / 60) % 60)
end
columns.show_duration = show_duration

--- Returns UTC to the minute where the width is limited, else what the server sent.
local function show_time(stamp, is_narrow)
  local shown = show(stamp)
  if not is_narrow then return shown end
  local day, minute, zone = shown:match "^(%d+%-%d+%-%d+)T(%d+:%d+)[%d:.]*(.*)$"
  return (zone == "Z" or zone == "+00:00") and day .. " " .. minute or shown
end

-- ---- the columns ----

--- is_unique: the values do not repeat.
local function text_column(name, title, ...)
  return { name = name, title = title, paths = { ... }, show = show, is_flexible = true }
end

local function number_column(name, title, path, shown)
  return { name = name, title = title, paths = { path }, show = shown or show, is_right = true }
end

local function time_column(name, title)
  return { name = name, title = title, paths = { "timing." .. name }, show = show_time, is_unique = true }
end

local function status_column()
  return { name = "status", title = "STATUS", paths = { "lifecycle.status" }, show = show, is_status = true }
end

--- What an array of columns also knows: `shown` are those of a table, by their worth: where a terminal has no room, the
--- last ones are left out.
columns.runs = {
  text_column("id", "ID", "id"),
  status_column(),
  number_column("score", "SCORE", "score", show_score),
  number_column("completed_document_count", "DONE", "completed_document_count"),
  { name = "total_document_count", title = "TOTAL", paths = { "total_document_count", "document_count" }, show = show,
    is_right = true },
  number_column("error_count", "ERRORS", "error_count"),
  time_column("created_at", "CREATED"),
  time_column("started_at", "STARTED"),
  time_column("completed_at", "COMPLETED"),
  number_column("duration_ms", "TOOK", "timing.duration_ms", show_duration),
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

--- "3/12": a column of tables only.
columns.documents = {
  name = "documents", title = "DOCS", paths = { "total_document_count", "document_count" }, is_right = true,
  needs = { "completed_document_count" },
  show = function(total, _, run)
    local done = run.completed_document_count
    if done == null then done = nil end
    if total == nil and done == nil then return "-" end
    return (done and small[done] or show(done)) .. "/" .. (total and small[total] or show(total))
  end,
}

columns.results = {
  text_column("id", "ID", "id"),
  status_column(),
  text_column("document_id", "DOCUMENT", "document_id"),
  time_column("created_at", "CREATED"),
  time_column("started_at", "STARTED"),
  time_column("completed_at", "COMPLETED"),
  number_column("duration_ms", "TOOK", "timing.duration_ms", show_duration),
  number_column("attempt", "ATTEMPT", "attempt"),
  { name = "operation", title = "OPERATION", paths = { "artifact.operation" }, show = show },
  text_column("artifact_id", "ARTIFACT", "artifact.id"),
  { name = "block_type", title = "TYPE", paths = { "block_type" }, show = show },
  text_column("experiment_run_id", "RUN", "experiment_run_id"),
  text_column("experiment_id", "EXPERIMENT", "experiment_id"),
  shown = { "id", "status", "document_id", "created_at", "duration_ms", "operation", "artifact_id", "attempt" },
}

columns.runs[1].is_unique, columns.results[1].is_unique, columns.documents.is_unique = true, true, true

for _, list in ipairs { columns.runs, columns.results, { columns.documents } } do
  for _, column in ipairs(list) do column.read = reader_of(column.paths) end
end

local function names_of(list)
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
    return { name = name, title = name:upper(), paths = { name }, read = reader(name), show = show, is_flexible = true }
  end
  local near = text.nearest(name, names_of(list))
  if near then return nil, ("unknown column '%s'. Did you mean '%s'?"):format(text.clean(name), near) end
  return nil, ("unknown column '%s'.\nThe columns are: %s,\nand paths with a dot such as timing.created_at.")
    :format(text.clean(name), table.concat(names_of(list), ", "))
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

--- Returns a function that returns the text of a column for an item, and keeps the texts of values that repeat.
--- @param column table
--- @param convert function (value, is_narrow, item) -> text
--- @param is_narrow boolean|nil
--- @return function takes an item, which is a table
function columns.teller(column, convert, is_narrow)
  local read = column.read
  if column.is_unique then
    return function(item) return convert(read(item), is_narrow, item) end
  end
  local kept, count, absent = {}, 0, convert(nil, is_narrow, {})
  return function(item)
    local value = read(item)
    if value == nil then return absent end
    local shown = kept[value]
    if shown then return shown end
    shown = convert(value, is_narrow, item)
    if type(value) == "table" or value ~= value then return shown end
    if count == most_kept then kept, count = {}, 0 end
    kept[value], count = shown, count + 1
    return shown
  end
end

--- Returns the paths of fields that some columns need.
--- @return string[]
function columns.fields(chosen)
  local fields, seen = {}, {}
  local function add(paths)
    for _, path in ipairs(paths) do
      if not seen[path] then fields[#fields + 1], seen[path] = path, true end
    end
  end
  for _, column in ipairs(chosen) do
    add(column.paths)
    add(column.needs or {})
  end
  return fields
end

return columns
