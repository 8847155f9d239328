--- progress.lua: the line on stderr that tells how far a long walk is. It is for people: it shows nothing where stderr
--- is no terminal, nor in the first second.
local dates = require "retab.dates"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"

local progress = {}

local first_shown = 1 -- second
local interval = 0.2 -- seconds between two changes of the line

local Progress = {}
Progress.__index = Progress

--- Returns the time at which a run was created; nil where it does not say so.
local function time_of(item)
  local timing = type(item) == "table" and item.timing
  local stamp = type(timing) == "table" and timing.created_at
  return type(stamp) == "string" and dates.span(stamp) or nil
end

--- Returns seconds as people say them.
local function duration(seconds)
  if seconds < 60 then return ("%d s"):format(math.ceil(seconds)) end
  if seconds < 3600 then return ("%d min"):format(math.ceil(seconds / 60)) end
  return ("%.1f h"):format(seconds / 3600)
end

--- Creates the progress of a walk.
--- @param rules table now (a function that returns seconds), noun ("run"), and of a walk over a range of dates
---   oldest and newest (epoch seconds) and is_ascending
function progress.new(rules)
  local self = setmetatable({ rules = rules, began = rules.now(), drawn_at = 0, is_drawn = false }, Progress)
  terminal.before_writing(function() self:clear() end)
  return self
end

--- Removes the line, so that something else can be written.
function Progress:clear()
  if self.is_drawn then
    io.stderr:write "\r\27[K"
    io.stderr:flush()
  end
  self.is_drawn = false
end

--- Returns the share of the range that is walked, from 0 to 1; nil where it is not known.
local function share_of(self, last)
  local rules = self.rules
  local time = rules.oldest and time_of(last)
  local oldest, newest = rules.oldest, rules.newest
  -- the walk begins at its first run, which can be far from the end of the range
  if rules.is_ascending then oldest = self.first or oldest else newest = self.first or newest end
  if not time or newest <= oldest then return nil end
  local share = (newest - time) / (newest - oldest)
  if rules.is_ascending then share = 1 - share end
  return math.max(0, math.min(1, share))
end

--- Draws the line again, where it is time to.
--- @param count number of items so far
--- @param pages number
--- @param items table of the page
function Progress:update(count, pages, items)
  self.first = self.first or time_of(items[1])
  local now = self.rules.now()
  local elapsed = now - self.began
  if elapsed < first_shown or now - self.drawn_at < interval or not terminal.is_terminal(2) then return end
  local line = ("%s, %s, %.0f a second"):format(text.count(count, self.rules.noun), text.count(pages, "page"),
    count / elapsed)
  local share = share_of(self, items[#items])
  if share and share > 0 then
    line = ("%s, %d %%, %s left"):format(line, math.floor(share * 100), duration(elapsed / share - elapsed))
  end
  io.stderr:write("\r\27[K", line)
  io.stderr:flush()
  self.drawn_at, self.is_drawn = now, true
end

return progress
