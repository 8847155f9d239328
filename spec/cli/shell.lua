--- A shell that a person types into: bash and zsh in tmux, without a user's configuration. It shows what completes a
--- word.
local tool = require "spec.cli.tool"

local shell = {}

local lines, columns, patience = 60, 100, 30 -- patience: seconds

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Returns true if a program is installed.
function shell.has(program)
  return output_of("command -v " .. program) ~= ""
end

--- What each shell reads at first. ^T lists what completes the word at the cursor.
local first = {
  bash = [[
bind '"\C-t": possible-completions'
bind 'set completion-query-items 0'
bind 'set page-completions off'
bind 'set bell-style none'
]],
  zsh = [[
autoload -U compinit
compinit -u -D
bindkey -e '^T' list-choices
unsetopt always_last_prompt beep
LISTMAX=1000
]],
}

local commands = { bash = "bash --noprofile --norc -i", zsh = "zsh -f -i" }

local Shell = {}
Shell.__index = Shell

function Shell:tmux(arguments)
  return output_of(("tmux -L %s %s 2>&1"):format(self.name, arguments))
end

--- Types a command line, and waits until it has ended. Returns the lines on the screen before its output.
function Shell:run(command)
  self.count = self.count + 1
  local mark = "ended" .. self.count
  self:tmux("send-keys -l " .. quote(command .. "echo en''" .. mark:sub(3)))
  self:tmux "send-keys Enter"
  local ends = os.time() + patience
  repeat
    local screen = self:tmux "capture-pane -p -J"
    local last = screen:find("\n" .. mark .. "\n", 1, true)
    if last then return screen:sub(1, last) end
    os.execute "sleep 0.05"
  until os.time() > ends
  error(("waited in vain for %q\n%s"):format(mark, self:tmux "capture-pane -p"), 2)
end

--- Returns what completes the last word of a command line, as the shell shows it.
function Shell:candidates(words)
  self:tmux "send-keys C-l"
  self:tmux("send-keys -l " .. quote(words))
  self:tmux "send-keys C-t C-u"
  return (self:run(""):gsub("^[^\n]*\n", "", 1):gsub("\n[^\n]*\n$", "\n"))
end

function Shell:stop()
  self:tmux "kill-server"
  os.execute("rm -f " .. self.directory .. "/first " .. self.directory .. "/_retab-runs")
  os.remove(self.directory)
end

local count = 0

--- Starts a shell with the completion of the tool.
--- @param name "bash"|"zsh"
--- @param is_autoloaded boolean|nil zsh finds it on its fpath; else the shell reads it when it starts
function shell.start(name, is_autoloaded)
  count = count + 1
  local directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir " .. directory)
  local self = setmetatable({ directory = directory, name = "retab" .. directory:gsub("%W", "") .. count, count = 0 },
    Shell)
  local script = tool.run("", { "completion", name }, { RETAB_API_KEY = "" }).stdout
  if is_autoloaded then
    tool.write(directory .. "/_retab-runs", script)
    script = ""
  end
  local path = directory .. "/first"
  tool.write(path, ("fpath+=('%s')\n%s%s\nPS1='> '\n"):format(directory, first[name], script))
  self:tmux(("-f /dev/null new-session -d -x %d -y %d env -u TMUX TERM=xterm %s"):format(columns, lines,
    commands[name]))
  self:run(("source %s; "):format(path))
  return self
end

--- Returns what fish completes the last word of a command line with, one candidate a line.
function shell.fish(words)
  local path = os.tmpname()
  tool.write(path, tool.run("", { "completion", "fish" }, { RETAB_API_KEY = "" }).stdout)
  local candidates = output_of(("fish --no-config -c %s"):format(quote(("source %s; complete -C %s"):format(path,
    quote(words)))))
  os.remove(path)
  return candidates
end

return shell
