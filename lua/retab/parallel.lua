--- parallel.lua: a source of pages for walk.lua that cuts a date range into slices and requests several at a time. The
--- output is ordered by the time of creation, and each run comes once.
---
--- The runs that were handed out decide which run comes next; the ends of the slices do not. A run is taken if its time
--- is later (in the order of the walk) than that of the last run, or equal with an id that was not seen at that time.
--- Slices share their ends, so no run is lost. The length of a slice changes only the number of requests.
---
--- The rule for the length: as many seconds as fill most of a page at the density of the page that came last. The first
--- slice is the whole range. A slice that has more than a page is cut after that page, and the rest is sliced again.
---
--- Where a run has no time, or the server does not keep to the order and the range, the rest is walked in single file.
--- (A server that rounds dates returns runs outside of a slice, or lacks the run at which a slice begins.)
local call = require "retab.call"
local dates = require "retab.dates"
local params = require "retab.params"
local sequence = require "retab.sequence"
local task = require "retab.task"

local parallel = {}

--- The part of a page that a slice is expected to fill. A fuller slice overflows more often, which costs a request.
local fill = 0.98

--- Slices that are requested or wait for the reader, for each request that may be under way.
local slices_per_request = 2

--- Seconds by which a run may lie outside of its slice: servers round dates.
local tolerance = 1

local Parallel = {}
Parallel.__index = Parallel

--- Raises where a walk cannot be cut by time.
local function check(endpoint, checked)
  local range_start = endpoint.range and endpoint.range[1]
  if not range_start then params.raise("option 'parallel' is for lists with a date range: this one has none") end
  if not checked[range_start] then
    params.raise(("option 'parallel' needs the parameter '%s', because a walk is cut by time"):format(range_start))
  end
  if checked.sort_by and checked.sort_by ~= "created_at" then
    params.raise("option 'parallel' walks in the order of creation: 'sort_by' must be created_at or absent")
  end
  for _, name in ipairs { "before", "after" } do
    if checked[name] then
      params.raise(("option 'parallel' cannot start at a cursor: leave out '%s' or 'parallel'"):format(name))
    end
  end
end

--- When a run was created, in epoch seconds; nil where it does not say so.
local function time_of(run)
  local timing = type(run) == "table" and run.timing
  local text = type(timing) == "table" and timing.created_at
  return type(text) == "string" and dates.span(text) or nil
end

--- A slice from `near` to `far`, both included, in the order of the walk. An end that is nil is the caller's own.
local function new_slice(self, near, far)
  local checked = params.copy(self.params)
  local newest, oldest = near, far
  if self.sign > 0 then newest, oldest = far, near end
  if newest and newest > self.newest then newest = nil end -- rounding to a second led out of the range
  if oldest and oldest < self.oldest then oldest = nil end
  if newest then checked[self.to] = dates.format(newest) end
  if oldest then checked[self.from] = dates.format(oldest) end
  return {
    near = near, far = far, oldest = oldest or self.oldest, newest = newest or self.newest,
    pages = sequence.new(self.endpoint, checked, self.options, {
      prefetch = 0, is_wanted = function() return false end, origin = self.origin,
    }),
  }
end

--- @param endpoint table a bound endpoint with a range
--- @param checked table the caller's parameters
--- @param options table of the requests
--- @param rules table parallel: requests under way at a time; looks_ahead: the reader must know of each page if
---   another one follows; is_wanted, origin (see sequence.lua)
--- @return table source next, close
function parallel.new(endpoint, checked, options, rules)
  check(endpoint, checked)
  local from, to = endpoint.range[1], endpoint.range[2]
  local oldest, _ = dates.span(checked[from])
  local _, newest = dates.span(checked[to] or "")
  local self = setmetatable({
    endpoint = endpoint, params = checked, options = options, origin = rules.origin,
    width = rules.parallel, is_wanted = rules.is_wanted, most_taken = rules.looks_ahead and 2 or 1,
    from = from, to = to, -- the names of the parameters
    oldest = oldest, newest = newest or math.huge, -- of the range, in epoch seconds
    sign = checked.order == "asc" and 1 or -1, -- of the time from one run to the next
    slices = {}, -- in the order of the walk; the last may be a stretch without `pages`, of which slices are cut
    length = math.huge, -- seconds of the next slice
    last_time = false, last_id = false, -- of the last run taken
    ids = {}, -- of all runs taken with that time
    taken = {}, -- entries taken from the slices, for the reader
    single_file = false, -- the sequence of the rest
    waiting = false, -- the coroutine that waits for any request
  }, Parallel)
  self.slices[1] = new_slice(self, nil, nil)
  return self
