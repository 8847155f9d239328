--- The examples, run as their first lines say. What they print is held against what the API itself answers.
local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local program = require "spec.program"
local simulator = require "spec.simulator"

local server = simulator.shared()

--- The runs that the API lists, walked with nothing of this library.
local function ask(base_url, query)
  local runs, after = {}, nil
  repeat
    local chunks = {}
    local url = base_url .. "/v1/workflows/experiments/runs?limit=100&" .. query .. (after and "&after=" .. after or "")
    local _, status = http.request { url = url, headers = { ["Api-Key"] = "key" }, sink = ltn12.sink.table(chunks) }
    assert(status == 200, status)
    local page = cjson.decode(table.concat(chunks))
    for _, run in ipairs(page.data) do runs[#runs + 1] = run end
    after = page.list_metadata.after
    if after == cjson.null then after = nil end
  until not after
  return runs
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

  it("first_page tells an error by its kind", function()
    local base_url = server:scenario { key = "another" }
    local result = run_example("first_page", base_url, "exp_0")
    assert.equal("authentication\tInvalid API Key.\n", result.stdout)
    assert.equal(1, result.status)
  end)

  it("every_run counts all of them", function()
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

  it("every_run ends in an error where a page fails", function()
    local base_url = server:scenario { runs = 2000, fault = "status", code = 418, at = 2 }
    local result = run_example("every_run", base_url, "exp_0")
    assert.equal("", result.stdout)
    assert.equal(1, result.status)
    -- The interpreter of Lua 5.1 shows no error that is a table.
    if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then return end
    assert.truthy(result.stderr:find("retab: api error: Simulated failure", 1, true))
  end)

  it("resume goes on where it failed: each run once, none left out", function()
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

  it("score_alert finds each drop between consecutive runs", function()
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
