--- How retab-runs ends: exit statuses and messages.
local cjson = require "cjson"
local program = require "spec.program"
local text = require "retab.cli.text"
local tool = require "spec.cli.tool"

local answering, ask, envelope, retab_runs, server, split = tool.answering, tool.ask, tool.envelope, tool.run, tool.server,
  tool.split

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
