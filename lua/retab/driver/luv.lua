--- The driver of libuv's loop: Neovim, and plain luv. One poll handle, on the descriptor of all of libcurl's
--- sockets, and one timer wake it, so nothing is awake while nothing happens.
---
--- A call made in a coroutine suspends it. One made outside runs the loop until it is done, and inside a
--- callback, where the loop can't be run again, waits with a connection of its own.
local curl = require "retab.curl"
local task = require "retab.task"

local luv = {}

local nvim = rawget(_G, "vim")
local uv = nvim and (nvim.uv or nvim.loop) or require "luv"

--- Milliseconds: what vim.wait takes for as long as it needs.
local forever = 2 ^ 31 - 1

--- Nanoseconds for which a walk goes on over pages that are there already, before the loop gets its turn.
local stretch = 2e6

--- Coroutines resumed in one turn of the loop: each decodes its page at once, and others want their turn.
local wakes = 8

--- Drivers that a coroutine waits in: libuv's callbacks know their driver weakly, so that a client that
--- nobody has any more goes, with its handles; while somebody waits, it stays.
local busy = {} -- luacheck: ignore 241 (written to, so as to keep)

local function in_callback()
  if nvim then return nvim.in_fast_event() end
  return uv.loop_mode ~= nil and uv.loop_mode() ~= nil
end

--- Whether a handle was closed that the loop may not have seen off yet. luv crashes where a Lua state ends
--- before that, so a loop that does not run by itself gets to run once more.
local closing = false

local function see_off()
  if closing and not nvim and not in_callback() then
    closing = false
    uv.run "nowait"
  end
end

--- Runs the loop until `done` says so. Whether it did.
local function run_until(done)
  if nvim then
    while not done() do
      local _, why = nvim.wait(forever, done)
      if why == -2 then return false end -- Ctrl-C
    end
    return true
  end
  while not done() do uv.run "once" end
  see_off()
  return true
end

--- Neovim's callbacks may not call its API; its scheduled functions may.
local function later(f)
  if nvim then nvim.schedule(f) else f() end
end

local function close(handle)
  if not handle:is_closing() then
    handle:stop()
    handle:close()
    closing = true
  end
end

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function luv.new(settings)
  local pool = curl.pool {
    max_connections = settings.max_connections, ca_file = settings.ca_file, ca_path = settings.ca_path,
    proxy = settings.proxy, events = true,
  }
  local driver = {}
  local weak = setmetatable({ driver = driver }, { __mode = "v" })
  local handles = {} -- poll and timer
  local waiting, waiters = {}, 0 -- transfer id -> what resumes its coroutine
  local turned = 0 -- when the loop had its turn last, as far as a wait here shows
  local closed = false
  local blocking -- the driver of calls in callbacks, and its transfers
  local blocked = setmetatable({}, { __mode = "k" })

  --- Called back when a step is due, as long as the driver is there.
  local function on_event()
    local self = weak.driver
    if self and not closed then self.step() end
  end

  local function close_handles()
    for _, handle in pairs(handles) do close(handle) end
  end

  --- A driver that nobody has any more takes its handles along: before the pool, which is older, closes the
  --- descriptor that they watch. When the Lua state ends, luv has closed them first, and they can't be used.
  driver.guard = task.on_collect(function() pcall(close_handles) end)

  local function open_handles()
    handles.poll = handles.poll or assert(uv.new_poll(pool:descriptor()))
    handles.timer = handles.timer or assert(uv.new_timer())
  end

  --- Has the loop call when a step is due; a handle that is started keeps a loop from ending.
  local function watch()
    local seconds = pool:timeout()
    if not seconds then
      if handles.poll then
        handles.poll:stop()
        handles.timer:stop()
      end
      return
    end
    open_handles()
    if not handles.poll:is_active() then handles.poll:start("r", on_event) end
    handles.timer:start(math.ceil(seconds * 1000), 0, on_event)
  end

  local function wake(id)
    local resume = waiting[id]
    if not resume then return end
    waiting[id] = nil
    waiters = waiters - 1
    if waiters == 0 then busy[driver] = nil end
    later(resume)
  end

  --- After anything that can have ended a transfer.
  local function settle()
    watch()
    local woken, id = 0, nil
    while woken < wakes do
      id = not closed and pool:finished()
      if not id then break end
      wake(id)
      woken = woken + 1
    end
    if closed then return end
    if id then -- there may be more
      open_handles()
      handles.timer:start(1, 0, on_event)
    elseif waiters > 0 and not pool:timeout() then
      waiting, waiters = {}, 0 -- coroutines that were closed while they waited, for transfers that are collected
      busy[driver] = nil
    end
  end

  function driver.step()
    pool:step()
    settle()
  end

  function driver.send(request)
    if not task.can_yield() and in_callback() then
      blocking = blocking or require("retab.driver.blocking").new(settings)
      local transfer = blocking.send(request)
      blocked[transfer] = true
      return transfer
    end
    local transfer = pool:send(request)
    settle()
    return transfer
  end

  function driver.await(transfer)
    if blocked[transfer] then return blocking.await(transfer) end
    local function done() return transfer:done() end
    if done() then
      if uv.hrtime() - turned < stretch then return transfer:result() end
      driver.sleep(0)
    elseif not task.can_yield() then
      if not run_until(done) then transfer:cancel() end
    else
      local id = transfer:id()
      waiters = waiters + 1
      busy[driver] = true
      task.suspend(done, function(resume) waiting[id] = resume end)
    end
    turned = uv.hrtime()
    return transfer:result()
  end

  function driver.cancel(transfer)
    if blocked[transfer] then return blocking.cancel(transfer) end
    transfer:cancel()
    if closed then return end
    wake(transfer:id())
    driver.step() -- another one may have its connection
    see_off()
  end

  local epoch = os.time() - uv.hrtime() / 1e9

  function driver.now()
    return epoch + uv.hrtime() / 1e9
  end

  function driver.sleep(seconds)
    if not task.can_yield() and in_callback() then
      return require("retab.driver.blocking").new(settings).sleep(seconds)
    end
    local over = false
    local function done() return over end
    local alarm, resume
    local function ring()
      over = true
      close(alarm)
      if resume then later(resume) end
    end
    if seconds > 0 then
      alarm = uv.new_timer()
      alarm:start(math.ceil(seconds * 1000), 0, ring)
    else -- a timer of 0 would come before others that are due
      alarm = uv.new_idle()
      alarm:start(ring)
    end
    if task.can_yield() then
      task.suspend(done, function(f) resume = f end)
    else
      run_until(done)
      close(alarm)
    end
  end

  function driver.ready(transfer)
    return transfer:done()
  end

  function driver.connections()
    return pool:connections() + (blocking and blocking.connections() or 0)
  end

  --- Runs `f` in a coroutine; what it raises is reported, and the loop goes on.
  function driver.spawn(f, ...)
    return task.spawn(nvim and function(message)
      nvim.schedule(function() nvim.api.nvim_err_writeln(message) end)
    end, f, ...)
  end

  function driver.close()
    closed = true
    close_handles()
    pool:close()
    if blocking then blocking.close() end
    local ids = {}
    for id in pairs(waiting) do ids[#ids + 1] = id end
    for _, id in ipairs(ids) do wake(id) end
    see_off()
  end

  if nvim then
    nvim.schedule(function() -- autocommands can't be made in a callback
      nvim.api.nvim_create_autocmd("VimLeavePre", {
        callback = function() if weak.driver and not closed then weak.driver.close() end end,
      })
    end)
  end
  return driver
end

return luv
