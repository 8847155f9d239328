--- Starts the hostile servers (hostile_servers.lua) in a process of their own, so that hosts in any process can send
--- them requests.
local peers = {}

--- Starts the servers, unless they run already. They end with this process.
--- @param directory string where their URL is stored
function peers.start(directory)
  local registry = debug.getregistry()
  if registry["spec.driver.peers"] then return end
  local root = debug.getinfo(1, "S").source:match("^@(.*)spec/driver/peers%.lua$")
  local socket = require "socket"
  local version = rawget(_G, "jit") and "jit" or _VERSION:match "%d%.%d"
  os.remove(directory .. "/peers")
  local command = "unset LD_PRELOAD RETAB_LUA RETAB_UNDER; %sscripts/lua %s %s '%s' </dev/null >/dev/null &"
  os.execute(command:format(root == "" and "./" or root, version, root .. "spec/driver/hostile_servers.lua", directory))
  local ends = socket.gettime() + 30
  local url
  repeat
    socket.sleep(0.01)
    url = peers.url(directory)
    assert(socket.gettime() < ends, "the peers did not start")
  until url
  registry["spec.driver.peers"] = assert(socket.connect("127.0.0.1", tonumber(url:match ":(%d+)")))
end

--- @return string|nil url nil before the servers have started
function peers.url(directory)
  local file = io.open(directory .. "/peers")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text:match "^(%S+)\n"
end

return peers
