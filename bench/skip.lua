--- Skips values that are not selected: bytes per second.
local core = require "retab.core"
local documents = require "bench.documents"
local measure = require "bench.measure"

local rounds = 41

--- Bytes per measured time.
local bytes_a_time = 4e6

local options = { fields = { "nothing" } }

local function skip(name, texts)
  local bytes, count = 0, 0
  for _, text in ipairs(texts) do bytes = bytes + #text end
  local times = math.ceil(bytes_a_time / bytes)
  local seconds = measure.rounds(rounds, { { name = "ours", run = function()
    for _ = 1, times do
      for _, text in ipairs(texts) do
        core.decode(text, options)
        count = count + 1
      end
    end
  end } }).ours
  local rates = {}
  for index, time in ipairs(seconds) do rates[index] = bytes * times / time / 1e9 end
  local rate = measure.median(rates)
  measure.row {
    work = "skip " .. name, ours = ("%.2f GB/s"):format(rate), target = "≥ 1 GB/s",
    spread = ("%.2f–%.2f"):format(measure.quantile(rates, 0.25), measure.quantile(rates, 0.75)),
    met = rate >= 1,
  }
end

--- Each text as the value of a key that is not selected.
local function unselected(texts)
  local wrapped = {}
  for index, text in ipairs(texts) do wrapped[index] = '{"more":' .. text .. "}" end
  return wrapped
end

local skipped = {
  ["long strings"] = true, ["an array of 3,000 small objects"] = true, ["numbers of 17 digits"] = true,
}

skip("a page of 100 runs", unselected(documents.pages()))
for _, shape in ipairs(documents.shapes()) do
  if skipped[shape.name] then skip(shape.name, unselected(shape.texts)) end
end
