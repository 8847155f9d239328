local retab = require "retab"
local scripted = require "spec.scripted_driver"

local function new(script, options)
  local driver = scripted.new(script)
  local given = { api_key = "sk_test", base_url = "https://api.example.com", driver = driver, max_retries = 0 }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, driver, client
end

local filters = {
  workflow_id = "wf_1", experiment_id = "exp_1", block_id = "block 1", status = "completed", exclude_status = "error",
  trigger_type = "api", from_date = "2026-05-01", to_date = "2026-05-02T10:00:00Z", sort_by = "created_at", limit = 5,
  order = "asc",
}

local function with(params, more)
  local merged = {}
  for name, value in pairs(params) do merged[name] = value end
  for name, value in pairs(more or {}) do merged[name] = value end
  return merged
end

--- The parameters as a query has them: all text.
local function as_sent(params)
  local sent = {}
  for name, value in pairs(params) do sent[name] = tostring(value) end
  return sent
end

describe("list", function()
  it("is called with a dot or a colon", function()
    local runs, driver = new { scripted.page { "a" }, scripted.page { "b" }, scripted.page {}, scripted.page {} }
    assert.equal("a", runs.list({ limit = 1 }, { headers = { ["X-A"] = "1" } }).data[1].id)
    assert.equal("b", runs:list({ limit = 1 }, { headers = { ["X-A"] = "1" } }).data[1].id)
    assert.same(driver.sent[1], driver.sent[2])
    assert(runs.list())
    assert(runs:list())
    assert.equal("https://api.example.com/v1/workflows/experiments/runs", driver.sent[3].url)
    assert.same(driver.sent[3], driver.sent[4])
  end)

  it("has siblings (iter, pages, request, parse) that are called with a dot or a colon, too", function()
    local runs = new(function() return scripted.page { "a" } end)
    for _, style in ipairs { function(name, ...) return runs[name](...) end,
      function(name, ...) return runs[name](runs, ...) end } do
      for run in style("iter", { limit = 3 }) do assert.equal("a", run.id) end
      for page in style("pages", { limit = 3 }) do assert.equal("a", page.data[1].id) end
      assert.is_truthy(style("request", { limit = 3 }).url:find("?limit=3", 1, true))
      assert.equal("b", style("parse", 200, {}, scripted.page({ "b" }).body).data[1].id)
    end
  end)

  it("refuses the list of another client as parameters", function()
    local runs, _, client = new { scripted.page {} }
    local other = retab.new { api_key = "k", driver = scripted.new {} }.workflows.experiments.runs
    assert.is_false((pcall(runs.list, other)))
    assert(client.workflows.experiments.runs.list {})
  end)

  it("sends the given parameters and no others", function()
    local runs, driver = new(function() return scripted.page {} end)
    assert(runs.list(filters))
    assert.same(as_sent(filters), scripted.query(driver.sent[1]))
    assert(runs.list { workflow_id = retab.null, limit = retab.null, after = retab.null, order = "desc" })
    assert.same({ order = "desc" }, scripted.query(driver.sent[2]))
    assert(runs.list { before = "exprun_9" })
    assert.same({ before = "exprun_9" }, scripted.query(driver.sent[3]))
    assert(runs.list({ after = "exprun_9" }, { query = { x = "1 2", flag = true, n = 3 } }))
    assert.same({ after = "exprun_9", x = "1 2", flag = "true", n = "3" }, scripted.query(driver.sent[4]))
  end)

  it("returns the page unmodified", function()
    local runs = new { scripted.json(
      '{"data":[{"id":"a","lifecycle":{"status":"paused"},"new":{"deep":[1,2.5,"x"]},"n":12}],'
      .. '"list_metadata":{"before":null,"after":"a","total":3},"took_ms":7}', { ["X-Request-Id"] = "req_1" }) }
    local page, message, err = runs.list {}
    assert.is_nil(message)
    assert.is_nil(err)
    local run = { id = "a", lifecycle = { status = "paused" }, new = { deep = { 1, 2.5, "x" } }, n = 12 }
    assert.same({ run }, page.data)
    assert.equal("a", page.list_metadata.after)
    assert.is_nil(page.list_metadata.before)
    assert.equal(3, page.list_metadata.total)
    assert.equal(7, page.took_ms)
    assert.equal("req_1", page.request_id)
    if math.type then assert.equal("integer", math.type(page.data[1].n)) end
  end)

  it("returns a page without a request id if the server sends none", function()
    local runs = new { scripted.json '{"data":[],"list_metadata":{"before":null,"after":null}}' }
    assert.is_nil(assert(runs.list {}).request_id)
  end)

  it("replaces null with the option null of the call, or else of the client", function()
    local body = '{"data":[{"id":"a","score":null}],"list_metadata":{"before":null,"after":null}}'
    local function respond() return scripted.json(body) end
    local runs = new(respond, { null = retab.null })
    local page = assert(runs.list {})
    assert.equal(retab.null, page.data[1].score)
    assert.is_nil(page.list_metadata.after)
    assert.is_nil(page.list_metadata.before)
    page = assert(runs.list({}, { null = "none" }))
    assert.equal("none", page.data[1].score)
    assert.is_nil(page.list_metadata.after)
    page = assert(runs.list({}, { null = false }))
    assert.is_false(page.data[1].score)
    runs = new(respond)
    assert.is_nil(assert(runs.list {}).data[1].score)
    assert.equal(retab.null, assert(runs.list({}, { null = retab.null })).data[1].score)
  end)

  it("builds only the selected fields", function()
    local function respond()
      return scripted.json(
        '{"data":[{"id":"a","score":0.5,"lifecycle":{"status":"error","message":"m"},"x":1},{"id":"b"}],'
        .. '"list_metadata":{"before":null,"after":"b"}}')
    end
    local runs = new(respond)
    local page = assert(runs.list({}, { fields = { "id", "lifecycle.status", "score" } }))
    assert.same({ { id = "a", lifecycle = { status = "error" }, score = 0.5 }, { id = "b" } }, page.data)
    assert.equal("b", page.list_metadata.after)
    page = assert(runs.list({}, { fields = { "score" } }))
    assert.same({ { score = 0.5 }, {} }, page.data)
    assert.equal(1, assert(runs.list {}).data[1].x)
  end)

  it("fails with the cursor that it was called with in err.cursor", function()
    local runs = new(function() return scripted.status(500) end)
    local _, _, err = runs.list { after = "exprun_4" }
    assert.equal("exprun_4", err.cursor)
    _, _, err = runs.list {}
    assert.is_nil(err.cursor)
  end)
end)

