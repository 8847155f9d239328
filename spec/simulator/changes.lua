-- What requests changed: the runs that they created or cancelled, by scenario id. Scenarios with the same id share
-- them, so that a spec can create a run through a faulty base URL and look at it through a sound one.
--
-- A change of run k is { status, experiment, trigger, part, completed, errors, ... }, each nil if it is unchanged.
-- `part` is the part of its documents that the run has processed. One that advances with time has `since` and `lasts`,
-- in seconds, and `from`, the part at `since`: it is pending as long as its part is not above 0.

local changes = {}
changes.__index = changes

-- Beyond this the oldest scenario loses its changes.
local MAX_SCENARIOS = 512
local MAX_CREATED = 100000

-- A run that advances with time is pending for a quarter of its time.
local FROM_PENDING = -1 / 3
-- A running run of the data has processed half of its documents.
local FROM_RUNNING = 0.5

local by_id, ids = {}, {}

-- Returns the changes of a scenario, or nil if there are none.
function changes.of(id)
  return by_id[id]
end

-- Returns the changes of a scenario, empty ones at first.
function changes.open(id)
  local self = by_id[id]
  if self then return self end
  self = setmetatable({ created = 0, runs = {}, keys = {}, unfinished = {} }, changes)
  by_id[id] = self
  table.insert(ids, id)
  if #ids > MAX_SCENARIOS then by_id[table.remove(ids, 1)] = nil end
  return self
end

-- Adds a run of the data's own kind at the head of the list. Returns its number, nil if there are too many.
function changes:add()
  if self.created == MAX_CREATED then return nil end
  self.created = self.created + 1
  return -self.created
end

-- Creates a run of experiment `e`, as the scenario's options say. Returns its number, nil if there are too many.
function changes:create(e, options, now)
  local k = self:add()
  if not k then return nil end
  self.runs[k] = {
    experiment = e, trigger = "manual_run", status = "pending", part = 0, options = options, born = now, looks = 0,
    hidden = options.lag, outcome = options.outcome, since = now, from = FROM_PENDING,
    lasts = options.advance == "time" and options.lasts or nil,
  }
  self.unfinished[k] = true
  return k
end

local UNENDED = { pending = true, queued = true, running = true }

-- Lets run k of the data end within `seconds` from now, unless it has ended. Some end in error.
function changes:let_end(set, k, seconds, now)
  local _, status, _, _, v = set:traits(k)
  if not UNENDED[status] or self.runs[k] then return end
  self.runs[k] = {
    status = status, outcome = v % 8 == 0 and "error" or "completed", since = now,
    lasts = seconds * (0.3 + 0.7 * (v % 97) / 96), from = status == "running" and FROM_RUNNING or FROM_PENDING,
  }
  self.unfinished[k] = true
end

-- Ends the progress of a run. Its status is `status` from now on.
function changes:finish(k, status)
  self.runs[k] = self.runs[k] or {}
  self.runs[k].status = status
  self.unfinished[k] = nil
end

function changes:progress(k, part)
  local change = self.runs[k]
  change.part = math.min(math.max(part, 0), 1)
  if part >= 1 then
    self:finish(k, change.outcome)
  elseif part > 0 then
    change.status = "running"
  end
end

-- Advances the runs that advance with time.
function changes:settle(now)
  for k in pairs(self.unfinished) do
    local change = self.runs[k]
    if change.lasts then
      self:progress(k, change.from + (1 - change.from) * (now - change.since) / change.lasts)
    end
  end
end

-- Counts a look (a GET) at run k, which advances a run that advances with looks. The first look finds it pending, the
-- last of `looks` finds it ended. Returns false as long as the run cannot be read.
function changes:look(k)
  local change = self.runs[k]
  if not change or not change.born then return true end
  if change.hidden > 0 then
    change.hidden = change.hidden - 1
    return false
  end
  local options = change.options
  if options.advance == "look" and self.unfinished[k] then
    self:progress(k, options.looks == 1 and 1 or change.looks / (options.looks - 1))
    change.looks = change.looks + 1
  end
  return true
end

return changes
