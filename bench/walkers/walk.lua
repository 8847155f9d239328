--- Walks once for each line of standard input: a base URL, the seconds of work per page, and options (name=value). It
--- prints a line: the number of runs and the id of the last one.
--- Usage: walk.lua retab|luasocket|lua_http|lua_curl
local walk = require("bench.walkers." .. arg[1])

local clock = require("retab.curl").clock

--- Keeps the processor busy, as the user's own work does.
local function work(seconds)
  local ends = clock() + seconds
  while clock() < ends do end
end

for line in io.lines() do
  local base_url, seconds, rest = line:match("^(%S+) (%S+)(.*)$")
  seconds = tonumber(seconds)
  local options = {}
  for name, value in rest:gmatch("([%w_]+)=(%S+)") do options[name] = value end
  local on_page = seconds > 0 and function() work(seconds) end or nil
  print(walk(base_url, on_page, options))
  io.stdout:flush()
end
