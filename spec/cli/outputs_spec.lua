--- What retab-runs prints for programs: jsonl, json, csv, ids.
local cjson = require "cjson"
local tool = require "spec.cli.tool"

local answering, ask, envelope, retab_runs, server = tool.answering, tool.ask, tool.envelope, tool.run,
  tool.server

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

  it("prints the very bytes into a pipe, and escapes what a terminal would obey", function()
    local item = '{"id":"a\127b\194\155c\226\128\174d\226\129\166é"}'
    local base_url = answering(envelope(item))
    assert.same({ item }, retab_runs(base_url, { "--json" }).lines)
    local shown = tool.in_terminal(80, base_url, { "--json", "-q" })
    assert.equal('{"id":"a\\u007fb\\u009bc\\u202ed\\u2066é"}\n', shown)
  end)

  it("prints nothing where there is nothing", function()
    local result = retab_runs(server:scenario { runs = 0 }, { "--json", "--all" })
    assert.equal("", result.stdout)
    assert.equal("No runs match.\n", result.stderr)
    assert.equal(0, result.status)
  end)

  it("retries like the table does", function()
    local base_url = server:scenario { fault = "status", code = 503, retry_after = "0", runs = 3 }
    assert.equal(3, #retab_runs(base_url, { "--json" }).lines)
  end)
end)

describe("retab-runs -o json", function()
  it("prints one array of the very bytes of the API", function()
    local base_url = server:scenario()
    local data = ask(base_url, "limit=100"):match('"data":(%[.*%]),"list_metadata"')
    local result = retab_runs(base_url, { "-o", "json", "--limit", 100 })
    assert.equal(data, (result.stdout:gsub("\n", "")))
    assert.equal(250, #cjson.decode(retab_runs(base_url, { "-o", "json", "--all" }).stdout))
  end)

  it("prints an empty array where there is nothing", function()
    assert.equal("[]\n", retab_runs(server:scenario { runs = 0 }, { "-o", "json" }).stdout)
  end)

  it("is sorted by --sort", function()
    local runs = cjson.decode(retab_runs(server:scenario(), { "-o", "json", "--sort", "id", "-n", 50 }).stdout)
    for index = 2, 50 do assert.is_true(runs[index - 1].id < runs[index].id) end
  end)
end)

describe("retab-runs -o ids", function()
  it("prints one id a line", function()
    local base_url = server:scenario()
    local expected = {}
    for index, run in ipairs(cjson.decode(ask(base_url, "limit=30")).data) do expected[index] = run.id end
    assert.same(expected, retab_runs(base_url, { "-o", "ids", "-n", 30 }).lines)
  end)
end)

describe("retab-runs -o csv", function()
  local header = "id,status,score,completed_document_count,total_document_count,error_count,created_at,started_at,"
    .. "completed_at,duration_ms,block_id,block_type,workflow_id,workflow_version_id,experiment_id,"
    .. "trigger_type,n_consensus"

  local function present(value)
    if value == nil or value == cjson.null then return "" end
    return type(value) == "number" and ("%.14g"):format(value) or value
  end

  for _, shape in ipairs { "documented", "flat", "mixed" } do
    it("has the same columns in the shape " .. shape, function()
      local base_url = server:scenario { shape = shape }
      local result = retab_runs(base_url, { "-o", "csv", "--limit", 50 })
      assert.equal(header .. "\r", result.lines[1])
      for index, run in ipairs(cjson.decode(ask(base_url, "limit=50")).data) do
        local workflow, timing = run.workflow or {}, run.timing
        local cells = { run.id, run.lifecycle.status, run.score, run.completed_document_count, run.total_document_count,
          run.error_count, timing.created_at, timing.started_at, timing.completed_at, timing.duration_ms, run.block_id,
          run.block_type or run.block_kind, run.workflow_id or workflow.workflow_id,
          run.workflow_version_id or workflow.version_id, run.experiment_id, run.trigger.type, run.n_consensus }
        for place = 1, 17 do cells[place] = present(cells[place]) end
        assert.equal(table.concat(cells, ",") .. "\r", result.lines[index + 1])
      end
    end)
  end

  it("quotes commas, quotes and line breaks", function()
    local base_url = answering(envelope('{"id":"a,b","block_id":"say \\"hi\\"","experiment_id":"x\\ny"}'))
    local result = retab_runs(base_url, { "-o", "csv", "--columns", "id,block_id,experiment_id,score" })
    assert.equal('id,block_id,experiment_id,score\r\n"a,b","say ""hi""","x\ny",\r\n', result.stdout)
  end)

  it("prints its header where there is nothing", function()
    local result = retab_runs(server:scenario { runs = 0 }, { "-o", "csv", "--columns", "id,score" })
    assert.equal("id,score\r\n", result.stdout)
  end)
end)
