--- request.lua: from checked parameters to what is sent: method, URL, headers and body. It sends nothing itself.
---
--- A target is what all attempts of a call have in common: { method, url, headers, body, direct, at_most_once,
--- lookup }. The API key is added for each attempt, since a function may return another one.
local params = require "retab.params"
local random = require "retab.random"
local url = require "retab.url"

local request = {}

--- How a parameter is written in a query.
local function query_text(value)
  if type(value) == "number" then return ("%d"):format(value) end
  return tostring(value)
end

--- The query of a call: parameters in declared order, then those of the option `query` by name. An array is repeated.
local function query_of(declared, checked, options)
  local pairs_sent = {}
  local function add(name, value)
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      pairs_sent[#pairs_sent + 1] = name
      pairs_sent[#pairs_sent + 1] = query_text(item)
    end
  end
  for _, entry in ipairs(declared) do
    if checked[entry[1]] ~= nil then add(entry[1], checked[entry[1]]) end
  end
  local names = {}
  for name in pairs(options.query or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do add(name, options.query[name]) end
  return url.query(pairs_sent)
end

--- Encodes a table as JSON, by the encoder that the host has.
local function encode_json(value)
  local ok, cjson = pcall(require, "cjson.safe")
  if ok then return assert(cjson.encode(value)) end
  local nvim = rawget(_G, "vim")
  if nvim and nvim.json then return nvim.json.encode(value) end
  params.raise("a request with a JSON body needs lua-cjson: install it (Debian: lua-cjson; LuaRocks: lua-cjson)")
end

--- Builds the target of a call.
--- @param session table the client's inside
--- @param endpoint table a bound endpoint: method, path, declared, sends_body, at_most_once
--- @param checked table parameters; `id` fills the {id} of the path
--- @param options table query
--- @return table target
function request.target(session, endpoint, checked, options)
  local path = endpoint.path:gsub("{id}", function() return url.encode(checked.id) end)
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

--- The API key of the next attempt. Raises where a function returns something that can't be sent.
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

--- The key to mask outside of an attempt: the one that was sent last, or the client's own.
--- @return string|nil
function request.known_key(session)
  return session.last_key or type(session.api_key) == "string" and session.api_key or nil
end

--- Builds one attempt, as any HTTP stack could send it. Header names are compared in any case; the later of two wins,
--- and the key's own wins over all.
--- @param session table
--- @param target table
--- @param options table headers
--- @param key string
--- @return table { method, url, headers, body }
function request.build(session, target, options, key)
  local headers, spelled = {}, {}
  local function set(name, value)
    local lower = name:lower()
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
