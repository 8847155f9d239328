--- The driver of cqueues: the descriptor of all of libcurl's sockets is polled by the cqueue that runs the
--- caller. One of the waiting coroutines polls for all; the others wait for a condition each.
--- Outside of any cqueue, cqueues.poll itself waits.
local auxlib = require "cqueues.auxlib"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local curl = require "retab.curl"
local task = require "retab.task"

local driver_module = {}

--- Seconds for which a walk goes on over pages that are there already, before others get their turn.
local stretch = 0.002

--- Coroutines woken by one poll: each decodes its page at once, and others want their turn.
local wakes = 8

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function driver_module.new(settings)
  local pool = curl.pool {
    max_connections = settings.max_connections, ca_file = settings.ca_file, ca_path = settings.ca_path,
    proxy = settings.proxy, events = true,
  }
  local driver = {}
  local network = { pollfd = pool:descriptor(), events = "r" } -- what cqueues.poll takes
  local waiting = {} -- transfer id -> the condition of its coroutine
  local pollers = {} -- transfer id -> whether its coroutine polls: one in each cqueue
  local polling = setmetatable({}, { __mode = "v" }) -- `here`: the cqueue whose coroutine polls for all, if it lives
  local changed = condition.new() -- there is something else to poll for
  local more = false -- maybe there are finished transfers whose coroutines were not woken yet
  local turned = 0 -- when others had their turn last, as far as a wait here shows
  local closed = false

  --- Closes what a closed driver has. Not while a coroutine polls: cqueues must have let go of the descriptor.
  local function close_pool()
    cqueues.cancel(network.pollfd)
    pool:close()
  end

  --- After anything that can have changed when a step is due, or ended a transfer.
  local function settle()
    if polling.here then
      changed:signal()
    elseif closed then
      close_pool()
    end
    local woken, id = 0, nil
    while woken < wakes do
      id = not closed and pool:finished()
      if not id then break end
      if waiting[id] then waiting[id]:signal() end
      woken = woken + 1
    end
    more = id and true or false
  end

  --- Polls once, until there is something to do or its own condition is signalled: by another cqueue's coroutine, say,
  --- that came first to what there was to do. Lets libcurl do what has become possible.
  local function poll(here, own)
    polling.here = here
    cqueues.poll(own, changed, network, more and 0 or pool:timeout())
    polling.here = nil
    if not closed then pool:step() end
    settle()
  end

  --- Has those who wait see that nobody polls for them, so that the first of them does, or that the client was closed.
  --- All of them: some may be in a cqueue that nobody steps any more.
  local function hand_over()
    for id, waiter in pairs(waiting) do
      if closed or not pollers[id] then waiter:signal() end
    end
  end

  function driver.send(request)
    local transfer = pool:send(request)
    settle()
    return transfer
  end

  function driver.await(transfer)
    local id, here = transfer:id(), cqueues.running() or "outside"
    if transfer:done() then
      if cqueues.monotime() - turned < stretch then return transfer:result() end
      cqueues.sleep(0)
    end
    local own = condition.new()
    waiting[id] = own
    while not (closed or transfer:done()) do
      if polling.here == here then
        own:wait()
      else
        pollers[id] = true
        repeat poll(here, own) until closed or transfer:done()
      end
    end
    waiting[id], pollers[id] = nil, nil
    if not polling.here then hand_over() end
    turned = cqueues.monotime()
    return transfer:result()
  end

  function driver.cancel(transfer)
    transfer:cancel()
    if not closed then pool:step() end -- another one may have its connection
    settle()
    local waiter = waiting[transfer:id()]
    if waiter then waiter:signal() end
  end

  function driver.sleep(seconds)
    cqueues.sleep(seconds)
  end

  local epoch = os.time() - cqueues.monotime()

  function driver.now()
    return epoch + cqueues.monotime()
  end

  function driver.ready(transfer)
    return transfer:done()
  end

  function driver.connections()
    return pool:connections()
  end

  --- Goes on with a spawned coroutine; what it yields but for its waits is for the cqueue, too.
  local function follow(thread, ok, ...)
    if not ok then return task.report(debug.traceback(thread, tostring((...)))) end
    if coroutine.status(thread) ~= "dead" then return follow(thread, auxlib.resume(thread, coroutine.yield(...))) end
  end

  --- Runs `f` in the cqueue that runs the caller. It gets a coroutine inside the cqueue's, since what is raised in
  --- that one would end the cqueue's loop.
  function driver.spawn(f, ...)
    local running = cqueues.running()
    if not running then return task.spawn(nil, f, ...) end
    local thread = coroutine.create(f)
    running:wrap(function(...) follow(thread, auxlib.resume(thread, ...)) end, ...)
    return thread
  end

  function driver.close()
    closed = true
    settle()
    if not polling.here then hand_over() end
  end

  return driver
end

return driver_module
