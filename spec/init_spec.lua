--- retab.new and the client: options and their defaults as they are seen from outside, the environment, the key, close.
local interpreter = require "spec.interpreter"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

--- The environment of a process in which nothing of retab's is set.
local function bare(more)
  local environment = { RETAB_API_KEY = false, RETAB_API_BASE_URL = false, RETAB_BASE_URL = false }
  for name, value in pairs(more or {}) do environment[name] = value end
  return environment
end

--- What a script prints in such a process.
local function run(script, environment)
  local output, status = interpreter.run(script, bare(environment))
  assert.equal(0, status, output)
  return (output:gsub("\n$", ""))
end

local function new(options, script)
  options = options or {}
  if options.api_key == nil then options.api_key = "sk_secret_of_spec" end
  options.driver = options.driver or scripted.new(script or function() return scripted.page { "run_1" } end)
  local client = retab.new(options)
  return client.workflows.experiments.runs, options.driver, client
end

--- The message that retab.new raises at a line of this file.
local function refuse(options, ...)
  local ok, message = pcall(function()
    local client = retab.new(options)
    return client
  end)
  assert.is_false(ok, "taken")
  assert.matches("spec/init_spec%.lua:%d+: ", message)
  for _, word in ipairs { ... } do
    assert(message:find(word, 1, true), ("%q is not in the message: %s"):format(word, message))
  end
  return message
end

