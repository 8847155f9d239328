--- sequence.lua: the pages of one set of filters, in single file: each is requested with the cursor of the one before,
--- some of them ahead of the reader. A walk reads one sequence; a parallel walk (parallel.lua) reads one for each slice.
---
--- The next request leaves before a page is decoded: its cursor is read from the tail of the body. If decoding finds
--- another cursor, that request is abandoned.
---
--- Where memory can run out, or a hook can step the walk again, the position advances last: a page that was not stored
--- is requested again.
local call = require "retab.call"
local core = require "retab.core"
local failure = require "retab.error"
local page = require "retab.page"
local params = require "retab.params"

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
    number = 0, -- of the last page that arrived
    entries = {}, first = 1, last = 0, -- pages that arrived, each { page, count }
    items = 0, -- in them
    failed = nil, -- { message, err } in place of the next page
    pending = nil, -- the call under way
    is_starting = false,
  }, Sequence)
end

--- Starts the call of the next page, whose cursor is `after`.
local function start_call(self, after)
  local checked = self.params
  if after then
    checked = params.copy(checked)
    checked.after, checked.before = after, nil
  end
  self.is_starting = true
  local ok, pending = pcall(call.start, self.endpoint.session, self.endpoint:target(checked, self.options),
    self.options)
  self.is_starting = false
  if not ok then error(pending, 0) end -- the function api_key raised
  pending.params = checked
  return pending
end

--- Sends the next request, unless one is under way or there is none.
function Sequence:start()
  if self.pending or self.state ~= "more" or self.failed then return end
  local pending = start_call(self, self.after)
  if self.closed then return call.abandon(pending) end -- by a hook
  self.pending = pending
end

--- Returns true if a request can leave before a page of at most `expected` items is decoded.
local function is_wanted(self, expected)
  local stored = self.last - self.first + 1
  return stored < self.rules.prefetch and not self.closed
    and self.rules.is_wanted(stored + 1, self.items + expected)
end

--- Sends the next request by the cursor in the tail of the body, and returns its call; nil where the tail is not plain.
local function start_early(self, body)
  if not is_wanted(self, self.params.limit) then return nil end
  local after = core.next_cursor(body)
  if not after or self.seen[after] then return nil end
  local ok, pending = pcall(start_call, self, after) -- what raises here raises again at the step that needs the page
  return ok and pending or nil
end

--- Stores a page, and moves the position to its cursor.
local function store(self, value)
  local after = value.list_metadata.after
  local number, state = self.number + 1, "more"
  local entry = { page = value, count = #value.data }
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

--- Raises where a page is being waited for already: in another coroutine, or further out in this one. A call that
--- nobody can finish any more is given up.
local function check_idle(self)
  local pending = self.pending
  if self.is_starting or pending and call.is_finishing(pending) then
    params.raise("this iterator is already waiting for a page, in another coroutine or outside of this hook")
  end
  if pending and call.is_lost(pending) then
    self.pending = nil
    call.abandon(pending)
  end
end

--- Waits for the call under way and stores its page, or the failure in its place.
--- @return boolean ok
function Sequence:arrive()
  check_idle(self)
  self:start()
  local pending = self.pending
  if not pending then return false end
  local response, message, err = call.finish(pending)
  if self.pending == pending then self.pending = nil end -- else it was closed meanwhile
  if not response then
    self.failed = { message, err }
    return false
  end
  local early = start_early(self, response.body)
  local value, fields = page.read(self.endpoint, response, self.options, pending.key)
  call.release(response.body)
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
  if early then
    local is_right = value and self.state == "more" and early.params.after == self.after and not self.closed
    if is_right then self.pending = early else call.abandon(early) end
  end
  return value ~= nil
end

--- Keeps as many pages under way or arrived as the prefetch allows. Nothing waits here.
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
--- @return table|nil entry { page, count }
function Sequence:peek()
  return self.entries[self.first]
end

--- The next page in order; it waits for it. After a failure, the next call tries again.
--- @return table|nil entry { page, count }; nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Sequence:next()
  check_idle(self)
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
  self.entries[self.first] = nil
  self.first, self.items = self.first + 1, self.items - entry.count
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
