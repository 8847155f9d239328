--- Runs retab-runs from outside, against the simulator, for the specs of the command line.
local http = require "socket.http"
local ltn12 = require "ltn12"
local program = require "spec.program"
local simulator = require "spec.simulator"

local tool = {}

tool.secret = "sk_live_0123456789"
tool.server = simulator.shared()

--- Returns the body of a list as the API sends it.
function tool.ask(base_url, query)
  local chunks = {}
  local _, status = http.request {
    url = base_url .. "/v1/workflows/experiments/runs?" .. query, headers = { ["Api-Key"] = tool.secret },
    sink = ltn12.sink.table(chunks),
  }
  assert(status == 200, status)
  return table.concat(chunks)
end

--- What a developer's environment would change.
local clean = { NO_COLOR = "", CLICOLOR = "", CLICOLOR_FORCE = "", RETAB_AUTH = "", RETAB_DEBUG = "" }

--- Runs the tool. The key shows nowhere, whatever happens.
--- @param base_url string
--- @param arguments table|nil
--- @param environment table|nil
--- @param around table|nil as program.run takes it
--- @return table result { stdout, stderr, status, lines }
function tool.run(base_url, arguments, environment, around)
  local merged = { RETAB_API_KEY = tool.secret, RETAB_API_BASE_URL = base_url }
  for name, value in pairs(clean) do merged[name] = value end
  for name, value in pairs(environment or {}) do merged[name] = value end
  local result = program.run("bin/retab-runs", arguments, merged, around)
  assert(not result.stdout:find(tool.secret, 1, true) and not result.stderr:find(tool.secret, 1, true))
  result.lines = program.lines(result.stdout)
  return result
end

--- Runs the tool in a terminal of its own, and returns all that the terminal was sent.
--- @param columns number
--- @param under string|nil a command to run it under
function tool.in_terminal(columns, base_url, arguments, environment, under)
  local words = { under or "", "env -u COLUMNS -u NO_COLOR -u CLICOLOR_FORCE TERM=xterm" }
  for name, value in pairs(environment or {}) do words[#words + 1] = ("%s='%s'"):format(name, value) end
  words[#words + 1] = ("RETAB_API_KEY=%s RETAB_API_BASE_URL='%s' scripts/lua %s bin/retab-runs"):format(tool.secret,
    base_url, program.version)
  for _, argument in ipairs(arguments) do words[#words + 1] = ("'%s'"):format(argument) end
  local inner = ("stty cols %d rows 24; %s"):format(columns, table.concat(words, " "))
  local terminal = io.popen(('script --quiet --return --command "%s" /dev/null </dev/null'):format(inner))
  local text = terminal:read("*a"):gsub("\r\n", "\n")
  terminal:close()
  return text
end

--- Returns the base URL of a server that sends this body with every response.
function tool.answering(body, more)
  local options = { fault = "body", times = 0, body = body }
  for name, value in pairs(more or {}) do options[name] = value end
  return (tool.server:scenario(options))
end

--- Returns the body of a list with these items.
function tool.envelope(...)
  return '{"data":[' .. table.concat({ ... }, ",") .. '],"list_metadata":{"before":null,"after":null}}'
end

--- Returns the cells of a line of a table.
function tool.split(line)
  local cells = {}
  for cell in (line .. "  "):gmatch("(.-)  +") do
    if cell ~= "" then cells[#cells + 1] = cell end
  end
  return cells
end

--- Returns the path of a file that does not exist.
function tool.new_path(suffix)
  local path = os.tmpname()
  os.remove(path)
  return path .. (suffix or "")
end

function tool.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

function tool.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

return tool
