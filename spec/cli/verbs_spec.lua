--- The verbs of retab-runs that look at one run or change something, from outside.
local cjson = require "cjson"
local program = require "spec.program"
local simulated_path = "/v1/workflows/experiments/runs/"
local socket = require "socket"
local tool = require "spec.cli.tool"

local retab_runs, server = tool.run, tool.server
local completed = "exprun_855f747fc81370" -- of the simulator's data

describe("retab-runs get", function()
  it("shows what a run holds, with the reason of an error", function()
    local result = retab_runs(server:scenario(), { "get", "exprun_c9717ecf06aa21" })
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find "^id +exprun_c9717ecf06aa21\nlifecycle.status +error\n")
    assert.truthy(result.stdout:find "\nlifecycle.message +The model did not answer within 120 s\n")
  end)

  it("shows what people look for first, and a duration in words", function()
    local result = retab_runs(server:scenario(), { "get", "exprun_c9717ecf06aa21" })
    assert.truthy(result.lines[3]:find "^lifecycle.message ")
    assert.truthy(result.stdout:find "\ntiming.duration_ms +151129 %(2m31s%)\n")
  end)

  it("prints the server's own bytes with -o json", function()
    local base_url = server:scenario()
    local line = retab_runs(base_url, { "-o", "jsonl", "-n", 1 }).stdout
    local id = cjson.decode(line).id
    assert.equal(line, retab_runs(base_url, { "get", id, "-o", "json" }).stdout)
  end)

  it("is 1 for an unknown run", function()
    local result = retab_runs(server:scenario(), { "get", "a/b c" })
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find "^retab%-runs: Experiment run not found: a/b c\n")
  end)
end)

describe("retab-runs create", function()
  it("prints the id of the new run", function()
    local base_url, id = server:scenario()
    local result = retab_runs(base_url, { "create", "exp_0", "-w", "wf_0", "--plan-token", "t" })
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find "^exprun_%x+\n$")
    local request = server:requests(id)[1]
    assert.same({ "POST", { experiment_id = "exp_0", workflow_id = "wf_0", plan_token = "t" } },
      { request.method, cjson.decode(request.body) })
  end)

  it("is 1 where the response has no id to follow", function()
    for _, body in ipairs { "{}", '{"id":5}', '{"id":null}' } do
      for _, more in ipairs { "--json", "--wait" } do
        local result = retab_runs(tool.answering(body), { "create", "exp_0", more })
        assert.equal(1, result.status)
        assert.truthy(result.stderr:find "^retab%-runs: the run was created, but", result.stderr)
        assert.equal(more == "--json" and body .. "\n" or "", result.stdout)
      end
    end
  end)

  for outcome, status in pairs { completed = 0, error = 3, cancelled = 3 } do
    it(("ends with %d after --wait where the run is %s"):format(status, outcome), function()
      local base_url = server:scenario { outcome = outcome }
      local result = retab_runs(base_url, { "create", "exp_0", "--wait", "--interval", 0.01 })
      assert.equal(status, result.status, result.stderr)
      local expected = "exprun_%x+ pending .*exprun_%x+ running .*exprun_%x+ " .. outcome
      assert.truthy(result.stdout:find(expected), result.stdout)
    end)
  end
end)

describe("retab-runs cancel", function()
  it("prints what the run is now", function()
    local base_url, id = server:scenario()
    local run = retab_runs(base_url, { "create", "exp_0", "-q" }).lines[1]
    assert.equal(run .. " cancelled\n", retab_runs(base_url, { "cancel", run }).stdout)
    assert.equal(simulated_path .. run .. "/cancel", server:requests(id)[2].path:match "(/v1/.*)$")
    local result = retab_runs(base_url, { "cancel", completed })
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("hint: look at the run: retab-runs get " .. completed, 1, true))
  end)
end)

