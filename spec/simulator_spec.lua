--- The simulator against what is known of the API: each field and its type, and that the data agrees with itself. Plain
--- HTTP, no module of this project but the simulator.
local has_cjson, cjson = pcall(require, "cjson")
local has_http, http = pcall(require, "socket.http")
if not (has_cjson and has_http) then
  pending "the simulator's spec needs lua-cjson and LuaSocket"
  return
end
local ltn12 = require "ltn12"
local simulator = require "spec.simulator"
local socket = require "socket"

local unpack = unpack or table.unpack
local server = simulator.shared()
local BASE = "/v1/workflows/experiments"
local STATUSES = { "pending", "queued", "running", "completed", "error", "cancelled" }

local function escape(text)
  return (text:gsub("[^%w%-._~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

local function query_of(args)
  local parts = {}
  for name, value in pairs(args or {}) do parts[#parts + 1] = name .. "=" .. escape(tostring(value)) end
  return #parts > 0 and "?" .. table.concat(parts, "&") or ""
end

--- Sends a request. Returns the status, the body's text, and the headers; nil and a message if the connection ends.
local function send(base, method, path, args, body, headers)
  local received = {}
  local given = { ["api-key"] = "k", ["content-length"] = body and #body or nil }
  for name, value in pairs(headers or {}) do given[name] = value or nil end
  local ok, status, response = http.request {
    url = base .. BASE .. path .. query_of(args), method = method, headers = given,
    source = body and ltn12.source.string(body), sink = ltn12.sink.table(received), redirect = false,
  }
  if not ok then return nil, status end
  return status, table.concat(received), response
end

--- Sends a request that must be answered with the status. Returns the decoded body and the headers.
local function expect(status, ...)
  local got, body, headers = send(...)
  assert.equal(status, got, body)
  return cjson.decode(body), headers
end

local function get(base, path, args) return (expect(200, base, "GET", path, args)) end

local function create(base, fields, headers)
  return (expect(201, base, "POST", "/runs", nil, cjson.encode(fields or { experiment_id = "exp_0" }), headers))
end

--- Every item of a list, by its cursors.
local function all(base, path, args)
  local items, after = {}, nil
  repeat
    local asked = { after = after }
    for name, value in pairs(args or {}) do asked[name] = value end
    local page = get(base, path, asked)
    for _, item in ipairs(page.data) do items[#items + 1] = item end
    after = page.list_metadata.after
  until after == cjson.null
  return items
end

local function new(options) return (server:scenario(options)) end

-- ---- types -----------------------------------------------------------------------------------------------

local function is_time(value)
  return type(value) == "string" and value:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.?%d*Z$" ~= nil
end

local function one_of(...)
  local allowed = {}
  for _, value in ipairs { ... } do allowed[value] = true end
  return function(value) return allowed[value] or false end
end

local KINDS = {
  string = function(value) return type(value) == "string" and value ~= "" end,
  number = function(value) return type(value) == "number" end,
  integer = function(value) return type(value) == "number" and value % 1 == 0 end,
  boolean = function(value) return type(value) == "boolean" end,
  score = function(value) return type(value) == "number" and value >= 0 and value <= 1 end,
  object = function(value) return type(value) == "table" end,
  time = is_time,
  any = function() return true end,
  status = one_of(unpack(STATUSES)),
  block = one_of("extract", "classifier", "split", "for_each"),
  consensus = one_of(3, 5, 7),
}

--- Checks an object against `fields`: name → kind, with `?` if it may be absent and `|null` if it may be null. A field
--- that is not named is an error. `seen` notes what nullable fields were: absent, null or there.
local function check(object, fields, seen)
  assert.equal("table", type(object))
  for name in pairs(object) do assert.truthy(fields[name], "unknown field " .. tostring(name)) end
  for name, text in pairs(fields) do
    local kind, value = text:match "^%a+", object[name]
    local state = value == nil and "absent" or value == cjson.null and "null" or "there"
    if state == "absent" then
      assert.truthy(text:find("?", 1, true), name .. " is missing")
    elseif state == "null" then
      assert.truthy(text:find("|null", 1, true), name .. " is null")
    else
      assert.truthy(KINDS[kind](value), ("%s is no %s: %s"):format(name, kind, tostring(value)))
    end
    if seen then seen[name .. " " .. state] = true end
  end
end

local function check_lifecycle(lifecycle, seen)
  local status = lifecycle.status
  if status == "error" then
    check(lifecycle, { status = "status", message = "string?", details = "object?|null" }, seen)
    if type(lifecycle.details) == "table" then
      check(lifecycle.details, { message = "string?|null", stack_trace = "string?|null", block_id = "string?|null",
        block_name = "string?|null", error_code = "string?|null", context = "object?|null" }, seen)
    end
  elseif status == "cancelled" then
    check(lifecycle, { status = "status", reason = "string?|null" }, seen)
  else
    check(lifecycle, { status = "status" })
  end
end

local TIMING = { created_at = "time", started_at = "time?|null", completed_at = "time?|null",
  duration_ms = "integer?|null" }

local FLAT = {
  id = "string", workflow_id = "string", workflow_version_id = "string", experiment_id = "string", block_id = "string",
  trigger = "object", block_type = "block", n_consensus = "consensus", lifecycle = "object", timing = "object",
  parent_run_id = "string?|null", block_version_id = "string?|null", metrics_validity_fingerprint = "string?|null",
  metrics_validity_fingerprint_version = "integer?|null", block_execution_fingerprint = "string",
  documents_fingerprint = "string", score = "score?|null", total_document_count = "integer",
  completed_document_count = "integer", document_count = "integer", error_count = "integer",
}

local DOCUMENTED = {
  id = "string", workflow = "object", experiment_id = "string", block_id = "string", trigger = "object",
  block_kind = "block", n_consensus = "consensus", lifecycle = "object", timing = "object",
  definition_fingerprint = "string", documents_fingerprint = "string", score = "score|null",
  total_document_count = "integer", completed_document_count = "integer", error_count = "integer",
}

local function check_run(run, fields, seen)
  check(run, fields, seen)
  check(run.trigger, { type = "string?|null" }, seen)
  check_lifecycle(run.lifecycle, seen)
  check(run.timing, TIMING, seen)
  if run.lifecycle.status ~= "completed" then assert.is_not_number(run.score) end
end

--- A time as text that sorts, with or without a fraction.
local function sortable(time) return (time:gsub("Z$", "")) end

local function present(value) return value ~= nil and value ~= cjson.null and value or nil end

local function problem_of(status, ...)
  local body, headers = expect(status, ...)
  return body, headers
end

--- The reason of an error body as the API sends it.
local function reason_of(...)
  local body = problem_of(...)
  assert.equal("HTTP_EXCEPTION", body.detail.code)
  assert.equal("An HTTP exception occurred.", body.detail.message)
  return body.detail.details.error
end

local function ids_of(items)
  local ids = {}
  for index, item in ipairs(items) do ids[index] = item.id end
  return ids
end

local function reversed(list)
  local result = {}
  for index = #list, 1, -1 do result[#result + 1] = list[index] end
  return result
end

--- The first run of the status, of a block type where one is given.
local function run_with(base, status, block_type)
  for _, run in ipairs(get(base, "/runs", { status = status, limit = 100 }).data) do
    if not block_type or run.block_type == block_type then return run end
  end
  error("no run is " .. status)
end

-- ---- lists of runs ---------------------------------------------------------------------------------------

describe("the simulator's list of runs", function()
  it("has every field of the flat shape, nullable ones with a value, null and absent", function()
    local seen = {}
    for _, run in ipairs(all(new { runs = 1200 }, "/runs", { limit = 100 })) do
      check_run(run, FLAT, seen)
      assert.equal(run.total_document_count, run.document_count)
    end
    for _, fields in ipairs { FLAT, TIMING, { type = "?|null", reason = "?|null", details = "?|null",
      stack_trace = "|null", block_id = "", error_code = "|null" } } do
      for name, kind in pairs(fields) do
        if kind:find("?", 1, true) then assert.is_true(seen[name .. " absent"], name .. " is never absent") end
        if kind:find("|null", 1, true) then assert.is_true(seen[name .. " null"], name .. " is never null") end
        assert.is_true(seen[name .. " there"], name .. " never has a value")
      end
    end
  end)

  it("has the documented shape, or both shapes in turn, if the scenario says so", function()
    for _, run in ipairs(get(new { shape = "documented" }, "/runs", { limit = 100 }).data) do
      check_run(run, DOCUMENTED)
      check(run.workflow, { workflow_id = "string", version_id = "string" })
    end
    for index, run in ipairs(get(new { shape = "mixed" }, "/runs", { limit = 100 }).data) do
      check_run(run, index % 2 == 1 and DOCUMENTED or FLAT)
    end
  end)

  it("is walked by cursors, forwards and backwards, in both orders", function()
    local base = new { runs = 57 }
    local desc = ids_of(all(base, "/runs", { limit = 10 }))
    assert.equal(57, #desc)
    assert.same(desc, ids_of(all(base, "/runs")))
    assert.same(reversed(desc), ids_of(all(base, "/runs", { order = "asc", limit = 7 })))
    local page = get(base, "/runs", { limit = 10, before = desc[31] })
    assert.same({ unpack(desc, 21, 30) }, ids_of(page.data))
    assert.equal(desc[21], page.list_metadata.before)
    assert.equal(desc[30], page.list_metadata.after)
    assert.equal(cjson.null, get(base, "/runs").list_metadata.before)
  end)

  it("ignores an unknown cursor, and shows both keys on an empty page", function()
    local base = new { runs = 5 }
    assert.same(get(base, "/runs"), get(base, "/runs", { after = "exprun_unknown" }))
    assert.same({ before = cjson.null, after = cjson.null }, get(new { runs = 0 }, "/runs").list_metadata)
  end)

  it("is filtered by each parameter", function()
    local base = new { runs = 600 }
    local sample = run_with(base, "error")
    local filters = {
      workflow_id = { sample.workflow_id, "workflow_id" }, experiment_id = { sample.experiment_id, "experiment_id" },
      block_id = { sample.block_id, "block_id" },
    }
    for name, case in pairs(filters) do
      local items = all(base, "/runs", { [name] = case[1], limit = 100 })
      assert.is_true(#items > 0 and #items < 600)
      for _, run in ipairs(items) do assert.equal(case[1], run[case[2]]) end
    end
    local count = 0
    for _, status in ipairs(STATUSES) do
      local items = all(base, "/runs", { status = status, limit = 100 })
      for _, run in ipairs(items) do assert.equal(status, run.lifecycle.status) end
      assert.equal(600 - #items, #all(base, "/runs", { exclude_status = status, limit = 100 }))
      count = count + #items
    end
    assert.equal(600, count)
    for _, run in ipairs(get(base, "/runs", { trigger_type = "manual_run" }).data) do
      assert.equal("manual_run", run.trigger.type)
    end
    local day = all(base, "/runs", { from_date = "2026-05-20", to_date = "2026-05-20T11:00:00", limit = 100 })
    assert.equal(540, #day)
    for _, run in ipairs(day) do assert.is_true(run.timing.created_at <= "2026-05-20T11:00:00Z") end
  end)

  it("is empty for inverted dates and for dates in the far future", function()
    local base = new {}
    for _, args in ipairs { { from_date = "2026-05-20", to_date = "2026-05-19" }, { from_date = "9000-01-01" } } do
      local page = get(base, "/runs", args)
      assert.same({}, page.data)
      assert.same({ before = cjson.null, after = cjson.null }, page.list_metadata)
    end
  end)
end)

-- ---- errors ----------------------------------------------------------------------------------------------

describe("the simulator refuses", function()
  it("a limit, an order and a status out of range with 422 and a list of fields", function()
    local base = new {}
    for name, values in pairs { limit = { 0, 101, "x" }, order = { "up" }, status = { "done", "completed,error" } } do
      for _, value in ipairs(values) do
        local field = problem_of(422, base, "GET", "/runs", { [name] = value }).detail[1]
        assert.same({ "query", name }, field.loc)
        assert.equal(tostring(value), field.input)
        assert.is_string(field.msg)
        assert.is_string(field.type)
      end
    end
  end)

  it("malformed dates, and before with after, with 400", function()
    local base = new {}
    assert.equal("Invalid date format: yesterday",
      reason_of(400, base, "GET", "/runs", { from_date = "yesterday" }))
    assert.equal("Invalid date format: 2026-02-30", reason_of(400, base, "GET", "/runs", { to_date = "2026-02-30" }))
    assert.truthy(reason_of(400, base, "GET", "/runs", { before = "a", after = "b" }):find "mutually exclusive")
  end)

  it("unknown ids and paths with 404", function()
    local base = new {}
    assert.equal("Experiment run not found: exprun_404", reason_of(404, base, "GET", "/runs/exprun_404"))
    assert.equal("Experiment run not found: a/b", reason_of(404, base, "GET", "/runs/a%2Fb"))
    assert.equal("Experiment run not found: x", reason_of(404, base, "POST", "/runs/x/cancel"))
    assert.equal("Experiment result not found: x", reason_of(404, base, "GET", "/results/x"))
    assert.equal("Experiment run not found: x", reason_of(404, base, "GET", "/results", { run_id = "x" }))
    assert.equal("Experiment run not found: x", reason_of(404, base, "GET", "/metrics", { run_id = "x" }))
    assert.equal("Experiment not found: exp_8", reason_of(404, base, "GET", "/exp_8"))
    reason_of(404, base, "GET", "/runs/a/b/c")
  end)

  it("a method that a path does not have with 405", function()
    local base = new {}
    for path, allowed in pairs { ["/runs"] = "GET, POST", ["/runs/x"] = "GET", ["/runs/x/cancel"] = "POST",
      ["/results"] = "GET", [""] = "GET" } do
      local body, headers = problem_of(405, base, "DELETE", path)
      assert.equal("Method Not Allowed", body.detail.details.error)
      assert.equal(allowed, headers.allow)
    end
  end)

  it("a missing or a bad key with 401, on every endpoint", function()
    local base = new {}
    for _, headers in ipairs { { ["api-key"] = false }, { ["api-key"] = "wrong" },
      { ["api-key"] = false, authorization = "Basic k" }, { ["api-key"] = false, authorization = "Bearer bad" } } do
      for _, case in ipairs { { "GET", "/runs" }, { "POST", "/runs" }, { "GET", "/runs/x" }, { "GET", "/results" },
        { "GET", "/metrics" }, { "GET", "" }, { "POST", "/runs/x/cancel" } } do
        assert.equal("Invalid API Key.", reason_of(401, base, case[1], case[2], nil, nil, headers))
      end
    end
    assert.equal("Invalid API Key.", reason_of(401, new { key = "other" }, "GET", "/runs"))
  end)

  it("results, experiments and metrics without their required parameters", function()
    local base = new {}
    for path, name in pairs { ["/results"] = "run_id", ["/metrics"] = "run_id", [""] = "workflow_id" } do
      assert.same({ "query", name }, problem_of(422, base, "GET", path).detail[1].loc)
    end
    local id = run_with(base, "completed").id
    local body = problem_of(422, base, "GET", "/metrics", { run_id = id, view = "x" })
    assert.same({ "query", "view" }, body.detail[1].loc)
    for _, case in ipairs { { "by_document", "document_id" }, { "by_target", "target_path" },
      { "votes", "document_id" } } do
      assert.truthy(reason_of(400, base, "GET", "/metrics", { run_id = id, view = case[1] }):find(case[2], 1, true))
    end
    local document = get(base, "/metrics", { run_id = id }).documents[1].id
    assert.truthy(reason_of(400, base, "GET", "/metrics", { run_id = id, view = "votes", document_id = document })
      :find("target_path", 1, true))
  end)
end)

describe("the simulator's error bodies", function()
  local function body_of(shape, path)
    local status, body, headers = send(new { error_shape = shape }, "GET", path or "/runs/x")
    return cjson.decode(body), status, headers
  end

  it("have each shape that servers of this API have used", function()
    local reason = "Experiment run not found: x"
    assert.equal(reason, body_of("wrapped").detail.details.error)
    assert.equal(reason, body_of("nested").detail.details.error.message)
    local unwrapped = body_of "unwrapped"
    assert.equal("HTTP_EXCEPTION", unwrapped.code)
    assert.equal(reason, unwrapped.details.error)
    local numbered = body_of("numbered", "/results")
    assert.equal(10422, numbered.status_code)
    assert.equal(cjson.null, numbered.data)
    assert.equal("Field required", cjson.decode(numbered.message)[1].msg)
    assert.equal(reason, body_of("fields").detail[1].msg)
    for _, name in ipairs { "detail", "message", "error" } do assert.same({ [name] = reason }, body_of(name)) end
    local compiler = body_of("compiler", "/results").detail
    assert.equal("query.run_id", compiler.errors[1].yaml_path)
    assert.is_string(compiler.message)
    local problem, status, headers = body_of("problem", "/results")
    assert.equal("application/problem+json", headers["content-type"])
    assert.equal(422, status)
    assert.equal(422, problem.status)
    assert.equal("query.run_id", problem.errors[1].location)
  end)

  it("are those of the fault `status`, too", function()
    local base = new { fault = "status", code = 503, error_shape = "message", times = 0 }
    assert.same({ message = "Simulated failure" }, (problem_of(503, base, "GET", "/runs")))
    assert.equal("Simulated failure", reason_of(429, new { fault = "status", code = 429 }, "GET", "/runs"))
  end)
end)

describe("the simulator's authentication", function()
  local BEARER = { ["api-key"] = false, authorization = "Bearer k" }
  local BOTH = { authorization = "Bearer k" }

  it("accepts both headers, and records which one was sent", function()
    local base, id = server:scenario {}
    expect(200, base, "GET", "/runs")
    expect(200, base, "GET", "/runs", nil, nil, BEARER)
    expect(200, base, "GET", "/runs", nil, nil, BOTH)
    expect(401, base, "GET", "/runs", nil, nil, { ["api-key"] = false })
    local kinds = {}
    for index, request in ipairs(server:requests(id)) do kinds[index] = request.auth end
    assert.same({ "api-key", "bearer", "both", "none" }, kinds)
  end)

  it("accepts only one of them if the scenario says so", function()
    expect(200, new { auth = "bearer" }, "GET", "/runs", nil, nil, BEARER)
    expect(401, new { auth = "bearer" }, "GET", "/runs")
    expect(200, new { auth = "api-key" }, "GET", "/runs")
    expect(401, new { auth = "api-key" }, "GET", "/runs", nil, nil, BEARER)
  end)
end)

-- ---- one run ---------------------------------------------------------------------------------------------

describe("a run of the simulator", function()
  it("is the same alone and in a list", function()
    local base = new { shape = "mixed" }
    for _, run in ipairs(get(base, "/runs", { limit = 100 }).data) do
      assert.same(run, get(base, "/runs/" .. run.id))
    end
  end)

  it("has the counts and the ids of its results", function()
    local base = new { runs = 300 }
    for _, run in ipairs(get(base, "/runs", { limit = 100 }).data) do
      local counts = { completed = 0, error = 0 }
      local items = all(base, "/results", { run_id = run.id })
      for _, result in ipairs(items) do
        local status = result.lifecycle.status
        counts[status] = (counts[status] or 0) + 1
        assert.equal(run.id, result.experiment_run_id)
        assert.equal(run.experiment_id, result.experiment_id)
        assert.equal(run.block_type, result.block_type)
      end
      assert.equal(run.total_document_count, #items)
      assert.equal(run.completed_document_count, counts.completed)
      assert.equal(run.error_count, counts.error)
      if run.lifecycle.status == "running" then assert.equal(1, counts.running) end
    end
  end)

  it("has a parent that is an older run of its experiment", function()
    local base, parents = new { runs = 400 }, 0
    for _, run in ipairs(all(base, "/runs", { limit = 100 })) do
      local id = present(run.parent_run_id)
      if id then
        local parent = get(base, "/runs/" .. id)
        assert.equal(run.experiment_id, parent.experiment_id)
        assert.is_true(parent.timing.created_at < run.timing.created_at)
        parents = parents + 1
      end
    end
    assert.is_true(parents > 0)
  end)
end)

-- ---- results ---------------------------------------------------------------------------------------------

local RESULT = {
  id = "string", experiment_run_id = "string", experiment_id = "string", document_id = "string",
  lifecycle = "object", timing = "object", block_type = "block", handle_inputs = "object",
  handle_outputs = "object?", artifact = "object?|null", attempt = "integer?",
}

describe("the simulator's results", function()
  it("have every field", function()
    local base, seen, operations = new { runs = 300 }, {}, {}
    for _, run in ipairs(get(base, "/runs", { limit = 100 }).data) do
      for _, result in ipairs(all(base, "/results", { run_id = run.id })) do
        check(result, RESULT, seen)
        check_lifecycle(result.lifecycle)
        check(result.timing, TIMING, seen)
        local input = result.handle_inputs["input-file-0"]
        assert.equal("file", input.type)
        check(input.document, { id = "string", filename = "string", mime_type = "string" })
        for _, handle in pairs(result.handle_outputs or {}) do
          assert.equal("json", handle.type)
          seen["data " .. (handle.data == nil and "absent" or handle.data == cjson.null and "null" or "there")] = true
        end
        local artifact = present(result.artifact)
        assert.equal(result.lifecycle.status == "completed", artifact ~= nil)
        if artifact then
          check(artifact, { operation = "string", id = "string" })
          operations[artifact.operation] = true
        end
        local ended, run_ended = present(result.timing.completed_at), present(run.timing.completed_at)
        if ended and run_ended then assert.is_true(sortable(ended) <= sortable(run_ended)) end
      end
    end
    assert.same({ extraction = true, classification = true, split = true, partition = true }, operations)
    for _, name in ipairs { "artifact", "data" } do
      for _, state in ipairs { " absent", " null", " there" } do assert.is_true(seen[name .. state], name .. state) end
    end
    assert.is_true(seen["attempt absent"])
  end)

  it("are walked by cursors, 100 by default, and are the same alone", function()
    local base = new { runs = 1, documents = 230 }
    local id = get(base, "/runs").data[1].id
    assert.equal(100, #get(base, "/results", { run_id = id }).data)
    local desc = all(base, "/results", { run_id = id })
    assert.equal(230, #desc)
    local documents = {}
    for index, result in ipairs(desc) do
      assert.is_nil(documents[result.document_id])
      documents[result.document_id] = true
      local created = sortable(result.timing.created_at)
      assert.is_true(index == 1 or created < sortable(desc[index - 1].timing.created_at))
    end
    assert.same(reversed(ids_of(desc)), ids_of(all(base, "/results", { run_id = id, order = "asc", limit = 9 })))
    assert.same(desc[7], get(base, "/results/" .. desc[7].id))
    local page = get(base, "/results", { run_id = id, limit = 2, before = desc[7].id })
    assert.same(ids_of { desc[5], desc[6] }, ids_of(page.data))
    local other = create(base)
    assert.same(get(base, "/results", { run_id = other.id }),
      get(base, "/results", { run_id = other.id, after = desc[7].id }))
  end)
end)

-- ---- experiments -----------------------------------------------------------------------------------------

local EXPERIMENT = {
  id = "string", workflow_id = "string", block_id = "string", name = "string", block_type = "block",
  n_consensus = "consensus", document_count = "integer?", last_run_id = "string?|null", created_at = "time?",
  updated_at = "time?", status = "string?", score = "score?|null", is_stale = "boolean?", freshness = "object?",
  freshness_state = "string?", freshness_reasons = "object?", run_plan_mode = "string?",
  rerunnable_document_count = "integer?", schema_drift = "string?", schema_drift_detail = "string?|null",
  drift = "object?|null",
}

local EXPERIMENT_STATUS = { pending = "processing", queued = "processing", running = "processing",
  completed = "completed", error = "failed", cancelled = "cancelled" }

describe("the simulator's experiments", function()
  it("have every field, and agree with their last run", function()
    local base = new { experiments = 40, runs = 100 }
    local drafts = 0
    for workflow = 0, 3 do
      local items = all(base, "", { workflow_id = "wf_" .. workflow })
      assert.equal(10, #items)
      for _, experiment in ipairs(items) do
        check(experiment, EXPERIMENT)
        check(experiment.freshness, { status = "string?", reasons = "object?", validity_fingerprint = "string?|null",
          baseline_run_id = "string?|null" })
        assert.equal("wf_" .. workflow, experiment.workflow_id)
        assert.same(experiment, get(base, "/" .. experiment.id))
        local last = get(base, "/runs", { experiment_id = experiment.id, limit = 1 }).data[1]
        if last then
          assert.equal(last.id, experiment.last_run_id)
          assert.equal(last.block_id, experiment.block_id)
          assert.equal(last.total_document_count, experiment.document_count)
          assert.equal(present(last.score), present(experiment.score))
          assert.equal(EXPERIMENT_STATUS[last.lifecycle.status], experiment.status)
        else
          assert.equal("draft", experiment.status)
          drafts = drafts + 1
        end
      end
    end
    assert.equal(32, drafts)
  end)

  it("are walked by cursors and filtered by block, 50 by default", function()
    local base = new { experiments = 400 }
    local desc = all(base, "", { workflow_id = "wf_1" })
    assert.equal(100, #desc)
    assert.equal(50, #get(base, "", { workflow_id = "wf_1" }).data)
    assert.same(reversed(ids_of(desc)), ids_of(all(base, "", { workflow_id = "wf_1", limit = 7, order = "asc" })))
    local items = all(base, "", { workflow_id = "wf_1", block_id = desc[1].block_id })
    assert.equal(50, #items)
    for _, experiment in ipairs(items) do assert.equal(desc[1].block_id, experiment.block_id) end
    assert.same({}, get(base, "", { workflow_id = "wf_9" }).data)
  end)
end)

-- ---- metrics ---------------------------------------------------------------------------------------------

local PRIOR = { score = "score?|null", prior_score = "score?|null" }

local function with(fields, more)
  local all_fields = {}
  for name, kind in pairs(fields) do all_fields[name] = kind end
  for name, kind in pairs(more) do all_fields[name] = kind end
  return all_fields
end

local SUMMARY = with(PRIOR, { kind = "string", view = "string", experiment_id = "string", run_id = "string",
  block_type = "block", block_execution_fingerprint = "string?|null", prior_run_id = "string?|null",
  documents = "object?", scored_document_count = "integer?", total_document_count = "integer?",
  aggregate = "object?|null" })
local DOCUMENT = { id = "string", filename = "string" }
local BY_DOCUMENT = with(PRIOR, { kind = "string", view = "string", run_id = "string", document = "object",
  confusion = "object?|null", targets = "object?" })
local BY_TARGET = with(PRIOR, { kind = "string", view = "string", run_id = "string", target = "string",
  confusion = "object?|null", documents = "object?" })
local VOTES = with(PRIOR, { kind = "string", view = "string", run_id = "string", document = "object",
  target = "string", rows = "object?" })
local ROW = { consensus = "any?|null", votes = "object", score = "score?|null", row_presence_score = "score?|null",
  present_voter_count = "integer?", total_voter_count = "integer?" }

local function assert_mean(expected, items, name)
  local sum = 0
  for _, item in ipairs(items) do sum = sum + item[name] end
  assert.near(expected, sum / #items, 1e-9)
end

local function check_confusion(confusion, experiment_targets)
  check(confusion, { diag = "object", flows = "object" })
  for label, share in pairs(confusion.diag) do
    assert.is_true(experiment_targets[label])
    assert.is_true(KINDS.score(share))
  end
  for _, flow in ipairs(confusion.flows) do check(flow, { source = "string", target = "string", score = "score" }) end
end

describe("the simulator's metrics", function()
  for _, block_type in ipairs { "extract", "classifier", "split", "for_each" } do
    it("agree with the run and with each other in every view, for the block " .. block_type, function()
      local base = new { runs = 600 }
      local run = run_with(base, "completed", block_type)
      local labelled = block_type == "classifier" or block_type == "split"
      local summary = get(base, "/metrics", { run_id = run.id })
      check(summary, SUMMARY)
      assert.same({ "summary", "summary", run.id, run.experiment_id, block_type, run.block_execution_fingerprint },
        { summary.kind, summary.view, summary.run_id, summary.experiment_id, summary.block_type,
          summary.block_execution_fingerprint })
      assert.equal(run.score, summary.score)
      assert.equal(run.total_document_count, summary.total_document_count)
      assert.equal(run.completed_document_count, summary.scored_document_count)
      assert.equal(run.total_document_count, #summary.documents)
      assert_mean(run.score, summary.documents, "score")

      local documents = {}
      for _, result in ipairs(all(base, "/results", { run_id = run.id })) do documents[result.document_id] = true end
      local targets
      for _, document in ipairs(summary.documents) do
        check(document, with(PRIOR, DOCUMENT))
        assert.is_true(documents[document.id])
        local view = get(base, "/metrics", { run_id = run.id, view = "by_document", document_id = document.id })
        check(view, BY_DOCUMENT)
        assert.equal("by_document", view.view)
        assert.same({ id = document.id, filename = document.filename }, view.document)
        assert.equal(document.score, view.score)
        assert.same(document.prior_score, view.prior_score)
        assert_mean(view.score, view.targets, "score")
        targets = targets or view.targets
        local known = {}
        for _, target in ipairs(view.targets) do
          check(target, with(PRIOR, { path = "string", value = "any?|null" }))
          known[target.path] = true
        end
        if labelled then check_confusion(view.confusion, known) end
      end

      local aggregate, of_first = summary.aggregate, summary.documents[1]
      for index, target in ipairs(targets) do
        local path = target.path
        local view = get(base, "/metrics", { run_id = run.id, view = "by_target", target_path = path })
        check(view, BY_TARGET)
        assert.equal(path, view.target)
        assert.equal(#summary.documents, #view.documents)
        assert_mean(view.score, view.documents, "score")
        assert.equal(targets[index].score, view.documents[1].score)
        assert.same(targets[index].value, view.documents[1].value)
        if block_type == "extract" then assert.equal(view.score, aggregate.likelihoods[path]) end
        if labelled then
          assert.equal(view.score, aggregate.diag[path])
          check(view.confusion, { self = "score?|null", flow_from = "object", flow_to = "object" })
          assert.equal(view.score, view.confusion.self)
        end

        local votes = get(base, "/metrics", { run_id = run.id, view = "votes", document_id = of_first.id,
          target_path = path })
        check(votes, VOTES)
        assert.equal(target.score, votes.score)
        assert_mean(votes.score, votes.rows, "score")
        for _, row in ipairs(votes.rows) do
          check(row, ROW)
          assert.equal(run.n_consensus, #row.votes)
          assert.equal(run.n_consensus, row.total_voter_count)
          assert.is_true(row.present_voter_count <= row.total_voter_count)
        end
      end
      if block_type == "for_each" then assert.equal(cjson.null, aggregate) end
    end)
  end

  it("compare with the previous completed run, another one, or none", function()
    local base = new { runs = 600 }
    local runs = all(base, "/runs", { experiment_id = "exp_0", status = "completed", limit = 100 })
    local run, before, other = runs[1], runs[2], runs[3]
    local summary = get(base, "/metrics", { run_id = run.id })
    assert.equal(before.id, summary.prior_run_id)
    assert.equal(before.score, summary.prior_score)
    local of_before = {}
    for _, document in ipairs(get(base, "/metrics", { run_id = before.id }).documents) do
      of_before[document.id] = document.score
    end
    for _, document in ipairs(summary.documents) do
      assert.equal(of_before[document.id], present(document.prior_score))
    end
    summary = get(base, "/metrics", { run_id = run.id, prior_run_id = other.id })
    assert.equal(other.id, summary.prior_run_id)
    assert.equal(other.score, summary.prior_score)
    summary = get(base, "/metrics", { run_id = run.id, include_prior = "false" })
    assert.is_nil(summary.prior_run_id)
    assert.is_nil(summary.prior_score)
    assert.is_nil(summary.documents[1].prior_score)
    assert.equal(cjson.null, get(base, "/metrics", { run_id = runs[#runs].id }).prior_score)
    reason_of(404, base, "GET", "/metrics", { run_id = run.id, prior_run_id = "x" })
  end)

  it("are no_metrics for runs that are not completed, and stale_metrics or no_metrics on demand", function()
    local base = new { runs = 600 }
    for _, status in ipairs { "pending", "running", "error", "cancelled" } do
      local run = run_with(base, status)
      local none = get(base, "/metrics", { run_id = run.id })
      check(none, { kind = "string", error = "string", experiment_id = "string", message = "string" })
      assert.same({ "no_metrics", "no_metrics", run.experiment_id }, { none.kind, none.error, none.experiment_id })
    end
    local run = run_with(base, "completed")
    assert.equal("no_metrics", get(new { runs = 600, metrics = "none" }, "/metrics", { run_id = run.id }).kind)
    base = new { runs = 600, metrics = "stale" }
    local stale = get(base, "/metrics", { run_id = run.id })
    check(stale, { kind = "string", error = "string", experiment_id = "string", message = "string",
      last_run = "object", stale_reasons = "object", current_block_execution_fingerprint = "string" })
    assert.equal("stale_metrics", stale.error)
    check(stale.last_run, { run_id = "string", block_execution_fingerprint = "string?|null", score = "score?|null",
      created_at = "time?|null" })
    assert.equal(run.id, stale.last_run.run_id)
    assert.equal(run.score, stale.last_run.score)
    assert.is_true(get(base, "/" .. run.experiment_id).is_stale)
  end)
end)

-- ---- create and cancel -----------------------------------------------------------------------------------

describe("a created run", function()
  local function statuses(base, id, looks)
    local seen = {}
    for look = 1, looks do seen[look] = get(base, "/runs/" .. id).lifecycle.status end
    return seen
  end

  it("is pending, is the first in the list, and changes its status at each GET", function()
    local base = new { runs = 3 }
    local run = create(base, { experiment_id = "exp_2", workflow_id = "wf_2" })
    check_run(run, FLAT)
    assert.equal("pending", run.lifecycle.status)
    assert.equal("exp_2", run.experiment_id)
    assert.equal("manual_run", run.trigger.type)
    assert.equal(run.id, get(base, "/runs").data[1].id)
    assert.equal(4, #get(base, "/runs").data)
    assert.equal(run.id, get(base, "/exp_2").last_run_id)
    assert.same({ "pending", "running", "completed", "completed" }, statuses(base, run.id, 4))
    local ended = get(base, "/runs/" .. run.id)
    assert.equal(ended.total_document_count, ended.completed_document_count)
    assert.equal(ended.score, get(base, "/metrics", { run_id = run.id }).score)
  end)

  it("has counts that grow, and results that agree with them at each GET", function()
    local base, before = new { looks = 6, documents = 10, outcome = "error" }, -1
    local run = create(base)
    for _ = 1, 6 do
      local now = get(base, "/runs/" .. run.id)
      local counts = { completed = 0, error = 0 }
      for _, result in ipairs(all(base, "/results", { run_id = run.id })) do
        local status = result.lifecycle.status
        counts[status] = (counts[status] or 0) + 1
      end
      assert.equal(now.completed_document_count, counts.completed)
      assert.equal(now.error_count, counts.error)
      assert.is_true(now.completed_document_count + now.error_count > before or before == 0)
      before = now.completed_document_count + now.error_count
    end
    assert.equal("error", get(base, "/runs/" .. run.id).lifecycle.status)
    assert.equal(10, before)
  end)

  it("ends as the scenario says, with its score", function()
    for _, outcome in ipairs { "completed", "error", "cancelled" } do
      local base = new { outcome = outcome, looks = 1, score = 0.25 }
      local run = create(base)
      assert.same({ outcome }, statuses(base, run.id, 1))
      assert.equal(outcome == "completed" and 0.25 or nil, present(get(base, "/runs/" .. run.id).score))
    end
  end)

  it("can end in an unknown status", function()
    local base = new { outcome = "paused", looks = 1 }
    assert.same({ status = "paused" }, get(base, "/runs/" .. create(base).id).lifecycle)
  end)

  it("changes its status with time", function()
    local base = new { advance = "time", lasts = 0.4 }
    local run, seen = create(base), {}
    local deadline = socket.gettime() + 30
    repeat
      local status = get(base, "/runs/" .. run.id).lifecycle.status
      if seen[#seen] ~= status then seen[#seen + 1] = status end
      assert.is_true(socket.gettime() < deadline)
    until status == "completed"
    assert.equal("completed", seen[#seen])
    assert.is_true(#seen <= 3)
    local slow = new { advance = "time", lasts = 3600 }
    assert.same({ "pending", "pending" }, statuses(slow, create(slow).id, 2))
  end)

  it("is not the only run that ends: the others end after the time that the scenario sets", function()
    local function unended(base)
      local ids = {}
      for _, status in ipairs { "pending", "queued", "running" } do
        for _, run in ipairs(all(base, "/runs", { status = status })) do ids[#ids + 1] = run.id end
      end
      return ids
    end

    local still = unended(new { runs = 100 })
    assert.is_true(#still > 5)
    local slow = new { runs = 100, ends = 3600 }
    assert.same(still, unended(slow))
    assert.same(still, unended(slow))
    local base, deadline = new { runs = 100, ends = 0.3 }, socket.gettime() + 30
    repeat
      assert.is_true(socket.gettime() < deadline)
    until #unended(base) == 0
    local outcomes = {}
    for _, id in ipairs(still) do
      local run = get(base, "/runs/" .. id)
      outcomes[run.lifecycle.status] = true
      assert.equal(run.total_document_count, run.completed_document_count + run.error_count)
      assert.equal(run.lifecycle.status == "completed", present(run.score) ~= nil)
    end
    assert.same({ completed = true, error = true }, outcomes)
  end)

  it("belongs to its scenario id, which other base URLs may share", function()
    local base, id = server:scenario { runs = 0 }
    local run = create(base)
    assert.same({}, get(new { runs = 0 }, "/runs").data)
    assert.equal(run.id, get(new { runs = 0, id = id, shape = "mixed" }, "/runs").data[1].id)
  end)

  it("is returned again for the same Idempotency-Key, unless that is ignored", function()
    local base, id = server:scenario { runs = 0 }
    local headers = { ["idempotency-key"] = "one" }
    local first, again = create(base, nil, headers), create(base, nil, headers)
    assert.equal(first.id, again.id)
    assert.not_equal(first.id, create(base, nil, { ["idempotency-key"] = "two" }).id)
    assert.not_equal(first.id, create(base).id)
    assert.equal(3, #get(base, "/runs").data)
    assert.equal("one", server:requests(id)[2].headers["idempotency-key"])
    base = new { runs = 0, idempotency = false }
    assert.not_equal(create(base, nil, headers).id, create(base, nil, headers).id)
  end)

  it("is returned with the HTTP status that the scenario names", function()
    for _, code in ipairs { 200, 201, 202 } do
      expect(code, new { created_status = code }, "POST", "/runs", nil, '{"experiment_id":"exp_1"}')
    end
  end)

  it("is not found by the first GETs after the creation if the scenario says so", function()
    local base = new { lag = 2, looks = 1 }
    local run = create(base)
    for _ = 1, 2 do
      assert.equal("Experiment run not found: " .. run.id, reason_of(404, base, "GET", "/runs/" .. run.id))
    end
    assert.equal("completed", get(base, "/runs/" .. run.id).lifecycle.status)
  end)

  it("needs a body that names an experiment", function()
    local base = new { runs = 0 }
    for body, loc in pairs { ["{}"] = { "body", "experiment_id" }, ["[]"] = { "body" }, ["{"] = { "body" },
      ['{"experiment_id":1}'] = { "body", "experiment_id" }, ['{"experiment_id":null}'] = { "body", "experiment_id" },
      ['{"experiment_id":"exp_1","plan_token":[]}'] = { "body", "plan_token" } } do
      assert.same(loc, problem_of(422, base, "POST", "/runs", nil, body).detail[1].loc)
    end
    expect(422, base, "POST", "/runs")
    reason_of(404, base, "POST", "/runs", nil, '{"experiment_id":"exp_99"}')
    reason_of(404, base, "POST", "/runs", nil, '{"experiment_id":"exp_1","workflow_id":"wf_0"}')
    reason_of(409, base, "POST", "/runs", nil, '{"experiment_id":"exp_1","plan_token":"stale"}')
    assert.same({}, get(base, "/runs").data)
    create(base, { experiment_id = "exp_1", workflow_id = cjson.null, plan_token = "\"\\\n\195\169" })
  end)

  it("can be cancelled twice, with its pending results, and stays cancelled", function()
    local base = new { documents = 8 }
    local run = create(base)
    assert.same({ "pending", "running" }, statuses(base, run.id, 2))
    for _ = 1, 2 do
      local cancelled = expect(200, base, "POST", "/runs/" .. run.id .. "/cancel")
      check(cancelled, { id = "string", lifecycle = "object" })
      assert.equal(run.id, cancelled.id)
      check_lifecycle(cancelled.lifecycle)
      assert.equal("cancelled", cancelled.lifecycle.status)
    end
    assert.same({ "cancelled", "cancelled" }, statuses(base, run.id, 2))
    assert.equal(4, get(base, "/runs/" .. run.id).completed_document_count)
    local counts = {}
    for _, result in ipairs(all(base, "/results", { run_id = run.id })) do
      counts[result.lifecycle.status] = (counts[result.lifecycle.status] or 0) + 1
    end
    assert.same({ completed = 4, cancelled = 4 }, counts)
  end)
end)

describe("cancelling", function()
  it("works on runs of the data, which then leave their filter", function()
    local base = new { runs = 300 }
    local run = run_with(base, "pending")
    expect(200, base, "POST", "/runs/" .. run.id .. "/cancel", nil, "{}")
    for _, other in ipairs(all(base, "/runs", { status = "pending" })) do assert.not_equal(run.id, other.id) end
    assert.equal("cancelled", get(base, "/runs/" .. run.id).lifecycle.status)
  end)

  it("returns 404 for a run that is completed or ended in error", function()
    local base = new { runs = 300 }
    for _, status in ipairs { "completed", "error" } do
      local run = run_with(base, status)
      assert.truthy(reason_of(404, base, "POST", "/runs/" .. run.id .. "/cancel"):find(run.id, 1, true))
    end
  end)
end)

-- ---- faults ----------------------------------------------------------------------------------------------

describe("a fault", function()
  local BODY = '{"experiment_id":"exp_0"}'

  --- The bytes of the response to a raw request, until the connection ends.
  local function raw(base, head)
    local host, port, prefix = base:match "^http://([^:/]+):(%d+)(.*)$"
    local peer = assert(socket.connect(host, port))
    peer:settimeout(20)
    assert(peer:send((head:gsub("@", prefix .. BASE))))
    local bytes, _, part = peer:receive "*a"
    peer:close()
    return bytes or part
  end

  local CREATE = "POST @/runs HTTP/1.1\r\nHost: x\r\nApi-Key: k\r\nContent-Length: " .. #BODY .. "\r\n\r\n" .. BODY

  it("applies to one endpoint only, and counts its requests", function()
    local base = new { fault = "status", code = 503, on = "create", at = 2 }
    expect(200, base, "GET", "/runs")
    create(base)
    expect(200, base, "GET", "/runs")
    expect(503, base, "POST", "/runs", nil, BODY)
    create(base)
  end)

  it("applies to each endpoint by its name", function()
    local sound, id = server:scenario { runs = 50 }
    local run = run_with(sound, "running")
    local result = get(sound, "/results", { run_id = run.id }).data[1].id
    local endpoints = {
      list = { "GET", "/runs" }, create = { "POST", "/runs", nil, BODY }, get = { "GET", "/runs/" .. run.id },
      cancel = { "POST", "/runs/" .. run.id .. "/cancel" }, results = { "GET", "/results", { run_id = run.id } },
      result = { "GET", "/results/" .. result }, metrics = { "GET", "/metrics", { run_id = run.id } },
      experiments = { "GET", "", { workflow_id = "wf_1" } }, experiment = { "GET", "/exp_1" },
    }
    for name, request in pairs(endpoints) do
      for other, fault in pairs { status = 500, cut = false, close = false } do
        local base = new { fault = other, on = name, runs = 50 }
        local status = send(base, unpack(request, 1, 4))
        assert.equal(fault or nil, tonumber(status), name .. " " .. other)
        assert.truthy(tonumber((send(base, unpack(request, 1, 4)))))
      end
    end
    assert.equal(50, #all(new { id = id, runs = 50 }, "/runs"))
  end)

  it("cuts the response of a creation at any byte, after the run was created", function()
    local whole = raw(new { runs = 0 }, CREATE:gsub("\r\nHost", "\r\nConnection: close\r\nHost"))
    local length = #whole:match "\r\n\r\n(.*)$"
    for _, bytes in ipairs { 0, 1, 12, 100, 180, 400, 5000 } do
      local base, id = server:scenario { runs = 0, fault = "cut", of = "response", bytes = bytes, on = "create" }
      local part = raw(base, CREATE)
      assert.equal(("HTTP/1.1 201 Created\r\n"):sub(1, bytes), part:sub(1, math.min(22, bytes)))
      if bytes < 5000 then
        assert.equal(bytes, #part)
      else
        assert.equal(length, #part:match "\r\n\r\n(.*)$")
      end
      assert.equal(1, #get(base, "/runs").data)
      assert.equal(BODY, server:requests(id)[1].body)
    end
    local base = new { runs = 0, fault = "cut", bytes = 7 }
    assert.equal(7, #raw(base, CREATE):match "\r\n\r\n(.*)$")
  end)

  it("creates no run, or one if the scenario says that the request acts", function()
    for _, fault in ipairs { "close", "status", "garbage", "html", "unread" } do
      local base = new { runs = 0, fault = fault, on = "create" }
      send(base, "POST", "/runs", nil, BODY)
      assert.same({}, get(base, "/runs").data)
    end
    for _, fault in ipairs { "close", "status", "garbage", "html" } do
      local base = new { runs = 0, fault = fault, on = "create", acts = true }
      send(base, "POST", "/runs", nil, BODY)
      assert.equal(1, #get(base, "/runs").data)
    end
  end)

  it("closes the connection before the request's body is sent", function()
    local base, id = server:scenario { runs = 0, fault = "unread", on = "create" }
    assert.equal("", raw(base, CREATE:sub(1, -#BODY - 1)))
    assert.equal("POST", server:requests(id)[1].method)
    assert.equal("", server:requests(id)[1].body)
  end)

  it("repeats a cursor of results, or sends an empty page of them", function()
    local base = new { runs = 1, documents = 30 }
    local id = get(base, "/runs").data[1].id
    local page = get(new { runs = 1, documents = 30, fault = "empty" }, "/results", { run_id = id })
    assert.same({}, page.data)
    assert.is_string(page.list_metadata.after)
    base = new { runs = 1, documents = 30, fault = "cursor", lead = 0, cycle = 1 }
    page = get(base, "/results", { run_id = id, limit = 10 })
    local again = get(base, "/results", { run_id = id, limit = 10, after = page.list_metadata.after })
    assert.equal(page.list_metadata.after, again.list_metadata.after)
  end)
end)

describe("the journal", function()
  it("has the method, the path, the query, the headers and the body of each request", function()
    local base, id = server:scenario { runs = 0 }
    local body = '{"experiment_id":"exp_0",\r\n"plan_token":"\0\255"}'
    send(base, "POST", "/runs", { a = "1 2" }, body, { ["x-team"] = "red" })
    local request = server:requests(id)[1]
    assert.same({ "POST", BASE .. "/runs", "a=1%202", "red", body },
      { request.method, request.path, request.query, request.headers["x-team"], request.body })
    assert.same({ a = "1 2" }, request.args)
    assert.truthy(request.request_id:find "^req_%x+$")
  end)
end)

-- ---- lists that change -----------------------------------------------------------------------------------

describe("a list that changes while it is walked", function()
  it("receives new runs at its start after each page", function()
    local base = new { runs = 50, churn = "create", churn_runs = 3 }
    local initial = ids_of(all(new { runs = 50 }, "/runs"))
    assert.same(initial, ids_of(all(base, "/runs", { limit = 10 })))
    local later = ids_of(all(base, "/runs", { limit = 100 }))
    assert.equal(50 + 5 * 3, #later)
    assert.same(initial, { unpack(later, 16) })
  end)

  it("has runs that leave the filter after they became cursors", function()
    local options = { runs = 400, churn = "leave" }
    local initial = ids_of(all(new { runs = 400 }, "/runs", { status = "completed", limit = 20 }))
    local base = new(options)
    assert.same(initial, ids_of(all(base, "/runs", { status = "completed", limit = 20 })))
    local rest = all(base, "/runs", { status = "completed", limit = 100 })
    assert.equal(#initial - math.ceil(#initial / 20), #rest)
    assert.equal("error", get(base, "/runs/" .. initial[20]).lifecycle.status)
  end)
end)
