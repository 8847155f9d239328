--- Writes docs/performance.svg: the rows of docs/performance.md as bars, with the figures of bench/results.md.
--- Usage: picture.lua [-]      - prints it instead

local width = 760
local names, bars, notes = 285, 300, 595 -- where names end, where bars begin, and the longest one ends
local row, heading, margin = 18, 26, 16

local style = [[
  text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #4a5260 }
  .page { fill: #ffffff; stroke: #d5dae1 }
  .work { font-weight: 600; fill: #1b2230 }
  .name { text-anchor: end }
  .peer { fill: #b4bcc8 }
  .ours { fill: #2563c9 }
  .us { font-weight: 600; fill: #1d4fa3 }
  .slower { font-weight: 600; fill: #a6480a }
  @media (prefers-color-scheme: dark) {
    text { fill: #aab3c0 }
    .page { fill: #171b22; stroke: #343b47 }
    .work { fill: #eef1f5 }
    .peer { fill: #566072 }
    .ours { fill: #5b9bff }
    .us { fill: #8fbcff }
    .slower { fill: #ffab6b }
  }]]

local seconds = { ["µs"] = 1e-6, ms = 1e-3, s = 1 }

local function seconds_of(text)
  local value, unit = text:match "^(%d+%.?%d*) (%S+)$"
  return tonumber(value) * seconds[unit]
end

--- Returns the rows of the results: work and peer -> { ours, theirs, ratio }, all as they are written.
local function results()
  local found = {}
  for line in io.lines "bench/results.md" do
    local work, ours, peer, theirs, ratio = line:match "^| ([^|]+) | ([^|]+) | ([^|]+) | ([^|]+) | (%d+%.%d+) |"
    if work then
      found[work:gsub(" %(%d+ requests%)", "") .. " | " .. peer] = { ours = ours, theirs = theirs, ratio = ratio }
    end
  end
  return found
end

--- Returns what the page has a row for: an array of { work, bars }, where a bar is { name, time, ratio: nil for ours }.
local function groups()
  local measured, list = results(), {}
  for line in io.lines "docs/performance.md" do
    local work, peer = line:match "^| ([^|]+) | ([^|]+) | %d+%.%d+ |"
    local figures = work and assert(measured[work .. " | " .. peer], line)
    local group = list[#list]
    if work and not (group and group.work == work) then
      group = { work = work, { name = "retab", time = figures.ours } }
      list[#list + 1] = group
    end
    if work then group[#group + 1] = { name = peer, time = figures.theirs, ratio = tonumber(figures.ratio) } end
  end
  return list
end

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local parts = {}
local function add(format, ...) parts[#parts + 1] = format:format(...) end

--- Draws the bars of one work, the shortest first, and returns where the next one begins.
local function draw(group, top)
  add('<text class="work" x="%d" y="%d">%s</text>', margin, top + 17, escape(group.work))
  local longest = 0
  for _, bar in ipairs(group) do longest = math.max(longest, seconds_of(bar.time)) end
  table.sort(group, function(a, b)
    local left, right = seconds_of(a.time), seconds_of(b.time)
    if left ~= right then return left < right end
    return a.name < b.name
  end)
  local y = top + heading
  for _, bar in ipairs(group) do
    local length = seconds_of(bar.time) / longest * (notes - bars)
    local ours = not bar.ratio
    add('<text class="name%s" x="%d" y="%d">%s</text>', ours and " us" or "", names, y + 11, escape(bar.name))
    add('<rect class="%s" x="%d" y="%d" width="%.1f" height="14" rx="2"/>', ours and "ours" or "peer", bars, y, length)
    local slower = not ours and bar.ratio > 1 and ' class="slower"' or ""
    local ratio = bar.ratio and (" · <tspan%s>%.2f</tspan>"):format(slower, bar.ratio)
    add('<text x="%.1f" y="%d"%s>%s%s</text>', bars + length + 6, y + 11, ours and ' class="us"' or "", bar.time,
      ratio or "")
    y = y + row
  end
  return y + 2
end

local legend = {
  "Shorter is faster. Each group has its own scale, and the fastest comes first.",
  "The number after a peer's time is retab's time divided by it: above 1, the peer is faster.",
}

local y = margin
for _, line in ipairs(legend) do
  add('<text x="%d" y="%d">%s</text>', margin, y + 12, escape(line))
  y = y + 17
end
for _, group in ipairs(groups()) do y = draw(group, y + 2) end

local svg = ([[
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<title>The times of retab and of its peers, as bars</title>
<style>
%s
</style>
<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>
%s
</svg>
]]):format(width, y + margin, width, y + margin, style, width - 1, y + margin - 1, table.concat(parts, "\n"))

local file = arg[1] == "-" and io.stdout or assert(io.open("docs/performance.svg", "w"))
file:write(svg)
file:close()
