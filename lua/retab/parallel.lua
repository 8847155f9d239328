--- A walk over a date range in several windows at a time: same runs, same order, each once.
---
--- The first page is that of the whole range; its times tell how dense the runs are. From there windows of
--- about a page each are cut, as many at once as the caller allows, and read in order.
---
--- Neighbouring windows share the moment at which they meet, and a server may round dates as it likes, so they
--- may overlap. All windows are stretches of one order: where the first run of the next window turns up, the
--- reading goes over to that window. If the next window's start is not known, because it failed, the range is
--- read on from there behind the last run that was handed out.
local dates = require "retab.dates"
local params = require "retab.params"
local window = require "retab.window"

local parallel = {}

--- How full a window is meant to be. A page that overflows costs a second request, one that is not full is a
--- part of one: where runs come evenly, windows get fuller step by step, and where one overflows, less full.
local fill = { first = 0.9, least = 0.8, most = 0.98, more = 0.01, less = 0.05 }

--- A window is at most this many times as long as the one before: density is a guess.
local growth = 4

--- Windows at a time, in flight or waiting to be read, for each that may be in flight.
local ahead = 2

--- Windows meet at whole seconds: all servers read those alike.
local shortest = 1

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

--- @param plan table as for window.new, and `parallel`: how many windows at a time
--- @param checked table the caller's parameters
--- @return table source next, close
function parallel.new(plan, checked)
  check(plan.endpoint, checked)
  local from, to = plan.endpoint.range[1], plan.endpoint.range[2]
  local _, last = dates.span(checked[to] or "")
  return setmetatable({
    plan = plan,
    params = checked,
    ascending = checked.order == "asc",
    from = from, to = to, -- the names of the parameters
    first = dates.span(checked[from]), last = last, -- epoch seconds; without a `to`, now
    windows = {}, -- in order, the one that is read first
    seam = nil, -- epoch seconds: where the next window begins; nil: before the first page, or at the end
    length = nil, -- seconds of the next window; math.huge: as long as there is
    fill = fill.first,
    handed_out = nil, -- the id of the last run that was
  }, Parallel)
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

--- Adds the window from the seam on, and moves the seam.
local function cut(self)
  local checked = params.copy(self.params)
  local near, far = self.seam, nil
  if near and self.ascending then
    checked[self.from] = dates.format(near)
    far = near + self.length
    if far < math.floor(self.last) then checked[self.to] = dates.format(far) else far = nil end
  elseif near then
    checked[self.to] = dates.format(near)
    far = near - self.length
    if far > math.ceil(self.first) then checked[self.from] = dates.format(far) else far = nil end
  end
  local added = window.new(self.plan, checked)
  added.seconds = far and self.length
  self.seam = far
  self.windows[#self.windows + 1] = added
  return added
end

--- How many requests are under way.
local function in_flight(self)
  local count = 0
  for _, under_way in ipairs(self.windows) do
    if under_way:is_under_way() then count = count + 1 end
  end
  return count
end

--- Keeps as many windows under way as the caller allows.
local function launch(self)
  while self.seam and #self.windows < self.plan.parallel * ahead and in_flight(self) < self.plan.parallel do
    cut(self):send()
  end
end

--- Learns from the first page of a window how long the next one should be. A window that was cut at one end
--- only, and has more than a page, is cut behind that page: the next windows go on there.
local function learn(self, arrived)
  local data = arrived:peek().page.data
  local count, seconds = #data, arrived.seconds
  if count == 0 then
    self.length = math.huge -- nobody knows how long nothing lasts: the next page tells
    return
  end
  if arrived.state == "next" then
    local first, last = time_of(data[1]), time_of(data[count])
    if not last then return end -- in single file, then
    self.fill = math.max(fill.least, self.fill - fill.less)
    seconds = first and math.abs(first - last) or 0
    if not arrived.seconds then
      arrived:finish()
      self.seam = self.ascending and math.floor(last) or math.ceil(last)
      self.length = nil
    end
  else
    self.fill = math.min(fill.most, self.fill + fill.more)
  end
  if seconds then
    local wanted = seconds * self.fill * self.params.limit / count
    local most = self.length and self.length < math.huge and self.length * growth or math.huge
    self.length = math.max(shortest, math.floor(math.min(wanted, most)))
  end
end

--- Waits for the first page of a window, past empty ones.
local function open(self, opened)
  while not opened:peek() and not opened.failed and opened.state == "next" do
    if opened:arrive() then
      learn(self, opened)
      if #opened:peek().page.data == 0 then opened:next() end
      launch(self)
    end
  end
end

--- The first window: all there is, its first page.
local function start(self)
  self.last = self.last or self.plan.endpoint.session:driver().now()
  self.fill = fill.first + fill.less -- its page overflows
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

--- A window that failed at its start, read on in single file behind the last run that was handed out.
local function resume(self, failing)
  local checked = params.copy(failing.params)
  local name = self.ascending and self.from or self.to
  checked[name], checked.after = self.params[name], self.handed_out
  local resumed = window.new(self.plan, checked)
  resumed.seconds = failing.seconds
  return resumed
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
    local seam_id = next_first_id(self)
    local entry, message, err = current:next()
    if err then
      if current.unread and self.handed_out then self.windows[1] = resume(self, current) end
      return nil, message, err
    end
    if not entry or (seam_id and id_of(entry, 1) == seam_id) then
      current:close()
      table.remove(self.windows, 1)
      if self.windows[1] then self.windows[1].unread = self.windows[1].failed ~= nil end
    else
      for index = 2, seam_id and entry.count or 0 do
        if id_of(entry, index) == seam_id then
          entry.count = index - 1
          current:close()
          break
        end
      end
      self.handed_out = id_of(entry, entry.count) or self.handed_out
      entry.more = #self.windows > 1 or self.seam ~= nil or entry.page:has_more()
      return entry
    end
  end
end

function Parallel:close()
  for _, under_way in ipairs(self.windows) do under_way:close() end
  self.windows, self.seam = {}, nil
end

return parallel
