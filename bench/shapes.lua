--- Decodes documents of other shapes, beside lua-cjson.
local cjson = require "cjson"
local core = require "retab.core"
local documents = require "bench.documents"
local measure = require "bench.measure"

local lua = rawget(_G, "jit") and "LuaJIT" or _VERSION
local rounds = 15

--- lua-cjson stores JSON null as a value, so ours does too.
local options = { null = core.null }

for _, shape in ipairs(documents.shapes()) do
  local texts = shape.texts
  local function all(f)
    return function()
      for index = 1, #texts do f(texts[index]) end
    end
  end
  local seconds = measure.rounds(rounds, {
    { name = "ours", run = all(function(text) return core.decode(text, options) end) },
    { name = "cjson", run = all(cjson.decode) },
  })
  measure.compare { work = ("decode %s, %s"):format(shape.name, lua), ours = seconds.ours, peer = "lua-cjson",
    theirs = seconds.cjson, times = #texts, target = 1.00 }
end
