-- run.lua: the page of one run: its facts, its scores beside those of the run before it, and a result per document.
local client = require "dashboard.client"
local html = require "dashboard.html"
local page = require "dashboard.page"
local problem = require "dashboard.problem"
local show = require "dashboard.show"
local watch = require "dashboard.watch"

local run = {}

local results_per_page = 50

-- ---- the facts ----

local fact = html.template [[<div><dt>{name}</dt><dd>{value}</dd></div>]]
local facts = html.template [[<dl class="facts">{facts}</dl>{failure}]]
local failure = html.template [[<p class="failure">{message}</p>]]
local filter = html.template [[<a href="/?{name}={path}">{id}</a>]]

local function link_to(name, id)
  if id == nil then return show.none end
  return filter { name = name, path = ngx.escape_uri(tostring(id)), id = id }
end

local function facts_of(shown, metrics)
  local lifecycle, timing = show.object(shown.lifecycle), show.object(shown.timing)
  local metric = metrics or {}
  local list = {
    { "Status", show.status(lifecycle) },
    { "Score", show.score(shown.score) },
    { "Change", show.change(metric.score, metric.prior_score) },
    { "Documents", show.documents(shown) },
    { "Duration", show.duration(timing.duration_ms) },
    { "Created", show.time(timing.created_at) },
    { "Experiment", link_to("experiment_id", shown.experiment_id) },
    { "Workflow", link_to("workflow_id", shown.workflow_id or show.object(shown.workflow).workflow_id) },
    { "Block", shown.block_id or show.none },
    { "Consensus", type(shown.n_consensus) == "number" and shown.n_consensus .. " votes" or show.none },
  }
  local message = lifecycle.message or lifecycle.reason
  return facts { facts = html.each(list, function(one) return fact { name = one[1], value = one[2] } end),
    failure = message and failure { message = message } }
end

-- ---- the watch ----

local watch_form = html.template [[<form method="post" action="/runs/{path}/watch">
<button>Watch in the background</button>
<span class="hint">The server waits for this run, also after you leave.</span></form>]]

local function watch_of(shown)
  local state = watch.of(shown.id)
  if state then return watch.summary() end
  return not show.is_finished(shown.lifecycle) and watch_form { path = ngx.escape_uri(shown.id) } or ""
end

-- ---- the scores ----

local scores = html.template [[<h2>Scores by target</h2>
<table class="narrow"><caption class="spoken">Scores by target, the lowest first</caption>
<thead><tr><th scope="col">Target</th><th scope="col" class="number">Score</th></tr></thead>
<tbody>{rows}</tbody></table>]]
local score_row = html.template [[<tr><th scope="row"><code>{path}</code></th>
<td class="number">{score}</td></tr>]]
local note = html.template [[<h2>Scores by target</h2><p class="note">{text}</p>]]

