--- A Neovim in a terminal of its own: tmux, without a user's configuration. It has the plugin and nothing else.
local editor = require "spec.nvim.editor"
local neovim = require "spec.driver.neovim"

local terminal = {}

local quote = editor.quote
local count = 0

--- Returns true if tmux is installed.
function terminal.is_available()
  return editor.output_of "command -v tmux" ~= ""
end

local Terminal = {}
Terminal.__index = Terminal

function Terminal:tmux(arguments)
  return editor.output_of(("tmux -L %s %s 2>&1"):format(self.name, arguments))
end

--- Returns the screen as text; with its colors where `colored`.
function Terminal:screen(colored)
  return self:tmux("capture-pane -p -t 0" .. (colored and " -e" or ""))
end

--- Types keys, each of them a name of tmux's or a text.
function Terminal:press(...)
  for index = 1, select("#", ...) do self:tmux("send-keys -t 0 " .. quote((select(index, ...)))) end
end

function Terminal:resize(columns, rows)
  self:tmux(("resize-window -t 0 -x %d -y %d"):format(columns, rows))
end

--- Waits until the screen has a text, and returns it.
function Terminal:wait_for(text)
  local ends = os.time() + 20
  repeat
    local screen = self:screen()
    if screen:find(text, 1, true) then return screen end
    os.execute "sleep 0.05"
  until os.time() > ends
  error(("waited in vain for %q\n%s"):format(text, self:screen()), 2)
end

--- Returns true as long as Neovim runs.
function Terminal:is_running()
  return not self:tmux("list-panes"):find "no server"
end

function Terminal:stop()
  self:tmux "kill-server"
  editor.remove(self.directory)
end

--- Starts Neovim.
--- @param base_url string of the API
--- @param commands string[] that Neovim runs before the plugin is loaded; only the last one may be :lua
--- @param columns integer
--- @param rows integer
function terminal.start(base_url, commands, columns, rows)
  count = count + 1
  local directory = editor.install()
  local self = setmetatable({ directory = directory, name = "retab" .. directory:gsub("%W", "") .. count }, Terminal)
  local words = {
    "env -u TMUX RETAB_API_KEY=k", quote("RETAB_API_BASE_URL=" .. base_url), neovim.program, "-u NONE -i NONE -n --cmd",
    quote("set runtimepath^=" .. directory),
  }
  words[#words + 1] = "--cmd " .. quote(table.concat(commands, " | "))
  words[#words + 1] = "-c " .. quote "runtime plugin/retab.lua"
  self:tmux(("-f /dev/null new-session -d -x %d -y %d %s"):format(columns, rows, quote(table.concat(words, " "))))
  return self
end

return terminal
