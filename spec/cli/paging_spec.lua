--- Paging and filters of retab-runs, from outside.
local cjson = require "cjson"
local dates = require "retab.dates"
local tool = require "spec.cli.tool"

local ask, retab_runs, server, split = tool.ask, tool.run, tool.server, tool.split

local unpack_ = table.unpack or unpack

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
    assert.equal("1", server:requests(id)[3].args.limit) -- no more than needed
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

  it("takes short names of filters", function()
    local base_url, id = server:scenario()
    retab_runs(base_url, { "list", "-e", "exp_0", "-w", "wf_0", "-b", "extract-invoice", "-s", "error", "-n", 3, "-q" })
    assert.same({ experiment_id = "exp_0", workflow_id = "wf_0", block_id = "extract-invoice", status = "error",
      limit = "3" }, server:requests(id)[1].args)
  end)

  it("takes an age for a date", function()
    local base_url, id = server:scenario()
    for age, seconds in pairs { ["30m"] = 1800, ["12h"] = 43200, ["7d"] = 604800, ["2w"] = 1209600 } do
      local before = os.time()
      assert.equal(0, retab_runs(base_url, { "--from-date", age, "-q" }).status)
      local requests = server:requests(id)
      local sent = assert(dates.span(requests[#requests].args.from_date))
      assert.is_true(sent >= before - seconds - 1 and sent <= os.time() - seconds + 1, age)
    end
    assert.equal(2, retab_runs(base_url, { "--from-date", "7x" }).status)
  end)

  it("says so where no run matches", function()
    local result = retab_runs(server:scenario { runs = 0 }, {})
    assert.equal("", result.stdout)
    assert.equal("No runs match.\n", result.stderr)
    assert.equal(0, result.status)
  end)

  it("is silent on standard error with -q", function()
    local base_url = server:scenario()
    for _, arguments in ipairs { { "-q" }, { "list", "-q" }, { "-q", "list", "--all" } } do
      assert.equal("", retab_runs(base_url, arguments).stderr)
    end
  end)

  it("walks a date range in parallel, in the same order and with the same bytes", function()
    local base_url = server:scenario { runs = 700 }
    local range = { "--from-date", "2026-05-01", "--to-date", "2026-05-31" }
    local single = retab_runs(base_url, { "--all", "--json", "-q", unpack_(range) })
    local parallel = retab_runs(base_url, { "--parallel", 4, "--json", "-q", unpack_(range) })
    assert.equal(700, #single.lines)
    assert.equal(single.stdout, parallel.stdout)
  end)

  it("sorts the same bytes after a walk in parallel", function()
    local base_url = server:scenario { runs = 300 }
    local arguments = { "--from-date", "1990-01-01", "--all", "--json", "--sort", "score" }
    local expected = retab_runs(base_url, arguments).stdout
    arguments[#arguments + 1], arguments[#arguments + 2] = "--parallel", 3
    assert.equal(expected, retab_runs(base_url, arguments).stdout)
  end)

  it("says who asks", function()
    local base_url, id = server:scenario()
    retab_runs(base_url, {})
    local headers = server:requests(id)[1].headers
    assert.equal(tool.secret, headers["api-key"])
    assert.truthy(headers["user-agent"]:find("^retab%-lua/%S+ retab%-runs$"))
  end)
end)
