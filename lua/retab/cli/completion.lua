--- completion.lua: the verb `completion`: what lets a shell complete the verbs and options.
local arguments = require "retab.cli.arguments"
local terminal = require "retab.cli.terminal"

local completion = {}

local zsh_end = [[

if [ "$funcstack[1]" = "_retab-runs" ]; then
  _retab-runs "$@"
else
  compdef _retab-runs retab-runs
fi
]]

--- Prints the script for a shell.
--- @param shell "bash"|"zsh"|"fish"
function completion.run(shell)
  local parser = arguments.parser()
  local script = parser["get_" .. shell .. "_complete"](parser)
  -- argparse's script for zsh is a file of fpath, which calls its function; eval is to work too
  if shell == "zsh" then script = script:gsub("\n_retab%-runs\n*$", function() return zsh_end end) end
  terminal.write(script)
end

return completion
