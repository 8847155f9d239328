-- show.lua: how the values of runs and results look on a page. The API can leave out most of them.
local html = require "dashboard.html"

local show = {}

local none = html.template [[<span class="none" aria-hidden="true">–</span><span class="spoken">none</span>]] {}

-- Returns the value if it is a table, else an empty one.
function show.object(value)
  return type(value) == "table" and value or {}
end

local symbols = { completed = "✓", error = "!", cancelled = "×", running = "▶", queued = "…", pending = "…" }

local badge = html.template [[<span class="status {class}"><span aria-hidden="true">{symbol}</span> {status}</span>]]

-- A status that nobody knows is shown as it is.
function show.status(lifecycle)
  local status = tostring(show.object(lifecycle).status or "unknown")
  return badge { class = symbols[status] and status, symbol = symbols[status] or "?", status = status }
end

local finished = { completed = true, error = true, cancelled = true }

function show.is_finished(lifecycle)
  return finished[show.object(lifecycle).status] or false
end

function show.number(value, digits)
  if type(value) ~= "number" then return nil end
  return ("%." .. (digits or 3) .. "f"):format(value)
end

local score = html.template [[<span class="score"><span class="figure">{text}</span><svg class="bar" viewBox="0 0 100 4"
 preserveAspectRatio="none" aria-hidden="true"><rect width="{width}" height="4" rx="2"/></svg></span>]]

function show.score(value)
  if type(value) ~= "number" then return none end
  return score { text = show.number(value), width = math.max(0, math.min(100, value * 100)) }
end

local change = html.template
  [[<span class="change {class}"><span aria-hidden="true">{arrow}</span><span class="spoken">{word}</span>
 {text}</span>]]

-- Returns how a score differs from a prior one.
function show.change(now, prior)
  if type(now) ~= "number" or type(prior) ~= "number" then return none end
  local difference = now - prior
  local text = show.number(math.abs(difference))
  if text == "0.000" then return change { class = "same", arrow = "=", word = "unchanged", text = text } end
  if difference > 0 then return change { class = "up", arrow = "▲", word = "up", text = text } end
  return change { class = "down", arrow = "▼", word = "down", text = text }
end

local time = html.template [[<time datetime="{stamp}">{day} <span class="clock">{clock}</span></time>]]

-- RFC 3339 in UTC is cut at the minute; anything else is shown as it is.
function show.time(stamp)
  if stamp == nil then return none end
  local day, clock = tostring(stamp):match "^(%d+%-%d+%-%d+)T(%d+:%d+)[%d:.]*Z$"
  if not day then return tostring(stamp) end
  return time { stamp = stamp, day = day, clock = clock }
end

function show.duration(milliseconds)
  if type(milliseconds) ~= "number" then return none end
  local seconds = math.floor(milliseconds / 1000 + 0.5)
  if seconds < 60 then return ("%d s"):format(seconds) end
  if seconds < 3600 then return ("%d min %02d s"):format(seconds / 60, seconds % 60) end
  return ("%d h %02d min"):format(seconds / 3600, seconds % 3600 / 60)
end

local failures = html.template [[ <span class="failures">{count} failed</span>]]

function show.documents(run)
  local total, completed = run.total_document_count or run.document_count, run.completed_document_count
  if not total then return none end
  local errors = tonumber(run.error_count) or 0
  return { completed or 0, " of ", total, errors > 0 and failures { count = errors } }
end

show.none = none

return show
