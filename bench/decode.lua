--- Decoding a page of 100 documented runs to tables: ours beside lua-cjson, and beside the floor.
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "bench.documents"
local floor = require "bench.floor"
local measure = require "bench.measure"

local lua = rawget(_G, "jit") and "LuaJIT" or _VERSION
local target = rawget(_G, "jit") and 0.45 or 0.40

--- In one time.
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
  target = target }
-- The floor is a target on PUC Lua alone; on LuaJIT it is for information.
measure.compare { work = work, ours = seconds.ours, peer = "the floor", theirs = seconds.floor, times = times,
  target = lua ~= "LuaJIT" and 1.10 or nil }
measure.compare { work = "the floor of it, no text read at all, " .. lua, ours = seconds.floor, peer = "lua-cjson",
  theirs = seconds.cjson, times = times }
