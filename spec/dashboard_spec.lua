--- The dashboard of examples/openresty, as a browser without JavaScript sees it. spec/dashboard/browser_spec.lua drives
--- it in a browser.
local cjson = require "cjson"
local dashboards = require "spec.dashboard.server"
local http = require "socket.http"
local ltn12 = require "ltn12"
local simulator = require "spec.simulator"
local socket = require "socket"

local upstream = simulator.shared()
local quote = dashboards.quote

local api_key = "key-that-must-not-be-seen"

--- Stands in for the chart library, which these specs do not need.
local packages = dashboards.capture "mktemp -d"
os.execute(("mkdir -p %s/uplot/dist && touch %s/uplot/dist/uPlot.iife.min.js"):format(quote(packages), quote(packages)))

local started = {}

local function start(environment)
  local values = { RETAB_API_KEY = api_key, DASHBOARD_NODE_MODULES = packages }
  for name, value in pairs(environment) do values[name] = value or nil end -- false removes one
  started[#started + 1] = dashboards.start(values)
  return started[#started]
end

local function on(options, environment, scheme)
  local base_url, id = upstream:scenario(options, scheme)
  local values = { RETAB_API_BASE_URL = base_url }
  for name, value in pairs(environment or {}) do values[name] = value end
  return start(values), id, base_url
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), part .. "\nis not in\n" .. text)
end

