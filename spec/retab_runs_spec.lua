--- The command line, from outside.
local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local program = require "spec.program"
local simulator = require "spec.simulator"
local text = require "retab.cli.text"

local secret = "sk_live_0123456789"
local server = simulator.shared()

--- What the API itself answers.
local function ask(base_url, query)
  local chunks = {}
  local _, status = http.request {
    url = base_url .. "/v1/workflows/experiments/runs?" .. query, headers = { ["Api-Key"] = secret },
    sink = ltn12.sink.table(chunks),
  }
  assert(status == 200, status)
  return table.concat(chunks)
end

local function with(environment, base_url)
  local merged = { RETAB_API_KEY = secret, RETAB_API_BASE_URL = base_url }
  for name, value in pairs(environment or {}) do merged[name] = value end
  return merged
end

--- Runs the tool; whatever it is asked, the key shows nowhere.
local function retab_runs(base_url, arguments, environment, around)
  local result = program.run("bin/retab-runs", arguments, with(environment, base_url), around)
  assert.is_nil(result.stdout:find(secret, 1, true))
  assert.is_nil(result.stderr:find(secret, 1, true))
  result.lines = program.lines(result.stdout)
  return result
end

--- A server that answers every request with this body.
local function answering(body, more)
  local options = { fault = "body", times = 0, body = body }
  for name, value in pairs(more or {}) do options[name] = value end
  return (server:scenario(options))
end

local function envelope(...)
  return '{"data":[' .. table.concat({ ... }, ",") .. '],"list_metadata":{"before":null,"after":null}}'
end

