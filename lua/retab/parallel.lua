--- parallel.lua: a source of pages for walk.lua that cuts a date range into slices and requests several at a time. The
--- output is ordered by the time of creation, and each run comes once.
---
--- What comes out is decided by what came out before, never by where slices meet: a run is taken only if its time is
--- later (in the order of the walk) than that of the last run, or equal with an id that was not seen at that time. Slices
--- share their ends, so no run is lost. The length of a slice changes only how many requests there are.
---
--- The rule for the length: as many seconds as would fill most of a page at the density of the page that came last. A
--- slice with more than a page is cut after it, and the rest is sliced again; so the first slice is the whole range.
---
--- Where a run has no time, or the server's order or range is not what was asked for, the rest is walked in single file.
--- (A server that rounds dates returns runs outside of a slice, or lacks the run at which the slice was made to begin.)
local call = require "retab.call"
local dates = require "retab.dates"
local params = require "retab.params"
local sequence = require "retab.sequence"

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
  if self.is_ascending then newest, oldest = far, near end
  if newest and newest > self.newest then newest = nil end -- rounding to a second led out of the range
  if oldest and oldest < self.oldest then oldest = nil end
  if newest then checked[self.to] = dates.format(newest) end
  if oldest then checked[self.from] = dates.format(oldest) end
  local slice = { near = near, far = far, oldest = oldest or self.oldest, newest = newest or self.newest }
  slice.pages = sequence.new(self.endpoint, checked, self.options, {
    prefetch = 0, is_wanted = function() return false end, origin = self.origin,
  })
  return slice
end

--- @param endpoint table a bound endpoint with a range
--- @param checked table the caller's parameters
--- @param options table of the requests
--- @param rules table parallel: requests under way at a time; looks_ahead: the reader wants to know of each page if
---   another one follows; is_wanted, origin (see sequence.lua)
--- @return table source next, close
function parallel.new(endpoint, checked, options, rules)
  check(endpoint, checked)
  local from, to = endpoint.range[1], endpoint.range[2]
  local oldest, _ = dates.span(checked[from])
  local _, newest = dates.span(checked[to] or "")
  local self = setmetatable({
    endpoint = endpoint, params = checked, options = options, origin = rules.origin,
    width = rules.parallel, is_wanted = rules.is_wanted,
    from = from, to = to, -- the names of the parameters
    oldest = oldest, newest = newest or math.huge, -- of the range, in epoch seconds
    is_ascending = checked.order == "asc",
    slices = {}, -- in the order of the walk; a slice without `pages` is not requested yet, and is cut when it is
    length = math.huge, -- seconds of the next slice
    last_time = false, last_id = false, -- of the last run taken
    ids = {}, -- of all runs taken with that time
    looks_ahead = rules.looks_ahead,
    entry = nil, message = nil, err = nil, -- what was taken ahead
  }, Parallel)
  self.slices[1] = new_slice(self, nil, nil)
  return self
end

-- ---- requests ----

local function in_flight(self)
  local count = 0
  for _, slice in ipairs(self.slices) do
    if slice.pages and slice.pages:is_under_way() then count = count + 1 end
  end
  return count
end

--- Cuts the next slice off a stretch that is not requested yet; the last slice takes the caller's own end.
local function cut(self, index)
  local stretch = self.slices[index]
  local ends = stretch.far or (self.is_ascending and self.newest or self.oldest)
  if ends == math.huge then ends = self.endpoint.session:driver().now() end
  local seconds = math.max(1, math.floor(self.length))
  local far = self.is_ascending and stretch.near + seconds or stretch.near - seconds
  local reaches_end = self.is_ascending and far >= ends or not self.is_ascending and far <= ends
  local slice = new_slice(self, stretch.near, not reaches_end and far or stretch.far)
  slice.first_id = stretch.first_id
  if reaches_end then
    self.slices[index] = slice
  else
    table.insert(self.slices, index, slice)
    stretch.near, stretch.first_id = far, nil
  end
end

--- Sends as many requests as the width allows, those first that are read first. `taken` is the page that the reader
--- gets now, which the walk has not counted yet.
local function launch(self, taken)
  local room, items, index = self.width - in_flight(self), taken and taken.count or 0, 1
  while room > 0 and self.slices[index] and index <= self.width * slices_per_request do
    if not self.is_wanted(index - (taken and 0 or 1), items) then return end
    if not self.slices[index].pages then cut(self, index) end
    local pages = self.slices[index].pages
    local entry = pages:peek()
    if not entry and pages.state == "more" and not pages.pending and not pages.failed then
      if not pcall(pages.start, pages) then return end -- it raises again at the step that needs the page
      room = room - 1
    end
    items = items + (entry and entry.count or self.params.limit)
    index = index + 1
  end
end

-- ---- what a page tells ----

