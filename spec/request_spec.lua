--- The request of a list: its URL, percent-encoding, the option `query`, and its headers.
local retab = require "retab"

local origin = "https://api.example.com/v1/workflows/experiments/runs"

local function new_client(options)
  options = options or {}
  options.api_key, options.base_url = "sk_test", options.base_url or "https://api.example.com"
  return retab.new(options)
end

local runs = new_client().workflows.experiments.runs

--- The query string of a request, without its question mark.
local function query_of(params, options)
  local url = runs.request(params, options).url
  assert.equal(origin, url:sub(1, #origin))
  local rest = url:sub(#origin + 1)
  if rest == "" then return "" end
  assert.equal("?", rest:sub(1, 1))
  return rest:sub(2)
end

local function raised(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

describe("The URL of a request", function()
  it("has no query if no parameter is given", function()
    assert.equal(origin, runs.request({}).url)
    assert.equal(origin, runs.request().url)
    assert.equal(origin, runs.request({}, {}).url)
    assert.equal(origin, runs.request({}, { query = {} }).url)
    assert.equal(origin, runs.request({ after = retab.null, limit = retab.null, status = retab.null }).url)
  end)

  it("has the parameters in the contract's order, in whatever order they are given", function()
    local in_order = {
      { "workflow_id", "wf_1" }, { "experiment_id", "exp_1" }, { "block_id", "b_1" }, { "status", "completed" },
      { "exclude_status", "error" }, { "trigger_type", "api" }, { "from_date", "2026-05-01" },
      { "to_date", "2026-05-02" }, { "sort_by", "created_at" }, { "after", "run_1" }, { "limit", 7 },
      { "order", "asc" },
    }
    local forwards, backwards, expected = {}, {}, {}
    for index, pair in ipairs(in_order) do
      forwards[pair[1]] = pair[2]
      expected[index] = pair[1] .. "=" .. pair[2]
    end
    for index = #in_order, 1, -1 do backwards[in_order[index][1]] = in_order[index][2] end
    assert.equal(table.concat(expected, "&"), query_of(forwards))
    assert.equal(table.concat(expected, "&"), query_of(backwards))
    assert.equal("before=run_1", query_of { before = "run_1" })
  end)

  it("writes limit as an integer, even if it is a float", function()
    assert.equal("limit=5", query_of { limit = 5.0 })
    assert.equal("limit=100", query_of { limit = 100 })
  end)

  it("writes epoch seconds as RFC 3339 in UTC", function()
    assert.equal("from_date=2026-05-01", query_of { from_date = "2026-05-01" })
    assert.equal("from_date=2026-05-02T11%3A00%3A00%2B02%3A00", query_of { from_date = "2026-05-02T11:00:00+02:00" })
    assert.equal("to_date=2026-05-02T11%3A00%3A00Z", query_of { to_date = 1777719600 })
    assert.equal("from_date=1970-01-01T00%3A00%3A00Z", query_of { from_date = 0 })
  end)

  it("percent-encodes every byte but the unreserved ones of RFC 3986", function()
    for code = 0, 255 do
      local char = string.char(code)
      local expected = char:find "^[A-Za-z0-9%-._~]$" and char or ("%%%02X"):format(code)
      assert.equal("after=x" .. expected .. "y", query_of { after = "x" .. char .. "y" })
    end
  end)

  it("encodes values so that none becomes another parameter, another path or a fragment", function()
    assert.equal("after=a%26before%3Db%23c%3Fd%2F..%2B%20%25", query_of { after = "a&before=b#c?d/..+ %" })
    assert.equal("experiment_id=%C3%A9%E2%82%AC%F0%9F%99%82", query_of { experiment_id = "é€\240\159\153\130" })
    assert.equal("after=a%00b%0D%0AX%3A%201", query_of { after = "a\0b\r\nX: 1" })
  end)

  it("keeps a long value whole", function()
    assert.equal("after=" .. ("%20a"):rep(50000), query_of { after = (" a"):rep(50000) })
  end)

  it("begins with the base URL and its path prefix", function()
    local prefixed = new_client { base_url = "https://h.example/proxy/v1/" }.workflows.experiments
    assert.equal("https://h.example/proxy/v1/workflows/experiments/runs?limit=1",
      prefixed.runs.request({ limit = 1 }).url)
    assert.equal("https://h.example/proxy/v1/workflows/experiments/results?run_id=r",
      prefixed.results.request({ run_id = "r" }).url)
    assert.equal("https://h.example/proxy/v1/workflows/experiments?workflow_id=w&block_id=b",
      prefixed.request({ block_id = "b", workflow_id = "w" }).url)
  end)
end)

describe("The option query", function()
  it("adds its parameters after the others, sorted by name", function()
    local query = { zeta = "1", alpha = "2", Beta = "3", ["group-by"] = "4" }
    assert.equal("limit=5&order=asc&Beta=3&alpha=2&group-by=4&zeta=1",
      query_of({ order = "asc", limit = 5 }, { query = query }))
    assert.equal("Beta=3&alpha=2&group-by=4&zeta=1", query_of({}, { query = query }))
  end)

  it("repeats the name for each value of an array, in order", function()
    assert.equal("a=2&a=1&a=true&b=x", query_of({}, { query = { a = { 2, 1, true }, b = { "x" } } }))
    assert.equal("", query_of({}, { query = { a = {} } }))
    assert.equal("limit=1&t=a%26b&t=c", query_of({ limit = 1 }, { query = { t = { "a&b", "c" } } }))
  end)

  it("is percent-encoded, names and values", function()
    assert.equal("a%26b=c%3Dd%20e&a%5B%5D=%C3%A9", query_of({}, { query = { ["a&b"] = "c=d e", ["a[]"] = "é" } }))
  end)

  it("takes numbers, booleans and empty strings as well", function()
    assert.equal("a=5&b=true&c=&d=0.5", query_of({}, { query = { a = 5, b = true, c = "", d = 0.5 } }))
  end)

  it("is not changed by later changes of the caller's table", function()
    local options = { query = { a = { "1" } } }
    local walk = runs.iter({}, options)
    options.query.a[1] = "2"
    assert.equal("a=2", query_of({}, options))
    walk:close()
  end)

  it("cannot override a parameter: its name raises", function()
    for _, name in ipairs {
      "workflow_id", "experiment_id", "block_id", "status", "exclude_status", "trigger_type", "from_date", "to_date",
      "sort_by", "before", "after", "limit", "order",
    } do
      for _, method in ipairs { "request", "list", "iter", "pages", "all" } do
        local message = raised(runs[method], {}, { query = { [name] = "x" } })
        assert.matches("query", message)
        assert.matches("'" .. name .. "'", message)
      end
    end
    local experiments = new_client().workflows.experiments
    assert.matches("'run_id'", raised(experiments.metrics.get, { run_id = "r" }, { query = { run_id = "x" } }))
    assert.matches("'run_id'", raised(experiments.results.list, { run_id = "r" }, { query = { run_id = "x" } }))
  end)

  it("raises for anything but names and plain values, or arrays of them", function()
    for _, query in ipairs {
      "a=b", 5, true, { "a" }, { [""] = "x" }, { a = { b = 1 } }, { a = { "x", b = 1 } }, { a = { {} } }, { a = print },
      { a = { print } }, { [1] = "x" },
    } do
      local message = raised(runs.request, {}, { query = query })
      assert.matches("query", message)
    end
  end)
end)

describe("The headers of a request", function()
  it("are Api-Key, User-Agent and Accept", function()
    local request = new_client({ base_url = "https://h.example" }).workflows.experiments.runs.request { limit = 2 }
    assert.same({
      method = "GET", url = "https://h.example/v1/workflows/experiments/runs?limit=2",
      headers = {
        Accept = "application/json", ["Api-Key"] = "sk_test", ["User-Agent"] = "retab-lua/" .. retab._VERSION,
      },
    }, request)
  end)

  it("have the key of the call if the call has one", function()
    assert.equal("sk_other", runs.request({}, { api_key = "sk_other" }).headers["Api-Key"])
    assert.equal("sk_made", runs.request({}, { api_key = function() return "sk_made" end }).headers["Api-Key"])
    assert.equal("sk_test", runs.request().headers["Api-Key"])
    local bearer = new_client { auth = "bearer" }.workflows.experiments.runs
    assert.equal("Bearer sk_other", bearer.request({}, { api_key = "sk_other" }).headers.Authorization)
  end)

  it("include those of the caller, which override others in any case of their names", function()
    local headers = new_client({ headers = { ["X-Team"] = "a", accept = "text/x" }, user_agent = "nightly/2" })
      .workflows.experiments.runs.request({}, { headers = { ["x-team"] = "b" } }).headers
    assert.same({
      accept = "text/x", ["x-team"] = "b", ["Api-Key"] = "sk_test",
      ["User-Agent"] = "retab-lua/" .. retab._VERSION .. " nightly/2",
    }, headers)
  end)
end)
