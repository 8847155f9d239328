--- The examples, run as their first lines say. The expected output comes from the API's own responses.
local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local program = require "spec.program"
local simulator = require "spec.simulator"

local server = simulator.shared()

--- Requests an object with LuaSocket.
local function get(base_url, path)
  local chunks = {}
  local _, status = http.request { url = base_url .. "/v1/workflows/experiments/" .. path,
    headers = { ["Api-Key"] = "key" }, sink = ltn12.sink.table(chunks) }
  assert(status == 200, status)
  return cjson.decode(table.concat(chunks))
end

--- Returns every item that the API lists, without this library.
local function list(base_url, path)
  local runs, after = {}, nil
  repeat
    local page = get(base_url, path .. "&limit=100" .. (after and "&after=" .. after or ""))
    for _, run in ipairs(page.data) do runs[#runs + 1] = run end
    after = page.list_metadata.after
    if after == cjson.null then after = nil end
  until not after
  return runs
end

local function ask(base_url, query)
  return list(base_url, "runs?" .. query)
end

local function run_example(name, base_url, ...)
  local result = program.run("examples/" .. name .. ".lua", { ... },
    { RETAB_API_KEY = "key", RETAB_API_BASE_URL = base_url })
  result.lines = program.lines(result.stdout)
  return result
end

local function score_of(run)
  return run.score ~= cjson.null and run.score or nil
end

describe("the example", function()
  it("first_page shows the ten newest runs", function()
    local base_url = server:scenario { runs = 400 }
    local runs = ask(base_url, "experiment_id=exp_0")
    local result = run_example("first_page", base_url, "exp_0")
    assert.equal(0, result.status)
    for index = 1, 10 do
      local id, status, score = result.lines[index]:match("^(%S+)\t(%S+)\t(.+)$")
      assert.same({ runs[index].id, runs[index].lifecycle.status }, { id, status })
      assert.equal(score_of(runs[index]), tonumber(score))
    end
    assert.equal("There are more.", result.lines[11])
    assert.equal(11, #result.lines)
  end)

  it("first_page prints the kind of an error", function()
    local base_url = server:scenario { key = "another" }
    local result = run_example("first_page", base_url, "exp_0")
    assert.equal("authentication\tInvalid API Key.\n", result.stdout)
    assert.equal(1, result.status)
  end)

  it("every_run counts all runs", function()
    local base_url = server:scenario { runs = 2000, shape = "flat" }
    local counts, scored, sum = {}, 0, 0
    local runs = ask(base_url, "experiment_id=exp_0")
    assert.is_true(#runs > 200)
    for _, run in ipairs(runs) do
      counts[run.lifecycle.status] = (counts[run.lifecycle.status] or 0) + 1
      if score_of(run) then scored, sum = scored + 1, sum + run.score end
    end
    local result = run_example("every_run", base_url, "exp_0")
    assert.equal(("mean score %.3f"):format(sum / scored), table.remove(result.lines))
    local printed = {}
    for _, line in ipairs(result.lines) do
      local status, count = line:match("^(%l+) +(%d+)$")
      printed[status] = tonumber(count)
    end
    assert.same(counts, printed)
    assert.equal(0, result.status)
  end)

  it("every_run exits with an error if a page fails", function()
    local base_url = server:scenario { runs = 2000, fault = "status", code = 418, at = 2 }
    local result = run_example("every_run", base_url, "exp_0")
    assert.equal("", result.stdout)
    assert.equal(1, result.status)
    -- The interpreter of Lua 5.1 shows no error that is a table.
    if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then return end
    assert.truthy(result.stderr:find("retab: api error: Simulated failure", 1, true))
  end)

  it("resume prints each run once over two starts, the first of which fails", function()
    local cursor_file = os.tmpname()
    os.remove(cursor_file)
    local failing = server:scenario { runs = 2000, fault = "status", code = 418, at = 3 }
    local working = server:scenario { runs = 2000 }
    local first = run_example("resume", failing, "exp_0", cursor_file)
    assert.equal(1, first.status)
    assert.equal(200, #first.lines)
    assert.truthy(first.stderr:find("resume with after: " .. first.lines[200], 1, true))
    local second = run_example("resume", working, "exp_0", cursor_file)
    assert.equal(0, second.status)
    local ids = {}
    for _, run in ipairs(ask(working, "experiment_id=exp_0")) do ids[#ids + 1] = run.id end
    assert.same(ids, program.lines(first.stdout .. second.stdout))
    assert.is_nil(io.open(cursor_file))
  end)

  it("score_alert reports each drop between consecutive runs", function()
    local base_url = server:scenario()
    local runs, expected = ask(base_url, "experiment_id=exp_0&status=completed"), {}
    for index = 1, math.min(#runs, 50) - 1 do
      local newer, older = runs[index], runs[index + 1]
      if older.score - newer.score > 0.3 then
        expected[#expected + 1] = ("%s  %s dropped to %.3f from %.3f (%s)"):format(newer.timing.created_at, newer.id,
          newer.score, older.score, older.id)
      end
    end
    assert.is_true(#expected > 0)
    local result = run_example("score_alert", base_url, "exp_0", 0.3)
    assert.same(expected, result.lines)
    assert.equal(1, result.status)
    result = run_example("score_alert", base_url, "exp_0", 1)
    assert.same({ 0, "" }, { result.status, result.stdout })
  end)

  it("own_http_stack lists every run without the library's transport", function()
    local base_url, id = server:scenario { runs = 2000 }
    local expected = {}
    local runs = ask(base_url, "experiment_id=exp_0")
    for index, run in ipairs(runs) do expected[index] = run.id .. "\t" .. run.lifecycle.status end
    local before = #server:requests(id)
    local result = run_example("own_http_stack", base_url, "exp_0")
    assert.same(expected, result.lines)
    assert.equal(before, #server:requests(id) - before)
    assert.truthy(server:requests(id)[before + 1].headers["user-agent"]:find("^retab%-lua/"))
  end)

  --- Returns the requests that arrived as words: "POST", "GET", ...
  local function methods(id)
    local words = {}
    for index, request in ipairs(server:requests(id)) do words[index] = request.method end
    return table.concat(words, " ")
  end

  it("run_and_wait starts one run and shows its progress until it ends", function()
    local base_url, id = server:scenario { documents = 8, looks = 4, score = 0.75 }
    local result = run_example("run_and_wait", base_url, "exp_0", 0.01)
    assert.equal("", result.stderr)
    local run_id = result.lines[1]:match "^started (exprun_%x+)$"
    assert.equal("completed", get(base_url, "runs/" .. run_id).lifecycle.status)
    assert.same({ "pending, 0 of 8 documents", "running, 2 of 8 documents", "running, 5 of 8 documents",
      "completed, 8 of 8 documents", "score\t0.75" }, { (table.unpack or unpack)(result.lines, 2) })
    assert.equal("POST GET GET GET GET GET", methods(id)) -- the last one is ours
    assert.equal(0, result.status)
  end)

  it("run_and_wait exits with 1 if the run ends in an error, and if it cannot be started", function()
    local result = run_example("run_and_wait", (server:scenario { looks = 1, outcome = "error" }), "exp_0", 0.01)
    assert.equal(1, result.status)
    assert.equal("score\tnone", result.lines[#result.lines])
    local base_url, id = server:scenario { fault = "cut", bytes = 10, on = "create" }
    result = run_example("run_and_wait", base_url, "exp_0", 0.01)
    assert.same({ 1, "" }, { result.status, result.stdout })
    assert.truthy(result.stderr:find("list the runs of the experiment before you create another one", 1, true))
    assert.equal("POST", methods(id))
  end)

  it("regression_check compares the new run with the last completed one", function()
    local function check(score, tolerance)
      local base_url, id = server:scenario { looks = 2, score = score }
      local last = ask(base_url, "experiment_id=exp_0&status=completed")[1]
      local result = run_example("regression_check", base_url, "exp_0", tolerance, 0.01)
      assert.equal("", result.stderr)
      local newest = ask(base_url, "experiment_id=exp_0")[1]
      assert.equal(("%s scored %.3f, %s scored %.3f"):format(newest.id, score, last.id, last.score), result.lines[1])
      assert.truthy(methods(id):find "GET POST GET GET")
      return result, last.score
    end
    local result, last = check(0.1, 0.05)
    assert.same({ 1, ("the score dropped by %.3f"):format(last - 0.1) }, { result.status, result.lines[2] })
    result = check(0.1, 1)
    assert.equal(0, result.status)
    result = check(1, 0.05)
    assert.equal(0, result.status)
  end)

  it("regression_check passes without an earlier run, and exits with 2 without a score", function()
    local result = run_example("regression_check", (server:scenario { runs = 0, score = 0.5 }), "exp_0", 0.05, 0.01)
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find("no earlier run has a score", 1, true))
    result = run_example("regression_check", (server:scenario { outcome = "cancelled" }), "exp_0", 0.05, 0.01)
    assert.equal(2, result.status)
    assert.truthy(result.stderr:find("ended with the status cancelled", 1, true))
    result = run_example("regression_check", (server:scenario { key = "another" }), "exp_0", 0.05, 0.01)
    assert.equal(2, result.status)
    assert.truthy(result.stderr:find("Invalid API Key", 1, true))
  end)

  it("worse_documents prints the documents and the fields that dropped, the largest drop first", function()
    local base_url = server:scenario { documents = 6 }
    local run
    for _, candidate in ipairs(ask(base_url, "experiment_id=exp_0&status=completed")) do
      local summary = get(base_url, "metrics?run_id=" .. candidate.id)
      if not run and summary.prior_score ~= cjson.null and summary.prior_score > summary.score then run = candidate end
    end
    local function drops(items, name)
      local found = {}
      for _, item in ipairs(items) do
        if item.score < item.prior_score then
          found[#found + 1] = { name = item[name], id = item.id, drop = item.prior_score - item.score,
            text = ("%s  %.3f, was %.3f"):format(item[name], item.score, item.prior_score) }
        end
      end
      return found
    end
    local expected, count = {}, 0
    for _, document in ipairs(drops(get(base_url, "metrics?run_id=" .. run.id).documents, "filename")) do
      expected[document.text], count = document.drop, count + 1
      local path = ("metrics?view=by_document&run_id=%s&document_id=%s"):format(run.id, document.id)
      for _, target in ipairs(drops(get(base_url, path).targets, "path")) do
        expected["    " .. target.text], count = target.drop, count + 1
      end
    end
    local result = run_example("worse_documents", base_url, run.id)
    assert.equal("", result.stderr)
    local last_document, last_target = math.huge, math.huge
    for _, line in ipairs(result.lines) do
      local drop = assert(expected[line], line)
      if line:find "^ " then
        assert.is_true(drop <= last_target + 1e-9, line)
        last_target = drop
      else
        assert.is_true(drop <= last_document + 1e-9, line)
        last_document, last_target = drop, math.huge
      end
    end
    assert.equal(count, #result.lines)
    assert.equal(0, result.status)
  end)

  it("worse_documents explains why there is nothing to compare", function()
    local function fails(options, reason)
      local base_url = server:scenario(options)
      local run = ask(base_url, "experiment_id=exp_0&status=completed")[1]
      local result = run_example("worse_documents", base_url, run.id)
      assert.same({ 1, "" }, { result.status, result.stdout })
      assert.truthy(result.stderr:find(reason, 1, true), result.stderr)
    end
    fails({ metrics = "stale" }, "configuration has changed")
    fails({ metrics = "none" }, "has no metrics")
    fails({ fault = "status", code = 403, on = "metrics" }, "permission error")
  end)

  --- Reads RFC 4180, character by character.
  local function read_csv(text)
    local rows, row, field, quoted, at = {}, {}, "", false, 1
    while at <= #text do
      local char, two = text:sub(at, at), text:sub(at, at + 1)
      if quoted and two == '""' then
        field, at = field .. '"', at + 1
      elseif char == '"' then
        quoted = not quoted
      elseif not quoted and char == "," then
        row[#row + 1], field = field, ""
      elseif not quoted and two == "\r\n" then
        row[#row + 1], rows[#rows + 1] = field, row
        row, field, at = {}, "", at + 1
      else
        field = field .. char
      end
      at = at + 1
    end
    assert(not quoted and field == "" and #row == 0, "the last row does not end")
    return rows
  end

  it("results_to_csv writes one row of RFC 4180 per document", function()
    local base_url = server:scenario { documents = 130 }
    local quoted = 0
    for _, status in ipairs { "completed", "error" } do
      local run = ask(base_url, "experiment_id=exp_0&status=" .. status)[1]
      local expected = { { "id", "document_id", "filename", "status", "duration_ms", "message" } }
      for _, one in ipairs(list(base_url, "results?order=asc&run_id=" .. run.id)) do
        local function text(value) return value and value ~= cjson.null and tostring(value) or "" end
        local duration = one.timing.duration_ms
        expected[#expected + 1] = { one.id, one.document_id, one.handle_inputs["input-file-0"].document.filename,
          one.lifecycle.status, type(duration) == "number" and ("%d"):format(duration) or "",
          text(one.lifecycle.message) }
        if text(one.lifecycle.message):find '[,"\n]' then quoted = quoted + 1 end
      end
      assert.equal(131, #expected)
      local result = run_example("results_to_csv", base_url, run.id)
      assert.same({ 0, "" }, { result.status, result.stderr })
      assert.same(expected, read_csv(result.stdout))
    end
    assert.is_true(quoted > 0)
  end)

  it("is at most 40 lines long", function()
    local listing = io.popen("ls examples/*.lua")
    for path in listing:lines() do
      local count = 0
      for _ in io.lines(path) do count = count + 1 end
      assert.is_true(count <= 40, path)
    end
    listing:close()
  end)
end)
