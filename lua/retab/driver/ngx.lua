--- The driver of nginx's Lua module, on libcurl: transfers are stepped between short sleeps of light threads,
--- so the worker serves its other requests meanwhile. One of the waiting threads steps for all of them; the
--- others sleep on a semaphore each until their transfer is done.
local curl = require "retab.curl"
local phases = require "retab.driver.phases"
local semaphore = require "ngx.semaphore"

local driver_module = {}

--- Seconds between two steps: the resolution of nginx's timers. What it adds to a request is at most this.
local tick = 0.001

--- Seconds after which the stepping thread counts as gone (nginx kills threads when clients go away), and
--- another one takes over.
local lease = 0.05

--- Threads woken between two ticks: each decodes its page at once, and other requests want their turn.
local wakes = 8

--- Seconds for which a walk goes on over pages that are there already, before others get their turn.
local stretch = 0.002

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function driver_module.new(settings)
  local pool = curl.pool(settings)
  local driver = {}
  local waiting = {} -- transfer id -> the semaphore of its thread
  local stepping = false
  local stepped = 0 -- when
  local turned = 0 -- when others had their turn last, as far as a wait here shows
  local closed = false

  --- Wakes threads whose transfers are done.
  local function wake_finished()
    for _ = 1, closed and 0 or wakes do
      local id = pool:finished()
      if not id then return end
      if waiting[id] then waiting[id]:post(1) end
    end
  end

  --- Hands the stepping on to one of those who wait.
  local function hand_over()
    local _, one = next(waiting)
    if one then one:post(1) end
  end

  local function step_until_done(transfer)
    stepping = true
    repeat
      stepped = ngx.now()
      ngx.sleep(tick)
      if not closed then pool:step() end
      wake_finished()
    until transfer:done()
    stepping = false
  end

  function driver.send(request)
    phases.check()
    local transfer = pool:send(request)
    wake_finished()
    return transfer
  end

  function driver.await(transfer)
    phases.check()
    local id = transfer:id()
    if transfer:done() then
      if curl.clock() - turned < stretch then return transfer:result() end
      ngx.sleep(0)
    end
    while not transfer:done() do
      if stepping and ngx.now() - stepped < lease then
        waiting[id] = waiting[id] or semaphore.new()
        waiting[id]:wait(lease)
      else
        waiting[id] = nil
        step_until_done(transfer)
      end
    end
    waiting[id] = nil
    if not stepping then hand_over() end
    turned = curl.clock()
    return transfer:result()
  end

  function driver.cancel(transfer)
    local id = transfer:id()
    transfer:cancel()
    if waiting[id] then waiting[id]:post(1) end
  end

  function driver.sleep(seconds)
    ngx.sleep(seconds)
  end

  function driver.now()
    ngx.update_time()
    return ngx.now()
  end

  function driver.ready(transfer)
    pool:step()
    wake_finished()
    return transfer:done()
  end

  function driver.connections()
    return pool:connections()
  end

  driver.spawn = phases.spawn

  function driver.close()
    closed = true
    pool:close()
    for _, waiter in pairs(waiting) do waiter:post(1) end
  end

  return driver
end

return driver_module