--- Learns from a slice's first page: how long the next slices are to be; and where it has more than that page, where the
--- rest of the slice begins.
local function learn(self, index)
  local slice = self.slices[index]
  local entry = slice and slice.pages:peek()
  if not entry or slice.is_known then return end
  slice.is_known = true
  local data, count = entry.page.data, entry.count
  local first, last = time_of(data[1]), time_of(data[count])
  if slice.pages.state ~= "more" then -- all of the slice
    if slice.near and slice.far and slice.near ~= slice.far then
      self.length = fill * self.params.limit * math.abs(slice.near - slice.far) / count -- without runs: no limit
    end
    return
  end
  local near = last and (self.is_ascending and math.floor(last) or math.ceil(last))
  if not first or not last or near == slice.near or math.abs(first - last) < 1 then return end -- by its own cursor, then
  self.length = fill * self.params.limit * math.abs(first - last) / (count - 1)
  slice.is_cut = true
  table.insert(self.slices, index + 1, { near = near, far = slice.far, first_id = data[count].id })
end

--- Waits for the page of a slice.
local function receive(self, index)
  local pages = self.slices[index].pages
  if pages:arrive() then learn(self, index) end
end

--- Takes in what has arrived for later slices: each makes room for another request.
local function take_in(self)
  for index = 2, #self.slices do
    local pages = self.slices[index] and self.slices[index].pages
    if pages and pages.pending and not pages:peek() and not pages:is_under_way() then
      receive(self, index)
      launch(self)
    end
  end
end

--- Waits until the first slice has a page, a failure, or nothing more. Meanwhile the other requests go on.
--- @return table|nil slice nil where the walk was closed meanwhile
local function open_first(self)
  if not self.slices[1].pages then cut(self, 1) end
  local slice = self.slices[1]
  local pages = slice.pages
  launch(self)
  take_in(self)
  while not pages:peek() and not pages.failed and pages.state == "more" do
    local calls, indexes = {}, {}
    for index, other in ipairs(self.slices) do
      if other.pages and other.pages:is_under_way() then
        calls[#calls + 1], indexes[#indexes + 1] = other.pages.pending, index
      end
    end
    if not pages.pending and #calls >= self.width then
      receive(self, indexes[1]) -- it makes room
    elseif not pages:is_under_way() or not call.await_any(calls) then
      receive(self, 1)
    else
      take_in(self)
    end
    launch(self)
  end
  return self.slices[1] == slice and slice or nil
end

-- ---- what comes out ----

--- Compares two times in the order of the walk: negative where `a` comes first.
local function compare(self, a, b)
  return self.is_ascending and a - b or b - a
end

--- The times of an entry's runs, if the server can be trusted: each run says when it was created, and the server kept
--- to the slice and to its order. A slice that was made to begin at a run has that run, unless the runs before it in the
--- slice fill the page.
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
    has_first = has_first or run.id == slice.first_id
  end
  if not has_first then
    has_first = previous ~= nil and slice.pages.state == "more" and compare(self, previous, self.last_time) <= 0
  end
  return has_first and times or nil
end

--- Takes the entry that the slice has: of its runs, those that were not taken before. Nothing is noted before all memory
--- is there, so that no run is lost where it runs out.
local function take_entry(self, slice, times)
  local entry = slice.pages:peek()
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
  slice.pages:next()
  self.last_time, self.last_id, self.ids = last_time, last_id, ids
  entry.page.data, entry.count = data, count
  return entry
end

local function close_slices(self)
  for _, slice in ipairs(self.slices) do
    if slice.pages then slice.pages:close() end
  end
  self.slices = {}
end

--- Walks the rest in single file: the first slice, which is the whole range, goes on; or a new sequence begins after the
--- last run that was taken.
local function go_single_file(self, slice)
  local rules = { prefetch = 1, is_wanted = self.is_wanted, origin = self.origin }
  if not self.last_id and not slice.near then
    self.single_file, slice.pages.rules, slice.pages = slice.pages, rules, nil
  else
    local checked = params.copy(self.params)
    checked.after = self.last_id or nil
    self.single_file = sequence.new(self.endpoint, checked, self.options, rules)
  end
  close_slices(self)
end

--- The next page that has a run which was not taken before.
local function next_entry(self)
  while self.slices[1] do
    local slice = open_first(self)
    if not slice then return nil end
    local entry = slice.pages:peek()
    local times = entry and trusted_times(self, slice, entry)
    if not entry then
      local _, message, err = slice.pages:next()
      if err then return nil, message, err end
      table.remove(self.slices, 1)
    elseif not times then
      go_single_file(self, slice)
    else
      entry = take_entry(self, slice, times)
      if slice.is_cut then
        slice.pages:close()
        table.remove(self.slices, 1)
      end
      launch(self, entry)
      if entry.count > 0 then return entry end
    end
  end
  if self.single_file then return self.single_file:next() end
end

--- The next page in order. After a failure, the next call tries again.
--- @return table|nil entry { page, count, leads_on: another page follows }; nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Parallel:next()
  local entry, message, err = self.entry, self.message, self.err
  if not entry and not err then entry, message, err = next_entry(self) end
  self.entry, self.message, self.err = nil, nil, nil
  if entry and self.looks_ahead and not self.single_file then
    self.entry, self.message, self.err = next_entry(self)
    entry.leads_on = self.entry ~= nil or self.err ~= nil
  end
  return entry, message, err
end

--- Ends the walk: what is under way is abandoned.
function Parallel:close()
  close_slices(self)
  self.entry, self.err = nil, nil
  if self.single_file then self.single_file:close() end
end

return parallel
