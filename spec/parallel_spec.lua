local dates = require "spec.simulator.dates"
local documents = require "spec.documents"
local retab = require "retab"
local scripted = require "spec.scripted_driver"
local simulator = require "spec.simulator"

local newest = 1779000000 -- 2026-05-17T06:40:00Z
local day = 86400

local closes_loops = _VERSION == "Lua 5.4"

-- ---- a server of the specs' own: it may round dates as it likes -----------------------------------------------

local function date_text(moment)
  local pieces = {}
  dates.write(moment, pieces, 0)
  return table.concat(pieces)
end

--- What a server makes of the moments between which it looks.
local granularities = {
  exact = function(from, to) return from, to end,
  seconds = function(from, to) return math.floor(from), math.floor(to) end,
  whole_seconds = function(from, to) return math.floor(from), math.floor(to) + 0.999999 end,
  days = function(from, to) return math.floor(from / day) * day, math.floor(to / day) * day end,
  whole_days = function(from, to) return math.floor(from / day) * day, math.floor(to / day) * day + day - 1e-6 end,
}

--- The order in which they are tried.
local granularity_names = { "exact", "seconds", "whole_seconds", "days", "whole_days" }

--- Moments to a data set: the newest run is "r1".
local function data_set(moments)
  table.sort(moments, function(a, b) return a > b end)
  local set = {}
  for number, moment in ipairs(moments) do
    set[number] = { id = "r" .. number, created = moment, status = number % 3 == 0 and "error" or "completed" }
  end
  return set
end

local function spaced(count, spacing, same)
  local moments = {}
  for number = 1, count do moments[number] = newest - math.floor((number - 1) / (same or 1)) * spacing end
  return data_set(moments)
end

local function run_json(run)
  return ('{"id":"%s","lifecycle":{"status":"%s"},"timing":{"created_at":"%s","duration_ms":5},"score":0.5}'):format(
    run.id, run.status, date_text(run.created))
end

