-- runs.lua: the page that lists runs: the form of the filters, the charts, a table, and links to the pages around it.
local client = require "dashboard.client"
local filters = require "dashboard.filters"
local html = require "dashboard.html"
local page = require "dashboard.page"
local problem = require "dashboard.problem"
local show = require "dashboard.show"
local watch = require "dashboard.watch"

local runs = {}

local fields = { "id", "experiment_id", "block_id", "lifecycle.status", "lifecycle.message", "timing", "score",
  "document_count", "total_document_count", "completed_document_count", "error_count" }

-- ---- the form ----

local text_field = html.template [[<div><label for="{name}">{label}</label>
<input id="{name}" name="{name}" type="{type}" value="{value}"
 autocomplete="off" spellcheck="false" placeholder="{example}"{invalid}>
</div>]]
local choice_field = html.template [[<div><label for="{name}">{label}</label>
<select id="{name}" name="{name}"{invalid}>{options}</select></div>]]
local option = html.template [[<option value="{value}"{selected}>{text}</option>]]
local selected = html.template [[ selected]] {}
local invalid = html.template [[ aria-invalid="true" aria-describedby="problem-title"]] {}
local open = html.template [[ open]] {}

local form = html.template [[<form class="filters" method="get" action="/" aria-label="Filters">
<div class="fields">{first}</div>
<details{open}><summary>More filters</summary><div class="fields">{more}</div></details>
<p class="actions"><button>Apply filters</button> <a href="/">Clear</a></p>
</form>]]

local statuses = { { "", "Any" }, { "pending", "Pending" }, { "queued", "Queued" }, { "running", "Running" },
  { "completed", "Completed" }, { "error", "Error" }, { "cancelled", "Cancelled" } }
local no_status = { { "", "None" }, unpack(statuses, 2) }

local first_fields = {
  { "experiment_id", "Experiment", example = "exp_…" },
  { "workflow_id", "Workflow", example = "wf_…" },
  { "status", "Status", choices = statuses },
  { "from_date", "Created from", type = "date" },
  { "to_date", "Created until", type = "date" },
}
local more_fields = {
  { "block_id", "Block" },
  { "exclude_status", "Without the status", choices = no_status },
  { "trigger_type", "Trigger", example = "manual_run" },
  { "order", "Order", choices = { { "", "Newest first" }, { "asc", "Oldest first" } } },
  { "limit", "Runs per page", choices = { { "", "20" }, { "50", "50" }, { "100", "100" } } },
}

