local core = require "retab.core"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local unpack = table.unpack or unpack -- luacheck: ignore 143
--- Lua 5.4 closes the fourth value of a `for` loop that is left.
local it_on_5_4 = (loadstring or load) "local x <close> = nil" and it or function(name)
  pending(name .. " (this Lua closes no iterator of a loop that is left)")
end

--- PUC's Lua 5.1 cannot yield in the iterator of a `for` loop.
local it_where_loops_yield = (_VERSION ~= "Lua 5.1" or rawget(_G, "jit")) and it or function(name)
  pending(name .. " (this Lua cannot yield in the iterator of a loop)")
end

local function new(script, options, settings)
  local driver = scripted.new(script, settings)
  local given = { api_key = "sk_test", base_url = "https://api.example.com", driver = driver, max_retries = 0 }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, driver, client
end

local function queries(driver)
  local list = {}
  for index, request in ipairs(driver.sent) do list[index] = scripted.query(request) end
  return list
end

--- The numbers of the runs that an iterator hands out, to compare with `upto`.
local function numbers(it)
  local list = {}
  for run in it do list[#list + 1] = tonumber(run.id:match("^run_(%d+)$")) end
  return list
end

local function upto(last, first)
  local list = {}
  for number = first or 1, last do list[#list + 1] = number end
  return list
end

--- What a `for` loop over the iterator raises.
local function raised_by(it)
  local ok, err = pcall(function()
    for _ in it do end
  end)
  assert.is_false(ok)
  return err
end

local kinds = { "iter", "pages" }

describe("a walk", function()
  it("hands out every run of every page once, in order", function()
    for _, count in ipairs { 0, 1, 99, 100, 101, 250, 1000 } do
      for prefetch = 0, 3 do
        local runs, driver = new(scripted.runs(count))
        assert.same(upto(count), numbers(runs.iter({}, { prefetch = prefetch })))
        assert.equal(math.max(1, math.ceil(count / 100)), #driver.sent)
      end
    end
  end)

  it("hands out every page once, in order", function()
    local runs, driver = new(scripted.runs(250))
    local sizes = {}
    for page in runs.pages {} do
      sizes[#sizes + 1] = #page.data
      assert.equal("req_of_page", page.request_id)
    end
    assert.same({ 100, 100, 50 }, sizes)
    assert.equal(3, #driver.sent)
  end)

  it("requests pages of 100, or of `limit`", function()
    for _, kind in ipairs(kinds) do
      local runs, driver = new(scripted.runs(3))
      for _ in runs[kind] {} do end
      for _ in runs[kind] { limit = 2 } do end
      assert.same({ { limit = "100" }, { limit = "2" }, { limit = "2", after = "run_2" } }, queries(driver))
    end
  end)

  it("repeats the same filters in each request, with `after` set and `before` dropped", function()
    local filters = { workflow_id = "wf", experiment_id = "exp", block_id = "b", status = "error", trigger_type = "api",
      exclude_status = "queued", from_date = "2026-05-01", to_date = "2026-05-09", sort_by = "score", order = "asc",
      limit = 10 }
    for _, first in ipairs { {}, { before = "run_0" }, { after = "run_0" } } do
      for _, kind in ipairs(kinds) do
        local runs, driver = new(scripted.runs(35))
        local given = {}
        for name, value in pairs(filters) do given[name] = value end
        for name, value in pairs(first) do given[name] = value end
        local it = runs[kind](given, { query = { extra = "x" } })
        given.status, given.after = "pending", "changed by the caller"
        for _ in it do end
        local sent = queries(driver)
        assert.equal(4, #sent)
        for index, query in ipairs(sent) do
          local expected = { extra = "x", after = "run_" .. (index - 1) * 10 }
          for name, value in pairs(filters) do expected[name] = tostring(value) end
          if index == 1 then expected.after, expected.before = first.after, first.before end
          assert.same(expected, query)
        end
      end
    end
  end)

  it("never sends the `before` of a page", function()
    local runs, driver = new(scripted.runs(30, function(page) page.before = "run_" .. page.first end))
    assert.same(upto(30), numbers(runs.iter { limit = 10 }))
    for _, query in ipairs(queries(driver)) do assert.is_nil(query.before) end
  end)

  it("stops when after is null or empty", function()
    for _, cursors in ipairs { {}, { after = "" } } do
      for _, kind in ipairs(kinds) do
        local first, second = scripted.page({ "run_1" }, { after = "run_1" }), scripted.page({ "run_2" }, cursors)
        local runs, driver = new { first, second }
        local it, count = runs[kind] {}, 0
        for _ in it do count = count + 1 end
        assert.equal(2, count)
        assert.equal(2, #driver.sent)
        for _ = 1, 2 do
          local item, message, err = it:next()
          assert.is_nil(item)
          assert.is_nil(message)
          assert.is_nil(err)
        end
        assert.equal(2, #driver.sent)
      end
    end
  end)

  it("follows an empty page that has a cursor", function()
    for prefetch = 0, 3 do
      local script = {
        scripted.page({}, { after = "c1" }), scripted.page({ "run_1" }, { after = "c2" }),
        scripted.page({}, { after = "c3" }), scripted.page({}, { after = "c4" }), scripted.page { "run_2" },
      }
      local runs, driver = new(script)
      assert.same({ 1, 2 }, numbers(runs.iter({}, { prefetch = prefetch })))
      assert.equal(5, #driver.sent)
      assert.equal("c4", queries(driver)[5].after)
      local sizes = {}
      for page in new(script).pages({}, { prefetch = prefetch }) do sizes[#sizes + 1] = #page.data end
      assert.same({ 0, 1, 0, 0, 1 }, sizes)
    end
  end)

  it("hands out items unmodified, whatever their status, with or without an id", function()
    local runs = new { {
      status = 200, headers = { ["content-type"] = "application/json" },
      body = '{"data":[{"id":"a","lifecycle":{"status":"paused"}},{"score":1},7],"list_metadata":{"before":null}}',
    } }
    local it = runs.iter {}
    assert.equal("paused", it:next().lifecycle.status)
    assert.same({ score = 1 }, it:next())
    assert.equal("a", it.cursor)
    assert.equal(7, it:next())
    assert.equal("a", it.cursor)
    assert.is_nil(it:next())
  end)

  it("goes on in a second loop that gets the iterator alone", function()
    for _, kind in ipairs(kinds) do
      local runs = new(scripted.runs(5))
      local it = runs[kind] { limit = 2 }
      local count = 0
      for _ in it do
        count = count + 1
        if count == 2 then break end
      end
      for _ in it do count = count + 1 end
      assert.equal(kind == "iter" and 5 or 3, count)
    end
  end)

  it("sends nothing before its first step", function()
    for _, kind in ipairs(kinds) do
      local runs, driver = new(scripted.runs(5))
      local it = runs[kind]({}, { prefetch = 3 })
      assert.same({}, driver.log)
      it:next()
      assert.equal("send 1", driver.log[1])
    end
  end)

  it("checks its arguments when it is called, and raises at the caller's line", function()
    for _, kind in ipairs(kinds) do
      local runs, driver = new {}
      for _, case in ipairs {
        { { limit = 101 }, nil, "limit" }, { { limit = 0 }, nil, "limit" }, { { stauts = "error" }, nil, "status" },
        { { before = "a", after = "b" }, nil, "before" }, { { from_date = "2026-02-30" }, nil, "from_date" },
        { {}, { max_items = 0 }, "max_items" }, { {}, { max_items = 1.5 }, "max_items" },
        { {}, { max_pages = 0 }, "max_pages" }, { {}, { max_pages = "3" }, "max_pages" },
        { {}, { prefetch = -1 }, "prefetch" }, { {}, { prefetch = 0.5 }, "prefetch" },
        { {}, { prefetch = true }, "prefetch" }, { {}, { parallel = 0 }, "parallel" },
        { {}, { max_item = 3 }, "max_items" }, { {}, { query = { after = "x" } }, "after" },
        { "exp_1", nil, "parameters must be a table" },
      } do
        local ok, message = pcall(function() return runs[kind](case[1], case[2]) end)
        assert.is_false(ok, case[3])
        assert.is_truthy(message:find("walk_spec.lua:%d+: ") and message:find(case[3], 1, true), message)
      end
      assert.same({}, driver.log)
    end
  end)

  it("has options that list refuses", function()
    local runs = new {}
    for _, name in ipairs { "max_items", "max_pages", "prefetch", "parallel" } do
      assert.is_false((pcall(runs.list, {}, { [name] = 1 })))
    end
  end)
end)

describe("prefetch", function()
  it("of 1, the default, requests page n+1 when page n arrives", function()
    for index, options in ipairs { {}, { prefetch = 1 }, {} } do
      local runs, driver = new(scripted.runs(6), {}, { ready = index == 3 })
      local it = runs.iter({ limit = 2 }, options)
      local expected = { "send 1", "await 1", "send 2" }
      for number = 1, 6 do
        if number == 3 then expected = { "send 1", "await 1", "send 2", "await 2", "send 3" } end
        if number == 5 then expected[#expected + 1] = "await 3" end
        assert.equal("run_" .. number, it:next().id)
        assert.same(expected, driver.log)
      end
      assert.is_nil(it:next())
      assert.same(expected, driver.log)
    end
  end)

  it("of 0 requests a page when it is needed", function()
    local runs, driver = new(scripted.runs(4))
    local it = runs.iter({ limit = 2 }, { prefetch = 0 })
    local expected = { "send 1", "await 1" }
    for number = 1, 4 do
      if number == 3 then expected = { "send 1", "await 1", "send 2", "await 2" } end
      assert.equal("run_" .. number, it:next().id)
      assert.same(expected, driver.log)
    end
    assert.is_nil(it:next())
    assert.same(expected, driver.log)
  end)

  it("means the same for pages", function()
    for prefetch = 0, 1 do
      local runs, driver = new(scripted.runs(6))
      local it = runs.pages({ limit = 2 }, { prefetch = prefetch })
      for number = 1, 3 do
        assert.equal("run_" .. number * 2, it:next().data[2].id)
        assert.equal(math.min(3, number + prefetch), #driver.sent)
      end
      assert.is_nil(it:next())
      assert.equal(3, #driver.sent)
    end
  end)

  it("of n requests up to n pages ahead of the reader, never more", function()
    for prefetch = 1, 6 do
      local runs, driver = new(scripted.runs(40), {}, { ready = true })
      local it = runs.pages({ limit = 2 }, { prefetch = prefetch })
      for number = 1, 20 do
        assert.equal("run_" .. number * 2, it:next().data[2].id)
        assert.equal(math.min(20, number + prefetch), #driver.sent)
      end
      assert.is_nil(it:next())
      assert.equal(20, #driver.sent)
    end
  end)

  it("of n waits for no page but the next one", function()
    local runs, driver = new(scripted.runs(40), {}, { ready = 3 })
    local it = runs.pages({ limit = 2 }, { prefetch = 5 })
    assert(it:next())
    assert.same({ "send 1", "await 1", "send 2", "await 2", "send 3", "await 3", "send 4" }, driver.log)
  end)

  it("hands out the pages before a failure first", function()
    for prefetch = 0, 4 do
      local runs, driver = new(scripted.runs(10, function(_, request)
        if scripted.query(request).after == "run_6" then return scripted.status(500) end
      end), {}, { ready = true })
      local it, count = runs.iter({ limit = 2 }, { prefetch = prefetch }), 0
      for _ = 1, 6 do
        count = count + 1
        assert.equal("run_" .. count, it:next().id)
      end
      local run, message, err = it:next()
      assert.is_nil(run)
      assert.equal("this is a 500", message)
      assert.equal("run_6", err.cursor)
      assert.is_true(#driver.sent <= 5)
    end
  end)
end)

describe("max_items", function()
  it("ends the walk after as many runs, with no request too many", function()
    for prefetch = 0, 3 do
      for most = 1, 12 do
        local runs, driver = new(scripted.runs(10), {}, { ready = true })
        assert.same(upto(math.min(10, most)),
          numbers(runs.iter({ limit = 3 }, { max_items = most, prefetch = prefetch })))
        assert.equal(math.min(4, math.ceil(most / 3)), #driver.sent)
        for _, query in ipairs(queries(driver)) do assert.equal("3", query.limit) end
      end
    end
  end)

  it("cuts the last page, and does not change the page size", function()
    local runs, driver = new(scripted.runs(250))
    local sizes, last = {}, nil
    local it = runs.pages({}, { max_items = 130 })
    for page in it do
      sizes[#sizes + 1], last = #page.data, page.data[#page.data].id
    end
    assert.same({ 100, 30 }, sizes)
    assert.equal("run_130", last)
    assert.equal("run_130", it.cursor)
    assert.same({ "100", "100" }, { driver.sent[1].url:match("limit=(%d+)"), driver.sent[2].url:match("limit=(%d+)") })
    assert.equal(2, #driver.sent)
  end)

  it("counts no run for an empty page", function()
    local runs = new { scripted.page({}, { after = "a" }), scripted.page({ "run_1" }, { after = "b" }) }
    assert.same({ 1 }, numbers(runs.iter({}, { max_items = 1 })))
  end)
end)

describe("max_pages", function()
  it("ends the walk after as many pages, with no request too many", function()
    for prefetch = 0, 3 do
      for most = 1, 6 do
        local runs, driver = new(scripted.runs(10), {}, { ready = true })
        assert.same(upto(math.min(10, most * 3)),
          numbers(runs.iter({ limit = 3 }, { max_pages = most, prefetch = prefetch })))
        assert.equal(math.min(4, most), #driver.sent)
        local count = 0
        for _ in runs.pages({ limit = 3 }, { max_pages = most, prefetch = prefetch }) do count = count + 1 end
        assert.equal(math.min(4, most), count)
        assert.equal(2 * math.min(4, most), #driver.sent)
      end
    end
  end)

  it("and max_items together end the walk at whichever comes first", function()
    for _, case in ipairs { { 2, 100, 6, 2 }, { 3, 4, 4, 2 }, { 1, 3, 3, 1 } } do
      local runs, driver = new(scripted.runs(10))
      assert.equal(case[3], #numbers(runs.iter({ limit = 3 }, { max_pages = case[1], max_items = case[2] })))
      assert.equal(case[4], #driver.sent)
    end
  end)
end)

describe("a failure", function()
  it("is raised out of the loop as the error object", function()
    for _, kind in ipairs(kinds) do
      local runs = new { scripted.page({ "run_1" }, { after = "run_1" }), scripted.status(403) }
      local err = raised_by(runs[kind] {})
      assert.equal("table", type(err))
      assert.equal("permission", err.kind)
      assert.equal("run_1", err.cursor)
      assert.is_truthy(err.url:find("after=run_1", 1, true))
      assert.is_truthy(tostring(err):find("run_1", 1, true))
    end
  end)

  it("is returned by it:next() after nil", function()
    for _, kind in ipairs(kinds) do
      local runs = new { scripted.status(404) }
      local item, message, err = runs[kind] {}:next()
      assert.is_nil(item)
      assert.equal("this is a 404", message)
      assert.equal("not_found", err.kind)
      assert.equal(1, err.attempts)
      assert.is_nil(err.cursor)
    end
  end)

  it("has the cursor that the walk began at, before the first run", function()
    local runs = new(function() return scripted.status(500) end)
    local _, _, err = runs.iter { after = "run_5" }:next()
    assert.equal("run_5", err.cursor)
  end)

  it("is followed by the page that failed at the next step: no run is lost or repeated", function()
    for _, kind in ipairs(kinds) do
      for prefetch = 0, 3 do
        local fails = { [1] = 1, [3] = 2, [4] = 3 } -- pages, and how often each fails
        local runs = new(scripted.runs(10, function(page)
          local number = (page.first + 2) / 3
          if (fails[number] or 0) > 0 then
            fails[number] = fails[number] - 1
            return { failure = { kind = "connection", message = "reset" } }
          end
        end), {}, { ready = true })
        local it, seen, failed = runs[kind]({ limit = 3 }, { prefetch = prefetch }), {}, 0
        while true do
          local item, message, err = it:next()
          if item then
            for _, run in ipairs(item.data or { item }) do seen[#seen + 1] = tonumber(run.id:match("%d+")) end
          elseif err then
            failed = failed + 1
            assert.equal("reset", message)
            assert.equal(seen[1] and "run_" .. seen[#seen] or nil, err.cursor)
            assert.equal(err.cursor, it.cursor)
          else
            break
          end
        end
        assert.same(upto(10), seen)
        assert.equal(6, failed)
      end
    end
  end)

  it("of a for loop leaves an iterator that another loop goes on with", function()
    local down = true
    local runs = new(scripted.runs(6, function(page)
      if page.first == 3 and down then return scripted.status(502) end
    end))
    local it, seen = runs.iter { limit = 2 }, {}
    local ok = pcall(function()
      for run in it do seen[#seen + 1] = run.id end
    end)
    assert.is_false(ok)
    down = false
    for run in it do seen[#seen + 1] = run.id end
    assert.same({ "run_1", "run_2", "run_3", "run_4", "run_5", "run_6" }, seen)
  end)

  it("of the function api_key leaves an iterator that goes on", function()
    for prefetch = 0, 1 do
      local asked, failing = 0, true
      local runs = new(scripted.runs(4, function(page)
        if page.first == 3 and failing then return scripted.status(503) end
      end), {
        max_retries = 5,
        api_key = function()
          asked = asked + 1
          if failing and asked == 4 then error "the vault is closed" end
          return "sk_test"
        end,
      })
      local it = runs.iter({ limit = 2 }, { prefetch = prefetch })
      assert.equal("run_1", it:next().id)
      assert.equal("run_2", it:next().id)
      local ok, problem = pcall(it.next, it)
      assert.is_false(ok)
      assert.is_truthy(tostring(problem):find("the vault is closed", 1, true))
      failing = false
      assert.same({ 3, 4 }, numbers(it))
    end
  end)
end)

describe("a cursor that comes again", function()
  --- A server whose cursors lead past `lead` pages and then around a cycle, one run per page.
  local function looping(lead, cycle, name)
    return function(request)
      local after = scripted.query(request).after
      local at = after and tonumber(after:match("(%d+)$")) or 0
      local following = at < lead + cycle and at + 1 or lead + 1
      return scripted.page({ "run_" .. at }, { after = (name or "cursor_") .. following })
    end
  end

  local function find_loop(lead, cycle, options)
    local runs, driver = new(looping(lead, cycle), {}, { ready = true })
    local it, given = runs.iter({}, options), 0
    local err = raised_by(function()
      given = given + 1
      return it()
    end)
    assert.equal("cursor_loop", err.kind)
    assert.is_false(err.retryable)
    assert.equal("req_of_page", err.request_id)
    assert.equal(lead + cycle + 2, given)
    local requested = {}
    for _, query in ipairs(queries(driver)) do
      local after = query.after or "the first page"
      assert.is_nil(requested[after], after .. " is requested twice")
      requested[after] = true
    end
    return it, driver
  end

  it("is an error after the page that brought it, for any lead-in and cycle, and is not requested twice", function()
    local quick = scripted.times(20) == 1
    for lead = 0, quick and 5 or 17 do
      for cycle = 1, quick and 5 or 17 do
        find_loop(lead, cycle, { prefetch = (lead + cycle) % 4 })
      end
    end
    local all = { { 0, 128 }, { 128, 1 }, { 127, 129 }, { 200, 33 }, { 1, 300 } }
    for _, case in ipairs(quick and { { 20, 31 } } or all) do
      find_loop(case[1], case[2])
    end
  end)

  it("stays an error at every further step, without a request", function()
    local it, driver = find_loop(1, 2, { prefetch = 0 })
    local sent = #driver.sent
    local run, _, err = it:next()
    assert.is_nil(run)
    assert.equal("cursor_loop", err.kind)
    assert.equal(sent, #driver.sent)
  end)

  it("is an error where the walk began at it", function()
    local runs, driver = new(looping(0, 3), {})
    local _, err = pcall(numbers, runs.iter { after = "cursor_2" })
    assert.equal("cursor_loop", err.kind)
    assert.equal(3, #driver.sent)
  end)

  it("is an error of pages too, also where a page leads to itself", function()
    local runs, driver = new(function() return scripted.page({ "run_1" }, { after = "run_1" }) end)
    assert.equal("cursor_loop", raised_by(runs.pages {}).kind)
    assert.equal(2, #driver.sent)
  end)

  it("is no error where all cursors differ", function()
    local names = {
      function(number) return ("x"):rep(number) end, -- each the beginning of the next
      function(number) return ("x"):rep(700 - number) end,
      function(number) return ("%06d"):format(number) end,
      function(number) return "\1\2" .. string.char(number % 128) .. "\0" .. number end,
      function(number) return ("%d é &=?#+%% %%2B"):format(number) end,
    }
    for _, name in ipairs(names) do
      local known, last = {}, scripted.times(600)
      for number = 1, last do known[name(number)] = number end
      local runs, driver = new(function(request)
        local after = scripted.query(request).after
        local at = after and assert(known[after], "a cursor that was never given") or 0
        return scripted.page({ "run_" .. at }, { after = at < last and name(at + 1) or nil })
      end)
      assert.same(upto(last, 0), numbers(runs.iter {}))
      assert.equal(last + 1, #driver.sent)
    end
  end)

  it("is no error where a page that failed is requested again and again", function()
    local failures = 0
    local runs = new(scripted.runs(3, function(page)
      if page.first == 2 and failures < 20 then
        failures = failures + 1
        return scripted.status(500)
      end
    end))
    local it, seen = runs.iter { limit = 1 }, {}
    repeat
      local run, _, err = it:next()
      if run then seen[#seen + 1] = run.id end
      if err then assert.equal("server", err.kind) end
    until not run and not err
    assert.same({ "run_1", "run_2", "run_3" }, seen)
    assert.equal(20, failures)
  end)
end)

describe("it.cursor", function()
  it("is nil before the first run, then the id of the last run handed out", function()
    local runs = new(scripted.runs(7))
    local it = runs.iter { limit = 3 }
    assert.is_nil(it.cursor)
    for number = 1, 7 do
      it:next()
      assert.equal("run_" .. number, it.cursor)
    end
    it:next()
    assert.equal("run_7", it.cursor)
  end)

  it("is the id of the last run of the page handed out", function()
    local runs = new(scripted.runs(7))
    local it = runs.pages { limit = 3 }
    assert.is_nil(it.cursor)
    for _, last in ipairs { 3, 6, 7 } do
      it:next()
      assert.equal("run_" .. last, it.cursor)
    end
  end)

  it("resumes a walk, nothing lost or repeated", function()
    for stop = 1, 9 do
      local runs = new(scripted.runs(9))
      local it = runs.iter { limit = 2 }
      for _ = 1, stop do it:next() end
      it:close()
      assert.same(upto(9, stop + 1), numbers(runs.iter { limit = 4, after = it.cursor }))
    end
  end)

  it("is set whatever fields selects, and adds no id to the runs", function()
    local function answer()
      local runs = { '{"id":"run_1","score":1}', '{"id":"run_2","score":2}', '{"id":"run_3","score":3}' }
      return { status = 200, headers = { ["content-type"] = "application/json" },
        body = '{"data":[' .. table.concat(runs, ",") .. '],"list_metadata":{"after":null}}' }
    end
    for _, fields in ipairs { { "score" }, { "score", "identity" }, { "id.x", "score" } } do
      local runs = new(answer)
      local it = runs.iter({}, { fields = fields })
      for number = 1, 3 do
        local run = it:next()
        assert.equal(number, run.score)
        assert.is_nil(run.id)
        assert.equal("run_" .. number, it.cursor)
      end
      it = runs.pages({}, { fields = fields, max_items = 2 })
      assert.same({ { score = 1 }, { score = 2 } }, it:next().data)
      assert.equal("run_2", it.cursor)
    end
    local runs = new(answer)
    assert.same({ id = "run_1", score = 1 }, runs.iter({}, { fields = { "score", "id" } }):next())
    local fields = { "score" }
    runs.iter({}, { fields = fields }):next()
    assert.same({ "score" }, fields)
  end)
end)

describe("breaking out of a walk", function()
  local function begun(kind)
    local runs, driver, client = new(scripted.runs(9))
    return runs[kind]({ limit = 3 }), driver, client, runs
  end

  it_on_5_4("cancels at once what was prefetched", function()
    for _, kind in ipairs(kinds) do
      local runs, driver = new(scripted.runs(9))
      for _ in runs[kind] { limit = 3 } do break end
      assert.same({ 2 }, driver.cancelled)
      assert.is_false((pcall(function()
        for _ in runs[kind] { limit = 3 } do error "the reader's own trouble" end
      end)))
      assert.same({ 2, 4 }, driver.cancelled)
    end
  end)

  it("by it:close() cancels what was prefetched, once, and ends the walk", function()
    for _, kind in ipairs(kinds) do
      local it, driver = begun(kind)
      assert(it:next())
      local cursor = it.cursor
      it:close()
      it:close()
      assert.same({ 2 }, driver.cancelled)
      assert.equal(cursor, it.cursor)
      for _ = 1, 2 do
        local item, message, err = it:next()
        assert.is_nil(item)
        assert.is_nil(message)
        assert.is_nil(err)
      end
      assert.equal(2, #driver.sent)
    end
  end)

  it("cancels nothing where nothing is under way", function()
    local it = begun "iter"
    it:close()
    local runs, driver = new(scripted.runs(2))
    it = runs.iter {}
    assert(it:next())
    it:close()
    it = runs.iter({ limit = 1 }, { prefetch = 0 })
    assert(it:next())
    it:close()
    assert.same({}, driver.cancelled)
  end)

  it("leaves the client usable", function()
    local it, _, client, runs = begun "iter"
    assert(it:next())
    it:close()
    assert.same(upto(9), numbers(runs.iter { limit = 4 }))
    client:close()
    it:close()
  end)

  it("without closing leaves nothing that keeps the iterator alive", function()
    local runs = new(scripted.runs(9))
    local gone = setmetatable({}, { __mode = "k" })
    do
      local it = runs.iter { limit = 3 }
      assert(it:next())
      gone[it] = true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(gone))
  end)
end)

describe("a walk in coroutines", function()
  it("suspends the reader only while it waits for a response", function()
    local runs, driver = new(scripted.runs(5), {}, { yields = true })
    local seen = {}
    local reader = coroutine.create(function()
      local it = runs.iter { limit = 2 }
      while true do
        local run = it:next()
        if not run then return end
        seen[#seen + 1] = run.id
      end
    end)
    local waits = 0
    while true do
      local _, what = assert(coroutine.resume(reader))
      if coroutine.status(reader) == "dead" then break end
      assert.equal("await", what)
      waits = waits + 1
    end
    assert.equal(5, #seen)
    assert.equal(3, waits)
    assert.equal(3, #driver.sent)
  end)

  it_where_loops_yield("suspends a for loop", function()
    local runs = new(scripted.runs(5), {}, { yields = true })
    local seen = 0
    local reader = coroutine.wrap(function()
      for _ in runs.iter { limit = 2 } do seen = seen + 1 end
      return "over"
    end)
    local waits = 0
    while reader() ~= "over" do waits = waits + 1 end
    assert.equal(5, seen)
    assert.equal(3, waits)
  end)

  it("raises in a second coroutine while the first one waits, and loses no run", function()
    local runs = new(scripted.runs(6), {}, { yields = true })
    local it, seen = runs.iter { limit = 2 }, {}
    local function read()
      while true do
        local run = it:next()
        if not run then return end
        seen[#seen + 1] = tonumber(run.id:match("%d+"))
      end
    end
    local first = coroutine.create(read)
    assert(coroutine.resume(first))
    local second = coroutine.create(read)
    local ok, message = coroutine.resume(second)
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find("coroutine", 1, true), tostring(message))
    while coroutine.status(first) ~= "dead" do assert(coroutine.resume(first)) end
    assert.same(upto(6), seen)
  end)

  it("goes on in another coroutine after its reader died while it waited", function()
    local asked = 0
    local runs = new(function(request, number)
      if number == 1 then return scripted.status(503) end
      return scripted.runs(4)(request, number)
    end, {
      max_retries = 1,
      api_key = function()
        asked = asked + 1
        if asked == 2 then error "the vault is closed" end
        return "sk_test"
      end,
    }, { yields = true })
    local it, seen = runs.iter { limit = 2 }, {}
    local function read()
      for _ = 1, 4 do seen[#seen + 1] = tonumber(assert(it:next()).id:match "%d+") end
    end
    local first, ok, problem = coroutine.create(read), true, nil
    while ok do ok, problem = coroutine.resume(first) end
    assert.is_truthy(tostring(problem):find("the vault is closed", 1, true), tostring(problem))
    local second = coroutine.create(read)
    repeat assert(coroutine.resume(second)) until coroutine.status(second) == "dead"
    assert.same(upto(4), seen)
  end)

  it("is shared by coroutines that take turns", function()
    local runs = new(scripted.runs(20), {}, { yields = true })
    local it, seen = runs.iter { limit = 3 }, {}
    local function read_one()
      local run = it:next()
      if run then seen[#seen + 1] = tonumber(run.id:match("%d+")) end
      return run
    end
    for _ = 1, 21 do
      local reader = coroutine.create(read_one)
      repeat assert(coroutine.resume(reader)) until coroutine.status(reader) == "dead"
    end
    assert.same(upto(20), seen)
  end)

  it("fails as cancelled and cancels its request when it is closed while it waits; then it is over", function()
    local runs, driver = new(scripted.runs(6), {}, { yields = true })
    local it = runs.iter { limit = 2 }
    local results
    local reader = coroutine.create(function() results = { it:next() } end)
    assert(coroutine.resume(reader))
    it:close()
    assert.same({ 1 }, driver.cancelled)
    assert(coroutine.resume(reader))
    assert.equal("dead", coroutine.status(reader))
    assert.is_nil(results[1])
    assert.equal("cancelled", results[3].kind)
    assert.is_nil((it:next()))
    assert.equal(1, #driver.sent)
  end)
end)

describe("any walk", function()
  --- A server of `count` runs whose pages have any length, also none, and which fails at random.
  local function moody(count, random, trouble)
    local empties = 0
    return scripted.runs(count, function(page)
      if random() < trouble then
        local pick = math.floor(random() * 4)
        if pick == 0 then return scripted.status(503) end
        if pick == 1 then return { failure = { kind = "timeout", message = "late" } } end
        if pick == 2 then return { failure = "connection reset" } end
        return { status = 200, headers = { ["content-type"] = "application/json" }, body = '{"data":[' }
      end
      local most = page.last - page.first + 1
      local length = math.floor(random() * (most + 1))
      page.last = page.first + length - 1
      if length == 0 and page.first <= count then
        empties = empties + 1
        page.after = ("run_%d~%d"):format(page.first - 1, empties) -- another cursor for the same place
      end
    end)
  end

  --- Reads a whole list by random walks, breaks and resumptions. Returns the numbers of the runs.
  local function read_all(runs, random, kind)
    local seen, cursor, it, steps = {}, nil, nil, 0
    while true do
      steps = steps + 1
      assert(steps < 100000, "a walk without end")
      if not it then
        it = runs[kind]({ limit = 1 + math.floor(random() * 7), after = cursor },
          { prefetch = math.floor(random() * 5), fields = random() < 0.3 and { "lifecycle", "score" } or nil })
      end
      local before = it.cursor
      local item, _, err = it:next()
      if item and kind == "iter" then
        seen[#seen + 1] = tonumber(it.cursor:match("%d+"))
        assert.is_true(item.id == nil or item.id == it.cursor)
      elseif item then
        local last = it.cursor and tonumber(it.cursor:match("%d+")) or 0
        for number = last - #item.data + 1, last do seen[#seen + 1] = number end
      elseif err then
        assert.equal(before, err.cursor)
        assert.equal(before, it.cursor)
      else
        return seen
      end
      if random() < 0.1 then
        cursor = err and err.cursor or it.cursor
        if random() < 0.5 then it:close() end
        it = nil
      end
    end
  end

  it("hands out every run exactly once, in order, whatever fails", function()
    for seed = 1, scripted.times(400) do
      local state = seed
      local function random() -- the same numbers under every Lua
        state = state * 16807 % 2147483647
        return state / 2147483647
      end
      for _ = 1, 10 do random() end
      local count = math.floor(random() * 60)
      local ready = random() < 0.7 and (random() < 0.5 or math.floor(random() * 30))
      local runs, driver = new(moody(count, random, random() * 0.5), {}, { ready = ready })
      assert.same(upto(count), read_all(runs, random, seed % 2 == 0 and "iter" or "pages"), "seed " .. seed)
      assert.is_true(#driver.sent > 0)
    end
  end)
end)

describe("what fails while the next page is prefetched", function()
  for _, what in ipairs { "the function api_key", "the driver's send" } do
    it("costs no run: " .. what, function()
      local asked = 0
      local runs, driver = new(scripted.runs(6), {
        api_key = function()
          asked = asked + 1
          if what == "the function api_key" and asked == 2 then error "down" end
          return "sk_test"
        end,
      })
      local send, sent = driver.send, 0
      function driver.send(request)
        sent = sent + 1
        if what == "the driver's send" and sent == 2 then error "down" end
        return send(request)
      end
      assert.same(upto(6), numbers(runs.iter { limit = 2 }))
    end)
  end

  it("does not hide that the program is interrupted, and costs no run", function()
    for nth = 2, 3 do
      local asked = 0
      local runs = new(scripted.runs(6), {
        api_key = function()
          asked = asked + 1
          if asked == nth then error "interrupted!" end -- the interpreter raises this at Ctrl-C
          return "sk_test"
        end,
      })
      local it, seen, raised = runs.iter { limit = 2 }, {}, 0
      repeat
        local ok, run = pcall(it.next, it)
        if not ok then raised = raised + 1 elseif run then seen[#seen + 1] = run.id end
      until ok and not run
      assert.equal(1, raised)
      assert.same({ "run_1", "run_2", "run_3", "run_4", "run_5", "run_6" }, seen)
    end
  end)
end)

describe("a page with null among its items", function()
  it("hands out each of the other items", function()
    for _, kept in ipairs { 1, 2, 3, 50, 99, 100 } do
      local rows, wanted = {}, {}
      for index = 1, 100 do
        local is_null = index % 3 == 0 or index > kept
        rows[index] = is_null and "null" or ('{"id":"run_%d"}'):format(index)
        if not is_null then wanted[#wanted + 1] = index end
      end
      local runs = new { scripted.json('{"data":[' .. table.concat(rows, ",") .. '],"list_metadata":{}}') }
      assert.same(wanted, numbers(runs.iter {}))
    end
  end)

  it("hands out null itself where the option null gives it a value", function()
    local runs = new { scripted.json '{"data":[{"id":"run_1"},null,{"id":"run_2"}],"list_metadata":{}}' }
    local it = runs.iter({}, { null = retab.null })
    assert.equal("run_1", it:next().id)
    assert.equal(retab.null, it:next())
    assert.equal("run_1", it.cursor)
    assert.equal("run_2", it:next().id)
  end)
end)

describe("a page cut by max_items", function()
  it("leads on after its last item", function()
    local runs = new(scripted.runs(6))
    local page = runs.pages({ limit = 4 }, { max_items = 3 }):next()
    assert.equal(3, #page.data)
    assert.equal("run_3", page.list_metadata.after)
    assert.equal("run_4", assert(page:next()).data[1].id)
  end)

  it("leads on though the server has no page after it", function()
    local runs = new(scripted.runs(4))
    local page = runs.pages({ limit = 4 }, { max_items = 3 }):next()
    assert.is_true(page:has_more())
    assert.equal("run_4", assert(page:next()).data[1].id)
  end)
end)

describe("the request for the next page", function()
  local broken = '{"data":[nonsense],"list_metadata":{"before":null,"after":%s}}'

  local function log_of(body, params, options)
    local runs, driver = new { scripted.json(body) }
    local _, _, err = runs.iter(params, options):next()
    assert.equal("decode", err.kind)
    return driver.log
  end

  it("leaves before a page is decoded, and is cancelled where the page is invalid", function()
    assert.same({ "send 1", "await 1", "send 2", "cancel 2" }, log_of(broken:format '"run_1"', {}))
  end)

  it("leaves after the page is decoded with prefetch 0", function()
    assert.same({ "send 1", "await 1" }, log_of(broken:format '"run_1"', {}, { prefetch = 0 }))
  end)

  it("does not leave where max_pages or max_items may end the walk with the page", function()
    assert.same({ "send 1", "await 1" }, log_of(broken:format '"run_1"', {}, { max_pages = 1 }))
    assert.same({ "send 1", "await 1" }, log_of(broken:format '"run_1"', { limit = 5 }, { max_items = 5 }))
    assert.same({ "send 1", "await 1", "send 2", "cancel 2" },
      log_of(broken:format '"run_1"', { limit = 5 }, { max_items = 6 }))
  end)

  it("does not leave where the body says that there is no next page", function()
    assert.same({ "send 1", "await 1" }, log_of(broken:format "null", {}))
    assert.same({ "send 1", "await 1" }, log_of(broken:format '""', {}))
  end)

  it("does not leave for a cursor that the walk began at", function()
    assert.same({ "send 1", "await 1" }, log_of(broken:format '"run_1"', { after = "run_1" }))
  end)

  --- Walks three pages whose first one leads to "right". Checks that no other request than that one is awaited.
  local function check_right(body)
    local runs, driver = new(function(request)
      local after = scripted.query(request).after
      if not after then return scripted.json(body) end
      assert.equal("right", after)
      return scripted.page { "run_2" }
    end)
    assert.same({ 1, 2 }, numbers(runs.iter {}))
    local cancelled = {}
    for _, number in ipairs(driver.cancelled) do cancelled[number] = true end
    for number, query in ipairs(queries(driver)) do
      assert.equal(number > 1 and query.after ~= "right" or nil, cancelled[number])
    end
    return driver
  end

  it("has the cursor of the decoded page, whatever the order and the number of the keys", function()
    for _, body in ipairs {
      '{"data":[{"id":"run_1"}],"list_metadata":{"after":"wrong","after":"right"}}',
      '{"data":[{"id":"run_1"}],"list_metadata":{"after":"wrong"},"list_metadata":{"after":"right"}}',
      '{"list_metadata":{"after":"right"},"data":[{"id":"run_1"}]}',
      '{"list_metadata":{"after":"right"},"data":[{"id":"run_1","list_metadata":{"after":"wrong"}}]}',
      '{"data":[{"id":"run_1"}],"list_metadata":{"after":"right","more":{"after":"wrong"}}}',
      '{"list_metadata":{"after":"right"},"data":[{"id":"run_1"}],"x":{"list_metadata":{"after":"wrong"}}}',
      '{"data":[{"id":"run_1"}],"list_metadata":{"after":"\\u0072ight"}}',
      '{"data":[{"id":"run_1"}],"list_metadata":{"before":null,"after":"right"}}\r\n \t',
      '{"data":[{"id":"run_1","note":"\\"list_metadata\\":{\\"after\\":\\"wrong\\"}}"}],'
        .. '"list_metadata":{"after":"right"}}',
    } do
      check_right(body)
    end
  end)

  it("is cancelled and sent again where decoding finds another cursor", function()
    local next_cursor = core.next_cursor
    finally(function() core.next_cursor = next_cursor end) -- luacheck: ignore 122
    function core.next_cursor() return "wrong" end -- luacheck: ignore 122
    local driver = check_right '{"data":[{"id":"run_1"}],"list_metadata":{"after":"right"}}'
    assert.same({ "send 1", "await 1", "send 2", "cancel 2", "send 3", "await 3" }, { unpack(driver.log, 1, 6) })
  end)

  it("is cancelled where decoding finds the end", function()
    local next_cursor = core.next_cursor
    finally(function() core.next_cursor = next_cursor end) -- luacheck: ignore 122
    function core.next_cursor() return "wrong" end -- luacheck: ignore 122
    local runs, driver = new { scripted.page { "run_1" } }
    assert.same({ 1 }, numbers(runs.iter {}))
    assert.same({ 2 }, driver.cancelled)
  end)
end)

describe("all", function()
  it("returns every item as an array", function()
    for _, count in ipairs { 0, 1, 250 } do
      local runs, driver = new(scripted.runs(count))
      local items, message, err = runs.all {}
      assert.is_nil(message)
      assert.is_nil(err)
      assert.equal(count, #items)
      for index, item in ipairs(items) do assert.equal("run_" .. index, item.id) end
      assert.equal(math.max(1, math.ceil(count / 100)), #driver.sent)
      assert.same({}, driver.cancelled)
    end
  end)

  it("is called with a dot or a colon, and obeys the options of a walk", function()
    local runs, driver = new(scripted.runs(20))
    assert.equal(5, #assert(runs:all({ limit = 3 }, { max_items = 5 })))
    assert.equal(2, #driver.sent)
    assert.equal(6, #assert(runs.all({ limit = 3 }, { max_pages = 2, prefetch = 0 })))
    assert.equal(4, #driver.sent)
    assert.same({ { score = 0.5 } }, assert(runs.all({}, { max_items = 1, fields = { "score" } })))
  end)

  it("returns nil, message and an error whose cursor resumes it", function()
    local down = true
    local runs, driver = new(scripted.runs(10, function(page)
      if page.first == 5 and down then return scripted.status(500) end
    end))
    local items, message, err = runs.all { limit = 2 }
    assert.is_nil(items)
    assert.equal("this is a 500", message)
    assert.is_true(retab.is_error(err))
    assert.equal("run_4", err.cursor)
    assert.equal(3, #driver.sent)
    down = false
    local rest = assert(runs.all { limit = 2, after = err.cursor })
    assert.equal("run_5", rest[1].id)
    assert.equal(6, #rest)
  end)

  it("checks its arguments at the caller's line", function()
    local runs, driver = new {}
    local ok, message = pcall(function() return runs.all({ limit = 0 }) end)
    assert.is_false(ok)
    assert.matches("walk_spec.lua:%d+: bad parameter 'limit': must be an integer from 1 to 100, got 0$", message)
    assert.is_false((pcall(runs.all, {}, { max_items = 0 })))
    assert.same({}, driver.log)
  end)
end)

describe("a walk whose client is closed", function()
  it("hands out the page that it has, then returns an error of kind cancelled", function()
    for prefetch = 0, 4 do
      local runs, driver, client = new(scripted.runs(20), {}, { ready = true })
      local it, seen = runs.iter({ limit = 2 }, { prefetch = prefetch }), {}
      seen[1] = it:next().id
      client:close()
      local run, message, err
      repeat
        run, message, err = it:next()
        seen[#seen + 1] = run and run.id
      until not run
      for index, id in ipairs(seen) do assert.equal("run_" .. index, id) end
      assert.equal("client is closed", message)
      assert.equal("cancelled", err.kind)
      assert.equal(seen[#seen], err.cursor)
      local sent = #driver.sent
      assert.equal("cancelled", raised_by(it).kind)
      assert.equal(sent, #driver.sent)
      it:close()
      assert.is_nil((it:next()))
    end
  end)

  it("returns the error to a reader that waits", function()
    local runs, _, client = new(scripted.runs(4), {}, { yields = true })
    local it, results = runs.iter {}, nil
    local reader = coroutine.create(function() results = { it:next() } end)
    assert(coroutine.resume(reader))
    client:close()
    assert(coroutine.resume(reader))
    assert.is_nil(results[1])
    assert.equal("client is closed", results[2])
    assert.equal("cancelled", results[3].kind)
  end)

  it("ends all with the error", function()
    local client
    local clients = { new(scripted.runs(9), { on_response = function() client:close() end }) }
    client = clients[3]
    local items, message, err = client.workflows.experiments.runs.all { limit = 2 }
    assert.is_nil(items)
    assert.equal("client is closed", message)
    assert.equal("cancelled", err.kind)
  end)
end)

describe("a coroutine that is closed", function()
  it("inside api_key or a hook leaves the walk to others", function()
    if not coroutine.close then return pending "this Lua closes no coroutines" end
    for _, name in ipairs { "api_key", "on_request", "on_response" } do
      for parallel = 1, 3, 2 do
        for stopping = 1, 2 do
          local count = 0
          local runs = new(scripted.runs(30), { [name] = function()
            count = count + 1
            if count == stopping then coroutine.yield() end
            return "sk_test"
          end })
          local it, seen = runs.iter({ limit = 10, from_date = 0 }, { parallel = parallel }), 0
          local reader = coroutine.create(function()
            for _ in it do seen = seen + 1 end
          end)
          assert(coroutine.resume(reader))
          assert.is_false((pcall(it.next, it)))
          assert(coroutine.close(reader))
          assert.same(upto(30, seen + 1), numbers(it))
        end
      end
    end
  end)
end)

describe("a hook", function()
  local hooks = { "on_request", "on_response" }

  --- The requests that are neither awaited nor cancelled.
  local function left(driver)
    local open = {}
    for _, line in ipairs(driver.log) do
      local verb, number = line:match "^(%a+) (%d+)$"
      if verb then open[number] = verb == "send" or nil end
    end
    return open
  end

  it("that steps the walk is refused, and the walk goes on", function()
    for _, name in ipairs(hooks) do
      for prefetch = 0, 2 do
        local it, refused = nil, 0
        local runs = new(scripted.runs(9), { [name] = function()
          local ok, message = pcall(it.next, it)
          assert.is_false(ok)
          assert.matches("already waiting", message)
          refused = refused + 1
        end }, { ready = true })
        it = runs.iter({ limit = 2 }, { prefetch = prefetch })
        assert.same(upto(9), numbers(it))
        assert.equal(5, refused)
      end
    end
  end)

  it("that closes the walk makes its step fail as cancelled; nothing stays under way", function()
    for _, name in ipairs(hooks) do
      for _, kind in ipairs(kinds) do
        for prefetch = 0, 2 do
          for closing = 1, 4 do
            local it, count = nil, 0
            local runs, driver = new(scripted.runs(9), { [name] = function()
              count = count + 1
              if count == closing then it:close() end
            end }, { ready = true })
            it = runs[kind]({ limit = 2 }, { prefetch = prefetch })
            local last = 0
            local item, _, err
            repeat
              item, _, err = it:next()
              assert.is_true(count < closing or item == nil)
              for _, run in ipairs(item and item.data or { item }) do
                last = last + 1
                assert.equal("run_" .. last, run.id)
              end
            until not item
            assert.equal("cancelled", err.kind)
            assert.same({}, left(driver))
            assert.is_nil((it:next()))
            assert.equal(closing, count)
          end
        end
      end
    end
  end)

  it("that closes the client makes the walk fail as cancelled; nothing stays under way", function()
    for _, name in ipairs(hooks) do
      for prefetch = 0, 2 do
        for closing = 1, 4 do
          local client, runs, driver
          local count, last = 0, 0
          runs, driver, client = new(scripted.runs(9), { [name] = function()
            count = count + 1
            if count == closing then client:close() end
          end }, { ready = true })
          local it = runs.iter({ limit = 2 }, { prefetch = prefetch })
          local run, message, err
          repeat
            run, message, err = it:next()
            if run then
              last = last + 1
              assert.equal("run_" .. last, run.id)
            end
          until not run
          assert.equal("client is closed", message)
          assert.equal("cancelled", err.kind)
          assert.same({}, left(driver))
          assert.equal(closing, count)
        end
      end
    end
  end)

  it("that raises does not disturb the walk", function()
    local runs = new(scripted.runs(9), { on_request = error, on_response = error })
    assert.same(upto(9), numbers(runs.iter { limit = 2 }))
  end)
end)

describe("a reader that dies in the driver", function()
  it("leaves a walk that goes on in another coroutine", function()
    for failing = 1, 3 do
      for prefetch = 0, 2 do
        local runs, driver = new(scripted.runs(6), {}, { yields = true })
        local await, awaited = driver.await, 0
        function driver.await(ticket)
          awaited = awaited + 1
          local response, err = await(ticket)
          if awaited == failing then error "the driver is broken" end
          return response, err
        end
        local it, seen = runs.iter({ limit = 2 }, { prefetch = prefetch }), {}
        local function read()
          while true do
            local run = it:next()
            if not run then return end
            seen[#seen + 1] = tonumber(run.id:match "%d+")
          end
        end
        local deaths = 0
        repeat
          local reader, ok = coroutine.create(read), true
          while ok and coroutine.status(reader) ~= "dead" do ok = coroutine.resume(reader) end
          if not ok then deaths = deaths + 1 end
        until ok
        assert.equal(1, deaths)
        assert.same(upto(6), seen)
      end
    end
  end)

  it("goes on itself where it catches the error, if it waits without yielding", function()
    local runs, driver = new(scripted.runs(6))
    local await, awaited = driver.await, 0
    function driver.await(ticket)
      awaited = awaited + 1
      if awaited == 2 then error "the driver is broken" end
      return await(ticket)
    end
    local it, seen, failures = runs.iter { limit = 2 }, {}, 0
    local reader = coroutine.create(function()
      while true do
        local ok, run = pcall(it.next, it)
        if not ok then failures = failures + 1 end
        if ok and not run then return end
        if ok then seen[#seen + 1] = tonumber(run.id:match "%d+") end
      end
    end)
    assert(coroutine.resume(reader))
    assert.equal(1, failures)
    assert.same(upto(6), seen)
  end)
end)

describe("a step in which an error is raised anywhere", function()
  --- Calls f. The function call number `nth` in it raises, as a call does where memory runs out.
  --- @return number calls of functions
  --- @return boolean ok
  --- @return any, any
  local function raise_at(nth, f)
    local calls, is_over = 0, false
    local function count()
      calls = calls + 1
      if calls == nth and not is_over then error("not enough memory", 0) end
    end
    local ok, value, err = pcall(function()
      debug.sethook(count, "c")
      return f()
    end)
    is_over = true
    debug.sethook()
    return calls, ok, value, err
  end

  --- Walks once for each function call, which raises, until a walk has no such call.
  local function check(make, count)
    local nth = 0
    local left
    repeat
      nth = nth + 1
      left = nth
      local it, seen, failures = make(), {}, 0
      local is_over
      repeat
        local calls, ok, item, err = raise_at(left, function()
          local item, _, err = it:next()
          return item, err
        end)
        left = left - calls
        if ok and item then
          for _, run in ipairs(item.data or { item }) do
            seen[#seen + 1] = tonumber((run.id or it.cursor):match "%d+")
          end
        elseif not ok or err then
          failures = failures + 1
          if failures == 2 then error(("the walk does not recover from call %d: %s"):format(nth, item or err)) end
        end
        is_over = ok and not item and not err
      until is_over
      assert.same(upto(count), seen, "call " .. nth)
    until left > 0
    assert.is_true(nth > 100)
  end

  local function try(name, make, count)
    it("loses and repeats no run: " .. name, function()
      local jit_library = rawget(_G, "jit")
      if jit_library then -- compiled code calls no hook
        jit_library.off()
        finally(function() jit_library.on() end)
      end
      check(make, count)
    end)
  end

  for _, kind in ipairs(kinds) do
    for prefetch = 0, 2 do
      try(("%s, prefetch %d"):format(kind, prefetch), function()
        local runs = new(scripted.runs(4), { on_request = function() end, on_response = function() end },
          { ready = true })
        return (runs[kind]({ limit = 2 }, { prefetch = prefetch }))
      end, 4)
    end
    try(kind .. ", max_items", function()
      return (new(scripted.runs(4))[kind]({ limit = 2 }, { max_items = 3 }))
    end, 3)
  end

  try("fields", function()
    return (new(scripted.runs(4)).iter({ limit = 2 }, { fields = { "score" } }))
  end, 4)
end)
