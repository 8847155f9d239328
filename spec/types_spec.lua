--- The annotations: they have everything that the contract and the library's declarations have, with an example for
--- each function.

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local types = read "lua/retab/types.lua"

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

local function set_of(text)
  local set = {}
  for _, word in ipairs(words(text)) do set[word] = true end
  return set
end

--- Reads the fields of each class, and the functions that are defined for the variable below it.
local function read_classes(text)
  local classes, variables, class = {}, {}, nil
  for line in text:gmatch("([^\n]*)\n") do
    class = line:match("^%-%-%-@class (retab[%w.]*)") or class
    if line:find("^%-%-%-@class") then classes[class] = {} end
    local field = line:match("^%-%-%-@field ([%w_]+)%?? ")
    if field then classes[class][field] = true end
    local variable = line:match("^local (%w+) = {}$")
    if variable then variables[variable] = classes[class] end
    local owner, method = line:match("^function (%w+)[.:]([%w_]+)%(")
    local members = owner and variables[owner]
    if members then members[method] = true end
  end
  return classes
end

local classes = read_classes(types)

local scores = " score prior_score"

--- The contract, by class.
local contract = {
  retab = "new null _VERSION is_error",
  ["retab.Options"] = "api_key auth base_url allow_http timeout connect_timeout deadline max_retries max_body_bytes "
    .. "max_connections null user_agent headers proxy ca_file ca_path on_request on_response on_retry debug driver",
  ["retab.Client"] = "workflows stats close spawn",
  ["retab.Stats"] = "requests retries bytes connections",
  ["retab.Runs"] = "list iter pages all get wait create cancel request parse",
  ["retab.Results"] = "list iter pages all get request parse",
  ["retab.Experiments"] = "list iter pages all get request parse runs results metrics",
  ["retab.Metrics"] = "get",
  ["retab.RunParams"] = "workflow_id experiment_id block_id status exclude_status trigger_type from_date to_date "
    .. "sort_by before after limit order",
  ["retab.ResultParams"] = "run_id before after limit order",
  ["retab.ExperimentParams"] = "workflow_id block_id before after limit order",
  ["retab.CreateParams"] = "experiment_id workflow_id plan_token",
  ["retab.MetricsParams"] = "run_id view document_id target_path include_prior prior_run_id",
  ["retab.CallOptions"] = "timeout deadline max_retries headers query null fields api_key",
  ["retab.WalkOptions"] = "max_items max_pages prefetch parallel",
  ["retab.WaitOptions"] = "interval deadline on_update",
  ["retab.Page"] = "data list_metadata request_id has_more next prev",
  ["retab.ListMetadata"] = "before after",
  ["retab.Run"] = "id workflow workflow_id workflow_version_id experiment_id block_id trigger block_kind block_type "
    .. "n_consensus lifecycle timing parent_run_id block_version_id metrics_validity_fingerprint "
    .. "metrics_validity_fingerprint_version block_execution_fingerprint definition_fingerprint documents_fingerprint "
    .. "score total_document_count completed_document_count document_count error_count",
  ["retab.CancelledRun"] = "id lifecycle",
  ["retab.PlainLifecycle"] = "status",
  ["retab.ErrorLifecycle"] = "status message details",
  ["retab.CancelledLifecycle"] = "status reason",
  ["retab.LifecycleDetails"] = "message stack_trace block_id block_name error_code context",
  ["retab.Timing"] = "created_at started_at completed_at duration_ms",
  ["retab.Result"] = "id experiment_run_id experiment_id document_id lifecycle timing block_type handle_inputs "
    .. "handle_outputs artifact attempt",
  ["retab.JsonHandle"] = "type data",
  ["retab.FileHandle"] = "type document",
  ["retab.Artifact"] = "operation id",
  ["retab.Experiment"] = "id workflow_id block_id name block_type n_consensus document_count last_run_id created_at "
    .. "updated_at status score is_stale freshness freshness_state freshness_reasons run_plan_mode "
    .. "rerunnable_document_count schema_drift schema_drift_detail drift",
  ["retab.SummaryMetrics"] = "kind view experiment_id run_id block_type block_execution_fingerprint prior_run_id "
    .. "documents scored_document_count total_document_count aggregate" .. scores,
  ["retab.DocumentMetrics"] = "kind view run_id document confusion targets" .. scores,
  ["retab.TargetMetrics"] = "kind view run_id target confusion documents" .. scores,
  ["retab.VoteMetrics"] = "kind view run_id document target rows" .. scores,
  ["retab.VoteRow"] = "consensus votes score row_presence_score present_voter_count total_voter_count",
  ["retab.StaleMetrics"] = "kind error experiment_id message last_run stale_reasons "
    .. "current_block_execution_fingerprint",
  ["retab.NoMetrics"] = "kind error experiment_id message",
  ["retab.Request"] = "method url headers",
  ["retab.RequestEvent"] = "method url headers attempt",
  ["retab.ResponseEvent"] = "status headers url attempt elapsed request_id",
  ["retab.RetryEvent"] = "attempt delay error",
  ["retab.Walk"] = "cursor close",
  ["retab.Iterator"] = "next",
  ["retab.PageIterator"] = "next",
  ["retab.Error"] = "kind message hint status code details errors request_id method url body attempts retryable "
    .. "retry_after cursor run",
  ["retab.Driver"] = "send await cancel sleep now ready connections close spawn",
  ["retab.DriverRequest"] = "method url headers body timeout connect_timeout expires max_body_bytes direct",
  ["retab.DriverResponse"] = "status headers body",
  ["retab.DriverError"] = "kind message sent",
  ["retab.core"] = "decode null version",
  ["retab.DecodeOptions"] = "null fields max_depth",
}

