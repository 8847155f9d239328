--- lua-curl and lua-cjson, over one connection.
local curl = require "curl"
local single_file = require "bench.walkers.single_file"

return single_file(function()
  local easy = curl.easy_init()
  local pieces
  easy:setopt(curl.OPT_HTTPHEADER, { "Api-Key: bench" })
  easy:setopt(curl.OPT_WRITEFUNCTION, function(first, second)
    local piece = type(first) == "string" and first or second
    pieces[#pieces + 1] = piece
    return #piece
  end)

  local function fetch(url)
    pieces = {}
    easy:setopt(curl.OPT_URL, url)
    assert(easy:perform())
    return table.concat(pieces)
  end

  return fetch, function() end
end)
