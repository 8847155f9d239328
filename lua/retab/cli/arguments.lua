--- arguments.lua: the verbs and options of the command line, their help, and what of them is checked before the library
--- checks the rest. It knows nothing of requests.
local argparse = require "argparse"
local columns = require "retab.cli.columns"
local dates = require "retab.dates"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"

local arguments = {}

local widest_help = 100 -- columns

local statuses = { "pending", "queued", "running", "completed", "error", "cancelled" }

local age_seconds = { m = 60, h = 3600, d = 86400, w = 7 * 86400 }

--- Returns a date as the library takes it. An age such as 7d is the time that long ago.
--- @param word string
--- @param now number epoch seconds
--- @return string
function arguments.date(word, now)
  local count, unit = word:match "^(%d+)([mhdw])$"
  return count and dates.format(now - tonumber(count) * age_seconds[unit]) or word
end

-- ---- pieces ----

local function number(name)
  return function(word) return tonumber(word), ("%s takes a number, not '%s'"):format(name, word) end
end

--- Adds an argument that is an id.
local function id_argument(parser, name, shown, description)
  return parser:argument(name, description):argname(shown):convert(function(word)
    if word == "" then return nil, shown .. " must not be empty" end
    return word
  end)
end

--- Adds an option; `rules` may have argname, convert, choices.
local function option(parser, names, argname, description, rules)
  local added = parser:option(names, description):argname(argname)
  rules = rules or {}
  if rules.is_number then added:convert(number(names:match "%-%-[%l-]+")) end
  if rules.choices then added:choices(rules.choices) end
  -- argparse would give each name a line of its own
  function added._get_label_lines() return { (names:gsub(" ", ", ")) .. " " .. argname } end
  return added
end

local common = "Options of every command: --base-url --auth --timeout --debug -q (retab-runs --help)."

--- Ends a page of help.
--- @param lines string[]
--- @param list table|nil the columns that the verb has
local function examples(parser, lines, list)
  parser:epilog("Examples:\n  " .. table.concat(lines, "\n  ") .. (list and "\n\nColumns: "
    .. table.concat(columns.names(list), " ") .. ", and any path with a dot in it." or "") .. "\n\n" .. common)
end

local commands = {} -- the parsers of the verbs

local function command(parser, name, summary, arguments_shown)
  local added = parser:command(name, summary .. ".", nil)
  commands[name] = added
  added:usage(("Usage: retab-runs %s%s [options]"):format(name, arguments_shown and " " .. arguments_shown or ""))
  return added:summary(summary)
end

--- Options of the verbs that print a list.
--- @param noun string
--- @param list table the columns
--- @param is_completed boolean|nil the names of columns are choices: shells complete those
local function add_list_options(parser, noun, list, is_completed)
  local is_runs = noun == "run"
  local names = { choices = is_completed and columns.names(list) or nil }
  local paging = {
    parser:flag("--all", "Every page, not just one."),
    option(parser, "-n --max-items", "N", ("Up to N %ss, over as many pages as that takes."):format(noun),
      { is_number = true }),
    option(parser, "--limit", "N", "Page size, 1-100 (default: 20; 100 with --all).", { is_number = true }),
    option(parser, "--order", "ORDER", "By time of creation: desc, newest first, or asc.",
      { choices = { "asc", "desc" } }),
    option(parser, "--after", "ID", "The page after this cursor."),
    option(parser, "--before", "ID", "The page before this cursor."),
    is_runs and option(parser, "--parallel", "N", "Walks N parts of a date range at a time; needs --from-date.",
      { is_number = true }) or nil,
  }
  parser:group("Pages", (table.unpack or unpack)(paging))
  parser:group("Output",
    option(parser, "-o --output", "FORMAT", "table (default), json (one array), jsonl (one object a line), csv or ids. "
      .. "json and jsonl are the server's own bytes.", { choices = { "table", "json", "jsonl", "csv", "ids" } }),
    parser:flag("--json", "The same as -o jsonl."),
    option(parser, "--columns", "A,B,C", "Columns of tables and csv, by name or by a path with a dot in it.", names),
    option(parser, "--sort", "COLUMN", "Sorts what is shown; COLUMN:desc sorts downwards. It keeps all rows in "
      .. "memory.", names),
    option(parser, "--resume", "FILE", "Exports every page into FILE, as jsonl or csv. Where FILE exists, it goes on "
      .. "after its last whole row."),
    is_runs and parser:flag("--chart", "Draws the scores over time and the share of each status.") or nil)
end

