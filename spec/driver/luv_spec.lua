local contract = require "spec.driver.contract"
local host = require "spec.driver.host"
local interpreter = require "spec.interpreter"
local retab = require "retab"
local simulator = require "spec.simulator"
local uv = require "luv"

local server = simulator.shared()

contract.describe_here("luv", host.luv())

local function new(conditions, options)
  local given = {
    api_key = "k", base_url = (server:scenario(conditions)), driver = "luv", max_retries = 0, timeout = 20,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, client
end

local function handles()
  local count = 0
  uv.walk(function(handle) count = count + (handle:is_closing() and 0 or 1) end)
  return count
end

--- Starts lists that take their time, each in a coroutine; gives what they return.
local function start_lists(runs, count)
  local results = {}
  for index = 1, count do
    coroutine.wrap(function() results[index] = { runs.list {} } end)()
  end
  for _ = 1, 5 do uv.run "nowait" end
  return results
end

local function collect()
  for _ = 1, 3 do collectgarbage() end
end

describe("under luv, a client", function()
  before_each(function()
    for _ = 1, 3 do
      collect()
      uv.run "nowait"
    end
  end)

  it("has no handle before its first call, and none when it is closed", function()
    local before = handles()
    local runs, client = new { latency = 10 }
    assert.equal(before, handles())
    local results = start_lists(runs, 3)
    assert.is_true(handles() > before)
    client:close()
    assert.equal(before, handles())
    for _ = 1, 5 do uv.run "nowait" end
    for index = 1, 3 do assert.equal("cancelled", results[index][3].kind) end
  end)

  it("keeps the loop alive while a call is out, and no longer", function()
    local runs, client = new { runs = 3, latency = 0.1 }
    local results = start_lists(runs, 3)
    uv.run() -- to where nothing is left to do
    for index = 1, 3 do assert.equal(3, #results[index][1].data) end
    assert.equal(3, client:stats().connections)
    assert.is_false(uv.loop_alive())
    client:close()
  end)

  it("that nobody has any more takes its handles along", function()
    local before = handles()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local runs, client = new { runs = 300, fault = "stall", at = 2 }
      local it = runs.iter {}
      assert(it:next()) -- and the next page is on its way
      weak.client = client
    end
    uv.run "nowait"
    collect()
    assert.is_nil(weak.client)
    uv.run "nowait"
    assert.equal(before, handles())
  end)

  it("that was waited for and that nobody has any more is collected", function()
    local before = handles()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local runs, client = new { runs = 3 }
      coroutine.wrap(function() assert(runs.list {}) end)()
      uv.run()
      weak.client = client
    end
    collect()
    assert.is_nil(weak.client)
    uv.run "nowait"
    assert.equal(before, handles())
  end)

  it("stays as long as a coroutine waits for it, though nobody else has it", function()
    local count
    do
      local runs = new { runs = 3, latency = 0.1 }
      coroutine.wrap(function() count = #assert(runs.list {}).data end)()
    end
    collect()
    uv.run()
    assert.equal(3, count)
  end)

  if coroutine.close then
    it("is collected with the transfer of a coroutine that was closed while it waited", function()
      local before = handles()
      local weak = setmetatable({}, { __mode = "v" })
      do
        local runs, client = new({ fault = "stall", times = 0 }, { timeout = 0.3 })
        local thread = coroutine.create(function() runs.list {} end)
        assert(coroutine.resume(thread))
        uv.run "nowait"
        assert(coroutine.close(thread))
        weak.client, weak.thread = client, thread
      end
      collect()
      local timer = uv.new_timer() -- by the transfer's own timeout, the driver has seen that nobody waits
      timer:start(500, 0, function() timer:close() end)
      uv.run()
      collect()
      assert.is_nil(weak.thread)
      assert.is_nil(weak.client)
      uv.run "nowait"
      assert.equal(before, handles())
    end)
  end
end)

describe("under luv, a call", function()
  it("outside of any coroutine runs the loop until it is done, and its events go on", function()
    local runs, client = new { runs = 250, latency = 0.03 }
    local ticks, timer = 0, uv.new_timer()
    timer:start(5, 5, function() ticks = ticks + 1 end)
    assert.equal(20, #assert(runs.list {}).data)
    local count, it = 0, runs.iter {}
    while it:next() do count = count + 1 end
    assert.equal(250, count)
    assert.is_true(ticks > 5)
    timer:close()
    client:close()
  end)

  it("inside a callback waits there", function()
    local runs, client = new { runs = 3, latency = 0.03 }
    local results, timer = {}, uv.new_timer()
    timer:start(1, 0, function()
      timer:close()
      for index = 1, 2 do results[index] = #assert(runs.list {}).data end
    end)
    uv.run()
    assert.same({ 3, 3 }, results)
    assert.equal(1, client:stats().connections)
    client:close()
  end)

  it("in a coroutine inside a callback suspends that coroutine only", function()
    local runs, client = new { runs = 3, latency = 0.05 }
    local order, timer = {}, uv.new_timer()
    timer:start(1, 0, function()
      timer:close()
      coroutine.wrap(function()
        local page = assert(runs.list {})
        order[#order + 1] = #page.data
      end)()
      order[#order + 1] = "suspended"
    end)
    uv.run()
    assert.same({ "suspended", 3 }, order)
    client:close()
  end)

  it("may be begun where another one was resumed", function()
    local runs, client = new { runs = 3 }
    local steps = {}
    local function list(name, next)
      coroutine.wrap(function()
        assert(runs.list {})
        if next then next() end
        steps[#steps + 1] = name
      end)()
    end
    list("outer", function() list("inner", function() list "innermost" end) end)
    assert.same({}, steps)
    uv.run()
    table.sort(steps)
    assert.same({ "inner", "innermost", "outer" }, steps)
    client:close()
  end)
end)

--- A process of its own: luv ends the process at an error in a callback, and crashed where a state ended early.
local function run(script, conditions)
  return interpreter.run(([[
    local uv, retab = require "luv", require "retab"
    local client = retab.new { api_key = "k", base_url = %q, driver = "luv", max_retries = 1, timeout = 0.1 }
    local runs = client.workflows.experiments.runs
    %s
  ]]):format((server:scenario(conditions)), script), nil, true)
end

describe("under luv, a process", function()
  local endings = {
    ["behind a call"] = "assert(runs.list {})",
    ["behind a close"] = "assert(runs.list {}) client:close()",
    ["behind a close in a coroutine"] = "coroutine.wrap(function() assert(runs.list {}) client:close() end)() uv.run()",
    ["behind a close before the loop runs"] = "coroutine.wrap(function() runs.list {} end)() client:close()",
    ["while a call is out"] = "coroutine.wrap(function() runs.list {} end)() uv.run 'nowait'",
    ["while a retry waits"] = [[
      local function wait(seconds)
        local ends = uv.hrtime() + seconds * 1e9
        while uv.hrtime() < ends do uv.run "nowait" end
      end
      coroutine.wrap(function() runs.list {} end)()
      wait(0.15)]],
    ["with a walk half done"] = "walk = runs.iter { limit = 1 } assert(walk:next()) uv.run 'nowait'",
  }
  for name, script in pairs(endings) do
    it("may end " .. name, function()
      for _, conditions in ipairs { { runs = 3 }, { fault = "stall", at = name:find "retry" and 1 or 2, times = 0 } } do
        local output, status = run(script, conditions)
        assert.equal("", output)
        assert.equal(0, status)
      end
    end)
  end

  it("may end behind timeouts", function()
    local output, status = run("for _ = 1, 3 do assert(not runs.list({}, { max_retries = 0 })) end",
      { fault = "stall", times = 0 })
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("ends at an error in a coroutine of the user's own, as luv does it, with the traceback", function()
    local output, status = run([[
      local function fails_by_this_name(page) error("own of " .. #page.data) end
      coroutine.wrap(function() fails_by_this_name(assert(runs.list {})) end)()
      uv.run()
      print "not reached"
    ]], { runs = 2 })
    assert.is_truthy(output:find("own of 2", 1, true), output)
    assert.is_truthy(output:find("fails_by_this_name", 1, true), output)
    assert.is_nil(output:find("not reached", 1, true), output)
    assert.not_equal(0, status)
  end)

  it("goes on at an error in a spawned one", function()
    local output, status = run([[
      client:spawn(function() error("spawned of " .. #assert(runs.list {}).data) end)
      uv.run()
      print "reached"
    ]], { runs = 2 })
    assert.is_truthy(output:find("spawned of 2", 1, true), output)
    assert.is_truthy(output:find("stack traceback", 1, true), output)
    assert.is_truthy(output:find("reached", 1, true), output)
    assert.equal(0, status)
  end)
end)
