--- sequence.lua: the pages of one set of filters, in single file: each is requested with the cursor of the page before
--- it, and some are prefetched. A walk reads one sequence; a parallel walk (parallel.lua) reads one for each slice.
---
--- The next request leaves before a page is decoded: its cursor is read from the tail of the body. If decoding finds
--- another cursor, that request is abandoned.
local call = require "retab.call"
local core = require "retab.core"
local page = require "retab.page"
local params = require "retab.params"
local request = require "retab.request"
local task = require "retab.task"

local sequence = {}

local Sequence = {}
Sequence.__index = Sequence

--- Makes a sequence; nothing is sent.
--- @param endpoint table a bound endpoint
--- @param checked table the parameters of the first request
--- @param options table of the requests
--- @param rules table prefetch (pages); is_wanted(pages, items): returns true if one more request is of use to the
---   reader when so many pages and items are ahead of it; own_options: the caller's options, for the neighbours of its
---   pages; origin: what its pages count as requested with, where that is not the request itself
--- @return table
function sequence.new(endpoint, checked, options, rules)
  return setmetatable({
    endpoint = endpoint, options = options, rules = rules,
    params = params.copy(checked),
    seen = checked.after and { [checked.after] = 0 } or {}, -- cursor -> the number of the page that brought it
    state = "more", -- "more": there is another page to request; "end"; "loop": its cursor came before
    after = checked.after, -- the cursor of the next page
    number = 0, -- of the last page that arrived
    entries = {}, first = 1, last = 0, -- pages that arrived, each { page, count, is_cut }
    items = 0, -- in them
    failed = nil, -- { message, err } in place of the next page
    pending = nil, -- the call under way
    starting = false, -- the coroutine that sends a request: it may wait in a hook or in the function api_key
  }, Sequence)
end

local function start_call(self, target)
  self.starting = task.running()
  return call.start(self.endpoint.session, target, self.options)
end

--- Sends the request for the page at a cursor.
--- @param after string|nil nil for the first page
--- @return table|nil pending nil where a hook closed the sequence
local function send(self, after)
  local checked = params.copy(self.params)
  if after then checked.after, checked.before = after, nil end
  local ok, pending = pcall(start_call, self, request.target(self.endpoint, checked, self.options))
  self.starting = false
  if not ok then error(pending, 0) end -- the function api_key raised
  if self.closed then return call.abandon(pending) end
  pending.params = checked
  return pending
end

--- Gives up the request under way where it is not the request for the next page.
local function drop_wrong(self)
  local pending = self.pending
  if not pending or self.state == "more" and pending.params.after == self.after then return end
  self.pending = nil
  call.abandon(pending)
end

--- Sends the next request, unless one is under way or there is none.
function Sequence:start()
  drop_wrong(self)
  if self.pending or self.state ~= "more" or self.failed then return end
  self.pending = send(self, self.after)
end

--- Sends the request for the page after the one whose body has just arrived, before that body is decoded: the cursor is
--- read from its tail. Nothing is sent where the tail is not plain, or where the reader may need no further page.
--- @return table|nil pending
local function send_early(self, body)
  local stored = self.last - self.first + 1
  if stored >= self.rules.prefetch or not self.rules.is_wanted(stored + 1, self.items + self.params.limit) then
    return nil
  end
  local after = core.next_cursor(body)
  if not after or self.seen[after] then return nil end
  local ok, pending = pcall(send, self, after) -- what raises here raises again at the step that needs the page
  return ok and pending or nil
end

