--- wait.lua: polls one object until its status is terminal. It sends one request at a time, and continues after
--- failures that a later request can overcome.
local failure = require "retab.error"
local fields = require "retab.fields"
local params = require "retab.params"
local request = require "retab.request"
local response = require "retab.response"

local wait = {}

local default_interval = 2 -- seconds between two requests
local default_deadline = 600 -- seconds for the whole wait

--- The number of 404 responses in a row that are tolerated, because a server can need a moment to find a new object.
local most_not_found = 2

--- Returns the value at a path of one or two keys; nil if there is none.
local function value_at(object, path)
  local parent, key = path:match("^([^.]+)%.(.+)$")
  if not parent then return object[path] end
  local holder = object[parent]
  if type(holder) ~= "table" then return nil end
  return holder[key]
end

--- Returns the status and the counts as one text: on_update is called when it changes.
local function snapshot_of(object, rule)
  local parts = { tostring(value_at(object, rule.status)) }
  for index, name in ipairs(rule.counts) do parts[index + 1] = tostring(object[name]) end
  return table.concat(parts, "/")
end

local function paths_of(rule)
  local paths = { "id", rule.status }
  for _, name in ipairs(rule.counts) do paths[#paths + 1] = name end
  return paths
end

--- Adds the last object to the fields of an error, and creates the error object.
local function fail(self, known)
  known.run = self.last
  local err = failure.new(known, request.known_keys(self.endpoint.session, self.options))
  return nil, err.message, err
end

--- Returns the error of a wait whose deadline passed.
--- @param err retab.Error|nil the error of the last request
local function timed_out(self, err)
  local message = ("the run did not end within %g s"):format(self.deadline)
  if self.status ~= nil then message = ("%s: its status is %s"):format(message, tostring(self.status)) end
  if err then message = message .. "; the last request failed: " .. err.message end
  return fail(self, {
    kind = "timeout", message = message, retryable = true, attempts = err and err.attempts,
    request_id = err and err.request_id, method = err and err.method, url = err and err.url,
    hint = "wait again, or allow more time: deadline",
  })
end

--- Stores the object of a response, and calls on_update if something changed. Returns true if the status is terminal.
local function note(self, object)
  self.status = value_at(object, self.rule.status)
  local is_over = self.rule.terminal[self.status] or false
  local snapshot = snapshot_of(object, self.rule)
  if self.added then fields.strip(object, self.added) end
  self.last, self.not_found = object, 0
  if snapshot ~= self.snapshot then
    self.snapshot = snapshot
    if self.on_update then self.on_update(object) end
  end
  return is_over
end

--- Returns true if the wait continues after this failure.
local function is_tolerated(self, err)
  if err.status ~= 404 then
    self.not_found = 0
    return err.retryable
  end
  self.not_found = self.not_found + 1
  return self.not_found <= most_not_found
end

--- Polls until the object has a terminal status.
--- @param endpoint table the bound endpoint of one object
--- @param rule table of the declaration: status (a path), terminal (a set), counts (names)
--- @param id string
--- @param options table of the call; interval, deadline (seconds), on_update
--- @return table|nil object
--- @return string|nil message
--- @return retab.Error|nil err kind `timeout` after the deadline; err.run is the last object received
function wait.run(endpoint, rule, id, options)
  local session = endpoint.session
  local driver = session:driver()
  local self = {
    endpoint = endpoint, rule = rule, options = options, on_update = options.on_update,
    deadline = options.deadline or default_deadline, not_found = 0,
  }
  local interval, ends = options.interval or default_interval, driver.now() + self.deadline
  local poll_options
  poll_options, self.added = fields.add(params.copy(options), paths_of(rule))
  local left = self.deadline
  while true do
    poll_options.deadline = left
    local object, _, err = response.fetch(endpoint, { id = id }, poll_options, response.read_object)
    if object and note(self, object) then return object end
    local now = driver.now()
    if err and not is_tolerated(self, err) then return fail(self, err) end
    local pause = math.max(interval, err and err.retry_after or 0)
    if now + pause >= ends then return timed_out(self, err) end
    if not session.closed then driver.sleep(pause) end -- closing the client ends it early
    if session.closed then return fail(self, { kind = "cancelled", message = "client is closed" }) end
    left = ends - driver.now()
    if left <= 0 then return timed_out(self, err) end -- the driver slept too long
  end
end

return wait
