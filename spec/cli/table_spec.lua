--- The table of retab-runs, from outside.
local cjson = require "cjson"
local program = require "spec.program"
local text = require "retab.cli.text"
local tool = require "spec.cli.tool"

local answering, ask, envelope, retab_runs, server, split = tool.answering, tool.ask, tool.envelope, tool.run,
  tool.server, tool.split

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
      assert.same({ "ID", "STATUS", "SCORE", "DOCS", "CREATED", "ERRORS", "TOOK", "BLOCK", "TYPE", "WORKFLOW",
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
      [80] = { "ID", "STATUS", "SCORE", "DOCS", "CREATED (UTC)", "ERRORS", "TOOK" },
      [120] = { "ID", "STATUS", "SCORE", "DOCS", "CREATED (UTC)", "ERRORS", "TOOK", "BLOCK", "TYPE", "WORKFLOW" },
    }
    for columns, names in pairs(expected) do
      local result = retab_runs(base_url, {}, { COLUMNS = columns })
      assert.same(names, split(result.lines[1]))
      assert.equal(id, split(result.lines[2])[1])
    end
  end)

  it("shows the first column that is asked for, however narrow the terminal is", function()
    for _, column in ipairs { "score", "id", "documents" } do
      local result = retab_runs(server:scenario(), { "-n", 5, "--columns", column .. ",created_at" }, { COLUMNS = 3 })
      assert.equal(0, result.status, result.stderr)
      assert.equal(6, #result.lines)
      for _, line in ipairs(result.lines) do assert.is_true(text.width(line) <= 3 and line ~= "", line) end
    end
  end)

  it("fits the terminal that it runs in", function()
    local lines = program.lines(tool.in_terminal(64, server:scenario(), {}, { NO_COLOR = 1 }))
    assert.same({ "ID", "STATUS", "SCORE", "DOCS", "CREATED (UTC)" }, split(lines[1]))
    assert.equal(64, widest { lines[1], lines[2], lines[21] })
    assert.truthy(lines[22]:find("^20 runs on 1 page"))
  end)

  it("is shown in a terminal that is not the controlling one, as under su -c", function()
    local base_url = server:scenario()
    local shown = tool.in_terminal(80, base_url, { "--limit", 1 }, {}, "setsid --wait")
    assert.truthy(shown:find("^ID  "), shown)
  end)

  it("shows statuses in colours on a terminal, unless NO_COLOR is set", function()
    local base_url = server:scenario()
    assert.truthy(tool.in_terminal(80, base_url, {}):find("\27[32mcompleted\27[0m", 1, true))
    assert.is_nil(tool.in_terminal(80, base_url, {}, { NO_COLOR = 1 }):find("\27", 1, true))
    assert.is_nil(retab_runs(base_url, {}).stdout:find("\27", 1, true))
    assert.truthy(retab_runs(base_url, {}, { CLICOLOR_FORCE = 1 }).stdout:find("\27[32mcompleted", 1, true))
    assert.is_nil(retab_runs(base_url, {}, { CLICOLOR_FORCE = 0 }).stdout:find("\27", 1, true))
  end)

  it("looks like this", function()
    assert.equal([[
ID                     STATUS     SCORE   DOCS  CREATED (UTC)     ERRORS   TOOK
exprun_98aeeb472248f4  running        -    4/8  2026-05-20 12:00       0      -
exprun_c9717ecf06aa21  error          -   7/21  2026-05-20 11:59       6  2m31s
exprun_855f747fc81370  completed  0.909  14/14  2026-05-20 11:58       0  1m32s
]], retab_runs(server:scenario(), { "-n", 3 }, { COLUMNS = 80 }).stdout)
  end)

  it("shows the columns that are asked for", function()
    local base_url = server:scenario()
    local result = retab_runs(base_url, { "-n", 2, "--columns", "id,timing.created_at,score,lifecycle.message" })
    assert.same({ "ID", "TIMING.CREATED_AT", "SCORE", "LIFECYCLE.MESSAGE" }, split(result.lines[1]))
    assert.same({ "exprun_c9717ecf06aa21", "2026-05-20T11:59:00Z", "-", "The model did not answer within 120 s" },
      split(result.lines[3]))
    result = retab_runs(base_url, { "--columns", "id,scor" })
    assert.equal(2, result.status)
    assert.truthy(result.stderr:find("unknown column 'scor'. Did you mean 'score'?", 1, true))
  end)

  it("takes as many columns as are given, and paths with any characters", function()
    local run = '{"id":"a","\\"]=\\n":{"x\\\\":1,"y":{"z":"deep"}},"text":"t","list":[{"n":5}]}'
    local names = { 'id', '"]=\n.x\\', '"]=\n.y.z', "text.len", "list.n", "id.a.b" }
    local expected = { "a", "1", "deep", "-", "-", "-" }
    for index = #names + 1, 300 do names[index], expected[index] = "id", "a" end
    local result = retab_runs(answering(envelope(run)), { "--columns", table.concat(names, ",") })
    assert.equal(0, result.status, result.stderr)
    assert.same(expected, split(result.lines[#result.lines]))
    result = retab_runs(answering(envelope(run)), { "-o", "csv", "--columns", table.concat(names, ",") })
    assert.truthy(result.stdout:find("\r\na,1,deep,,,,a,a,", 1, true))
  end)

  it("is sorted by --sort, with what has no value last", function()
    local base_url = server:scenario()
    local orders = { asc = function(a, b) return a <= b end, desc = function(a, b) return a >= b end }
    for direction, is_before in pairs(orders) do
      local result = retab_runs(base_url, { "--columns", "score", "--sort", "score:" .. direction, "-n", 60 })
      local last, has_ended
      for index = 2, #result.lines do
        local score = tonumber(result.lines[index])
        if score and last then assert.is_true(is_before(last, score)) end
        assert.is_false(has_ended and score ~= nil or false)
        last, has_ended = score or last, has_ended or not score
      end
      assert.truthy(last and has_ended)
    end
    assert.equal(2, retab_runs(base_url, { "--sort", "score:up" }).status)
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
    local shown = "a\239\191\189[31mb\239\191\189c d\239\191\189e\239\191\189f\239\191\189g\239\191\189h"
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

  it("lines up cells of different widths", function()
    local items = {}
    for index = 1, 12 do
      items[index] = ('{"id":"r","score":%d,"block_id":"%s"}'):format(10 ^ (index % 7), ("x"):rep(index * 3 % 10 + 1))
    end
    local result = retab_runs(answering(envelope(table.concat(items, ","))), { "--columns", "score,block_id,id" })
    for index, line in ipairs(result.lines) do
      assert.equal(result.lines[1]:find("BLOCK", 1, true), index == 1 and 14 or line:find("x", 1, true), line)
      assert.equal(26, #line:gsub("ID$", "r") , line)
    end
  end)

  it("shows a score of any size in few cells", function()
    local result = retab_runs(answering(envelope '{"id":"r","score":1e308}'), { "--columns", "id,score" })
    assert.equal("r   1e+308", result.lines[2])
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

    result = retab_runs(base_url, { "--all", "--limit", 1 })
    local place = 1
    for index = 2, #result.lines do -- columns move to the right only, and none is cut
      local cells, created = split(result.lines[index]), result.lines[index]:find("2026-", 1, true)
      assert.is_true(#cells == 11 and created >= place)
      assert.is_nil(result.lines[index]:find("…", 1, true))
      place = created
    end
  end)
end)
