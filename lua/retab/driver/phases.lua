--- The phases of nginx: which of them can yield, how a light thread sleeps, and how another one starts. Both drivers of
--- nginx use it.
local params = require "retab.params"
local semaphore = require "ngx.semaphore"

local phases = {}

local yielding = {
  rewrite = true, access = true, content = true, timer = true, ssl_cert = true, ssl_session_fetch = true,
  ssl_client_hello = true, server_rewrite = true, preread = true,
}

--- The directives of the phases that are not called PHASE_by_lua.
local directives = {
  init = "init_by_lua", init_worker = "init_worker_by_lua", set = "set_by_lua", log = "log_by_lua",
  header_filter = "header_filter_by_lua", body_filter = "body_filter_by_lua", balancer = "balancer_by_lua",
}

--- Raises an error in a phase that cannot yield.
function phases.check()
  local phase = ngx.get_phase()
  if yielding[phase] then return end
  params.raise(("nginx's %s phase (%s) cannot yield: use ngx.timer.at(0, function() ... end) there"):format(phase,
    directives[phase] or phase .. "_by_lua"))
end

--- The shortest sleep in seconds. nginx without OpenResty's patches logs a warning about ngx.sleep(0).
phases.tick = 0.001

--- Suspends the light thread.
function phases.sleep(seconds)
  ngx.sleep(math.max(seconds, phases.tick))
end

--- What the sleepers of a driver wait for: the time, or that the driver is closed.
local Alarm = {}
Alarm.__index = Alarm

--- @return table alarm sleep, ring
function phases.alarm()
  return setmetatable({ sleepers = 0, semaphore = semaphore.new() }, Alarm)
end

--- Suspends the light thread; returns at once when the alarm rings, and from then on.
--- @param seconds number
function Alarm:sleep(seconds)
  if self.has_rung then return end
  self.sleepers = self.sleepers + 1
  self.semaphore:wait(math.max(seconds, phases.tick))
  self.sleepers = self.sleepers - 1
end

--- Ends all sleeps.
function Alarm:ring()
  self.has_rung = true
  if self.sleepers > 0 then self.semaphore:post(self.sleepers) end
end

--- Runs `f` in a light thread, or in a timer if the phase has no light threads. nginx logs uncaught errors.
--- @return thread|boolean
function phases.spawn(f, ...)
  if yielding[ngx.get_phase()] then return ngx.thread.spawn(f, ...) end
  local arguments, count = { ... }, select("#", ...)
  local ok, problem = ngx.timer.at(0, function(premature)
    if not premature then f(unpack(arguments, 1, count)) end
  end)
  if not ok then params.raise("nginx refused a timer to spawn the function in: " .. tostring(problem)) end
  return ok
end

return phases
