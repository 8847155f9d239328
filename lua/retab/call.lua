--- call.lua: one call: it sends a request, waits for the response, and sends further attempts where they can help,
--- until its deadline. The driver does the waiting. It does not know what responses contain.
---
---     start ──▶ attempt ──▶ finish: await ──▶ response (2xx)
---                  ▲                  └─────▶ error fields ──▶ retry? ──no──▶ nil, message, err
---                  └──────── sleep ◀──────────────────────────yes┘
---     abandon: at any time
local dates = require "retab.dates"
local failure = require "retab.error"
local headers = require "retab.headers"
local mask = require "retab.mask"
local params = require "retab.params"
local request = require "retab.request"
local retry = require "retab.retry"
local task = require "retab.task"

local call = {}

local function run_hook(self, hook, event)
  self.is_notifying = true
  hook(event)
end

--- Calls a hook. An error that it raises does not reach the caller.
local function notify(self, hook, event)
  if not hook then return end
  pcall(run_hook, self, hook, event)
  self.is_notifying = false
end

--- Writes a line to the log of the option `debug`. An error that its function raises does not reach the caller.
local function log(session, format, ...)
  if session.log then pcall(session.log, format:format(...)) end
end

--- Returns the fields of an error for a request that was not sent because the client is closed.
local function client_closed()
  return { kind = "cancelled", message = "client is closed", unsent = true }
end

-- ---- an attempt ----

--- Returns a value that cancels the request when it is collected together with the call. Returns nil if the ticket is a
--- userdata, like libcurl's: such a ticket does that itself.
local function guard(session, ticket)
  if type(ticket) == "userdata" then return nil end
  return task.on_collect(function()
    if session.tickets[ticket] and not session.closed then pcall(session:driver().cancel, ticket) end
  end)
end

--- Sends the next attempt, which must end within `left` seconds. If it cannot be sent, self.unsent has the reason. An
--- error that the function api_key raises is raised.
local function attempt(self, left)
  local session, options = self.session, self.options
  self.ticket, self.unsent = nil, nil
  if session.closed then
    self.unsent = client_closed()
    return
  end
  local driver = session:driver()
  local ok, key = pcall(request.key, session, options)
  if not ok then
    self.is_broken = true
    error(key, 0)
  end
  local wire = request.build(session, self.target, options, key)
  wire.timeout = math.min(options.timeout or session.timeout, left)
  wire.connect_timeout = math.min(session.connect_timeout, wire.timeout)
  wire.expires = left
  wire.max_body_bytes = session.max_body_bytes
  wire.direct = self.target.direct
  self.attempts = self.attempts + 1
  if key ~= self.keys[1] then self.keys = request.known_keys(session, options) end
  notify(self, session.on_request, session.on_request and {
    method = wire.method, url = mask.apply(wire.url, self.keys), headers = mask.headers(wire.headers, self.keys),
    attempt = self.attempts,
  })
  if session.closed then -- the hook or the function api_key closed it
    self.unsent = client_closed()
    return
  end
  session.stats.requests = session.stats.requests + 1
  self.started = driver.now()
  self.expires = self.started + left
  local ticket, problem = driver.send(wire)
  if ticket == nil then
    self.unsent = problem or {}
    return
  end
  self.ticket = ticket
  session.tickets[ticket] = true
  self.guard = guard(session, ticket)
end

--- Kinds of error that a driver can report.
local driver_kinds = {
  timeout = true, connection = true, tls = true, too_large = true, decode = true, cancelled = true,
}

--- Turns the error of a driver into fields of an error object. `unsent` is true if the server cannot have seen the
--- request.
local function from_driver(err)
  if type(err) ~= "table" then err = { message = err } end
  return {
    kind = driver_kinds[err.kind] and err.kind or "connection", message = tostring(err.message or "no response"),
    unsent = err.sent == false,
  }
end

