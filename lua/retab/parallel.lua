--- parallel.lua: a source of pages for walk.lua that cuts a date range into slices and requests several at a time. The
--- output is ordered by the time of creation, and each run comes once.
---
--- What was handed out decides what comes next, and not the ends of the slices. A run is handed out if its time is
--- later (in the order of the walk) than that of the last run, or equal with an id that was not seen at that time.
--- Slices share their ends, so no run is lost. Their lengths change only the number of requests.
---
---     first slice ──▶ slice ──▶ slice ──▶ slice          in the order of the walk
---     page            page      request   not requested
---     for the reader  arrived   under way
---
--- At first there is one slice, the whole range. A slice is cut in two before its request, if it is longer than the
--- rule says: as many seconds as fill most of a page at the density of the page that came last. It is cut in two after
--- its page, if more runs follow in it. In both cases the rest becomes the next slice.
---
--- Where a run has no time, or the server does not keep to the order and the range, the rest is walked in single file.
--- (A server that rounds dates returns runs outside of a slice, or lacks the run at which a slice begins.)
local call = require "retab.call"
local dates = require "retab.dates"
local params = require "retab.params"
local sequence = require "retab.sequence"

local parallel = {}

--- The part of a page that a slice is expected to fill. A fuller slice overflows more often, which costs a request.
local fill = 0.98

--- Pages that are requested or wait for the reader, for each request that may be under way. More would take memory;
--- fewer would leave requests unsent where one response is late.
local pages_per_request = 3

--- Slices of fewer seconds do not have to end at a whole second: what rounding takes away from them costs requests.
local most_exact = 50

--- Requests under way, at most. No server gives a client more connections.
local most_requests = 1000

--- Seconds by which a run may lie outside of its slice: servers round dates.
local tolerance = 1

--- The end of a range without an end: the last second that a date can name.
local latest = 253402300799

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

--- @param endpoint table a bound endpoint with a range
--- @param checked table the caller's parameters
--- @param options table of the requests; parallel: how many may be under way at a time
--- @param rules table see sequence.new; prefetch counts in single file only
--- @return table source next, leads_on, close
function parallel.new(endpoint, checked, options, rules)
  check(endpoint, checked)
  local from, to = endpoint.range[1], endpoint.range[2]
  local oldest, _ = dates.span(checked[from])
  local _, newest = dates.span(checked[to] or "")
  newest = newest or latest
  local sign = checked.order == "asc" and 1 or -1 -- of the time from one run to the next
  return setmetatable({
    endpoint = endpoint, params = checked, options = options, rules = rules,
    slice_rules = { prefetch = 0, origin = rules.origin },
    from = from, to = to, -- the names of the parameters
    oldest = oldest, newest = newest, sign = sign, -- times are epoch seconds
    --- The first slice: { near, far (times, both included, in the order of the walk), following (the next slice), pages
    --- (its sequence, once it is requested), is_cut (its page is its last one), is_rest (it begins at the last run of
    --- the page before it) }.
    first = { near = sign > 0 and oldest or newest, far = sign > 0 and newest or oldest },
    length = math.huge, -- seconds of the next slice
    mark = { time = -sign * math.huge, id = nil, ids = {} }, -- the last run handed out, and all ids of that time
    single_file = false, -- the sequence of the rest
  }, Parallel)
end

--- The iterator of `for slice in following, self do`.
local function following(self, slice)
  if slice then return slice.following end
  return self.first
end

--- Returns true if a time comes before another one in the order of the walk.
local function is_before(self, a, b)
  return self.sign * (b - a) > 0
end

--- When a run was created, in epoch seconds; nil where it does not say so.
local function time_of(run)
  local timing = type(run) == "table" and run.timing
  local text = type(timing) == "table" and timing.created_at
  return type(text) == "string" and dates.span(text) or nil
end

-- ---- slices ----

--- Ends a slice at a time; the rest follows it.
local function cut(slice, time)
  slice.following = { near = time, far = slice.far, following = slice.following }
  slice.far = time
end

--- Cuts a slice to the length of the rule, and makes the sequence of its pages. An end that is the caller's own is sent
--- as the caller wrote it.
local function open(self, slice)
  local length = self.length < most_exact and self.length or math.floor(self.length)
  local far = slice.near + self.sign * math.max(1, length)
  if is_before(self, far, slice.far) then cut(slice, far) end
  local checked = params.copy(self.params)
  local oldest, newest = math.min(slice.near, slice.far), math.max(slice.near, slice.far)
  if oldest > self.oldest then checked[self.from] = dates.format(oldest) end
  if newest < self.newest then checked[self.to] = dates.format(newest) end
  slice.pages = sequence.new(self.endpoint, checked, self.options, self.slice_rules)
end

--- Waits for the page of a slice. It tells how long the next slices are to be; and if more follows, the slice is cut
--- after it, at a whole second. A page of less than a second tells nothing: its slice goes on by its own cursor.
local function receive(self, slice)
  if not slice.pages:arrive() then return end
  local entry, has_more = slice.pages:peek(), slice.pages.state == "more"
  local near, far, runs = slice.near, slice.far, entry.count
  if has_more then
    local first, last = time_of(entry.page.data[1]), time_of(entry.page.data[entry.count])
    if not first or not last then return end
    if is_before(self, near, first) then near = first end
    far, runs = self.sign * math.floor(self.sign * last), runs - 1 -- not after the last run, of which more may follow
  end
  local seconds = self.sign * (far - near)
  if seconds < 1 then return end
  self.length = fill * self.params.limit * seconds / runs
  if not has_more then return end
  cut(slice, far)
  slice.is_cut, slice.following.is_rest = true, true
