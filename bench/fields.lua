--- Decodes three fields of each run of a page, beside lua-cjson, which builds everything; and its two parts: the tables
--- with these fields, and skipping the rest, which is checked to be JSON too.
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "bench.documents"
local floor = require "bench.floor"
local measure = require "bench.measure"

--- Pages per measured time.
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
  theirs = seconds.cjson, times = times, target = 0.20 }
measure.compare { work = "its part: the tables", ours = seconds.tables, peer = "lua-cjson, all",
  theirs = seconds.cjson, times = times }
measure.compare { work = "its part: a page skipped", ours = seconds.skip, peer = "lua-cjson, all",
  theirs = seconds.cjson, times = times }
