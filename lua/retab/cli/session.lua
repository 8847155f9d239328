--- session.lua: the client of the tool. Where the server's own bytes are printed, its driver keeps the bodies of
--- responses.
local blocking = require "retab.driver.blocking"
local core = require("retab.native").core()
local retab = require "retab"

local session = {}

local Session = {}
Session.__index = Session

local usual_connections, most_connections = 8, 1000

--- An environment variable; nil where it is empty.
local function environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- Returns a driver that keeps the body of the last response, as a string.
local function keeping_driver(self)
  local function await(ticket)
    local response, problem = self.driver.await(ticket)
    if response and response.status >= 200 and response.status < 300 then
      self.body = response.body
      if self.texts then self:keep(response.body) end
    end
    return response, problem
  end
  return setmetatable({ await = await }, { __index = self.driver })
end

--- Returns true if the command can print the server's own bytes.
local function prints_bytes(arguments)
  local is_list = arguments.verb == "list" or arguments.verb == "results"
  return not is_list or arguments.format == "json" or arguments.format == "jsonl" or arguments.resume ~= nil
end

--- Creates the client. Raises what retab.new raises.
--- @param arguments table verb, format, resume, base_url, auth, timeout, debug, parallel
function session.new(arguments)
  local connections = math.max(1, math.min(math.floor(arguments.parallel or usual_connections), most_connections))
  local self = setmetatable({ texts = false, recent = {}, has_breaks = false }, Session)
  self.driver = blocking.new {
    max_connections = connections, ca_file = environment "SSL_CERT_FILE", ca_path = environment "SSL_CERT_DIR",
  }
  self.client = retab.new {
    auth = arguments.auth, base_url = arguments.base_url, timeout = arguments.timeout, null = retab.null,
    debug = arguments.debug, user_agent = "retab-runs", max_connections = connections,
    driver = prints_bytes(arguments) and keeping_driver(self) or "blocking",
  }
  self.experiments = self.client.workflows.experiments
  self.runs = self.experiments.runs
  return self
end

--- Seconds by a clock that shows fractions.
function Session:now()
  return self.driver.now()
end

function Session:sleep(seconds)
  self.driver.sleep(seconds)
end

--- Has the texts of items kept by their id: the pages of a parallel walk are not the pages that the server sends.
function Session:keep_texts()
  self.texts = {}
end

--- Notes if a text stands on several lines. In JSON, line breaks in strings are escapes and never bytes.
function Session:note_breaks(body)
  self.has_breaks = self.has_breaks or (body:find("\n", 1, true) or body:find("\r", 1, true)) ~= nil
end

--- Keeps the texts of the items of a body. The slices of a parallel walk overlap: an item that was printed with the
--- last pages is not kept again.
function Session:keep(body)
  self:note_breaks(body)
  local page = core.envelope(body, { fields = { "id" }, null = core.null })
  for index, item in ipairs(page and core.items(body) or {}) do
    local id = type(page.data[index]) == "table" and page.data[index].id
    if type(id) == "string" and not self.recent[id] and not (self.older and self.older[id]) then
      self.texts[id] = item
    end
  end
end

--- Returns the texts of the items of the page that a walk returned last.
--- @param items table
--- @return string[]|nil texts nil where an item has no id to find it by
--- @return boolean has_breaks some can stand on several lines
function Session:texts_of(items)
  if not self.texts then
    local texts = core.items(self.body) or {}
    for index = #texts, #items + 1, -1 do texts[index] = nil end
    self:note_breaks(self.body)
    return texts, self.has_breaks
  end
  local texts, printed = {}, {}
  for index, item in ipairs(items) do
    local id = type(item) == "table" and item.id
    texts[index] = id and self.texts[id]
    if not texts[index] then return nil end
    self.texts[id], printed[id] = nil, true
  end
  self.older, self.recent = self.recent, printed
  return texts, self.has_breaks
end

return session
