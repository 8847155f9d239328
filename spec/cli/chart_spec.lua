--- retab-runs --chart, from outside.
local text = require "retab.cli.text"
local tool = require "spec.cli.tool"

describe("retab-runs --chart", function()
  it("looks like this", function()
    local runs = {}
    for index, run in ipairs { { 1, "completed", "0.5" }, { 2, "completed", "0.75" }, { 3, "error", "null" },
      { 5, "completed", "1" } } do
      runs[index] = ('{"id":"r%d","score":%s,"lifecycle":{"status":"%s"},"timing":{"created_at":"%s"}}')
        :format(index, run[3], run[2], ("2026-05-0%dT00:00:00Z"):format(run[1]))
    end
    local base_url = tool.answering(tool.envelope(table.concat(runs, ",")))
    local result = tool.run(base_url, { "--chart", "-q" }, { COLUMNS = 48 })
    assert.equal([[
Scores over time, UTC (3 scored runs; each column is a mean)
1.000 ┤                                        █
      │                                        █
      │                                        █
      │                                        █
      │          █                             █
      │          █                             █
      │          █                             █
0.500 ┤▁         █                             █
      └─────────────────────────────────────────
       2026-05-01 00:00         2026-05-05 00:00

Status (4 runs)
completed  3   75.0 %  ██████████████████▊
error      1   25.0 %  ██████▎
]], result.stdout)
  end)

  it("is at most 80 columns wide, and coloured on a terminal only", function()
    local base_url = tool.server:scenario { runs = 400 }
    local result = tool.run(base_url, { "--chart", "--all" })
    for _, line in ipairs(result.lines) do assert.is_true(text.width(line) <= 80, line) end
    assert.is_nil(result.stdout:find("\27", 1, true))
    assert.truthy(tool.in_terminal(80, base_url, { "--chart" }):find("\27[32m", 1, true))
  end)

  it("is not drawn where there are no runs or no scores", function()
    assert.equal("", tool.run(tool.server:scenario { runs = 0 }, { "--chart" }).stdout)
    local result = tool.run(tool.answering(tool.envelope '{"id":"a"},7'), { "--chart" })
    assert.truthy(result.stdout:find "^No run has a score yet%.\n")
  end)

  it("is drawn where a time is at the end of the calendar", function()
    local run = '{"id":"a","score":0.5,"timing":{"created_at":"9999-12-31T23:59:60Z"}}'
    assert.equal(0, tool.run(tool.answering(tool.envelope(run)), { "--chart" }).status)
  end)
end)
