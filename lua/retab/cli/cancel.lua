--- cancel.lua: the verb `cancel`.
local columns = require "retab.cli.columns"
local detail = require "retab.cli.detail"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"
local words = require "retab.cli.words"

local cancel = {}

function cancel.run(arguments, session)
  local ok, cancelled, _, err = pcall(session.runs.cancel, arguments.run_id)
  if not ok then words.fail_usage(words.of_misuse(cancelled), arguments.verb) end
  if err then words.fail(err, arguments) end
  if arguments.format == "json" then return detail.print_body(session) end
  local status = type(cancelled.lifecycle) == "table" and cancelled.lifecycle.status
  terminal.write(("%s %s\n"):format(text.clean(columns.show(cancelled.id)), text.clean(columns.show(status))))
end

return cancel
