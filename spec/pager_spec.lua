local retab = require "retab"
local scripted = require "spec.scripted_driver"

local closes_loops = _VERSION == "Lua 5.4"
local yields_in_for = _VERSION ~= "Lua 5.1" or jit ~= nil

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

--- The numbers of the runs of a walk: a list to compare with `upto`.
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
  it("gives every run of every page once, in order", function()
    for _, count in ipairs { 0, 1, 99, 100, 101, 250, 1000 } do
      for prefetch = 0, 3 do
        local runs, driver = new(scripted.runs(count))
        assert.same(upto(count), numbers(runs.iter({}, { prefetch = prefetch })))
        assert.equal(math.max(1, math.ceil(count / 100)), #driver.sent)
      end
    end
  end)

  it("gives every page once, in order", function()
    local runs, driver = new(scripted.runs(250))
    local sizes = {}
    for page in runs.pages {} do
      sizes[#sizes + 1] = #page.data
      assert.equal("req_of_page", page.request_id)
    end
    assert.same({ 100, 100, 50 }, sizes)
    assert.equal(3, #driver.sent)
  end)

  it("asks for pages of 100, unless limit says otherwise", function()
    for _, kind in ipairs(kinds) do
      local runs, driver = new(scripted.runs(3))
      for _ in runs[kind] {} do end
      for _ in runs[kind] { limit = 2 } do end
      assert.same({ { limit = "100" }, { limit = "2" }, { limit = "2", after = "run_2" } }, queries(driver))
    end
  end)

  it("repeats the same filters each time, after set and before dropped", function()
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

  it("never sends the before that a page has", function()
    local runs, driver = new(scripted.runs(30, function(page) page.before = "run_" .. page.first end))
    assert.same(upto(30), numbers(runs.iter { limit = 10 }))
    for _, query in ipairs(queries(driver)) do assert.is_nil(query.before) end
  end)

  it("ends where after is null, or empty", function()
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

  it("takes a run of an unknown status, or one without an id, as it is", function()
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

  it("can be stepped by a loop that is given the iterator alone", function()
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

  it("checks its arguments when it is made, at the caller's line", function()
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
        { "exp_1", nil, "params" },
      } do
        local ok, message = pcall(function() return runs[kind](case[1], case[2]) end)
        assert.is_false(ok, case[3])
        assert.is_truthy(message:find("pager_spec.lua:%d+: ") and message:find(case[3], 1, true), message)
      end
      assert.same({}, driver.log)
    end
  end)

  it("has options that list has not", function()
    local runs = new {}
    for _, name in ipairs { "max_items", "max_pages", "prefetch", "parallel" } do
      assert.is_false((pcall(runs.list, {}, { [name] = 1 })))
    end
  end)
end)

describe("prefetch", function()
  it("of 1, the default, sends page n+1 when page n arrives", function()
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

  it("of 0 sends a page when it is needed", function()
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

  it("works the same for pages", function()
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

  it("of n has up to n pages requested ahead of the reader, never more", function()
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

  it("of n does not wait for what is not there yet", function()
    local runs, driver = new(scripted.runs(40), {}, { ready = 3 })
    local it = runs.pages({ limit = 2 }, { prefetch = 5 })
    assert(it:next())
    assert.same({ "send 1", "await 1", "send 2", "await 2", "send 3", "await 3", "send 4" }, driver.log)
  end)

  it("hides no page behind a failure further ahead", function()
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
  it("gives as many runs, with no request too many", function()
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

  it("cuts the last page, and is no page size", function()
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

  it("counts runs, not pages that are empty", function()
    local runs = new { scripted.page({}, { after = "a" }), scripted.page({ "run_1" }, { after = "b" }) }
    assert.same({ 1 }, numbers(runs.iter({}, { max_items = 1 })))
  end)
end)

describe("max_pages", function()
  it("gives as many pages, with no request too many", function()
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

  it("holds beside max_items, whichever comes first", function()
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

  it("is what it:next() returns behind nil", function()
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

  it("says where to go on, from where the walk began on", function()
    local runs = new(function() return scripted.status(500) end)
    local _, _, err = runs.iter { after = "run_5" }:next()
    assert.equal("run_5", err.cursor)
  end)

  it("is gone on from at the same place, nothing lost or repeated", function()
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

  it("of a for loop leaves an iterator that goes on", function()
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

  it("of the key's function leaves an iterator that goes on", function()
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
    assert.is_true(given > lead + cycle, "found before it came again")
    assert.is_true(#driver.sent <= 3 * (lead + cycle) + 6,
      ("lead-in %d, cycle %d: %d requests"):format(lead, cycle, #driver.sent))
    return it, driver
  end

  it("is an error for any lead-in and cycle, found within 3 x (lead-in + cycle) + 6 requests", function()
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

  it("stays an error, and nothing more is sent", function()
    local it, driver = find_loop(1, 2, { prefetch = 0 })
    local sent = #driver.sent
    local run, _, err = it:next()
    assert.is_nil(run)
    assert.equal("cursor_loop", err.kind)
    assert.equal(sent, #driver.sent)
  end)

  it("is an error where the walk was begun with it", function()
    local runs, driver = new(looping(0, 3), {})
    local _, err = pcall(numbers, runs.iter { after = "cursor_2" })
    assert.equal("cursor_loop", err.kind)
    assert.is_true(#driver.sent <= 3 * 3 + 6)
  end)

  it("is told in pages too, from page to itself at once", function()
    local runs, driver = new(function() return scripted.page({ "run_1" }, { after = "run_1" }) end)
    assert.equal("cursor_loop", raised_by(runs.pages {}).kind)
    assert.is_true(#driver.sent <= 9)
  end)

  it("is never seen where all differ", function()
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

  it("is no loop when a failed page is asked for again and again", function()
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
  it("is the id of the last run handed out, nil before the first", function()
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

  it("is there whatever fields says, and the runs have no id then", function()
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

  if closes_loops then
    it("cancels at once what was sent ahead", function()
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
  end

  it("cancels by it:close() what was sent ahead, once; the walk is over", function()
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

  it("leaves the client as it was", function()
    local it, _, client, runs = begun "iter"
    assert(it:next())
    it:close()
    assert.same(upto(9), numbers(runs.iter { limit = 4 }))
    client:close()
    it:close()
  end)

  it("by closing the client hands out what is there, then raises", function()
    for prefetch = 0, 4 do
      local runs, _, client = new(scripted.runs(20), {}, { ready = true })
      local it = runs.iter({ limit = 2 }, { prefetch = prefetch })
      assert(it:next())
      client:close()
      local ok, message
      local count = 0
      repeat
        ok, message = pcall(it.next, it)
        count = count + 1
      until not ok or message == nil or count > 20
      assert.is_false(ok)
      assert.is_truthy(message:find("client is closed$"), message)
      assert.is_true(count <= 2 + 2 * prefetch)
    end
  end)

  it("of a walk that nobody holds any more lets go of everything", function()
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
  it("suspends the reader where it waits, and nowhere else", function()
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

  if yields_in_for then
    it("suspends a for loop", function()
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
  end

  it("belongs to the one that waits: a second one is told, and nothing is lost", function()
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

  it("outlives a reader that dies while it waits", function()
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

  it("may be shared by those that take turns", function()
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

  it("that is closed while it waits ends, and cancels", function()
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
    assert.is_nil((it:next()))
    assert.equal(1, #driver.sent)
  end)
end)

describe("any walk", function()
  --- A server of `count` runs that cuts pages as it likes, empty ones too, and fails as it likes.
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
        page.after = ("run_%d~%d"):format(page.first - 1, empties) -- the same place by another name
      end
    end)
  end

  --- Reads a whole list by random walks, breaks and resumptions, and gives the numbers of the runs.
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

  it("gives every run exactly once, in order, whatever happens", function()
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

describe("what fails while the next page is sent ahead", function()
  for _, what in ipairs { "the key's function", "the driver's send" } do
    it("costs no run: " .. what, function()
      local sent, failing = 0, false
      local driver = scripted.new(scripted.runs(6))
      local send = driver.send
      function driver.send(request)
        sent = sent + 1
        if what == "the driver's send" and sent == 2 then error "down" end
        return send(request)
      end
      local asked = 0
      local runs = require("retab").new({
        base_url = "http://localhost", driver = driver,
        api_key = function()
          asked = asked + 1
          failing = what == "the key's function" and asked == 2
          if failing then error "down" end
          return "sk_test"
        end,
      }).workflows.experiments.runs
      local seen = {}
      local it = runs.iter { limit = 2 }
      for run in it do seen[#seen + 1] = run.id end
      assert.same({ "run_1", "run_2", "run_3", "run_4", "run_5", "run_6" }, seen)
    end)
  end
end)

describe("a page with null among its runs", function()
  it("hands out the runs, each of them", function()
    local rows, wanted = {}, {}
    for i = 1, 100 do
      rows[i] = i % 3 == 0 and "null" or ('{"id":"r%d"}'):format(i)
      if i % 3 ~= 0 then wanted[#wanted + 1] = "r" .. i end
    end
    local body = '{"data":[' .. table.concat(rows, ",") .. '],"list_metadata":{}}'
    local function answer() return { status = 200, headers = {}, body = body } end
    local seen = {}
    local driver = scripted.new(answer)
    local client = require("retab").new { api_key = "sk_test", base_url = "http://localhost", driver = driver }
    for run in client.workflows.experiments.runs.iter {} do
      seen[#seen + 1] = run.id
    end
    assert.same(wanted, seen)
  end)
end)

describe("a page cut by max_items", function()
  it("goes on behind its last run", function()
    local driver = scripted.new(scripted.runs(6))
    local runs = require("retab").new({ api_key = "sk_test", base_url = "http://localhost", driver = driver })
      .workflows.experiments.runs
    local page = runs.pages({ limit = 4 }, { max_items = 3 }):next()
    assert.equal(3, #page.data)
    assert.equal("run_3", page.list_metadata.after)
  end)
end)
