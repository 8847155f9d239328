--- sequence.lua: the pages of one set of filters, in single file: each is requested with the cursor of the page before
--- it, and some are prefetched. A walk reads one sequence; a parallel walk (parallel.lua) reads one for each slice.
---
--- The next request leaves before a page is decoded: its cursor is read from the tail of the body. If decoding finds
--- another cursor, that request is abandoned.
---
---     start ─▶ pending ─▶ arrive ─▶ arrived ─▶ peek, take
---                            └────▶ failed, in place of the next page
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
--- @param rules table prefetch (pages); is_wanted(pages): returns true if one more request is of use to the reader when
---   so many pages are ahead of it (not called where prefetch is 0); origin: see page.set_origin
--- @return table
function sequence.new(endpoint, checked, options, rules)
  return setmetatable({
    endpoint = endpoint, params = checked, options = options, rules = rules,
    state = "more", -- "more": there is another page to request; "end"; "loop": its cursor came before
    after = checked.after, -- the cursor of the next page
    seen = checked.after and { [checked.after] = true } or {}, -- all cursors that came
    --- Pages: arrived[first] to arrived[last], each { page, count (of its items), and for the reader: is_cut, mark }.
    arrived = {}, first = 1, last = 0,
    failed = nil, -- { message, err } in place of the next page
    pending = nil, -- the call under way
    starting = false, -- the coroutine that sends a request: it may wait in a hook or in the function api_key
    closed = false,
  }, Sequence)
end

-- ---- requests ----

--- Like pcall, for requests ahead of the reader: what raises there raises again at the step that needs the page. An
--- interrupt (Ctrl-C) would not: the interpreter raises it once, so it is raised here.
function sequence.try(f, ...)
  local ok, result = pcall(f, ...)
  if not ok and type(result) == "string" and result:find "interrupted!$" then error(result, 0) end
  return ok, result
end

--- Raises where another step waits for a page: in another coroutine, or in this one, which runs a hook. A call that
--- nobody can finish any more is given up.
function Sequence:check_idle()
  local starting, pending = self.starting, self.pending
  if starting and task.is_alive(starting) or pending and call.is_finishing(pending) then
    params.raise("this iterator is already waiting for a page, in another coroutine or outside of this hook")
  end
  if pending and call.is_lost(pending) then
    self.pending = nil
    call.abandon(pending)
  end
end

local function start_call(self, target)
  self.starting = task.running()
  return call.start(self.endpoint.session, target, self.options)
end

--- Sends the request for the page at a cursor; nil for the first page.
--- @return table|nil pending nil where a hook closed the sequence
local function send(self, after)
  local checked = params.copy(self.params)
  if after then checked.after, checked.before = after, nil end
  local ok, pending = pcall(start_call, self, request.target(self.endpoint, checked, self.options))
  self.starting = false
  if not ok then error(pending, 0) end -- the function api_key raised
  if self.closed then return call.abandon(pending) end
  pending.after = after
  return pending
end

--- Gives up the request under way where it is not the request for the next page.
local function drop_wrong(self)
  local pending = self.pending
  if not pending or self.state == "more" and pending.after == self.after then return end
  self.pending = nil
  call.abandon(pending)
end

--- Sends the next request, unless one is under way or there is none.
--- @return boolean sent
function Sequence:start()
  drop_wrong(self)
  if self.pending or self.failed or self.state ~= "more" then return false end
  self.pending = send(self, self.after)
  return self.pending ~= nil
end

--- Returns true while a request is under way, as far as the driver can tell.
--- @return boolean
function Sequence:is_under_way()
  return self.pending ~= nil and not call.is_ready(self.pending)
end

-- ---- pages ----

--- Returns true if one more page is to be requested when `ahead` pages are ahead of the reader, without the page that
--- the reader gets now.
local function is_wanted(self, ahead)
  return ahead < self.rules.prefetch and self.rules.is_wanted(ahead + 1)
end

--- Sends the request for the page after the one whose body has just arrived, before that body is decoded. Nothing is
--- sent where the tail of the body is not plain, or where the reader may need no further page.
--- @return table|nil pending
local function send_early(self, body)
  if not is_wanted(self, self.last - self.first + 1) then return nil end
  local after = core.next_cursor(body)
  if not after or self.seen[after] then return nil end
  local ok, pending = sequence.try(send, self, after)
  return ok and pending or nil
end

local function failure_of(pending, fields)
  local _, message, err = call.fail(pending, fields)
  return { message, err }
end

--- Stores a page, and moves the position to its cursor. A cursor that came before is a failure in place of the page
--- after it. The position moves last: a page that was not stored because memory ran out is requested again.
local function store(self, value, pending)
  local after, failed = value.list_metadata.after, nil
  if after and self.seen[after] then
    failed = failure_of(pending, {
      kind = "cursor_loop", message = "the server repeats a cursor: the walk would never end",
      request_id = value.request_id,
    })
  end
  self.arrived[self.last + 1] = { page = value, count = #value.data, is_cut = false, mark = false }
  if after then self.seen[after] = true end
  self.last, self.after, self.failed = self.last + 1, after, failed
  self.state = failed and "loop" or after and "more" or "end"
end

--- Waits for the request under way and stores its page, or the failure in its place. It sends that request where none
--- is under way.
--- @return boolean ok
function Sequence:arrive()
  self:check_idle()
  self:start()
  local pending, value, fields = self.pending, nil, nil
  if not pending then return false end
  local response, message, err = call.finish(pending)
  self.pending = nil
  if response then
    self.pending = send_early(self, response.body)
    value, fields = page.read(self.endpoint, response, self.options, pending.keys)
  end
  if self.closed then return false end -- meanwhile, or by the hook of the early request
  if value then
    page.set_origin(value, self.rules.origin)
    store(self, value, pending)
  else
    self.failed = fields and failure_of(pending, fields) or { message, err }
  end
  drop_wrong(self)
  return value ~= nil
end

--- The next page that has arrived, without taking it.
--- @return table|nil entry { page, count, is_cut, mark }
function Sequence:peek()
  return self.arrived[self.first]
end

--- Takes the page that peek returns. It needs no memory.
function Sequence:take()
  self.arrived[self.first] = nil
  self.first = self.first + 1
end

--- Keeps as many pages under way or arrived as the prefetch allows. It waits for no response; only where a request has
--- to be repeated, it waits for that.
local function read_ahead(self)
  while is_wanted(self, self.last - self.first) do
    if not self.pending and not sequence.try(self.start, self) then return end
    local is_last = not is_wanted(self, self.last - self.first + 1) -- another request needs the cursor of its page
    if is_last or not self.pending or not call.is_ready(self.pending) or not self:arrive() then return end
  end
end

--- The next page in order; it waits for it. After a failure, the next call tries again.
--- @return table|nil entry { page, count, is_cut, mark }; nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Sequence:next()
  self:check_idle()
  if not self:peek() and not self.failed then self:arrive() end
  local entry, failed = self:peek(), self.failed
  if entry then
    read_ahead(self)
    self:take()
    return entry
  elseif failed then
    if self.state ~= "loop" then self.failed = nil end
    return nil, failed[1], failed[2]
  end
end

--- Ends the sequence: what is under way is abandoned.
function Sequence:close()
  local pending = self.pending
  self.closed, self.state, self.pending, self.failed = true, "end", nil, nil
  self.arrived, self.first, self.last = {}, 1, 0
  if pending then call.abandon(pending) end
end

return sequence
