--- request.lua: turns checked parameters into method, URL, headers and body. It sends nothing.
---
--- A target is the part that all attempts of a call have in common: { method, url, headers, body, direct, at_most_once,
--- lookup }. The API key is added to each attempt, because a function api_key can return another key each time.
local lower_name = require("retab.headers").lower
local params = require "retab.params"
local random = require "retab.random"
local url = require "retab.url"

local request = {}

--- Returns the text of a parameter in a query.
local function query_text(value)
  if type(value) == "number" then return ("%d"):format(value) end
  return tostring(value)
end

--- Adds a name and its value to the parts of a query. The name of an array is repeated for each of its values.
local function add(parts, name, value)
  if value == nil then return end
  if type(value) == "table" then
    for _, item in ipairs(value) do add(parts, name, item) end
  else
    parts[#parts + 1] = name .. "=" .. url.encode(query_text(value))
  end
end

--- Returns the query of a call: the parameters in declared order, then those of the option `query`, sorted by name.
local function query_of(declared, checked, options)
  local parts, names = {}, {}
  for _, entry in ipairs(declared) do add(parts, entry[1], checked[entry[1]]) end -- declared names need no encoding
  for name in pairs(options.query or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do add(parts, url.encode(name), options.query[name]) end
  return parts[1] and "?" .. table.concat(parts, "&") or ""
end

--- Encodes a table as JSON, with lua-cjson or, in Neovim, with vim.json.
local function encode_json(value)
  local ok, cjson = pcall(require, "cjson.safe")
  if ok then return assert(cjson.encode(value)) end
  local nvim = rawget(_G, "vim")
  if nvim and nvim.json then return nvim.json.encode(value) end
  params.raise("a request with a JSON body needs lua-cjson: install it (Debian: lua-cjson; LuaRocks: lua-cjson)")
end

--- Builds the target of a call.
--- @param endpoint table a bound endpoint: session, method, path, declared, sends_body, at_most_once
--- @param checked table parameters; `id` fills the {id} of the path
--- @param options table query
--- @return table target
function request.target(endpoint, checked, options)
  local path = endpoint.path
  if checked.id then path = path:gsub("{id}", (url.encode(checked.id):gsub("%%", "%%%%"))) end
  local session = endpoint.session
  local target = {
    method = endpoint.method,
    direct = session.direct,
    headers = {},
    url = session.base_url .. path .. query_of(endpoint.sends_body and {} or endpoint.declared, checked, options),
  }
  if endpoint.sends_body then
    target.body = encode_json(checked)
    target.headers["Content-Type"] = "application/json"
  end
  if endpoint.at_most_once then
    target.headers["Idempotency-Key"] = random.uuid()
    target.at_most_once, target.lookup = true, endpoint.lookup
  end
  return target
end

--- Returns the API key of the next attempt. Raises if a function returns something that cannot be sent.
--- @return string
function request.key(session, options)
  local key = options.api_key or session.api_key
  if type(key) == "function" then
    key = key()
    local problem = params.key_problem(key)
    if problem then params.raise("the API key that the function api_key returned " .. problem) end
  end
  session.last_key = key
  return key
end

--- Returns the keys to mask outside of an attempt: the client's, the call's, and the key that was sent last.
--- @param session table
--- @param options any the options of a call, not checked yet
--- @return string[] keys without those of a function that was not called yet
function request.known_keys(session, options)
  local keys = {}
  local own = type(options) == "table" and options.api_key
  for _, key in ipairs { session.api_key, own or false, session.last_key } do
    if type(key) == "string" and key ~= "" and key ~= keys[1] and key ~= keys[2] then keys[#keys + 1] = key end
  end
  return keys
end

--- Returns what to do about a key that the server refuses.
--- @param session table
--- @return string
function request.key_hint(session)
  return ("check the API key: the api_key option, or RETAB_API_KEY; if it is right, try auth = %q")
    :format(session.auth == "bearer" and "api-key" or "bearer")
end

--- Builds the request of one attempt, for any HTTP client. The case of header names does not matter. Headers of the
--- call replace those of the client, and these replace the library's. The header of the key cannot be replaced.
--- @param session table
--- @param target table
--- @param options table headers
--- @param key string
--- @return table { method, url, headers, body }
function request.build(session, target, options, key)
  local headers, spelled = {}, {}
  local function set(name, value)
    local lower = lower_name(name)
    if spelled[lower] then headers[spelled[lower]] = nil end
    spelled[lower] = name
    headers[name] = value
  end
  set("User-Agent", session.user_agent)
  set("Accept", "application/json")
  for name, value in pairs(target.headers) do set(name, value) end
  for name, value in pairs(session.headers) do set(name, value) end
  for name, value in pairs(options.headers or {}) do set(name, value) end
  if session.auth == "bearer" then
    set("Authorization", "Bearer " .. key)
  else
    set("Api-Key", key)
  end
  return { method = target.method, url = target.url, headers = headers, body = target.body }
end

return request
