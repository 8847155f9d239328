--- A walk over a date range in several windows at a time: same runs, same order, each once.
---
--- The first page is that of the whole range; its times tell how dense the runs are. From there windows of
--- about a page each are cut, as many in flight as the caller allows, and read in order.
---
--- Neighbouring windows share the moment at which they meet, and a server may round dates as it likes, so they
--- may overlap. All windows are stretches of one order: where the first run of the next window turns up, the
--- reading goes over to that window. If the next window's start is not known, because it failed, the range is
--- read on from there behind the last run that was handed out.
local call = require "retab.call"
local dates = require "retab.dates"
local params = require "retab.params"
local window = require "retab.window"

local parallel = {}

--- How full a window is meant to be, as a part of a page. One that overflows costs a second request, one that is not
--- full is a part of one: the more evenly the runs come, the fuller. (On even data 104 requests where 100 are the
--- least, with windows always 0.9 full 111.)
local fill = { least = 0.7, most = 0.98 }

--- How far the counts of the windows were off, as a part of a page: a guess to begin with, and how much the latest one
--- weighs in it. So many times that is left free.
local deviation = { first = 0.04, weight = 0.25, margin = 2 }

--- How much the latest window weighs in the runs per second, unless it is off by more than a factor of two.
local rate_weight = 0.4

--- A window is at most this many times as long as the one before: density is a guess.
local growth = 4

--- Windows at a time, in flight or waiting to be read, for each that may be in flight.
local ahead = 2

--- Windows meet at whole seconds: all servers read those alike. Where a server turns out to round to more than that,
--- they get longer, up to a day.
local shortest = { first = 1, most = 86400, growth = 4 }

local Parallel = {}
Parallel.__index = Parallel

--- Raises where a walk can't be cut by time.
local function check(endpoint, checked)
  local range_start = endpoint.range[1]
  if not range_start or not checked[range_start] then
    params.raise(("option 'parallel' needs the parameter '%s': a walk is cut by time")
      :format(range_start or "from_date"))
  end
  if checked.sort_by and checked.sort_by ~= "created_at" then
    params.raise(("option 'parallel' needs the order of creation, and 'sort_by' is %q"):format(checked.sort_by))
  end
  for _, name in ipairs { "before", "after" } do
    if checked[name] then
      params.raise(("option 'parallel' can't start at a cursor: leave out '%s', or 'parallel'"):format(name))
    end
  end
end

--- How many requests are under way.
local function in_flight(self)
  local count = self.scout and not call.is_ready(self.scout) and 1 or 0
  for _, under_way in ipairs(self.windows) do
    if under_way:is_under_way() then count = count + 1 end
  end
  return count
end

--- @param plan table as for window.new, and `parallel`: how many windows at a time
--- @param checked table the caller's parameters
--- @return table source next, close
function parallel.new(plan, checked)
  check(plan.endpoint, checked)
  local from, to = plan.endpoint.range[1], plan.endpoint.range[2]
  local _, last = dates.span(checked[to] or "")
  local self = setmetatable({
    plan = plan,
    params = checked,
    ascending = checked.order == "asc",
    from = from, to = to, -- the names of the parameters
    first = dates.span(checked[from]), last = last, -- epoch seconds; without a `to`, now
    windows = {}, -- in order, the one that is read first
    scout = nil, -- the call that asks for the run at the far end
    seam = nil, -- epoch seconds: where the next window begins; nil: before the first page, or at the end
    length = nil, -- seconds of the next window; math.huge: as long as there is
    shortest = shortest.first, -- seconds
    rate = nil, -- runs per second
    deviation = deviation.first,
    handed_out = nil, -- the id of the last run that was
    reached = nil, -- when that was created, in epoch seconds
  }, Parallel)
  plan.may_send = function() return in_flight(self) < plan.parallel end
  return self
end

--- The id of a run of an entry.
local function id_of(entry, index)
  local run = entry.page.data[index]
  return type(run) == "table" and run.id or nil
