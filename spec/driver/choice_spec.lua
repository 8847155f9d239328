--- The driver that a client chooses: that of the host, one by its name, or a table of the user.
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local names = { "blocking", "luv", "ngx", "resty", "cqueues" }

describe("the driver", function()
  local loaded, globals, made

  before_each(function()
    loaded, globals, made = {}, { ngx = rawget(_G, "ngx"), vim = rawget(_G, "vim") }, {}
    for _, name in ipairs(names) do
      local module = "retab.driver." .. name
      loaded[module] = package.loaded[module] or false
      package.loaded[module] = {
        new = function(settings)
          made[#made + 1] = { name = name, settings = settings }
          return scripted.new { scripted.page { "run_1" }, scripted.page { "run_1" } }
        end,
      }
    end
    loaded["resty.http"] = package.loaded["resty.http"] or false
  end)

  after_each(function()
    for module, value in pairs(loaded) do package.loaded[module] = value or nil end
    rawset(_G, "ngx", globals.ngx)
    rawset(_G, "vim", globals.vim)
  end)

  --- Lists twice, in a host with these globals. Returns the drivers that were created.
  local function chosen(host, options)
    for name, value in pairs(host) do rawset(_G, name, value) end
    local given = { api_key = "k", base_url = "https://api.example.com" }
    for name, value in pairs(options or {}) do given[name] = value end
    local client = retab.new(given)
    local before = #made
    for _ = 1, 2 do assert(client.workflows.experiments.runs.list {}) end
    assert.equal(0, before)
    return made
  end

  it("is blocking in a plain script, and is created once", function()
    local drivers = chosen {}
    assert.equal(1, #drivers)
    assert.equal("blocking", drivers[1].name)
  end)

  it("is luv in Neovim", function()
    assert.equal("luv", chosen({ vim = {} })[1].name)
  end)

  it("is ngx in nginx without lua-resty-http, also if there is a global vim", function()
    package.loaded["resty.http"] = nil
    local preload = package.preload["resty.http"]
    package.preload["resty.http"] = function() error "broken" end
    local name = chosen({ ngx = {}, vim = {} })[1].name
    package.preload["resty.http"] = preload
    assert.equal("ngx", name)
  end)

  it("is resty in nginx if lua-resty-http loads", function()
    package.loaded["resty.http"] = {}
    assert.equal("resty", chosen({ ngx = {} })[1].name)
  end)

  for _, name in ipairs(names) do
    it("is " .. name .. " in any host if the option names it", function()
      assert.equal(name, chosen({ ngx = {}, vim = {} }, { driver = name })[1].name)
    end)
  end

  it("gets the settings of connections", function()
    local settings = { max_connections = 3, proxy = "http://127.0.0.1:3128", ca_file = "/f", ca_path = "/p" }
    assert.same(settings, chosen({}, settings)[1].settings)
  end)

  it("may be a table of five functions", function()
    local driver = scripted.new { scripted.status(503), scripted.page { "run_1" } }
    local own = {}
    for _, name in ipairs { "send", "await", "cancel", "sleep", "now" } do own[name] = driver[name] end
    local client = retab.new { api_key = "k", base_url = "https://api.example.com", driver = own }
    assert.equal("run_1", assert(client.workflows.experiments.runs.list {}).data[1].id)
    assert.equal(1, #driver.slept)
    assert.equal(0, client:stats().connections)
    local ended = false
    client:spawn(function() ended = true end)
    assert.is_true(ended)
    client:close()
    assert.same({}, made)
  end)

  it("is closed once with its client, if it has close", function()
    local driver, closed = scripted.new {}, 0
    function driver.close() closed = closed + 1 end
    local client = retab.new { api_key = "k", base_url = "https://api.example.com", driver = driver }
    client:spawn(function() end)
    client:close()
    client:close()
    assert.equal(1, closed)
  end)

  it("of an unknown name raises an error at the caller's line that lists the names", function()
    local ok, message = pcall(function() retab.new { api_key = "k", driver = "libev" } end)
    assert.is_false(ok)
    assert.is_truthy(message:find("choice_spec.lua", 1, true), message)
    for _, name in ipairs(names) do assert.is_truthy(message:find(name, 1, true), message) end
  end)

  it("that lacks a function raises an error that names the function", function()
    for _, missing in ipairs { "send", "await", "cancel", "sleep", "now" } do
      local driver = scripted.new {}
      driver[missing] = nil
      local ok, message = pcall(retab.new, { api_key = "k", driver = driver })
      assert.is_false(ok)
      assert.is_truthy(message:find(missing, 1, true), message)
    end
  end)
end)