end

--- Compares two times in the order of the walk: negative where `a` comes first.
local function compare(self, a, b)
  return self.sign * (a - b)
end

-- ---- requests ----

--- The slices whose requests are under way.
local function under_way(self)
  local slices = {}
  for _, slice in ipairs(self.slices) do
    if slice.pages and slice.pages:is_under_way() then slices[#slices + 1] = slice end
  end
  return slices
end

--- Cuts the next slice off the stretch at `index`; the last slice takes the caller's own end.
local function cut(self, index)
  local stretch = self.slices[index]
  local ends = stretch.far or (self.sign > 0 and self.newest or self.oldest)
  if ends == math.huge then ends = call.wall_clock(self.endpoint.session:driver().now()) or ends end
  local far = stretch.near + self.sign * math.max(1, math.floor(self.length))
  local reaches_end = far == ends or compare(self, far, ends) > 0 -- both can be infinite
  local slice = new_slice(self, stretch.near, not reaches_end and far or stretch.far)
  slice.first_id = stretch.first_id
  if reaches_end then
    self.slices[index] = slice
  else
    table.insert(self.slices, index, slice)
    stretch.near, stretch.first_id = far, nil
  end
end

--- Sends as many requests as the width allows, those first that are read first.
local function launch(self)
  local room, pages_ahead, items = self.width - #under_way(self), #self.taken, 0
  for _, entry in ipairs(self.taken) do items = items + entry.count end
  local index = 1
  while room > 0 and self.slices[index] and index <= self.width * slices_per_request do
    if not self.is_wanted(pages_ahead, items) then return end
    if not self.slices[index].pages then cut(self, index) end
    local pages = self.slices[index].pages
    local entry = pages:peek()
    if not entry and pages.state == "more" and not pages.pending and not pages.failed then
      if not pcall(pages.start, pages) then return end -- it raises again at the step that needs the page
      room = room - 1
    end
    pages_ahead, items = pages_ahead + 1, items + (entry and entry.count or self.params.limit)
    index = index + 1
  end
end

-- ---- what a page tells ----

local function place_of(self, slice)
  for index, other in ipairs(self.slices) do
    if other == slice then return index end
  end
end

--- Learns from the page that has arrived for a slice how long the next slices are to be; and where more follows in the
--- slice, cuts it after this page.
local function learn(self, slice)
  local index, entry = place_of(self, slice), slice.pages:peek()
  if not index or not entry then return end -- it was closed meanwhile
  local data, count = entry.page.data, entry.count
  local first, last = time_of(data[1]), time_of(data[count])
  if slice.pages.state ~= "more" then
    local is_whole = slice.pages.number == 1 and slice.near and slice.far and slice.near ~= slice.far
    if is_whole then self.length = fill * self.params.limit * math.abs(slice.near - slice.far) / count end
    return
  end
  local near = last and self.sign * math.floor(self.sign * last) -- a whole second, not after the last run
  if not first or not last or near == slice.near or math.abs(first - last) < 1 then return end -- it has its own cursor
  self.length = fill * self.params.limit * math.abs(first - last) / (count - 1)
  table.insert(self.slices, index + 1, { near = near, far = slice.far, first_id = data[count].id })
  slice.is_cut = true -- last: where memory runs out before, the slice goes on by its own cursor
end

--- Waits for the page of a slice.
local function receive(self, slice)
  if slice.pages:arrive() then learn(self, slice) end
end

--- Stores what has arrived for slices after the first: each makes room for another request.
local function take_in(self)
  for index = 2, #self.slices do
    local slice = self.slices[index]
    local pages = slice and slice.pages
    if pages and pages.pending and not pages:peek() and not pages:is_under_way() then
      receive(self, slice)
      launch(self)
    end
  end
end

--- Waits until any request is done. Returns false where the driver cannot do that.
local function await_any(self, slices)
  local calls = {}
  for index, slice in ipairs(slices) do calls[index] = slice.pages.pending end
  self.waiting = task.running()
  local can_wait = call.await_any(calls)
  self.waiting = false
  return can_wait
end

--- Waits until the first slice has a page, a failure, or nothing more. The other requests go on meanwhile.
--- @return table|nil slice nil where there is none
local function open_first(self)
  launch(self)
  take_in(self)
  while self.slices[1] do
    if not self.slices[1].pages then cut(self, 1) end
    local slice = self.slices[1]
    local pages = slice.pages
    if pages:peek() or pages.failed or pages.state ~= "more" then return slice end
    local others = under_way(self)
    if not pages.pending and #others >= self.width then
      receive(self, others[1]) -- it makes room
    elseif not pages:is_under_way() or not await_any(self, others) then
      receive(self, slice)
    else
      take_in(self)
    end
    launch(self)
  end
end

-- ---- what comes out ----

--- The times of an entry's runs, if the server can be trusted: each run says when it was created, and the server kept
--- to the slice and to its order. A slice that begins at a run has that run with the same time, unless the runs before
--- it fill the page.
--- @return number[]|nil times epoch seconds
local function trusted_times(self, slice, entry)
  local times, previous = {}, nil
  local has_first = slice.first_id == nil
  for index = 1, entry.count do
    local run = entry.page.data[index]
    local time = time_of(run)
    if not time or run.id == nil or time < slice.oldest - tolerance or time > slice.newest + tolerance
      or previous and compare(self, previous, time) > 0 then
      return nil
    end
    times[index], previous = time, time
    has_first = has_first or run.id == slice.first_id and time == self.last_time
  end
  if not has_first then
    has_first = previous ~= nil and slice.pages.state == "more" and compare(self, previous, self.last_time) <= 0
  end
  return has_first and times or nil
end

--- Takes from the slice's page the runs that were not taken before. All memory is allocated before anything is noted,
--- so that no run is lost where memory runs out.
local function take_runs(self, slice, entry, times)
  local data, count = {}, 0
  local last_time, last_id, ids = self.last_time, self.last_id, params.copy(self.ids)
  for index, time in ipairs(times) do
    local run = entry.page.data[index]
    local order = last_time and compare(self, last_time, time) or -1
    if order < 0 or order == 0 and not ids[run.id] then
      if order < 0 then last_time, ids = time, {} end
      ids[run.id], last_id = true, run.id
      count = count + 1
      data[count] = run
    end
  end
  local taken = { page = entry.page, count = count, is_cut = false, leads_on = true }
  if count > 0 then
    self.taken[#self.taken + 1] = taken
    entry.page.data, entry.count = data, count
  end
  self.last_time, self.last_id, self.ids = last_time, last_id, ids
  if slice.is_cut then table.remove(self.slices, 1) else slice.pages:take() end
end

local function close_slices(slices)
  for _, slice in ipairs(slices) do
    if slice.pages then slice.pages:close() end
  end
end

--- Walks the rest in single file: the first slice, which is the whole range, goes on; or a new sequence begins after
--- the last run that was taken.
local function go_single_file(self, slice)
  local rules = { prefetch = 1, is_wanted = self.is_wanted, origin = self.origin }
  local slices = self.slices
  if self.last_id or slice.near then
    local checked = params.copy(self.params)
    checked.after = self.last_id or nil
    self.slices, self.single_file = {}, sequence.new(self.endpoint, checked, self.options, rules)
  else
    self.slices, self.single_file = {}, slice.pages
    slice.pages.rules, slice.pages = rules, nil
  end
  close_slices(slices)
end

--- Takes pages from the slices until there are enough for the reader.
--- @return nil
--- @return string|nil message of a failure
--- @return retab.Error|nil err
local function fill_up(self)
  while #self.taken < self.most_taken do
    local slice = open_first(self)
    if not slice then return nil end
    local entry = slice.pages:peek()
    local times = entry and trusted_times(self, slice, entry)
    if times then
      take_runs(self, slice, entry, times)
      launch(self)
    elseif entry then
      go_single_file(self, slice)
    elseif slice.pages.state == "end" then
      table.remove(self.slices, 1)
    else
      if self.taken[1] then return nil end -- the page before the failure comes first
      return slice.pages:next()
    end
  end
end

--- Raises where another step is under way.
local function check_idle(self)
  for _, slice in ipairs(self.slices) do
    if slice.pages then slice.pages:check_idle() end
  end
  local waiting = self.waiting
  if waiting and waiting ~= task.running() and task.is_alive(waiting) then sequence.raise_busy() end
end

--- The next page in order. After a failure, the next call tries again.
--- @return table|nil entry { page, count, is_cut, leads_on: another page follows }; nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Parallel:next()
  check_idle(self)
  local _, message, err = fill_up(self)
  if err then return nil, message, err end
  local entry = self.taken[1]
  if not entry then
    if self.single_file then return self.single_file:next() end
    return nil
  end
  entry.leads_on = self.taken[2] ~= nil or self.slices[1] ~= nil or self.single_file ~= false
  table.remove(self.taken, 1)
  return entry
end

--- Ends the walk: what is under way is abandoned.
function Parallel:close()
  local slices = self.slices
  self.slices, self.taken = {}, {}
  close_slices(slices)
  if self.single_file then self.single_file:close() end
end

return parallel
