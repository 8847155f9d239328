--- Parameters and options are checked before anything is sent. An invalid one raises an error that points at the
--- caller's line and names the parameter and what is allowed.
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local driver = scripted.new {}
local client = retab.new { api_key = "sk_test", driver = driver }
local runs = client.workflows.experiments.runs

local statuses = { "pending", "queued", "running", "completed", "error", "cancelled" }

--- Returns the message that `f` raises at a line of this file; nothing was sent.
local function raised(f, ...)
  local arguments, count = { ... }, select("#", ...)
  local ok, message = pcall(function()
    local result = f((unpack or table.unpack)(arguments, 1, count))
    return result
  end)
  assert.is_false(ok)
  assert.equal("string", type(message))
  assert.matches("spec/params_spec%.lua:%d+: ", message)
  assert.equal(0, #driver.sent)
  return message
end

--- Checks that every function that takes these parameters raises, with all of these words in the message.
local function refuse(params, words, options)
  for _, name in ipairs { "list", "iter", "pages", "all", "request" } do
    local message = raised(runs[name], params, options)
    for _, word in ipairs(words) do
      assert(message:find(word, 1, true), ("%q is not in the message: %s"):format(word, message))
    end
  end
end

local function take(params, options)
  return runs.request(params, options).url
end

describe("An unknown parameter", function()
  it("raises, and the message suggests the most similar one", function()
    for wrong, right in pairs {
      experimentId = "experiment_id", experiment_Id = "experiment_id", experiment = "experiment_id",
      experimnet_id = "experiment_id", experiments_id = "experiment_id", EXPERIMENT_ID = "experiment_id",
      workflow = "workflow_id", workflowid = "workflow_id", workfow_id = "workflow_id", block = "block_id",
      stauts = "status", Status = "status", state = "status", exclude = "exclude_status",
      exclude_stauts = "exclude_status",
      trigger = "trigger_type", triggertype = "trigger_type", from = "from_date", fromDate = "from_date",
      form_date = "from_date", to = "to_date", todate = "to_date", sort = "sort_by",
      sortBy = "sort_by", befor = "before", aftr = "after", limits = "limit", Limit = "limit", ordr = "order",
      ordering = "order", ["order "] = "order",
    } do
      refuse({ [wrong] = "x" }, { "unknown parameter '" .. wrong .. "'", "did you mean '" .. right .. "'?" })
    end
  end)

  it("raises without a suggestion if none is similar", function()
    for _, name in ipairs { "xyzzy", "page_token", "q", "", "colour_of_the_sky" } do
      local message = raised(runs.list, { [name] = "x" })
      assert(message:find("unknown parameter '" .. name .. "'", 1, true), message)
      assert.is_nil(message:find "did you mean", message)
      assert(message:find("experiment_id", 1, true), message)
    end
  end)

  it("raises if its name is not a string", function()
    refuse({ "exp_abc" }, { "unknown parameter 1" })
    refuse({ [true] = 1 }, { "unknown parameter" })
    refuse({ [{}] = 1 }, { "unknown parameter" })
  end)

  it("raises if it is an option, and the message says where to pass it", function()
    for _, name in ipairs { "timeout", "deadline", "max_retries", "headers", "query", "null", "fields", "api_key",
      "max_items", "max_pages", "prefetch", "parallel" } do
      refuse({ [name] = 1 }, { "'" .. name .. "' is an option: pass it in the second table" })
    end
  end)

  it("raises even if its value is null", function()
    refuse({ experimentId = retab.null }, { "experiment_id" })
  end)
end)

describe("Parameters", function()
  it("must be a table or nil", function()
    for _, params in ipairs { "exp_abc", 5, true, print } do
      refuse(params, { "must be a table", type(params) })
    end
    take(nil)
    take {}
  end)

  it("count as omitted if they are nil or null", function()
    local bare = take {}
    for _, name in ipairs {
      "workflow_id", "experiment_id", "block_id", "status", "exclude_status", "trigger_type", "from_date", "to_date",
      "sort_by", "before", "after", "limit", "order",
    } do
      assert.equal(bare, take { [name] = retab.null })
      assert.equal(bare, take { [name] = nil })
    end
    assert.matches("after=a$", take { before = retab.null, after = "a" })
  end)

  it("and options are not modified", function()
    local params = { experiment_id = "exp", limit = 5.0, from_date = 0, after = retab.null }
    local options = { query = { a = 1 }, headers = { a = 1 }, fields = { "id" } }
    take(params, options)
    assert.same({ experiment_id = "exp", limit = 5.0, from_date = 0, after = retab.null }, params)
    assert.same({ query = { a = 1 }, headers = { a = 1 }, fields = { "id" } }, options)
  end)

  it("that are strings must not be empty or of another type", function()
    for _, name in ipairs {
      "workflow_id", "experiment_id", "block_id", "trigger_type", "sort_by", "before", "after",
    } do
      for _, value in ipairs { "", 5, true, false, {}, print, io.stdout } do
        refuse({ [name] = value }, { "'" .. name .. "'", "string" })
      end
      for _, value in ipairs { "x", " ", "../?&=#", "é", "\0", "wrk_-1", ("x"):rep(1000) } do
        take { [name] = value }
      end
    end
  end)

  it("appear in messages with the given value", function()
    refuse({ experiment_id = 5 }, { "'experiment_id'", "5" })
    refuse({ status = "done" }, { '"done"' })
    refuse({ experiment_id = {} }, { "a table" })
    refuse({ experiment_id = false }, { "a boolean" })
    assert.is_true(#raised(runs.list, { status = ("x"):rep(10000) }) < 500)
    assert.is_true(#raised(runs.list, { [("x"):rep(10000)] = 1 }) < 500)
    refuse({ status = "a\nb\0c" }, { '"a\\10b\\0c"' })
    refuse({ ["a\nb"] = 1 }, { "'a\\10b'" })
  end)
end)

describe("status and exclude_status", function()
  it("must be one of the six statuses", function()
    for _, name in ipairs { "status", "exclude_status" } do
      for _, status in ipairs(statuses) do assert.matches(name .. "=" .. status .. "$", take { [name] = status }) end
      for _, status in ipairs { "done", "Completed", "", "completed ", "failed", "canceled", 5, true, {} } do
        refuse({ [name] = status }, { "'" .. name .. "'", "pending, queued, running, completed, error, cancelled" })
      end
    end
  end)
end)

describe("order", function()
  it("must be asc or desc", function()
    assert.matches("order=asc$", take { order = "asc" })
    assert.matches("order=desc$", take { order = "desc" })
    for _, order in ipairs { "ASC", "up", "", 1, true, "descending" } do refuse({ order = order }, { "'order'",
      "asc, desc" }) end
  end)
end)

describe("limit", function()
  it("must be an integer from 1 to 100", function()
    for limit = 1, 100 do assert.matches("limit=" .. limit .. "$", take { limit = limit }) end
    for _, limit in ipairs {
      101, 0, -1, 1.5, 100.5, 1000, 1e300, math.huge, -math.huge, 0 / 0, "10", "x", true, false, {},
    } do
      refuse({ limit = limit }, { "'limit'", "from 1 to 100" })
    end
    refuse({ limit = 101 }, { "101" })
    refuse({ limit = 0 }, { "must be an integer", "got 0" })
  end)
end)

describe("before and after", function()
  it("cannot be given together", function()
    refuse({ before = "a", after = "b" }, { "'before'", "'after'" })
    take { before = "a" }
    take { after = "b" }
  end)
end)

describe("from_date and to_date", function()
  it("must be dates", function()
    for _, name in ipairs { "from_date", "to_date" } do
      for _, date in ipairs { "2026-02-30", "tomorrow", "", "2026-1-1", "2026-05-02T25:00:00Z", true, {}, 0 / 0 } do
        refuse({ [name] = date }, { "'" .. name .. "'", "YYYY-MM-DD", "RFC 3339", "epoch seconds" })
      end
    end
    refuse({ from_date = "2026-02-30" }, { '"2026-02-30"' })
  end)

  it("must be in order", function()
    refuse({ from_date = "2026-05-02", to_date = "2026-05-01" },
      { "'from_date'", "2026-05-02", "later than to_date", "2026-05-01" })
    refuse({ from_date = 1777719601, to_date = 1777719600 }, { "'from_date'", "later than to_date" })
  end)
end)

describe("An option of a call", function()
  it("raises if it is unknown, and the message suggests the most similar one", function()
    for wrong, right in pairs { timout = "timeout", Timeout = "timeout", retries = "max_retries", header = "headers",
      field = "fields", dead_line = "deadline", maxRetries = "max_retries" } do
      refuse({}, { "unknown option '" .. wrong .. "'", "did you mean '" .. right .. "'?" }, { [wrong] = 1 })
    end
    refuse({}, { "unknown option 'verify'" }, { verify = false })
    refuse({}, { "unknown option" }, { 5 })
  end)

  it("raises if it is a parameter, and the message says where to pass it", function()
    for _, name in ipairs {
      "workflow_id", "experiment_id", "block_id", "status", "exclude_status", "trigger_type", "from_date", "to_date",
      "sort_by", "before", "after", "limit", "order",
    } do
      refuse({}, { "'" .. name .. "' is a parameter: pass it in the first table" }, { [name] = 1 })
    end
  end)

  it("must be in a table", function()
    for _, options in ipairs { "x", 5, true, print } do refuse({}, { "options must be a table" }, options) end
  end)

  it("must have its own type and range", function()
    for name, values in pairs {
      timeout = { 0, -1, "5", true, 0 / 0 }, deadline = { 0, -0.5, "5", {} }, max_retries = { -1, 1.5, "2", true,
        0 / 0 },
      headers = { "X: 1", 5, { 5 }, { ["X-A"] = {} }, { ["X-A"] = true }, { ["X A"] = "1" }, { [""] = "1" },
        { ["X-A"] = "1\r\nX-B: 2" }, { ["X-A"] = "a\0" }, { ["X-A:"] = "1" }, { ["X-A\n"] = "1" } },
      query = { "a=b", 5, true }, api_key = { "", 5, {}, "sk\n" },
      fields = { "id", 5, { 5 }, { "" }, { "a." }, { "a..b" } },
    } do
      for _, value in ipairs(values) do refuse({}, { "'" .. name .. "'" }, { [name] = value }) end
    end
    take({}, { timeout = 0.5, deadline = 1e9, max_retries = 0, headers = { ["X-A"] = "é 1", ["X-B"] = 5 }, query = {},
      fields = { "id", "lifecycle.status" }, null = false })
  end)

  it("of a walk is unknown to list and request", function()
    for _, name in ipairs { "max_items", "max_pages", "prefetch", "parallel" } do
      for _, method in ipairs { "list", "request" } do
        local message = raised(runs[method], {}, { [name] = 1 })
        assert(message:find("unknown option '" .. name .. "'", 1, true), message)
      end
    end
  end)

  it("of a walk must be an integer of at least 1, or of at least 0 for prefetch", function()
    for _, name in ipairs { "max_items", "max_pages", "prefetch", "parallel" } do
      for _, method in ipairs { "iter", "pages", "all" } do
        for _, value in ipairs { -1, 1.5, "1", true, {}, 0 / 0, math.huge } do
          local message = raised(runs[method], {}, { [name] = value })
          assert(message:find("'" .. name .. "'", 1, true), message)
          assert(message:find("must be an integer", 1, true), message)
        end
        if name == "prefetch" then
          if method ~= "all" then runs[method]({}, { prefetch = 0 }):close() end
        else
          assert(raised(runs[method], {}, { [name] = 0 }):find("'" .. name .. "'", 1, true))
        end
      end
    end
  end)
end)

describe("An error about arguments", function()
  --- The line that an error of this file points at.
  local function line_of(ok, message)
    assert.is_false(ok)
    return tonumber(message:match "spec/params_spec%.lua:(%d+): ")
  end

  local function here()
    return debug.getinfo(2, "l").currentline
  end

  it("points at the line of the call", function()
    local line
    for _, name in ipairs { "list", "iter", "pages", "request" } do
      local ok, message = pcall(function()
        line = here() + 1
        local result = runs[name] { limit = 101 }
        return result
      end)
      assert.equal(line, line_of(ok, message), name)
      ok, message = pcall(function()
        line = here() + 1
        local result = runs[name](runs, { experimentId = "x" })
        return result
      end)
      assert.equal(line, line_of(ok, message), name)
    end
  end)

  it("points at the line of retab.new and parse, too", function()
    local line
    local ok, message = pcall(function()
      line = here() + 1
      local made = retab.new { api_key = "k", nonsense = 1 }
      return made
    end)
    assert.equal(line, line_of(ok, message))
    ok, message = pcall(function()
      line = here() + 1
      local page = runs.parse "200"
      return page
    end)
    assert.equal(line, line_of(ok, message))
  end)

  it("points at the line of the call in a coroutine, and if pcall calls the function", function()
    local line = here() + 1
    assert.equal(line, line_of(pcall(runs.list, { limit = 0 })))
    local ok, message = coroutine.resume(coroutine.create(function()
      line = here() + 1
      local page = runs.list { limit = 0 }
      return page
    end))
    assert.equal(line, line_of(ok, message))
  end)

  it("is raised when a walk is created, not at its first step", function()
    for _, method in ipairs { "iter", "pages" } do
      assert.is_false((pcall(runs[method], { limit = 0 })))
      assert.is_false((pcall(runs[method], {}, { prefetch = -1 })))
    end
  end)
end)

describe("parse", function()
  it("raises for arguments that are not a response", function()
    for _, arguments in ipairs { {}, { "200" }, { {} }, { 200, "text/html" }, { 200, {}, 5 }, { 200, {}, {} } } do
      raised(runs.parse, arguments[1], arguments[2], arguments[3])
    end
    raised(runs.parse, 200, {}, "{}", "options")
    assert.matches("unknown option 'nul'", raised(runs.parse, 200, {}, "{}", { nul = 1 }))
    assert.matches("'limit' is a parameter", raised(runs.parse, 200, {}, "{}", { limit = 1 }))
  end)

  it("returns a page whose next and prev raise, because it has no client", function()
    local page = runs.parse(200, {}, '{"data":[],"list_metadata":{"before":"a","after":"b"}}')
    assert.is_true(page:has_more())
    assert.matches("parse", raised(page.next, page))
    assert.matches("parse", raised(page.prev, page))
  end)
end)

describe("The option fields", function()
  it("must be an array of paths", function()
    for _, wrong in ipairs { { x = "id" }, { "id", 5 }, { "a..b" }, { "" }, { ".a" }, "id", { "id", x = 1 } } do
      refuse({}, { "'fields'", "array of paths" }, { fields = wrong })
    end
    assert.is_truthy(take({}, { fields = { "id", "lifecycle.status" } }))
  end)
end)

describe("The key", function()
  local key = "sk_live_secretsecret"

  --- Checks that a message of any kind that is raised does not contain the key.
  local function hides(own_runs, ...)
    for _, name in ipairs { "list", "iter", "pages", "all", "request" } do
      local message = raised(own_runs[name], ...)
      assert.is_nil(message:find(key, 1, true), message)
      assert.is_nil(message:find("secretsecret", 1, true), message)
    end
  end

  local keyed = {
    ["a string"] = retab.new({ api_key = key, driver = driver }).workflows.experiments.runs,
    ["a function that was not called yet"] = retab.new({ api_key = function() return key end, driver = driver })
      .workflows.experiments.runs,
  }

  for what, own_runs in pairs(keyed) do
    it("is in no message wherever it is passed wrongly, for a client whose key is " .. what, function()
      for _, params in ipairs {
        key, { key }, { [key] = 1 }, { ["x" .. key] = 1 }, { status = key }, { limit = key }, { order = key },
        { from_date = key }, { before = key, after = key }, { timeout = key }, { status = "x " .. key },
        { experiment_id = { key } },
      } do
        hides(own_runs, params)
      end
      for _, options in ipairs {
        key, { key }, { [key] = 1 }, { timeout = key }, { headers = key }, { headers = { [key] = "a\nb" } },
        { query = key }, { query = { status = key } }, { fields = key }, { max_retries = key },
        { api_key = { key } }, { api_key = key .. "\n" }, { status = key },
      } do
        hides(own_runs, {}, options)
      end
    end)
  end

  it("of a call is masked, too, and so is that of the client after a call with another key", function()
    local own = "sk_of_the_client"
    local own_runs = retab.new({ api_key = own, driver = driver }).workflows.experiments.runs
    own_runs.request({}, { api_key = key })
    hides(own_runs, { status = key })
    assert.is_nil(raised(own_runs.list, { status = own }):find(own, 1, true))
    own_runs = retab.new({ api_key = own, driver = driver }).workflows.experiments.runs
    hides(own_runs, { status = key }, { api_key = key })
  end)

  it("is masked however short it is", function()
    local own_runs = retab.new({ api_key = "k9", driver = driver }).workflows.experiments.runs
    assert.is_nil(raised(own_runs.list, { status = "k9" }):find("k9", 1, true))
    assert.is_nil(raised(own_runs.list, { k9 = 1 }):find("k9", 1, true))
  end)

  it("is not shown as a number", function()
    local message = raised(runs.list, {}, { api_key = 7305550123 })
    assert.is_nil(message:find("7305550123", 1, true), message)
    message = raised(retab.new, { api_key = 7305550123 })
    assert.is_nil(message:find("7305550123", 1, true), message)
    message = raised(retab.new, 7305550123)
    assert.is_nil(message:find("7305550123", 1, true), message)
  end)
end)
