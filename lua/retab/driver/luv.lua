--- The driver of libuv's loop: Neovim, and plain luv. A poll handle, on the one descriptor that stands for all of
--- libcurl's sockets, and a timer wake it, so that nothing runs while nothing happens.
---
--- A call in a coroutine suspends that coroutine. Elsewhere the call runs the loop until it is done; inside a callback,
--- where libuv does not let the loop run again, it waits for the network alone.
---
--- Three rules keep luv from crashing:
--- - A handle is forgotten when it is closed: luv 1.48 reads freed memory where a collected handle is asked anything.
--- - A handle is closed by the loop, in the callback of an idle handle, whose turn of the loop also finishes the
---   closing: luv 1.44 crashes where the Lua state ends between the two.
--- - A finalizer closes nothing. It has the loop close, and it is created after the handles, so that it precedes their
---   finalizers also when the Lua state closes.
local bind = require "retab.driver.bind"
local curl = require("retab.native").transport()
local task = require "retab.task"

local luv = {}

local Driver = {}
Driver.__index = Driver

local nvim = rawget(_G, "vim")
local uv = nvim and (nvim.uv or nvim.loop) or require "luv"

--- Milliseconds: the longest that vim.wait takes.
local longest = 2 ^ 31 - 1

--- Seconds: a wait that only the network or a timeout ends.
local forever = 1e9

--- What `now` adds to the monotonic clock.
local epoch = os.time() - uv.hrtime() / 1e9

--- Drivers that a coroutine waits for. The loop's callbacks refer to their driver weakly, so that a client which nobody
--- refers to is collected; while a coroutine waits, its driver stays.
local busy = {} -- luacheck: ignore 241 (it only keeps)

--- Drivers that are not closed, if they were not collected.
local open = setmetatable({}, { __mode = "k" })

local function in_callback()
  if nvim then return nvim.in_fast_event() end
  return uv.loop_mode ~= nil and uv.loop_mode() ~= nil
end

--- Neovim's callbacks may not call its API; its scheduled functions may.
local function in_host(f)
  if nvim then nvim.schedule(f) else f() end
end

--- Runs the loop until `done()`. Returns false if the user interrupted it.
local function run_until(self, done)
  if in_callback() then
    while not done() do self.pool:wait(forever) end
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

-- ---- handles -----------------------------------------------------------------------------------------

--- Closes handles. Whoever shares the table finds them gone.
local function close(handles)
  for name, handle in pairs(handles) do
    handles[name] = nil
    handle:close()
  end
end

--- Returns a callback for the loop: a weak method call. It keeps the pool, whose descriptor stays open for as long
--- as a handle may watch it.
local function callback(self, method)
  local weak, pool = setmetatable({ self = self }, { __mode = "v" }), self.pool
  return function()
    if weak.self then method(weak.self, pool) end
  end
end

--- Runs the first function that is due. Only one a turn: it may decode a page, and the loop's other events come before
--- the next one.
local function turn(self)
  local f = table.remove(self.due, 1)
  if f then f() end
  if self.due[1] then return end
  if self.closed then
    close(self.handles)
    busy[self] = nil
  else
    self.handles.idle:stop()
    if next(self.waiting) == nil then busy[self] = nil end
  end
end

local function open_handles(self)
  if self.handles.idle then return end
  local handles, pool = self.handles, self.pool
  handles.poll = assert(uv.new_poll(pool:descriptor()))
  handles.timer = assert(uv.new_timer())
  handles.idle = assert(uv.new_idle())
  self.guard = task.on_collect(function() -- after the handles
    if not handles.idle then return end
    handles.idle:start(function()
      close(handles)
      pool:close()
    end)
  end)
end

