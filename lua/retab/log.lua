--- log.lua: writes the lines of the option `debug`: in nginx to the error log, in Neovim to the messages, elsewhere to
--- stderr.
local log = {}

--- Writes a line to the host's log.
--- @param line string
function log.write(line)
  local ngx, nvim = rawget(_G, "ngx"), rawget(_G, "vim")
  if ngx and ngx.log then
    ngx.log(ngx.NOTICE, line)
  elseif nvim and nvim.notify then
    nvim.schedule(function() nvim.notify(line) end) -- a callback of libuv may not call Neovim's functions
  elseif io then
    io.stderr:write(line, "\n")
  end
end

--- Returns the function that gets the lines.
--- @param option boolean|function|nil the option `debug`
--- @return function|nil sink
function log.sink(option)
  if type(option) == "function" then return option end
  return option and log.write or nil
end

return log
