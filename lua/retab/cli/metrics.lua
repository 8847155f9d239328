--- metrics.lua: the verb `metrics`: scores of a run beside those of the run before.
local columns = require "retab.cli.columns"
local detail = require "retab.cli.detail"
local grid = require "retab.cli.grid"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"
local words = require "retab.cli.words"

local metrics = {}

local least_change = 0.0005 -- a change that three digits do not show is none

local function score(value)
  return type(value) == "number" and columns.show_score(value) or "-"
end

--- Returns the change from a prior score as an arrow and a number; "-" where one of them is missing.
local function change_of(current, prior)
  if type(current) ~= "number" or type(prior) ~= "number" then return "-" end
  local change = current - prior
  if math.abs(change) < least_change then return "= 0.000" end
  return ("%s %+.3f"):format(change > 0 and "▲" or "▼", change)
end

--- Green is better, red is worse.
local function change_colour(cell)
  return cell:find "▲" and "green" or cell:find "▼" and "red" or nil
end

local deepest = 3 -- tables in tables that are shown

--- Returns a value as text; a table much as JSON.
local function value_text(value, depth)
  depth = depth or 0
  if type(value) == "boolean" then return tostring(value) end
  if type(value) ~= "table" then return columns.show(value) end
  if depth == deepest then return "{...}" end
  local parts, names = {}, {}
  for index, item in ipairs(value) do parts[index] = value_text(item, depth + 1) end
  if parts[1] then return "[" .. table.concat(parts, ", ") .. "]" end
  for name in pairs(value) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for index, name in ipairs(names) do parts[index] = name .. ": " .. value_text(value[name], depth + 1) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- Returns a table; nothing where there are no rows.
--- @param titles table { { title, is_flexible =, is_right =, colour = }, ... }
--- @param rows table arrays of texts
local function table_of(titles, rows)
  if not rows[1] then return "" end
  local chosen = {}
  for place, title in ipairs(titles) do
    chosen[place] = {
      title = title[1], is_flexible = place == 1 or title.is_flexible, is_right = title.is_right,
      colour = title.colour, show = columns.show, read_item = function(row) return row[place] end,
    }
  end
  return "\n" .. grid.new(chosen, terminal.width(), terminal.has_colours(1) and terminal.paint)(rows)
end

local score_column, prior_column = { "SCORE", is_right = true }, { "PRIOR", is_right = true }
local change_column = { "CHANGE", is_right = true, colour = change_colour }