describe("The module", function()
  it("has a version, and null as a value", function()
    assert.matches("^%d+%.%d+%.%d+", retab._VERSION)
    assert.equal("userdata", type(retab.null))
    assert.equal(require("cjson").null, retab.null)
  end)

  it("loads no libcurl to build requests and to parse answers", function()
    assert.equal("parsed 1 https://api.retab.com/v1/workflows/experiments/runs?limit=1", run [[
      local retab = require "retab"
      local runs = retab.new({ api_key = "k" }).workflows.experiments.runs
      local request = runs.request { limit = 1 }
      local page = assert(runs.parse(200, {}, '{"data":[{"id":"a"}],"list_metadata":{}}'))
      assert(not runs.parse(500, {}, "x"))
      for name in pairs(package.loaded) do
        assert(name ~= "retab.curl" and not name:find "^retab%.driver", name)
      end
      print("parsed", #page.data, request.url)
    ]]:gsub("\t", " "))
  end)

  it("needs no libcurl to be there for that", function()
    assert.equal("true", run [[
      package.preload["retab.curl"] = function() error "there is no libcurl here" end
      local runs = require("retab").new({ api_key = "k" }).workflows.experiments.runs
      print(runs.parse(200, {}, '{"data":[],"list_metadata":{}}') ~= nil)
    ]])
  end)
end)

describe("The key", function()
  it("is an option or in the environment, the option first", function()
    local script = [[
      local request = require("retab").new({ api_key = KEY }).workflows.experiments.runs.request()
      print(request.headers["Api-Key"])
    ]]
    assert.equal("sk_env", run(script, { RETAB_API_KEY = "sk_env" }))
    assert.equal("sk_option", run('KEY = "sk_option" ' .. script, { RETAB_API_KEY = "sk_env" }))
    assert.equal("sk_env", run('print(require("retab").new().workflows.experiments.runs.request().headers["Api-Key"])',
      { RETAB_API_KEY = "sk_env" }))
  end)

  it("is missed where it is nowhere", function()
    for _, environment in ipairs { {}, { RETAB_API_KEY = "" } } do
      local output = run([[
        local ok, message = pcall(function()
          local client = require("retab").new {}
          return client
        end)
        print(ok, message)
      ]], environment)
      assert.matches("^false\t", output)
      assert.matches("no API key", output)
      assert.matches("api_key", output)
      assert.matches("RETAB_API_KEY", output)
    end
  end)

  it("is checked where it comes from the environment, too", function()
    local output = run('print(pcall(require("retab").new))', { RETAB_API_KEY = "sk\nX: 1" })
    assert.matches("^false", output)
    assert.matches("control character", output)
    assert.is_nil(output:find "X: 1")
  end)

  it("is not empty and has no control character", function()
    refuse({ api_key = "" }, "api_key", "empty")
    for code = 0, 31 do refuse({ api_key = "sk_" .. string.char(code) .. "x" }, "api_key", "control character") end
    refuse({ api_key = "sk\127" }, "control character")
    refuse({ api_key = "sk_secret\n" }, "control character")
    refuse({ api_key = "\r\nX-Other: 1" }, "control character")
  end)

  it("is a string or a function", function()
    for _, value in ipairs { 5, true, {}, io.stdout } do refuse({ api_key = value }, "api_key", "string",
      "function") end
  end)

  it("is not shown by what is raised of it", function()
    assert.is_nil(refuse({ api_key = "sk_very_secret\n" }):find("sk_very_secret", 1, true))
    assert.is_nil(refuse({ api_key = "sk_very_secret", nonsense = 1 }):find("sk_very_secret", 1, true))
  end)

  it("is sent in its own header, or as a bearer's", function()
    local headers = new().request().headers
    assert.equal("sk_secret_of_spec", headers["Api-Key"])
    assert.is_nil(headers.Authorization)
    assert.same(headers, new({ auth = "api-key" }).request().headers)
    headers = new({ auth = "bearer" }).request().headers
    assert.equal("Bearer sk_secret_of_spec", headers.Authorization)
    assert.is_nil(headers["Api-Key"])
  end)

  it("may come from a function, asked each time and checked each time", function()
    local keys = { "first", "second", "", 5, "new\nline" }
    local asked = 0
    local runs = new { api_key = function()
      asked = asked + 1
      return keys[asked]
    end }
    assert.equal(0, asked)
    assert.equal("first", runs.request().headers["Api-Key"])
    assert.equal("second", runs.request().headers["Api-Key"])
    for _, word in ipairs { "empty", "string", "control character" } do
      local ok, message = pcall(runs.request)
      assert.is_false(ok)
      assert.matches("api_key", message)
      assert.matches(word, message)
    end
    assert.equal(5, asked)
  end)

  it("does not come out of tostring", function()
    local _, _, client = new { base_url = "https://api.example.com" }
    assert.is_nil(tostring(client):find("sk_secret_of_spec", 1, true))
    assert.matches("api%.example%.com", tostring(client))
    client:close()
    assert.is_nil(tostring(client):find("sk_secret_of_spec", 1, true))
  end)
end)

describe("The base URL", function()
  local script = [[
    local runs = require("retab").new({ api_key = "k", base_url = BASE }).workflows.experiments.runs
    print((runs.request().url:gsub("/v1/workflows.*", "")))
  ]]

  it("is api.retab.com unless something else is said", function()
    assert.equal("https://api.retab.com", run(script))
  end)

  it("comes from the option, RETAB_API_BASE_URL and RETAB_BASE_URL, in this order", function()
    assert.equal("https://c.example", run(script, { RETAB_BASE_URL = "https://c.example" }))
    assert.equal("https://b.example", run(script, { RETAB_BASE_URL = "https://c.example",
      RETAB_API_BASE_URL = "https://b.example/v1/" }))
    assert.equal("https://a.example", run('BASE = "https://a.example" ' .. script,
      { RETAB_BASE_URL = "https://c.example", RETAB_API_BASE_URL = "https://b.example" }))
    assert.equal("https://c.example", run(script, { RETAB_BASE_URL = "https://c.example", RETAB_API_BASE_URL = "" }))
  end)

  it("is checked where it comes from the environment, too", function()
    local output = run('print(pcall(require("retab").new, { api_key = "k" }))',
      { RETAB_API_BASE_URL = "http://api.retab.com" })
    assert.matches("^false", output)
    assert.matches("plain http", output)
  end)
end)

describe("The defaults", function()
  it("are those of the contract", function()
    local runs, driver = new()
    assert(runs.list())
    local sent = driver.sent[1]
    assert.equal("GET", sent.method)
    assert.equal(60, sent.timeout)
    assert.equal(10, sent.connect_timeout)
    assert.equal(64 * 1024 * 1024, sent.max_body_bytes)
    assert.equal("application/json", sent.headers.Accept)
    assert.matches("^retab%-lua/" .. retab._VERSION:gsub("%p", "%%%0"), sent.headers["User-Agent"])
    assert.is_nil(assert(runs.parse(200, {}, '{"data":[{"a":null}],"list_metadata":{}}')).data[1].a)
  end)

  it("try a call that fails three times", function()
    local runs, driver = new({}, function() return scripted.status(503) end)
    local _, _, err = runs.list()
    assert.equal(3, #driver.sent)
    assert.equal(3, err.attempts)
  end)

  it("give way to options", function()
    local runs, driver = new { timeout = 5, connect_timeout = 2, max_body_bytes = 1000, user_agent = "mine/1.0",
      headers = { Accept = "application/vnd.x+json", ["X-A"] = "1" } }
    assert(runs.list())
    local sent = driver.sent[1]
    assert.equal(5, sent.timeout)
    assert.equal(2, sent.connect_timeout)
    assert.equal(1000, sent.max_body_bytes)
    assert.equal("application/vnd.x+json", sent.headers.Accept)
    assert.equal("1", sent.headers["X-A"])
    assert.matches("^retab%-lua/.*mine/1%.0", sent.headers["User-Agent"])
  end)

  it("do not leak from one client to another", function()
    new { headers = { ["X-A"] = "1" }, user_agent = "a", auth = "bearer" }
    local headers = new().request().headers
    assert.is_nil(headers["X-A"])
    assert.is_nil(headers.Authorization)
    assert.is_nil(headers["User-Agent"]:find " a")
  end)

  it("are not changed by what happens to the caller's table", function()
    local options = { headers = { ["X-A"] = "1" } }
    local runs = new(options)
    options.headers["X-A"], options.headers["X-B"], options.api_key = "2", "3", "other"
    local headers = runs.request().headers
    assert.equal("1", headers["X-A"])
    assert.is_nil(headers["X-B"])
    assert.equal("sk_secret_of_spec", headers["Api-Key"])
  end)
end)

describe("An option of retab.new", function()
  it("is refused where it is not known, with the one that was meant", function()
    for wrong, right in pairs {
      apikey = "api_key", api_kye = "api_key", key = "api_key", apiKey = "api_key", baseurl = "base_url",
        url = "base_url",
      timout = "timeout", retries = "max_retries", useragent = "user_agent", header = "headers", cafile = "ca_file",
      on_respnse = "on_response",
    } do
      refuse({ api_key = "sk_x", [wrong] = "x" }, "unknown option '" .. wrong .. "'", "did you mean '" .. right .. "'?")
    end
  end)

  it("is none that would switch TLS verification off", function()
    for _, name in ipairs { "verify", "insecure", "ssl_verify", "verify_ssl", "tls_verify" } do
      refuse({ api_key = "sk_x", [name] = false }, "unknown option '" .. name .. "'")
    end
  end)

  it("has its own type and range", function()
    for name, values in pairs {
      auth = { "basic", "Bearer", "", 5, true }, base_url = { 5, "" }, allow_http = { "yes", 1 },
      timeout = { 0, -1, "60", true, 0 / 0 }, connect_timeout = { 0, -1, "10" }, deadline = { 0, -1, "5", {} },
      max_retries = { -1, 0.5, "2", 0 / 0 }, max_body_bytes = { 0, -1, 1.5, "1M" }, max_connections = { 0, -1, 1.5,
        "8" },
      user_agent = { "", 5, {} }, headers = { "X: 1", 5, { "X" }, { ["X-A"] = "a\nb" }, { ["X A"] = "b" } },
        proxy = { 5, {} },
      ca_file = { "", 5 }, ca_path = { "", 5 }, on_request = { "f", {}, 5 }, on_response = { "f" }, on_retry = { true },
      driver = { "select", 5, true, {}, { send = print } },
    } do
      for _, value in ipairs(values) do refuse({ api_key = "sk_x", [name] = value }, "'" .. name .. "'") end
    end
  end)

  it("may be null, which is not given", function()
    local runs = new { base_url = retab.null, timeout = retab.null, on_retry = retab.null }
    assert.matches("^https://api%.retab%.com/", runs.request().url)
  end)

  it("is in a table", function()
    for _, options in ipairs { "sk_x", 5, true } do refuse(options, "options are a table") end
  end)

  it("of a driver is a table of five functions", function()
    for _, missing in ipairs { "send", "await", "cancel", "sleep", "now" } do
      local driver = scripted.new {}
      driver[missing] = nil
      refuse({ api_key = "sk_x", driver = driver }, "'driver'", missing)
    end
  end)
end)

describe("A client", function()
  it("counts what it did", function()
    local body = scripted.page({ "a" }).body
    local runs, _, client = new({}, { scripted.page { "a" }, scripted.status(503, {}, "12345"), scripted.page { "a" } })
    assert.same({ requests = 0, retries = 0, bytes = 0, connections = 0 }, client:stats())
    assert(runs.list())
    assert.same({ requests = 1, retries = 0, bytes = #body, connections = 0 }, client:stats())
    assert(runs.list())
    assert.same({ requests = 3, retries = 1, bytes = 2 * #body + 5, connections = 0 }, client:stats())
    client:stats().requests = 100
    assert.equal(3, client:stats().requests)
  end)

  it("counts apart from other clients", function()
    local runs = new()
    local _, _, other = new()
    assert(runs.list())
    assert.equal(0, other:stats().requests)
  end)

  it("counts the connections that its driver opened", function()
    local driver = scripted.new { scripted.page {} }
    driver.connections = function() return 2 end
    local runs, _, client = new { driver = driver }
    assert(runs.list())
    assert.equal(2, client:stats().connections)
  end)

  it("takes its functions with a dot and with a colon", function()
    local runs = new()
    assert.same(runs.request { limit = 3 }, runs:request { limit = 3 })
    assert.same(runs.request(), runs:request())
    assert.same(runs.list({ limit = 1 }).data, runs:list({ limit = 1 }).data)
    local body = scripted.page({ "a" }).body
    assert.same(runs.parse(200, {}, body).data, runs:parse(200, {}, body).data)
    assert.equal("a", runs:parse(200, {}, body, { fields = { "id" } }).data[1].id)
    local ok, message = pcall(function()
      local page = runs:list { limt = 1 }
      return page
    end)
    assert.is_false(ok)
    assert.matches("'limt'", message)
  end)

  it("gives a request that any HTTP stack can send", function()
    local request = new({ base_url = "https://h.example" }).request({ limit = 2 }, { headers = { ["X-A"] = "1" } })
    assert.equal("GET", request.method)
    assert.equal("https://h.example/v1/workflows/experiments/runs?limit=2", request.url)
    assert.same({ Accept = "application/json", ["Api-Key"] = "sk_secret_of_spec", ["X-A"] = "1",
      ["User-Agent"] = request.headers["User-Agent"] }, request.headers)
    local names = {}
    for name in pairs(request) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "headers", "method", "url" }, names)
  end)

  it("asks its driver for nothing to build and to parse", function()
    local runs, driver = new()
    runs.request()
    runs.parse(200, {}, scripted.page({}).body)
    runs.iter()
    runs.pages()
    assert.same({}, driver.log)
  end)
end)

describe("A closed client", function()
  it("raises at whatever would send", function()
    local runs, driver, client = new()
    local line
    client:close()
    for _, name in ipairs { "list", "iter", "pages" } do
      local ok, message = pcall(function()
        line = debug.getinfo(1, "l").currentline + 1
        local result = runs[name] { limit = 1 }
        return result
      end)
      assert.is_false(ok)
      assert.matches("client is closed", message)
      assert.matches("spec/init_spec%.lua:" .. line .. ": ", message)
    end
    assert.same({}, driver.sent)
  end)

  it("raises out of walks and pages that it began", function()
    local runs, driver, client = new({}, function() return scripted.page({ "a" }, { after = "a" }) end)
    local page = assert(runs.list())
    local iterator = runs.iter({}, { prefetch = 0 })
    client:close()
    assert.has_error(function() page:next() end)
    assert.has_error(function() iterator:next() end)
    assert.equal(1, #driver.sent)
  end)

  it("may be closed again, and still counts", function()
    local runs, _, client = new()
    assert(runs.list())
    client:close()
    client:close()
    assert.equal(1, client:stats().requests)
    assert.matches("closed", tostring(client))
  end)

  it("closes its driver once", function()
    local driver, closed = scripted.new { scripted.page {} }, 0
    driver.close = function() closed = closed + 1 end
    local runs, _, client = new { driver = driver }
    assert(runs.list())
    client:close()
    client:close()
    assert.equal(1, closed)
  end)

  if _VERSION == "Lua 5.4" then
    it("is closed at the end of its block where it is a variable to be closed", function()
      local _, _, client = new()
      assert(load("local client <close> = ...", "block", "t"))(client)
      assert.has_error(function() client.workflows.experiments.runs.list() end)
    end)
  end
end)

describe("user_agent", function()
  it("takes no line of its own", function()
    local ok, message = pcall(require("retab").new, { api_key = "sk_test", user_agent = "x\r\nX-Evil: 1" })
    assert.is_false(ok)
    assert.is_truthy(message:find("without control characters", 1, true))
  end)
end)