local function add_metrics_options(parser)
  option(parser, "--view", "VIEW", "summary (default), by_document, by_target or votes.",
    { choices = { "summary", "by_document", "by_target", "votes" } })
  option(parser, "--document-id", "ID", "The document, for by_document and votes.")
  option(parser, "--target-path", "PATH", "The field or label, for by_target and votes.")
  option(parser, "--prior-run-id", "RUN", "Compares with this run (default: the previous completed one).")
  parser:flag("--no-prior", "Compares with no run.")
end

local function add_object_output(parser)
  option(parser, "-o --output", "FORMAT", "table (default), or json: the server's own bytes.",
    { choices = { "table", "json" } })
  parser:flag("--json", "The same as -o json.")
end

local function add_watch_options(parser)
  option(parser, "--interval", "SECONDS", "Between two looks (default: 2).", { is_number = true })
  option(parser, "--deadline", "SECONDS", "Gives up after so long (default: never).", { is_number = true })
end

-- ---- verbs ----

local verbs = {}

function verbs.list(root, is_completed)
  local parser = command(root, "list", "Lists runs, newest first")
  parser:group("Filters",
    option(parser, "-e --experiment-id", "ID", "Runs of this experiment."),
    option(parser, "-w --workflow-id", "ID", "Runs of this workflow."),
    option(parser, "-b --block-id", "ID", "Runs of this block."),
    option(parser, "-s --status", "STATUS", "Runs in this status.", { choices = statuses }),
    option(parser, "--exclude-status", "STATUS", "Runs in any other status.", { choices = statuses }),
    option(parser, "--trigger-type", "TYPE", "Runs started in this way, such as manual_run or api."),
    option(parser, "--from-date", "DATE", "Runs created at DATE or later: YYYY-MM-DD, RFC 3339, or an age: "
      .. "30m, 12h, 7d, 2w."),
    option(parser, "--to-date", "DATE", "Runs created at DATE or earlier; a day counts to its end."),
    option(parser, "--sort-by", "FIELD", "The server's order (default: created_at)."))
  add_list_options(parser, "run", columns.runs, is_completed)
  examples(parser, {
    "retab-runs -e exp_abc                       the newest of an experiment",
    "retab-runs -s error --from-date 7d --all    what failed in the last week",
    "retab-runs --columns id,score,timing.created_at --sort score:desc",
    "retab-runs -e exp_abc --from-date 30d --chart --all",
    "retab-runs -w wf_abc -o csv --all > runs.csv",
    "retab-runs --from-date 2026-01-01 --all --resume runs.jsonl",
    "retab-runs -s running -o ids | xargs -r retab-runs watch",
  }, columns.runs)
end

function verbs.get(root)
  local parser = command(root, "get", "Shows one run", "RUN")
  id_argument(parser, "run_id", "RUN", "The id of the run.")
  add_object_output(parser)
  examples(parser, { "retab-runs get exprun_1", "retab-runs get exprun_1 -o json" })
end

function verbs.watch(root)
  local parser = command(root, "watch", "Follows runs until they have ended", "[RUN...]")
  id_argument(parser, "run_ids", "RUN", "The ids of the runs (default: all runs that have not ended)."):args("*")
  option(parser, "-e --experiment-id", "ID", "Without RUN: those of this experiment.")
  option(parser, "-w --workflow-id", "ID", "Without RUN: those of this workflow.")
  option(parser, "-b --block-id", "ID", "Without RUN: those of this block.")
  add_watch_options(parser)
  examples(parser, {
    "retab-runs watch exprun_1                  until it has ended",
    "retab-runs watch -e exp_abc                all of an experiment that have not ended",
    "retab-runs watch exprun_1 && echo fine     3 where one ended in error",
  })
end

function verbs.results(root, is_completed)
  local parser = command(root, "results", "Lists the results of a run, one per document", "RUN")
  id_argument(parser, "run_id", "RUN", "The id of the run.")
  add_list_options(parser, "result", columns.results, is_completed)
  examples(parser, {
    "retab-runs results exprun_1", "retab-runs results exprun_1 --all -o csv > results.csv",
    "retab-runs results exprun_1 --columns document_id,status,lifecycle.message",
  }, columns.results)
end

function verbs.metrics(root)
  local parser = command(root, "metrics", "Shows the scores of a run beside those of the run before", "RUN")
  id_argument(parser, "run_id", "RUN", "The id of the run.")
  add_metrics_options(parser)
  add_object_output(parser)
  examples(parser, {
    "retab-runs metrics exprun_1", "retab-runs metrics exprun_1 --prior-run-id exprun_0",
    "retab-runs metrics exprun_1 --view by_document --document-id expdoc_1",
    "retab-runs metrics exprun_1 --view by_target --target-path total",
    "retab-runs metrics exprun_1 --view votes --document-id expdoc_1 --target-path total",
  })
