--- The driver of plain scripts: a wait blocks the process. While it waits for one request, all others that were sent
--- make progress too.
local bind = require "retab.driver.bind"
local curl = require("retab.native").transport()
local dates = require "retab.dates"
local task = require "retab.task"

local blocking = {}

local Driver = {}
Driver.__index = Driver

--- Seconds: a wait that only the network or a timeout ends.
local forever = 1e9

--- What `now` adds to the monotonic clock. In a sandbox without `os`, `now` counts from another moment than 1970.
local epoch = (dates.now() or curl.clock()) - curl.clock()

function Driver:send(request)
  return self.pool:send(request)
end

function Driver:await(transfer)
  while not transfer:done() do self.pool:wait(forever) end
  return transfer:result()
end

function Driver:await_any(transfers)
  while true do
    for _, transfer in ipairs(transfers) do
      if transfer:done() then return end
    end
    self.pool:wait(forever)
  end
end

function Driver:cancel(transfer) -- luacheck: no unused args
  transfer:cancel()
end

function Driver:now() -- luacheck: no unused args
  return epoch + curl.clock()
end

function Driver:sleep(seconds)
  local ends = curl.clock() + seconds
  repeat
    self.pool:wait(math.max(0, ends - curl.clock()))
  until self.closed or curl.clock() >= ends
end

function Driver:ready(transfer)
  self.pool:step()
  return transfer:done()
end

--- Runs `f` at once, to its end unless it yields. An error that it raises is reported.
function Driver:spawn(f, ...) -- luacheck: no unused args
  return task.spawn(nil, f, ...)
end

function Driver:connections()
  return self.pool:connections()
end

function Driver:close()
  self.closed = true
  self.pool:close()
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function blocking.new(settings)
  return bind(setmetatable({ pool = curl.pool(settings), closed = false }, Driver))
end

return blocking