--- Reports a response to the hook on_response and to the log.
local function report_response(self, response)
  local session = self.session
  if not session.on_response and not session.log then return end
  local elapsed = session:driver().now() - self.started
  local url = mask.apply(self.target.url, self.keys)
  local request_id = mask.apply(response.headers["x-request-id"], self.keys)
  notify(self, session.on_response, {
    status = response.status, headers = mask.headers(response.headers, self.keys), url = url, attempt = self.attempts,
    elapsed = elapsed, request_id = request_id,
  })
  log(session, "retab: %s %s -> %d in %.0f ms, %d bytes, %s (attempt %d)", self.target.method, url, response.status,
    elapsed * 1000, #response.body, request_id or "no request id", self.attempts)
end

--- Waits for the response of the attempt that was sent.
--- @return table|nil response { status, headers, body } if the status is 2xx
--- @return table|nil fields of an error
--- @return table|nil headers of a response with another status
local function await(self)
  local session, ticket = self.session, self.ticket
  if ticket == nil then
    local fields = from_driver(self.unsent)
    fields.unsent = true
    return nil, fields
  end
  local reply, err = session:driver().await(ticket)
  self.ticket, self.guard = nil, nil
  session.tickets[ticket] = nil
  if not reply then
    local fields = from_driver(err)
    if session.closed then fields.kind, fields.message = "cancelled", "client is closed" end
    return nil, fields
  end
  local response = { status = reply.status, headers = headers.read(reply.headers), body = reply.body or "" }
  session.stats.bytes = session.stats.bytes + #response.body
  report_response(self, response)
  if #response.body > session.max_body_bytes then
    return nil, {
      kind = "too_large", message = "the response is larger than max_body_bytes", status = response.status,
    }
  end
  if response.status >= 200 and response.status < 300 then return response end
  return nil, failure.from_response(response.status, response.headers, response.body), response.headers
end

-- ---- the call ----

--- Sends the first attempt.
--- @param session table of the client
--- @param target table from request.target
--- @param options table of the call: timeout, deadline, max_retries, headers, api_key
--- @return table call for call.finish or call.abandon
function call.start(session, target, options)
  local self = {
    session = session, target = target, options = options, attempts = 0,
    keys = request.known_keys(session, options), -- to mask
  }
  attempt(self, options.deadline or session.deadline or math.huge)
  return self
end

--- Returns true if call.finish would not wait, as far as the driver can tell.
function call.is_ready(self)
  if self.ticket == nil then return true end
  local ready = self.session:driver().ready
  return ready ~= nil and ready(self.ticket)
end

--- Waits until one of the calls is ready. Only a driver that blocks the process can do this: in other hosts, another
--- coroutine could step the walk meanwhile.
--- @param calls table[] at least one
--- @return boolean done false if the driver cannot do this
function call.await_any(calls)
  local await_any, tickets = calls[1].session:driver().await_any, {}
  if not await_any then return false end
  for index, pending in ipairs(calls) do
    if pending.ticket == nil then return true end
    tickets[index] = pending.ticket
  end
  await_any(tickets)
  return true
end

--- Cancels a call. call.finish then returns an error of kind `cancelled`.
function call.abandon(self)
  local ticket = self.ticket
  if ticket == nil then return end
  self.session.tickets[ticket] = nil
  if not self.session.closed then pcall(self.session:driver().cancel, ticket) end
end

--- Marks the error of a request that must be sent at most once, if the server may have acted on it.
local function mark_ambiguous(self, fields)
  local is_refused = fields.status and fields.status >= 400 and fields.status < 500 and fields.status ~= 408
  if not self.target.lookup or fields.unsent or is_refused then return end
  fields.message = ("the server may have acted on this request: %s (%s)"):format(self.target.lookup, fields.message)
  fields.retryable = false
  fields.hint = self.target.lookup
end

--- Creates the error object from its fields and those of the call.
--- @return nil, string message, retab.Error
function call.fail(self, fields)
  fields.method, fields.url, fields.attempts = self.target.method, self.target.url, self.attempts
  mark_ambiguous(self, fields)
  fields.unsent = nil
  if fields.status == 401 then fields.hint = request.key_hint(self.session) end
  local err = failure.new(fields, self.keys)
  return nil, err.message, err
end

--- A clock that shows less does not count from 1970. HTTP dates are then compared with the system's clock.
local first_epoch = 1e9

--- Returns the epoch seconds of the driver's clock, or of the system's if the driver's does not count from 1970.
function call.wall_clock(now)
  return now > first_epoch and now or dates.now()
end

--- Returns the seconds until the next attempt, or nil if there is none. A request that must be sent at most once is
--- repeated only if the server cannot have acted.
local function delay_of(self, fields, received, now)
  local max_retries = self.options.max_retries or self.session.max_retries
  if self.attempts > max_retries then return nil end
  if self.target.at_most_once and not fields.unsent and fields.status ~= 429 then return nil end
  return retry.delay(self.attempts - 1, fields.status or fields.kind, received, call.wall_clock(now))
end

--- Waits `delay` seconds, then sends the next attempt. Returns the fields of an error if it sends none.
local function try_again(self, fields, delay, ends)
  local session, driver = self.session, self.session:driver()
  if session.closed then return client_closed() end
  if session.on_retry then
    local _, _, err = call.fail(self, params.copy(fields))
    notify(self, session.on_retry, { attempt = self.attempts, delay = delay, error = err })
  end
  log(session, "retab: %s; next attempt in %.2f s (attempt %d)", mask.apply(fields.message, self.keys), delay,
    self.attempts + 1)
  if not session.closed then driver.sleep(delay) end -- on_retry can close the client
  if session.closed then return client_closed() end
  local left = ends - driver.now()
  if left <= 0 then return fields end -- the driver slept too long
  session.stats.retries = session.stats.retries + 1
  attempt(self, left)
  return nil
end

--- PUC's Lua 5.1 cannot yield across pcall. There, call.finish does not reset self.finishing if it raises in a
--- coroutine.
local yields_across_pcall = rawget(_G, "jit") ~= nil or _VERSION ~= "Lua 5.1"

--- Returns true while a coroutine is inside call.finish: another coroutine that is not dead, or this one, in a hook.
function call.is_finishing(self)
  local thread = self.finishing
  if not thread then return false end
  if not yields_across_pcall and thread == coroutine.running() then return self.is_notifying or false end
  return task.is_alive(thread)
end

--- Returns true for a call that cannot be finished: its coroutine died in call.finish, or api_key raised.
function call.is_lost(self)
  return self.is_broken or self.finishing ~= nil and not call.is_finishing(self)
end

local function finish(self, thread)
  self.finishing = thread
  local session = self.session
  local driver = session:driver()
  local deadline = self.options.deadline or session.deadline
  local began = driver.now()
  local ends = deadline and began + deadline or math.huge
  while true do
    local response, fields, received = await(self)
    if response then return response end
    local has_expired = fields.kind == "timeout" and not fields.status and self.expires and self.expires <= began
    if has_expired and not self.target.at_most_once then
      self.attempts, began = self.attempts - 1, -math.huge -- it expired before anybody waited for it
      attempt(self, ends - driver.now())
    else
      if not fields.status then
        log(session, "retab: %s %s -> %s: %s (attempt %d)", self.target.method,
          mask.apply(self.target.url, self.keys), fields.kind, mask.apply(fields.message, self.keys), self.attempts)
      end
      local now = driver.now()
      fields.retry_after = retry.after(received, call.wall_clock(now))
      local delay = delay_of(self, fields, received, now)
      if not delay or now + delay >= ends then return call.fail(self, fields) end
      fields = try_again(self, fields, delay, ends)
      if fields then return call.fail(self, fields) end
    end
  end
end

--- Waits for the response, and sends further attempts where they can help. The deadline counts from here, because a
--- prefetched request was sent before anybody waited for it.
--- @param self table
--- @return table|nil response { status, headers, body }
--- @return string|nil message
--- @return retab.Error|nil err
function call.finish(self)
  local thread = task.running()
  local ok = true
  local response, message, err
  if yields_across_pcall or thread == "main" then
    ok, response, message, err = pcall(finish, self, thread)
  else
    response, message, err = finish(self, thread)
  end
  self.finishing = nil
  if not ok then
    self.is_broken = true
    error(response, 0)
  end
  return response, message, err
end

return call