end

--- When a run was created, in epoch seconds, if it says so.
local function time_of(run)
  local timing = type(run) == "table" and run.timing
  local text = type(timing) == "table" and timing.created_at
  return type(text) == "string" and dates.span(text) or nil
end

--- Where windows may meet so that what was created at the moment is in the one behind.
local function seam_at(self, moment)
  return self.ascending and math.floor(moment) or math.ceil(moment)
end

--- Adds the window from the seam on, and moves the seam. A seam that rounding put outside the range is the range's
--- own end.
local function cut(self)
  local checked = params.copy(self.params)
  local near, far = self.seam, nil
  if near and self.ascending then
    if near > self.first then checked[self.from] = dates.format(near) end
    far = near + self.length
    if far < math.floor(self.last) then checked[self.to] = dates.format(far) else far = nil end
  elseif near then
    if near < self.last then checked[self.to] = dates.format(near) end
    far = near - self.length
    if far > math.ceil(self.first) then checked[self.from] = dates.format(far) else far = nil end
  end
  local added = window.new(self.plan, checked)
  added.near, added.seconds = near, far and self.length
  added.expected = far and self.rate and self.length * self.rate
  self.seam = far
  self.windows[#self.windows + 1] = added
  return added
end

--- Whether a window's next page is to be sent for: that of the one that is read when it is needed, those of the
--- others as far as they hold no more than a page.
local function wants_page(self, index)
  local asked = self.windows[index]
  if asked.pending or asked.failed or asked.state ~= "next" then return false end
  if not asked:peek() then return true end
  return index > 1 and self.plan.prefetch > 0 and asked.first_arrived == asked.last_arrived
end

--- Keeps as many requests under way as the caller allows, those that are read soonest first.
local function launch(self)
  local room = self.plan.parallel - in_flight(self)
  for index, waiting in ipairs(self.windows) do
    if room > 0 and wants_page(self, index) then
      if not pcall(waiting.send, waiting) then return end -- it raises again at the step that needs the page
      room = room - 1
    end
  end
  while room > 0 and self.seam and #self.windows < self.plan.parallel * ahead do
    local added = cut(self)
    if not pcall(added.send, added) then return end
    room = room - 1
  end
end

--- Asks for the run at the far end of the range: where the runs end there is nothing to cut. What comes is a hint,
--- so a failure is none. (Of a range that is wider than the runs it saves the empty windows behind them, and a wait
--- for those: 0.94x of the time of 100 pages with eight at a time.)
local function send_scout(self)
  local plan = self.plan
  if not plan.endpoint.session:driver().ready then return end
  local checked, options = params.copy(self.params), params.copy(plan.options)
  checked.order, checked.limit = self.ascending and "desc" or "asc", 1
  options.max_retries = 0
  local ok, pending = pcall(plan.endpoint.send, plan.endpoint, checked, options)
  self.scout = ok and pending or nil
end

--- Reads what the scout found, if it is back.
local function hear_scout(self)
  local scout, plan = self.scout, self.plan
  if not scout or not call.is_ready(scout) then return end
  self.scout = nil
  local ok, page = pcall(plan.endpoint.receive, plan.endpoint, scout, self.params, plan.options)
  local moment = ok and page and time_of(page.data[1])
  if moment and self.ascending then
    self.last = math.min(self.last, moment)
  elseif moment then
    self.first = math.max(self.first, moment)
  end
end

--- How long the next window should be, from how many runs came in so many seconds.
local function resize(self, count, seconds)
  local rate = count / math.max(seconds, 1e-6)
  local known = self.rate
  if known and rate < 2 * known and known < 2 * rate then rate = known + rate_weight * (rate - known) end
  self.rate = rate
  local part = math.max(fill.least, fill.most - deviation.margin * self.deviation)
  local most = self.length and self.length < math.huge and self.length * growth or math.huge
  self.length = math.max(self.shortest, math.floor(math.min(part * self.params.limit / rate, most)))
end

--- Notes how far a window's count was off.
local function judge(self, opened, count)
  if not opened.expected then return end
  local off = math.min(math.abs(count - opened.expected) / self.params.limit, 0.5)
  self.deviation = self.deviation + deviation.weight * (off - self.deviation)
end

--- Cuts the last window, which has no far end, behind its page. Whether that was possible: a window never begins
--- where the one before it did, which a page of one moment would have it do.
local function cut_behind(self, opened, last)
  local seam, near = seam_at(self, last), opened.near
  if self.windows[#self.windows] ~= opened or (near and (self.ascending and seam <= near or
      not self.ascending and seam >= near)) then
    return false
  end
  opened:finish()
  opened.is_cut = true
  if not near then send_scout(self) end
  self.seam, self.length = seam, nil
  return true
