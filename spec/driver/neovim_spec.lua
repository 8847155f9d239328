local contract = require "spec.driver.contract"
local neovim = require "spec.driver.neovim"
local simulator = require "spec.simulator"

local server = simulator.shared()

--- The outcomes of the whole contract in one Neovim, which runs when the first case does.
local outcomes

contract.describe("luv in Neovim", function(_, number)
  outcomes = outcomes or neovim.run([[
    local host = require "spec.driver.host".luv()
    for name, value in pairs(given) do host[name] = value end
    local outcomes = {}
    for number, case in ipairs(require "spec.driver.contract".cases) do
      host.number = number
      local ok, message = pcall(host.run, function() case.run(host) end)
      outcomes[number] = ok and "passed" or tostring(message)
    end
    return outcomes
  ]], { url = server.url, tls_url = server.tls_url, directory = server.directory, prefix = "contract_neovim" })
  if outcomes[number] ~= "passed" then error(outcomes[number], 0) end
end)

--- Creates clients with the driver that Neovim gets by default, and counts the handles.
local prelude = [[
  local retab = require "retab"
  local uv = vim.loop
  local function new(base_url, more)
    local options = { api_key = "k", base_url = base_url, max_retries = 0, timeout = 10 }
    for name, value in pairs(more or {}) do options[name] = value end
    local client = retab.new(options)
    return client.workflows.experiments.runs, client
  end
  local made = {} -- handles: a walk over those of Neovim itself fails
  for _, name in ipairs { "new_timer", "new_poll", "new_idle" } do
    local make = uv[name]
    uv[name] = function(...)
      made[#made + 1] = assert(make(...))
      return made[#made]
    end
  end
  local function handles()
    local count = 0
    for _, handle in ipairs(made) do count = count + (handle:is_closing() and 0 or 1) end
    return count
  end
]]

local function run(script, given)
  return neovim.run(prelude .. script, given)
end

describe("in Neovim", function()
  it("the default driver is luv", function()
    local result = run([[
      local runs = new(given.url)
      local page = assert(runs.list {})
      return { count = #page.data, luv = package.loaded["retab.driver.luv"] ~= nil,
        blocking = package.loaded["retab.driver.blocking"] ~= nil }
    ]], { url = (server:scenario { runs = 5 }) })
    assert.same({ count = 5, luv = true, blocking = false }, result)
  end)

  it("the editor handles its events between any two pages of a walk", function()
    local result = run([[
      local runs = new(given.url)
      local turns, last_turn, together, count, ended = 0, 0, 0, 0, false
      local check = uv.new_check() -- its callback is called once in each turn of the loop
      check:start(function() turns = turns + 1 end)
      coroutine.wrap(function()
        for page in runs.pages {} do
          if turns == last_turn then together = together + 1 end
          last_turn, count = turns, count + #page.data
        end
        ended = true
      end)()
      vim.wait(20000, function() return ended end, 1)
      check:stop()
      check:close()
      return { count = count, together = together }
    ]], { url = (server:scenario { runs = 10000, log = false }) })
    assert.same({ count = 10000, together = 0 }, result)
  end)

  it("any of the editor's functions may be called after a wait, wherever the coroutine was started", function()
    local result = run([[
      local runs = new(given.url)
      local fast, written, ended = nil, 0, 0
      local function work()
        local page = assert(runs.list {})
        fast = fast or vim.in_fast_event()
        vim.api.nvim_buf_set_lines(0, 0, -1, true, { page.data[1].id })
        written = written + #vim.api.nvim_buf_get_lines(0, 0, -1, true)[1]
        ended = ended + 1
      end
      coroutine.wrap(work)()
      vim.schedule(coroutine.wrap(work))
      local timer = uv.new_timer() -- a fast callback
      timer:start(5, 0, function()
        timer:close()
        coroutine.wrap(work)()
      end)
      vim.wait(5000, function() return ended == 3 end)
      return { fast = fast, written = written, ended = ended }
    ]], { url = (server:scenario { runs = 1, latency = 0.02 }) })
    assert.same({ fast = false, written = 3 * 21, ended = 3 }, result)
  end)

  it("a call outside of any coroutine waits while the editor handles events", function()
    local result = run([[
      local runs = new(given.url)
      local ticks, timer = 0, uv.new_timer()
      timer:start(5, 5, vim.schedule_wrap(function() ticks = ticks + 1 end))
      local page = assert(runs.list {})
      local count = 0
      for _ in runs.iter {} do count = count + 1 end
      timer:close()
      return { listed = #page.data, walked = count, ticked = ticks > 10 }
    ]], { url = (server:scenario { runs = 20, latency = 0.1 }) })
    assert.same({ listed = 20, walked = 20, ticked = true }, result)
  end)

  it("a call in a fast callback outside of any coroutine blocks the callback", function()
    local result = run([[
      local runs, client = new(given.url)
      local count, message
      local timer = uv.new_timer()
      timer:start(1, 0, function()
        timer:close()
        local page
        page, message = runs.list {}
        count = page and #page.data
      end)
      vim.wait(5000, function() return count or message end)
      client:close()
      return { count = count, message = message }
    ]], { url = (server:scenario { runs = 7, latency = 0.05 }) })
    assert.same({ count = 7 }, result)
  end)

  it("a call under a C function, which cannot yield, blocks the function", function()
    local result = run([[
      local runs = new(given.url)
      local counts = {}
      local function list() counts[#counts + 1] = #assert(runs.list {}).data end
      coroutine.wrap(function() vim.api.nvim_buf_call(0, list) end)()
      local timer = uv.new_timer()
      timer:start(1, 0, function()
        timer:close()
        coroutine.wrap(function() return (("a"):gsub("a", list)) end)()
      end)
      vim.wait(5000, function() return #counts == 2 end)
      return counts
    ]], { url = (server:scenario { runs = 7, latency = 0.05 }) })
    assert.same({ 7, 7 }, result)
  end)

  it("clients that were dropped do not disturb the exit", function()
    local result, output, status = run([[
      local count = 0
      for _ = 1, 20 do
        local runs, client = new(given.url)
        count = count + #assert(runs.list {}).data
        if count % 3 == 0 then client:close() end
        runs, client = nil, nil
        collectgarbage()
        collectgarbage()
      end
      return count
    ]], { url = (server:scenario { runs = 1 }) })
    assert.equal(20, result)
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("an error in a coroutine of the user is in the messages, with its traceback", function()
    local result = run([[
      local runs = new(given.url)
      coroutine.wrap(function()
        local page = assert(runs.list {})
        error("own of " .. #page.data)
      end)()
      vim.wait(2000, function() return vim.api.nvim_exec("messages", true):find "own of 2" end)
      return vim.api.nvim_exec("messages", true)
    ]], { url = (server:scenario { runs = 2 }) })
    assert.is_truthy(result:find("own of 2", 1, true), result)
    assert.is_truthy(result:find("stack traceback", 1, true), result)
  end)

  it("a failed connection is an error of the call, and the messages do not have it", function()
    for _, url in ipairs { "http://127.0.0.1:1", (server:scenario { fault = "cut" }) } do
      local result, output = run([[
        local runs = new(given.url)
        local kind
        coroutine.wrap(function()
          local _, _, err = runs.list {}
          kind = err.kind
        end)()
        vim.wait(10000, function() return kind end)
        return kind
      ]], { url = url })
      assert.equal("connection", result)
      assert.equal("", output)
    end
  end)

  it("a closed client leaves no handle", function()
    local result = run([[
      local before = handles()
      local runs, client = new(given.url)
      local kind
      coroutine.wrap(function()
        local _, _, err = runs.list {}
        kind = err.kind
      end)()
      vim.wait(100, function() return kind end)
      local during = handles()
      client:close()
      vim.wait(1000, function() return kind end)
      return { during = during - before, after = handles() - before, kind = kind }
    ]], { url = (server:scenario { latency = 10 }) })
    assert.is_true(result.during >= 2)
    assert.equal(0, result.after)
    assert.equal("cancelled", result.kind)
  end)

  it("an exit with calls under way ends them, and the editor", function()
    local path = os.tmpname()
    local result, output, status = run([[
      local runs, client = new(given.url)
      local kinds = {}
      for index = 1, 5 do
        coroutine.wrap(function()
          local _, _, err = runs.list {}
          kinds[index] = err.kind
        end)()
      end
      vim.wait(50, function() return false end)
      vim.api.nvim_create_autocmd("VimLeave", { callback = function() -- comes after VimLeavePre
        local file = io.open(given.path, "w")
        file:write(handles(), " handles")
        file:close()
      end })
      return handles()
    ]], { url = (server:scenario { latency = 30 }), path = path })
    local file = io.open(path)
    local left = file:read "*a"
    file:close()
    os.remove(path)
    assert.is_true(result > 0)
    assert.equal("0 handles", left)
    assert.equal("", output)
    assert.equal(0, status)
  end)
end)
