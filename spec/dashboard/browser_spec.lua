--- The dashboard of examples/openresty in headless Chromium. The checks are in browser.mjs. Where there is no Chromium,
--- node or npm, the status is 77, which CTest shows as skipped.
--- With RETAB_PICTURES=1 the picture of the docs is replaced.
local cjson = require "cjson"
local dashboards = require "spec.dashboard.server"
local simulator = require "spec.simulator"

local quote, capture, root = dashboards.quote, dashboards.capture, dashboards.root

local function find(...)
  for _, name in ipairs { ... } do
    local path = capture("command -v " .. name)
    if path ~= "" then return path end
  end
  print("skipped: " .. (...) .. " is not installed: run scripts/setup dashboard browser")
  os.exit(77)
end

local chromium, node = find("chromium", "chromium-browser", "google-chrome"), find "node"
find "npm"

--- Installs the packages of a lock file in the build tree, unless npm did so since it changed. Returns their directory.
local function install(from, name)
  from = quote(root .. from)
  local to = dashboards.build .. "/" .. name
  local output = capture(([[mkdir -p %s && cd %s && { test node_modules/.package-lock.json -nt %s/package-lock.json ||
    { cp %s/package.json %s/package-lock.json %s/.npmrc . && npm ci; }; } 2>&1 || echo failed]])
    :format(quote(to), quote(to), from, from, from, from))
  assert(not output:find "failed$", output)
  return to .. "/node_modules"
end

local charts = install("examples/openresty/dashboard", "dashboard")
local modules = install("spec/dashboard", "dashboard-spec")

local upstream = simulator.shared()
local api_key = "key"
local pictures = capture "mktemp -d"
local started, facts = {}, { modules = modules, chromium = chromium, key = api_key, pictures = pictures }

local function start(name, options, environment)
  local values = { RETAB_API_KEY = api_key, DASHBOARD_NODE_MODULES = charts, DASHBOARD_SECONDS = "0.3" }
  if options then
    values.RETAB_API_BASE_URL = upstream:scenario(options)
    if name == "changing" then facts.api = values.RETAB_API_BASE_URL end
  end
  for variable, value in pairs(environment or {}) do values[variable] = value or nil end -- false removes one
  started[name] = dashboards.begin(values)
end

local evil = [["><script>broken = 1</script><img src=x onerror="broken = 2">]]
start("runs", { runs = 400, spacing = 7200 })
start("changing", { runs = 100, looks = 20, score = 0.91 })
start("empty", { runs = 0 })
start("refused", { key = "another" })
start("no_key", nil, { RETAB_API_KEY = false })
start("down", nil, { RETAB_API_BASE_URL = "http://127.0.0.1:1" })
start("hostile", { fault = "body", times = 0, on = "list", body = cjson.encode {
  data = { { id = evil, experiment_id = evil, lifecycle = { status = evil }, timing = { created_at = evil } } },
  list_metadata = { after = cjson.null } } })
for name, dashboard in pairs(started) do facts[name] = dashboard:ready().url .. "/" end

describe("the dashboard in a browser", function()
  teardown(function()
    for _, one in pairs(started) do one:stop() end
    os.execute("rm -rf " .. quote(pictures))
  end)

  local count = 0
  local run = assert(io.popen(("%s %sspec/dashboard/browser.mjs %s 2>&1"):format(quote(node), quote(root),
    quote(cjson.encode(facts)))))
  for line in run:lines() do
    local ok, result = pcall(cjson.decode, line)
    if not ok then result = { name = "runs to its end", problem = line } end
    count = count + 1
    it(result.name, function() assert.equal(cjson.null, result.problem) end)
  end
  run:close()

  it("passes all of its checks", function() assert.is_true(count >= 15) end)

  if os.getenv "RETAB_PICTURES" then
    os.execute(("cp %s/dashboard.png %sdocs/dashboard.png"):format(quote(pictures), quote(root)))
  end
end)