end

--- Learns from the first page of a window how long the next one should be. A window that was cut at one end
--- only, and has more than a page, is cut behind that page: the next windows go on there.
local function learn(self, opened)
  if opened.learnt then return end
  local data = opened:peek().page.data
  local count, seconds = #data, opened.seconds
  local overflows = opened.state == "next"
  if count == 0 then
    if not overflows then self.length, self.rate = math.huge, nil end -- nobody knows how long nothing lasts
    return
  end
  if not overflows then
    opened.learnt = true
    if seconds then
      judge(self, opened, count)
      resize(self, count, seconds)
    end
    return
  end
  local first, last = time_of(data[1]), time_of(data[count])
  if not first or not last then return end -- in single file, then
  local spanned = math.abs(first - last)
  if seconds then
    judge(self, opened, count * seconds / math.max(spanned, 1e-6))
  elseif not cut_behind(self, opened, last) then
    return -- the page behind it may do
  end
  opened.learnt = true
  resize(self, count, spanned)
end

--- Waits for a window's page. An empty one is left out.
local function receive(self, opened)
  if not opened:arrive() then return end
  learn(self, opened)
  if #opened:peek().page.data == 0 then opened:next() end
end

--- Waits until there may be one more request, where this window has to send one.
local function make_room(self, needing)
  while not needing.pending and in_flight(self) >= self.plan.parallel do
    for _, under_way in ipairs(self.windows) do
      if under_way ~= needing and under_way:is_under_way() then
        receive(self, under_way)
        break
      end
    end
  end
end

--- Reads what is there already, each page making room for another request: what it tells is of use to the windows
--- that are not cut yet.
local function take_in(self)
  hear_scout(self)
  for index = 2, #self.windows do
    local waiting = self.windows[index]
    if waiting.pending and not waiting:peek() and not waiting:is_under_way() then
      receive(self, waiting)
      launch(self)
    end
  end
end

