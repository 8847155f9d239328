--- docs/reference.md is what scripts/docs writes, has every public function of the library, and its examples run.
local program = require "spec.program"
local simulator = require "spec.simulator"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local reference = read "docs/reference.md"

--- The names that the fragments use without defining them: earlier examples define some, the others stand for code of
--- the reader.
local prelude = [[
local retab = require "retab"
local core = require "retab.core"
local client = retab.new()
local experiments = client.workflows.experiments
local runs, results = experiments.runs, experiments.results
local page, it = assert(runs.list { limit = 5 }), runs.iter()
local status, headers, body = 200, {}, '{"data": [], "list_metadata": {"before": null, "after": null}}'
local function my_http() return status, headers, body end
local function read_secret() return "key" end
local function wait() end
]]

describe("docs/reference.md", function()
  it("is the output of scripts/docs", function()
    local result = program.run("scripts/docs", { "-" })
    assert.equal("", result.stderr)
    assert.is_true(result.stdout == reference, "run scripts/docs")
  end)

  it("has every function of the library", function()
    local retab = require "retab"
    local client = retab.new { api_key = "key", base_url = "http://127.0.0.1:9" }
    local experiments = client.workflows.experiments
    local page = assert(experiments.runs.parse(200, {}, '{"data": [], "list_metadata": {}}'))
    local function methods(object) return getmetatable(object).__index end
    local walk = methods(experiments.runs.iter())
    local objects = {
      retab = retab, client = client, runs = experiments.runs, results = experiments.results,
      experiments = experiments, metrics = experiments.metrics, page = methods(page),
      walk = { close = walk.close }, iterator = { next = walk.next },
      page_iterator = { next = methods(experiments.runs.pages()).next },
      core = { decode = require("retab.core").decode },
    }
    local count = 0
    for owner, object in pairs(objects) do
      for name, value in pairs(object) do
        if type(value) == "function" then
          count = count + 1
          assert.is_truthy(reference:find("\n### " .. owner .. "[.:]" .. name .. "%("), owner .. "." .. name)
        end
      end
    end
    assert.equal(select(2, reference:gsub("\n### [%l_]+[.:][%l_]+%(", "")), count)
  end)

  it("describes every option and parameter of a call", function()
    for _, class in ipairs { "Options", "CallOptions", "WalkOptions", "WaitOptions", "DecodeOptions" } do
      local section = assert((reference .. "\n##"):match("\n### retab%." .. class .. "\n(.-)\n##"), class)
      assert.is_nil(section:match "\n| (`[^|]+`) | [^\n]* | |\n", class)
    end
  end)

  for start, fragment in reference:gmatch "()\n```lua fragment\n(.-)\n```" do
    local _, line = reference:sub(1, start):gsub("\n", "")
    it(("has an example at line %d that runs"):format(line + 1), function()
      local server = simulator.shared()
      local base_url = server:scenario { runs = 50, looks = 1 }
      local environment = { RETAB_API_KEY = "key", RETAB_API_BASE_URL = base_url }
      local run_id = "exprun_855f747fc81370" -- of the simulator, completed
      local names = { exp_abc = "exp_0", wf_abc123 = "wf_0", exprun_1 = run_id,
        expresult_1 = "expresult_855f747fc81370000000" }
      local source = fragment:gsub("%w+_%w+", names)
      local result = program.run_source(prelude .. source, {}, environment)
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
    end)
  end
end)
