--- How retab-runs ends: exit statuses and messages.
local program = require "spec.program"
local socket = require "socket"
local tool = require "spec.cli.tool"

local answering, retab_runs, server, split = tool.answering, tool.run, tool.server, tool.split

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
      ["bad --limit: must be an integer from 1 to 100, got 0\n"] = { "--limit", 0 },
      ["--limit takes a number, not 'many'\n"] = { "--limit", "many" },
      ["bad --status: must be one of pending, queued, running, completed, error, cancelled, got 'done'\n"] =
        { "--status", "done" },
      ["bad -o: must be one of table, json, jsonl, csv, ids, got 'xml'\n"] = { "-oxml" },
      ["unknown option '--stat'\nDid you mean '--status'?\n"] = { "--stat", "error" },
      ["unknown option '--wiat'\nDid you mean '--wait'?\n"] = { "create", "exp_abc", "--wiat" },
      ["RUN is missing\n"] = { "get" },
      ["RUN goes with none of --experiment-id, --workflow-id and --block-id\n"] =
        { "watch", "exprun_1", "-e", "exp_abc" },
      ["\nTo show a run: retab-runs get exprun_1\n"] = { "exprun_1" },
      ["\nFor the runs of an experiment: retab-runs -e exp_abc\n"] = { "list", "exp_abc" },
      ["must be an integer from 1 to 100, got 500; for 500 in all: -n 500\n"] = { "--limit", 500 },
      ["bad --before: must not be given together with --after\n"] = { "--before", "a", "--after", "b" },
      ["bad --from-date: must be a date (YYYY-MM-DD, RFC 3339, or an age such as 30m, 12h, 7d, 2w), got"] =
        { "--from-date", "2026-02-30" },
      ["bad --from-date: must not be later than --to-date, got 2026-03-02 after 2026-03-01"] =
        { "--from-date", "2026-03-02", "--to-date", "2026-03-01" },
      ["bad --max-items: must be an integer of at least 1, got 0\n"] = { "--max-items", 0 },
      ["bad --timeout: must be a number of seconds above 0, got 0\n"] = { "--timeout", 0 },
      ["bad --experiment-id: must be a string that is not empty"] = { "--experiment-id", "" },
      ["bad --base-url: plain http would show the API key to the network: use https\n"] =
        { "--base-url", "http://api.example.com" },
      ["unknown option '--limt'\nDid you mean '--limit'?\n"] = { "--limt", 5 },
      ["unknown command 'wach'\nDid you mean 'watch'?\nTry 'retab-runs --help'.\n"] = { "wach" },
      ["unknown option '--api-key'\nThe key is read from RETAB_API_KEY, never from the command line"] =
        { "--api-key", "other" },
      ["--parallel needs --from-date"] = { "--parallel", 3 },
      ["--columns is for tables and csv"] = { "--json", "--columns", "id" },
      ["missing --document-id: the view 'by_document' needs it"] = { "metrics", "exprun_1", "--view", "by_document" },
      ["bad --interval: must be a number of seconds above 0"] = { "watch", "exprun_1", "--interval", 0 },
      ["bad --parallel: must be an integer of at least 1, got 0\n"] = { "--from-date", "7d", "--parallel", 0 },
      ["bad --parallel: must be an integer of at least 1, got 2.5\n"] = { "--from-date", "7d", "--parallel", 2.5 },
      ["bad --parallel: must be at most 1000, got 1001\n"] = { "--from-date", "7d", "--parallel", 1001 },
      ["RUN must not be empty\n"] = { "get", "" },
      ["numbers and ages must not begin with '-'\n"] = { "--from-date", "-7d" },
      ["SHELL must be one of bash, zsh, fish\n"] = { "completion", "csh" },
      ["EXPERIMENT must not be empty\n"] = { "create", "" },
    }
    for message, arguments in pairs(misuse) do
      local result = retab_runs(base_url, arguments)
      assert.equal(2, result.status, message)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find(message, 1, true), result.stderr)
      assert.truthy(result.stderr:find "\nTry 'retab%-runs [%l -]*%-%-help'%.\n$", result.stderr)
    end
    fails(2, "^retab%-runs: no API key: set the environment variable RETAB_API_KEY\n", base_url, {},
      { RETAB_API_KEY = "" })
    assert.same({}, server:requests(id))
  end)

  it("names the variable that is wrong, and no option", function()
    for name, value in pairs { RETAB_API_BASE_URL = "http://api.example.com", RETAB_BASE_URL = "nonsense" } do
      local environment = { RETAB_API_BASE_URL = "", [name] = value }
      local result = fails(2, "^retab%-runs: bad environment variable " .. name .. ": ", "", {}, environment)
      assert.is_nil(result.stderr:find("--base-url", 1, true))
    end
    local result = fails(2, "^retab%-runs: bad environment variable RETAB_AUTH: ", "", {}, { RETAB_AUTH = "basic" })
    assert.is_nil(result.stderr:find("--auth", 1, true))
  end)

  it("is 1 where the API refuses, with the reason, the request id and a hint", function()
    local result = fails(1, "^retab%-runs: Invalid API Key%.\n", server:scenario { key = "another" }, {})
    assert.truthy(result.stderr:find("request id: req_", 1, true))
    assert.truthy(result.stderr:find("hint: check RETAB_API_KEY; if it is right, try --auth bearer\n", 1, true))
    result = fails(1, "Invalid API Key", server:scenario { key = "another" }, { "--auth", "bearer" })
    assert.truthy(result.stderr:find("try --auth api-key\n", 1, true))
    fails(1, "is not JSON but text/html", answering("<html>", { type = "text/html" }), { "--json" })
    fails(1, "%*%*%*", answering('{"detail":"who is ' .. tool.secret .. '?"}', { fault = "status", code = 418 }), {})
  end)

  it("has no hint with a name of the Lua library", function()
    local names = { "base_url", "max_body_bytes", "max_retries", "api_key", "ca_file", "connect_timeout", "allow_http",
      "auth =", "after:" }
    local scenarios = { { fault = "type", type = "text/html", times = 0 }, { fault = "cursor", cycle = 1 } }
    for _, code in ipairs { 302, 400, 401, 403, 404, 405, 409, 418, 422, 429, 500, 503 } do
      scenarios[#scenarios + 1] = { fault = "status", code = code, times = 0, retry_after = "1000" }
    end
    for _, options in ipairs(scenarios) do
      local result = retab_runs(server:scenario(options), { "--all" })
      assert.equal(1, result.status, options.code)
      assert.truthy(result.stderr:find("\n  hint: ", 1, true), result.stderr)
      for _, name in ipairs(names) do
        assert.is_nil(result.stderr:gsub("request: [^\n]*", ""):find(name, 1, true), result.stderr)
      end
    end
  end)

  it("has no hint to look at a run that was not created", function()
    local result = retab_runs(server:scenario(), { "create", "exp_0", "--plan-token", "stale" })
    assert.equal(1, result.status)
    assert.is_nil(result.stderr:find("hint:", 1, true), result.stderr)
  end)

  it("is 1 where a part is not installed, and says what to do", function()
    --- Lua reads the program from its standard input, so that it has no checkout beside it.
    local function run_with(change)
      local pipe = io.popen(("RETAB_API_KEY=k scripts/lua %s -e '%s' - 2>&1 <bin/retab-runs; echo $?"):format(
        program.version, change))
      local output = pipe:read "*a"
      pipe:close()
      return output
    end

    local line = "[^\n]+\n"
    local output = run_with [[package.cpath = "/nowhere/?.so"]]
    assert.truthy(output:find("^retab%-runs: retab is not built for Lua" .. line .. "[^\n]*scripts/build" .. line
      .. line .. "1\n$"), output)
    output = run_with [[package.path = package.path:match "^[^;]*;[^;]*"]]
    assert.truthy(output:find("^retab%-runs: the Lua module argparse is not installed%.\nInstall it: " .. line
      .. "1\n$"), output)
    output = run_with [[package.preload["retab.curl"] = function()
      error("libcurl.so.4: cannot open shared object file", 0)
    end]]
    assert.truthy(output:find "needs libcurl, which is not installed" and not output:find "traceback", output)
  end)

  it("names in a hint what the address came from", function()
    fails(1, "hint: check the id, [^\n]*; check RETAB_API_BASE_URL\n", (server:scenario()) .. "/elsewhere", {})
    local result = fails(1, "hint: check the network, the proxy settings and RETAB_API_BASE_URL\n",
      "http://127.0.0.1:1")
    assert.is_nil(result.stderr:find("--base-url", 1, true))
    result = fails(1, "hint: check the network, the proxy settings and %-%-base%-url\n", "",
      { "--base-url", "http://127.0.0.1:1" })
    assert.is_nil(result.stderr:find("RETAB_API_BASE_URL", 1, true))
  end)

  it("is 1 where nobody listens", function()
    fails(1, "^retab%-runs: .-connect", "http://127.0.0.1:1", {})
    local result = fails(1, "hint: [^\n]*%-%-timeout", server:scenario { latency = 30 }, { "--timeout", 0.05 })
    assert.truthy(result.stderr:find("error: timeout", 1, true))
  end)

  it("is 1 after a failure on the way: what came is printed, and how to go on", function()
    local base_url = server:scenario { runs = 250, fault = "status", code = 418, at = 2, times = 0 }
    local result = retab_runs(base_url, { "--all" })
    assert.equal(1, result.status)
    assert.equal(101, #result.lines)
    local to_go_on = "to go on: add --after " .. split(result.lines[101])[1]
    assert.truthy(result.stderr:find(to_go_on .. "\n", 1, true))
    result = retab_runs(server:scenario { runs = 250, fault = "status", code = 418, at = 2, times = 0 },
      { "--from-date", "1990-01-01", "--parallel", 2 })
    assert.truthy(result.stderr:find(to_go_on .. ", without --parallel\n", 1, true), result.stderr)
    result = retab_runs(base_url, { "-n", 240, "--sort", "score" })
    assert.equal("", result.stdout)
    assert.is_nil(result.stderr:find("to go on", 1, true), result.stderr) -- nothing was printed
  end)

  it("lets no control byte of a header reach the terminal", function()
    local listening = assert(socket.bind("127.0.0.1", 0))
    local _, port = listening:getsockname()
    local command = "RETAB_API_KEY=k RETAB_API_BASE_URL=http://127.0.0.1:%d scripts/lua %s bin/retab-runs 2>&1"
    local output = io.popen(command:format(port, program.version))
    listening:settimeout(30)
    local peer = assert(listening:accept())
    repeat until peer:receive("*l") == ""
    peer:send("HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nx-request-id: a\15531mb\127c\r\n"
      .. 'Content-Length: 2\r\n\r\n{}')
    local text = output:read("*a")
    output:close()
    peer:close()
    listening:close()
    assert.truthy(text:find("request id: a\239\191\18931mb\239\191\189c\n", 1, true), text)
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

  it("is 1 where stdout is closed, and nothing else is written to instead", function()
    local base_url, id = server:scenario { runs = 300 }
    local result = retab_runs(base_url, { "--all", "-o", "csv" }, {}, { under = "exec >&-; " })
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find "^retab%-runs: ", result.stderr)
    assert.is_true(#server:requests(id) <= 2)
  end)

  it("is 130 at an interrupt", function()
    local run = "exprun_98aeeb472248f4"
    for _, arguments in ipairs {
      {}, { "get", run }, { "watch" }, { "watch", run }, { "results", run }, { "metrics", run }, { "create", "exp_0" },
      { "cancel", run },
    } do
      local result = retab_runs(server:scenario { latency = 30 }, arguments, {},
        { under = "timeout --preserve-status --signal=INT 1" })
      assert.equal(130, result.status, arguments[1])
      assert.equal("", result.stdout .. result.stderr)
    end
  end)

  it("is 0 for --help and --version, without a key", function()
    local result = retab_runs("", { "--version" }, { RETAB_API_KEY = "" })
    assert.truthy(result.stdout:find("^retab%-runs %d+%.%d+%.%d+ %(Lua"))
    assert.equal(0, result.status)
    for _, verb in ipairs { "list", "get", "watch", "results", "metrics", "create", "cancel", "completion" } do
      result = retab_runs("", { verb, "--help" }, { RETAB_API_KEY = "" })
      assert.equal(0, result.status)
      assert.truthy(result.stdout:find("\nExamples:\n  ", 1, true), verb)
      assert.truthy(result.stdout:find("retab-runs " .. verb, 1, true), verb)
    end
    result = retab_runs("", { "--help" }, { RETAB_API_KEY = "" })
    for _, option in ipairs { "base-url", "auth", "timeout", "debug", "version" } do
      assert.truthy(result.stdout:find("\n   %-%-" .. option:gsub("%-", "%%-") .. "[ \n]"), option)
    end
  end)

  it("breaks help and messages between words on a terminal", function()
    local base_url = server:scenario { key = "another" }
    local commands = { {}, { "--columns", "x" }, { "--status", "done" }, { "--help" } }
    for _, verb in ipairs { "list", "get", "watch", "results", "metrics", "create", "cancel", "completion" } do
      commands[#commands + 1] = { verb, "--help" }
    end
    for _, arguments in ipairs(commands) do
      local shown = tool.in_terminal(80, base_url, arguments)
      assert.truthy(shown:find("retab-runs", 1, true))
      for line in shown:gmatch "[^\n]+" do assert.is_true(#line <= 80 or line:find "^  request: " ~= nil, line) end
    end
  end)

  it("writes a line for each request with --debug", function()
    local result = retab_runs(server:scenario(), { "--debug", "-q" })
    assert.truthy(result.stderr:find "^retab: GET http://[^\n]+ %-> 200 in [^\n]+\n$")
  end)
end)
