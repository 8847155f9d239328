--- program.lua: the program that bin/retab-runs starts: it reads the command line and runs the verb.
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"

local program = {}

--- What runs each verb: a module with run(arguments, session), which returns an exit status, or nil for 0.
local modules = {
  list = "listing", results = "listing", get = "detail", watch = "watch", metrics = "metrics", create = "create",
  cancel = "cancel",
}

--- The library and libcurl are loaded where they are needed: help and completion are faster without them.
local function version()
  return ("retab-runs %s (%s)"):format(require("retab")._VERSION, rawget(_G, "jit") and jit.version or _VERSION)
end

local no_argparse = "the Lua module argparse is not installed.\n"
  .. "Install it: apt-get install lua-argparse (Debian, Ubuntu), or luarocks install argparse."

--- Loads what reads the command line. A part that is missing raises a message for a person, without a place in a file.
local function load_arguments()
  local ok, arguments = pcall(require, "retab.cli.arguments")
  if ok then return arguments end
  local is_missing = tostring(arguments):find("module 'argparse' not found", 1, true)
  error(is_missing and no_argparse or arguments, 0)
end

local function main(given)
  local arguments, words = load_arguments(), require "retab.cli.words"
  local parsed, problem, verb = arguments.parse(given, version)
  if not parsed then words.fail_usage(problem, verb) end
  if parsed.verb == "completion" then return require("retab.cli.completion").run(parsed.shell) end
  local ok, session = pcall(require("retab.cli.session").new, parsed)
  if not ok then words.fail_usage(words.of_misuse(session), parsed.verb) end
  return require("retab.cli." .. modules[parsed.verb]).run(parsed, session)
end

--- Files that stay open as long as the program runs.
program.held = {}

--- Takes the numbers of stdin, stdout and stderr where they are closed. A socket would get them otherwise, and what is
--- printed would go to the server.
local function hold_descriptors()
  for place = 1, 3 do program.held[place] = io.open "/dev/null" end
end

--- Runs the program to its end.
--- @param given string[] the command line
--- @return number status to exit with
function program.run(given)
  hold_descriptors()
  local ok, result = xpcall(function() return main(given) end, function(problem)
    local has_place = type(problem) ~= "string" or problem:find "^[^\n ]+:%d+: " or problem:find '^%[string "'
    local is_fault = has_place and not tostring(problem):find "interrupted!$"
    return is_fault and debug.traceback(tostring(problem)) or problem
  end)
  if ok then return result or 0 end
  if tostring(result):find "interrupted!$" then
    terminal.stop()
    return terminal.exit.interrupt
  end
  terminal.say("retab-runs: " .. text.clean_lines(tostring(result)))
  return terminal.exit.failure
end

return program
