--- Decoding three fields of each run of a page, beside lua-cjson, which builds everything.
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "bench.documents"
local measure = require "bench.measure"

--- In one time.
local times = 24
local rounds = 61

local pages = documents.pages()
local options = { fields = { "data.id", "data.lifecycle.status", "data.score" } }

local function repeatedly(f)
  return function()
    for index = 0, times - 1 do f(pages[index % #pages + 1]) end
  end
end

local seconds = measure.rounds(rounds, {
  { name = "ours", run = repeatedly(function(text) return core.decode(text, options) end) },
  { name = "cjson", run = repeatedly(cjson.decode) },
})

measure.compare { work = "decode three fields of each run, " .. _VERSION, ours = seconds.ours, peer = "lua-cjson, all",
  theirs = seconds.cjson, times = times, target = 0.12 }
