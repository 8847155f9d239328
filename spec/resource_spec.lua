--- A new endpoint is one declaration: the specs declare one that does not exist.
local params = require "retab.params"
local resource = require "retab.resource"
local scripted = require "spec.scripted_driver"

local declaration = {
  list = {
    path = "/v1/teapots",
    params = {
      { "kettle_id", params.text, required = true },
      { "colors", function(value)
        if type(value) == "table" and type(value[1]) == "string" then return value end
        return nil, "must be an array of strings"
      end },
    },
    most_per_page = 1000,
    page_size = 500,
  },
  get = { path = "/v1/teapots/{id}" },
}

--- Binds the declaration to a session over the scripted driver: what retab.new does for the resources of the API.
local function bind(script)
  local driver = scripted.new(script)
  local session = setmetatable({
    api_key = "sk_test", auth = "api-key", base_url = "https://api.example.com", direct = false,
    timeout = 60, connect_timeout = 10, max_retries = 0, max_body_bytes = 1e6, user_agent = "spec", headers = {},
    stats = { requests = 0, retries = 0, bytes = 0 }, tickets = {}, driver_option = driver,
  }, { __index = { driver = function() return driver end } })
  return resource.bind(session, declaration), driver
end

describe("a declared endpoint", function()
  it("has the functions of a list and of one object, and no others", function()
    local names = {}
    for name, f in pairs((bind {})) do
      assert.equal("function", type(f))
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "all", "get", "iter", "list", "pages", "parse", "request" }, names)
  end)

  it("is listed by its path, and repeats a parameter whose value is an array", function()
    local teapots, driver = bind { scripted.page({ "a" }, { after = "a" }), scripted.page { "b" } }
    local page = assert(teapots.list { kettle_id = "k 1", colors = { "red", "b&w" }, limit = 1000 })
    assert.equal("https://api.example.com/v1/teapots?kettle_id=k%201&colors=red&colors=b%26w&limit=1000",
      driver.sent[1].url)
    assert.equal("b", assert(page:next()).data[1].id)
    assert.equal("https://api.example.com/v1/teapots?kettle_id=k%201&colors=red&colors=b%26w&after=a&limit=1000",
      driver.sent[2].url)
  end)

  it("is walked with its own page size", function()
    for _, name in ipairs { "iter", "pages", "all" } do
      local teapots, driver = bind(scripted.runs(1200))
      local count = 0
      if name == "all" then
        count = #assert(teapots.all { kettle_id = "k" })
      else
        for item in teapots[name] { kettle_id = "k" } do count = count + (item.data and #item.data or 1) end
      end
      assert.equal(1200, count)
      assert.equal(3, #driver.sent)
      for _, request in ipairs(driver.sent) do assert.equal("500", scripted.query(request).limit) end
    end
  end)

  it("refuses parameters that it does not declare", function()
    local teapots, driver = bind {}
    for _, case in ipairs {
      { {}, "missing parameter 'kettle_id'" },
      { { kettle_id = "k", limit = 1001 }, "bad parameter 'limit': must be an integer from 1 to 1000, got 1001" },
      { { kettle_id = "k", order = "asc" }, "unknown parameter 'order'" },
      { { kettle_id = "k", status = "completed" }, "unknown parameter 'status'" },
      { { kettle_id = "k", colors = "red" }, "bad parameter 'colors': must be an array of strings" },
    } do
      local ok, message = pcall(function() return teapots.list(case[1]) end)
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
      assert.matches("resource_spec.lua:%d+: ", message)
    end
    local ok, message = pcall(teapots.iter, { kettle_id = "k" }, { parallel = 2 })
    assert.is_false(ok)
    assert.matches("option 'parallel'", message)
    assert.same({}, driver.sent)
  end)

  it("gets one object by its id, percent-encoded", function()
    local teapots, driver = bind { scripted.json '{"id":"a/b","volume":2}' }
    assert.same({ id = "a/b", volume = 2 }, assert(teapots.get "a/b"))
    assert.equal("https://api.example.com/v1/teapots/a%2Fb", driver.sent[1].url)
  end)
end)