--- What the server of a data set answers.
local function answer(set, granularity, args)
  local from, to = -math.huge, math.huge
  if args.from_date then from = dates.span(args.from_date) end
  if args.to_date then to = select(2, dates.span(args.to_date)) end
  from, to = granularities[granularity](from, to)
  local limit, after, wanted = tonumber(args.limit) or 20, args.after, {}
  local begun = not after
  local first, last, step = 1, #set, 1
  if args.order == "asc" then first, last, step = #set, 1, -1 end
  for number = first, last, step do
    local run = set[number]
    if begun and run.created >= from and run.created <= to and (not args.status or run.status == args.status) then
      wanted[#wanted + 1] = run
      if #wanted > limit then break end
    end
    if run.id == after then begun = true end
  end
  local more = #wanted > limit
  wanted[limit + 1] = nil
  local runs = {}
  for index, run in ipairs(wanted) do runs[index] = run_json(run) end
  return {
    status = 200, headers = { ["content-type"] = "application/json" },
    body = ('{"data":[%s],"list_metadata":{"before":null,"after":%s}}'):format(table.concat(runs, ","),
      more and '"' .. wanted[limit].id .. '"' or "null"),
  }
end

local latency = 0.05

--- A client of such a server. It notes how many requests were in flight at once.
--- @param options table|nil granularity, change (function (args, number) -> answer or nil), blind (the driver has no
---   `ready`), now
local function serve(set, options)
  options = options or {}
  local driver = scripted.new(function(request, number)
    local args = scripted.query(request)
    local reply = options.change and options.change(args, number) or answer(set, options.granularity or "exact", args)
    reply.takes = latency
    return reply
  end, { now = options.now or newest + 3600 })
  local tickets = {}
  local send, cancel, await = driver.send, driver.cancel, driver.await
  driver.most_in_flight = 0

  local function is_ready(ticket)
    return not options.blind and driver.clock >= ticket.since + latency
  end

  function driver.in_flight()
    local count = 0
    for ticket in pairs(tickets) do
      if not is_ready(ticket) then count = count + 1 end
    end
    return count
  end

  function driver.send(request)
    local ticket = send(request)
    tickets[ticket] = true
    driver.most_in_flight = math.max(driver.most_in_flight, driver.in_flight())
    return ticket
  end

  function driver.await(ticket)
    local reply, err = await(ticket)
    tickets[ticket] = nil
    return reply, err
  end

  function driver.cancel(ticket)
    tickets[ticket] = nil
    cancel(ticket)
  end

  --- How many requests have neither been answered nor cancelled.
  function driver.left()
    local count = 0
    for _ in pairs(tickets) do count = count + 1 end
    return count
  end

  if not options.blind then driver.ready = is_ready end
  local client = retab.new { api_key = "sk_test", base_url = "https://api.example.com", driver = driver,
    max_retries = 0 }
  return client.workflows.experiments.runs, driver
end

local function copy(params, more)
  local copied = {}
  for name, value in pairs(params) do copied[name] = value end
  for name, value in pairs(more or {}) do copied[name] = value end
  return copied
end

local function ids(it)
  local list = {}
  for run in it do list[#list + 1] = run.id end
  return list
end

--- The ids of a walk in single file.
local function single_file(set, params, granularity)
  return ids((serve(set, { granularity = granularity }).iter(params)))
end

local range = { from_date = date_text(newest - 400 * day) }

-- ---- what it is asked ------------------------------------------------------------------------------------------

describe("a parallel walk's arguments", function()
  local function raised(params, options)
    local runs, driver = serve {}
    local ok, message = pcall(runs.iter, params, options or { parallel = 4 })
    assert.is_false(ok)
    assert.equal(0, #driver.sent)
    return message
  end

  it("need from_date", function()
    local message = raised { to_date = "2026-05-01" }
    assert.truthy(message:find("parallel_spec.lua", 1, true))
    assert.truthy(message:find("'parallel' needs the parameter 'from_date'", 1, true))
  end)

  it("allow no order but that of creation", function()
    local message = raised(copy(range, { sort_by = "score" }))
    assert.truthy(message:find("'sort_by' is \"score\"", 1, true))
    local set = spaced(10, 60)
    local runs = serve(set)
    assert.equal(10, #ids(runs.iter(copy(range, { sort_by = "created_at" }), { parallel = 4 })))
  end)

  it("allow no cursor", function()
    for _, name in ipairs { "before", "after" } do
      local message = raised(copy(range, { [name] = "r1" }))
      assert.truthy(message:find("'parallel' can't start at a cursor: leave out '" .. name .. "'", 1, true))
    end
  end)

  it("with parallel = 1 are those of a walk in single file", function()
    local set = spaced(50, 60)
    local runs, driver = serve(set)
    assert.equal(30, #ids(runs.iter({ after = "r20", sort_by = "score", limit = 10 }, { parallel = 1 })))
    for index, request in ipairs(driver.sent) do
      assert.same({ after = "r" .. 10 + index * 10, sort_by = "score", limit = "10" }, scripted.query(request))
    end
  end)
end)

-- ---- same runs, same order, each once ----------------------------------------------------------------------------

--- Holds a parallel walk against the same in single file; gives its driver.
local function check(set, params, walk_options, server_options)
  local granularity = server_options and server_options.granularity
  local runs, driver = serve(set, server_options)
  local expected = single_file(set, params, granularity)
  assert.same(expected, ids((runs.iter(params, walk_options))))
  assert.is_true(driver.most_in_flight <= walk_options.parallel,
    ("%d in flight with parallel = %d"):format(driver.most_in_flight, walk_options.parallel))
  assert.equal(0, driver.left())
  return driver, #expected
end

local orders = { "asc", "desc" }

describe("a parallel walk", function()
  local shapes = {
    { "no runs", spaced(0, 1) },
    { "one run", spaced(1, 1) },
    { "a page exactly", spaced(10, 60) },
    { "a run a minute", spaced(500, 60) },
    { "a run a day", spaced(300, day) },
    { "a run every 5.3 hours", spaced(500, 19080) },
    { "several a second", spaced(500, 0.21) },
    { "microseconds between", spaced(300, 1e-5) },
    { "all in one moment", spaced(73, 60, 73) },
    { "more in one moment than a page holds", spaced(400, 60, 37) },
    { "pairs", spaced(300, 7, 2) },
  }

  for _, shape in ipairs(shapes) do
    it("gives each run once, in order: " .. shape[1], function()
      for _, granularity in ipairs(granularity_names) do
        for _, order in ipairs(orders) do
          for _, parallel in ipairs { 2, 8 } do
            check(shape[2], copy(range, { order = order, limit = 10 }), { parallel = parallel },
              { granularity = granularity })
          end
        end
      end
    end)
  end

  it("finds runs behind long gaps", function()
    local moments = {}
    for cluster = 0, 5 do
      local spacing = cluster % 2 == 0 and 3 or 900
      for index = 1, 45 do moments[#moments + 1] = newest - cluster * 61 * day - index * spacing end
    end
    local set = data_set(moments)
    for _, granularity in ipairs(granularity_names) do
      for _, order in ipairs(orders) do
        local driver = check(set, copy(range, { order = order, limit = 10 }), { parallel = 4 },
          { granularity = granularity })
        assert.is_true(#driver.sent < 150, #driver.sent)
      end
    end
  end)

  it("keeps to the filters and to both ends of the range", function()
    local set = spaced(900, 600)
    local _, count = check(set, { from_date = date_text(newest - 700 * 600), to_date = date_text(newest - 100 * 600),
      status = "error", limit = 10 }, { parallel = 5 })
    assert.equal(200, count)
    _, count = check(set, { from_date = "2026-05-14", to_date = "2026-05-15", limit = 10, order = "asc" },
      { parallel = 5 })
    assert.equal(288, count)
  end)

  it("sends the caller's filters, query and page size with every request", function()
    local runs, driver = serve(spaced(200, 60))
    ids((runs.iter(copy(range, { status = "error", workflow_id = "wf", limit = 7 }),
      { parallel = 4, query = { extra = "x" }, headers = { ["X-Team"] = "t" } })))
    assert.is_true(#driver.sent > 8)
    for _, request in ipairs(driver.sent) do
      local args = scripted.query(request)
      assert.same({ "error", "wf", "x" }, { args.status, args.workflow_id, args.extra })
      assert.equal(args.order and "1" or "7", args.limit) -- the one in the other order asks for the far end
      assert.is_not_nil(args.from_date)
      assert.equal("t", request.headers["X-Team"])
    end
  end)

  it("takes now for a missing to_date", function()
    local set = spaced(100, 60)
    for _, order in ipairs(orders) do
      check(set, copy(range, { order = order, limit = 10 }), { parallel = 4 }, { now = newest + 5 })
    end
    -- Runs that a server's clock puts in the future are runs too.
    for _, order in ipairs(orders) do
      check(set, copy(range, { order = order, limit = 10 }), { parallel = 4 }, { now = newest - 3000 })
    end
  end)

  it("does not ask for what lies behind the last run", function()
    local set = spaced(1000, 60)
    for _, order in ipairs(orders) do
      local params = { order = order, limit = 10, from_date = "1990-01-01", to_date = "2040-01-01" }
      local driver = check(set, params, { parallel = 8 })
      assert.is_true(#driver.sent <= 125, #driver.sent)
      local last = scripted.query(driver.sent[#driver.sent])
      assert.equal(order == "asc" and "2040-01-01" or "1990-01-01", order == "asc" and last.to_date or last.from_date)
    end
  end)

  it("takes few more requests than single file where runs come evenly", function()
    for _, spacing in ipairs { 1, 60, 4000 } do
      local set = spaced(5000, spacing)
      local driver = check(set, copy(range, { limit = 50 }), { parallel = 4 })
      assert.is_true(#driver.sent <= 115, #driver.sent)
    end
  end)

  it("works with a driver that can't tell what is ready", function()
    for _, shape in ipairs(shapes) do
      for _, prefetch in ipairs { 0, 1, 3 } do
        check(shape[2], copy(range, { limit = 10 }), { parallel = 3, prefetch = prefetch }, { blind = true })
      end
    end
  end)

  it("is walked with any prefetch", function()
    for _, shape in ipairs(shapes) do
      for _, order in ipairs(orders) do
        for _, prefetch in ipairs { 0, 1, 2, 5 } do
          check(shape[2], copy(range, { limit = 10, order = order }), { parallel = 3, prefetch = prefetch })
        end
      end
    end
  end)

  it("follows an empty page that has a cursor", function()
    local set = spaced(100, 60)
    local struck = {}
    local runs = serve(set, { change = function(args, number)
      if number % 3 == 0 and not args.after and not struck[number] then
        struck[number] = true
        return { status = 200, headers = {},
          body = '{"data":[],"list_metadata":{"after":"before_all_' .. number .. '"}}' }
      end
      if args.after and args.after:find "^before_all" then args.after = nil end
    end })
    assert.same(single_file(set, copy(range, { limit = 10 })),
      ids((runs.iter(copy(range, { limit = 10 }), { parallel = 4 }))))
  end)

  it("gives pages of the same runs, whose cursors lead on", function()
    local set = spaced(230, 60)
    local params = copy(range, { limit = 10 })
    local runs = serve(set)
    local listed, numbers = single_file(set, params), {}
    local pages = 0
    for page in runs.pages(params, { parallel = 4 }) do
      pages = pages + 1
      assert.is_true(#page.data > 0)
      for _, run in ipairs(page.data) do numbers[#numbers + 1] = run.id end
      if #numbers < #listed then
        assert.equal(numbers[#numbers], page.list_metadata.after)
        assert.is_true(page:has_more())
        local following = assert(page:next())
        assert.equal(listed[#numbers + 1], following.data[1].id)
      else
        assert.is_false(page:has_more())
      end
    end
    assert.same(listed, numbers)
    assert.is_true(pages >= 23)
  end)

  it("needs no id and no time among the fields", function()
    local set = spaced(100, 60)
    local params = copy(range, { limit = 10 })
    local listed = single_file(set, params)
    for _, fields in ipairs { { "score" }, { "timing.duration_ms" }, { "lifecycle.status", "id" }, { "timing" } } do
      local runs = serve(set)
      local it, count = runs.iter(params, { parallel = 4, fields = fields }), 0
      for run in it do
        count = count + 1
        assert.equal(listed[count], it.cursor)
        local first = fields[1]
        if first == "score" then assert.same({ score = 0.5 }, run) end
        if first == "timing.duration_ms" then assert.same({ timing = { duration_ms = 5 } }, run) end
        if first == "timing" then
          assert.same({ timing = { duration_ms = 5, created_at = date_text(set[count].created) } }, run)
        end
        if first == "lifecycle.status" then assert.same({ id = listed[count], lifecycle = run.lifecycle }, run) end
      end
      assert.equal(100, count)
    end
  end)

  it("of runs without times is one in single file", function()
    local set = spaced(100, 60)
    local runs, driver = serve(set, { change = function(args)
      local reply = answer(set, "exact", args)
      reply.body = reply.body:gsub('"created_at":"[^"]*",', "")
      return reply
    end })
    local params = copy(range, { limit = 10 })
    assert.same(single_file(set, params), ids((runs.iter(params, { parallel = 4 }))))
    assert.equal(10, #driver.sent)
  end)
end)

-- ---- bounds -----------------------------------------------------------------------------------------------------

describe("a parallel walk", function()
  it("has n requests in flight, and never more", function()
    for _, parallel in ipairs { 2, 3, 8, 20 } do
      local driver = check(spaced(3000, 60), copy(range, { limit = 20 }), { parallel = parallel })
      assert.equal(parallel, driver.most_in_flight)
    end
  end)

  it("is ahead of a reader who takes his time by a bounded number of pages", function()
    for _, prefetch in ipairs { 0, 1, 3 } do
      local set = spaced(4000, 60)
      local runs, driver = serve(set)
      local handed_out = 0
      for _ in runs.pages(copy(range, { limit = 10 }), { parallel = 4, prefetch = prefetch }) do
        driver.clock = driver.clock + 1
        handed_out = handed_out + 1
        assert.is_true(#driver.sent - handed_out <= 2 * 4 + 3 * prefetch + 12, #driver.sent - handed_out)
      end
    end
  end)

  it("takes a fraction of the time", function()
    local set = spaced(4000, 60)
    local params = copy(range, { limit = 40 })
    local spent = {}
    for _, parallel in ipairs { 1, 8 } do
      local runs, driver = serve(set)
      local began = driver.clock
      ids((runs.iter(params, { parallel = parallel })))
      spent[parallel] = driver.clock - began
    end
    assert.is_true(spent[8] <= 0.16 * spent[1], spent[8] / spent[1])
  end)

  it("ends at max_items and at max_pages, and cancels the rest", function()
    local set = spaced(1000, 60)
    local params = copy(range, { limit = 10 })
    local listed = single_file(set, params)
    for _, most in ipairs { 1, 9, 10, 11, 95, 2000 } do
      local runs, driver = serve(set)
      local found = ids((runs.iter(params, { parallel = 4, max_items = most })))
      assert.equal(math.min(most, 1000), #found)
      for index, id in ipairs(found) do assert.equal(listed[index], id) end
      assert.equal(0, driver.left())
    end
    for _, most in ipairs { 1, 3, 20 } do
      local runs, driver = serve(set)
      local pages, found = 0, 0
      for page in runs.pages(params, { parallel = 4, max_pages = most }) do
        pages = pages + 1
        for _, run in ipairs(page.data) do
          found = found + 1
          assert.equal(listed[found], run.id)
        end
      end
      assert.equal(most, pages)
      assert.equal(0, driver.left())
    end
  end)

  it("cancels everything when it is closed, and gives nothing more", function()
    for _, prefetch in ipairs { 0, 1, 3 } do
      local runs, driver = serve(spaced(1000, 60))
      local it = runs.iter(copy(range, { limit = 10 }), { parallel = 6, prefetch = prefetch })
      for _ = 1, 15 do assert.is_not_nil(it:next()) end
      assert.is_true(driver.left() > 3)
      it:close()
      assert.equal(0, driver.left())
      assert.is_nil(it:next())
      it:close()
    end
  end)

  if closes_loops then
    it("cancels everything when its loop is left", function()
      local runs, driver = serve(spaced(1000, 60))
      local seen = 0
      for _ in runs.iter(copy(range, { limit = 10 }), { parallel = 6 }) do
        seen = seen + 1
        if seen == 15 then break end
      end
      assert.equal(0, driver.left())
      assert.is_true(#driver.cancelled > 3)
    end)
  end
end)

-- ---- failures ----------------------------------------------------------------------------------------------------

--- Walks with it:next(), on after every failure; the ids, and before which of them a failure came.
local function walk_on(it, most_failures)
  local list, failures = {}, {}
  while true do
    local run, message, err = it:next()
    if run then
      list[#list + 1] = run.id
    elseif message then
      if list[1] then assert.equal(list[#list], err.cursor) end
      failures[#failures + 1] = #list + 1
      assert.is_true(#failures <= most_failures, "it fails on and on")
    else
      return list, failures
    end
  end
end

describe("a parallel walk that fails", function()
  it("raises at the place of what failed, and goes on with nothing lost or repeated", function()
    local set = spaced(300, 60)
    for _, order in ipairs(orders) do
      local params = copy(range, { limit = 10, order = order })
      local listed = single_file(set, params)
      for failing = 1, 30 do
        local hidden = false
        local runs, driver = serve(set, { change = function(args, number)
          if number ~= failing then return nil end
          hidden = args.limit == "1" -- that was only a hint
          return scripted.status(500)
        end })
        local found, failures = walk_on(runs.iter(params, { parallel = 4 }), 1)
        assert.same(listed, found)
        assert.equal(#driver.sent >= failing and not hidden and 1 or 0, #failures)
      end
    end
  end)

  it("gives all runs before the place first", function()
    local set = spaced(300, 60)
    local params = copy(range, { limit = 10 })
    -- A server that has lost a stretch of time: whatever touches it fails, for as long as it is lost.
    local from, to, lost = newest - 150 * 60 - 30, newest - 140 * 60 - 30, true
    local runs = serve(set, { change = function(args)
      local page = answer(set, "exact", args)
      for created in page.body:gmatch '"created_at":"([^"]*)"' do
        local moment = dates.span(created)
        if lost and moment >= from and moment <= to then return scripted.status(503) end
      end
    end })
    local it = runs.iter(params, { parallel = 4 })
    local list = {}
    for _ = 1, 3 do
      local run, message, err
      repeat
        run, message, err = it:next()
        list[#list + 1] = run and run.id
      until not run
      assert.is_not_nil(message)
      assert.equal("server", err.kind)
      assert.equal(list[#list], err.cursor)
      assert.is_true(#list >= 131 and #list <= 141, #list)
    end
    lost = false
    local rest = walk_on(it, 8) -- what was asked for ahead has failed already, too
    for _, id in ipairs(rest) do list[#list + 1] = id end
    assert.same(single_file(set, params), list)
  end)

  it("raises out of the loop", function()
    local set = spaced(300, 60)
    local runs = serve(set, { change = function(_, number) return number == 6 and scripted.status(403) or nil end })
    local ok, err = pcall(ids, (runs.iter(copy(range, { limit = 10 }), { parallel = 4 })))
    assert.is_false(ok)
    assert.equal("permission", err.kind)
  end)

  it("tells of a cursor that loops", function()
    local set = spaced(300, 60, 100)
    local runs = serve(set, { change = function(args)
      local reply = answer(set, "exact", args)
      if args.after then
        reply.body = reply.body:gsub('"after":"[^"]*"', '"after":"' .. args.after .. '"')
        return reply
      end
    end })
    local ok, err = pcall(ids, (runs.iter(copy(range, { limit = 10 }), { parallel = 4 })))
    assert.is_false(ok)
    assert.equal("cursor_loop", err.kind)
  end)
end)

describe("the cursor of a parallel walk", function()
  it("is where a walk in single file goes on, at any point", function()
    local set = spaced(120, 0.4, 3)
    for _, order in ipairs(orders) do
      local params = copy(range, { limit = 10, order = order })
      local listed = single_file(set, params)
      local it = serve(set).iter(params, { parallel = 4 })
      assert.is_nil(it.cursor)
      for index = 1, #listed do
        assert.equal(listed[index], it:next().id)
        assert.equal(listed[index], it.cursor)
        local rest = single_file(set, copy(params, { after = it.cursor }))
        assert.same({ #listed - index, listed[index + 1] }, { #rest, rest[1] })
      end
    end
  end)
end)

-- ---- generated cases ---------------------------------------------------------------------------------------------

--- Moments in clusters of different densities, with gaps and ties.
local function generate(source)
  local moments, moment = {}, newest
  for _ = 1, source:below(6) do
    local spacing = source:pick { 1e-6, 0.001, 0.3, 1, 7.5, 60, 3600, 40000, day }
    local ties = source:once_in(3) and source:below(40) or 1
    for index = 1, source:below(120) do
      moments[#moments + 1] = moment
      if index % ties == 0 then
        moment = moment - (source:once_in(2) and spacing or spacing * source:below(1000) / 500)
      end
    end
    if source:once_in(2) then moment = moment - source:pick { 1, 3600, 5 * day, 60 * day } end
    -- To the microsecond, as dates are written.
    moment = math.floor(moment * 1e6 + 0.5) / 1e6
  end
  for index, value in ipairs(moments) do moments[index] = math.floor(value * 1e6 + 0.5) / 1e6 end
  return data_set(moments)
end

describe("a parallel walk over generated data", function()
  it("gives what single file gives, whatever fails on the way", function()
    for seed = 1, scripted.times(600) do
      local source = documents.new(seed * 7919)
      local set = generate(source)
      local params = { from_date = date_text(newest - source:pick { 0, 60, day, 30 * day, 2000 * day }),
        order = source:pick(orders), limit = source:pick { 1, 3, 10, 25 } }
      if source:once_in(3) then
        params.to_date = date_text(newest - source:pick { 0, 1, 0.25, 3600, day })
        if dates.span(params.to_date) < dates.span(params.from_date) then params.to_date = params.from_date end
      end
      if source:once_in(3) then params.status = "error" end
      local granularity = source:pick(granularity_names)
      local fails_once_in = source:once_in(2) and 1 + source:below(12) or nil
      local injected = 0
      local runs, driver = serve(set, { granularity = granularity, blind = source:once_in(4), change = function()
        if fails_once_in and injected < 20 and source:once_in(fails_once_in) then
          injected = injected + 1
          return scripted.status(500)
        end
      end })
      local parallel = 1 + source:below(8)
      local it = runs.iter(params, { parallel = parallel, prefetch = source:below(3) - 1 })
      local found, failures = walk_on(it, 20)
      local what = ("seed %d, %s, parallel %d, %s"):format(seed, granularity, parallel, driver.sent[1].url)
      assert.same(single_file(set, params, granularity), found, what)
      assert.is_true(#failures <= injected, what)
      assert.is_true(driver.most_in_flight <= parallel, what)
      assert.equal(0, driver.left(), what)
    end
  end)
end)

-- ---- a real server -----------------------------------------------------------------------------------------------

describe("a parallel walk of the simulator", function()
  local server = simulator.shared()
  local everything = { from_date = "1990-01-01" }

  local function client_of(options)
    return retab.new { api_key = "key", base_url = (server:scenario(options)) }
  end

  it("gives what single file gives", function()
    for _, options in ipairs {
      { runs = 1234, spacing = 60 }, { runs = 700, spacing = 0.3 }, { runs = 900, spacing = 7, same = 130 },
      { runs = 400, spacing = 90000, shape = "flat" },
    } do
      for _, params in ipairs { {}, { order = "asc", limit = 30 }, { status = "error", limit = 20 } } do
        local given = copy(everything, params)
        local client = client_of(options)
        local runs = client.workflows.experiments.runs
        local listed = ids((runs.iter(given)))
        assert.same(listed, ids((runs.iter(given, { parallel = 6 }))))
        client:close()
      end
    end
  end)

  it("goes on after real failures", function()
    local client = retab.new { api_key = "key", max_retries = 0, base_url = (server:scenario {
      runs = 1000, fault = "close", at = 7, times = 3 }) }
    local listed = ids((client_of({ runs = 1000 }).workflows.experiments.runs.iter(everything)))
    local found = walk_on(client.workflows.experiments.runs.iter(everything, { parallel = 4 }), 6)
    assert.same(listed, found)
    client:close()
  end)

  it("takes a fraction of the time", function()
    local times = {}
    for _, parallel in ipairs { 1, 8 } do
      local client = client_of { runs = 2000, latency = 0.03, log = false }
      local clock = require("retab.curl").clock
      local began = clock()
      assert.equal(2000, #ids((client.workflows.experiments.runs.iter(copy(everything, { limit = 50 }),
        { parallel = parallel }))))
      times[parallel] = clock() - began
      client:close()
    end
    assert.is_true(times[8] < times[1] / 2, times[8] / times[1])
  end)
end)
