-- problem.lua: what a person reads where an error occurred: what it means, and what to do about it.
local html = require "dashboard.html"

local problem = {}

-- By kind of error: the HTTP status of the dashboard's response, a title, and advice.
local known = {
  configuration = { 500, "The dashboard has no working configuration",
    "Set RETAB_API_KEY where nginx starts, then start it again. The key stays on this server." },
  parameter = { 400, "A filter cannot be used", "Correct it above, or clear the filters." },
  validation = { 400, "Retab does not accept a filter", "Correct it above, or clear the filters." },
  authentication = { 502, "Retab does not accept the API key",
    "Check the RETAB_API_KEY that nginx was started with: it may be mistyped, expired or revoked." },
  permission = { 502, "The API key is not allowed to see this",
    "Use a key of the workspace that these runs belong to." },
  not_found = { 404, "There is no such run", "Check the address. The run may belong to another workspace." },
  rate_limit = { 503, "Retab receives too many requests", "Wait a moment, then try again." },
  timeout = { 504, "Retab does not respond in time", "Try again. If this lasts, check the network of this server." },
  connection = { 502, "Retab cannot be reached", "Check the network of this server, then try again." },
  tls = { 502, "Retab's certificate cannot be verified",
    "Check lua_ssl_trusted_certificate in nginx.conf, and the clock of this server." },
  server = { 502, "Retab has a problem", "It is not yours. Try again in a moment." },
  page = { 404, "There is no such page", "Go back to the list of runs." },
  method = { 405, "This address does not take such a request", "Go back to the list of runs." },
  origin = { 403, "This request comes from another site", "Use the button on the run's page." },
  busy = { 503, "Too many runs are watched already", "Wait until one of them ends." },
  internal = { 500, "The dashboard has a problem", "The log of nginx has the details." },
}
local unknown = { 502, "Retab's response cannot be used", "Try again. If this lasts, report the message below." }

local notice = html.template [[<section class="problem" role="alert" aria-labelledby="problem-title">
<h2 id="problem-title">{title}</h2>
<p>{advice}</p>
<p class="detail">{message}{request}</p>
<p class="actions">{again}<a href="/">All runs</a></p>
</section>]]

local try_again = html.template [[<a class="button" href="{address}">Try again</a> ]]
local request = html.template [[ <span class="request">Request {id}</span>]]

function problem.status(err)
  return (known[err.kind] or unknown)[1]
end

function problem.title(err)
  return (known[err.kind] or unknown)[2]
end

-- Returns the section of a page. `address` is that of the request, which another attempt can help unless it is wrong.
function problem.notice(err, address)
  local words = known[err.kind] or unknown
  return notice { title = words[2], advice = words[3], message = err.message,
    again = words[1] >= 500 and try_again { address = address },
    request = err.request_id and request { id = err.request_id } }
end

-- Returns one line, for a page that shows older values.
function problem.line(err)
  local words = known[err.kind] or unknown
  return ("%s. %s"):format(words[2], words[3])
end

return problem
