--- wait.lua: polls one object until it has come to its end. One request at a time; failures that pass are survived.
local failure = require "retab.error"
local fields = require "retab.fields"
local params = require "retab.params"
local response = require "retab.response"

local wait = {}

local default_interval = 2 -- seconds between two looks
local default_deadline = 600 -- seconds for the whole wait

--- A new object can be unknown to the server for a moment: so many responses 404 in a row are tolerated.
local most_not_found = 2

--- The value at a path of one or two keys; nil where there is none.
local function value_at(object, path)
  local parent, key = path:match("^([^.]+)%.(.+)$")
  if not parent then return object[path] end
  local holder = object[parent]
  if type(holder) ~= "table" then return nil end
  return holder[key]
end

--- What on_update compares: the status and the counts.
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

--- The error of a wait whose deadline passed.
local function timed_out(self, err)
  local status = self.last and value_at(self.last, self.rule.status)
  local message = ("the run did not end within %g s"):format(self.deadline)
  if status ~= nil then message = message .. ": its status is " .. tostring(status) end
  if err then message = message .. "; the last request failed: " .. err.message end
  local timeout = failure.new({
    kind = "timeout", message = message, run = self.last, retryable = true, attempts = err and err.attempts,
    request_id = err and err.request_id, method = err and err.method, url = err and err.url,
    hint = "wait again, or allow more time: deadline",
  }, self.endpoint.session.last_key)
  return nil, timeout.message, timeout
end

--- Notes a look, and tells on_update where something changed. Returns true at the end.
local function note(self, object)
  local is_over = self.rule.terminal[value_at(object, self.rule.status)] or false
  local snapshot = snapshot_of(object, self.rule)
  if self.added then fields.strip(object, self.added) end
  self.last, self.not_found = object, 0
  if snapshot ~= self.snapshot then
    self.snapshot = snapshot
    if self.on_update then self.on_update(object) end
  end
  return is_over
end

--- Returns true where a failed look is survived.
local function is_tolerated(self, err)
  if err.status ~= 404 then return err.retryable end
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
--- @return retab.Error|nil err past the deadline kind `timeout`, and err.run is what was seen last
function wait.run(endpoint, rule, id, options)
  local session = endpoint.session
  local driver = session:driver()
  local self = {
    endpoint = endpoint, rule = rule, on_update = options.on_update, deadline = options.deadline or default_deadline,
    not_found = 0,
  }
  local interval, ends = options.interval or default_interval, driver.now() + self.deadline
  local look_options
  look_options, self.added = fields.add(params.copy(options), paths_of(rule))
  while true do
    look_options.deadline = ends - driver.now()
    local object, message, err = response.fetch(endpoint, { id = id }, look_options, response.read_object)
    if object and note(self, object) then return object end
    local now = driver.now()
    if err and err.kind == "timeout" and now >= ends then return timed_out(self, err) end
    if err and not is_tolerated(self, err) then
      err.run = self.last
      return nil, message, err
    end
    local pause = math.max(interval, err and err.retry_after or 0)
    if now + pause >= ends then return timed_out(self, err) end
    if not session.closed then driver.sleep(pause) end
    if session.closed then
      local closed = failure.new { kind = "cancelled", message = "client is closed", run = self.last }
      return nil, closed.message, closed
    end
  end
end

return wait
