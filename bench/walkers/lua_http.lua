--- lua-http and lua-cjson, over one connection.
local client = require "http.client"
local new_headers = require("http.headers").new
local single_file = require "bench.walkers.single_file"

return single_file(function(base_url)
  local host, port = base_url:match("^http://([^:/]+):(%d+)")
  local connection = assert(client.connect { host = host, port = tonumber(port), tls = false })

  local function fetch(url)
    local headers = new_headers()
    headers:append(":method", "GET")
    headers:append(":scheme", "http")
    headers:append(":authority", host .. ":" .. port)
    headers:append(":path", (url:match("^http://[^/]+(.*)$")))
    headers:append("api-key", "bench")
    local stream = connection:new_stream()
    assert(stream:write_headers(headers, true))
    assert(assert(stream:get_headers()):get ":status" == "200")
    return assert(stream:get_body_as_string())
  end

  return fetch, function() connection:close() end
end)
