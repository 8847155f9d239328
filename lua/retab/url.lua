--- url.lua: checks base URLs, and percent-encodes texts (RFC 3986). It sends nothing.
local url = {}

--- Returns true for a host name or address that never leaves this machine.
local function is_loopback(host)
  if host == "localhost" or host == "[::1]" then return true end
  local a, b, c, d = host:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a == "127" and tonumber(b) <= 255 and tonumber(c) <= 255 and tonumber(d) <= 255
end

local function is_host(host)
  return host:find("^[%w%.%-_]+$") ~= nil or host:find("^%[[%x:%.]+%]$") ~= nil
end

--- Splits the part between the scheme and the path into host and port.
local function split_authority(authority)
  local host, port = authority:match("^(.-):(%d*)$")
  if not host or authority:find("%]$") then return authority:lower(), "" end
  return host:lower(), port
end

--- Checks a base URL and normalizes it: scheme and host in lower case, no trailing slash, no version at its end. The
--- messages never quote the URL, because it can hold a secret.
--- @param text string such as "https://api.retab.com" or "http://localhost:8080/proxy/v1/"
--- @param allow_http boolean|nil plain http is allowed to any host
--- @return string|nil base nil if it is refused
--- @return string|nil problem one line, such as "it has no scheme, expected https://HOST"
function url.base(text, allow_http)
  if text:find("[%z\1-\32\127]") then return nil, "it has a space or a control character" end
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  if not scheme then return nil, "it has no scheme, expected https://HOST" end
  scheme = scheme:lower()
  if scheme ~= "https" and scheme ~= "http" then return nil, "its scheme is neither https nor http" end
  if rest:find("?", 1, true) then return nil, "it has a query" end
  if rest:find("#", 1, true) then return nil, "it has a fragment" end
  local authority, path = rest:match("^([^/]*)(.*)$")
  if authority:find("@", 1, true) then return nil, "it has user information; the key is passed as api_key" end
  local host, port = split_authority(authority)
  if not is_host(host) then return nil, "it has no valid host" end
  if port ~= "" and (tonumber(port) > 65535 or tonumber(port) == 0) then return nil, "its port is out of range" end
  if path:find("\\", 1, true) then return nil, "it has a backslash" end
  if scheme == "http" and not allow_http and not is_loopback(host) then
    return nil, "plain http would show the API key to the network: use https, or set allow_http = true"
  end
  path = path:gsub("/+$", ""):gsub("/v%d+$", ""):gsub("/+$", "")
  return scheme .. "://" .. host .. (port ~= "" and ":" .. port or "") .. path
end

--- Returns true for plain http to this machine. Such a request must not go through a proxy, which would read the key.
--- @param base string as url.base returns it
--- @return boolean
function url.is_plain_loopback(base)
  local authority = base:match("^http://([^/]*)")
  return authority ~= nil and is_loopback((split_authority(authority)))
end

local function encode_byte(char)
  return ("%%%02X"):format(char:byte())
end

--- Percent-encodes all bytes but the unreserved ones (RFC 3986, 2.3).
--- @param text string
--- @return string
function url.encode(text)
  return (text:gsub("[^A-Za-z0-9._~-]", encode_byte))
end

return url
