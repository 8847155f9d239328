--- Walks: every page of a list, one request ahead of the reader, each run once. A walk never ends early in
--- silence: where it fails it says so, and goes on from the same place when it is asked again.
local call = require "retab.call"
local core = require "retab.core"
local failure = require "retab.error"
local params = require "retab.params"

local pager = {}

--- Unless the caller says otherwise: the largest page there is, and one page ahead.
local page_size = 100
local pages_ahead = 1

local Walk = {}

--- Whether `id` is selected by the caller's fields, or must be read and taken out again.
local function selects_id(fields)
  for _, path in ipairs(fields or { "id" }) do
    if path == "id" then return true end
  end
  return false
end

local function copy(original)
  local copied = {}
  for key, value in pairs(original) do copied[key] = value end
  return copied
end

local function new_walk(endpoint, checked, options, kind)
  checked, options = copy(checked), copy(options)
  if options.parallel and options.parallel > 1 then params.raise("option 'parallel' is not there yet") end
  checked.limit = checked.limit or page_size
  local walk = {
    endpoint = endpoint,
    params = checked,
    options = options,
    own_options = options,
    position = core.cursor(checked.after),
    state = "next", -- what the position says of the next request
    prefetch = options.prefetch or pages_ahead,
    pages_left = options.max_pages or math.huge,
    items_left = options.max_items or math.huge, -- of what is still to be received
    arrived = {}, -- pages that were read ahead, from first_arrived to last_arrived
    first_arrived = 1,
    last_arrived = 0,
    failed = nil, -- what came instead of the page behind them: { message, err }
    entry = nil, -- the page that iter hands out, up to index
    index = 0,
    cursor = checked.after,
  }
  if not selects_id(options.fields) then
    walk.strips_id = true
    walk.options = copy(options)
    walk.options.fields = copy(options.fields)
    walk.options.fields[#options.fields + 1] = "id"
  end
  return setmetatable(walk, kind)
end

--- Sends the next request, where there is one and none is under way.
local function send(walk)
  if walk.pending or walk.state ~= "next" then return end
  local after = walk.position:after()
  if after then walk.params.after, walk.params.before = after, nil end
  walk.pending = walk.endpoint:send(walk.params, walk.options)
end

local function loop_error(walk)
  local err = failure.new {
    kind = "cursor_loop", message = "the server repeats a cursor: the walk would never end",
    request_id = walk.last_request_id, attempts = 0,
  }
  return nil, err.message, err
end

--- Takes the ids out of a page whose caller did not select them.
local function strip_ids(page)
  local ids = {}
  for index, run in ipairs(page.data) do
    if type(run) == "table" then ids[index], run.id = run.id, nil end
  end
  return ids
end

--- Waits for the page under way and moves the position on.
--- @return table|nil entry the page, and its ids where they were taken out
--- @return string|nil message
--- @return retab.Error|nil err
local function receive(walk)
  local pending = walk.pending
  walk.pending = nil -- whatever happens: after a failure the next step sends it again
  walk.receiving, walk.receiver = pending, coroutine.running()
  local page, message, err = walk.endpoint:receive(pending, copy(walk.params), walk.options, walk.own_options)
  walk.receiving = nil
  if not page then return nil, message, err end
  walk.last_request_id = page.request_id
  walk.state = walk.position:advance(page.list_metadata.after)
  walk.pages_left = walk.pages_left - 1
  walk.items_left = walk.items_left - #page.data
  if walk.pages_left <= 0 or walk.items_left <= 0 then walk.state = "over" end
  local count = #page.data
  if walk.items_left < 0 then count = count + walk.items_left end
  return { page = page, count = count, ids = walk.strips_id and strip_ids(page) }
end

--- Takes what was read ahead, if anything: a page, or a failure like receive.
local function take_arrived(walk)
  local first = walk.first_arrived
  local entry = walk.arrived[first]
  if entry then
    walk.arrived[first], walk.first_arrived = nil, first + 1
    return entry
  end
  local failed = walk.failed
  walk.failed = nil
  if failed then return nil, failed[1], failed[2] end
end

--- Keeps the requests going that the prefetch allows: with 1 the next page is under way, with more it is read
--- when it is there, and the one behind it sent. A failure waits for the reader to get there.
local function read_ahead(walk)
  if walk.prefetch == 0 or walk.failed or walk.endpoint.session.closed then return end
  send(walk)
  while walk.pending and walk.last_arrived - walk.first_arrived + 2 < walk.prefetch and call.is_ready(walk.pending) do
    local entry, message, err = receive(walk)
    if not entry then
      walk.failed = { message, err }
      return
    end
    walk.last_arrived = walk.last_arrived + 1
    walk.arrived[walk.last_arrived] = entry
    send(walk)
  end
end

--- Whether the walk waits for a page in a coroutine other than this one, which has not died of it.
local function waits_elsewhere(walk)
  local receiver = walk.receiver
  return walk.receiving and receiver ~= coroutine.running() and not (receiver and coroutine.status(receiver) == "dead")
end

--- The next page in order.
local function next_entry(walk)
  if walk.closed then return nil end
  if waits_elsewhere(walk) then params.raise("this iterator is waiting in another coroutine already") end
  local entry, message, err = take_arrived(walk)
  if not entry and not err then
    if walk.state == "over" then return nil end
    if walk.state == "loop" then
      entry, message, err = loop_error(walk)
    else
      if walk.endpoint.session.closed then params.raise("client is closed") end
      send(walk)
      entry, message, err = receive(walk)
    end
  end
  if not entry then
    err.cursor = walk.cursor
    return nil, message, err
  end
  read_ahead(walk)
  return entry
end

local function id_at(entry, index)
  local id
  if entry.ids then
    id = entry.ids[index]
  else
    local run = entry.page.data[index]
    id = type(run) == "table" and run.id
  end
  return type(id) == "string" and id or nil
end

local function step(walk)
  local item, _, err = walk:next()
  if err then error(err, 0) end
  return item
end

--- Cancels what was sent ahead; the walk is over.
function Walk:close()
  self.closed = true
  self.entry, self.arrived, self.failed = nil, {}, nil
  local pending = self.pending or self.receiving
  self.pending = nil
  if pending then call.cancel(pending) end
end

local function new_kind(name)
  local methods = { close = Walk.close }
  return { __index = methods, __call = step, __close = Walk.close, __name = name }, methods
end

local Pages, page_walk = new_kind("retab.pages")

--- @return retab.Page|nil page nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function page_walk:next()
  local entry, message, err = next_entry(self)
  if not entry then return nil, message, err end
  for index = #entry.page.data, entry.count + 1, -1 do entry.page.data[index] = nil end
  for index = entry.count, 1, -1 do
    local id = id_at(entry, index)
    if id then
      self.cursor = id
      break
    end
  end
  return entry.page
end

local Runs, run_walk = new_kind("retab.iter")

--- @return table|nil run nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function run_walk:next()
  while not self.entry or self.index >= self.entry.count do
    local entry, message, err = next_entry(self)
    if not entry then return nil, message, err end
    self.entry, self.index = entry, 0
  end
  local index = self.index + 1
  self.index = index
  self.cursor = id_at(self.entry, index) or self.cursor
  return self.entry.page.data[index]
end

--- Every item of every page.
function pager.iter(endpoint, checked, options)
  local walk = new_walk(endpoint, checked, options, Runs)
  return walk, nil, nil, walk
end

--- Every page.
function pager.pages(endpoint, checked, options)
  local walk = new_walk(endpoint, checked, options, Pages)
  return walk, nil, nil, walk
end

return pager
