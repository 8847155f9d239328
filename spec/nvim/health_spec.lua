local editor = require "spec.nvim.editor"
local simulator = require "spec.simulator"

local server = simulator.shared()

local script = [[
  vim.cmd "checkhealth retab"
  return { report = all():gsub("(%u+): ", "%1 "), messages = messages() } -- Neovim 0.7 writes "OK: ", 0.10 "OK "
]]

local function has(report, ...)
  for index = 1, select("#", ...) do
    local part = select(index, ...)
    assert.is_truthy(report:find(part, 1, true), part .. "\n" .. report)
  end
end

describe(":checkhealth retab", function()
  it("reports the modules, libcurl, the key and the server, and never the key itself", function()
    local url, id = server:scenario { runs = 3 }
    local result = editor.run(script, { env = { RETAB_API_KEY = "sk_secret_77", RETAB_API_BASE_URL = url } })
    has(result.report, "ABI of Lua 5.1", "build/lua/5.1/retab/core.so", "OK libcurl/", "An API key is set",
      url .. " responds, and accepts the key")
    assert.is_nil(result.report:find "ERROR")
    assert.is_nil(result.report:find("sk_secret_77", 1, true))
    assert.equal(1, #server:requests(id))
  end)

  it("works without plugin/retab.lua", function()
    local result = editor.run([[
      package.cpath = package.cpath:gsub("^[^;]*;", "")
      vim.g.loaded_retab = nil
      vim.cmd "delcommand Retab"
    ]] .. script, { env = { RETAB_API_KEY = "k", RETAB_API_BASE_URL = (server:scenario {}) } })
    has(result.report, "accepts the key")
  end)

  it("warns about a missing key, and reaches the server without it", function()
    local url = server:scenario { runs = 3, key = "right" }
    local result = editor.run(script, { env = { RETAB_API_BASE_URL = url } })
    has(result.report, "WARNING No API key is set", "OK " .. url .. " responds")
    assert.is_nil(result.report:find "accepts the key")
  end)

  it("reports a key that is not accepted", function()
    local url = server:scenario { runs = 3, key = "right" }
    local result = editor.run(script, { env = { RETAB_API_KEY = "sk_wrong_77", RETAB_API_BASE_URL = url } })
    has(result.report, "ERROR " .. url .. ": The server does not accept the API key")
    assert.is_nil(result.report:find("sk_wrong_77", 1, true))
  end)

  it("reports a server that is not there, and one that is not the API", function()
    local result = editor.on("http://127.0.0.1:1", script)
    has(result.report, "ERROR http://127.0.0.1:1: The server cannot be reached")
    result = editor.on(server:scenario { fault = "html", times = 0 }, script)
    has(result.report, "ERROR ", "The response is not one of the Retab API")
  end)

  it("does not wait long for a server that does not respond", function()
    local result = editor.on(server:scenario { latency = 60 }, [[
      local ticks, timer = 0, vim.loop.new_timer()
      timer:start(50, 50, function() ticks = ticks + 1 end)
    ]] .. script:gsub("return {", "timer:close() return { ticks = ticks,"))
    has(result.report, "The server did not respond in time")
    assert.is_true(result.ticks > 20) -- the loop went on
  end)

  it("leaves nothing open", function()
    local result = editor.on(server:scenario {}, [[
      local made = {}
      local new_poll = vim.loop.new_poll
      vim.loop.new_poll = function(...)
        made[#made + 1] = assert(new_poll(...))
        return made[#made]
      end
    ]] .. script:gsub("return {", "return { made = #made, open = not made[1]:is_closing(),"))
    assert.equal(1, result.made)
    assert.is_false(result.open)
  end)

  it("reports a mistake in the settings", function()
    local result = editor.on(server:scenario {}, script, { globals = { retab = { refersh = 1 } } })
    has(result.report, 'ERROR g:retab has no setting "refersh"')
    result = editor.on(server:scenario {}, script, { globals = { retab = { client = { timeuot = 1 } } } })
    has(result.report, "timeuot")
  end)

  it("says how to build what is not built", function()
    local directory = editor.install { "plugin", "lua" }
    local result = editor.run(script, { directory = directory, env = { RETAB_API_KEY = "k" } })
    editor.remove(directory)
    has(result.report, "ERROR The plugin is not built", "cd '" .. directory .. "' && scripts/build")
  end)

  it("reports modules of another version", function()
    local directory = editor.install()
    os.execute(("sed -i 's/^local version = .*/local version = \"99.0\"/' %s/lua/retab/native.lua"):format(directory))
    local result = editor.run(script, { directory = directory, env = { RETAB_API_KEY = "k" } })
    editor.remove(directory)
    has(result.report, "ERROR The C modules of retab do not load", "99.0")
  end)
end)
