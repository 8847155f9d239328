--- retab.new and the client: options and their defaults, the environment, the key, close.
local contains = require "spec.contains"
local interpreter = require "spec.interpreter"
local retab = require "retab"
local scripted = require "spec.scripted_driver"

--- The environment of a process, without variables of this library.
local function bare(more)
  local environment = {
    RETAB_API_KEY = false, RETAB_API_BASE_URL = false, RETAB_BASE_URL = false, RETAB_AUTH = false, RETAB_DEBUG = false,
  }
  for name, value in pairs(more or {}) do environment[name] = value end
  return environment
end

--- Returns what a script prints in such a process.
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

--- Returns the message that retab.new raises at a line of this file.
local function refuse(options, ...)
  local ok, message = pcall(function()
    local client = retab.new(options)
    return client
  end)
  assert.is_false(ok)
  assert.matches("spec/init_spec%.lua:%d+: ", message)
  for _, word in ipairs { ... } do
    assert(message:find(word, 1, true), ("%q is not in the message: %s"):format(word, message))
  end
  return message
end

describe("The module", function()
  it("has its version, null, and is_error", function()
    assert.matches("^%d+%.%d+%.%d+", retab._VERSION)
    assert.equal("userdata", type(retab.null))
    assert.equal(require("cjson").null, retab.null)
    assert.is_false(retab.is_error {})
    local runs = new({}, { scripted.status(404) })
    local _, _, err = runs.list()
    assert.is_true(retab.is_error(err))
  end)

  it("says at load what to do on a machine without libcurl", function()
    local message = run [[
      package.preload["retab.curl"] = function()
        error("error loading module 'retab.curl' from file 'x/curl.so':\n\t"
          .. "libcurl.so.4: cannot open shared object file", 0)
      end
      print(select(2, pcall(require, "retab")))
    ]]
    assert.matches("libcurl", message)
    assert.matches("apt%-get install libcurl4", message)
    assert.is_true(select(2, message:gsub("\n", "")) < 3)
  end)

  it("works without libcurl for a program that declares this", function()
    assert.equal("parsed 1 https://api.retab.com/v1/workflows/experiments/runs?limit=1", run [[
      package.preload["retab.curl"] = function() return false end
      local runs = require("retab").new({ api_key = "k" }).workflows.experiments.runs
      local request = runs.request { limit = 1 }
      local page = assert(runs.parse(200, {}, '{"data":[{"id":"a"}],"list_metadata":{}}'))
      assert(not runs.parse(500, {}, "x"))
      print("parsed", #page.data, request.url)
    ]]:gsub("\t", " "))
  end)

  it("says that such a program needs a driver of its own", function()
    assert.matches("pass retab.new the option 'driver'", run [[
      package.preload["retab.curl"] = function() return false end
      print(select(2, pcall(require("retab").new({ api_key = "k" }).workflows.experiments.runs.list)))
    ]])
  end)

  it("has a decoder that loads no libcurl", function()
    assert.equal("1", run [[
      print(require("retab.core").decode("[1]")[1])
      assert(package.loaded["retab.curl"] == nil)
    ]])
  end)
end)

describe("The key", function()
  it("is not quoted if it is the name of an option", function()
    assert.matches("unknown option '%*%*%*'", run([[
      print(select(2, pcall(require("retab").new, { secretkey = true })))
    ]], { RETAB_API_KEY = "secretkey" }))
    local ok, message = pcall(retab.new, { api_key = "anotherkey", anotherkey = 1 })
    assert.is_false(ok)
    assert.is_nil(tostring(message):find("anotherkey", 1, true))
  end)

  it("comes from the option, or else from RETAB_API_KEY", function()
    local script = [[
      local request = require("retab").new({ api_key = KEY }).workflows.experiments.runs.request()
      print(request.headers["Api-Key"])
    ]]
    assert.equal("sk_env", run(script, { RETAB_API_KEY = "sk_env" }))
    assert.equal("sk_option", run('KEY = "sk_option" ' .. script, { RETAB_API_KEY = "sk_env" }))
    assert.equal("sk_env", run('print(require("retab").new().workflows.experiments.runs.request().headers["Api-Key"])',
      { RETAB_API_KEY = "sk_env" }))
  end)

  it("is required: without one retab.new raises, and says how to pass one", function()
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

  it("is checked if it comes from RETAB_API_KEY, too", function()
    local output = run('print(pcall(require("retab").new))', { RETAB_API_KEY = "sk\nX: 1" })
    assert.matches("^false", output)
    assert.matches("RETAB_API_KEY", output)
    assert.matches("control character", output)
    assert.is_nil(output:find "X: 1")
  end)

  it("must not be empty or have a control character", function()
    refuse({ api_key = "" }, "api_key", "empty")
    for code = 0, 31 do refuse({ api_key = "sk_" .. string.char(code) .. "x" }, "api_key", "control character") end
    refuse({ api_key = "sk\127" }, "control character")
    refuse({ api_key = "sk_secret\n" }, "control character")
    refuse({ api_key = "\r\nX-Other: 1" }, "control character")
  end)

  it("must be a string or a function", function()
    for _, value in ipairs { 5, true, {}, io.stdout } do
      refuse({ api_key = value }, "api_key", "string", "function")
    end
  end)

  it("is in no message that retab.new raises, wherever it is passed wrongly", function()
    local key = "sk_live_verysecret"
    for _, options in ipairs {
      key, { key }, { [key] = 1 }, { [key] = key }, { ["x" .. key] = 1, api_key = "k" }, { api_key = key .. "\n" },
      { api_key = key, nonsense = 1 }, { api_key = { key } }, { api_key = "k", auth = key },
      { api_key = "k", base_url = key }, { api_key = "k", base_url = "https://" .. key .. "@h" },
      { api_key = "k", base_url = "http://" .. key }, { api_key = "k", timeout = key }, { api_key = "k", driver = key },
      { api_key = "k", headers = key }, { api_key = "k", headers = { [key .. " "] = "x" } },
      { api_key = "k", headers = { ["X-Key"] = key .. "\n" } }, { api_key = "k", debug = key },
      { api_key = "k", on_retry = key }, { api_key = "k", user_agent = key .. "\n" },
      { api_key = "k", proxy = { key } },
    } do
      local message = refuse(options)
      assert.is_nil(message:find("verysecret", 1, true), message)
    end
    for _, variable in ipairs { "RETAB_AUTH", "RETAB_API_BASE_URL", "RETAB_BASE_URL" } do
      local output = run('print(pcall(require("retab").new, { api_key = "k" }))', { [variable] = key })
      assert.matches("^false", output)
      assert.matches(variable, output)
      assert.is_nil(output:find("verysecret", 1, true), output)
    end
  end)

  it("is sent as Api-Key, or in Authorization if auth is bearer, never as both", function()
    local headers = new().request().headers
    assert.equal("sk_secret_of_spec", headers["Api-Key"])
    assert.is_nil(headers.Authorization)
    assert.same(headers, new({ auth = "api-key" }).request().headers)
    headers = new({ auth = "bearer" }).request().headers
    assert.equal("Bearer sk_secret_of_spec", headers.Authorization)
    assert.is_nil(headers["Api-Key"])
  end)

  it("can come from a function, which is called for each request, and its result is checked", function()
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
      local ok, message = pcall(function()
        local request = runs.request()
        return request
      end)
      assert.is_false(ok)
      assert.matches("spec/init_spec%.lua:%d+: ", message)
      assert.matches("api_key", message)
      assert.matches(word, message)
      assert.is_nil(message:find("new\nline", 1, true))
    end
    assert.equal(5, asked)
  end)

  it("is not in tostring of the client, nor in its tables", function()
    local _, _, client = new { base_url = "https://api.example.com" }
    assert.is_false(contains(client, "sk_secret_of_spec"))
    assert.is_nil(tostring(client):find("sk_secret_of_spec", 1, true))
    assert.matches("api%.example%.com", tostring(client))
    client:close()
    assert.is_nil(tostring(client):find("sk_secret_of_spec", 1, true))
  end)
end)

describe("The option auth", function()
  local script = [[
    local client = require("retab").new { api_key = "sk_x", auth = AUTH }
    local headers = client.workflows.experiments.runs.request().headers
    print(headers["Api-Key"], headers.Authorization)
  ]]

  it("comes from the option, or else from RETAB_AUTH", function()
    assert.equal("sk_x\tnil", run(script))
    assert.equal("nil\tBearer sk_x", run(script, { RETAB_AUTH = "bearer" }))
    assert.equal("sk_x\tnil", run(script, { RETAB_AUTH = "api-key" }))
    assert.equal("sk_x\tnil", run(script, { RETAB_AUTH = "" }))
    assert.equal("sk_x\tnil", run('AUTH = "api-key" ' .. script, { RETAB_AUTH = "bearer" }))
    assert.equal("nil\tBearer sk_x", run('AUTH = "bearer" ' .. script, { RETAB_AUTH = "api-key" }))
  end)

  it("raises for another value of RETAB_AUTH, naming the variable", function()
    local output = run('print(pcall(require("retab").new, { api_key = "k" }))', { RETAB_AUTH = "basic" })
    assert.matches("^false", output)
    assert.matches("RETAB_AUTH", output)
    assert.matches("api%-key, bearer", output)
  end)
end)

describe("The base URL", function()
  local script = [[
    local runs = require("retab").new({ api_key = "k", base_url = BASE }).workflows.experiments.runs
    print((runs.request().url:gsub("/v1/workflows.*", "")))
  ]]

  it("is https://api.retab.com by default", function()
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

  it("is checked if it comes from the environment, and the message names the variable", function()
    for _, variable in ipairs { "RETAB_API_BASE_URL", "RETAB_BASE_URL" } do
      local output = run('print(pcall(require("retab").new, { api_key = "k" }))',
        { [variable] = "http://api.retab.com" })
      assert.matches("^false", output)
      assert.matches("plain http", output)
      assert.matches("%f[%w_]" .. variable .. "%f[^%w_]", output)
      assert.is_nil(output:find("option 'base_url'", 1, true))
    end
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

  it("send a request that fails three times", function()
    local runs, driver = new({}, function() return scripted.status(503) end)
    local _, _, err = runs.list()
    assert.equal(3, #driver.sent)
    assert.equal(3, err.attempts)
  end)

  it("are replaced by options", function()
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

  it("are not changed by another client's options", function()
    new { headers = { ["X-A"] = "1" }, user_agent = "a", auth = "bearer" }
    local headers = new().request().headers
    assert.is_nil(headers["X-A"])
    assert.is_nil(headers.Authorization)
    assert.is_nil(headers["User-Agent"]:find " a")
  end)

  it("are replaced by the options as they were when the client was created", function()
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
  it("raises if it is unknown, and the message suggests the most similar one", function()
    for wrong, right in pairs {
      apikey = "api_key", api_kye = "api_key", key = "api_key", apiKey = "api_key", baseurl = "base_url",
      url = "base_url",
      timout = "timeout", retries = "max_retries", useragent = "user_agent", header = "headers", cafile = "ca_file",
      on_respnse = "on_response",
    } do
      refuse({ api_key = "sk_x", [wrong] = "x" }, "unknown option '" .. wrong .. "'", "did you mean '" .. right .. "'?")
    end
  end)

  it("cannot switch TLS verification off", function()
    for _, name in ipairs { "verify", "insecure", "ssl_verify", "verify_ssl", "tls_verify" } do
      refuse({ api_key = "sk_x", [name] = false }, "unknown option '" .. name .. "'")
    end
  end)

  it("must have its own type and range", function()
    for name, values in pairs {
      auth = { "basic", "Bearer", "", 5, true }, base_url = { 5, "" }, allow_http = { "yes", 1 },
      timeout = { 0, -1, "60", true, 0 / 0 }, connect_timeout = { 0, -1, "10" }, deadline = { 0, -1, "5", {} },
      max_retries = { -1, 0.5, "2", 0 / 0 }, max_body_bytes = { 0, -1, 1.5, "1M" },
      max_connections = { 0, -1, 1.5, "8" },
      user_agent = { "", 5, {}, "x\r\nX-Evil: 1" }, proxy = { 5, {}, "" }, debug = { 1, "yes", {} },
      headers = { "X: 1", 5, { "X" }, { ["X-A"] = "a\nb" }, { ["X A"] = "b" } },
      ca_file = { "", 5 }, ca_path = { "", 5 }, on_request = { "f", {}, 5 }, on_response = { "f" }, on_retry = { true },
      driver = { "select", 5, true, {}, { send = print } },
    } do
      for _, value in ipairs(values) do refuse({ api_key = "sk_x", [name] = value }, "'" .. name .. "'") end
    end
  end)

  it("counts as omitted if it is null", function()
    local runs = new { base_url = retab.null, timeout = retab.null, on_retry = retab.null }
    assert.matches("^https://api%.retab%.com/", runs.request().url)
  end)

  it("must be in a table", function()
    for _, options in ipairs { "sk_x", 5, true } do refuse(options, "options must be a table") end
  end)

  it("that selects the driver must be a name or a table with five functions", function()
    for _, missing in ipairs { "send", "await", "cancel", "sleep", "now" } do
      local driver = scripted.new {}
      driver[missing] = nil
      refuse({ api_key = "sk_x", driver = driver }, "'driver'", missing)
    end
  end)
end)

describe("A client", function()
  it("counts requests, retries and bytes", function()
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

  it("has its own counts", function()
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

  it("has functions that are called with a dot or a colon", function()
    local runs, _, client = new()
    assert.same(runs.request { limit = 3 }, runs:request { limit = 3 })
    assert.same(runs.request(), runs:request())
    assert.same(runs.list({ limit = 1 }).data, runs:list({ limit = 1 }).data)
    local body = scripted.page({ "a" }).body
    assert.same(runs.parse(200, {}, body).data, runs:parse(200, {}, body).data)
    assert.equal("a", runs:parse(200, {}, body, { fields = { "id" } }).data[1].id)
    assert.same(runs.all({}, { max_items = 1 }), runs:all({}, { max_items = 1 }))
    assert.same(client.stats(), client:stats())
    local spawned = {}
    client.spawn(function(...) spawned[1] = select("#", ...) + (...) end, 5)
    client:spawn(function(...) spawned[2] = select("#", ...) + (...) end, 6)
    assert.same({ 6, 7 }, spawned)
    client.close()
    assert.matches("closed", tostring(client))
    runs = new()
    local ok, message = pcall(function()
      local page = runs:list { limt = 1 }
      return page
    end)
    assert.is_false(ok)
    assert.matches("'limt'", message)
  end)

  it("does not use its driver to build requests and to parse responses", function()
    local runs, driver = new()
    runs.request()
    runs.parse(200, {}, scripted.page({}).body)
    runs.iter()
    runs.pages()
    assert.same({}, driver.log)
  end)
end)

describe("A closed client", function()
  it("raises at the caller's line in every function that would send", function()
    local runs, driver, client = new()
    local line
    client:close()
    for _, name in ipairs { "list", "iter", "pages", "all", "create" } do
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

  it("raises in the functions of its pages", function()
    local runs, driver, client = new({}, function() return scripted.page({ "a" }, { after = "a" }) end)
    local page = assert(runs.list())
    client:close()
    assert.has_error(function() page:next() end)
    assert.equal(1, #driver.sent)
  end)

  it("raises in spawn", function()
    local _, _, client = new()
    client:close()
    assert.has_error(function() client:spawn(print) end)
  end)

  it("can be closed again, and keeps its counts", function()
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

  it("is closed at the end of the block if it is a to-be-closed variable", function()
    local block = (loadstring or load)("local client <close> = ...", "block") -- luacheck: ignore 113
    if not block then pending "this Lua has no to-be-closed variables" end
    local _, _, client = new()
    block(client)
    assert.has_error(function() client.workflows.experiments.runs.list() end)
  end)
end)

describe("In a sandbox", function()
  --- Loads the Lua files of this library in an environment without `io`, `os` and `debug`.
  local function sandbox()
    local names = {
      "assert", "coroutine", "error", "getmetatable", "ipairs", "math", "newproxy", "next", "pairs", "pcall",
      "rawequal", "rawget", "rawset", "select", "setmetatable", "string", "table", "tonumber", "tostring", "type",
      "unpack", "xpcall", "_VERSION",
    }
    local environment, loaded = {}, {}
    for _, name in ipairs(names) do environment[name] = rawget(_G, name) end
    environment._G = environment
    function environment.require(name)
      if name == "retab.curl" then return false end
      if not name:find("^retab") or name == "retab.core" then return require(name) end
      if loaded[name] then return loaded[name] end
      local path = "lua/" .. name:gsub("%.", "/")
      local file = io.open(path .. ".lua") or assert(io.open(path .. "/init.lua"))
      local source = file:read("*a")
      file:close()
      local chunk
      if setfenv then -- luacheck: ignore 113
        chunk = setfenv(assert(loadstring(source, "=" .. name)), environment) -- luacheck: ignore 113
      else
        chunk = assert(load(source, "=" .. name, "t", environment))
      end
      loaded[name] = chunk() or true
      return loaded[name]
    end
    return environment.require "retab"
  end

  it("without io, os and debug, the library works with a driver of the caller", function()
    local run_body = '{"id":"run_1","lifecycle":{"status":"completed"}}'
    local driver = scripted.new({
      scripted.status(503, { ["Retry-After"] = "Thu, 28 May 2026 20:27:00 GMT" }), scripted.page({ "a" }),
      { status = 201, body = run_body }, { status = 200, body = run_body }, scripted.status(404),
      scripted.page({ "b", "c" }), { failure = { kind = "connection" } },
    }, { now = 5 })
    local client = sandbox().new {
      api_key = "sk_x", base_url = "https://api.example.com", driver = driver, debug = true, max_retries = 1,
    }
    local runs = client.workflows.experiments.runs
    assert.equal("a", assert(runs.list { from_date = "2026-05-01" }).data[1].id)
    assert.equal("run_1", assert(runs.create { experiment_id = "exp_1" }).id)
    assert.equal("run_1", assert(runs.wait "run_1").id)
    local _, _, err = runs.get "run_2"
    assert.equal("not_found", err.kind)
    assert.matches("not_found", tostring(err))
    assert.equal(2, #assert(runs.all()))
    local ok, message = pcall(runs.list, { limit = 0 })
    assert.is_false(ok)
    assert.matches("'limit'", message)
    _, _, err = runs.parse(503, { ["Retry-After"] = "Thu, 28 May 2026 20:27:00 GMT" }, "")
    assert.is_nil(err.retry_after)
    client:close()
  end)

  it("without os, the key must be an option", function()
    local ok, message = pcall(sandbox().new, {})
    assert.is_false(ok)
    assert.matches("no API key", message)
  end)
end)
