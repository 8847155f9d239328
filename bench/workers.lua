--- Programs that are measured while they keep running: they write a line to their standard output for every line that
--- they read from their standard input.
local workers = {}

local Worker = {}
Worker.__index = Worker

--- Quotes a text as one word for the shell.
function workers.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

--- @return string the path of a file of the build tree
function workers.built(path)
  return (os.getenv "BUILD" or "build") .. "/" .. path
end

--- @param command string for the shell
--- @return table|nil worker nil if it does not start
function workers.start(command)
  local fifo = os.tmpname()
  assert(os.execute(("rm -f %s && mkfifo -m 600 %s"):format(workers.quote(fifo), workers.quote(fifo))))
  local input = assert(io.popen(("exec >%s; exec %s"):format(workers.quote(fifo), command), "w"))
  local output = assert(io.open(fifo, "r"))
  os.remove(fifo)
  return setmetatable({ input = input, output = output }, Worker)
end

--- Sends a line and waits for the line that the program writes.
--- @return string
function Worker:ask(line)
  self.input:write(line, "\n")
  self.input:flush()
  return (assert(self.output:read("*l"), "a worker ended early"))
end

function Worker:stop()
  self.input:close()
  self.output:close()
end

--- Returns true if a command succeeds. Its output is discarded.
--- @param command string for the shell
--- @return boolean
function workers.succeeds(command)
  local ok, _, status = os.execute(command .. " >/dev/null 2>&1 </dev/null")
  return ok == true and status == 0 or ok == 0
end

--- The Luas that a peer may run under, in order of preference: ours is measured under the first one.
local luas = { "5.4", "5.3", "jit", "5.1" }

local function lua_walker(name, module, walker)
  for _, version in ipairs(luas) do
    if workers.succeeds(("scripts/lua %s -e 'require \"cjson\" require %s'"):format(version, '"' .. module .. '"')) then
      local label = ("%s + lua-cjson%s"):format(name, version == "5.4" and "" or version == "jit" and " (LuaJIT)"
        or " (Lua " .. version .. ")")
      return label, ("scripts/lua %s bench/walkers/walk.lua %s"):format(version, walker)
    end
  end
end

local function program_walker(name, tool, command)
  if workers.succeeds("command -v " .. tool) and workers.succeeds(("test -e %s"):format(command:match("%S+$"))) then
    return name, command
  end
end

--- Returns the peers that are installed on this machine.
--- @param say function called with a sentence for each one that is not
--- @return table[] peers { name =, command = }
function workers.peers(say)
  local peers = {}
  local function add(what, name, command)
    if name then
      peers[#peers + 1] = { name = name, command = command }
    else
      say(what .. " is not installed: not measured")
    end
  end
  add("LuaSocket", lua_walker("LuaSocket", "socket.http", "luasocket_http"))
  add("LuaSocket", lua_walker("LuaSocket, kept alive by hand,", "socket", "luasocket"))
  add("lua-http", lua_walker("lua-http", "http.client", "lua_http"))
  add("lua-curl", lua_walker("lua-curl", "curl", "lua_curl"))
  add("Go", program_walker("Go net/http", "go", workers.built "bench/walk-go"))
  add("Node", program_walker("Node http", "node", "node bench/walkers/walk.mjs"))
  add("Python", program_walker("Python http.client", "python3", "python3 bench/walkers/walk.py"))
  return peers
end

--- The command of our own walker.
workers.ours = "scripts/lua 5.4 bench/walkers/walk.lua retab"

return workers
