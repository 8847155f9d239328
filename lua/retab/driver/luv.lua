--- The driver of libuv's loop: Neovim, and plain luv. A poll handle watches the one descriptor that stands for all of
--- libcurl's sockets, and a timer knows when libcurl must act next: nothing runs while nothing happens.
---
--- A call in a coroutine suspends that coroutine. Elsewhere the call runs the loop until it is done; inside a callback,
--- where libuv does not let the loop run again, the call waits for the network alone.
---
--- Three rules keep luv from crashing:
--- - A closed handle is never used again: luv 1.48 reads freed memory if a method of a collected handle is called.
--- - The loop closes the handles, in the callback of an idle handle, because the same turn of the loop also finishes
---   the closing. luv 1.44 crashes if the Lua state ends between the two.
--- - A finalizer closes no handle, but has the loop close them. Finalizers run in the reverse order of creation when
---   the Lua state closes: the finalizer is created after the handles, so that it still finds them.
local bind = require "retab.driver.bind"
local curl = require("retab.native").transport()
local params = require "retab.params"
local task = require "retab.task"

local Driver = {}
Driver.__index = Driver

local nvim = rawget(_G, "vim")
local uv = nvim and (nvim.uv or nvim.loop) or require "luv"

--- Milliseconds: the longest wait that vim.wait takes.
local longest = 2 ^ 31 - 1

--- What `now` adds to the monotonic clock.
local offset = os.time() - uv.hrtime() / 1e9

--- Drivers that a coroutine waits for, or that have functions due: these must not be collected. The loop's callbacks
--- refer to their driver weakly, so that a client without references is collected otherwise.
local busy = {} -- luacheck: ignore 241 (it only keeps)

--- Drivers that are not closed.
local open = setmetatable({}, { __mode = "k" })

local function in_callback()
  if nvim then return nvim.in_fast_event() end
  return uv.loop_mode ~= nil and uv.loop_mode() ~= nil
end

--- Calls `f` where it may use the host's functions: in Neovim not in a callback, but soon after it.
local function in_host(f)
  if nvim then nvim.schedule(f) else f() end
end

-- ---- handles -----------------------------------------------------------------------------------------

--- Closes the handles and then the pool, whose descriptor one of them watches.
local function close(handles, pool)
  for name, handle in pairs(handles) do
    handles[name] = nil
    handle:close()
  end
  pool:close()
end

--- Has the loop close the handles when the driver is collected. It is called again after a handle is created: then the
--- guard before this one does nothing.
local function guard(self)
  local handles, pool, guards, mine = self.handles, self.pool, self.guards, {}
  guards.last = mine
  self.guard = task.on_collect(function()
    if guards.last == mine and handles.idle then handles.idle:start(function() close(handles, pool) end) end
  end)
end

--- Creates the poll handle if there is none and the pool has a descriptor.
local function open_poll(self)
  local descriptor = not self.handles.poll and self.pool:descriptor()
  if descriptor then self.handles.poll = assert(uv.new_poll(descriptor)) end
  if descriptor or not self.guard then guard(self) end
end

--- Returns a callback for the loop that calls `method(self)` unless `self` was collected. It also keeps the pool: the
--- descriptor must stay open while a handle watches it.
local function callback(self, method)
  local weak, pool = setmetatable({ self = self }, { __mode = "v" }), self.pool
  return function()
    if weak.self then method(weak.self, pool) end
  end
end

--- Calls the first of the functions that are due. It calls only one in each turn of the loop, because that one may
--- decode a page: the loop's other events come before the next one.
local function turn(self)
  local f = table.remove(self.due, 1)
  if f then f() end
  if self.due[1] then return end
  if self.closed then
    close(self.handles, self.pool)
    busy[self] = nil
  else
    self.handles.idle:stop()
    if next(self.waiting) == nil then busy[self] = nil end
  end
end

