--- A stand-in for nginx's Lua and lua-resty-http, for the driver resty: light threads, semaphores, timers and a clock
--- that moves only when all wait; and HTTP clients that answer by a script and write down what was done with them.
local scripted = {}

--- @param answer function (number of the client) -> what happens: { status, headers, chunks } and maybe refused,
---   failed, broken (problems of the connection, the request and the body), takes (seconds), reused
--- @param settings table|nil phase; timers = "refused" | "dropped"
--- @return table nginx with `ngx`, `modules` to be loaded, `clients`, and `run`
function scripted.new(answer, settings)
  settings = settings or {}
  local self = { clients = {}, open = 0, most_open = 0 }
  local clock = 1780000000
  local ready, sleeping, killed = {}, {}, setmetatable({}, { __mode = "k" })

  local function resume(thread)
    if killed[thread] or coroutine.status(thread) == "dead" then return end
    local ok, problem = coroutine.resume(thread)
    if not ok then error(debug.traceback(thread, tostring(problem)), 0) end
  end

  --- Suspends the running thread until it is woken, or so many seconds later. Whether it was woken.
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
    thread = {
      spawn = spawn,
      kill = function(thread)
        killed[thread] = true
        local client = self.clients[thread]
        if client and client.options then client:close() end
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

  local http = {}
  function http.new()
    local client = { timeouts = {} }
    local number = #self.clients + 1
    self.clients[number] = client
    self.clients[coroutine.running()] = client
    local behaviour

    local function opened()
      self.open = self.open + 1
      self.most_open = math.max(self.most_open, self.open)
    end

    local function leave(how)
      if client.gone then return end
      client.gone = how
      self.open = self.open - 1
    end

    --- Takes its time, as far as the timeout lets it.
    local function spend(seconds)
      local allowed = client.timeouts[#client.timeouts] / 1000
      wait(math.min(seconds or 0, allowed))
      return (seconds or 0) <= allowed
    end

    function client.set_timeout(_, milliseconds)
      client.timeouts[#client.timeouts + 1] = milliseconds
    end

    function client.connect(_, options)
      client.options = options
      behaviour = answer(number)
      if behaviour.refused then return nil, behaviour.refused end
      opened()
      return true
    end

    function client.request(_, request)
      client.request_sent = request
      if behaviour.failed then return nil, behaviour.failed end
      if not spend(behaviour.takes) then return nil, "timeout" end
      local chunks, next_chunk = behaviour.chunks, 0
      return {
        status = behaviour.status, headers = behaviour.headers or {},
        body_reader = chunks and function()
          next_chunk = next_chunk + 1
          if behaviour.broken and next_chunk > #chunks then return nil, behaviour.broken end
          return chunks[next_chunk]
        end,
      }
    end

    function client.get_reused_times()
      return behaviour.reused and 1 or 0
    end

    function client.close()
      leave "closed"
    end

    function client.set_keepalive(_, idle, size)
      client.kept = { idle, size }
      leave "kept"
    end

    return client
  end

  self.modules = { ["ngx.semaphore"] = semaphore, ["resty.http"] = http }

  --- Runs a function in a light thread, and all that comes of it, until nothing is left to do.
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
    assert(ended, "the function never came to its end")
  end

  return self
end

return scripted
