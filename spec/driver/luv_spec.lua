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

--- Starts lists, each in a coroutine. Returns a table that gets what they return.
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

  it("keeps the loop running while a call is under way, and no longer", function()
    local runs, client = new { runs = 3, latency = 0.1 }
    local results = start_lists(runs, 3)
    uv.run() -- until nothing is left to do
    for index = 1, 3 do assert.equal(3, #results[index][1].data) end
    assert.equal(3, client:stats().connections)
    assert.is_false(uv.loop_alive())
    client:close()
  end)

  it("without references is collected with its handles, while a request is under way", function()
    local before = handles()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local runs, client = new { runs = 300, fault = "stall", at = 2 }
      local it = runs.iter {}
      assert(it:next()) -- the next page is requested, too
      weak.client = client
    end
    uv.run "nowait"
    collect()
    assert.is_nil(weak.client)
    uv.run "nowait"
    assert.equal(before, handles())
  end)

  it("without references is collected with its handles, after a call", function()
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

  it("without references is not collected while a coroutine waits for it", function()
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
    it("is collected after a coroutine was closed while it waited for it", function()
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
      uv.run() -- until the timeout of the transfer
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

  it("inside a callback blocks the callback", function()
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

  it("under a C function, which cannot yield, blocks the function", function()
    local runs, client = new { runs = 3, latency = 0.03 }
    local sizes = {}
    local function list() sizes[#sizes + 1] = #assert(runs.list {}).data end
    local function list_in_gsub() return (("a"):gsub("a", list)) end
    if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
      pending "PUC 5.1 does not tell that a C function is on the stack"
    end
    coroutine.wrap(list_in_gsub)()
    local timer = uv.new_timer()
    timer:start(1, 0, function()
      timer:close()
      coroutine.wrap(list_in_gsub)()
    end)
    uv.run()
    assert.same({ 3, 3 }, sizes)
    client:close()
  end)

  it("ends when a callback closes the client", function()
    local runs, client = new { latency = 10 }
    local timer = uv.new_timer()
    timer:start(20, 0, function()
      timer:close()
      client:close()
    end)
    local _, message = runs.list {}
    assert.equal("client is closed", message)
    uv.run() -- until nothing is left to do
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

  it("may start where another call has returned", function()
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

--- Runs a script in a process of its own: an error in a callback of luv ends the process.
local function run(script, conditions)
  return interpreter.run(([[
    local uv, retab = require "luv", require "retab"
    local BASE = %q
    local client = retab.new { api_key = "k", base_url = BASE, driver = "luv", max_retries = 1, timeout = 0.1 }
    local runs = client.workflows.experiments.runs
    %s
  ]]):format((server:scenario(conditions)), script), nil, true)
end

--- Of a script: creates further clients, and collects what was dropped.
local drop = [[
  local function new()
    local one = retab.new { api_key = "k", base_url = BASE, driver = "luv", max_retries = 0, timeout = 0.1 }
    return one.workflows.experiments.runs.list, one
  end
  local function drop() collectgarbage() collectgarbage() end
]]

describe("under luv, a process", function()
  it("that has no descriptors left gets an error, and a response when it has some again", function()
    local output, status = run([[
      require "retab.driver.luv"
      local limited = os.execute "prlimit --pid $PPID --nofile=60 2>/dev/null"
      if limited ~= true and limited ~= 0 then return print "no prlimit" end
      local files, file = {}, nil
      repeat
        file = io.open "/dev/null"
        files[#files + 1] = file
      until not file
      local page, message, err = runs.list({}, { max_retries = 0 })
      assert(page == nil and err.kind == "connection", message)
      for _, file in ipairs(files) do file:close() end
      print(#assert(runs.list {}).data)
      client, runs = nil, nil
    ]], { runs = 3 })
    if output == "no prlimit\n" then return pending "this system has no prlimit" end
    assert.equal("3\n", output)
    assert.equal(0, status)
  end)

  local endings = {
    ["after a call"] = "assert(runs.list {})",
    ["after a close"] = "assert(runs.list {}) client:close()",
    ["after a close and a collection"] = [[
      assert(runs.list {})
      client:close()
      client, runs = nil, nil
      collectgarbage()
      collectgarbage()]],
    ["after a close in a coroutine"] = "coroutine.wrap(function() assert(runs.list {}) client:close() end)() uv.run()",
    ["after a close before the loop runs"] = "coroutine.wrap(function() runs.list {} end)() client:close()",
    ["by os.exit"] = "assert(runs.list {}) os.exit(0)",
    ["by os.exit that closes the state"] = "assert(runs.list {}) os.exit(0, true)",
    ["by os.exit that closes the state, in a coroutine"] = [[
      coroutine.wrap(function() assert(runs.list {}) os.exit(0, true) end)()
      uv.run()]],
    ["by os.exit that closes the state, after a close in a coroutine"] = [[
      coroutine.wrap(function() assert(runs.list {}) client:close() os.exit(0, true) end)()
      uv.run()]],
    ["with clients that were dropped"] = drop .. "for _ = 1, 20 do local list = new() list() list = nil drop() end",
    ["with clients that were dropped, half of them closed"] = drop
      .. "for i = 1, 20 do local list, one = new() list() if i % 2 == 0 then one:close() end drop() end",
    ["with clients that are dropped in reverse"] = drop .. [[
      local kept = {}
      for i = 1, 20 do kept[i] = new() kept[i]() end
      for i = 20, 1, -1 do kept[i] = nil drop() end]],
    ["with clients that were dropped while they waited"] = drop
      .. "for _ = 1, 20 do coroutine.wrap(new())() uv.run 'nowait' drop() end",
    ["after a retry in a loop that runs once at a time"] = [[
      local listed
      coroutine.wrap(function()
        retab.new { api_key = "k", base_url = "http://127.0.0.1:1", driver = "luv", max_retries = 1 }
          .workflows.experiments.runs.list {}
        listed = true
      end)()
      while not listed do uv.run "once" end]],
    ["while a call is under way"] = "coroutine.wrap(function() runs.list {} end)() uv.run 'nowait'",
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

  it("may end after timeouts", function()
    local output, status = run("for _ = 1, 3 do assert(not runs.list({}, { max_retries = 0 })) end",
      { fault = "stall", times = 0 })
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("ends with a traceback when a coroutine of the user raises an error, as luv does", function()
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

  it("goes on after an error in a spawned coroutine", function()
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
