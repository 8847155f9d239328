-- page.lua: what all pages have in common: the frame around their content, and how responses are sent.
local cjson = require "cjson"
local html = require "dashboard.html"
local problem = require "dashboard.problem"

local page = {}

local frame = html.template [[<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/uplot.css">
<link rel="stylesheet" href="/assets/dashboard.css">
<script src="/assets/uplot.js" defer></script>
<script src="/assets/dashboard.js" defer></script>
</head>
<body data-live="{live}" data-seconds="{seconds}">
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
<a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="24" height="24"> Experiment runs</a>
<div class="live" id="live" hidden><span class="dot" aria-hidden="true"></span><span id="live-text">Live</span>
<button type="button" id="pause" aria-pressed="false">Pause</button></div>
</header>
<main id="main" tabindex="-1">
{main}
</main>
<p class="spoken" role="status" id="announcement"></p>
<footer>Times are in UTC. This page requests its data from this server, which alone has the API key.</footer>
</body>
</html>
]]

-- Seconds between two updates of a page that is visible.
local seconds = tonumber(os.getenv "DASHBOARD_SECONDS") or 5

-- Sends a page: `title`, `main` (markup), `status`, `live` (the address of its updates).
function page.send(values)
  ngx.status = values.status or 200
  ngx.header["Content-Type"] = "text/html; charset=utf-8"
  ngx.header["Cache-Control"] = "no-store"
  ngx.print(html.escape(frame { title = values.title, main = values.main, live = values.live, seconds = seconds }))
end

-- Sends a page that says what is wrong, and nothing else.
function page.send_problem(err)
  page.send { status = problem.status(err), title = problem.title(err) .. " · Retab",
    main = problem.notice(err, ngx.var.request_uri) }
end

function page.send_json(status, value)
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.header["Cache-Control"] = "no-store"
  ngx.print(cjson.encode(value))
end

-- Sends an update: the markup of the parts of a page by their ids, or what is wrong.
function page.send_update(parts, err)
  if not parts then return page.send_json(problem.status(err), { problem = problem.line(err) }) end
  local texts = {}
  for id, part in pairs(parts) do texts[id] = html.escape(part) end
  page.send_json(200, { parts = texts })
end

return page
