--- Decoding three fields of each run of a page, beside lua-cjson, which builds everything. What it is made of, too: the
--- tables with these fields, and passing over all else, since what is not selected is checked like everything.
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "bench.documents"
local floor = require "bench.floor"
local measure = require "bench.measure"

--- In one time.
local times = 24
local rounds = 61

local pages = documents.pages()
local options = { fields = { "data.id", "data.lifecycle.status", "data.score" } }
local nothing = { fields = { "none" } }
local plans = {}
for index, text in ipairs(pages) do plans[index] = floor.record(core.decode(text, options)) end

local function repeatedly(f, inputs)
  return measure.repeatedly(times, f, inputs)
end

local seconds = measure.rounds(rounds, {
  { name = "ours", run = repeatedly(function(text) return core.decode(text, options) end, pages) },
  { name = "cjson", run = repeatedly(cjson.decode, pages) },
  { name = "tables", run = repeatedly(floor.build, plans) },
  { name = "skip", run = repeatedly(function(text) return core.decode(text, nothing) end, pages) },
})

measure.compare { work = "decode three fields of each run, " .. _VERSION, ours = seconds.ours, peer = "lua-cjson, all",
  theirs = seconds.cjson, times = times, target = 0.12 }
measure.compare { work = "of it: the tables, from a plan", ours = seconds.tables, peer = "lua-cjson, all",
  theirs = seconds.cjson, times = times }
measure.compare { work = "of it: a page passed over", ours = seconds.skip, peer = "lua-cjson, all",
  theirs = seconds.cjson, times = times }
