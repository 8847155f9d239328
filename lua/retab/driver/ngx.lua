--- The driver of nginx on libcurl. A timer steps the pool between short sleeps while transfers are under way, and each
--- caller sleeps on a semaphore until its transfer is done: so the worker serves other requests meanwhile. The timer
--- belongs to no request. A thread that nginx kills takes nothing with it but its own transfer, which is collected.
local bind = require "retab.driver.bind"
local curl = require("retab.native").transport()
local phases = require "retab.driver.phases"
local semaphore = require "ngx.semaphore"

local driver_module = {}

--- Seconds between two steps: the resolution of nginx's timers. A response waits no longer for a step.
local tick = phases.tick

--- Seconds after which a caller that sends also steps: under load the pool need not wait for the tick.
local gap = 0.0001

--- Seconds without a step after which a caller steps the pool and requests another timer: nginx drops timers past
--- lua_max_running_timers.
local patience = 0.05

--- Threads woken per step: each decodes its page at once, and other requests get their turn.
local wakes = 16

--- Seconds for which a walk goes on over pages that are there already, before others get their turn.
local stretch = 0.002

local Driver = {}
Driver.__index = Driver

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function driver_module.new(settings)
  return bind(setmetatable({
    pool = curl.pool(settings),
    alarm = phases.alarm(),
    waiting = setmetatable({}, { __mode = "v" }), -- transfer id -> the semaphore that its thread holds
    stepped = 0, -- when the pool was stepped last
    yielded = 0, -- when others had their turn last, as far as a wait here shows
  }, Driver))
end

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

--- Has a timer step the pool for as long as a step is due, unless one does already.
function Driver:keep_stepping()
  if self.stepping and curl.clock() - self.stepped < patience then return end
  self.stepping = {}
  self.stepped = curl.clock()
  ngx.timer.at(0, self.step_until_idle, self, self.stepping)
end

--- @param mine table nobody steps for a driver whose `stepping` is another one
function Driver.step_until_idle(_, self, mine)
  while self.stepping == mine and not self.closed and self:step() do phases.sleep(tick) end
  if self.stepping == mine then self.stepping = nil end
end

-- ---- the driver --------------------------------------------------------------------------------------

local function closed_error()
  return { kind = "cancelled", message = "client is closed" }
end

function Driver:send(request)
  phases.check()
  if self.closed then return nil, closed_error() end
  local transfer, err = self.pool:send(request)
  if not transfer then return nil, err end
  if curl.clock() - self.stepped > gap then self:step() end
  self:keep_stepping()
  return transfer
end

--- Sleeps until a transfer is done.
function Driver:wait(transfer)
  local waiter = semaphore.new()
  self.waiting[transfer:id()] = waiter
  while not transfer:done() do
    if not waiter:wait(patience) and curl.clock() - self.stepped >= patience then
      self:step()
      self:keep_stepping()
    end
  end
end

function Driver:await(transfer)
  phases.check()
  if not transfer:done() then
    self:wait(transfer)
    self.yielded = curl.clock()
  elseif curl.clock() - self.yielded >= stretch then
    phases.sleep(tick)
    self.yielded = curl.clock()
  end
  if self.closed then return nil, closed_error() end
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

function Driver.now()
  ngx.update_time()
  return ngx.now()
end

function Driver:ready(transfer)
  if not self.closed then self:step() end
  return transfer:done()
end

function Driver:connections()
  return self.pool:connections()
end

function Driver.spawn(_, ...)
  return phases.spawn(...)
end

function Driver:close()
  self.closed = true
  self.alarm:ring()
  self.pool:close()
  for _, waiter in pairs(self.waiting) do waiter:post(1) end
end

return driver_module
