--- log.lua: where a line for the developer goes: stderr, nginx's error log, or Neovim's messages.
local log = {}

--- Writes a line to the host's log.
--- @param line string
function log.write(line)
  local ngx, nvim = rawget(_G, "ngx"), rawget(_G, "vim")
  if ngx and ngx.log then
    ngx.log(ngx.NOTICE, line)
  elseif nvim and nvim.notify then
    nvim.schedule(function() nvim.notify(line) end) -- a callback of the loop may not show anything itself
  elseif io then
    io.stderr:write(line, "\n")
  end
end

--- The sink that the option `debug` asks for.
--- @param option boolean|function|nil
--- @return function|nil sink takes a line
function log.sink(option)
  if type(option) == "function" then return option end
  return option and log.write or nil
end

return log
