--- watch.lua: the verb `watch`: looks at runs again and again until all have ended. On a terminal the table is redrawn
--- in place; elsewhere each change is a line.
local columns = require "retab.cli.columns"
local output = require "retab.cli.output"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"
local words = require "retab.cli.words"

local watch = {}

local default_interval = 2 -- seconds
local most_runs = 100 -- of those that have not ended
local most_single = 5 -- more runs than these are not looked at one by one: that would take a while, each time
local most_not_found = 2 -- a server can need a moment to find a new run

local ended = { completed = true, error = true, cancelled = true }
local unended = { "pending", "queued", "running" } -- as a run moves on: none is missed that does so between requests

local shown = assert(columns.choose(columns.runs,
  "id,status,documents,score,error_count,duration_ms,created_at,block_id"))

local function status_of(run)
  return type(run.lifecycle) == "table" and run.lifecycle.status or nil
end

--- Ends the program where an option makes no sense.
function watch.check(arguments)
  for _, name in ipairs { "interval", "deadline" } do
    if arguments[name] and arguments[name] <= 0 then
      words.fail_usage(("bad --%s: must be a number of seconds above 0, got %g"):format(name, arguments[name]),
        arguments.verb)
    end
  end
end

--- Returns ids, each once.
local function each_once(ids)
  local kept, seen = {}, {}
  for _, id in ipairs(ids) do
    if not seen[id] then kept[#kept + 1], seen[id] = id, true end
  end
  return kept
end

--- Returns the ids of the runs that have not ended.
local function find_runs(arguments, session)
  local ids = {}
  for _, status in ipairs(unended) do
    local ok, page, _, err = pcall(session.runs.list, {
      workflow_id = arguments.workflow_id, experiment_id = arguments.experiment_id, block_id = arguments.block_id,
      status = status, limit = most_runs,
    }, { fields = { "id" } })
    if not ok then words.fail_usage(words.of_misuse(page), arguments.verb) end
    if err then words.fail(err, arguments) end
    for _, run in ipairs(page.data) do
      if type(run) == "table" and type(run.id) == "string" then ids[#ids + 1] = run.id end
    end
  end
  return ids
end

-- ---- showing ----

--- Returns the runs with those that have ended last.
local function unended_first(runs)
  local sorted = {}
  for _, wanted in ipairs { false, true } do
    for _, run in ipairs(runs) do
      if (ended[status_of(run)] or false) == wanted then sorted[#sorted + 1] = run end
    end
  end
  return sorted
end

--- Shows runs as a table that is redrawn in place.
local function redrawer(arguments)
  local drawn, columns_drawn = 0, nil
  return function(runs, count_ended, note)
    terminal.forget_size()
    if terminal.width() ~= columns_drawn then drawn, columns_drawn = 0, terminal.width() end -- lines are broken anew
    if #runs + 3 > terminal.height() then runs = unended_first(runs) end
    local written = output.lines_of(shown)(runs)
    local lines = {}
    for line in written:gmatch "[^\n]*\n" do lines[#lines + 1] = line end
    local room = math.max(2, terminal.height() - 2) -- for the line below, and the cursor
    if #lines > room then
      local left_out = #lines - room + 1
      for index = #lines, room, -1 do lines[index] = nil end
      lines[room] = ("and %s more\n"):format(left_out)
    end
    lines[#lines + 1] = text.cut(("%d of %s ended%s"):format(count_ended, text.count(#runs, "run"),
      note and "; " .. note or count_ended < #runs and (", a look every %g s"):format(arguments.interval
        or default_interval) or ""), terminal.width()) .. "\n"
    terminal.write((drawn > 0 and ("\27[%dA\27[J"):format(drawn) or "") .. table.concat(lines))
    drawn = #lines
  end
end

--- Shows each change as a line: what a log or a pipe wants.
local function line_writer()
  local known = {}
  return function(runs, _, note)
    local lines = {}
    for _, run in ipairs(runs) do
      local line = ("%s %s %s\n"):format(text.clean(columns.show(run.id)), text.clean(columns.show(status_of(run))),
        columns.documents.show(columns.documents.read(run), nil, run))
      if known[run.id] ~= line then lines[#lines + 1] = line end
      known[run.id] = line
    end
    if lines[1] then terminal.write(table.concat(lines)) end
    if note then terminal.say("retab-runs: " .. note) end
  end
end

--- Tells how the runs ended. Returns the exit status.
local function conclude(arguments, runs)
  local failed = 0
  for _, run in ipairs(runs) do
    local status, lifecycle = status_of(run), run.lifecycle
    if status ~= "completed" then
      failed = failed + 1
      local reason = lifecycle.message or lifecycle.reason
      terminal.say(("%s: %s%s"):format(text.clean(columns.show(run.id)),
        status == "error" and "ended in error" or "was cancelled",
        type(reason) == "string" and ": " .. text.clean(reason) or ""))
    end
  end
  if failed == 0 and not arguments.quiet then terminal.say(text.count(#runs, "run") .. " completed") end
  return failed > 0 and terminal.exit.unsuccessful or nil
end

-- ---- looking ----

--- Looks at one run. Returns a note where the look failed and another one can help.
local function look(self, place)
  local run, _, err = self.session.runs.get(self.ids[place], { deadline = self.left() })
  if run then
    self.not_found[place] = 0
    run.id = type(run.id) == "string" and run.id or self.ids[place]
    self.runs[place] = run
    return nil
  end
  local missing = err.status == 404 and self.not_found[place] + 1 or 0
  self.not_found[place] = missing
  if err.status == 404 and missing > most_not_found or err.status ~= 404 and not err.retryable then
    words.fail(err, self.arguments)
  end
  self.pause = math.max(self.pause, err.retry_after or 0)
  return "trying again: " .. text.clean(err.message)
end

--- Looks at the newest runs with one request. Returns the places of those that are followed; none where it failed.
local function look_at_newest(self)
  local arguments, seen = self.arguments, {}
  local page = self.session.runs.list({
    workflow_id = arguments.workflow_id, experiment_id = arguments.experiment_id, block_id = arguments.block_id,
    limit = most_runs,
  }, { deadline = self.left() })
  for _, run in ipairs(page and page.data or {}) do
    local place = type(run) == "table" and self.places[run.id]
    if place then self.runs[place], self.not_found[place], seen[place] = run, 0, true end
  end
  return seen
end

--- Looks at all runs that have not ended. Returns how many have, and a note.
local function look_at_all(self)
  local count, note = 0, nil
  local seen = #self.ids - self.count > most_single and look_at_newest(self) or {}
  for place in ipairs(self.ids) do
    if not seen[place] and not ended[status_of(self.runs[place])] then note = look(self, place) or note end
    if ended[status_of(self.runs[place])] then count = count + 1 end
  end
  self.count = count
  return count, note
end

--- Follows runs until all have ended.
--- @param ids string[]
--- @param show function|nil (runs, how many have ended, a note)
--- @return number|nil status to exit with
function watch.follow(arguments, session, ids, show)
  show = show or (terminal.is_terminal(1) and redrawer(arguments) or line_writer())
  local interval = arguments.interval or default_interval
  local ends = session:now() + (arguments.deadline or math.huge)
  local self = {
    arguments = arguments, session = session, ids = ids, runs = {}, not_found = {}, places = {}, count = 0,
  }
  function self.left()
    local left = ends - session:now()
    return left < math.huge and math.max(left, 0.001) or nil
  end
  for place, id in ipairs(ids) do
    self.runs[place], self.not_found[place], self.places[id] = { id = id, lifecycle = {} }, 0, place
  end
  while true do
    self.pause = interval
    local count, note = look_at_all(self)
    show(self.runs, count, note)
    if count == #ids then return conclude(arguments, self.runs) end
    if session:now() + self.pause >= ends then
      terminal.say(("retab-runs: %d of %s ended within %g s\n  hint: watch again, or allow more time with --deadline")
        :format(count, text.count(#ids, "run"), arguments.deadline))
      return terminal.exit.failure
    end
    session:sleep(self.pause)
  end
end

function watch.run(arguments, session)
  watch.check(arguments)
  local ids = arguments.run_ids or {}
  if ids[1] and (arguments.experiment_id or arguments.workflow_id or arguments.block_id) then
    words.fail_usage("RUN goes with none of --experiment-id, --workflow-id and --block-id", arguments.verb)
  end
  if not ids[1] then ids = find_runs(arguments, session) end
  if not ids[1] then
    if not arguments.quiet then terminal.say "No runs match: all have ended." end
    return nil
  end
  return watch.follow(arguments, session, each_once(ids))
end

return watch
