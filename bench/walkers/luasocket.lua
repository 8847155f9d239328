--- LuaSocket and lua-cjson over one connection, with as much of HTTP as the responses of this server need. (LuaSocket's
--- own http module opens a connection per request.)
local socket = require "socket"
local single_file = require "bench.walkers.single_file"

return single_file(function(base_url)
  local host, port = base_url:match("^http://([^:/]+):(%d+)")
  local connection = assert(socket.connect(host, tonumber(port)))
  connection:setoption("tcp-nodelay", true)

  local function fetch(url)
    assert(connection:send(("GET %s HTTP/1.1\r\nHost: %s:%s\r\nApi-Key: bench\r\nAccept: application/json\r\n\r\n")
      :format(url:match("^http://[^/]+(.*)$"), host, port)))
    local length
    assert(connection:receive("*l"):find("^HTTP/1.1 200"))
    for line in function() return connection:receive("*l") end do
      if line == "" then break end
      length = length or line:lower():match("^content%-length: *(%d+)")
    end
    return assert(connection:receive(tonumber(length)))
  end

  return fetch, function() connection:close() end
end)