--- Has the loop call `f` in one of its next turns.
local function enqueue(self, f)
  self.due[#self.due + 1] = f
  busy[self] = true
  open_handles(self)
  self.handles.idle:start(self.on_turn)
end

--- Has the loop call when a step of the pool is due. A handle that is started keeps the loop from ending.
local function watch(self)
  local seconds, handles = self.pool:timeout(), self.handles
  if seconds then
    open_handles(self)
    if not handles.poll:is_active() then handles.poll:start("r", self.on_event) end
    handles.timer:start(math.ceil(seconds * 1000), 0, self.on_event)
  elseif handles.poll then
    handles.poll:stop()
    handles.timer:stop()
    self.waiting = {} -- of coroutines that were closed while they waited
    if not self.due[1] then busy[self] = nil end
  end
end

-- ---- waiting -----------------------------------------------------------------------------------------

--- Has the loop resume the coroutine that awaits a transfer.
local function wake(self, id)
  local resume = self.waiting[id]
  if not resume then return end
  self.waiting[id] = nil
  enqueue(self, function() in_host(resume) end)
end

--- Looks after transfers that have ended, and after the time of the next step.
local function settle(self)
  for id in self.pool.finished, self.pool do wake(self, id) end
  watch(self)
end

local function step(self, pool)
  if self.closed then return end
  pool:step()
  settle(self)
end

function Driver:send(request)
  if self.closed then return nil, task.closed(false) end
  local transfer, err = self.pool:send(request)
  settle(self)
  return transfer, err
end

function Driver:await(transfer)
  local function done() return self.closed or transfer:done() end
  local id, waited = transfer:id(), false
  if done() then
    self:sleep(0)
    waited = true
  elseif task.can_yield() then
    waited = task.suspend(done, function(resume)
      self.waiting[id] = resume
      busy[self] = true
    end)
  end
  if not waited then
    self.waiting[id] = nil
    if not run_until(self, done) then transfer:cancel() end
    if not self.closed then settle(self) end
  end
  if self.closed then return nil, task.closed(true) end
  return transfer:result()
end

function Driver:cancel(transfer)
  transfer:cancel()
  if self.closed then return end
  wake(self, transfer:id())
  step(self, self.pool) -- a queued transfer may have its connection now
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

--- Sleeps in a callback of the loop: only the pool makes progress.
local function block(self, seconds)
  local ends = curl.clock() + seconds
  repeat
    self.pool:wait(math.max(0, ends - curl.clock()))
  until self.closed or curl.clock() >= ends
  if not self.closed then settle(self) end
end

--- Sleeps until the time has come, or until the client is closed.
function Driver:sleep(seconds)
  if self.closed then return end
  local over, resume = false, nil
  local function done() return over end
  set_alarm(self, seconds, function()
    over = true
    if resume then in_host(resume) end
  end)
  if task.can_yield() and task.suspend(done, function(f) resume = f end) then return end
  resume = nil
  if in_callback() then block(self, seconds) else run_until(self, done) end
end

function Driver:now() -- luacheck: no unused args
  return epoch + uv.hrtime() / 1e9
end

function Driver:ready(transfer) -- luacheck: no unused args
  return transfer:done()
end

function Driver:connections()
  return self.pool:connections()
end

--- Runs `f` in a coroutine. An error that it raises is reported, and the loop goes on.
function Driver:spawn(f, ...) -- luacheck: no unused args
  return task.spawn(nvim and function(message)
    nvim.schedule(function() nvim.api.nvim_err_writeln(message) end)
  end, f, ...)
end

-- ---- a driver's life ---------------------------------------------------------------------------------

--- Has the loop close the pool and end all waits. Neovim's loop runs by itself, but not while Neovim exits; plain luv's
--- loop runs here, unless this is one of its callbacks.
function Driver:close()
  if self.closed then return end
  self.closed, open[self] = true, nil
  if not self.handles.idle and next(self.sleeping) == nil then return self.pool:close() end
  enqueue(self, function() end)
  table.insert(self.due, 1, function()
    self.handles.poll:close()
    self.handles.timer:close()
    self.handles.poll, self.handles.timer = nil, nil
    self.pool:close()
  end)
  for id in pairs(self.waiting) do wake(self, id) end
  for rouse in pairs(self.sleeping) do ring(self, rouse) end
  while self.handles.idle and not in_callback() do
    if nvim then turn(self) else uv.run "nowait" end
  end
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function luv.new(settings)
  local self = setmetatable({
    pool = curl.pool {
      max_connections = settings.max_connections, ca_file = settings.ca_file, ca_path = settings.ca_path,
      proxy = settings.proxy, events = true,
    },
    handles = {}, -- poll, timer and idle, from the first request to the close
    waiting = {}, -- transfer id -> the function that resumes the coroutine which awaits it
    sleeping = {}, -- the function that ends a sleep -> its timer
    due = {}, -- functions that the loop's next turns call
    closed = false,
  }, Driver)
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

return luv
