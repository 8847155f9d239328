--- Decodes pages of 100 runs to tables: ours beside lua-cjson, and beside the floor (floor.c).
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "bench.documents"
local floor = require "bench.floor"
local measure = require "bench.measure"

local lua = rawget(_G, "jit") and "LuaJIT" or _VERSION
local is_jit = lua == "LuaJIT"

--- Pages per measured time.
local times = 24
local rounds = 61

local pages = documents.pages()
local plans = {}
for index, text in ipairs(pages) do plans[index] = floor.record(core.decode(text)) end

local function repeatedly(f, inputs)
  return measure.repeatedly(times, f, inputs)
end

local seconds = measure.rounds(rounds, {
  { name = "ours", run = repeatedly(core.decode, pages) },
  { name = "cjson", run = repeatedly(cjson.decode, pages) },
  { name = "floor", run = repeatedly(floor.build, plans) },
})

local work = ("decode a page of 100 runs (%.0f kB), %s"):format(#pages[1] / 1000, lua)
measure.compare { work = work, ours = seconds.ours, peer = "lua-cjson", theirs = seconds.cjson, times = times,
  target = is_jit and 0.46 or nil }
measure.compare { work = work, ours = seconds.ours, peer = "the floor", theirs = seconds.floor, times = times,
  target = not is_jit and 1.12 or nil }
measure.compare { work = "the floor: the same tables, no text read, " .. lua, ours = seconds.floor, peer = "lua-cjson",
  theirs = seconds.cjson, times = times }