end

function verbs.create(root)
  local parser = command(root, "create", "Starts a run of an experiment", "EXPERIMENT")
  id_argument(parser, "experiment_id", "EXPERIMENT", "The id of the experiment.")
  option(parser, "-w --workflow-id", "ID", "The workflow that the experiment must belong to.")
  option(parser, "--plan-token", "TOKEN", "Of a preview of the run.")
  parser:flag("--wait", "Follows the run until it has ended, like watch.")
  add_watch_options(parser)
  add_object_output(parser)
  examples(parser, {
    "retab-runs create exp_abc                  prints the id of the new run",
    "retab-runs create exp_abc --wait           follows it until it has ended",
  })
end

function verbs.cancel(root)
  local parser = command(root, "cancel", "Cancels a run", "RUN")
  id_argument(parser, "run_id", "RUN", "The id of the run.")
  add_object_output(parser)
  examples(parser, { "retab-runs cancel exprun_1" })
end

local shells = { "bash", "zsh", "fish" }

function verbs.completion(root, is_completed)
  local parser = command(root, "completion", "Prints what lets a shell complete these commands", "SHELL")
  if is_completed then -- of arguments, argparse completes nothing for bash and fish
    for _, shell in ipairs(shells) do parser:command(shell) end
    return
  end
  parser:argument("shell", "bash, zsh or fish."):argname("SHELL"):choices(shells)
  examples(parser, {
    'eval "$(retab-runs completion bash)"    in ~/.bashrc',
    'eval "$(retab-runs completion zsh)"     in ~/.zshrc, after compinit',
    "retab-runs completion fish | source     in ~/.config/fish/config.fish",
  })
end

--- The verbs, as the help lists them.
arguments.verbs = { "list", "get", "watch", "results", "metrics", "create", "cancel", "completion" }

local epilog = [[
Examples:
  retab-runs                            the newest runs
  retab-runs --experiment-id exp_abc    of an experiment
  retab-runs list --help                all filters, outputs and columns
  retab-runs -s error --from-date 7d --all -o csv > failed.csv
  retab-runs watch                      what is running, until it has ended

The key is read from RETAB_API_KEY, never from the command line, where
others could see it. Columns that do not fit the terminal are left out;
COLUMNS, exported, sets the width. A pipe or a file gets all of them.
NO_COLOR turns colours off, CLICOLOR_FORCE=1 on.

Exit status: 0 done, 1 the API or the network failed, 2 wrong usage,
3 a watched run ended in error or was cancelled, 130 interrupted,
141 nobody read the output.]]

-- ---- parsing ----

--- Options that stand before a verb; true: a value follows.
local before_verb = {
  ["--base-url"] = true, ["--auth"] = true, ["--timeout"] = true,
  ["--debug"] = false, ["-q"] = false, ["--quiet"] = false,
}

local function add_common_options(root)
  option(root, "--base-url", "URL", "The API's address (default: RETAB_API_BASE_URL, https://api.retab.com).")
  option(root, "--auth", "SCHEME", "How the key is sent: api-key (default: RETAB_AUTH) or bearer.",
    { choices = { "api-key", "bearer" } })
  option(root, "--timeout", "SECONDS", "For each request (default: 60).", { is_number = true })
  root:flag("--debug", "Writes a line for each request to stderr.")
  root:flag("-q --quiet", "Writes neither progress nor counts to stderr.")
end

--- Creates the parser.
--- @param version function|nil returns what --version prints
--- @param is_completed boolean|nil it is not to parse: argparse writes what shells complete
function arguments.parser(version, is_completed)
  local root = argparse("retab-runs", "Lists, follows, compares, starts and cancels experiment runs of Retab.", epilog)
  root:help_max_width(widest_help):help_description_margin(30):command_target "verb":require_command(false)
  root:usage "Usage: retab-runs [COMMAND] [options]      without a COMMAND: list"
  add_common_options(root)
  root:flag("--version", "Prints the version."):action(function()
    terminal.write(version() .. "\n")
    os.exit(0)
  end)
  for _, name in ipairs(arguments.verbs) do verbs[name](root, is_completed) end
  return root
end