--- Stores a page, and moves the position to its cursor. The position moves last: a page that was not stored because
--- memory ran out is requested again.
local function store(self, value)
  local after = value.list_metadata.after
  local number, state = self.number + 1, "more"
  local entry = { page = value, count = #value.data, is_cut = false }
  if after == nil then
    state = "end"
  elseif self.seen[after] and self.seen[after] ~= number then
    state = "loop"
  else
    self.seen[after] = number
  end
  self.entries[self.last + 1] = entry
  self.last, self.number, self.state, self.after = self.last + 1, number, state, after
  self.items = self.items + entry.count
end

--- Raises where another step is under way.
function sequence.raise_busy()
  params.raise("this iterator is already waiting for a page, in another coroutine or outside of this hook")
end

--- Raises where another step waits for a page: in another coroutine, or in this one, which runs a hook. A call that
--- nobody can finish any more is given up.
function Sequence:check_idle()
  local starting, pending = self.starting, self.pending
  if starting and task.is_alive(starting) or pending and call.is_finishing(pending) then sequence.raise_busy() end
  if pending and call.is_lost(pending) then
    self.pending = nil
    call.abandon(pending)
  end
end

--- Waits for the request under way and stores its page, or the failure in its place. It sends that request where none
--- is under way.
--- @return boolean ok
function Sequence:arrive()
  self:check_idle()
  self:start()
  local pending = self.pending
  if not pending then return false end
  local response, message, err = call.finish(pending)
  if self.closed then return false end -- meanwhile
  self.pending = nil
  if not response then
    self.failed = { message, err }
    return false
  end
  self.pending = send_early(self, response.body)
  local value, fields = page.read(self.endpoint, response, self.options, pending.keys)
  if self.closed then return false end -- by the hook of the early request
  if value then
    page.set_origin(value, self.rules.origin or {
      endpoint = self.endpoint, params = pending.params, options = self.rules.own_options or self.options,
    })
    self.last_call, self.last_request_id = pending, value.request_id
    store(self, value)
  else
    local _
    _, message, err = call.fail(pending, fields)
    self.failed = { message, err }
  end
  drop_wrong(self)
  return value ~= nil
end

--- Keeps as many pages under way or arrived as the prefetch allows. It waits for no response; only where a request has
--- to be repeated, it waits for that.
local function read_ahead(self)
  local prefetch = self.rules.prefetch
  while self.state == "more" and not self.failed and not self.closed do
    local ahead = self.last - self.first -- without the page that the reader gets now
    if ahead >= prefetch or not self.rules.is_wanted(ahead + 1, self.items) then return end
    if not self.pending and not pcall(self.start, self) then return end
    if not self.pending or ahead + 1 >= prefetch or not call.is_ready(self.pending) then return end
    if not self:arrive() then return end
  end
end

--- The error of a cursor that came before.
local function loop_error(self)
  local _, message, err = call.fail(self.last_call, {
    kind = "cursor_loop", message = "the server repeats a cursor: the walk would never end",
    request_id = self.last_request_id,
  })
  return nil, message, err
end

--- The next page that has arrived, without taking it.
--- @return table|nil entry { page, count, is_cut }
function Sequence:peek()
  return self.entries[self.first]
end

--- Takes the page that peek returns. It needs no memory.
function Sequence:take()
  local entry = self.entries[self.first]
  self.entries[self.first] = nil
  self.first, self.items = self.first + 1, self.items - entry.count
end

--- The next page in order; it waits for it. After a failure, the next call tries again.
--- @return table|nil entry { page, count }; nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Sequence:next()
  self:check_idle()
  if not self:peek() and not self.failed then
    if self.state == "end" or self.closed then return nil end
    if self.state == "loop" then return loop_error(self) end
    self:arrive()
  end
  local entry = self:peek()
  if not entry then
    local failed = self.failed
    self.failed = nil
    if not failed then return nil end -- it was closed meanwhile
    return nil, failed[1], failed[2]
  end
  read_ahead(self)
  if self.closed then return nil end -- by a hook
  self:take()
  return entry
end

--- Returns true while a request is under way, as far as the driver can tell.
--- @return boolean
function Sequence:is_under_way()
  return self.pending ~= nil and not call.is_ready(self.pending)
end

--- Ends the sequence: what is under way is abandoned.
function Sequence:close()
  if self.closed then return end
  self.closed, self.state = true, "end"
  self.entries, self.first, self.last, self.items, self.failed = {}, 1, 0, 0, nil
  local pending = self.pending
  self.pending = nil
  if pending then call.abandon(pending) end
end

return sequence