end

--- Stores what has arrived, then sends as many requests as the width and the memory allow, those first that are read
--- first.
local function launch(self)
  local width = math.min(self.options.parallel, most_requests)
  local room, free = width, width * pages_per_request
  for slice in following, self do
    local pages = slice.pages
    if pages then
      if pages.pending and not pages:is_under_way() then receive(self, slice) end
      if pages:is_under_way() then room = room - 1 end
      free = free - 1
    end
  end
  local ahead = 0
  room = math.min(room, free)
  for slice in following, self do
    if room <= 0 or not self.rules.is_wanted(ahead) then return end
    if not slice.pages then open(self, slice) end
    if not slice.pages:peek() then
      local ok, is_sent = sequence.try(slice.pages.start, slice.pages)
      if not ok then return end
      if is_sent then room = room - 1 end
    end
    ahead = ahead + 1
  end
end

--- Waits for one of the requests under way, or for the first slice if there is none. Where the driver cannot wait for
--- whichever comes first, it is the first one.
local function wait(self)
  local first, pending = self.first, {}
  for slice in following, self do
    if slice.pages and slice.pages.pending then
      if not pending[1] then first = slice end
      pending[#pending + 1] = slice.pages.pending
    end
  end
  if not (pending[2] and call.await_any(pending)) then receive(self, first) end
end

-- ---- runs ----

--- Leaves on a slice's page the runs that come after those handed out.
--- @return boolean trusted false, and nothing is changed, where a run does not say when it was created, or the server
---   did not keep to the range or to the order, or the rest after a page lacks the last run of that page
local function sift(self, slice, entry)
  local oldest, newest = math.min(slice.near, slice.far) - tolerance, math.max(slice.near, slice.far) + tolerance
  local mark = { time = self.mark.time, id = self.mark.id, ids = params.copy(self.mark.ids) }
  local data, count, is_joined, previous = {}, 0, not slice.is_rest, nil
  for index = 1, entry.count do
    local run = entry.page.data[index]
    local time = time_of(run)
    if not time or run.id == nil or time < oldest or time > newest or previous and is_before(self, time, previous) then
      return false
    end
    previous, is_joined = time, is_joined or not is_before(self, self.mark.time, time)
    if is_before(self, mark.time, time) then mark.time, mark.ids = time, {} end
    if time == mark.time and not mark.ids[run.id] then
      mark.id, mark.ids[run.id] = run.id, true
      count = count + 1
      data[count] = run
    end
  end
  if not is_joined then return false end
  slice.is_rest = false -- its further pages begin elsewhere
  entry.page.data, entry.count, entry.mark = data, count, mark
  return true
end

--- Takes the page of the first slice, and the slice, if the page was its last one. Nothing in it can fail: no run is
--- lost.
local function take(self, slice, entry)
  slice.pages:take()
  self.mark = entry.mark
  if slice.is_cut or slice.pages.state == "end" then self.first = slice.following end
  return entry
end

local function close_slices(self)
  local slices = { first = self.first }
  self.first = nil
  for slice in following, slices do
    if slice.pages then slice.pages:close() end
  end
end

--- Walks the rest, after the last run handed out, in single file.
local function go_single_file(self)
  local checked = params.copy(self.params)
  checked.after = self.mark.id
  self.single_file = sequence.new(self.endpoint, checked, self.options, self.rules)
  close_slices(self)
end

--- Waits until the first slice has runs for the reader, or a failure. The other requests go on meanwhile.
--- @return table|nil slice nil at the end, and where the rest is walked in single file
--- @return table|nil entry nil where the slice has a failure
local function front(self)
  for slice in following, self do
    if slice.pages then slice.pages:check_idle() end
  end
  while self.first do
    launch(self)
    local slice = self.first
    if not slice then return nil end -- a hook closed the walk
    if not slice.pages then open(self, slice) end
    local entry = slice.pages:peek()
    if not entry then
      if slice.pages.failed then return slice end
      wait(self)
    elseif not entry.mark and not sift(self, slice, entry) then
      go_single_file(self)
    elseif entry.count > 0 then
      return slice, entry
    else
      take(self, slice, entry)
    end
  end
end

--- The next page in order. After a failure, the next call tries again.
--- @return table|nil entry { page, count, is_cut, mark: set where the page's own cursor leads on in a slice only }; nil
---   at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Parallel:next()
  local slice, entry = front(self)
  if entry then return take(self, slice, entry) end
  if slice then return slice.pages:next() end
  if self.single_file then return self.single_file:next() end
end

--- Waits until it is known if anything follows the last page.
--- @return boolean
function Parallel:leads_on()
  return front(self) ~= nil or self.single_file ~= false
end

--- Ends the walk: what is under way is abandoned.
function Parallel:close()
  close_slices(self)
  if self.single_file then self.single_file:close() end
end

return parallel
