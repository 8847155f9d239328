--- words.lua: errors in the words of the command line: what is wrong, and what to type next. No name of the Lua library
--- may reach a person here.
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"

local words = {}

--- Ends the program because it was called wrongly.
--- @param message string
--- @param verb string|nil whose help says more
function words.fail_usage(message, verb)
  local help = verb and "retab-runs " .. verb .. " --help" or "retab-runs --help"
  terminal.say(text.clean_lines("retab-runs: " .. message .. "\nTry '" .. help .. "'."))
  os.exit(terminal.exit.usage)
end

--- Words of the library's messages, and the tool's own.
local replaced = {
  { "pass the option 'api_key', or set the environment variable RETAB_API_KEY",
    "set the environment variable RETAB_API_KEY" },
  { ", or set allow_http = true", "" },
  { "the key is passed as api_key", "the key goes into RETAB_API_KEY" },
  { "(YYYY-MM-DD, RFC 3339, or epoch seconds)", "(YYYY-MM-DD, RFC 3339, or an age such as 30m, 12h, 7d, 2w)" },
  { "the response is larger than max_body_bytes", "the response is larger than 64 MiB" },
  { "list the runs of the experiment before you create another one",
    "look with 'retab-runs -e EXPERIMENT' before you create another one" },
}

--- Returns a message of the library in the tool's words.
function words.translate(message)
  for _, pair in ipairs(replaced) do
    local first, last = message:find(pair[1], 1, true)
    if first then message = message:sub(1, first - 1) .. pair[2] .. message:sub(last + 1) end
  end
  return message
end

local views = { summary = true, by_document = true, by_target = true, votes = true }

--- Returns what the library says of an invalid argument, in the words of the command line. An interrupt, which can be
--- caught with it, is raised again.
--- @param message any
--- @return string
function words.of_misuse(message)
  if tostring(message):find "interrupted!$" then error(message, 0) end
  message = words.translate(tostring(message):gsub("^[^\n]-:%d+: ", ""))
  message = message:gsub("later than to_date", "later than 'to_date'")
  message = message:gsub("^bad %a+ '", "bad '"):gsub("^missing %a+ '", "missing '")
  message = message:gsub("^(bad 'limit': .*got )(%d%d%d+)$", "%1%2; for %2 in all: -n %2")
  message = message:gsub("option 'parallel' needs the parameter", "option 'parallel' needs")
  message = message:gsub("^option '", "'")
  return (message:gsub("'([%l_]+)'", function(name)
    return not views[name] and "--" .. name:gsub("_", "-") or nil
  end))
end

--- What to do about an error, by its status or else its kind.
local hints = {
  [404] = "check the id, and that the API key belongs to the organization that owns it",
  [405] = "this is not enabled for your organization; or ADDRESS leads to another server",
  permission = "the API key is valid but not allowed to do this: check the workspace that it belongs to",
  validation = "check what you typed against the message above: 'retab-runs --help'",
  conflict = "look at the run first: 'retab-runs get RUN'",
  rate_limit = "wait a moment, then type it again",
  server = "the server failed: type it again later, and quote the request id when you report it",
  api = "check ADDRESS",
  connection = "check the network, the proxy settings and ADDRESS",
  timeout = "type it again, or allow more time with --timeout SECONDS",
  tls = "SSL_CERT_FILE or SSL_CERT_DIR names the certificates to trust; there is no way to turn the check off",
  decode = "the server is not the Retab API, or the API has changed: check ADDRESS",
  too_large = "ask for smaller pages with --limit",
  cursor_loop = "the server repeats its cursors: type it again, or report it with the request id",
}

--- Returns where the address of the API comes from, or nil if it is the default.
local function source_of_address(arguments)
  if arguments.base_url then return "--base-url" end
  for _, name in ipairs { "RETAB_API_BASE_URL", "RETAB_BASE_URL" } do
    if (os.getenv(name) or "") ~= "" then return name end
  end
end

local function hint_of(err, arguments)
  if err.status == 401 then
    local other = (arguments.auth or os.getenv "RETAB_AUTH") == "bearer" and "api-key" or "bearer"
    return "check RETAB_API_KEY; if it is right, try --auth " .. other
  end
  if err.retry_after then return ("wait %g s, then type it again"):format(math.ceil(err.retry_after)) end
  if err.status == 404 and arguments.verb == "cancel" then
    return ("look at the run: retab-runs get %s"):format(arguments.run_id)
  end
  if err.kind == "conflict" and not arguments.run_id then return nil end -- there is no run to look at
  local hint, source = hints[err.status] or hints[err.kind], source_of_address(arguments)
  if err.status == 404 and source then hint = hint .. "; check ADDRESS" end
  source = source or "the address (RETAB_API_BASE_URL)"
  return hint and hint:gsub("ADDRESS", function() return source end) or nil
end

--- Returns the place and message of an item of `errors`.
local function detail_of(item)
  if type(item) ~= "table" then return nil end
  local place, message = item.location or item.loc, item.msg or item.message
  if type(place) == "table" then
    local parts = {}
    for index, part in ipairs(place) do parts[index] = tostring(part) end
    place = table.concat(parts, ".")
  end
  if type(place) == "string" and type(message) == "string" then return place, message end
end

local most_details = 5

--- Writes an error of the API or of the network to stderr.
--- @param err retab.Error
--- @param arguments table
--- @param resume string|nil the command's options that go on after the failure
function words.report(err, arguments, resume)
  local lines = { "retab-runs: " .. words.translate(err.message) }
  local function add(label, value)
    if value ~= nil then lines[#lines + 1] = ("  %s: %s"):format(label, tostring(value)) end
  end
  add("error", err.status and ("%s (HTTP %d)"):format(err.kind, err.status) or err.kind)
  for index, item in ipairs(type(err.errors) == "table" and err.errors or {}) do
    local place, message = detail_of(item)
    if place and index <= most_details then add(place, message) end
  end
  add("request", err.url and ("%s %s"):format(tostring(err.method), err.url))
  add("request id", err.request_id)
  if err.attempts and err.attempts > 1 then add("attempts", err.attempts) end
  add("to go on", resume)
  add("hint", hint_of(err, arguments))
  for index, line in ipairs(lines) do lines[index] = text.clean(line) end
  terminal.say(table.concat(lines, "\n"))
end

--- Reports an error and ends the program.
function words.fail(err, arguments, resume)
  words.report(err, arguments, resume)
  os.exit(terminal.exit.failure)
end

return words