local kinds = "authentication permission not_found conflict validation rate_limit server api connection timeout tls "
  .. "decode too_large cursor_loop cancelled"

--- The names that a declaration has.
local function names_of(declaration)
  local names = {}
  for _, entry in ipairs(declaration) do names[entry[1]] = true end
  return names
end

describe("The annotations", function()
  for class, names in pairs(contract) do
    it("of " .. class .. " have the contract's members", function()
      assert.same(set_of(names), classes[class])
    end)
  end

  it("have every kind of error", function()
    local listed = {}
    local alias = types:match("@alias retab%.ErrorKind\n(.-)\n\n")
    for kind in alias:gmatch('%-%-%-| "([%l_]+)"') do listed[#listed + 1] = kind end
    assert.same(words(kinds), listed)
  end)

  it("have the six kinds of metrics", function()
    local listed = {}
    for kind in types:gmatch('@field kind "([%l_]+)"\n') do listed[kind] = true end
    assert.same(set_of "summary by_document by_target votes stale_metrics no_metrics", listed)
  end)

  it("have the options that the library declares", function()
    local function declared(path, variable)
      local block = read(path):match("local " .. variable .. " = [^\n]*{\n(.-)\n}")
      local names = {}
      for name in ("\n" .. assert(block, variable)):gmatch('\n  { "([%l_]+)",') do names[name] = true end
      return names
    end
    assert.same(declared("lua/retab/init.lua", "client_options"), classes["retab.Options"])
    assert.same(declared("lua/retab/resource.lua", "call_options"), classes["retab.CallOptions"])
    assert.same(declared("lua/retab/resource.lua", "walk_options"), classes["retab.WalkOptions"])
    local wait_options = declared("lua/retab/resource.lua", "wait_options")
    wait_options.deadline = true
    assert.same(wait_options, classes["retab.WaitOptions"])
  end)

  it("have the parameters that the resources declare", function()
    for name, class in pairs { runs = "RunParams", results = "ResultParams", experiments = "ExperimentParams" } do
      local expected = names_of(require("retab.resources." .. name).list.params)
      for _, paging in ipairs { "before", "after", "limit", "order" } do expected[paging] = true end
      assert.same(expected, classes["retab." .. class])
    end
    assert.same(names_of(require("retab.resources.runs").create.params), classes["retab.CreateParams"])
    assert.same(names_of(require("retab.resources.metrics").get.params), classes["retab.MetricsParams"])
  end)

  it("have the functions that a client has, and no others", function()
    local experiments = require("retab").new({ api_key = "sk_x" }).workflows.experiments
    local function members(resource)
      local names = {}
      for name in pairs(resource) do names[name] = true end
      return names
    end
    assert.same(members(experiments.runs), classes["retab.Runs"])
    assert.same(members(experiments.results), classes["retab.Results"])
    assert.same(members(experiments.metrics), classes["retab.Metrics"])
    assert.same(members(experiments), classes["retab.Experiments"])
  end)

  it("have a description and an example for each function", function()
    local count = 0
    for comment, name in types:gmatch("\n\n(%-%-%-[^\n]*\n.-)\nfunction ([%w_.:]+)%(") do
      count = count + 1
      local own = comment:match("^.*\n\n(.*)$") or comment
      assert.is_truthy(own:find("```lua\n.-\n%-%-%- ```"), name .. " has no example")
      assert.is_truthy(own:find("^%-%-%- %u[^\n]+"), name .. " has no description")
    end
    assert.equal(select(2, types:gsub("\nfunction ", "")), count)
  end)

  it("have examples that are Lua", function()
    for example in types:gmatch("```lua\n(.-)%-%-%- ```") do
      local source = example:gsub("%-%-%- ?([^\n]*\n)", "%1")
      assert((loadstring or load)(source)) -- luacheck: ignore 113
    end
  end)

  it("are Lua, and define every type that they and the sources mention", function()
    assert(loadfile("lua/retab/types.lua"))
    local defined = {}
    for name in types:gmatch("@class (retab[%w.]*)") do defined[name] = true end
    for name in types:gmatch("@alias (retab[%w.]*)") do defined[name] = true end
    local sources = io.popen("find lua -name '*.lua'")
    for path in sources:lines() do
      for line in io.lines(path) do
        for name in (line:match("^%s*%-%-%-.*$") or ""):gmatch("%f[%w]retab%.%u%a*") do
          assert.is_true(defined[name], path .. ": " .. name)
        end
      end
    end
    sources:close()
  end)
end)
