--- A stretch of a walk, in single file: the pages of one set of filters, each asked for with the cursor of
--- the one before, some of them ahead of the reader. A walk is one window, or many of them (parallel.lua).
local call = require "retab.call"
local core = require "retab.core"
local failure = require "retab.error"
local params = require "retab.params"

local window = {}

local Window = {}
Window.__index = Window

--- Makes a window; nothing is sent.
--- @param plan table of the walk: endpoint, options (of the requests), own_options and own_params (the caller's),
---   prefetch, max_pages and max_items (of a window), may_send (where there are several: whether one more request may
---   be sent ahead)
--- @param checked table the parameters of the first request
--- @return table
function window.new(plan, checked)
  return setmetatable({
    plan = plan,
    params = params.copy(checked),
    position = core.cursor(checked.after),
    state = "next", -- what the position says of the next request: "next", "over" or "loop"
    arrived = {}, -- entries that were read ahead, from first_arrived to last_arrived
    first_arrived = 1,
    last_arrived = 0,
    failed = nil, -- what came instead of the page behind them: { message, err }
    pending = nil, -- the call of a page that was sent for
    receiving = nil, -- the call that a coroutine, the receiver, waits for
    pages_left = plan.max_pages or math.huge, -- of what is still to be received
    items_left = plan.max_items or math.huge,
  }, Window)
end

--- Sends the next request, where there is one and none is under way.
function Window:send()
  if self.pending or self.state ~= "next" then return end
  local after = self.position:after()
  if after then self.params.after, self.params.before = after, nil end
  self.pending = self.plan.endpoint:send(self.params, self.plan.options)
end

local function loop_error(self)
  local err = failure.new {
    kind = "cursor_loop", message = "the server repeats a cursor: the walk would never end",
    request_id = self.last_request_id, method = "GET", url = self.last_url, attempts = 0,
  }
  return nil, err.message, err
end

--- Waits for the page under way and moves the position on.
--- @return table|nil entry { page, count: of its runs, how many are handed out }
--- @return string|nil message
--- @return retab.Error|nil err
local function receive(self)
  local plan, pending = self.plan, self.pending
  self.pending = nil -- whatever happens: after a failure the next step sends it again
  self.receiving, self.receiver = pending, coroutine.running()
  local origin = plan.own_params or params.copy(self.params)
  local page, message, err = plan.endpoint:receive(pending, origin, plan.options, plan.own_options)
  self.receiving = nil
  if not page then return nil, message, err end
  self.last_request_id, self.last_url = page.request_id, pending.url
  self.state = self.position:advance(page.list_metadata.after)
  self.pages_left = self.pages_left - 1
  self.items_left = self.items_left - #page.data
  if self.pages_left <= 0 or self.items_left <= 0 then self:finish() end
  return { page = page, count = #page.data }
end

--- Asks for nothing more; what has arrived is still handed out.
function Window:finish()
  self.state = "over"
end

--- Takes that back, where there was more to ask for.
function Window:go_on()
  self.state = "next"
end

--- Sends the next request unless there are enough already, of this window and of others. Whether that went well.
local function send_ahead(self)
  local may_send = self.plan.may_send
  if may_send and not may_send() then return false end
  -- what raises here (the key's function, say) raises again at the step that needs the page: this one has its own
  return (pcall(self.send, self))
end

--- Keeps the requests going that the prefetch allows: with 1 the next page is under way, with more it is read
--- when it is there, and the one behind it sent. A failure waits for the reader to get there.
local function read_ahead(self)
  local prefetch = self.plan.prefetch
  if prefetch == 0 or self.failed or self.plan.endpoint.session.closed then return end
  if not send_ahead(self) then return end
  while self.pending and self.last_arrived - self.first_arrived + 2 < prefetch and call.is_ready(self.pending) do
    if not self:arrive() or not send_ahead(self) then return end
  end
end

--- Whether the window waits for a page in a coroutine other than this one, which has not died of it.
local function waits_elsewhere(self)
  local receiver = self.receiver
  return self.receiving and receiver ~= coroutine.running() and not (receiver and coroutine.status(receiver) == "dead")
end

--- Waits for the next page and puts it, or the failure, behind what has arrived. Whether there is a page.
function Window:arrive()
  if waits_elsewhere(self) then params.raise("this iterator is waiting in another coroutine already") end
  if self.plan.endpoint.session.closed then params.raise("client is closed") end
  self:send()
  local entry, message, err = receive(self)
  if not entry then
    self.failed = { message, err }
    return false
  end
  self.last_arrived = self.last_arrived + 1
  self.arrived[self.last_arrived] = entry
  return true
end

--- The entry that the next step gives, without taking it.
--- @return table|nil
function Window:peek()
  return self.arrived[self.first_arrived]
end

--- Whether a request is under way, as far as the driver can tell.
function Window:is_under_way()
  return self.pending ~= nil and not call.is_ready(self.pending)
end

--- The next page in order. After a failure the next step tries again.
--- @return table|nil entry nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Window:next()
  if waits_elsewhere(self) then params.raise("this iterator is waiting in another coroutine already") end
  if not self:peek() and not self.failed then
    if self.state == "over" then return nil end
    if self.state == "loop" then return loop_error(self) end
    self:arrive()
  end
  local first = self.first_arrived
  local entry = self.arrived[first]
  if not entry then
    local failed = self.failed
    self.failed = nil
    return nil, failed[1], failed[2]
  end
  self.arrived[first], self.first_arrived = nil, first + 1
  read_ahead(self)
  return entry
end

--- Ends the window: what was sent ahead is cancelled.
function Window:close()
  self:finish()
  self.arrived, self.failed = {}, nil
  local pending = self.pending or self.receiving
  self.pending = nil
  if pending then call.cancel(pending) end
end

return window
