--- Walks: every run of a list, or every page, each once. A walk never ends early in silence: where it fails it
--- says so, and goes on from the same place when it is asked again. How the pages are had is the business of
--- its source: a window, or several in parallel.
local params = require "retab.params"
local window = require "retab.window"

local pager = {}

--- Unless the caller says otherwise: the largest page there is, and one page ahead.
local page_size = 100
local pages_ahead = 1

--- Whether one of the fields is the path, or stands above it.
local function selects(fields, path)
  for _, field in ipairs(fields) do
    if field == path or path:sub(1, #field + 1) == field .. "." then return true end
  end
  return false
end

--- Whether one of the fields stands below the key.
local function selects_below(fields, key)
  for _, field in ipairs(fields) do
    if field:sub(1, #key + 1) == key .. "." then return true end
  end
  return false
end

--- The options of the walk's requests, with the fields that the walk itself needs.
--- @param options table
--- @param needed string[] paths
--- @return table options
--- @return string[]|nil stripped what is taken out of a run again before it is handed out
local function with_fields(options, needed)
  if not options.fields then return options end
  local extended, stripped = params.copy(options), {}
  extended.fields = params.copy(options.fields)
  for _, path in ipairs(needed) do
    if not selects(options.fields, path) then
      local key = path:match("^[^.]+")
      extended.fields[#extended.fields + 1] = path
      stripped[#stripped + 1] = selects_below(options.fields, key) and path or key
    end
  end
  return extended, stripped[1] and stripped
end

--- In the place of the runs of a page that was handed out; nobody adds to it.
local nothing = {}

local function new_walk(endpoint, checked, given, kind)
  checked = params.copy(checked)
  checked.limit = checked.limit or page_size
  local in_parallel = (given.parallel or 1) > 1
  local options, stripped = with_fields(given, in_parallel and { "id", "timing.created_at" } or { "id" })
  local plan = {
    endpoint = endpoint, options = options, own_options = given, prefetch = given.prefetch or pages_ahead,
  }
  local source
  if in_parallel then
    plan.parallel, plan.own_params = given.parallel, checked
    source = require("retab.parallel").new(plan, checked) -- here, since few walks need it and all programs start
  else
    plan.max_pages, plan.max_items = given.max_pages, given.max_items
    source = window.new(plan, checked)
  end
  return setmetatable({
    source = source,
    stripped = stripped,
    pages_left = given.max_pages or math.huge,
    items_left = given.max_items or math.huge,
    data = {}, -- the runs that iter hands out, up to index, count in all
    count = 0,
    index = 0,
    cursor = checked.after,
  }, kind)
end

--- The next page in order, cut where max_items says so.
local function next_entry(walk)
  if walk.closed or walk.pages_left <= 0 or walk.items_left <= 0 then
    if not walk.closed then walk:close() end
    return nil
  end
  local entry, message, err = walk.source:next()
  if not entry then
    if err then err.cursor = walk.cursor end
    return nil, message, err
  end
  entry.is_cut = entry.count > walk.items_left
  entry.count = math.min(entry.count, walk.items_left)
  walk.pages_left = walk.pages_left - 1
  walk.items_left = walk.items_left - entry.count
  return entry
end

--- Takes a field that only the walk needed out of a run.
local function strip(run, path)
  local parent, key = path:match("^([^.]+)%.(.+)$")
  if not parent then
    run[path] = nil
  elseif type(run[parent]) == "table" then
    run[parent][key] = nil
  end
end

--- Hands out a run: the cursor moves to it.
local function hand_out(walk, run)
  if type(run) == "table" then
    local id = run.id
    if type(id) == "string" then walk.cursor = id end
    if walk.stripped then
      for _, path in ipairs(walk.stripped) do strip(run, path) end
    end
  end
  return run
end

--- Cancels what was sent ahead; the walk is over.
local function close(walk)
  walk.closed, walk.count = true, 0
  walk.source:close()
end

--- What a `for` loop calls: it raises the error instead.
local function step_with(next_item)
  return function(walk)
    local item, _, err = next_item(walk)
    if err then error(err, 0) end
    return item
  end
end

--- Makes the metatable of a kind of walk, whose `next` gives an item, nil at the end, or nil, message, err.
local function new_kind(name, next_item, step)
  return { __index = { next = next_item, close = close }, __call = step, __close = close, __name = name }
end

--- @return retab.Page|nil page nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
local function next_page(walk)
  local entry, message, err = next_entry(walk)
  if not entry then return nil, message, err end
  local page = entry.page
  for index = #page.data, entry.count + 1, -1 do page.data[index] = nil end
  for index = 1, entry.count do hand_out(walk, page.data[index]) end
  -- where the page was cut, or the server's cursor stops at a window, it goes on behind the last run
  if entry.more or entry.is_cut then page.list_metadata.after = walk.cursor end
  return page
end

--- @return table|nil run nil at the end, or with an error
--- @return string|nil message
--- @return retab.Error|nil err
local function next_run(walk)
  while true do
    while walk.index < walk.count do
      local index = walk.index + 1
      local run = walk.data[index]
      walk.index = index
      if run ~= nil then return hand_out(walk, run) end -- JSON null is no run
    end
    walk.data, walk.count = nothing, 0 -- the page that was handed out is garbage before the next one is made
    local entry, message, err = next_entry(walk)
    if not entry then return nil, message, err end
    walk.data, walk.count, walk.index = entry.page.data, entry.count, 0
  end
end

local slow_step = step_with(next_run)

--- Nearly every step of a loop only hands out the next run of a page: done here and at once, it makes a walk over
--- loopback take 0.96x of its time.
local function step(walk)
  local index = walk.index + 1
  local run = walk.data[index]
  if index > walk.count or walk.stripped or type(run) ~= "table" then return slow_step(walk) end
  walk.index = index
  local id = run.id
  if type(id) == "string" then walk.cursor = id end
  return run
end

local Pages = new_kind("retab.pages", next_page, step_with(next_page))
local Runs = new_kind("retab.iter", next_run, step)

--- Every item of every page.
function pager.iter(endpoint, checked, options)
  local walk = new_walk(endpoint, checked, options, Runs)
  return walk, nil, nil, walk
end

--- Every page.
function pager.pages(endpoint, checked, options)
  local walk = new_walk(endpoint, checked, options, Pages)
  return walk, nil, nil, walk
end

return pager