--- Has help fit the terminal.
local function fit_help(root, words)
  for _, word in ipairs(words) do
    if word == "-h" or word == "--help" then return root:help_max_width(math.min(widest_help, terminal.width())) end
  end
end

-- ---- what is wrong ----

--- What a word that begins so can mean.
local meant = {
  { "^exprun_", "To show a run: retab-runs get %s" },
  { "^exp_", "For the runs of an experiment: retab-runs -e %s" },
  { "^wf_", "For the runs of a workflow: retab-runs -w %s" },
  { "^wrk_", "For the runs of a workflow: retab-runs -w %s" },
}

--- Returns what to type for the first of some words that looks like an id; nil where none does.
local function meaning_of(words)
  for _, word in ipairs(words) do
    for _, pair in ipairs(meant) do
      if word:find(pair[1]) then return pair[2]:format(word) end
    end
  end
end

--- Returns the word that was given for an option.
local function value_of(option_name, words)
  for index, word in ipairs(words) do
    if word == option_name then return words[index + 1] end
    local value = word:match("^" .. option_name:gsub("%-", "%%-") .. "=?(.*)$")
    if value and value ~= "" then return value end
  end
end

--- Returns the option of a verb that is most like a word.
local function nearest_option(word, verb)
  local names = {}
  for name in (commands[verb]:get_help() .. common):gmatch "%-%-[%l-]+" do names[#names + 1] = name end
  return text.nearest(word, names)
end

local names_shown = { run_id = "RUN", run_ids = "RUN", experiment_id = "EXPERIMENT", shell = "SHELL" }

--- Returns what argparse says, in plainer words and with what to type.
local function explain(message, words, verb)
  local name, choices = message:match "^argument for option '(.-)' must be one of (.*)$"
  if name then
    return ("bad %s: must be one of %s, got '%s'"):format(name, choices:gsub("'", ""), value_of(name, words) or "")
  end
  name, choices = message:match "^argument '(.-)' must be one of (.*)$"
  if name then return ("%s must be one of %s"):format(names_shown[name] or name, choices:gsub("'", "")) end
  if message:find "^unknown option '%-%d'" then return "numbers and ages must not begin with '-'" end
  name = message:match "^missing argument '(.-)'$"
  if name then return ("%s is missing"):format(names_shown[name] or name) end
  if message == "too many arguments" or message:find "^unknown command" and not message:find "\n" then
    local meaning = meaning_of(words)
    return meaning and message .. "\n" .. meaning or message
  end
  name = message:match "^unknown option '([^']*)'$"
  if name and name:find "key" then
    return message .. "\nThe key is read from RETAB_API_KEY, never from the command line, where others could see it."
  end
  local near = name and verb and nearest_option(name, verb)
  return near and ("%s\nDid you mean '%s'?"):format(message, near) or message
end

-- ---- the words ----

--- Returns the words with the verb `list` where there is none.
local function with_verb(given)
  local words, place = {}, 1
  for index = 1, #given do words[index] = given[index] end
  while before_verb[(words[place] or ""):match "^[^=]*"] ~= nil do
    local has_value = before_verb[words[place]]
    place = place + (has_value and 2 or 1)
  end
  local word = words[place]
  if word == nil or word:find "^%-" and word ~= "-h" and word ~= "--help" and word ~= "--version" then
    table.insert(words, math.min(place, #words + 1), "list")
  end
  return words
end

--- Relative dates, and the names that options share.
local function normalize(parsed)
  local now = dates.now()
  for _, name in ipairs { "from_date", "to_date" } do
    if parsed[name] then
      parsed.has_age = parsed.has_age or parsed[name]:find "^%d+[mhdw]$" ~= nil
      parsed[name] = arguments.date(parsed[name], now)
    end
  end
  local is_list = parsed.verb == "list" or parsed.verb == "results"
  parsed.format = parsed.output or parsed.json and (is_list and "jsonl" or "json") or "table"
  parsed.is_format_given = parsed.output ~= nil or parsed.json ~= nil
  return parsed
end

--- Reads the command line.
--- @param given string[]
--- @param version function returns what --version prints
--- @return table|nil parsed verb, format, and the options by their long names
--- @return string|nil problem
--- @return string|nil verb
function arguments.parse(given, version)
  local words = with_verb(given)
  local parser = arguments.parser(version)
  fit_help(parser, words)
  local ok, result = parser:pparse(words)
  if ok then return normalize(result) end
  for _, word in ipairs(words) do
    if verbs[word] then return nil, text.clean_lines(explain(result, words, word)), word end
  end
  return nil, text.clean_lines(explain(result, words))
end

return arguments