local function ids_of(body)
  local ids = {}
  for id in body:gmatch '<tr data%-key="(.-)"' do ids[#ids + 1] = id end
  return ids
end

local function create_run(base_url)
  local chunks, body = {}, '{"experiment_id":"exp_0"}'
  http.request { url = base_url .. "/v1/workflows/experiments/runs", method = "POST",
    headers = { ["Api-Key"] = api_key, ["Content-Type"] = "application/json", ["Content-Length"] = #body },
    source = ltn12.source.string(body), sink = ltn12.sink.table(chunks) }
  return cjson.decode(table.concat(chunks)).id
end

local function wait_until(done, what)
  local ends = socket.gettime() + 30
  while not done() do
    assert(socket.gettime() < ends, "waited in vain until " .. what)
    socket.sleep(0.05)
  end
end

describe("the dashboard", function()
  local dashboard, id, base_url

  setup(function() dashboard, id, base_url = on { runs = 130, advance = "time", lasts = 0.5, score = 0.91 } end)

  teardown(function()
    for _, one in ipairs(started) do one:stop() end
    os.execute("rm -rf " .. quote(packages))
  end)

  --- The list requests that the API received since the last call.
  local seen = 0
  local function requests()
    local all, fresh = upstream:requests(id), {}
    for index = seen + 1, #all do fresh[#fresh + 1] = all[index] end
    seen = #all
    return fresh
  end

  it("lists the newest runs in one request", function()
    requests()
    local response = dashboard:request "/"
    assert.equal(200, response.status)
    assert.equal(20, #ids_of(response.body))
    assert.equal(1, #requests())
  end)

  it("sends the filters of its URL, and leaves out those that are empty", function()
    requests()
    local response = dashboard:request "/?experiment_id=exp_0&workflow_id=&status=completed&from_date=2020-01-01"
    assert.same({ experiment_id = "exp_0", status = "completed", from_date = "2020-01-01" }, requests()[1].args)
    has(response.body, 'name="experiment_id" type="text" value="exp_0"')
    has(response.body, '<option value="completed" selected>')
    has(response.body, 'type="date" value="2020-01-01"')
  end)

  it("leads through all pages by its links, and back", function()
    local known, count, path = {}, 0, "/?exclude_status=queued"
    local back, previous
    repeat
      local body = dashboard:request(path).body
      for _, run in ipairs(ids_of(body)) do
        assert.is_nil(known[run])
        known[run], count = true, count + 1
      end
      back = body:match '<a class="button" href="([^"]*)" rel="prev">'
      local following = body:match '<a class="button" href="([^"]*)" rel="next">'
      previous, path = path, following and following:gsub("&amp;", "&")
      if path then has(path, "exclude_status=queued") end
    until not path
    assert.is_true(count > 100)
    assert.truthy(previous:find("after=", 1, true))
    has(assert(back), "exclude_status=queued&amp;before=")
  end)

  it("shows a run with its results and metrics", function()
    local run = ids_of(dashboard:request("/?status=completed").body)[1]
    local response = dashboard:request("/runs/" .. run)
    assert.equal(200, response.status)
    has(response.body, "<h1>" .. run .. "</h1>")
    assert.is_true(#ids_of(response.body) > 0)
    has(response.body, "Scores by target")
    assert.truthy(response.body:find "invoice%-1%.pdf")
  end)

  it("shows a run although its metrics fail", function()
    local failing = on { fault = "status", code = 500, times = 0, on = "metrics" }
    local run = ids_of(failing:request("/?status=completed").body)[1]
    local response = failing:request("/runs/" .. run)
    assert.equal(200, response.status)
    has(response.body, "Retab has a problem")
    assert.is_true(#ids_of(response.body) > 0)
  end)

  it("watches a run in the background, and shows the outcome", function()
    local run = create_run(base_url)
    local response = dashboard:request("/runs/" .. run .. "/watch", { method = "POST" })
    assert.equal(303, response.status)
    local watches
    wait_until(function()
      watches = cjson.decode(dashboard:request("/live").body).parts.watches
      return watches:find("ended with the score 0.910", 1, true)
    end, "the watch ended")
    has(watches, run)
  end)

  it("returns what its charts show, the oldest run first", function()
    local data = cjson.decode(dashboard:request("/chart?limit=3&after=x").body)
    assert.is_true(#data.id > 100)
    assert.is_true(data.created[1] < data.created[#data.created])
    assert.equal(#data.id, #data.score)
    assert.truthy(data.score_text:find "^Latest 0%.%d+, median 0%.%d+, from 0%.%d+ to 0%.%d+%.$")
  end)

  describe("says in words", function()
    local function expect(response, status, title)
      assert.equal(status, response.status, response.body)
      has(response.body, title)
      has(response.body, 'role="alert"')
    end

    it("that a filter is bad, and what is allowed", function()
      requests()
      local response = dashboard:request "/?status=bogus"
      expect(response, 400, "A filter cannot be used")
      has(response.body, "status must be one of pending, queued, running, completed, error, cancelled")
      has(response.body, 'aria-invalid="true"')
      expect(dashboard:request "/?statuss=error", 400, "did you mean &#39;status&#39;?")
      expect(dashboard:request "/?status=error&status=running", 400, "A filter cannot be used")
      expect(dashboard:request "/?from_date=2026-02-01&to_date=2026-01-01", 400, "must not be later than to_date")
      assert.same({}, requests())
    end)

    it("that there is no key", function()
      expect(start({ RETAB_API_KEY = false }):request "/", 500, "Set RETAB_API_KEY where nginx starts")
    end)

    it("that the key is not accepted", function()
      expect(on({ key = "another" }):request "/", 502, "Retab does not accept the API key")
    end)

    it("that the API cannot be reached", function()
      local down = start { RETAB_API_BASE_URL = "http://127.0.0.1:1" }
      expect(down:request "/", 502, "Retab cannot be reached")
      local update = down:request "/live"
      assert.equal(502, update.status)
      has(cjson.decode(update.body).problem, "Retab cannot be reached")
    end)

    it("that the API fails, or limits requests", function()
      expect(on({ fault = "status", code = 500, times = 0 }):request "/", 502, "Retab has a problem")
      expect(on({ fault = "status", code = 429, times = 0, retry_after = "600" }):request "/", 503,
        "Retab receives too many requests")
      expect(on({ fault = "type", times = 0 }):request "/", 502, "Retab&#39;s response cannot be used")
    end)

    it("that no run matches", function()
      local response = on({ runs = 0 }):request "/"
      assert.equal(200, response.status)
      has(response.body, "No runs match.")
    end)

    it("that there is no such run or page", function()
      expect(dashboard:request "/runs/exprun_x", 404, "There is no such run")
      expect(dashboard:request "/nothing", 404, "There is no such page")
      expect(dashboard:request "/runs/exprun_x/watch", 405, "does not take such a request")
    end)
  end)

  describe("keeps safe:", function()
    it("the text of the API and of the URL is escaped", function()
      local evil = [["><script>alert('&')</script>]]
      local run = { id = evil, experiment_id = evil, block_id = evil, lifecycle = { status = evil }, score = evil,
        timing = { created_at = evil, duration_ms = evil }, error_count = evil, total_document_count = evil,
        completed_document_count = evil }
      local hostile = on { fault = "body", times = 0, on = "list",
        body = cjson.encode { data = { run }, list_metadata = { before = evil, after = evil } } }
      local path = "/?experiment_id=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&block_id=%3Cb%3E"
      local response = hostile:request(path)
      assert.equal(200, response.status)
      has(response.body, "&lt;script&gt;")
      local head, rest = response.body:match "^(.-</head>)(.*)$"
      assert.is_nil(rest:find("<script", 1, true))
      assert.is_nil(rest:find("<b>", 1, true))
      assert.equal(2, select(2, head:gsub("<script src=\"/assets/%l+%.js\" defer></script>", "")))
      assert.is_nil(hostile:request("/runs/%3Cscript%3E").body:match "</head>.*<script")
    end)

    it("runs with missing or odd fields are shown", function()
      local odd = on { fault = "body", times = 0, on = "list",
        body = [[{"data":[{"id":"exprun_a"},{"id":"exprun_b","lifecycle":3,"timing":[],"score":"high"},
          {"id":"exprun_c","lifecycle":{"status":"paused"}}],"list_metadata":{"before":null,"after":null}}]] }
      local response = odd:request "/"
      assert.same({ "exprun_a", "exprun_b", "exprun_c" }, ids_of(response.body))
      has(response.body, "paused")
      assert.equal(3, #cjson.decode(odd:request("/chart").body).id)
      local odd_run = on { fault = "body", times = 0, on = "get", body = '{"id":"exprun_a","n_consensus":[3]}' }
      has(odd_run:request("/runs/exprun_a").body, "exprun_a")
      local odd_results = on { fault = "body", times = 0, on = "results",
        body = '{"data":[5,{"id":"expresult_a"}],"list_metadata":{"before":null,"after":null}}' }
      has(odd_results:request("/runs/exprun_98aeeb472248f4").body, "expresult_a")
      local odd_metrics = on { fault = "body", times = 0, on = "metrics",
        body = '{"kind":"summary","documents":[5,{"score":1}]}' }
      assert.equal(200, odd_metrics:request("/runs/exprun_98aeeb472248f4").status)
    end)

    it("a filter without a value is none", function()
      local response = dashboard:request "/?status&order=asc&experiment_id=exp_2"
      assert.equal(200, response.status)
      local sent = requests()
      assert.same({ "exp_2" }, { sent[#sent].args.experiment_id, sent[#sent].args.status })
    end)

    it("the key is in no response and no log", function()
      local refused = on { fault = "body", body = '{"detail":"' .. api_key .. '"}', code = 401, times = 0 }
      for _, one in ipairs { dashboard, refused } do
        for _, path in ipairs { "/", "/live", "/chart", "/?status=bogus", "/runs/exprun_x", "/assets/dashboard.js" } do
          local response = one:request(path)
          local text = response.body
          for name, value in pairs(response.headers) do text = text .. name .. value end
          assert.is_nil(text:find(api_key, 1, true), path)
        end
        assert.is_nil(one:logged():find(api_key, 1, true))
      end
    end)

    it("every response has a content security policy without exceptions", function()
      for _, path in ipairs { "/", "/live", "/chart", "/?status=bogus", "/nothing", "/assets/dashboard.css" } do
        local headers = dashboard:request(path).headers
        has(headers["content-security-policy"], "default-src 'none'")
        assert.is_nil(headers["content-security-policy"]:find("unsafe", 1, true))
        assert.equal("nosniff", headers["x-content-type-options"])
      end
      local body = dashboard:request("/").body
      assert.is_nil(body:find " style=")
      assert.is_nil(body:find " on%l+=")
    end)

    it("other sites reach nothing", function()
      assert.equal(421, dashboard:request("/", { headers = { host = "evil.example" } }).status)
      local response = dashboard:request("/runs/exprun_x/watch", { method = "POST",
        headers = { ["sec-fetch-site"] = "cross-site" } })
      assert.equal(403, response.status)
    end)
  end)

  it("verifies the certificate of the API", function()
    local secure = on({}, { SSL_CERT_FILE = upstream.ca_file }, "tls")
    assert.equal(20, #ids_of(secure:request("/").body))
    has(on({}, {}, "tls"):request("/").body, "Retab&#39;s certificate cannot be verified")
  end)

  -- That driver is chosen where lua-resty-http is installed, and uses nothing of it. nginx matches certificates with
  -- names only, and there is no nameserver here, so this is plain HTTP.
  it("works with the driver resty", function()
    os.execute(("mkdir -p %s/resty && echo 'return {}' >%s/resty/http.lua"):format(quote(packages), quote(packages)))
    local resty, _, api = on({ looks = 2, score = 0.91 }, { path = packages .. "/?.lua;" })
    assert.equal(20, #ids_of(resty:request("/").body))
    local run = create_run(api)
    assert.equal(303, resty:request("/runs/" .. run .. "/watch", { method = "POST" }).status)
    wait_until(function() return resty:request("/").body:find("ended with the score 0.910", 1, true) end,
      "the watch ended")
  end)
end)
