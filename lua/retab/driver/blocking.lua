--- The driver of plain scripts: a wait blocks the process. During a wait for one request, all other requests that were
--- sent make progress too.
local bind = require "retab.driver.bind"
local curl = require("retab.native").transport()
local dates = require "retab.dates"
local task = require "retab.task"

local Driver = {}
Driver.__index = Driver

local epoch_seconds = dates.now()

--- What `now` adds to the monotonic clock. A sandbox without `os` does not know the time of day: there it adds nothing.
local offset = epoch_seconds and epoch_seconds - curl.clock() or 0

function Driver:send(request)
  return self.pool:send(request)
end

function Driver:await(transfer)
  while not transfer:done() do self.pool:wait(math.huge) end
  return transfer:result()
end

--- Waits until one of the transfers is done. Not part of the contract of drivers: see call.await_any.
function Driver:await_any(transfers)
  while true do
    for _, transfer in ipairs(transfers) do
      if transfer:done() then return end
    end
    self.pool:wait(math.huge)
  end
end

function Driver.cancel(_, transfer)
  transfer:cancel()
end

function Driver.now()
  return offset + curl.clock()
end

function Driver:sleep(seconds)
  local ends = curl.clock() + seconds
  repeat
    local is_open = self.pool:wait(ends - curl.clock())
  until not is_open or curl.clock() >= ends
end

function Driver:ready(transfer)
  self.pool:step()
  return transfer:done()
end

--- Runs `f` at once: up to its end, or to its first yield. An error that it raises is reported.
function Driver.spawn(_, f, ...)
  return task.spawn(nil, f, ...)
end

function Driver:connections()
  return self.pool:connections()
end

function Driver:close()
  self.pool:close()
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
local function new(settings)
  return bind(setmetatable({ pool = curl.pool(settings) }, Driver))
end

return { new = new }
