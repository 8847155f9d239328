--- The light threads of nginx, for both of its drivers: where they can wait, and how they start, wait and take turns.
local params = require "retab.params"
local semaphore = require "ngx.semaphore"

local light_thread = {}

--- The phases in which a light thread can wait.
local waiting_phases = {
  rewrite = true, access = true, content = true, timer = true, ssl_cert = true, ssl_session_fetch = true,
  ssl_client_hello = true, server_rewrite = true, preread = true,
}

--- Raises an error in a phase in which nothing can wait.
function light_thread.check_phase()
  local phase = ngx.get_phase()
  if waiting_phases[phase] then return end
  params.raise(("nginx's %s phase (%s_by_lua) cannot yield: use ngx.timer.at(0, function() ... end) there"):format(
    phase, phase))
end

--- The shortest sleep in seconds. nginx without OpenResty's patches logs a warning about ngx.sleep(0).
local tick = 0.001

--- Seconds for which threads go on without a wait, before other threads have their turn.
local stretch = 0.002

--- The time at which a thread here ended its last wait, during which other threads had their turn.
local last_wait = 0

--- Returns the epoch seconds.
function light_thread.now()
  ngx.update_time()
  return ngx.now()
end

--- Suspends the thread.
function light_thread.sleep(seconds)
  ngx.sleep(math.max(seconds, tick))
  last_wait = light_thread.now()
end

--- Suspends the thread until somebody posts to the semaphore, but no longer than so many seconds.
--- @return boolean posted
function light_thread.wait(for_semaphore, seconds)
  local posted = for_semaphore:wait(math.max(seconds, tick))
  last_wait = light_thread.now()
  return posted or false
end

--- Lets other threads have their turn, unless they had it a moment ago.
function light_thread.give_way()
  if light_thread.now() - last_wait >= stretch then light_thread.sleep(0) end
end

--- What the threads that sleep in a driver wait for: the time has passed, or the driver was closed.
local Alarm = {}
Alarm.__index = Alarm

--- @return table alarm with the methods sleep and ring
function light_thread.alarm()
  return setmetatable({ sleepers = 0, semaphore = semaphore.new() }, Alarm)
end

--- Suspends the thread, but no longer than until the alarm rings. Returns at once if it has rung.
--- @param seconds number
function Alarm:sleep(seconds)
  if self.has_rung then return end
  self.sleepers = self.sleepers + 1
  light_thread.wait(self.semaphore, seconds)
  self.sleepers = self.sleepers - 1
end

--- Ends all sleeps.
function Alarm:ring()
  self.has_rung = true
  if self.sleepers > 0 then self.semaphore:post(self.sleepers) end
end

--- Runs `f` in a light thread, or in a timer if the phase has no light threads. nginx logs an error that `f` raises.
--- @return thread|boolean
function light_thread.spawn(f, ...)
  if waiting_phases[ngx.get_phase()] then return ngx.thread.spawn(f, ...) end
  local arguments, count = { ... }, select("#", ...)
  local ok, problem = ngx.timer.at(0, function(premature)
    if not premature then f(unpack(arguments, 1, count)) end
  end)
  if not ok then params.raise("nginx refused a timer to spawn the function in: " .. tostring(problem)) end
  return ok
end

return light_thread
