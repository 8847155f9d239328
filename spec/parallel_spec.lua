local dates = require "spec.simulator.dates"
local documents = require "spec.documents"
local retab = require "retab"
local scripted = require "spec.scripted_driver"
local simulator = require "spec.simulator"

local newest = 1779000000 -- 2026-05-17T06:40:00Z
local day = 86400

--- Lua 5.4 closes the fourth value of a `for` loop that is left.
local it_on_5_4 = (loadstring or load) "local x <close> = nil" and it or function(name)
  pending(name .. " (this Lua closes no iterator of a loop that is left)")
end

-- ---- a scripted server, which may round dates ----

local function date_text(moment)
  local pieces = {}
  dates.write(moment, pieces, 0)
  return table.concat(pieces)
end

--- How a server rounds the two ends of a range.
local granularities = {
  exact = function(from, to) return from, to end,
  seconds = function(from, to) return math.floor(from), math.floor(to) end,
  whole_seconds = function(from, to) return math.floor(from), math.floor(to) + 0.999999 end,
  days = function(from, to) return math.floor(from / day) * day, math.floor(to / day) * day end,
  whole_days = function(from, to) return math.floor(from / day) * day, math.floor(to / day) * day + day - 1e-6 end,
}

--- The order in which the specs try them.
local granularity_names = { "exact", "seconds", "whole_seconds", "days", "whole_days" }

--- Makes a data set of moments. Its newest run is "r1".
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

--- The response of a server with this data set.
local function respond(set, granularity, args)
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