-- Returns the choices, with one more for a value that the URL has and the form lacks.
local function options_of(choices, value)
  local options, found = {}, value == ""
  for index, choice in ipairs(choices) do
    found = found or choice[1] == value
    options[index] = option { value = choice[1], text = choice[2], selected = choice[1] == value and selected }
  end
  if not found then options[#options + 1] = option { value = value, text = value, selected = selected } end
  return options
end

local function field(of, params, err)
  local name, value = of[1], params[of[1]]
  value = (type(value) == "string" or type(value) == "number") and tostring(value) or ""
  local kind = of.type or "text"
  -- A field of dates shows only days. Another date that the API takes stays visible as text.
  if kind == "date" and value ~= "" and not value:find "^%d%d%d%d%-%d%d%-%d%d$" then kind = "text" end
  local values = { name = name, label = of[2], type = kind, value = value, example = of.example,
    invalid = err and err.name == name and invalid }
  if not of.choices then return text_field(values) end
  values.options = options_of(of.choices, value)
  return choice_field(values)
end

local function form_of(params, err)
  local is_open = false
  for _, of in ipairs(more_fields) do is_open = is_open or params[of[1]] ~= nil end
  local function draw(of) return field(of, params, err) end
  return form { first = html.each(first_fields, draw), more = html.each(more_fields, draw), open = is_open and open }
end

-- ---- the table ----

local row = html.template [[<tr data-key="{id}"><th scope="row"><a href="/runs/{path}">{id}</a>
<span class="under">{experiment} · {block}</span>
<span class="slim">{status} {created}</span></th>
<td class="wide">{status}</td><td class="number">{score}</td><td class="wide">{documents}</td>
<td class="number wide">{duration}</td><td class="wide">{created}</td></tr>]]

local no_rows = html.template [[<tr><td colspan="6" class="empty"><strong>{title}</strong> {advice}</td></tr>]]

local function row_of(run)
  local timing = show.object(run.timing)
  return row { id = run.id, path = ngx.escape_uri(tostring(run.id)),
    experiment = run.experiment_id, block = run.block_id,
    status = show.status(run.lifecycle),
    score = show.score(run.score), documents = show.documents(run),
    duration = show.duration(timing.duration_ms), created = show.time(timing.created_at) }
end

local function rows_of(listed, params)
  if #listed.data > 0 then return html.each(listed.data, row_of) end
  -- The API can filter after it cut the page.
  if listed.list_metadata.after then
    return no_rows { title = "No runs on this page.", advice = "The next one can have some." }
  end
  return no_rows { title = "No runs match.", advice = next(params) and "Widen the dates, or clear a filter."
    or "Start a run of an experiment, and it appears here." }
end

local summary = html.template [[<strong>{count} on this page</strong>{parts}]]
local part = html.template [[<span>{status} {count}</span>]]

-- Counts the runs of the page by status.
local function summary_of(listed)
  local counts, order = {}, {}
  for _, run in ipairs(listed.data) do
    local status = tostring(show.object(run.lifecycle).status or "unknown")
    if not counts[status] then order[#order + 1] = status end
    counts[status] = (counts[status] or 0) + 1
  end
  table.sort(order, function(a, b) return counts[a] > counts[b] or counts[a] == counts[b] and a < b end)
  return summary { count = #listed.data == 1 and "1 run" or #listed.data .. " runs",
    parts = html.each(order, function(status)
      return part { status = show.status { status = status }, count = counts[status] }
    end) }
end

local link = html.template [[<a class="button" href="/{query}" rel="{rel}">{text}</a> ]]

-- The first page has no link back, whatever cursor the server sends with it.
local function pager_of(listed, params)
  local around = listed.list_metadata
  local has_cursor = params.before or params.after
  return {
    has_cursor and link { query = filters.query(params), rel = "start", text = "First page" },
    has_cursor and around.before
      and link { query = filters.query(params, { before = around.before }), rel = "prev", text = "Previous" },
    around.after and link { query = filters.query(params, { after = around.after }), rel = "next", text = "Next" },
  }
end

-- ---- the page ----

-- Returns what changes while the page is open, by the ids of its places; or nil and an error.
local function parts_of(params)
  local listed, err = client.call(function(experiments)
    return experiments.runs.list(params, { fields = fields })
  end)
  if not listed then return nil, err end
  local pager = {}
  for index = 1, 3 do pager[index] = pager_of(listed, params)[index] or "" end
  return { summary = summary_of(listed), rows = rows_of(listed, params), pager = pager, watches = watch.summary() }
end

local content = html.template [[<h1 class="spoken">Experiment runs</h1>
{form}
<section class="watches" id="watches" aria-live="polite" aria-label="Watched runs">{watches}</section>
<section class="charts" id="charts" data-chart="/chart{query}"
 aria-label="Charts" hidden>
<figure><figcaption><strong>Score over time</strong> <span id="score-text"></span></figcaption>
<div class="plot" id="score-plot" role="img"
 aria-label="Chart of scores over time" aria-describedby="score-text"></div></figure>
<figure><figcaption><strong>Duration over time</strong> <span id="duration-text"></span></figcaption>
<div class="plot" id="duration-plot" role="img"
 aria-label="Chart of durations over time" aria-describedby="duration-text"></div></figure>
</section>
<section class="list" aria-labelledby="list-title">
<h2 id="list-title" class="spoken">Runs</h2>
<p class="summary" id="summary">{summary}</p>
<table>
<caption class="spoken">Runs, {order}</caption>
<thead><tr><th scope="col">Run</th><th scope="col" class="wide">Status</th>
<th scope="col" class="number">Score</th><th scope="col" class="wide">Documents</th>
<th scope="col" class="number wide">Duration</th><th scope="col" class="wide">Created</th></tr></thead>
<tbody id="rows">{rows}</tbody>
</table>
<nav class="pager" id="pager" aria-label="Pages">{pager}</nav>
</section>]]

local failed = html.template [[<h1 class="spoken">Experiment runs</h1>
{form}
{notice}]]

-- GET /
function runs.page()
  local params = filters.read(ngx.req.get_uri_args())
  local parts, err = parts_of(params)
  if not parts then
    local notice = problem.notice(err, "/" .. filters.query(params, params))
    return page.send { status = problem.status(err), title = problem.title(err) .. " · Retab",
      main = failed { form = form_of(params, err), notice = notice } }
  end
  parts.form, parts.query = form_of(params), filters.query(params)
  parts.order = params.order == "asc" and "oldest first" or "newest first"
  page.send { title = "Experiment runs · Retab", main = content(parts),
    live = "/live" .. filters.query(params, params) }
end

-- GET /live: the parts of the page that change.
function runs.live()
  page.send_update(parts_of(filters.read(ngx.req.get_uri_args())))
end

return runs