--- Has the loop call `f` in one of its next turns.
local function enqueue(self, f)
  self.due[#self.due + 1] = f
  busy[self] = true
  self.handles.idle:start(self.on_turn)
end

--- Has the loop resume the coroutine that awaits a transfer.
local function wake(self, id)
  local resume = self.waiting[id]
  if not resume then return end
  self.waiting[id] = nil
  enqueue(self, function() in_host(resume) end)
end

--- Wakes the coroutines whose transfers have ended, and has the loop call when the next step is due. The loop does not
--- end while a handle is started.
local function settle(self)
  if self.closed then return end
  for id in self.pool.finished, self.pool do wake(self, id) end
  local seconds, handles = self.pool:timeout(), self.handles
  if seconds then
    open_poll(self) -- there was no descriptor left when the driver was created
    if not handles.poll:is_active() then handles.poll:start("r", self.on_event) end
    handles.timer:start(math.ceil(seconds * 1000), 0, self.on_event)
  else
    if handles.poll then handles.poll:stop() end
    handles.timer:stop()
    self.waiting = {} -- these coroutines were closed while they waited
    if not self.due[1] then busy[self] = nil end
  end
end

local function step(self)
  self.pool:step()
  settle(self)
end

-- ---- waiting -----------------------------------------------------------------------------------------

--- Runs the loop until `done()`. In a callback of the loop, only the pool makes progress, for so many seconds at most.
--- Returns false if the user interrupted it.
local function run_until(self, done, seconds)
  if in_callback() then
    local ends = curl.clock() + seconds
    while not done() and curl.clock() < ends do self.pool:wait(ends - curl.clock()) end
    settle(self)
  elseif nvim then
    while not done() do
      local _, problem = nvim.wait(longest, done)
      if problem == -2 then return false end -- Ctrl-C
    end
  else
    while not done() do uv.run "once" end
  end
  return true
end

function Driver:send(request)
  if self.closed then return nil, task.closed(false) end
  local transfer, err = self.pool:send(request)
  settle(self)
  return transfer, err
end

function Driver:await(transfer)
  local function done() return self.closed or transfer:done() end
  local id, suspended = transfer:id(), false
  if done() then
    self:sleep(0)
  else
    if task.can_yield() then
      suspended = task.suspend(done, function(resume)
        self.waiting[id] = resume
        busy[self] = true
      end)
    end
    if not suspended then
      self.waiting[id] = nil
      if not run_until(self, done, math.huge) then self:cancel(transfer) end
    end
  end
  if self.closed then return nil, task.closed(true) end
  return transfer:result()
end

function Driver:cancel(transfer)
  transfer:cancel()
  wake(self, transfer:id())
  step(self) -- a queued transfer may have its connection now
end

--- Has the loop end a sleep.
local function ring(self, rouse)
  local alarm = self.sleeping[rouse]
  if not alarm then return end
  self.sleeping[rouse] = nil
  enqueue(self, function()
    alarm:close()
    rouse()
  end)
end

--- Has the loop call `rouse` after so many seconds. A timer of 0 would precede other events that are due.
local function set_alarm(self, seconds, rouse)
  if seconds <= 0 then return enqueue(self, rouse) end
  local alarm = assert(uv.new_timer())
  self.sleeping[rouse] = alarm
  alarm:start(math.ceil(seconds * 1000), 0, function() ring(self, rouse) end)
end

--- Sleeps for so many seconds, or until the client is closed.
function Driver:sleep(seconds)
  if self.closed then return end
  local over, resume = false, nil
  local function done() return over or self.closed end
  set_alarm(self, seconds, function()
    over = true
    if resume then in_host(resume) end
  end)
  if task.can_yield() and task.suspend(done, function(f) resume = f end) then return end
  resume = nil
  run_until(self, done, seconds)
end

function Driver.now()
  return offset + uv.hrtime() / 1e9
end

function Driver.ready(_, transfer)
  return transfer:done()
end

function Driver:connections()
  return self.pool:connections()
end

--- Runs `f` in a coroutine. An error that it raises is reported, and the loop goes on.
function Driver.spawn(_, f, ...)
  return task.spawn(nvim and function(message)
    nvim.schedule(function() nvim.api.nvim_err_writeln(message) end)
  end, f, ...)
end

-- ---- a driver's life ---------------------------------------------------------------------------------

--- Ends all waits, then closes the handles and the pool, in turns of the loop. Here, Neovim's turns are called without
--- the loop, because Neovim may be exiting; plain luv's loop runs. A callback of the loop leaves the turns to the loop.
function Driver:close()
  if self.closed then return end
  self.closed, open[self] = true, nil
  for id in pairs(self.waiting) do wake(self, id) end
  for rouse in pairs(self.sleeping) do ring(self, rouse) end
  enqueue(self, function() end)
  while self.handles.idle and not in_callback() do
    if nvim then turn(self) else uv.run "nowait" end
  end
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
local function new(settings)
  local options = params.copy(settings)
  options.events = true
  local pool = curl.pool(options)
  local self = setmetatable({
    pool = pool,
    handles = { timer = assert(uv.new_timer()), idle = assert(uv.new_idle()) }, -- and poll; empty when they are closed
    waiting = {}, -- transfer id -> the function that resumes the coroutine which awaits it
    sleeping = {}, -- the function that ends a sleep -> its timer
    due = {}, -- functions for the loop's next turns
    closed = false,
    guard = nil, guards = {}, -- what the collector tells that the driver was collected; guards.last: which one counts
  }, Driver)
  open_poll(self)
  self.on_event, self.on_turn = callback(self, step), callback(self, turn)
  open[self] = true
  return bind(self)
end

if nvim then
  nvim.schedule(function() -- a callback may not create an autocommand
    nvim.api.nvim_create_autocmd("VimLeavePre", {
      callback = function()
        for self in pairs(open) do self:close() end
      end,
    })
  end)
end

return { new = new }
