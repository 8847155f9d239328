--- The base URL: what of it is allowed, and its one spelling. It knows nothing of paths or queries.
local url = {}

local function is_loopback(host)
  if host == "localhost" or host == "[::1]" then return true end
  local a, b, c, d = host:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a == "127" and tonumber(b) <= 255 and tonumber(c) <= 255 and tonumber(d) <= 255
end

local function is_host(host)
  return host:find("^[%w%.%-_]+$") ~= nil or host:find("^%[[%x:%.]+%]$") ~= nil
end

--- Checks a base URL and trims it: no trailing slash, no version at its end, scheme and host in lower case.
--- @param text string such as "https://api.retab.com" or "http://localhost:8080/proxy/v1/"
--- @param allow_http boolean plain http beyond this machine
--- @return string|nil base nil where it is refused
--- @return string|nil why in one line
function url.base(text, allow_http)
  if text:find("[%z\1-\32\127]") then return nil, "it has a space or a control character" end
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  if not scheme then return nil, "it has no scheme: https://HOST is expected" end
  scheme = scheme:lower()
  if scheme ~= "https" and scheme ~= "http" then
    return nil, ("its scheme is %s: https (or http) is expected"):format(scheme)
  end
  if rest:find("?", 1, true) then return nil, "it has a query" end
  if rest:find("#", 1, true) then return nil, "it has a fragment" end
  local authority, path = rest:match("^([^/]*)(.*)$")
  if authority:find("@", 1, true) then return nil, "it has user information: the key is passed as api_key" end
  local host, port = authority:match("^(.-):(%d*)$")
  if not host or authority:find("%]$") then host, port = authority, "" end
  host = host:lower()
  if not is_host(host) then return nil, "it has no valid host" end
  if port ~= "" and (tonumber(port) > 65535 or tonumber(port) == 0) then return nil, "its port is out of range" end
  if path:find("\\", 1, true) then return nil, "it has a backslash" end
  if scheme == "http" and not allow_http and not is_loopback(host) then
    return nil, "plain http would show the key to the network: use https, or say allow_http = true"
  end
  path = path:gsub("/+$", ""):gsub("/v%d+$", ""):gsub("/+$", "")
  return scheme .. "://" .. host .. (port ~= "" and ":" .. port or "") .. path
end

return url
