-- watch.lua: waits for runs in the background, also after the browser has gone. What is known of each is in a shared
-- dictionary, so that every worker can show it.
local cjson = require "cjson"
local client = require "dashboard.client"
local html = require "dashboard.html"
local show = require "dashboard.show"

local watch = {}

local known = ngx.shared.watches

local most_watches = 20 -- each sends a request every two seconds
local deadline = 3600 -- seconds that a run is waited for
local kept = 1800 -- seconds for which an outcome is shown

local function put(id, state)
  state.id = id
  known:set(id, cjson.encode(state), state.ended and kept or deadline + kept)
end

local function seen(run)
  return { status = show.object(run.lifecycle).status, score = run.score, error_count = run.error_count,
    total_document_count = run.total_document_count, document_count = run.document_count,
    completed_document_count = run.completed_document_count }
end

local function wait(premature, id)
  if premature then return known:delete(id) end
  local last = {}
  local run, err = client.call(function(experiments)
    return experiments.runs.wait(id, { deadline = deadline, on_update = function(now)
      last = seen(now)
      put(id, last)
    end })
  end)
  if run then last = seen(run) else last.problem = err.message end
  last.ended = true
  put(id, last)
  ngx.log(ngx.NOTICE, "watched run ", id, ": ", run and last.status or last.problem)
end

-- Returns what is known of the watch of a run; nil where there is none.
function watch.of(id)
  local text = known:get(id)
  return text and cjson.decode(text)
end

local function list()
  local states = {}
  for _, id in ipairs(known:get_keys(0)) do states[#states + 1] = watch.of(id) end
  table.sort(states, function(a, b) return a.id < b.id end)
  return states
end

local function count_under_way()
  local count = 0
  for _, state in ipairs(list()) do
    if not state.ended then count = count + 1 end
  end
  return count
end

-- Begins to watch a run, unless it is watched already. Returns true; or nil and an error.
function watch.start(id)
  local state = watch.of(id)
  if state and not state.ended then return true end
  if count_under_way() >= most_watches then
    return nil, { kind = "busy", message = ("%d runs are watched at a time."):format(most_watches) }
  end
  put(id, { status = "pending" })
  local ok, message = ngx.timer.at(0, wait, id)
  if ok then return true end
  known:delete(id)
  return nil, { kind = "internal", message = message }
end

local item = html.template [[<li><a href="/runs/{path}">{id}</a> {status} <span>{text}</span></li>]]

local function text_of(state)
  if state.problem then return "the watch ended: " .. state.problem end
  if not state.ended then return { "watching: ", show.documents(state), " documents" } end
  if state.score then return "ended with the score " .. show.number(state.score) end
  return "ended without a score"
end

local section = html.template [[<h2>Watched runs</h2><ul>{items}</ul>]]

-- Returns the list of the watched runs; an empty text where there are none.
function watch.summary()
  local states = list()
  if #states == 0 then return "" end
  return section { items = html.each(states, function(state)
    return item { path = ngx.escape_uri(state.id), id = state.id, status = show.status(state), text = text_of(state) }
  end) }
end

return watch
