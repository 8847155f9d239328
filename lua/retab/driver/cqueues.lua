--- The driver of cqueues. In each cqueue whose coroutines wait, one more coroutine, the pump, polls the one descriptor
--- that stands for all of libcurl's sockets, and lets libcurl act; each waiting coroutine has a condition, which the
--- pump signals. The pump is not a coroutine of the user, so that only the cqueue itself can abandon it. Outside of any
--- cqueue a wait blocks the process.
local auxlib = require "cqueues.auxlib"
local bind = require "retab.driver.bind"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local curl = require("retab.native").transport()
local task = require "retab.task"

local driver = {}

local Driver = {}
Driver.__index = Driver

--- What `now` adds to the monotonic clock.
local epoch = os.time() - cqueues.monotime()

--- Open pools and their descriptors. A pool must not be collected before every cqueue has let go of its descriptor, so
--- it is kept here until it is closed.
local open = {}

local function close(pool)
  local descriptor = open[pool]
  if not descriptor then return end
  open[pool] = nil
  cqueues.cancel(descriptor) -- whoever polls it is woken
  pool:close()
end

--- Wakes the next coroutine whose transfer has ended. Returns false if there is none.
local function wake_one(self)
  for id in self.pool.finished, self.pool do
    local waiter = self.waiting[id]
    if waiter then
      waiter:signal()
      return true
    end
  end
  return false
end

--- Moves all transfers for as long as coroutines of the cqueue `here` wait. It wakes one of them at a time: it may
--- decode a page, and the cqueue's other coroutines come before the next one.
local function pump(self, here)
  while not self.closed do
    self.pool:step()
    local more, seconds = wake_one(self), self.pool:timeout()
    if not (more or seconds) then self.waiters[here] = nil end -- what is still counted was abandoned
    if not self.waiters[here] then break end
    cqueues.poll(self.changed, self.network, more and 0 or seconds)
  end
  self.pumps[here] = nil
end

local function wait_in(self, here, id, done)
  local waiter = condition.new()
  self.waiting[id] = waiter
  self.waiters[here] = (self.waiters[here] or 0) + 1
  if not self.pumps[here] then
    self.pumps[here] = true
    here:wrap(pump, self, here)
  end
  while not done() do waiter:wait() end
  local left = (self.waiters[here] or 1) - 1
  self.waiters[here] = left > 0 and left or nil
  if left == 0 then self.changed:signal() end
end

function Driver:send(request)
  if self.closed then return nil, task.closed(false) end
  local transfer, err = self.pool:send(request)
  self.changed:signal()
  return transfer, err
end

function Driver:await(transfer)
  local function done() return self.closed or transfer:done() end
  local here = cqueues.running()
  if done() then
    self:sleep(0)
  elseif here then
    wait_in(self, here, transfer:id(), done)
  end
  while not done() do
    self.pool:step()
    if not done() then cqueues.poll(self.network, self.pool:timeout()) end
  end
  if self.closed then return nil, task.closed(true) end
  return transfer:result()
end

function Driver:cancel(transfer)
  transfer:cancel()
  if self.closed then return end
  self.pool:step() -- a queued transfer may have its connection now
  local waiter = self.waiting[transfer:id()]
  if waiter then waiter:signal() end
  self.changed:signal()
end

--- Sleeps until the time has come, or until the client is closed.
function Driver:sleep(seconds)
  if not self.closed then cqueues.poll(self.ending, seconds) end
end

function Driver:now() -- luacheck: no unused args
  return epoch + cqueues.monotime()
end

function Driver:ready(transfer)
  if not self.closed then self.pool:step() end -- no pump runs while nothing waits
  return transfer:done()
end

function Driver:connections()
  return self.pool:connections()
end

--- Resumes a spawned coroutine until it ends. What it yields, other than its waits, goes to the cqueue.
local function follow(thread, ok, ...)
  if not ok then return task.report(debug.traceback(thread, tostring((...)))) end
  if coroutine.status(thread) ~= "dead" then return follow(thread, auxlib.resume(thread, coroutine.yield(...))) end
end

--- Runs `f` in the cqueue that runs the caller. `f` gets a coroutine inside the cqueue's own: an error that is raised
--- in the cqueue's own coroutine ends the cqueue's loop.
function Driver:spawn(f, ...) -- luacheck: no unused args
  local here = cqueues.running()
  if not here then return task.spawn(nil, f, ...) end
  local thread = coroutine.create(f)
  here:wrap(function(...) follow(thread, auxlib.resume(thread, ...)) end, ...)
  return thread
end

function Driver:close()
  if self.closed then return end
  self.closed = true
  close(self.pool)
  for _, waiter in pairs(self.waiting) do waiter:signal() end
  self.changed:signal()
  self.ending:signal()
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function driver.new(settings)
  local pool = curl.pool {
    max_connections = settings.max_connections, ca_file = settings.ca_file, ca_path = settings.ca_path,
    proxy = settings.proxy, events = true,
  }
  open[pool] = pool:descriptor()
  return bind(setmetatable({
    pool = pool,
    network = { pollfd = pool:descriptor(), events = "r" }, -- what cqueues.poll takes
    waiting = setmetatable({}, { __mode = "v" }), -- transfer id -> the condition of the coroutine that awaits it
    waiters = setmetatable({}, { __mode = "k" }), -- cqueue -> the number of its coroutines that wait
    pumps = setmetatable({}, { __mode = "k" }), -- cqueue -> true while it has a pump
    changed = condition.new(), -- signalled when a pump has to look again
    ending = condition.new(), -- signalled when the client is closed
    closed = false,
    guard = task.on_collect(function() close(pool) end),
  }, Driver))
end

return driver
