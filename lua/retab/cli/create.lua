--- create.lua: the verb `create`: starts a run, and follows it where that is wanted.
local detail = require "retab.cli.detail"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"
local watch = require "retab.cli.watch"
local words = require "retab.cli.words"

local create = {}

function create.run(arguments, session)
  watch.check(arguments)
  local ok, run, _, err = pcall(session.runs.create, {
    experiment_id = arguments.experiment_id, workflow_id = arguments.workflow_id, plan_token = arguments.plan_token,
  })
  if not ok then words.fail_usage(words.of_misuse(run), arguments.verb) end
  if err then words.fail(err, arguments) end
  if type(run.id) ~= "string" or run.id == "" then
    if arguments.format == "json" then detail.print_body(session) end
    terminal.say "retab-runs: the run was created, but the response does not say its id\n  hint: look with retab-runs"
    return terminal.exit.failure
  end
  local id = text.clean(run.id)
  if not arguments.wait then
    if arguments.format == "json" then return detail.print_body(session) end
    terminal.write(id .. "\n")
    if not arguments.quiet then terminal.say("To follow it: retab-runs watch " .. id) end
    return nil
  end
  if arguments.format ~= "json" then return watch.follow(arguments, session, { run.id }) end
  local status = watch.follow(arguments, session, { run.id }, function() end)
  detail.print_body(session)
  return status
end

return create