describe("retab-runs watch", function()
  it("follows several runs, and ends by their outcome", function()
    local base_url = server:scenario { looks = 4 }
    local first = retab_runs(base_url, { "create", "exp_0", "-q" }).lines[1]
    local second = retab_runs(base_url, { "create", "exp_1", "-q" }).lines[1]
    local result = retab_runs(base_url, { "watch", first, second, "--interval", 0.01 })
    assert.equal(0, result.status)
    assert.equal("2 runs completed\n", result.stderr)
    assert.equal(3, retab_runs(base_url, { "watch", first, "exprun_c9717ecf06aa21" }).status)
  end)

  it("follows all that have not ended where no run is named", function()
    local base_url, id = server:scenario { runs = 0 }
    local result = retab_runs(base_url, { "watch", "-e", "exp_7" })
    assert.equal(0, result.status)
    assert.truthy(result.stderr:find "^No runs match")
    local asked = {}
    for _, request in ipairs(server:requests(id)) do asked[request.args.status] = request.args.experiment_id end
    assert.same({ running = "exp_7", queued = "exp_7", pending = "exp_7" }, asked)
  end)

  it("finds a run that moves on while it is looked for", function()
    local listening = assert(socket.bind("127.0.0.1", 0))
    listening:settimeout(30)
    local _, port = listening:getsockname()
    local command = "RETAB_API_KEY=k RETAB_API_BASE_URL=http://127.0.0.1:%d scripts/lua %s bin/retab-runs watch 2>&1"
    local output = io.popen(command:format(port, program.version))
    local status, is_found, lists = "pending", false, 0
    repeat
      local peer = assert(listening:accept())
      local target = peer:receive("*l")
      repeat until peer:receive("*l") == ""
      local run = '{"id":"exprun_1","lifecycle":{"status":"%s"}}'
      local body = run:format "completed"
      local is_last = not target:find "%?"
      if not is_last then
        lists = lists + 1
        local is_listed = target:find("status=" .. status, 1, true) ~= nil
        body = tool.envelope(is_listed and run:format(status) or nil)
        is_found = is_found or is_listed
        status = "running"
      end
      peer:send(("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n")
        :format(#body) .. body)
      peer:close()
    until is_last or lists == 3 and not is_found
    local text = output:read "*a"
    output:close()
    listening:close()
    assert.equal("exprun_1 completed -\n1 run completed\n", text)
  end)

  it("follows a run once that is named twice", function()
    local result = retab_runs(server:scenario(), { "watch", completed, completed })
    assert.equal("1 run completed\n", result.stderr)
  end)

  it("looks at many runs with one request, and at old ones one by one", function()
    local function paths(runs)
      local base_url, id = server:scenario { runs = runs }
      local result = retab_runs(base_url, { "watch", "--interval", 60, "--deadline", 30, "-q" })
      assert.equal(1, result.status)
      local lists, gets = 0, 0
      for _, request in ipairs(server:requests(id)) do
        if request.path:find "/runs/" then gets = gets + 1 elseif not request.args.status then lists = lists + 1 end
      end
      return { #result.lines, lists, gets }
    end

    assert.same({ 16, 1, 0 }, paths(100))
    local shown, lists, gets = (table.unpack or unpack)(paths(200))
    assert.equal(1, lists)
    assert.is_true(gets > 0 and gets < shown, gets)
  end)

  it("tolerates failures that can pass, and ends at a run that is not there", function()
    local base_url = server:scenario { fault = "status", code = 503, on = "get", times = 4, retry_after = "0" }
    local result = retab_runs(base_url, { "watch", completed, "--interval", 0.01 })
    assert.equal(0, result.status)
    assert.truthy(result.stderr:find("trying again", 1, true))
    base_url = server:scenario()
    assert.equal(1, retab_runs(base_url, { "watch", "nope", "--interval", 0.01 }).status)
  end)

  it("gives up after --deadline", function()
    local running = "exprun_98aeeb472248f4"
    local result = retab_runs(server:scenario(), { "watch", running, "--interval", 0.05, "--deadline", 0.2 })
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("0 of 1 run ended within 0.2 s", 1, true))
  end)

  it("redraws in place on a terminal", function()
    local base_url = server:scenario { looks = 4 }
    local run = retab_runs(base_url, { "create", "exp_0", "-q" }).lines[1]
    local shown = tool.in_terminal(80, base_url, { "watch", run, "--interval", 0.01 })
    assert.truthy(shown:find("\27[3A\27[J", 1, true))
    assert.truthy(shown:find("1 of 1 run ended\n", 1, true))
  end)
end)

describe("retab-runs watch, of more runs than the terminal has lines,", function()
  it("shows those that have not ended", function()
    local base_url = server:scenario()
    local arguments = { "watch", "--interval", 0.01, "--deadline", 0.05 }
    for _, id in ipairs(retab_runs(base_url, { "-s", "completed", "-o", "ids", "-n", 30 }).lines) do
      arguments[#arguments + 1] = id
    end
    local running = "exprun_98aeeb472248f4"
    arguments[#arguments + 1] = running
    local shown = tool.in_terminal(80, base_url, arguments)
    assert.truthy(shown:find("^ID [^\n]+\n" .. running), shown)
    assert.truthy(shown:find "\nand %d+ more\n30 of 31 runs ended")
  end)
end)

describe("retab-runs results", function()
  it("lists the results of a run in every output", function()
    local base_url = server:scenario()
    local result = retab_runs(base_url, { "results", completed })
    assert.equal("14 results on 1 page\n", result.stderr)
    assert.truthy(result.lines[1]:find "^ID +STATUS +FILE +TOOK +ATTEMPT +DOCUMENT +CREATED +OPERATION +ARTIFACT$")
    assert.same({ "contract 7-14.pdf", "1m28s" }, { tool.split(result.lines[2])[3], tool.split(result.lines[2])[4] })
    assert.equal(14, #retab_runs(base_url, { "results", completed, "--json" }).lines)
    assert.equal(15, #retab_runs(base_url, { "results", completed, "-o", "csv" }).lines)
    assert.equal(1, retab_runs(base_url, { "results", "nope" }).status)
  end)
end)

describe("retab-runs metrics", function()
  it("shows prior scores beside current ones, with arrows", function()
    local base_url = server:scenario()
    local result = retab_runs(base_url, { "metrics", completed })
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find("Score  0.909  ▲ +0.282  (prior 0.628, exprun_f5c6cd33e7ba84)\n", 1, true))
    assert.truthy(result.stdout:find("invoice-1.pdf      0.922  0.636  ▲ +0.286  expdoc_00000000003001\n", 1, true))
    assert.truthy(result.stdout:find("scan-5.eml         0.916      -         -  expdoc_", 1, true))
    assert.is_nil(retab_runs(base_url, { "metrics", completed, "--no-prior" }).stdout:find("prior", 1, true))
    assert.truthy(result.stderr:find("--view by_document --document-id ID", 1, true))
    assert.equal("", retab_runs(base_url, { "metrics", completed, "-q" }).stderr)
  end)

  it("shows every view", function()
    local base_url = server:scenario()
    local document, target = { "--document-id", "expdoc_00000000003001" }, { "--target-path", "total" }
    for view, options in pairs { by_document = { document }, by_target = { target }, votes = { document, target } } do
      local arguments = { "metrics", completed, "--view", view }
      for _, pair in ipairs(options) do
        arguments[#arguments + 1], arguments[#arguments + 2] = pair[1], pair[2]
      end
      local result = retab_runs(base_url, arguments)
      assert.equal(0, result.status, result.stderr)
      assert.truthy(result.stdout:find("\nScore  0.9", 1, true), view)
    end
    local result = retab_runs(base_url, { "metrics", completed, "--view", "votes", document[1], document[2],
      "--target-path", "lines[*].total" })
    assert.truthy(result.stdout:find "\n%[[%d., ]+%] +[%d.]+ +%[[%d., ]+%] | ", result.stdout)
  end)

  it("says why there are none, and what to type next", function()
    local result = retab_runs(server:scenario { metrics = "stale" }, { "metrics", completed })
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find("To measure again: retab-runs create exp_0\n", 1, true))
    assert.equal(0, retab_runs(server:scenario { metrics = "none" }, { "metrics", completed }).status)
  end)
end)
