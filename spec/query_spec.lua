--- The URL of a request: parameters in the contract's order, percent-encoded, `query` behind them.
local core = require "retab.core"
local retab = require "retab"

local origin = "https://api.example.com/v1/workflows/experiments/runs"

local function new_runs(options)
  options = options or {}
  options.api_key, options.base_url = "sk_test", options.base_url or "https://api.example.com"
  return retab.new(options).workflows.experiments.runs
end

local runs = new_runs()

--- The query string of a request, without its question mark.
local function query_of(params, options)
  local url = runs.request(params, options).url
  assert.equal(origin, url:sub(1, #origin))
  local rest = url:sub(#origin + 1)
  if rest == "" then return "" end
  assert.equal("?", rest:sub(1, 1))
  return rest:sub(2)
end

describe("A request's URL", function()
  it("has no query where nothing is given", function()
    assert.equal(origin, runs.request({}).url)
    assert.equal(origin, runs.request().url)
    assert.equal(origin, runs.request({}, {}).url)
    assert.equal(origin, runs.request({}, { query = {} }).url)
    assert.equal(origin, runs.request({ after = retab.null, limit = retab.null, status = retab.null }).url)
  end)

  it("has every parameter in the contract's order, however they are given", function()
    local in_order = {
      { "workflow_id", "wf_1" }, { "experiment_id", "exp_1" }, { "block_id", "b_1" }, { "status", "completed" },
      { "exclude_status", "error" }, { "trigger_type", "api" }, { "from_date", "2026-05-01" }, { "to_date",
        "2026-05-02" },
      { "sort_by", "created_at" }, { "after", "run_1" }, { "limit", 7 }, { "order", "asc" },
    }
    local forwards, backwards, expected = {}, {}, {}
    for index, pair in ipairs(in_order) do
      forwards[pair[1]] = pair[2]
      expected[index] = pair[1] .. "=" .. pair[2]
    end
    for index = #in_order, 1, -1 do backwards[in_order[index][1]] = in_order[index][2] end
    assert.equal(table.concat(expected, "&"), query_of(forwards))
    assert.equal(table.concat(expected, "&"), query_of(backwards))
    assert.equal("sort_by=x&before=run_1&limit=7", query_of { limit = 7, before = "run_1", sort_by = "x" })
  end)

  it("sends what is given and no defaults", function()
    for name, value in pairs { workflow_id = "a", order = "desc", limit = 20, sort_by = "created_at", before = "b" } do
      assert.equal(name .. "=" .. value, query_of { [name] = value })
    end
  end)

  it("has whole numbers without a fraction", function()
    assert.equal("limit=100", query_of { limit = 100.0 })
    assert.equal("limit=1", query_of { limit = 1 })
  end)

  it("has dates as they are given, and epoch seconds as RFC 3339 in UTC", function()
    assert.equal("from_date=2026-05-01", query_of { from_date = "2026-05-01" })
    assert.equal("from_date=2026-05-02T11%3A00%3A00%2B02%3A00", query_of { from_date = "2026-05-02T11:00:00+02:00" })
    assert.equal("to_date=2026-05-02T11%3A00%3A00Z", query_of { to_date = 1777719600 })
    assert.equal("from_date=1970-01-01T00%3A00%3A00Z", query_of { from_date = 0 })
  end)

  it("escapes every byte but those that RFC 3986 leaves alone", function()
    for code = 0, 255 do
      local char = string.char(code)
      local expected = char:find "^[A-Za-z0-9%-._~]$" and char or ("%%%02X"):format(code)
      assert.equal("after=x" .. expected .. "y", query_of { after = "x" .. char .. "y" })
    end
  end)

  it("escapes what would be more parameters, another path or a fragment", function()
    assert.equal("after=a%26before%3Db%23c%3Fd%2F..%2B%20%25", query_of { after = "a&before=b#c?d/..+ %" })
    assert.equal("experiment_id=%C3%A9%E2%82%AC%F0%9F%99%82", query_of { experiment_id = "é€\240\159\153\130" })
    assert.equal("after=a%00b%0D%0AX%3A%201", query_of { after = "a\0b\r\nX: 1" })
  end)

  it("keeps a long value whole", function()
    assert.equal("after=" .. ("%20a"):rep(50000), query_of { after = (" a"):rep(50000) })
  end)

  it("stands behind the base URL with its prefix", function()
    assert.equal("https://h.example/proxy/v1/workflows/experiments/runs?limit=1",
      new_runs { base_url = "https://h.example/proxy/v1/" }.request({ limit = 1 }).url)
  end)
end)

describe("The option query", function()
  it("stands behind the parameters, sorted by name", function()
    local query = { zeta = "1", alpha = "2", Beta = "3", ["group-by"] = "4" }
    assert.equal("limit=5&order=asc&Beta=3&alpha=2&group-by=4&zeta=1", query_of({ order = "asc", limit = 5 },
      { query = query }))
    assert.equal("Beta=3&alpha=2&group-by=4&zeta=1", query_of({}, { query = query }))
  end)

  it("is escaped, names and values", function()
    assert.equal("a%26b=c%3Dd%20e&a%5B%5D=%C3%A9", query_of({}, { query = { ["a&b"] = "c=d e", ["a[]"] = "é" } }))
  end)

  it("takes numbers, booleans and empty strings as well", function()
    assert.equal("a=5&b=true&c=&d=0.5", query_of({}, { query = { a = 5, b = true, c = "", d = 0.5 } }))
  end)

  it("raises for every name of the contract: it can't override a cursor or a filter", function()
    for _, name in ipairs {
      "workflow_id", "experiment_id", "block_id", "status", "exclude_status", "trigger_type", "from_date", "to_date",
      "sort_by", "before", "after", "limit", "order",
    } do
      for _, method in ipairs { "request", "list", "iter", "pages" } do
        local ok, message = pcall(function()
          local made = runs[method]({}, { query = { [name] = "x" } })
          return made
        end)
        assert.is_false(ok)
        assert.matches("query", message)
        assert.matches("'" .. name .. "'", message)
      end
    end
  end)

  it("raises for what is no table of names and plain values", function()
    for _, query in ipairs { "a=b", 5, true, { "a" }, { [""] = "x" }, { a = {} }, { a = print } } do
      local ok, message = pcall(function()
        local made = runs.request({}, { query = query })
        return made
      end)
      assert.is_false(ok)
      assert.matches("query", message)
    end
  end)
end)

describe("core.url", function()
  it("joins a base, a path and pairs in their order", function()
    assert.equal("https://h/p", core.url("https://h", "/p", {}))
    assert.equal("https://h/p?b=1&a=2&b=3", core.url("https://h", "/p", { "b", "1", "a", "2", "b", "3" }))
  end)

  it("raises for anything but strings", function()
    assert.has_error(function() core.url("https://h", "/p", { "a", 5 }) end)
    assert.has_error(function() core.url("https://h", "/p", { "a", true }) end)
    assert.has_error(function() core.url("https://h", "/p") end)
    assert.has_error(function() core.url(nil, "/p", {}) end)
  end)
end)
