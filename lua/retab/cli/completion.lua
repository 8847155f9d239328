--- completion.lua: the verb `completion`: what lets a shell complete the verbs and options.
local arguments = require "retab.cli.arguments"
local terminal = require "retab.cli.terminal"

local completion = {}

--- Prints the script for a shell.
--- @param shell "bash"|"zsh"|"fish"
function completion.run(shell)
  local parser = arguments.parser ""
  terminal.write(parser["get_" .. shell .. "_complete"](parser))
end

return completion
