--- The driver of cqueues. Each waiting coroutine has a condition. Each cqueue in which coroutines wait has one more
--- coroutine, the pump: it polls the one descriptor that stands for all of libcurl's sockets, lets libcurl act, and
--- signals the conditions. The pump is a coroutine of its own, because a coroutine of the user can be abandoned in the
--- middle of a wait. Outside of any cqueue, a wait blocks the process.
local auxlib = require "cqueues.auxlib"
local bind = require "retab.driver.bind"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local curl = require("retab.native").transport()
local params = require "retab.params"
local task = require "retab.task"

local Driver = {}
Driver.__index = Driver

--- What `now` adds to the monotonic clock.
local offset = os.time() - cqueues.monotime()

--- Open pools, and their descriptors; false where the process had none left. A pool stays here until it is closed: it
--- must not be collected while a cqueue still polls its descriptor.
local open = {}

local function close(pool)
  local descriptor = open[pool]
  if descriptor == nil then return end
  open[pool] = nil
  if descriptor then cqueues.cancel(descriptor) end -- wakes the coroutines that poll it
  pool:close()
end

--- Wakes one coroutine whose transfer has ended. Returns false if there is none.
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

--- Moves all transfers while coroutines of the cqueue `here` wait. It wakes one coroutine at a time, because that may
--- decode a page: the cqueue's other coroutines run before the next one is woken.
local function pump(self, here)
  while self.pool:step() do
    local more, seconds = wake_one(self), self.pool:timeout()
    if not (more or seconds) then self.waiters[here] = nil end -- no transfer is left: the others were abandoned
    if not self.waiters[here] then break end
    cqueues.poll(self.changed, self.network, more and 0 or seconds)
  end
  self.pumps[here] = nil
end

local function wait_in(self, here, transfer)
  local waiter = condition.new()
  self.waiting[transfer:id()] = waiter
  self.waiters[here] = (self.waiters[here] or 0) + 1
  if not self.pumps[here] then
    self.pumps[here] = true
    here:wrap(pump, self, here)
  end
  while not transfer:done() do waiter:wait() end
  local left = (self.waiters[here] or 1) - 1
  self.waiters[here] = left > 0 and left or nil
  if left == 0 then self.changed:signal() end
end

function Driver:send(request)
  local transfer, err = self.pool:send(request)
  self.changed:signal()
  return transfer, err
end

function Driver:await(transfer)
  local here = cqueues.running()
  if transfer:done() then
    self:sleep(0)
  elseif here then
    wait_in(self, here, transfer)
  end
  while not transfer:done() do self.pool:wait(math.huge) end
  return transfer:result()
end

function Driver:cancel(transfer)
  transfer:cancel()
  self.pool:step() -- a queued transfer may have its connection now
  local waiter = self.waiting[transfer:id()]
  if waiter then waiter:signal() end
  self.changed:signal()
end

--- Sleeps for so many seconds, or until the client is closed.
function Driver:sleep(seconds)
  if open[self.pool] then cqueues.poll(self.closing, seconds) end
end

function Driver.now()
  return offset + cqueues.monotime()
end

function Driver:ready(transfer)
  self.pool:step() -- there is no pump while no coroutine waits
  return transfer:done()
end

function Driver:connections()
  return self.pool:connections()
end

--- Resumes a spawned coroutine until it ends. Its waits, and whatever else it yields, go to the cqueue.
local function follow(thread, ok, ...)
  if not ok then return task.report(debug.traceback(thread, tostring((...)))) end
  if coroutine.status(thread) ~= "dead" then return follow(thread, auxlib.resume(thread, coroutine.yield(...))) end
end

--- Runs `f` in the cqueue that runs the caller. `f` gets a coroutine inside one of the cqueue's: an error that the
--- cqueue's own coroutine raises would end the cqueue's loop.
function Driver.spawn(_, f, ...)
  local here = cqueues.running()
  if not here then return task.spawn(nil, f, ...) end
  local thread = coroutine.create(f)
  here:wrap(function(...) follow(thread, auxlib.resume(thread, ...)) end, ...)
  return thread
end

function Driver:close()
  close(self.pool)
  for _, waiter in pairs(self.waiting) do waiter:signal() end
  self.changed:signal()
  self.closing:signal()
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
local function new(settings)
  local options = params.copy(settings)
  options.events = true
  local pool = curl.pool(options)
  open[pool] = pool:descriptor() or false
  return bind(setmetatable({
    pool = pool,
    network = { pollfd = pool:descriptor(), events = "r" }, -- for cqueues.poll
    waiting = setmetatable({}, { __mode = "v" }), -- transfer id -> the condition of the coroutine that awaits it
    waiters = setmetatable({}, { __mode = "k" }), -- cqueue -> the number of its coroutines that wait
    pumps = setmetatable({}, { __mode = "k" }), -- cqueue -> true while it has a pump
    changed = condition.new(), -- signalled when the pumps have to look again
    closing = condition.new(), -- signalled when the client is closed
    guard = task.on_collect(function() close(pool) end),
  }, Driver))
end

return { new = new }
