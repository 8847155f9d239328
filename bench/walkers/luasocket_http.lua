--- LuaSocket's own http module and lua-cjson, as most users write it. It opens a connection per request.
local http = require "socket.http"
local ltn12 = require "ltn12"
local single_file = require "bench.walkers.single_file"

return single_file(function()
  local function fetch(url)
    local pieces = {}
    local _, status = assert(http.request {
      url = url, headers = { ["Api-Key"] = "bench" }, sink = ltn12.sink.table(pieces),
    })
    assert(status == 200, status)
    return table.concat(pieces)
  end

  return fetch, function() end
end)
