--- One logical request: sent, awaited, and tried again where that can help, within its deadline. It knows
--- nothing of what the answers are about; the waiting is the driver's.
local failure = require "retab.error"
local params = require "retab.params"
local retry = require "retab.retry"
local task = require "retab.task"

local call = {}

--- The key as it is now; a function is asked once per attempt.
local function current_key(session)
  local key = session.api_key
  if type(key) == "function" then key = key() end
  local problem = call.key_problem(key)
  if problem then params.raise("api_key " .. problem) end
  session.last_key = key
  return key
end

--- What is wrong with a key, or nil.
--- @param key any
--- @return string|nil
function call.key_problem(key)
  if type(key) ~= "string" then return "has to be a string, or a function that returns one, not a " .. type(key) end
  if key == "" then return "is empty" end
  if key:find("[%z\1-\31\127]") then return "has a control character in it, such as a newline" end
  return nil
end

--- The headers of an attempt. Names are compared in any case; later ones win, the key's own last.
local function build_headers(session, options, key)
  local headers, spelled = {}, {}
  local function set(name, value)
    local lower = name:lower()
    if spelled[lower] then headers[spelled[lower]] = nil end
    spelled[lower] = name
    headers[name] = value
  end
  set("User-Agent", session.user_agent)
  set("Accept", "application/json")
  for name, value in pairs(session.headers) do set(name, value) end
  for name, value in pairs(options.headers or {}) do set(name, value) end
  if session.auth == "bearer" then
    set("Authorization", "Bearer " .. key)
  else
    set("Api-Key", key)
  end
  return headers
end

--- The request as any HTTP stack could send it.
--- @return table { method, url, headers }
--- @return string key the secret in it
function call.request(session, url, options)
  local key = current_key(session)
  return { method = "GET", url = url, headers = build_headers(session, options, key) }, key
end

--- Calls a hook; what it raises is its own affair.
local function notify(hook, event)
  if hook then pcall(hook, event) end
end

--- Headers as a hook sees them: its own copy, without the key, however short that is.
local function shown(headers, key)
  local copied = {}
  for name, value in pairs(headers) do
    local is_key = value == key or value == "Bearer " .. key
    copied[failure.mask(name, key)] = is_key and "***" or failure.mask(value, key)
  end
  return copied
end

--- Header names in lower case, as everything here expects them.
--- @param headers table|nil
--- @return table
function call.lower_names(headers)
  local lower = {}
  for name, value in pairs(headers or {}) do
    if type(name) == "string" then
      lower[name:lower()] = type(value) == "table" and table.concat(value, ", ") or tostring(value)
    end
  end
  return lower
end

--- Cancels what a driver of tables sent, when the call is collected; libcurl's tickets do so themselves.
local function guard(session, ticket)
  return task.on_collect(function()
    if session.tickets[ticket] and not session.closed then pcall(session:driver().cancel, ticket) end
  end)
end

--- Sends the next attempt of a pending call. It has `left` seconds, no more than the timeout.
local function attempt(pending, left)
  local session, options = pending.session, pending.options
  if session.closed then params.raise("client is closed") end
  local request, key = call.request(session, pending.url, options)
  local timeout = options.timeout or session.timeout
  request.timeout = math.min(timeout, left)
  request.connect_timeout = math.min(session.connect_timeout, request.timeout)
  request.expires = left
  request.max_body_bytes = session.max_body_bytes
  request.bytes = type(session.driver_option) ~= "table" -- a driver of the caller's own, or around ours, gets strings
  pending.attempts = pending.attempts + 1
  pending.key = key
  session.stats.requests = session.stats.requests + 1
  notify(session.on_request, session.on_request and {
    method = request.method, url = failure.mask(request.url, key), headers = shown(request.headers, key),
    attempt = pending.attempts,
  })
  local ticket, problem = session:driver().send(request)
  pending.ticket, pending.unsent = ticket, problem
  if ticket ~= nil then session.tickets[ticket] = true end
  pending.guard = ticket ~= nil and type(ticket) ~= "userdata" and guard(session, ticket) or nil
end

--- Sends a request.
--- @param session table the client's inside
--- @param url string
--- @param options table of the call: timeout, deadline, max_retries, headers
--- @return table pending for call.receive or call.cancel
function call.send(session, url, options)
  local pending = { session = session, url = url, options = options, attempts = 0 }
  attempt(pending, options.deadline or session.deadline or math.huge)
  return pending
end

--- Whether a pending call could be received without waiting, as far as the driver can tell.
function call.is_ready(pending)
  local ready = pending.session:driver().ready
  return pending.ticket == nil or (ready ~= nil and ready(pending.ticket))
