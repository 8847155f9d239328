--- listing.lua: the verbs `list` and `results`: it walks the pages that were asked for, and hands each to an output, an
--- export or a chart.
local columns = require "retab.cli.columns"
local dates = require "retab.dates"
local output = require "retab.cli.output"
local progress = require "retab.cli.progress"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"
local words = require "retab.cli.words"

local listing = {}

local default_limit = 20 -- the API's own
local chart_limit = 100 -- a chart of fewer runs says little
local most_per_page = 100
local most_parallel = 1000 -- each can be a connection

local filters = {
  list = { "workflow_id", "experiment_id", "block_id", "status", "exclude_status", "trigger_type", "from_date",
    "to_date", "sort_by", "before", "after", "limit", "order" },
  results = { "run_id", "before", "after", "limit", "order" },
}

local kinds = {
  list = { noun = "run", columns = columns.runs, resource = "runs" },
  results = { noun = "result", columns = columns.results, resource = "results" },
}

--- Returns the columns that --columns names; nil where it is not given.
local function chosen_columns(arguments, kind)
  if not arguments.columns then return nil end
  local chosen, problem = columns.choose(kind.columns, arguments.columns)
  if not chosen then words.fail_usage(problem, arguments.verb) end
  return chosen
end

--- Wraps an output by --sort.
local function sorted(arguments, kind, sink)
  if not arguments.sort then return sink end
  local name, direction = arguments.sort:match "^(.-):?(%l*)$"
  if name == "" or not arguments.sort:find ":" then name, direction = arguments.sort, "asc" end
  if direction ~= "asc" and direction ~= "desc" then
    words.fail_usage(("bad --sort: '%s' is neither %s:asc nor %s:desc"):format(arguments.sort, name, name),
      arguments.verb)
  end
  local chosen, problem = columns.choose(kind.columns, name)
  if not chosen then words.fail_usage(problem, arguments.verb) end
  return output.sorted(sink, chosen[1], direction == "desc")
end

--- Raises where options contradict each other.
local function check(arguments)
  if arguments.columns and arguments.format ~= "table" and arguments.format ~= "csv" then
    words.fail_usage(("--columns is for tables and csv: '%s' prints what the server sends"):format(arguments.format),
      arguments.verb)
  end
  if arguments.chart and (arguments.resume or arguments.sort or arguments.columns or arguments.format ~= "table") then
    words.fail_usage("--chart goes with none of --resume, --sort, --columns and -o", arguments.verb)
  end
  if arguments.parallel and arguments.parallel > most_parallel then
    words.fail_usage(("bad --parallel: must be at most %d, got %g"):format(most_parallel, arguments.parallel),
      arguments.verb)
  end
  if arguments.sort and arguments.resume then words.fail_usage("--sort does not go with --resume", arguments.verb) end
end

--- Returns the output, and where it exports the object of export.lua.
local function open_sink(arguments, kind)
  check(arguments)
  local chosen = chosen_columns(arguments, kind)
  if arguments.resume then return require("retab.cli.export").new(arguments, kind.columns, chosen) end
  if arguments.chart then return require("retab.cli.chart").new() end
  return sorted(arguments, kind, output.new(arguments.format, kind.columns, chosen))
end

--- Returns the progress of a walk; nil with -q.
local function new_progress(arguments, kind, session)
  if arguments.quiet then return nil end
  local rules = { now = function() return session:now() end, noun = kind.noun, is_ascending = arguments.order == "asc" }
  if arguments.from_date then
    rules.oldest = dates.span(arguments.from_date)
    rules.newest = math.min(arguments.to_date and select(2, dates.span(arguments.to_date)) or math.huge, dates.now())
  end
  return progress.new(rules)
end

--- Opens the walk. Everything is checked here, and nothing is sent.
local function open(arguments, kind, session, sink, is_walk)
  local params, fields = {}, { "id" }
  for _, name in ipairs(filters[arguments.verb]) do params[name] = arguments[name] end
  if sink.after then params.after = sink.after end
  local most = sink.max_items or arguments.max_items
  if not is_walk then params.limit = params.limit or (arguments.chart and chart_limit or default_limit) end
  if most and most >= 1 and most < most_per_page then params.limit = params.limit or math.floor(most) end
  for _, path in ipairs(sink.fields) do fields[#fields + 1] = path end
  if arguments.from_date and arguments.verb == "list" then fields[#fields + 1] = "timing.created_at" end
  return (session.experiments[kind.resource].pages(params, {
    max_items = most, max_pages = not is_walk and 1 or nil, fields = fields,
    parallel = arguments.parallel,
  }))
end

--- Tells how much there was, and how to go on.
local function say_footer(arguments, kind, count, pages, last)
  if arguments.quiet then return end
  if count == 0 and not arguments.resume then return terminal.say(("No %ss match."):format(kind.noun)) end
  local message = text.count(count, kind.noun) .. " on " .. text.count(pages, "page")
  local cursor = last and last.list_metadata.after
  if type(cursor) ~= "string" or arguments.before then return terminal.say(message) end
  message = ("%s. Next: --after %s"):format(message, text.clean(cursor))
  terminal.say((arguments.all or arguments.max_items) and message or message .. ", or --all")
end

--- Returns what to add to the command after a failure; nil where nothing was printed.
local function to_go_on(arguments, cursor, count)
  if not cursor or count == 0 or arguments.sort or arguments.chart then return nil end
  local without = arguments.parallel and ", without --parallel" or arguments.before and ", without --before" or ""
  return "add --after " .. cursor .. without
end

--- Walks all pages.
local function walk(arguments, kind, session, sink, pages)
  local line = new_progress(arguments, kind, session)
  local count, number, last = 0, 0, nil
  while true do
    local page, _, err = pages:next()
    if err then
      if sink.close then sink.close() end
      words.fail(err, arguments, sink.how_to_resume or to_go_on(arguments, pages.cursor, count))
    end
    if not page then break end
    sink.page(page.data, function()
      local texts, has_breaks = session:texts_of(page.data)
      if not texts then words.fail_usage("a run without an id: leave out --parallel", arguments.verb) end
      return texts, has_breaks
    end)
    count, number, last = count + #page.data, number + 1, page
    if line then line:update(count, number, page.data) end
  end
  if sink.finish then sink.finish() end
  return count, number, last
end

--- Runs `list` or `results`.
function listing.run(arguments, session)
  local kind = kinds[arguments.verb]
  local sink = open_sink(arguments, kind)
  if sink.is_complete then return nil end
  local is_walk = arguments.all or arguments.max_items or arguments.resume or arguments.parallel
  local ok, pages = pcall(open, arguments, kind, session, sink, is_walk)
  if not ok then words.fail_usage(words.of_misuse(pages), arguments.verb) end
  if sink.start then sink.start() end
  if (arguments.parallel or 1) > 1 and sink.wants_texts then session:keep_texts() end
  local count, number, last = walk(arguments, kind, session, sink, pages)
  if sink.say_footer then return sink.say_footer(count) end
  say_footer(arguments, kind, count, number, last)
end

return listing