--- A client of such a server. The driver notes how many requests were in flight at once.
--- @param options table|nil granularity, change (function (args, number) -> response or nil), blind (the driver has no
---   `ready`), now, client (options of the client)
local function serve(set, options)
  options = options or {}
  local driver = scripted.new(function(request, number)
    local args = scripted.query(request)
    local reply = options.change and options.change(args, number) or respond(set, options.granularity or "exact", args)
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

  --- Returns the number of requests that are neither awaited nor cancelled.
  function driver.left()
    local count = 0
    for _ in pairs(tickets) do count = count + 1 end
    return count
  end

  if not options.blind then driver.ready = is_ready end
  local given = { api_key = "sk_test", base_url = "https://api.example.com", driver = driver, max_retries = 0 }
  for name, value in pairs(options.client or {}) do given[name] = value end
  return retab.new(given).workflows.experiments.runs, driver
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

local orders = { "asc", "desc" }

-- ---- arguments ----

describe("the arguments of a parallel walk", function()
  local function raised(params, options)
    local runs, driver = serve {}
    local ok, message = pcall(runs.iter, params, options or { parallel = 4 })
    assert.is_false(ok)
    assert.equal(0, #driver.sent)
    return message
  end

  it("include from_date", function()
    local message = raised { to_date = "2026-05-01" }
    assert.truthy(message:find("parallel_spec.lua", 1, true))
    assert.truthy(message:find("option 'parallel'", 1, true))
    assert.truthy(message:find("'from_date'", 1, true))
  end)

  it("include no other order than that of creation", function()
    local message = raised(copy(range, { sort_by = "score" }))
    assert.truthy(message:find("option 'parallel'", 1, true))
    assert.truthy(message:find("'sort_by'", 1, true))
    local set = spaced(10, 60)
    local runs = serve(set)
    assert.equal(10, #ids(runs.iter(copy(range, { sort_by = "created_at" }), { parallel = 4 })))
  end)

  it("include no cursor", function()
    for _, name in ipairs { "before", "after" } do
      local message = raised(copy(range, { [name] = "r1" }))
      assert.truthy(message:find("option 'parallel'", 1, true))
      assert.truthy(message:find("'" .. name .. "'", 1, true))
    end
  end)

  it("are those of a walk in single file with parallel = 1", function()
    local set = spaced(50, 60)
    local runs, driver = serve(set)
    assert.equal(30, #ids(runs.iter({ after = "r20", sort_by = "score", limit = 10 }, { parallel = 1 })))
    for index, request in ipairs(driver.sent) do
      assert.same({ after = "r" .. 10 + index * 10, sort_by = "score", limit = "10" }, scripted.query(request))
    end
  end)
end)

-- ---- same runs, same order, each once ----

--- Compares a parallel walk with a walk in single file. Returns the driver, and the number of runs.
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
    it("hands out each run once, in order: " .. shape[1], function()
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

  it("finds the runs after long gaps", function()
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

  it("obeys the filters and both ends of the range", function()
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
      assert.equal("7", args.limit)
      assert.is_not_nil(args.from_date)
      assert.equal("t", request.headers["X-Team"])
    end
  end)

  it("ends now where to_date is absent, or where the runs end", function()
    local set = spaced(100, 60)
    for _, order in ipairs(orders) do
      check(set, copy(range, { order = order, limit = 10 }), { parallel = 4 }, { now = newest + 5 })
    end
    -- the server's clock may be ahead of this machine's
    for _, order in ipairs(orders) do
      check(set, copy(range, { order = order, limit = 10 }), { parallel = 4 }, { now = newest - 3000 })
    end
  end)

  it("sends few requests for what lies outside of the runs", function()
    local set = spaced(1000, 60)
    for _, order in ipairs(orders) do
      local params = { order = order, limit = 10, from_date = "1990-01-01", to_date = "2040-01-01" }
      local driver = check(set, params, { parallel = 8 })
      assert.is_true(#driver.sent <= 125, #driver.sent)
      local last = scripted.query(driver.sent[#driver.sent])
      assert.equal(order == "asc" and "2040-01-01" or "1990-01-01", order == "asc" and last.to_date or last.from_date)
    end
  end)

  it("sends at most 120 requests for 100 pages of evenly spaced runs", function()
    for _, spacing in ipairs { 0.0399, 0.1, 1, 60, 4000 } do
      local set = spaced(5000, spacing)
      for _, order in ipairs(orders) do
        for _, parallel in ipairs { 2, 8 } do
          local driver = check(set, copy(range, { limit = 50, order = order }), { parallel = parallel })
          assert.is_true(#driver.sent <= 120, #driver.sent)
        end
      end
    end
  end)

  it("works with a driver that has no function `ready`", function()
    for _, shape in ipairs(shapes) do
      for _, prefetch in ipairs { 0, 1, 3 } do
        check(shape[2], copy(range, { limit = 10 }), { parallel = 3, prefetch = prefetch }, { blind = true })
      end
    end
  end)

  it("takes any prefetch", function()
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

  it("hands out pages of the same runs, whose cursors lead on", function()
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

  it("hands out the selected fields only, though it needs the id and the time", function()
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

  it("of runs without times is a walk in single file", function()
    local set = spaced(100, 60)
    local runs, driver = serve(set, { change = function(args)
      local reply = respond(set, "exact", args)
      reply.body = reply.body:gsub('"created_at":"[^"]*",', "")
      return reply
    end })
    local params = copy(range, { limit = 10 })
    assert.same(single_file(set, params), ids((runs.iter(params, { parallel = 4 }))))
    for index, request in ipairs(driver.sent) do
      assert.equal(index > 2 and ("r%d"):format(index * 10 - 20) or nil, scripted.query(request).after)
    end
  end)
end)

-- ---- bounds ----

describe("a parallel walk", function()
  it("has n requests in flight, never more", function()
    for _, parallel in ipairs { 2, 3, 8, 20 } do
      local driver = check(spaced(3000, 60), copy(range, { limit = 20 }), { parallel = parallel })
      assert.equal(parallel, driver.most_in_flight)
    end
  end)

  it("holds a bounded number of runs for a slow reader", function()
    local bursts, moment = {}, newest
    for index = 1, 2500 do -- slices have many more runs than the ones before them
      bursts[index] = moment
      moment = moment - (index % 500 < 100 and 600 or 1)
    end
    for _, set in ipairs { spaced(2500, 60), data_set(bursts) } do
      for _, order in ipairs(orders) do
        for _, parallel in ipairs { 2, 8 } do
          local delivered, count = {}, 0
          local runs, driver = serve(set, { change = function(args)
            local reply = respond(set, "exact", args)
            for id in reply.body:gmatch '"id":"(r%d+)"' do
              if not delivered[id] then delivered[id], count = true, count + 1 end
            end
            return reply
          end })
          local handed_out = 0
          for _ in runs.iter(copy(range, { limit = 10, order = order }), { parallel = parallel }) do
            driver.clock = driver.clock + 1 -- all that is under way arrives
            handed_out = handed_out + 1
            assert.is_true(count - handed_out <= (3 * parallel + 1) * 10, count - handed_out)
          end
          assert.equal(2500, handed_out)
        end
      end
    end
  end)

  it("takes at most 0.18 of the time of single file with 8 requests in flight", function()
    local set = spaced(4000, 60)
    local params = copy(range, { limit = 40 })
    local spent = {}
    for _, parallel in ipairs { 1, 8 } do
      local runs, driver = serve(set)
      local began = driver.clock
      ids((runs.iter(params, { parallel = parallel })))
      spent[parallel] = driver.clock - began
    end
    assert.is_true(spent[8] <= 0.18 * spent[1], spent[8] / spent[1])
  end)

  it("ends at max_items and max_pages, and cancels the other requests", function()
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

  it("cancels its requests when it is closed, and ends", function()
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

  it_on_5_4("cancels its requests when its loop is left", function()
    local runs, driver = serve(spaced(1000, 60))
    local seen = 0
    for _ in runs.iter(copy(range, { limit = 10 }), { parallel = 6 }) do
      seen = seen + 1
      if seen == 15 then break end
    end
    assert.equal(0, driver.left())
    assert.is_true(#driver.cancelled > 3)
  end)
end)

-- ---- failures ----

--- Steps a walk to its end, also after failures. Returns the ids, and for each failure the place of the id after it.
local function walk_on(it, most_failures)
  local list, failures = {}, {}
  while true do
    local run, message, err = it:next()
    if run then
      list[#list + 1] = run.id
    elseif message then
      if list[1] then assert.equal(list[#list], err.cursor) end
      failures[#failures + 1] = #list + 1
      assert.is_true(#failures <= most_failures, "it fails again and again")
    else
      return list, failures
    end
  end
end

describe("a parallel walk that fails", function()
  it("fails at the place of the page, and goes on: no run is lost or repeated", function()
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

  it("hands out all runs before the failure first", function()
    local set = spaced(300, 60)
    local params = copy(range, { limit = 10 })
    -- each page that has a run of this stretch fails
    local from, to, lost = newest - 150 * 60 - 30, newest - 140 * 60 - 30, true
    local runs = serve(set, { change = function(args)
      local page = respond(set, "exact", args)
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
    local rest = walk_on(it, 8) -- requests that were sent before have failed too
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

  it("fails with cursor_loop where a cursor comes again", function()
    local set = spaced(300, 60, 100)
    local runs = serve(set, { change = function(args)
      local reply = respond(set, "exact", args)
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
  it("resumes it in single file, after any run", function()
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

-- ---- servers that cannot be trusted ----

--- Replaces one field of the runs of a response.
local function edit(reply, change)
  local body = reply.body:gsub('{"id":"[^}]*},[^}]*},"score":0.5}', change)
  return { status = 200, headers = reply.headers, body = body }
end

describe("a parallel walk goes on in single file", function()
  --- Walks `set` with a server that changes its responses. Checks the ids, and that the last requests lead from cursor
  --- to cursor.
  local function check_single_file(change, expected)
    local set = spaced(200, 60)
    for _, order in ipairs(orders) do
      local params = copy(range, { limit = 10, order = order })
      local runs, driver = serve(set, { change = function(args, number)
        return change(respond(set, "exact", args), args, number)
      end })
      local listed = expected and expected(single_file(set, params)) or single_file(set, params)
      assert.same(listed, ids((runs.iter(params, { parallel = 4 }))))
      assert.equal(0, driver.left())
      assert.is_not_nil(scripted.query(driver.sent[#driver.sent]).after)
    end
  end

  it("where some run has no time", function()
    check_single_file(function(reply)
      return edit(reply, function(run)
        return run:find '"r9[0-9]"' and run:gsub('"created_at":"[^"]*",', "") or nil
      end)
    end)
  end)

  it("where a time is null, or is no date", function()
    for _, time in ipairs { "null", '"yesterday"', "17", "{}" } do
      check_single_file(function(reply)
        return edit(reply, function(run)
          return run:find '"r77"' and run:gsub('"created_at":"[^"]*"', '"created_at":' .. time) or nil
        end)
      end)
    end
  end)

  it("where a run has no id", function()
    local set = spaced(200, 60)
    local runs, driver = serve(set, { change = function(args)
      return edit(respond(set, "exact", args), function(run)
        return run:find '"r77"' and run:gsub('"id":"r77",', "") or nil
      end)
    end })
    local found = {}
    for run in runs.iter(copy(range, { limit = 10 }), { parallel = 4 }) do found[#found + 1] = run.id or "r77" end
    assert.same(single_file(set, range), found)
    assert.is_not_nil(scripted.query(driver.sent[#driver.sent]).after)
  end)

  it("and cancels its requests when it is closed then", function()
    local set = spaced(200, 60)
    local runs, driver = serve(set, { change = function(args)
      return respond(set, "exact", { limit = args.limit, after = args.after })
    end })
    local it = runs.iter(copy(range, { limit = 10 }), { parallel = 4 })
    for _ = 1, 35 do assert(it:next()) end
    assert.equal(1, driver.left())
    it:close()
    assert.equal(0, driver.left())
  end)

  it("where a page is not in the order of time", function()
    check_single_file(function(reply)
      return edit(reply, function(run)
        return run:find '"r95"' and run:gsub('"created_at":"[^"]*"', '"created_at":"2026-05-17T05:08:30Z"') or nil
      end)
    end)
  end)

  it("where the run at which a slice begins has another time than before", function()
    local seen = {}
    check_single_file(function(reply, _, number)
      if number == 1 then seen = {} end
      return edit(reply, function(run)
        local id, time = run:match '"id":"([^"]*)".*"created_at":"([^"]*)"'
        if id ~= "r10" and id ~= "r191" then return nil end -- the last run of the first page, in each order
        if not seen[id] then
          seen[id] = true
          return nil
        end
        local changed = date_text(dates.span(time) + (id == "r10" and -5 or 5))
        return (run:gsub('"created_at":"[^"]*"', '"created_at":"' .. changed .. '"'))
      end)
    end)
  end)

  it("where the server ignores the dates", function()
    local set = spaced(200, 60)
    check_single_file(function(_, args)
      return respond(set, "exact", { limit = args.limit, after = args.after, order = args.order })
    end)
  end)
end)

describe("a parallel walk", function()
  it("takes ids that are numbers", function()
    local set = spaced(200, 60)
    local runs = serve(set, { change = function(args)
      local reply = respond(set, "exact", args)
      reply.body = reply.body:gsub('"id":"r(%d+)"', '"id":%1')
      return reply
    end })
    local seen = {}
    for run in runs.iter(copy(range, { limit = 10 }), { parallel = 4 }) do
      seen[#seen + 1] = ("r%d"):format(run.id)
    end
    assert.same(single_file(set, range), seen)
  end)

  it("hands out null among the runs as a walk in single file does", function()
    for _, null in ipairs { false, retab.null } do
      local set = spaced(100, 60)
      local runs = serve(set, { change = function(args)
        local reply = respond(set, "exact", args)
        reply.body = reply.body:gsub('%[{"id":"r5"', '[null,{"id":"r5"'):gsub(',{"id":"r5"', ',null,{"id":"r5"')
        return reply
      end })
      local seen = {}
      for run in runs.iter(copy(range, { limit = 10 }), { parallel = 4, null = null or nil }) do
        if run ~= retab.null then seen[#seen + 1] = run.id end
      end
      assert.same(single_file(set, range), seen)
    end
  end)

  it("hands out a run once that a page has twice", function()
    local set = spaced(200, 60)
    local runs = serve(set, { change = function(args)
      return edit(respond(set, "exact", args), function(run)
        return run:find '"r[0-9]*3"' and run .. "," .. run or nil
      end)
    end })
    assert.same(single_file(set, range), ids((runs.iter(copy(range, { limit = 10 }), { parallel = 4 }))))
  end)

  it("takes pages of one run, and 100 requests at a time", function()
    for _, order in ipairs(orders) do
      check(spaced(60, 60, 3), copy(range, { order = order, limit = 1 }), { parallel = 4 })
      check(spaced(3000, 60), copy(range, { order = order, limit = 10 }), { parallel = 100 })
    end
  end)

  it("is parallel where the server drops the fractions of dates, or rounds them up", function()
    for _, granularity in ipairs { "seconds", "whole_seconds" } do
      for _, order in ipairs(orders) do
        local driver = check(spaced(1000, 7.39), copy(range, { limit = 10, order = order }), { parallel = 8 },
          { granularity = granularity })
        for _, request in ipairs(driver.sent) do assert.is_nil(scripted.query(request).after) end
      end
    end
  end)

  it("hands out the pages that it has where the function api_key raises for a request after them", function()
    local set, asked = spaced(200, 60), 0
    local params = copy(range, { limit = 10 })
    local runs = serve(set, { client = { api_key = function()
      asked = asked + 1
      if asked == 4 then error "the vault is closed" end
      return "sk_test"
    end } })
    assert.same(single_file(set, params), ids((runs.iter(params, { parallel = 4 }))))
  end)

  it("does not hide that the program is interrupted, and costs no run", function()
    local set = spaced(200, 60)
    local params = copy(range, { limit = 10 })
    local listed = single_file(set, params)
    for nth = 2, 8 do
      local asked, raised, found = 0, 0, {}
      local it = serve(set, { client = { api_key = function()
        asked = asked + 1
        if asked == nth then error "interrupted!" end -- the interpreter raises this at Ctrl-C
        return "sk_test"
      end } }).iter(params, { parallel = 4 })
      repeat
        local ok, run = pcall(it.next, it)
        if not ok then raised = raised + 1 elseif run then found[#found + 1] = run.id end
      until ok and not run
      assert.equal(1, raised)
      assert.same(listed, found)
    end
  end)

  it("hands out the runs at both ends of the range, and those of a range that is one moment", function()
    local set = spaced(300, 60, 2)
    for _, order in ipairs(orders) do
      local _, count = check(set, { from_date = date_text(newest - 100 * 60), to_date = date_text(newest - 20 * 60),
        limit = 10, order = order }, { parallel = 4 })
      assert.equal(162, count)
      local moment = date_text(newest - 50 * 60)
      _, count = check(set, { from_date = moment, to_date = moment, limit = 1, order = order }, { parallel = 4 })
      assert.equal(2, count)
    end
  end)

  it("takes slices again after a burst that has more than a page", function()
    local moments = {}
    for index = 1, 120 do moments[index] = newest - index / 1000 end
    for index = 1, 4000 do moments[#moments + 1] = newest - index * 60 end
    local driver = check(data_set(moments), copy(range, { limit = 40 }), { parallel = 8 })
    assert.equal(8, driver.most_in_flight)
  end)

  it("is parallel from the past to now where the driver's clock does not count from 1970", function()
    local moments, now = {}, os.time()
    for index = 1, 1000 do moments[index] = now - index * 60 end
    local driver = check(data_set(moments), { from_date = date_text(now - 400 * day), limit = 10, order = "asc" },
      { parallel = 8 }, { now = 1000 })
    assert.equal(8, driver.most_in_flight)
  end)

  it("sends a second request only after the first page, which says how dense the runs are", function()
    local runs, driver = serve(spaced(1000, 60))
    local it = runs.iter(copy(range, { limit = 10 }), { parallel = 8 })
    assert(it:next())
    assert.is_nil(scripted.query(driver.sent[1]).to_date)
    assert.equal(range.from_date, scripted.query(driver.sent[1]).from_date)
    assert.is_true(#driver.sent > 2)
    it:close()
  end)

  it("is for lists with a date range", function()
    local client = retab.new { api_key = "k", driver = scripted.new {} }
    local ok, message = pcall(client.workflows.experiments.results.iter, { run_id = "r" }, { parallel = 2 })
    assert.is_false(ok)
    assert.matches("option 'parallel'", message)
  end)

  it("returns all items as an array, or an error whose cursor resumes it", function()
    local set, down = spaced(300, 60), false
    local runs = serve(set, { change = function() return down and scripted.status(500) or nil end })
    local params = copy(range, { limit = 10 })
    assert.equal(300, #assert(runs.all(params, { parallel = 4 })))
    down = true
    local items, message, err = runs.all(params, { parallel = 4 })
    assert.is_nil(items)
    assert.equal(message, err.message)
    assert.equal("server", err.kind)
  end)

  it("refuses a hook that steps it, is cancelled by a hook that closes it, and leaves no request under way", function()
    local set = spaced(200, 60)
    local params = copy(range, { limit = 10 })
    local listed = single_file(set, params)
    for _, hook in ipairs { "on_request", "on_response" } do
      for _, kind in ipairs { "iter", "pages" } do
        for closing = 1, 24 do
          local it, count = nil, 0
          local runs, driver = serve(set, { client = { [hook] = function()
            count = count + 1
            assert.is_false((pcall(it.next, it)))
            if count == closing then it:close() end
          end } })
          it = runs[kind](params, { parallel = 4 })
          local found = 0
          local ok, err = pcall(function()
            for item in it do
              for _, run in ipairs(item.data or { item }) do
                found = found + 1
                assert.equal(listed[found], run.id)
              end
            end
          end)
          if ok then assert.equal(#listed, found) else assert.equal("cancelled", err.kind) end
          assert.equal(ok, count < closing)
          assert.equal(0, driver.left())
          assert.is_nil((it:next()))
        end
      end
    end
  end)

  it("needs no clock that counts from 1970, which a sandbox can lack", function()
    local system_time = os.time
    os.time = nil -- luacheck: ignore 122
    local ok, found = pcall(function()
      local runs = serve(spaced(200, 60), { now = 5 })
      return ids(runs.iter({ from_date = "2020-01-01", order = "asc", limit = 10 }, { parallel = 4 }))
    end)
    os.time = system_time -- luacheck: ignore 122
    assert.is_true(ok, found)
    assert.equal(200, #found)
  end)

  it("fails as cancelled where its client is closed", function()
    local client
    local set = spaced(200, 60)
    local driver = scripted.new(function(request) return respond(set, "exact", scripted.query(request)) end)
    client = retab.new { api_key = "k", base_url = "https://api.example.com", driver = driver }
    local it = client.workflows.experiments.runs.iter(copy(range, { limit = 10 }), { parallel = 4 })
    assert(it:next())
    client:close()
    local run, message, err
    repeat run, message, err = it:next() until not run
    assert.equal("client is closed", message)
    assert.equal("cancelled", err.kind)
  end)

  it("raises in a second coroutine while the first one waits", function()
    local set = spaced(200, 60)
    local params = copy(range, { limit = 10 })
    for _, kind in ipairs { "iter", "pages" } do
      local runs, driver = serve(set)
      local await, is_waiting = driver.await, false
      function driver.await(ticket)
        is_waiting = true
        coroutine.yield()
        is_waiting = false
        return await(ticket)
      end
      local it, seen = runs[kind](params, { parallel = 4 }), {}
      local first, refused = coroutine.create(function()
        while true do
          local item = it:next()
          if not item then return end
          for _, run in ipairs(item.data or { item }) do seen[#seen + 1] = run.id end
        end
      end), 0
      while coroutine.status(first) ~= "dead" do
        assert(coroutine.resume(first))
        if is_waiting then
          local ok, message = coroutine.resume(coroutine.create(function() return it:next() end))
          assert.is_false(ok)
          assert.matches("already waiting", message)
          refused = refused + 1
        end
      end
      assert.is_true(refused > 1)
      assert.same(single_file(set, params), seen)
    end
  end)

  it("loses and repeats no run where an error is raised in any function call of it", function()
    local jit_library = rawget(_G, "jit")
    if jit_library then -- compiled code calls no hook
      jit_library.off()
      finally(function() jit_library.on() end)
    end
    local set = spaced(11, 0.6, 2)
    local params = copy(range, { limit = 3 })
    local listed = single_file(set, params)
    for _, kind in ipairs { "iter", "pages" } do
      local nth = 0
      local is_over
      repeat
        nth = nth + 1
        local calls = 0
        local it = serve(set)[kind](params, { parallel = 3 })
        local function count()
          calls = calls + 1
          if calls == nth then error("not enough memory", 0) end
        end
        local found, failures = {}, 0
        local is_end
        repeat
          local is_inside = true
          local ok, item, _, err = pcall(function()
            debug.sethook(function() if is_inside then count() end end, "c")
            return it:next()
          end)
          is_inside = false
          debug.sethook()
          if ok and item then
            for _, run in ipairs(item.data or { item }) do found[#found + 1] = run.id end
          elseif not ok or err then
            failures = failures + 1
            if failures > 1 then error(("it does not recover from call %d: %s"):format(nth, tostring(item or err))) end
          end
          is_end = ok and not item and not err
        until is_end
        assert.same(listed, found, "call " .. nth)
        is_over = calls < nth
        if os.getenv "RETAB_SPEC_QUICK" == "1" then nth = nth + 20 end
      until is_over
    end
  end)
end)

-- ---- a list that changes meanwhile ----

describe("a parallel walk of a list that changes", function()
  --- Seconds from one run to the next, by the precision of the server's times.
  local steps = {
    second = { 1, 1, 7, 60, 3600, day }, millisecond = { 0.001, 0.3, 1, 7.5, 60, 3600 },
    microsecond = { 1e-6, 1e-4, 0.3, 1.5, 60, 40000 },
  }
  local precisions = { "second", "millisecond", "microsecond" }

  --- A list that changes with every request: runs are inserted anywhere, run by run the status changes, and runs leave
  --- for good. (A cursor still finds the place of a run that left.) Times have ties; ids are in no order.
  --- @return table set
  --- @return table stable the ids that match throughout
  --- @return table matched the ids that matched at some time
  --- @return function change
  local function changing(source)
    local moments, moment, precision = {}, newest, source:pick(precisions)
    for index = 1, 60 + source:below(200) do
      moments[index] = math.floor(moment * 1e6 + 0.5) / 1e6
      if not source:once_in(4) then moment = moment - source:pick(steps[precision]) end
    end
    local set, stable, matched, count = data_set(moments), {}, {}, #moments
    local offset = source:below(count)
    for number, run in ipairs(set) do
      run.id = ("r%d"):format((number * 263 + offset) % 100003) -- each once: 100003 is a prime number
      run.status = source:once_in(4) and "error" or "completed"
      run.may_leave = source:once_in(3)
      stable[run.id] = run.status == "completed" and not run.may_leave or nil
      matched[run.id] = run.status == "completed" or nil
    end
    local function change()
      for _ = 1, source:below(4) - 1 do
        local run = set[source:below(#set)]
        if run.status == "completed" and run.may_leave then
          run.status = source:once_in(2) and "error" or "removed"
        elseif run.status == "error" and source:once_in(3) then
          run.status, matched[run.id] = "completed", true
        end
      end
      if source:once_in(3) then
        count = count + 1
        local place = source:once_in(2) and 1 or source:below(#set)
        local created = set[place].created + (place == 1 and source:pick { 0, 0.5, 60 } or 0)
        local run = { id = "new" .. count, created = created, status = "completed", may_leave = source:once_in(3) }
        matched[run.id] = true
        table.insert(set, place, run)
      end
    end
    return set, stable, matched, change
  end

  local servers = {
    plain = respond,
    ["ignores dates"] = function(set, granularity, args)
      return respond(set, granularity, copy(args, { from_date = false, to_date = false }))
    end,
    ["lacks times"] = function(set, granularity, args)
      local reply = respond(set, granularity, args)
      reply.body = reply.body:gsub('"id":"r(%d*7)"(.-)"created_at":"[^"]*",', '"id":"r%1"%2')
      return reply
    end,
  }
  local server_names = { "plain", "plain", "plain", "plain", "ignores dates", "lacks times" }

  it("hands out nothing twice, in order, and misses no run that matched throughout, whatever fails", function()
    for seed = 1, scripted.times(400) do
      local source = documents.new(seed * 104729)
      local set, stable, matched, change = changing(source)
      local granularity, server = source:pick(granularity_names), source:pick(server_names)
      local changes_at = source:pick { 1, 1, 2, 5, 12 } -- the first request of that server
      local fails_once_in, failed = source:pick { 3, 9, 1000, 1000 }, 0
      local params = { from_date = date_text(newest - 3000 * day), status = "completed", order = source:pick(orders),
        limit = source:pick { 1, 3, 10, 25 } }
      local runs, driver = serve(set, { blind = source:once_in(4), now = newest + 60,
        change = function(args, number)
          assert.is_true(number < 5000, "a walk without end")
          change()
          if failed < 20 and source:once_in(fails_once_in) then
            failed = failed + 1
            return scripted.status(500)
          end
          return servers[number < changes_at and "plain" or server](set, granularity, args)
        end })
      local parallel, kind = source:below(8), source:pick { "iter", "pages" }
      local what = ("seed %d, %s, parallel %d, %s, %s"):format(seed, granularity, parallel, params.order, server)
      local it = runs[kind](params, { parallel = parallel, prefetch = source:below(3) - 1 })
      local seen, previous, failures = {}, nil, 0
      while true do
        local cursor = it.cursor
        local item, message, err = it:next()
        if err then
          failures = failures + 1
          assert.is_true(failures <= failed, what .. ": " .. message)
          assert.equal(cursor, err.cursor, what)
        elseif not item then
          break
        end
        for _, run in ipairs(item and item.data or { item }) do
          assert.is_nil(seen[run.id], what)
          assert.is_true(matched[run.id], what)
          seen[run.id] = true
          local time = dates.span(run.timing.created_at or "")
          if previous and time and params.order == "asc" then assert.is_true(time >= previous, what) end
          if previous and time and params.order == "desc" then assert.is_true(time <= previous, what) end
          previous = time or previous
        end
        if kind == "iter" and item then assert.equal(item.id, it.cursor, what) end
      end
      for id in pairs(stable) do assert.is_true(seen[id], what .. ": " .. id .. " is missing") end
      assert.is_true(driver.most_in_flight <= parallel, what)
      assert.equal(0, driver.left(), what)
    end
  end)
end)

-- ---- generated cases ----

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
  it("hands out what single file does, whatever fails", function()
    for seed = 1, scripted.times(300) do
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
      local runs, driver = serve(set, { granularity = granularity, blind = source:once_in(4),
        change = function()
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

-- ---- a real server ----

describe("a parallel walk of the simulator", function()
  local server = simulator.shared()
  local everything = { from_date = "1990-01-01" }

  local function client_of(options)
    return retab.new { api_key = "key", base_url = (server:scenario(options)) }
  end

  it("hands out what single file does", function()
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

  it("goes on after connections that break", function()
    local client = retab.new { api_key = "key", max_retries = 0, base_url = (server:scenario {
      runs = 1000, fault = "close", at = 7, times = 3 }) }
    local listed = ids((client_of({ runs = 1000 }).workflows.experiments.runs.iter(everything)))
    local found = walk_on(client.workflows.experiments.runs.iter(everything, { parallel = 4 }), 6)
    assert.same(listed, found)
    client:close()
  end)
end)