end

--- Waits until one of the pending calls could be received without waiting. Whether the driver can do that.
function call.await_any(calls)
  local tickets = {}
  for index, pending in ipairs(calls) do
    if pending.ticket == nil then return true end
    tickets[index] = pending.ticket
  end
  local await_any = calls[1].session:driver().await_any
  if await_any then await_any(tickets) end
  return await_any ~= nil
end

--- Gives up a pending call.
function call.cancel(pending)
  local ticket = pending.ticket
  if ticket == nil then return end
  pending.ticket = nil
  pending.session.tickets[ticket] = nil
  if not pending.session.closed then pcall(pending.session:driver().cancel, ticket) end
end

--- Adds to an error's fields what is known of the call, and makes the object.
--- @return nil, string message, retab.Error
function call.fail(pending, fields)
  fields.method = "GET"
  fields.url = failure.mask(pending.url, pending.key)
  fields.attempts = pending.attempts
  fields.message = failure.mask(fields.message, pending.key)
  local err = failure.new(fields)
  return nil, err.message, err
end

--- The kinds of error that a driver can tell.
local driver_kinds = {
  timeout = true, connection = true, tls = true, too_large = true, decode = true, cancelled = true,
}

--- What a driver says of a request that got no answer, as fields of an error.
local function from_driver(err)
  if type(err) ~= "table" then err = { message = err } end
  return { kind = driver_kinds[err.kind] and err.kind or "connection", message = tostring(err.message or "no answer") }
end

--- What is said of a call whose client was closed while it waited, as fields of an error.
local function client_closed()
  return { kind = "cancelled", message = "the client was closed" }
end

--- Gives the body of an answer back where it is not a string but a driver's buffer.
--- @param body string|userdata
function call.release(body)
  if type(body) == "userdata" then body:close() end
end

--- Waits for the attempt under way.
--- @return table|nil answer status, headers, body: any status of the 200s; the body is to be released
--- @return table|nil fields of an error
--- @return table|nil headers
local function await(pending)
  local session, ticket = pending.session, pending.ticket
  if ticket == nil then return nil, from_driver(pending.unsent) end
  local answer, err = session:driver().await(ticket)
  pending.ticket, pending.guard = nil, nil
  session.tickets[ticket] = nil
  if not answer then return nil, session.closed and client_closed() or from_driver(err) end
  local headers, body = call.lower_names(answer.headers), answer.body or ""
  session.stats.bytes = session.stats.bytes + #body
  notify(session.on_response, session.on_response and {
    status = answer.status, headers = shown(headers, pending.key), url = failure.mask(pending.url, pending.key),
    attempt = pending.attempts,
  })
  if #body > session.max_body_bytes then
    call.release(body)
    local message = "the answer is larger than max_body_bytes allows"
    return nil, { kind = "too_large", message = message, status = answer.status }
  end
  if answer.status >= 200 and answer.status < 300 then
    return { status = answer.status, headers = headers, body = body }
  end
  local fields = failure.from_answer(answer.status, headers, tostring(body), pending.key)
  call.release(body)
  return nil, fields, headers
end

--- A driver's clock that shows less does not count from 1970: HTTP's dates are then held against the system's.
local first_epoch = 1e9

--- Waits for the answer, with all the tries it takes. The deadline counts from here: what was sent ahead
--- took nothing of the caller's time.
--- @param pending table
--- @return table|nil answer { status, headers, body }; the body is to be released
--- @return string|nil message
--- @return retab.Error|nil err
function call.receive(pending)
  local session, options = pending.session, pending.options
  local driver = session:driver()
  local deadline = options.deadline or session.deadline
  local ends = deadline and driver.now() + deadline or math.huge
  local max_retries = options.max_retries or session.max_retries
  while true do
    local answer, fields, headers = await(pending)
    if answer then return answer end
    local status = fields.status or fields.kind
    local now = driver.now()
    local wall = now > first_epoch and now or os.time()
    fields.retry_after = retry.after(headers, wall)
    local delay = pending.attempts <= max_retries and retry.delay(pending.attempts - 1, status, headers, wall)
    if not delay or now + delay >= ends or session.closed then return call.fail(pending, fields) end
    if session.on_retry then
      local _, _, err = call.fail(pending, fields)
      notify(session.on_retry, { attempt = pending.attempts, delay = delay, error = err })
    end
    driver.sleep(delay)
    if session.closed then return call.fail(pending, client_closed()) end
    if driver.now() >= ends then return call.fail(pending, fields) end -- it slept longer than it was to
    session.stats.retries = session.stats.retries + 1
    attempt(pending, ends - driver.now())
  end
end

return call
