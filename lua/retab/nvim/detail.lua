--- detail.lua: one run and its metrics as lines of a sheet. It sends nothing.
local age = require "retab.nvim.age"
local highlight = require "retab.nvim.highlight"
local problem = require "retab.nvim.problem"
local sheet = require "retab.nvim.sheet"

local detail = {}

local most_documents = 200
local most_paths = 50
local most_stack_lines = 40

local function table_of(value)
  return type(value) == "table" and value or {}
end

--- Returns the scalar values as one text; nil where there is none.
local function join(separator, ...)
  local parts = {}
  for index = 1, select("#", ...) do
    local value = select(index, ...)
    if value ~= nil and type(value) ~= "table" then parts[#parts + 1] = tostring(value) end
  end
  return parts[1] and table.concat(parts, separator) or nil
end

local function heading(lines, title)
  lines[#lines + 1] = {}
  lines[#lines + 1] = { { title, "RetabTitle" } }
end

--- Adds a label and its value, if there is one.
local function fact(lines, label, value, group)
  if value == nil then return end
  lines[#lines + 1] = { { ("%-12s"):format(label), "RetabLabel" }, { tostring(value), group } }
end

local function score_of(value)
  return type(value) == "number" and ("%.3f"):format(value) or nil
end

--- Returns the change between two scores as a chunk; nil where there is none.
local function change(score, prior)
  if type(score) ~= "number" or type(prior) ~= "number" then return nil end
  local difference = score - prior
  if math.abs(difference) < 0.0005 then return { "= 0.000", "RetabNote" } end
  return { ("%s %.3f"):format(difference > 0 and "▲" or "▼", math.abs(difference)),
    difference > 0 and "RetabBetter" or "RetabWorse" }
end

-- ---- the run ----

local function add_lifecycle(lines, run)
  local lifecycle = table_of(run.lifecycle)
  fact(lines, "Reason", join("", lifecycle.reason))
  local details = table_of(lifecycle.details)
  local message = join("", lifecycle.message) or join("", details.message)
  fact(lines, "Error", message, "RetabWorse")
  if details.message ~= message then fact(lines, "", join("", details.message)) end
  fact(lines, "Error code", join("", details.error_code))
  fact(lines, "In block", join(" ", details.block_name, details.block_id))
  if type(details.stack_trace) ~= "string" then return end
  heading(lines, "Stack trace of the server")
  local count = 0
  for line in details.stack_trace:gmatch "[^\r\n]+" do
    count = count + 1
    if count <= most_stack_lines then lines[#lines + 1] = { { "  " .. line } } end
  end
end

--- Returns a time with its age.
local function moment(time, now)
  if type(time) ~= "string" then return nil end
  local passed = age.of(time, now)
  return passed and ("%s (%s)"):format(time, passed) or time
end

local function add_run(lines, run, now)
  local timing, lifecycle = table_of(run.timing), table_of(run.lifecycle)
  local workflow = table_of(run.workflow)
  lines[1] = {
    { tostring(run.id), "RetabId" }, { "   " },
    { "r", "RetabKey" }, { " refreshes   ", "RetabNote" }, { "q", "RetabKey" }, { " closes", "RetabNote" },
  }
  fact(lines, "Status", join("", lifecycle.status) or "unknown", highlight.of_status(lifecycle.status))
  fact(lines, "Score", score_of(run.score), "RetabScore")
  fact(lines, "Documents", join(" of ", run.completed_document_count, run.total_document_count or run.document_count))
  if run.error_count ~= 0 then fact(lines, "Failed", join("", run.error_count), "RetabWorse") end
  fact(lines, "Experiment", join("", run.experiment_id))
  fact(lines, "Workflow", join(" ", run.workflow_id or workflow.workflow_id))
  fact(lines, "Version", join("", run.workflow_version_id or workflow.version_id))
  fact(lines, "Block", join(" ", run.block_id, run.block_type or run.block_kind))
  fact(lines, "Consensus", join("", run.n_consensus))
  fact(lines, "Trigger", join("", table_of(run.trigger).type))
  fact(lines, "Created", moment(timing.created_at, now))
  fact(lines, "Started", moment(timing.started_at, now))
  fact(lines, "Completed", moment(timing.completed_at, now))
  fact(lines, "Took", age.duration(timing.duration_ms))
  add_lifecycle(lines, run)
end

-- ---- its metrics ----

local function append(lines, more)
  for _, line in ipairs(more) do lines[#lines + 1] = line end
end

--- Adds rows with aligned columns, up to a number of them.
local function add_rows(lines, columns, rows, most)
  local left_out = #rows - most
  for index = #rows, most + 1, -1 do rows[index] = nil end
  append(lines, sheet.align(columns, rows))
  if left_out > 0 then lines[#lines + 1] = { { ("and %d more"):format(left_out), "RetabNote" } } end
end

--- Orders by score, the lowest first; what has none comes last.
local function sort(items)
  for index, item in ipairs(items) do item.index = index end
  table.sort(items, function(a, b)
    local left = type(a.score) == "number" and a.score or math.huge
    local right = type(b.score) == "number" and b.score or math.huge
    if left ~= right then return left < right end
    return a.index < b.index
  end)
end

local function add_documents(lines, documents)
  local items, rows = {}, {}
  for _, document in ipairs(table_of(documents)) do
    if type(document) == "table" then
      items[#items + 1] = {
        name = join("", document.filename) or join("", document.id),
        score = document.score, prior = document.prior_score,
      }
    end
  end
  if not items[1] then return end
  sort(items)
  for index, item in ipairs(items) do
    local score = score_of(item.score)
    rows[index] = { item.name and { item.name }, score and { score, "RetabScore" }, change(item.score, item.prior) }
  end
  heading(lines, "Documents, the lowest score first")
  add_rows(lines, { { title = "FILE", most = 50 }, { title = "SCORE", right = true }, { title = "CHANGE" } }, rows,
    most_documents)
end

--- Adds the scores by path of an extraction, or by label of the other blocks.
local function add_aggregate(lines, aggregate)
  local scores = table_of(aggregate.likelihoods or aggregate.diag)
  local items, rows = {}, {}
  for name, score in pairs(scores) do
    if type(name) == "string" then items[#items + 1] = { name = name, score = score } end
  end
  if not items[1] then return end
  table.sort(items, function(a, b) return a.name < b.name end)
  sort(items)
  for index, item in ipairs(items) do
    local score = score_of(item.score)
    rows[index] = { { item.name }, score and { score, "RetabScore" } }
  end
  local title = aggregate.likelihoods and "FIELD" or "LABEL"
  heading(lines, ("%s, the lowest score first"):format(aggregate.likelihoods and "Fields" or "Labels"))
  add_rows(lines, { { title = title, most = 60 }, { title = "SCORE", right = true } }, rows, most_paths)
end

local function add_summary(lines, metrics)
  heading(lines, "Metrics")
  local moved = change(metrics.score, metrics.prior_score)
  fact(lines, "Score", score_of(metrics.score) or "none yet", "RetabScore")
  if moved then
    local line = lines[#lines]
    line[#line + 1] = { "  " }
    line[#line + 1] = moved
    line[#line + 1] = { (" against %s of %s"):format(score_of(metrics.prior_score),
      join("", metrics.prior_run_id) or "the run before"), "RetabNote" }
  end
  fact(lines, "Scored", join(" of ", metrics.scored_document_count, metrics.total_document_count))
  add_aggregate(lines, table_of(metrics.aggregate))
  add_documents(lines, metrics.documents)
end

local function add_metrics(lines, metrics)
  if metrics.kind == "stale_metrics" then
    heading(lines, "Metrics")
    lines[#lines + 1] = { { "The metrics are out of date: " .. (join("", metrics.message) or "the experiment changed"),
      "RetabWorse" } }
    local last = table_of(metrics.last_run)
    fact(lines, "Last run", join("", last.run_id), "RetabId")
    fact(lines, "Score", score_of(last.score), "RetabScore")
  elseif metrics.kind == "no_metrics" then
    heading(lines, "Metrics")
    lines[#lines + 1] = { { join("", metrics.message) or "There are no metrics yet.", "RetabNote" } }
  else
    add_summary(lines, metrics)
  end
end

--- Returns a run as lines.
--- @param run retab.Run
--- @param found table `metrics`; `problem`, why they are missing; without both they are on their way
--- @param now number epoch seconds
--- @return table[] lines
function detail.lines(run, found, now)
  local lines = {}
  add_run(lines, run, now)
  if found.metrics then
    add_metrics(lines, found.metrics)
  elseif found.problem then
    lines[#lines + 1] = {}
    append(lines, problem.lines(found.problem))
  else
    heading(lines, "Metrics")
    lines[#lines + 1] = { { "Loading ...", "RetabNote" } }
  end
  return lines
end

return detail
