--- chart.lua: --chart: the scores over time, and the share of each status, drawn with block characters. It keeps the
--- time and the score of each run, and nothing else.
local columns = require "retab.cli.columns"
local dates = require "retab.dates"
local terminal = require "retab.cli.terminal"
local text = require "retab.cli.text"

local chart = {}

local widest, narrowest = 80, 30 -- cells
local height = 8 -- lines of the scores
local axis_width = 6 -- "0.875 " before each line
local eighths = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local parts = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" } -- of a bar that lies

local statuses = { "completed", "error", "cancelled", "running", "queued", "pending" }

local function paint(colour, shown)
  return terminal.has_colours(1) and terminal.paint(colour, shown) or shown
end

-- ---- scores ----

--- Returns the mean score for each column of the chart; a column without runs has none.
local function means_of(times, scores, oldest, newest, width)
  local sums, counts, means = {}, {}, {}
  for index, time in ipairs(times) do
    local place = newest > oldest and math.floor((time - oldest) / (newest - oldest) * (width - 1) + 0.5) + 1 or 1
    sums[place] = (sums[place] or 0) + scores[index]
    counts[place] = (counts[place] or 0) + 1
  end
  for place, sum in pairs(sums) do means[place] = sum / counts[place] end
  return means
end

--- Returns round bounds for the scale of the scores.
local function bounds_of(means)
  local least, most = math.huge, -math.huge
  for _, mean in pairs(means) do least, most = math.min(least, mean), math.max(most, mean) end
  local step = most - least > 0.5 and 0.25 or 0.1
  local low, high = math.floor(least / step) * step, math.ceil(most / step) * step
  if high <= low then high = low + step end
  return low, high
end

--- Returns a line of the chart: `level` is 1 at the bottom.
local function score_line(means, width, level, low, high)
  local cells = {}
  for place = 1, width do
    local filled = means[place] and math.max(1, math.floor((means[place] - low) / (high - low) * height * 8 + 0.5))
    local here = filled and filled - (level - 1) * 8 or 0
    cells[place] = here <= 0 and " " or eighths[math.min(here, 8)]
  end
  return (table.concat(cells):gsub(" +$", ""))
end

local function day_of(time)
  return ((dates.format(time) or "-"):sub(1, 16):gsub("T", " ")) -- a zone can leave the years 0 to 9999
end

local function score_lines(self, width)
  local oldest, newest = math.huge, -math.huge
  for _, time in ipairs(self.times) do oldest, newest = math.min(oldest, time), math.max(newest, time) end
  local room = width - axis_width - 1
  local means = means_of(self.times, self.scores, oldest, newest, room)
  local low, high = bounds_of(means)
  local lines = { ("Scores over time, UTC (%s; each column is a mean)"):format(text.count(#self.times, "scored run")) }
  for level = height, 1, -1 do
    local label = (level == height or level == 1) and ("%.3f"):format(level == 1 and low or high) or ""
    local line = score_line(means, room, level, low, high)
    lines[#lines + 1] = (("%5s "):format(label) .. (label == "" and "│" or "┤")
      .. (line ~= "" and paint("cyan", line) or ""))
  end
  lines[#lines + 1] = (" "):rep(axis_width) .. "└" .. ("─"):rep(room)
  local first, last = day_of(oldest), day_of(newest)
  local gap = room - #first - #last
  local dates_line = (" "):rep(axis_width + 1) .. first
  if gap > 0 and newest > oldest then dates_line = dates_line .. (" "):rep(gap) .. last end
  lines[#lines + 1] = dates_line
  return lines
end

-- ---- statuses ----

local function bar(share, width)
  local filled = math.max(1, math.floor(share * width * 8 + 0.5))
  return ("█"):rep(math.floor(filled / 8)) .. (parts[filled % 8] or "")
end

local function status_lines(self, width)
  local names, known, name_width, count_width = {}, {}, 0, 0
  for _, name in ipairs(statuses) do
    known[name] = true
    if self.counts[name] then names[#names + 1] = name end
  end
  local others = {}
  for name in pairs(self.counts) do
    if not known[name] then others[#others + 1] = name end
  end
  table.sort(others)
  for _, name in ipairs(others) do names[#names + 1] = name end
  for _, name in ipairs(names) do
    name_width = math.min(math.max(name_width, text.width(text.clean(name))), 20)
    count_width = math.max(count_width, #tostring(self.counts[name]))
  end
  local lines = { ("Status (%s)"):format(text.count(self.total, "run")) }
  local room = width - name_width - count_width - #"    100.0 %  "
  for _, name in ipairs(names) do
    local share = self.counts[name] / self.total
    lines[#lines + 1] = ("%s  %" .. count_width .. "d  %5.1f %%  %s"):format(
      text.pad(text.cut(text.clean(name), name_width), name_width), self.counts[name], share * 100,
      paint(terminal.status_colour(name), bar(share, room)))
  end
  return lines
end

--- Adds a run to the chart.
local function add(self, run)
  self.total = self.total + 1
  local status = type(run.lifecycle) == "table" and columns.show(run.lifecycle.status) or "-"
  self.counts[status] = (self.counts[status] or 0) + 1
  local created = type(run.timing) == "table" and run.timing.created_at
  local time = type(created) == "string" and dates.span(created)
  if time and type(run.score) == "number" then
    self.times[#self.times + 1], self.scores[#self.scores + 1] = time, run.score
  end
end

--- Creates the chart: an output of runs, as output.lua has them.
function chart.new()
  local self = { total = 0, counts = {}, times = {}, scores = {} }
  return {
    fields = { "id", "score", "lifecycle.status", "timing.created_at" },
    page = function(items)
      for _, run in ipairs(items) do add(self, type(run) == "table" and run or {}) end
    end,
    finish = function()
      if self.total == 0 then return end
      local width = math.max(narrowest, math.min(widest, terminal.width()))
      local lines = self.times[1] and score_lines(self, width) or { "No run has a score yet." }
      lines[#lines + 1] = ""
      for _, line in ipairs(status_lines(self, width)) do lines[#lines + 1] = line end
      terminal.write(table.concat(lines, "\n") .. "\n")
    end,
  }
end

return chart