--- Returns a table of a name, a score, the prior score, the change, and a value. Documents have an id too.
local function scored_table(title, list, name_of, has_value)
  local titles = { { title }, score_column, prior_column, change_column }
  if has_value then titles[#titles + 1] = { "VALUE", is_flexible = true } end
  if title == "DOCUMENT" then titles[#titles + 1] = { "ID" } end
  local rows = {}
  for index, item in ipairs(type(list) == "table" and list or {}) do
    local row = { columns.show(name_of(item)), score(item.score), score(item.prior_score),
      change_of(item.score, item.prior_score) }
    if has_value then row[#row + 1] = value_text(item.value) end
    if title == "DOCUMENT" then row[#row + 1] = columns.show(item.id) end
    rows[index] = row
  end
  return table_of(titles, rows)
end

--- Returns a table of names to numbers, the lowest first: these are what to look at.
local function numbers_table(title, value_title, numbers)
  local rows = {}
  for name, value in pairs(type(numbers) == "table" and numbers or {}) do
    if type(value) == "number" then rows[#rows + 1] = { tostring(name), score(value), value } end
  end
  table.sort(rows, function(a, b)
    if a[3] ~= b[3] then return a[3] < b[3] end
    return a[1] < b[1]
  end)
  for _, row in ipairs(rows) do row[3] = nil end
  return table_of({ { title }, { value_title, is_right = true } }, rows)
end

local function flows_table(flows)
  local rows = {}
  for _, flow in ipairs(type(flows) == "table" and flows or {}) do
    rows[#rows + 1] = { columns.show(flow.source), columns.show(flow.target), score(flow.score) }
  end
  return table_of({ { "LABEL" }, { "TAKEN FOR" }, { "SHARE", is_right = true } }, rows)
end

local function confusion_tables(confusion)
  if type(confusion) ~= "table" then return "" end
  return numbers_table("LABEL", "RECOGNIZED", confusion.diag) .. flows_table(confusion.flows)
end

--- Returns the first lines: what it is about, and its score.
local function heading(about, received)
  local line = ("Score  %s"):format(score(received.score))
  local change = change_of(received.score, received.prior_score)
  if change ~= "-" then
    local prior_run = type(received.prior_run_id) == "string" and ", " .. text.clean(received.prior_run_id) or ""
    local painted = terminal.has_colours(1) and terminal.paint(change_colour(change), change) or change
    line = ("%s  %s  (prior %s%s)"):format(line, painted, score(received.prior_score), prior_run)
  end
  return text.clean(about) .. "\n" .. line .. "\n"
end

local function name_of_document(document)
  return type(document) == "table" and (document.filename or document.id) or "-"
end

local views = {}

function views.summary(received)
  local written = heading(("Run %s of %s (%s)"):format(columns.show(received.run_id),
    columns.show(received.experiment_id), columns.show(received.block_type)), received)
  if type(received.scored_document_count) == "number" then
    written = ("%sScored %d of %s\n"):format(written, received.scored_document_count,
      text.count(tonumber(received.total_document_count) or received.scored_document_count, "document"))
  end
  local aggregate = type(received.aggregate) == "table" and received.aggregate or {}
  return written .. scored_table("DOCUMENT", received.documents, name_of_document)
    .. numbers_table("FIELD", "LIKELIHOOD", aggregate.likelihoods) .. confusion_tables(aggregate)
end

function views.by_document(received)
  return heading(("Document %s of run %s"):format(columns.show(name_of_document(received.document)),
    columns.show(received.run_id)), received)
    .. scored_table("TARGET", received.targets, function(target) return target.path end, true)
    .. confusion_tables(received.confusion)
end

function views.by_target(received)
  local confusion = type(received.confusion) == "table" and received.confusion or {}
  return heading(("Target %s of run %s"):format(columns.show(received.target), columns.show(received.run_id)), received)
    .. scored_table("DOCUMENT", received.documents, name_of_document, true)
    .. numbers_table("TAKEN FROM", "SHARE", confusion.flow_from)
    .. numbers_table("GIVEN TO", "SHARE", confusion.flow_to)
end

function views.votes(received)
  local rows = {}
  for index, row in ipairs(type(received.rows) == "table" and received.rows or {}) do
    local votes = {}
    for place, vote in ipairs(type(row.votes) == "table" and row.votes or {}) do votes[place] = value_text(vote) end
    rows[index] = { value_text(row.consensus), score(row.score), table.concat(votes, " | ") }
  end
  return heading(("Votes on %s in %s of run %s"):format(columns.show(received.target),
    columns.show(name_of_document(received.document)), columns.show(received.run_id)), received)
    .. table_of({ { "CONSENSUS" }, score_column, { "VOTES", is_flexible = true } }, rows)
end

function views.stale_metrics(received)
  local last = type(received.last_run) == "table" and received.last_run or {}
  local reasons = {}
  for index, reason in ipairs(type(received.stale_reasons) == "table" and received.stale_reasons or {}) do
    reasons[index] = value_text(reason)
  end
  local written = ("%s\nThe last run is %s, with a score of %s.\n"):format(columns.show(received.message),
    columns.show(last.run_id), score(last.score))
  if reasons[1] then written = written .. "Why: " .. table.concat(reasons, ", ") .. "\n" end
  written = ("%sTo measure again: retab-runs create %s\n"):format(written, columns.show(received.experiment_id))
  return text.clean_lines(written)
end

function views.no_metrics(received)
  return text.clean_lines(columns.show(received.message) .. "\n")
end

--- What shows more than a view does.
local next_views = {
  summary = "--view by_document --document-id ID, or --view by_target --target-path FIELD",
  by_document = "--view votes --document-id ID --target-path TARGET",
  by_target = "--view votes --document-id ID --target-path TARGET",
}

--- The parameters of the library's name.
local function params_of(arguments)
  local include_prior
  if arguments.no_prior then include_prior = false end
  return {
    run_id = arguments.run_id, view = arguments.view, document_id = arguments.document_id,
    target_path = arguments.target_path, prior_run_id = arguments.prior_run_id, include_prior = include_prior,
  }
end

function metrics.run(arguments, session)
  local ok, received, _, err = pcall(session.experiments.metrics.get, params_of(arguments))
  if not ok then words.fail_usage(words.of_misuse(received), arguments.verb) end
  if err then words.fail(err, arguments) end
  if arguments.format == "json" or not views[received.kind] then return detail.print_body(session) end
  terminal.write(views[received.kind](received))
  local more = next_views[received.kind]
  if more and not arguments.quiet then
    terminal.say(("More: retab-runs metrics %s %s"):format(text.clean(arguments.run_id), more))
  end
end

return metrics