local function scores_of(metrics, err)
  if not metrics then return note { text = problem.line(err) } end
  if metrics.kind ~= "summary" then return note { text = metrics.message or "There are no metrics." } end
  local aggregate, list = show.object(metrics.aggregate), {}
  for path, score in pairs(show.object(aggregate.likelihoods or aggregate.diag)) do
    if type(score) == "number" then list[#list + 1] = { path = path, score = score } end
  end
  if #list == 0 then return note { text = "Blocks of this type have no scores by target." } end
  table.sort(list, function(a, b) return a.score < b.score or a.score == b.score and a.path < b.path end)
  return scores { rows = html.each(list, function(one)
    return score_row { path = one.path, score = show.score(one.score) }
  end) }
end

-- ---- the results ----

local row = html.template [[<tr data-key="{id}"><th scope="row">{name}<span class="under">{document}</span>
<span class="slim">{status} {message}</span></th>
<td class="wide">{status}<span class="under">{message}</span></td>
<td class="number">{score}</td><td class="number">{change}</td>
<td class="number wide">{duration}</td></tr>]]
local no_rows = html.template [[<tr><td colspan="5" class="empty">There are no results yet.</td></tr>]] {}

-- Returns the name of the file that went into a result.
local function file_of(result)
  for _, handle in pairs(show.object(result.handle_inputs)) do
    local name = show.object(show.object(handle).document).filename
    if name then return name end
  end
end

local function rows_of(results, metrics)
  if #results.data == 0 then return no_rows end
  local scored = {}
  for _, document in ipairs(show.object(metrics and metrics.documents)) do
    local id = show.object(document).id
    if id ~= nil then scored[id] = document end
  end
  return html.each(results.data, function(result)
    result = show.object(result)
    local score = scored[result.document_id] or {}
    local lifecycle = show.object(result.lifecycle)
    return row { id = result.id, document = result.document_id,
      name = score.filename or file_of(result) or result.document_id, status = show.status(lifecycle),
      message = lifecycle.message or lifecycle.reason, score = show.score(score.score),
      change = show.change(score.score, score.prior_score),
      duration = show.duration(show.object(result.timing).duration_ms) }
  end)
end

local link = html.template [[<a class="button" href="/runs/{path}{query}">{text}</a> ]]

local function pager_of(results, id, after)
  local next_cursor = results.list_metadata.after
  return {
    after and link { path = ngx.escape_uri(id), text = "First page" } or "",
    next_cursor and link { path = ngx.escape_uri(id), query = "?after=" .. ngx.escape_uri(next_cursor), text = "Next" },
  }
end

-- ---- the page ----

-- Returns a function that returns what `f` returned in a light thread of its own.
local function begin(f)
  local thread = ngx.thread.spawn(client.call, f)
  return function()
    local ok, value, err = ngx.thread.wait(thread)
    if not ok then error(value, 0) end
    return value, err
  end
end

-- Returns what changes while the page is open, and the run; or nil and an error. The three requests are sent at once.
local function parts_of(id, after)
  local shown_of = begin(function(experiments) return experiments.runs.get(id) end)
  local results = begin(function(experiments)
    return experiments.results.list { run_id = id, limit = results_per_page, after = after }
  end)
  local metrics_of = begin(function(experiments) return experiments.metrics.get { run_id = id } end)
  local shown, err = shown_of()
  local listed, results_err = results()
  local metrics, metrics_err = metrics_of()
  if not shown or not listed then return nil, err or results_err end
  return { facts = facts_of(shown, metrics), watches = watch_of(shown), scores = scores_of(metrics, metrics_err),
    rows = rows_of(listed, metrics), pager = pager_of(listed, id, after) }
end

local content = html.template [[<p class="back"><a href="/">All runs</a></p>
<h1>{id}</h1>
<section id="facts" aria-label="Facts">{facts}</section>
<section class="watches" id="watches" aria-live="polite" aria-label="Background watch">{watches}</section>
<div class="columns">
<section aria-labelledby="results-title"><h2 id="results-title">Results</h2>
<table><caption class="spoken">One result per document</caption>
<thead><tr><th scope="col">Document</th><th scope="col" class="wide">Status</th>
<th scope="col" class="number">Score</th>
<th scope="col" class="number">Change</th><th scope="col" class="number wide">Duration</th></tr></thead>
<tbody id="rows">{rows}</tbody></table>
<nav class="pager" id="pager" aria-label="Pages of results">{pager}</nav></section>
<section id="scores" aria-label="Scores by target">{scores}</section>
</div>]]

local function cursor()
  local after = ngx.req.get_uri_args().after
  return type(after) == "string" and after ~= "" and after or nil
end

-- GET /runs/ID
function run.page(id)
  local after = cursor()
  local parts, err = parts_of(id, after)
  if not parts then return page.send_problem(err) end
  parts.id = id
  page.send { title = id .. " · Retab", main = content(parts),
    live = "/live/runs/" .. ngx.escape_uri(id) .. (after and "?after=" .. ngx.escape_uri(after) or "") }
end

-- GET /live/runs/ID: the parts of the page that change.
function run.live(id)
  page.send_update(parts_of(id, cursor()))
end

-- POST /runs/ID/watch. Browsers say where a request comes from: another site cannot begin a watch.
function run.watch(id)
  local site = ngx.var.http_sec_fetch_site
  if site and site ~= "same-origin" then
    return page.send_problem { kind = "origin", message = "Sec-Fetch-Site: " .. site }
  end
  local ok, err = watch.start(id)
  if not ok then return page.send_problem(err) end
  return ngx.redirect("/runs/" .. ngx.escape_uri(id), 303)
end

return run