local function split(line)
  local cells = {}
  for cell in (line .. "  "):gmatch("(.-)  +") do
    if cell ~= "" then cells[#cells + 1] = cell end
  end
  return cells
end

local function widest(lines)
  local width = 0
  for _, line in ipairs(lines) do width = math.max(width, text.width(line)) end
  return width
end

local function is_present(value)
  return value ~= nil and value ~= cjson.null
end

--- The cells of a run in a pipe; TOOK has its own examples.
local function expected_cells(run)
  local workflow = run.workflow or { workflow_id = run.workflow_id }
  return {
    run.id, run.lifecycle.status, is_present(run.score) and ("%.3f"):format(run.score) or "-",
    ("%d/%d"):format(run.completed_document_count, run.total_document_count), run.timing.created_at,
    ("%d"):format(run.error_count), "TOOK", run.block_id, run.block_kind or run.block_type, workflow.workflow_id,
    run.experiment_id,
  }
end

describe("retab-runs' table", function()
  for _, shape in ipairs { "documented", "flat", "mixed" } do
    it("shows what the API sends, in the shape " .. shape, function()
      local base_url = server:scenario { shape = shape }
      local runs = cjson.decode(ask(base_url, "limit=40")).data
      local result = retab_runs(base_url, { "--limit", 40 })
      assert.equal(0, result.status)
      assert.same({ "ID", "STATUS", "SCORE", "DOCS", "CREATED", "ERRORS", "TOOK", "BLOCK", "KIND", "WORKFLOW",
        "EXPERIMENT" }, split(result.lines[1]))
      assert.equal(41, #result.lines)
      for index, run in ipairs(runs) do
        local cells = split(result.lines[index + 1])
        assert.equal(is_present(run.timing.duration_ms), cells[7] ~= "-")
        cells[7] = "TOOK"
        assert.same(expected_cells(run), cells)
      end
    end)
  end

  for _, columns in ipairs { 1, 20, 60, 80, 120 } do
    it(("fits %d columns"):format(columns), function()
      local base_url = server:scenario()
      local result = retab_runs(base_url, { "--limit", 100 }, { COLUMNS = columns })
      assert.equal(101, #result.lines)
      local width = widest(result.lines)
      assert.is_true(width <= columns, ("%d is more than %d"):format(width, columns))
    end)
  end

  it("leaves out the last columns first, and never cuts an id that has room", function()
    local base_url = server:scenario()
    local id = cjson.decode(ask(base_url, "limit=1")).data[1].id
    local expected = {
      [60] = { "ID", "STATUS", "SCORE", "DOCS", "ERRORS" },
      [80] = { "ID", "STATUS", "SCORE", "DOCS", "CREATED", "ERRORS", "TOOK" },
      [120] = { "ID", "STATUS", "SCORE", "DOCS", "CREATED", "ERRORS", "TOOK", "BLOCK", "KIND", "WORKFLOW" },
    }
    for columns, names in pairs(expected) do
      local result = retab_runs(base_url, {}, { COLUMNS = columns })
      assert.same(names, split(result.lines[1]))
      assert.equal(id, split(result.lines[2])[1])
    end
  end)

  it("fits the terminal that it runs in", function()
    local inner = ("stty cols 64; env -u COLUMNS RETAB_API_KEY=k RETAB_API_BASE_URL='%s' scripts/lua %s bin/retab-runs")
      :format(server:scenario(), program.version)
    local terminal = io.popen(('script --quiet --return --command "%s" /dev/null </dev/null'):format(inner))
    local lines = program.lines((terminal:read("*a"):gsub("\r\n", "\n")))
    terminal:close()
    assert.same({ "ID", "STATUS", "SCORE", "DOCS", "CREATED" }, split(lines[1]))
    assert.equal(64, widest { lines[1], lines[2], lines[21] })
    assert.truthy(lines[22]:find("^20 runs on 1 page"))
  end)

  it("shows times to the minute where the width is limited", function()
    local result = retab_runs(server:scenario(), { "--limit", 1 }, { COLUMNS = 80 })
    assert.equal("2026-05-20 12:00", split(result.lines[2])[5])
  end)

  it("shows null, absent and unexpected fields as -", function()
    local result = retab_runs(answering(envelope('{"id":"a"}', "null", '"text"', "[]",
      '{"id":"b","score":null,"lifecycle":{"status":"paused"},"timing":null,"workflow":7,"block_kind":null,' ..
      '"block_type":"split","completed_document_count":null,"total_document_count":3,"error_count":true}')))
    assert.equal(0, result.status)
    assert.same({ "a", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-" }, split(result.lines[2]))
    for index = 3, 5 do
      assert.same({ "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-" }, split(result.lines[index]))
    end
    assert.same({ "b", "paused", "-", "-/3", "-", "-", "-", "-", "split", "-", "-" }, split(result.lines[6]))
    assert.equal("5 runs on 1 page\n", result.stderr)
  end)

  it("shows how long a run took", function()
    local runs, expected = {}, { "0.0s", "0.9s", "59.9s", "1m00s", "4m18s", "59m59s", "1h00m", "100h01m", "-5" }
    for index, ms in ipairs { 0, 999, 59999, 60000, 258221, 3599999, 3600000, 360060000, -5 } do
      runs[index] = ('{"id":"r","timing":{"duration_ms":%d}}'):format(ms)
    end
    local result = retab_runs(answering(envelope(table.concat(runs, ","))))
    for index, took in ipairs(expected) do assert.equal(took, split(result.lines[index + 1])[7]) end
  end)

  it("lets no control character and no change of direction reach the terminal", function()
    local name = "a\\u001b[31mb\\u0007c\\nd\\u009be\\u007ff\\u202eg\\u2066h"
    local body = '{"data":[{"id":"NAME","block_id":"NAME"}],"list_metadata":{"after":"NAME"}}'
    local base_url = answering((body:gsub("NAME", name)))
    local result = retab_runs(base_url, {})
    local shown = "a\239\191\189[31mb\239\191\189c\239\191\189d\239\191\189e\239\191\189f\239\191\189g\239\191\189h"
    assert.equal(shown, split(result.lines[2])[1])
    assert.truthy(result.stderr:find("--after " .. shown, 1, true))
    assert.is_nil((result.stdout .. result.stderr):gsub("\n", ""):find("%c"))

    result = retab_runs(answering('{"detail":"no\\u001b[2Jrun"}', { fault = "status", code = 404 }), {})
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("no\239\191\189[2Jrun", 1, true))
  end)

  it("lines up names in any script", function()
    local result = retab_runs(answering(envelope('{"id":"請求書","block_id":"x"}', '{"id":"Façade","block_id":"x"}',
      '{"id":"e\\u0301t\\u00e9","block_id":"x"}')), {}, { COLUMNS = 120 })
    local width = text.width(result.lines[2]:match("^.*x"))
    for index = 3, 4 do assert.equal(width, text.width(result.lines[index]:match("^.*x"))) end
    assert.equal("請求書", split(result.lines[2])[1])
    result = retab_runs(answering(envelope('{"id":"請求書請求書"}')), {}, { COLUMNS = 8 })
    assert.equal("請求書…", result.lines[2])
  end)

  it("is complete where columns grow from page to page", function()
    local base_url = server:scenario { runs = 300 }
    local result = retab_runs(base_url, { "--all", "--limit", 1 }, { COLUMNS = 80 })
    assert.is_true(widest(result.lines) <= 80)
    local ids = {}
    for _, line in ipairs(result.lines) do
      if not line:find("^ID ") then ids[#ids + 1] = split(line)[1] end
    end
    assert.equal(300, #ids)
    assert.equal(cjson.decode(ask(base_url, "order=asc&limit=1")).data[1].id, ids[300])
  end)
end)

describe("retab-runs --json", function()
  for _, shape in ipairs { "documented", "flat" } do
    it("prints the very bytes of the API, one run a line, in the shape " .. shape, function()
      local base_url = server:scenario { shape = shape }
      local body = ask(base_url, "limit=50")
      local result = retab_runs(base_url, { "--json", "--limit", 50 })
      assert.equal(0, result.status)
      assert.equal(50, #result.lines)
      local start = '{"data":[' .. table.concat(result.lines, ",") .. '],"list_metadata"'
      assert.equal(start, body:sub(1, #start))
    end)
  end

  it("prints one line a run where the API sends many", function()
    local base_url = server:scenario { pretty = true }
    local runs = cjson.decode(ask(base_url, "limit=30")).data
    local result = retab_runs(base_url, { "--json", "--limit", 30 })
    assert.equal(30, #result.lines)
    for index, line in ipairs(result.lines) do assert.same(runs[index], cjson.decode(line)) end
  end)

  it("keeps null, empty arrays, large and small numbers, and the order of keys", function()
    local odd = '{"z":[],"a":{},"big":12345678901234567890,"one":1.0,"tiny":1e-7,"null":null,"data":[1,"]},{"],'
      .. '"s":"q\\"\\\\"}'
    local result = retab_runs(answering('{"first":{"data":[0]},"note":"data","data":[' .. odd
      .. ', "text" ,null,\n true],"list_metadata":{},"other":[7],"last":"}"}'), { "--json" })
    assert.same({ odd, '"text"', "null", "true" }, result.lines)
  end)

  it("escapes what a terminal would obey", function()
    local result = retab_runs(answering(envelope('{"id":"a\127b\194\155c\226\128\174d\226\129\166é"}')), { "--json" })
    assert.same({ '{"id":"a\\u007fb\\u009bc\\u202ed\\u2066é"}' }, result.lines)
  end)

  it("prints nothing where there is nothing", function()
    local result = retab_runs(server:scenario { runs = 0 }, { "--json", "--all" })
    assert.equal("", result.stdout)
    assert.equal("0 runs on 1 page\n", result.stderr)
    assert.equal(0, result.status)
  end)

  it("retries like the table does", function()
    local base_url = server:scenario { fault = "status", code = 503, retry_after = "0", runs = 3 }
    assert.equal(3, #retab_runs(base_url, { "--json" }).lines)
  end)
end)

describe("retab-runs' paging", function()
  local function after_of(result)
    return result.stderr:match("Next: %-%-after (%S+)\n$")
  end

  it("asks for one page unless told otherwise, and says how to go on", function()
    local base_url, id = server:scenario { runs = 250 }
    local result = retab_runs(base_url, {})
    assert.equal(21, #result.lines)
    assert.equal(1, #server:requests(id))
    local last = split(result.lines[21])[1]
    assert.equal(("20 runs on 1 page. Next: --after %s, or --all\n"):format(last), result.stderr)
    local next_id = cjson.decode(ask(base_url, "limit=21")).data[21].id
    assert.equal(next_id, split(retab_runs(base_url, { "--after", last }).lines[2])[1])
  end)

  it("lists every page with --all", function()
    local base_url, id = server:scenario { runs = 250 }
    local result = retab_runs(base_url, { "--all" })
    assert.equal(251, #result.lines)
    assert.equal("250 runs on 3 pages\n", result.stderr)
    assert.equal(3, #server:requests(id))
    assert.equal("100", server:requests(id)[1].args.limit)
    assert.equal(250, #retab_runs(base_url, { "--all", "--json", "--limit", 25 }).lines)
  end)

  it("stops at --max-items, over as many pages as that takes", function()
    local base_url, id = server:scenario { runs = 250 }
    local result = retab_runs(base_url, { "--max-items", 30, "--limit", 20, "--json" })
    assert.equal(30, #result.lines)
    assert.equal(2, #server:requests(id))
    assert.equal(cjson.decode(result.lines[30]).id, after_of(result))
    assert.equal(2, #retab_runs(base_url, { "--max-items", 1, "--all" }).lines)
  end)

  it("sends every filter under its name, and nothing that is not given", function()
    local base_url, id = server:scenario()
    local sent = {
      workflow_id = "wf_0", experiment_id = "exp_0", block_id = "extract-invoice", status = "completed",
      exclude_status = "error", trigger_type = "api", from_date = "2026-05-01", to_date = "2026-05-21T00:00:00Z",
      sort_by = "created_at", order = "asc", before = "exprun_x", limit = "7",
    }
    local arguments = {}
    for name, value in pairs(sent) do
      arguments[#arguments + 1] = "--" .. name:gsub("_", "-")
      arguments[#arguments + 1] = value
    end
    assert.equal(0, retab_runs(base_url, arguments).status)
    assert.same(sent, server:requests(id)[1].args)
    retab_runs(base_url, { "--after", "exprun_x", "--all" })
    assert.same({ after = "exprun_x", limit = "100" }, server:requests(id)[2].args)
  end)

  it("says who asks", function()
    local base_url, id = server:scenario()
    retab_runs(base_url, {})
    local headers = server:requests(id)[1].headers
    assert.equal(secret, headers["api-key"])
    assert.truthy(headers["user-agent"]:find("^retab%-lua/%S+ retab%-runs$"))
  end)
end)

describe("retab-runs' end", function()
  local function fails(status, pattern, base_url, arguments, environment)
    local result = retab_runs(base_url, arguments, environment)
    assert.equal(status, result.status)
    assert.equal("", result.stdout)
    assert.truthy(result.stderr:find(pattern), result.stderr)
    return result
  end

  it("is 2 for wrong usage, and nothing is sent", function()
    local base_url, id = server:scenario()
    local misuse = {
      ["^retab%-runs: bad %-%-limit: 101 is not allowed, a whole number from 1 to 100"] = { "--limit", 101 },
      ["^retab%-runs: %-%-limit takes a number, not 'many'\n"] = { "--limit", "many" },
      ["^retab%-runs: bad %-%-status: \"done\" is not allowed, one of pending, "] = { "--status", "done" },
      ["^retab%-runs: bad %-%-before: .* together with %-%-after"] = { "--before", "a", "--after", "b" },
      ["^retab%-runs: bad %-%-from%-date: \"2026%-02%-30\" .* a date %(YYYY%-MM%-DD or RFC 3339%) is expected\n"] =
        { "--from-date", "2026-02-30" },
      ["^retab%-runs: bad %-%-from%-date: .* later than"] = { "--from-date", "2026-03-02", "--to-date", "2026-03-01" },
      ["^retab%-runs: bad %-%-max%-items: 0 "] = { "--max-items", 0 },
      ["^retab%-runs: bad %-%-timeout: 0 "] = { "--timeout", 0 },
      ["^retab%-runs: bad %-%-experiment%-id: \"\" "] = { "--experiment-id", "" },
      ["^retab%-runs: bad %-%-base%-url: plain http would show the key to the network: use https\n"] =
        { "--base-url", "http://api.example.com" },
      ["^retab%-runs: unknown option '%-%-limt'\nDid you mean '%-%-limit'%?\nTry 'retab%-runs %-%-help'%.\n$"] =
        { "--limt", 5 },
      ["^retab%-runs: too many arguments\n"] = { "exp_0" },
      ["^retab%-runs: unknown option '%-%-api%-key'"] = { "--api-key", "other" },
    }
    for pattern, arguments in pairs(misuse) do fails(2, pattern, base_url, arguments) end
    fails(2, "^retab%-runs: no API key: set the environment variable RETAB_API_KEY\n$", base_url, {},
      { RETAB_API_KEY = "" })
    assert.same({}, server:requests(id))
  end)

  it("is 1 where the API refuses, with all that is known on standard error", function()
    local result = fails(1, "^retab: authentication error: Invalid API key\n", server:scenario { key = "another" }, {})
    assert.truthy(result.stderr:find("request id: req_", 1, true))
    fails(1, "^retab: decode error: ", answering("<html>", { type = "text/html" }), { "--json" })
    fails(1, "^retab: api error: .*%*%*%*", answering('{"detail":"who is ' .. secret .. '?"}',
      { fault = "status", code = 418 }), {})
  end)

  it("is 1 where nobody answers", function()
    fails(1, "^retab: connection error: ", "http://127.0.0.1:1", {})
    fails(1, "^retab: timeout error: ", server:scenario { latency = 30 }, { "--timeout", 0.05 })
  end)

  it("is 1 after a failure on the way: what came is printed, and how to go on", function()
    local base_url = server:scenario { runs = 250, fault = "status", code = 418, at = 2, times = 0 }
    local result = retab_runs(base_url, { "--all" })
    assert.equal(1, result.status)
    assert.equal(101, #result.lines)
    assert.truthy(result.stderr:find("resume with after: " .. split(result.lines[101])[1], 1, true))
  end)

  it("is quiet where nobody reads any more", function()
    local base_url = server:scenario { runs = 20000 }
    for _, trap in ipairs { "", "trap '' PIPE; " } do
      local result = retab_runs(base_url, { "--all" }, {}, { under = trap, into = "head -n 1" })
      assert.equal(1, #result.lines)
      assert.equal("", result.stderr)
      assert.equal(141, result.status)
    end
  end)

  it("is 1 where the output can't be written", function()
    local result = retab_runs(server:scenario(), {}, {}, { under = "exec >/dev/full; " })
    assert.truthy(result.stderr:find("^retab%-runs: .*No space"))
    assert.equal(1, result.status)
  end)

  it("is 130 at an interrupt", function()
    local result = retab_runs(server:scenario { latency = 30 }, {}, {},
      { under = "timeout --preserve-status --signal=INT 1" })
    assert.equal(130, result.status)
    assert.equal("", result.stdout .. result.stderr)
  end)

  it("is 0 for --help and --version, without a key", function()
    local result = retab_runs("", { "--version" }, { RETAB_API_KEY = "" })
    assert.truthy(result.stdout:find("^retab%-runs 0%.1%.0 %(Lua"))
    assert.equal(0, result.status)
    result = retab_runs("", { "--help" }, { RETAB_API_KEY = "" })
    for _, option in ipairs { "workflow-id", "experiment-id", "block-id", "status", "exclude-status", "trigger-type",
      "from-date", "to-date", "sort-by", "order", "before", "after", "limit", "all", "json", "max-items", "base-url",
      "timeout", "version" } do
      assert.truthy(result.stdout:find("\n   %-%-" .. option:gsub("%-", "%%-") .. "[ \n]"), option)
    end
    assert.equal(0, result.status)
  end)
end)
