--- Measures contenders in turns, so that the load of the machine affects all of them alike, and compares medians of the
--- ratios of each round. Results go to standard output as rows for run.lua.
local curl = require "retab.curl"

local measure = {}

measure.clock = curl.clock

--- RETAB_BENCH_QUICK=1 takes few rounds, to try a benchmark.
measure.quick = os.getenv "RETAB_BENCH_QUICK" == "1"

--- The value below which a part of the values lies.
--- @param values number[]
--- @param part number 0 to 1
function measure.quantile(values, part)
  local sorted = {}
  for index, value in ipairs(values) do sorted[index] = value end
  table.sort(sorted)
  local at = 1 + part * (#sorted - 1)
  local low = math.floor(at)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low)
end

function measure.median(values)
  return measure.quantile(values, 0.5)
end

--- Returns a function that calls `f` so many times, with the inputs in turn.
function measure.repeatedly(times, f, inputs)
  return function()
    for index = 0, times - 1 do f(inputs[index % #inputs + 1]) end
  end
end

--- Calls every contender once per round; each round begins with another one.
--- @param rounds integer
--- @param contenders table[] each { name =, run = what is measured }
--- @return table<string, number[]> seconds by name
function measure.rounds(rounds, contenders)
  if measure.quick then rounds = math.min(rounds, 3) end
  local seconds = {}
  for _, contender in ipairs(contenders) do
    seconds[contender.name] = {}
    contender.run() -- warm
  end
  for round = 1, rounds do
    for turn = 1, #contenders do
      local contender = contenders[(round + turn) % #contenders + 1]
      collectgarbage()
      collectgarbage()
      local start = measure.clock()
      contender.run()
      seconds[contender.name][round] = measure.clock() - start
    end
  end
  return seconds
end

--- The ratios of the times of each round.
function measure.ratios(ours, theirs)
  local ratios = {}
  for round = 1, math.min(#ours, #theirs) do ratios[round] = ours[round] / theirs[round] end
  return ratios
end

--- The sums of the times of each round.
function measure.sums(a, b)
  local sums = {}
  for round = 1, math.min(#a, #b) do sums[round] = a[round] + b[round] end
  return sums
end

local function time_text(seconds)
  if seconds >= 1 then return ("%.2f s"):format(seconds) end
  if seconds >= 1e-3 then return ("%.2f ms"):format(seconds * 1e3) end
  return ("%.1f µs"):format(seconds * 1e6)
end

--- Prints a row of texts.
--- @param row table work, ours, peer, theirs, ratio, spread, target (texts, "" for none) and met
---   (boolean, or nil where there is no target)
function measure.row(row)
  local met = row.met == nil and "" or row.met and "yes" or "NO"
  local fields = { "row", row.work, row.ours or "", row.peer or "", row.theirs or "", row.ratio or "", row.spread or "",
    row.target or "", met }
  print(table.concat(fields, "\t"))
  io.stdout:flush()
end

--- Prints a remark that goes below the table.
function measure.note(text)
  print("note\t" .. text)
  io.stdout:flush()
end

--- Prints the row that compares our times with those of a peer.
--- @param row table work, peer, ours and theirs (seconds of each round), times (repetitions in each of
---   them; default 1), target (the largest ratio; or nil)
function measure.compare(row)
  local times = row.times or 1
  local ratios = measure.ratios(row.ours, row.theirs)
  local ratio = measure.median(ratios)
  local met
  if row.target then met = ratio <= row.target end
  measure.row {
    work = row.work, peer = row.peer,
    ours = time_text(measure.median(row.ours) / times), theirs = time_text(measure.median(row.theirs) / times),
    ratio = ("%.3f"):format(ratio),
    spread = ("%.3f–%.3f"):format(measure.quantile(ratios, 0.25), measure.quantile(ratios, 0.75)),
    target = row.target and ("≤ %.2f"):format(row.target) or "",
    met = met,
  }
  return ratio
end

return measure
