--- The annotations name everything public: what the contract names, and what the library itself declares.

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

--- What each class has: its fields, and the functions defined for the variable that stands for it.
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

--- The contract, by class.
local contract = {
  retab = "new null _VERSION",
  ["retab.Options"] = "api_key auth base_url allow_http timeout connect_timeout deadline max_retries max_body_bytes "
    .. "max_connections null user_agent headers proxy ca_file ca_path on_request on_response on_retry driver",
  ["retab.Client"] = "workflows stats close spawn",
  ["retab.Stats"] = "requests retries bytes connections",
  ["retab.Runs"] = "list iter pages request parse",
  ["retab.RunParams"] = "workflow_id experiment_id block_id status exclude_status trigger_type from_date to_date "
    .. "sort_by before after limit order",
  ["retab.CallOptions"] = "timeout deadline max_retries headers query null fields",
  ["retab.WalkOptions"] = "max_items max_pages prefetch parallel",
  ["retab.Page"] = "data list_metadata request_id has_more next prev",
  ["retab.ListMetadata"] = "before after",
  ["retab.Run"] = "id workflow workflow_id workflow_version_id trigger lifecycle timing experiment_id block_id "
    .. "block_kind block_type n_consensus total_document_count completed_document_count error_count score "
    .. "definition_fingerprint block_execution_fingerprint documents_fingerprint",
  ["retab.Lifecycle"] = "status message details reason",
  ["retab.Timing"] = "created_at started_at completed_at duration_ms",
  ["retab.Request"] = "method url headers",
  ["retab.RequestEvent"] = "method url headers attempt",
  ["retab.ResponseEvent"] = "status headers url attempt",
  ["retab.RetryEvent"] = "attempt delay error",
  ["retab.Walk"] = "cursor close",
  ["retab.Iterator"] = "next",
  ["retab.PageIterator"] = "next",
  ["retab.Error"] = "kind message status code details errors request_id method url body attempts retryable retry_after "
    .. "cursor",
  ["retab.Driver"] = "send await cancel sleep now ready await_any connections close spawn",
  ["retab.DriverAnswer"] = "status headers body",
  ["retab.core"] = "decode null",
  ["retab.DecodeOptions"] = "null fields max_depth",
}

local kinds = "authentication permission not_found conflict validation rate_limit server api connection timeout tls "
  .. "decode too_large cursor_loop cancelled"

describe("types.lua", function()
  for class, names in pairs(contract) do
    it("has what the contract gives " .. class, function()
      local members, expected = classes[class], {}
      for _, name in ipairs(words(names)) do expected[name] = true end
      assert.same(expected, members)
    end)
  end

  it("names every kind of error", function()
    local listed = {}
    local alias = types:match("@alias retab%.ErrorKind\n(.-)\n\n")
    for kind in alias:gmatch('%-%-%-| "([%l_]+)"') do listed[#listed + 1] = kind end
    assert.same(words(kinds), listed)
  end)

  it("names what the library declares", function()
    local function declared(path, variable)
      local block = read(path):match("local " .. variable .. " = [^\n]*{\n(.-)\n}")
      local names = {}
      for name in ("\n" .. assert(block, variable)):gmatch('\n  { "([%l_]+)",') do names[name] = true end
      return names
    end
    assert.same(declared("lua/retab/init.lua", "client_options"), classes["retab.Options"])
    assert.same(declared("lua/retab/list.lua", "call_options"), classes["retab.CallOptions"])
    local params = classes["retab.RunParams"]
    for name in pairs(declared("lua/retab/list.lua", "paging_params")) do assert.is_true(params[name], name) end
    for _, entry in ipairs(require("retab.runs").params) do assert.is_true(params[entry[1]], entry[1]) end
  end)

  it("is Lua, and defines every type that it and the sources mention", function()
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
