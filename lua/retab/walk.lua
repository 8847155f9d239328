--- walk.lua: what a `for` loop calls: every item of a list (iter), or every page (pages), each once. It counts what is
--- left of max_items and max_pages, and keeps the cursor to resume at. It knows nothing of requests: pages come from a
--- source, which is a sequence or a parallel walk. A walk never ends early in silence: a failure is raised, and the
--- next step goes on from the same place.
local failure = require "retab.error"
local fields = require "retab.fields"
local params = require "retab.params"
local sequence = require "retab.sequence"

local walk = {}

local type = type -- it is called for every item

--- Pages requested ahead unless the caller says otherwise.
local default_prefetch = 1

--- In place of the items of a page that was handed out: the page is garbage before the next one is built.
local no_items = {}

local function new_walk(endpoint, checked, options, kind)
  checked = params.copy(checked)
  checked.limit = checked.limit or endpoint.page_size
  local is_parallel = (options.parallel or 1) > 1
  local request_options, added = fields.add(options, is_parallel and { "id", "timing.created_at" } or { "id" })
  local self = setmetatable({
    added = added, -- to the fields that the caller selects
    pages_left = options.max_pages or math.huge,
    items_left = options.max_items or math.huge,
    entry = false, -- the page that was taken and counted, but is not handed out yet
    data = {}, count = 0, index = 0, -- the items that iter hands out: data[index + 1] to data[count]
    closed = false,
    cursor = checked.after,
  }, kind)
  local source = is_parallel and require "retab.parallel" or sequence -- few walks need the former
  self.source = source.new(endpoint, checked, request_options, {
    prefetch = options.prefetch or default_prefetch,
    is_wanted = function(pages) return self.pages_left > pages and self.items_left > pages * checked.limit end,
    origin = { endpoint = endpoint, params = checked, options = options },
  })
  return self
end

--- Ends the walk: what was prefetched is cancelled.
local function close(self)
  self.closed, self.pages_left, self.entry, self.data, self.count, self.index = true, 0, false, no_items, 0, 0
  self.source:close()
end

--- The error of a step that was waiting when a hook or another coroutine closed the walk.
local function cancelled(self)
  local err = failure.new { kind = "cancelled", message = "the walk was closed", cursor = self.cursor }
  return nil, err.message, err
end

--- Takes the next page from the source, and counts it. It stays in self.entry until it is handed out: where memory runs
--- out in between, the next step finds it there.
--- @return table|nil entry { page, count, is_cut: max_items ends within it }; nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
local function next_entry(self)
  if self.closed then return nil end
  if self.entry then return self.entry end
  if self.pages_left <= 0 or self.items_left <= 0 then
    close(self)
    return nil
  end
  local entry, message, err = self.source:next()
  if self.closed then return cancelled(self) end -- meanwhile
  if not entry then
    if err then err.cursor = self.cursor end
    return nil, message, err
  end
  entry.is_cut = entry.count > self.items_left
  if entry.is_cut then entry.count = self.items_left end
  self.pages_left, self.items_left, self.entry = self.pages_left - 1, self.items_left - entry.count, entry
  return entry
end

--- Moves the cursor to an item that is handed out.
local function note(self, item)
  local id = type(item) == "table" and item.id
  if type(id) == "string" then self.cursor = id end
  if self.added then fields.strip(item, self.added) end
end

--- @return retab.Page|nil page nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
local function next_page(self)
  local entry, message, err = next_entry(self)
  if not entry then return nil, message, err end
  local page, leads_on = entry.page, entry.is_cut
  if entry.mark and not leads_on then
    leads_on = self.source:leads_on()
    if self.closed then return cancelled(self) end -- meanwhile
  end
  for index = self.added and 1 or math.max(entry.count, 1), entry.count do note(self, page.data[index]) end
  -- the page after a page that was cut begins after its last item; so does the page after one of a slice
  if entry.is_cut or entry.mark then page.list_metadata.after = leads_on and self.cursor or nil end
  for index = #page.data, entry.count + 1, -1 do page.data[index] = nil end
  self.entry = false
  return page
end

--- @return table|nil item nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
local function next_item(self)
  while self.index == self.count do
    self.data, self.count, self.index = no_items, 0, 0
    local entry, message, err = next_entry(self)
    if not entry then return nil, message, err end
    self.data, self.count, self.entry = entry.page.data, entry.count, false
  end
  local index = self.index + 1
  local item = self.data[index]
  note(self, item)
  self.index = index
  return item
end

local function new_kind(name, next_value)
  local kind = { __index = { next = next_value, close = close }, __close = close, __name = name }

  --- What a `for` loop calls: it raises the error instead of returning it.
  function kind.__call(self)
    local value, _, err = next_value(self)
    if err then error(err, 0) end
    return value
  end

  return kind
end

local Pages = new_kind("retab.pages", next_page)
local Items = new_kind("retab.iter", next_item)

--- Every item of every page. The fourth value is what Lua 5.4 closes when the loop is left.
function walk.iter(endpoint, checked, options)
  local self = new_walk(endpoint, checked, options, Items)
  return self, nil, nil, self
end

--- Every page.
function walk.pages(endpoint, checked, options)
  local self = new_walk(endpoint, checked, options, Pages)
  return self, nil, nil, self
end

--- Every item as an array.
--- @return table|nil items
--- @return string|nil message
--- @return retab.Error|nil err err.cursor is the id of the last item: pass it as `after` to go on
function walk.all(endpoint, checked, options)
  local self, items, count = new_walk(endpoint, checked, options, Items), {}, 0
  while true do
    local item, message, err = next_item(self)
    if err then
      close(self)
      return nil, message, err
    end
    if item == nil then return items end
    count = count + 1
    items[count] = item
  end
end

return walk
