--- The driver of nginx on libcurl. While transfers are under way, a timer steps the pool between short sleeps, and each
--- caller waits on a semaphore until its transfer is done: so the worker serves other requests meanwhile. The timer
--- belongs to no request. When nginx kills a thread, only the transfer of that thread is lost: it is collected.
local bind = require "retab.driver.bind"
local curl = require("retab.native").transport()
local light_thread = require "retab.driver.light_thread"
local semaphore = require "ngx.semaphore"

--- Seconds after which a caller that sends a request also steps the pool: under load the pool need not wait for the
--- timer.
local gap = 0.0001

--- Seconds without a step after which a waiting thread steps the pool and requests another timer: nginx drops timers
--- past lua_max_running_timers.
local patience = 0.05

--- The most threads that are woken per step. Each of them decodes its page at once, and other requests get their turn.
local wakes = 16

local Driver = {}
Driver.__index = Driver

-- ---- stepping ----------------------------------------------------------------------------------------

--- Wakes threads whose transfers are done. Returns true if there may be more of them.
function Driver:wake_finished()
  for _ = 1, wakes do
    local id = self.pool:finished()
    if not id then return false end
    local waiter = self.waiting[id]
    if waiter then waiter:post(1) end
  end
  return true
end

--- Returns true if another step is due: a transfer is under way, or a thread is to be woken.
function Driver:step()
  self.stepped = curl.clock()
  self.pool:step()
  return self:wake_finished() or self.pool:timeout() ~= nil
end

--- Has a timer step the pool while steps are due, unless a timer does so already.
function Driver:keep_stepping()
  if self.stepper and curl.clock() - self.stepped < patience then return end
  local stepper = {}
  self.stepper, self.stepped = stepper, curl.clock()
  ngx.timer.at(0, function()
    while self.stepper == stepper and self:step() do light_thread.sleep(0) end
    if self.stepper == stepper then self.stepper = nil end
  end)
end

-- ---- the driver --------------------------------------------------------------------------------------

function Driver:send(request)
  light_thread.check_phase()
  local transfer, err = self.pool:send(request)
  if not transfer then return nil, err end
  if curl.clock() - self.stepped > gap then self:step() end
  self:keep_stepping()
  return transfer
end

function Driver:await(transfer)
  light_thread.check_phase()
  if transfer:done() then
    light_thread.give_way()
    return transfer:result()
  end
  local waiter = semaphore.new()
  self.waiting[transfer:id()] = waiter
  while not transfer:done() do
    if not light_thread.wait(waiter, patience) and curl.clock() - self.stepped >= patience then
      self:step()
      self:keep_stepping()
    end
  end
  return transfer:result()
end

function Driver:cancel(transfer)
  local waiter = self.waiting[transfer:id()]
  transfer:cancel()
  if waiter then waiter:post(1) end
end

function Driver:sleep(seconds)
  self.alarm:sleep(seconds)
end

Driver.now = light_thread.now

function Driver:ready(transfer)
  self:step()
  return transfer:done()
end

function Driver:connections()
  return self.pool:connections()
end

function Driver.spawn(_, ...)
  return light_thread.spawn(...)
end

function Driver:close()
  self.alarm:ring()
  self.pool:close()
  for _, waiter in pairs(self.waiting) do waiter:post(1) end
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
local function new(settings)
  return bind(setmetatable({
    pool = curl.pool(settings),
    alarm = light_thread.alarm(),
    waiting = setmetatable({}, { __mode = "v" }), -- transfer id -> the semaphore of the thread that awaits it
    stepped = 0, -- the time of the last step
    stepper = nil, -- stands for the timer that steps the pool
  }, Driver))
end

return { new = new }
