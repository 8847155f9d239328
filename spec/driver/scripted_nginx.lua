--- A stand-in for nginx's Lua: light threads, semaphores, timers, a clock that moves only when all threads wait, and
--- cosockets whose servers follow a script.
local scripted_socket = require "spec.driver.scripted_socket"

local scripted = {}

--- @param script_of function (number of the socket) -> script, as in spec/driver/scripted_socket.lua; it may also have
---   refused and handshake (the problems), connects_in (seconds), reused (true: the connection was kept), unread
--- @param settings table|nil phase; timers = "refused" | "dropped"
--- @return table nginx with `ngx`, `modules` to be loaded, `sockets`, and `run`
function scripted.new(script_of, settings)
  settings = settings or {}
  local self = { sockets = {}, open = 0, most_open = 0 }
  local clock = 1780000000
  local ready, sleeping, killed = {}, {}, setmetatable({}, { __mode = "k" })

  local function resume(thread)
    if killed[thread] or coroutine.status(thread) == "dead" then return end
    local ok, problem = coroutine.resume(thread)
    if not ok then error(debug.traceback(thread, tostring(problem)), 0) end
  end

  --- Suspends the running thread until it is woken or the seconds have passed. Returns true if it was woken.
  local function wait(seconds, wakers)
    local entry = { thread = coroutine.running(), at = clock + seconds }
    sleeping[#sleeping + 1] = entry
    if wakers then wakers[#wakers + 1] = entry end
    coroutine.yield()
    return entry.woken
  end

  local function wake(entry, woken)
    for index, other in ipairs(sleeping) do
      if other == entry then
        table.remove(sleeping, index)
        entry.woken = woken
        ready[#ready + 1] = entry.thread
        return true
      end
    end
    return false
  end

  local function spawn(f, ...)
    local arguments, count = { ... }, select("#", ...)
    local thread = coroutine.create(function() f((table.unpack or unpack)(arguments, 1, count)) end)
    resume(thread)
    return thread
  end

  self.ngx = {
    get_phase = function() return settings.phase or "content" end,
    now = function() return clock end,
    update_time = function() end,
    sleep = function(seconds) wait(seconds) end,
    socket = {},
    unescape_uri = function(text) return text end,
    encode_base64 = function(text) return "base64 of " .. text end,
    thread = {
      spawn = spawn,
      kill = function(thread)
        killed[thread] = true
        local socket = self.sockets[thread]
        if socket then socket:close() end
      end,
    },
    timer = {
      at = function(_, f)
        if settings.timers == "refused" then return nil, "process exiting" end
        if settings.timers ~= "dropped" then ready[#ready + 1] = coroutine.create(function() f(false) end) end
        return true
      end,
    },
  }

  local semaphore = {}
  function semaphore.new()
    local count, waiters = 0, {}
    return {
      post = function(_, more)
        for _ = 1, more do
          local entry = table.remove(waiters, 1)
          while entry and not wake(entry, true) do entry = table.remove(waiters, 1) end
          if not entry then count = count + 1 end
        end
      end,
      wait = function(_, seconds)
        if count > 0 then
          count = count - 1
          return true
        end
        return wait(seconds, waiters)
      end,
    }
  end

  --- Returns a cosocket, whose connection follows the script. The socket records what was done with it.
  function self.ngx.socket.tcp()
    local number = #self.sockets + 1
    local socket = scripted_socket.new({}, wait)
    self.sockets[number] = socket
    self.sockets[coroutine.running()] = socket

    local function leave(how)
      if not socket.peer or socket.gone then return end
      socket.gone = how
      self.open = self.open - 1
    end

    function socket.settimeouts() end

    function socket.connect(_, host, port, options)
      socket.script = script_of(number)
      if socket.script.refused then return nil, socket.script.refused end
      socket.peer, socket.options = host .. ":" .. port, options
      self.open = self.open + 1
      self.most_open = math.max(self.most_open, self.open)
      wait(socket.script.connects_in or 0)
      return true
    end

    function socket.sslhandshake(_, session, name, verify)
      socket.handshake = { session, name, verify }
      if socket.script.handshake then return nil, socket.script.handshake end
      return true
    end

    function socket.getreusedtimes()
      return socket.script.reused and 1 or 0
    end

    function socket.close()
      leave "closed"
    end

    function socket.setkeepalive(_, idle, size)
      if socket.script.unread then return nil, "unread data in buffer" end
      socket.kept = { idle, size }
      leave "kept"
      return true
    end

    return socket
  end

  self.modules = { ["ngx.semaphore"] = semaphore }

  --- Runs a function in a light thread, and then all threads and timers that it has started.
  function self.run(f)
    local ended = false
    spawn(function()
      f()
      ended = true
    end)
    while #ready > 0 or (#sleeping > 0 and not ended) do
      while #ready > 0 do resume(table.remove(ready, 1)) end
      local first
      for _, entry in ipairs(sleeping) do
        if not first or entry.at < first.at then first = entry end
      end
      if first and not ended then
        clock = math.max(clock, first.at)
        wake(first, nil)
      end
    end
    assert(ended, "the function never ended")
  end

  return self
end

return scripted