--- Waits for the page that a window has under way. What comes in the meantime makes room for more: in step with the
--- pages that are read, the requests would go out in bursts, and wait for the slowest of each.
local function wait_for(self, awaited)
  while awaited:is_under_way() do
    local calls = {}
    for _, other in ipairs(self.windows) do
      if other:is_under_way() then calls[#calls + 1] = other.pending end
    end
    calls[#calls + 1] = self.scout
    if not calls[1] or not call.await_any(calls) then return end
    take_in(self)
  end
end

local function lacks_page(waiting)
  return not waiting:peek() and not waiting.failed and waiting.state == "next"
end

--- Waits for the first page of a window, past empty ones.
local function open(self, opened)
  while lacks_page(opened) do
    make_room(self, opened)
    wait_for(self, opened)
    if lacks_page(opened) then receive(self, opened) end
    launch(self)
  end
end

--- The first window: all there is, its first page.
local function start(self)
  self.last = self.last or self.plan.endpoint.session:driver().now()
  open(self, self.windows[1] or cut(self))
  self.started = not self.windows[1].failed
end

--- The id of the first run behind the window that is read, past windows without runs.
--- @return string|nil nil where there is none, or it is not to be had
local function next_first_id(self)
  while self.windows[2] do
    local following = self.windows[2]
    open(self, following)
    local entry = following:peek()
    if entry then return id_of(entry, 1) end
    if following.failed or following.state == "loop" then return nil end
    table.remove(self.windows, 2)
    launch(self)
  end
end

--- A window that failed at its start, read on in single file behind the last run that was handed out: up to the
--- window behind it, wherever that begins.
local function resume(self)
  local checked = params.copy(self.params)
  checked.after = self.handed_out
  local resumed = window.new(self.plan, checked)
  resumed.near = self.reached and seam_at(self, self.reached)
  return resumed
end

--- Two windows began with the same run: the server rounds to more than windows are long. The longer they get, the
--- fewer are asked for in vain.
local function lengthen(self)
  self.shortest = math.min(self.shortest * shortest.growth, shortest.most)
  if self.length then self.length = math.max(self.length, self.shortest) end
end

--- Whether a window begins before an entry: the server rounds, and it was cut when the reading was not that far.
local function begins_before(self, following, entry)
  local theirs, ours = time_of(following:peek().page.data[1]), time_of(entry.page.data[1])
  return theirs ~= nil and ours ~= nil and (self.ascending and theirs < ours or not self.ascending and theirs > ours)
end

--- What is read when the first window has no more pages. An error is that of a window whose place this is.
--- @return string|nil message
--- @return retab.Error|nil err
local function pass_on(self, current, seam_id)
  local following = self.windows[2]
  local failed = following and following.failed
  if current.is_cut and (seam_id or failed or not following) then
    -- The next window failed, or it begins behind the page where this one was cut, which some servers' rounding
    -- does: this one goes on.
    current.is_cut = false
    current:go_on()
    if not failed then return end
    table.remove(self.windows, 2)
    return failed[1], failed[2]
  elseif not current.seconds and not current.is_cut and not current.is_passed then
    self:close() -- it had no far end: that was the end of the range
  else
    table.remove(self.windows, 1)
    if self.windows[1] then self.windows[1].unread = self.windows[1].failed ~= nil end
  end
end

--- Cuts an entry where the window behind it begins.
local function cut_entry(current, entry, seam_id)
  for index = 2, seam_id and entry.count or 0 do
    if id_of(entry, index) == seam_id then
      entry.count = index - 1
      current.is_cut, current.is_passed = false, true
      current:close()
      return
    end
  end
end

--- The next page in order.
--- @return table|nil entry nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
function Parallel:next()
  if not self.started then start(self) end
  while self.windows[1] do
    local current = self.windows[1]
    launch(self)
    take_in(self)
    if not current.learnt then open(self, current) end
    local seam_id = next_first_id(self)
    if lacks_page(current) then
      make_room(self, current)
      wait_for(self, current)
    end
    local entry, message, err = current:next()
    if err then
      if current.unread and self.handed_out then self.windows[1] = resume(self) end
      return nil, message, err
    end
    while entry and seam_id and not current.seconds and begins_before(self, self.windows[2], entry) do
      self.windows[2]:close()
      table.remove(self.windows, 2)
      seam_id = next_first_id(self)
    end
    if not entry then
      message, err = pass_on(self, current, seam_id)
      if err then return nil, message, err end
    elseif seam_id and id_of(entry, 1) == seam_id then
      if not current.read then lengthen(self) end
      current:close()
      table.remove(self.windows, 1)
    else
      current.read = true
      cut_entry(current, entry, seam_id)
      self.handed_out = id_of(entry, entry.count) or self.handed_out
      self.reached = time_of(entry.page.data[entry.count]) or self.reached
      entry.more = #self.windows > 1 or self.seam ~= nil or entry.page:has_more()
      return entry
    end
  end
end

function Parallel:close()
  for _, under_way in ipairs(self.windows) do under_way:close() end
  if self.scout then call.cancel(self.scout) end
  self.scout = nil
  self.windows, self.seam = {}, nil
end

return parallel
