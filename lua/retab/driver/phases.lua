--- nginx's phases: in which of them a call can wait, and how work runs beside a request. What both drivers
--- of nginx share.
local params = require "retab.params"

local phases = {}

--- Where light threads may sleep.
local yielding = {
  rewrite = true, access = true, content = true, timer = true, ssl_cert = true, ssl_session_fetch = true,
  ssl_client_hello = true, server_rewrite = true, preread = true,
}

--- What the directive of a phase is called, where that is not its name with `_by_lua` behind it.
local directives = {
  init = "init_by_lua", init_worker = "init_worker_by_lua", set = "set_by_lua", log = "log_by_lua",
  header_filter = "header_filter_by_lua", body_filter = "body_filter_by_lua", balancer = "balancer_by_lua",
}

--- Raises where the phase does not let a call wait.
function phases.check()
  local phase = ngx.get_phase()
  if yielding[phase] then return end
  params.raise(("retab can't wait for an answer in nginx's %s phase (%s): do it in a timer, "
    .. "ngx.timer.at(0, function() ... end)"):format(phase, directives[phase] or phase .. "_by_lua"))
end

--- Runs `f` in a light thread, or in a timer where the phase has none. nginx logs an error that nobody catches.
function phases.spawn(f, ...)
  if yielding[ngx.get_phase()] then return ngx.thread.spawn(f, ...) end
  local arguments, count = { ... }, select("#", ...)
  local ok, problem = ngx.timer.at(0, function(premature)
    if not premature then f(unpack(arguments, 1, count)) end
  end)
  if not ok then params.raise("no timer could be made to spawn in: " .. tostring(problem)) end
  return ok
end

return phases
