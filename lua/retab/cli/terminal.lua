--- terminal.lua: what is known of the terminal: its size, and if colours may be used; writing to it. It knows nothing
--- of what is written.
local text = require "retab.cli.text"

local terminal = {}

local usual_width, usual_height = 80, 24
local short_line = 60 -- bytes: a shorter one is not worth asking for the width
local broken_pipe = 32 -- EPIPE, on Linux, macOS and the BSDs

--- Exit statuses: of this program, and as shells know them.
terminal.exit = { failure = 1, usage = 2, unsuccessful = 3, interrupt = 130, broken_pipe = 141 }

local function environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local known = {}

--- Returns true if a file descriptor is a terminal.
--- @param descriptor number 1 for stdout, 2 for stderr
--- @return boolean
function terminal.is_terminal(descriptor)
  if known[descriptor] == nil then
    local status = os.execute("test -t " .. descriptor)
    known[descriptor] = status == true or status == 0 -- Lua 5.1 returns the status
  end
  return known[descriptor]
end

local size

--- Returns the rows and columns of the terminal.
local function terminal_size()
  if not size then
    local stty = io.popen "{ stty size </dev/tty; } 2>/dev/null"
    local rows, columns = stty:read("*a"):match "^(%d+) (%d+)"
    stty:close()
    size = { tonumber(rows) or 0, tonumber(columns) or 0 }
    if size[1] < 1 then size[1] = usual_height end
    if size[2] < 1 then size[2] = usual_width end
  end
  return size[1], size[2]
end

--- Has the size asked for again: a terminal can change it while a program runs.
function terminal.forget_size()
  size = nil
end

--- Returns the columns that stdout has: those of COLUMNS where it is exported, else the terminal's.
--- @return number width math.huge in a pipe or a file, where nothing needs to be cut
function terminal.width()
  local columns = tonumber(os.getenv "COLUMNS")
  if columns and columns >= 1 then return math.floor(columns) end
  if not terminal.is_terminal(1) then return math.huge end
  return (select(2, terminal_size()))
end

--- Returns the rows of the terminal.
--- @return number
function terminal.height()
  return (terminal_size())
end

--- Returns true if colours may be written to a file descriptor. CLICOLOR_FORCE wins over NO_COLOR, as it does in gh.
--- @param descriptor number
--- @return boolean
function terminal.has_colours(descriptor)
  local force = environment "CLICOLOR_FORCE"
  if force and force ~= "0" then return true end
  if environment "NO_COLOR" or environment "CLICOLOR" == "0" or environment "TERM" == "dumb" then return false end
  return terminal.is_terminal(descriptor)
end

local codes = { red = "31", green = "32", yellow = "33", blue = "34", cyan = "36", grey = "90", bold = "1" }

--- Returns a text in a colour.
--- @param colour string|nil one of red, green, yellow, blue, cyan, grey, bold
--- @param shown string
--- @return string
function terminal.paint(colour, shown)
  if not colour then return shown end
  return ("\27[%sm%s\27[0m"):format(codes[colour], shown)
end

local status_colours = {
  completed = "green", error = "red", cancelled = "grey", running = "cyan", queued = "yellow", pending = "yellow",
}

--- Returns the colour of a status; nil for one that is not known.
function terminal.status_colour(status)
  return status_colours[status]
end

-- ---- writing ----

local before_writing

--- Has `f` called before anything is written: the progress line must be gone by then.
function terminal.before_writing(f)
  before_writing = f
end

--- Removes what is drawn for the moment: the program is interrupted.
function terminal.stop()
  if before_writing then before_writing() end
end

--- Writes a line, or several, to stderr. On a terminal, lines that do not fit are broken between words.
--- @param message string clean
function terminal.say(message)
  if before_writing then before_writing() end
  if message:find(("[^\n]"):rep(short_line)) and terminal.is_terminal(2) then
    local _, columns = terminal_size()
    message = message:gsub("[^\n]+", function(line) return text.wrap(line, columns) end)
  end
  io.stderr:write(message, "\n")
end

--- Ends the program where a file cannot be written. A reader that went away is no failure of ours.
--- @param message string
--- @param code number of the system
function terminal.fail_to_write(message, code)
  if code ~= broken_pipe then terminal.say("retab-runs: " .. tostring(message)) end
  os.exit(code == broken_pipe and terminal.exit.broken_pipe or terminal.exit.failure)
end

--- Writes to stdout, at once.
--- @param written string
function terminal.write(written)
  if before_writing then before_writing() end
  local ok, message, code = io.stdout:write(written)
  if ok then ok, message, code = io.stdout:flush() end
  if not ok then terminal.fail_to_write(message, code) end
end

return terminal