describe("a page", function()
  it("has more pages after it unless `after` is null, absent or empty", function()
    for text, more in pairs { ['"a"'] = true, null = false, ['""'] = false } do
      for _, null in ipairs { false, "none" } do
        local runs = new { scripted.json(('{"data":[],"list_metadata":{"before":"x","after":%s}}'):format(text)) }
        local page = assert(runs.list({}, { null = null or nil }))
        assert.equal(more, page:has_more(), text)
      end
    end
    local runs = new { scripted.json '{"data":[],"list_metadata":{}}' }
    assert.is_false(assert(runs.list {}):has_more())
  end)

  it("requests the next page with the same filters, `after` set and `before` dropped", function()
    local runs, driver = new {
      scripted.page({ "a" }, { before = "a", after = "a" }), scripted.page({ "b" }, { before = "b", after = "b" }),
      scripted.page({ "c" }),
    }
    local options = { headers = { ["X-Team"] = "t" }, query = { extra = "1" }, timeout = 9 }
    local first = assert(runs.list(with(filters, { before = "z" }), options))
    local second = assert(first:next())
    local third = assert(second:next())
    assert.equal("c", third.data[1].id)
    assert.same(as_sent(with(filters, { before = "z", extra = "1" })), scripted.query(driver.sent[1]))
    assert.same(as_sent(with(filters, { after = "a", extra = "1" })), scripted.query(driver.sent[2]))
    assert.same(as_sent(with(filters, { after = "b", extra = "1" })), scripted.query(driver.sent[3]))
    for _, request in ipairs(driver.sent) do
      assert.equal("t", request.headers["X-Team"])
      assert.equal(9, request.timeout)
    end
  end)

  it("requests the previous page with the same filters, `before` set and `after` dropped", function()
    local runs, driver = new {
      scripted.page({ "d" }, { before = "d", after = "d" }), scripted.page({ "c" }, { before = "c", after = "c" }),
      scripted.page({ "b" }),
    }
    local page = assert(runs.list(with(filters, { after = "e" }), { null = retab.null }))
    page = assert(page:prev())
    assert.equal(retab.null, page.data[1].note)
    page = assert(page:prev())
    assert.equal("b", page.data[1].id)
    assert.same(as_sent(with(filters, { after = "e" })), scripted.query(driver.sent[1]))
    assert.same(as_sent(with(filters, { before = "d" })), scripted.query(driver.sent[2]))
    assert.same(as_sent(with(filters, { before = "c" })), scripted.query(driver.sent[3]))
    assert.is_false(page:has_more())
  end)

  it("returns nil, without an error and without a request, if there is no next or previous page", function()
    local empty_cursors = scripted.json '{"data":[],"list_metadata":{"before":"","after":""}}'
    local runs, driver = new { scripted.page { "a" }, empty_cursors }
    for _ = 1, 2 do
      local page = assert(runs.list {})
      for _, name in ipairs { "next", "prev" } do
        local got, message, err = page[name](page)
        assert.is_nil(got)
        assert.is_nil(message)
        assert.is_nil(err)
      end
    end
    assert.equal(2, #driver.sent)
  end)

  it("can request its next page again, and keeps a copy of the caller's tables", function()
    local runs, driver = new(function(request)
      return scripted.page({ scripted.query(request).after or "first" }, { after = "a" })
    end)
    local params, options = { limit = 5, experiment_id = "exp_1" }, { query = { q = "1" } }
    local page = assert(runs.list(params, options))
    params.limit, params.experiment_id, options.query.q = 99, "changed", "changed"
    assert.equal("a", assert(page:next()).data[1].id)
    assert.equal("a", assert(page:next()).data[1].id)
    assert.same({ limit = "5", experiment_id = "exp_1", after = "a", q = "1" }, scripted.query(driver.sent[2]))
    assert.same(driver.sent[2].url, driver.sent[3].url)
    assert.same({ limit = 99, experiment_id = "changed" }, params)
  end)

  it("returns nil, message and err if the next page fails, and the page at the next try", function()
    local runs = new {
      scripted.page({ "a" }, { after = "a", before = "a" }), scripted.status(500), scripted.status(404),
      scripted.page { "b" },
    }
    local page = assert(runs.list {})
    local got, message, err = page:next()
    assert.is_nil(got)
    assert.equal("this is a 500", message)
    assert.equal("server", err.kind)
    assert.equal("a", err.cursor)
    got, message, err = page:prev()
    assert.is_nil(got)
    assert.is_string(message)
    assert.equal("not_found", err.kind)
    assert.equal("b", assert(page:next()).data[1].id)
  end)

  it("fails with cursor_loop, without a request, if its cursor leads to itself", function()
    for name, other in pairs { next = "after", prev = "before" } do
      local runs, driver = new(function() return scripted.page({ "a" }, { [other] = "a" }) end)
      local page = assert(runs.list { [other] = "a" })
      local got, message, err = page[name](page)
      assert.is_nil(got)
      assert.equal(message, err.message)
      assert.equal("cursor_loop", err.kind)
      assert.equal("req_of_page", err.request_id)
      assert.equal(1, #driver.sent)
    end
  end)

  it("of a walk has next and previous pages too, with the fields that the caller selected", function()
    local runs, driver = new(scripted.runs(9))
    for _, prefetch in ipairs { 0, 1 } do
      local sent = #driver.sent
      local it = runs.pages({ limit = 3, experiment_id = "exp_1" }, { fields = { "score" }, prefetch = prefetch })
      local page = assert(it:next())
      it:close()
      local following = assert(page:next())
      assert.same({ { score = 0.5 }, { score = 0.5 }, { score = 0.5 } }, following.data)
      assert.same({ experiment_id = "exp_1", limit = "3", after = "run_3" }, scripted.query(driver.sent[#driver.sent]))
      assert.equal(2 + prefetch, #driver.sent - sent)
    end
  end)

  it("raises if its client is closed", function()
    local runs, driver, client = new { scripted.page({ "a" }, { after = "a", before = "a" }) }
    local page = assert(runs.list {})
    client:close()
    for _, name in ipairs { "next", "prev" } do
      local ok, message = pcall(function() return page[name](page) end)
      assert.is_false(ok)
      assert.matches("page_spec.lua:%d+: client is closed$", message)
    end
    assert.equal(1, #driver.sent)
  end)

  it("of parse raises in next and prev, and can tell that it has more", function()
    local runs, driver = new {}
    local page = assert(runs.parse(200, {}, scripted.page({ "a" }, { after = "a" }).body))
    assert.is_true(page:has_more())
    for _, name in ipairs { "next", "prev" } do assert.is_false((pcall(page[name], page))) end
    assert.same({}, driver.sent)
  end)

  it("is a decode error if its envelope is not that of a list", function()
    for _, body in ipairs {
      '[]', '{}', '"text"', '{"data":{},"list_metadata":{}}', '{"data":[]}', '{"data":[],"list_metadata":[]}',
      '{"data":[],"list_metadata":{"after":1}}', '{"data":[],"list_metadata":{"before":{}}}', '{"data":[', "",
    } do
      local runs = new { scripted.json(body) }
      local page, message, err = runs.list {}
      assert.is_nil(page, body)
      assert.equal("decode", err.kind, body)
      assert.equal(message, err.message)
    end
  end)
end)

describe("a closed client", function()
  it("raises at the caller's line in every function", function()
    local runs, driver, client = new {}
    client:close()
    for _, name in ipairs { "list", "iter", "pages", "all", "request", "parse" } do
      local ok, message = pcall(function() return runs[name] {} end)
      assert.is_false(ok, name)
      assert.matches("page_spec.lua:%d+: client is closed$", message)
    end
    assert.same({}, driver.sent)
  end)
end)
