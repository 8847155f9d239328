--- The hosts in which the contract runs: how each runs functions concurrently, sleeps, and shows errors. Of the library
--- they know only the names of its drivers.
---
--- A host is a table:
--- - driver: the name of its driver
--- - run(f): calls `f` in a coroutine of the host, and returns when `f` has ended; raises its error
--- - spawn(f): calls `f` in another coroutine
--- - sleep(seconds): suspends the coroutine
--- - now(): returns seconds
--- - reported(): returns the text of the errors that were reported since its last call
--- - alone: true if a wait blocks the whole host
--- - raw: true if any code may resume a coroutine
--- - abandon(f, reached): if there is a way, calls `f` in a coroutine until `reached()`, and never resumes it again
local host = {}

--- Runs `f` in a coroutine. An error before its first wait goes to `failed`.
local function start(f, failed)
  local thread = coroutine.create(f)
  local ok, problem = coroutine.resume(thread)
  if not ok then failed(debug.traceback(thread, tostring(problem))) end
end

--- Calls `f`, and adds to `written` what it writes to standard error.
local function catching_stderr(written, f)
  local stderr = io.stderr
  io.stderr = { write = function(_, ...) -- luacheck: ignore 122
    for index = 1, select("#", ...) do written[#written + 1] = tostring((select(index, ...))) end
  end }
  local results = { pcall(f) }
  io.stderr = stderr -- luacheck: ignore 122
  if not results[1] then error(results[2], 0) end
end

--- Returns a function that returns the text that was written since its last call.
local function taking(written)
  return function()
    local text = table.concat(written)
    for index = #written, 1, -1 do written[index] = nil end
    return text
  end
end

function host.blocking()
  local socket = require "socket"
  local written = {}
  return {
    driver = "blocking", alone = true, now = socket.gettime, sleep = socket.sleep, reported = taking(written),
    run = function(f) catching_stderr(written, f) end,
    spawn = function(f) f() end,
  }
end

--- Plain luv, and Neovim. In Neovim, a callback may not call the API, and messages take the place of standard error.
function host.luv()
  local nvim = rawget(_G, "vim")
  local uv = nvim and nvim.loop or require "luv"
  local problem
  local written = {}
  local self = { driver = not nvim and "luv" or nil, raw = true, reported = taking(written) }

  local function failed(message) problem = problem or message end

  function self.now()
    return uv.hrtime() / 1e9
  end

  function self.spawn(f)
    start(f, failed)
  end

  function self.sleep(seconds)
    local thread, alarm, over = coroutine.running(), uv.new_timer(), false
    local function go()
      local ok, message = coroutine.resume(thread)
      if not ok then failed(debug.traceback(thread, tostring(message))) end
    end
    alarm:start(math.ceil(seconds * 1000), 0, function()
      alarm:close()
      over = true
      if nvim then nvim.schedule(go) else go() end
    end)
    repeat coroutine.yield() until over
  end

  function self.run(f)
    local ended = false
    problem = nil
    local function go()
      require("retab.task").spawn(failed, function()
        f()
        ended = true
      end)
      local function done() return ended or problem ~= nil end
      if nvim then
        nvim.wait(60000, done, 1)
      else
        while not done() do uv.run "once" end
        uv.run "nowait" -- luv 1.44 crashes if Lua ends while a timer of the specs is closing
      end
    end
    if nvim then go() else catching_stderr(written, go) end
    if problem then error(problem, 0) end
    assert(ended, "the coroutine did not end")
  end

  if coroutine.close then
    function self.abandon(f, reached)
      local thread = coroutine.create(f)
      assert(coroutine.resume(thread))
      while not reached() do self.sleep(0.01) end
      assert(coroutine.close(thread))
    end
  end

  if nvim then
    function self.reported()
      local text = nvim.api.nvim_exec("messages", true)
      nvim.cmd "messages clear"
      return text
    end
  end
  return self
end

function host.cqueues()
  local cqueues = require "cqueues"
  local controller
  local written = {}
  local self = { driver = "cqueues", now = cqueues.monotime, sleep = cqueues.sleep, reported = taking(written) }

  function self.spawn(f)
    controller:wrap(f)
  end

  function self.abandon(f, reached)
    local left = cqueues.new()
    left:wrap(f)
    while not reached() do assert(left:step(0.01)) end
  end

  function self.run(f)
    controller = cqueues.new()
    local ended = false
    catching_stderr(written, function()
      controller:wrap(function()
        f()
        ended = true
      end)
      while not ended do
        local ok, problem, _, thread = controller:step(60)
        if not ok then error(thread and debug.traceback(thread, tostring(problem)) or tostring(problem), 0) end
      end
    end)
  end

  return self
end

--- nginx with its Lua module, which writes errors to the file `error_log`.
function host.ngx(driver, error_log)
  local log = assert(io.open(error_log))
  log:seek "end"
  local self = { driver = driver, sleep = ngx.sleep }

  function self.now()
    ngx.update_time()
    return ngx.now()
  end

  function self.run(f) f() end

  function self.spawn(f)
    ngx.thread.spawn(f)
  end

  function self.abandon(f, reached)
    local thread = ngx.thread.spawn(f)
    while not reached() do ngx.sleep(0.01) end
    ngx.thread.kill(thread)
  end

  function self.reported()
    return log:read "*a"
  end

  return self
end

return host
