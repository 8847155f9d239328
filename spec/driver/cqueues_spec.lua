local auxlib = require "cqueues.auxlib"
local contract = require "spec.driver.contract"
local cqueues = require "cqueues"
local host = require "spec.driver.host"
local retab = require "retab"
local simulator = require "spec.simulator"

local server = simulator.shared()

contract.describe_here("cqueues", host.cqueues())

local function new(conditions, options)
  local given = {
    api_key = "k", base_url = (server:scenario(conditions)), driver = "cqueues", max_retries = 0, timeout = 20,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  local client = retab.new(given)
  return client.workflows.experiments.runs, client
end

--- Runs functions in a cqueue until all have ended, or for 20 seconds.
local function loop(...)
  local controller = cqueues.new()
  for index = 1, select("#", ...) do controller:wrap((select(index, ...))) end
  assert(controller:loop(20))
  return controller
end

describe("under cqueues, a call", function()
  it("outside of any cqueue blocks until it is done", function()
    local runs, client = new { runs = 250, latency = 0.02, fault = "status", code = 503, retry_after_ms = "10" }
    assert.equal(20, #assert(runs.list({}, { max_retries = 1 })).data)
    local count, it = 0, runs.iter {}
    while it:next() do count = count + 1 end
    assert.equal(250, count)
    client:close()
  end)

  it("may run in a coroutine inside a cqueue's coroutine, if auxlib resumes it", function()
    local runs, client = new { runs = 250, latency = 0.02 }
    local sizes = {}
    loop(function()
      local pages = auxlib.wrap(function()
        local it = runs.pages {}
        local page = it:next()
        while page do
          coroutine.yield(#page.data)
          page = it:next()
        end
      end)
      for _ = 1, 3 do sizes[#sizes + 1] = pages() end
    end)
    assert.same({ 100, 100, 50 }, sizes)
    client:close()
  end)

  it("that raises an uncaught error ends the loop, which returns the error and the coroutine", function()
    local runs, client = new { runs = 2, latency = 0.01 }
    local controller = cqueues.new()
    local function fails_by_this_name(page) error("own of " .. #page.data) end
    controller:wrap(function() fails_by_this_name(assert(runs.list {})) end)
    local ok, problem, _, thread = controller:loop(20)
    assert.is_false(ok or false)
    assert.is_truthy(problem:find("own of 2", 1, true))
    assert.is_truthy(debug.traceback(thread):find("fails_by_this_name", 1, true))
    client:close()
  end)
end)

describe("under cqueues, a client", function()
  it("serves two cqueues, one in a coroutine of the other", function()
    local runs, client = new { runs = 3, latency = 0.05 }
    local counts = {}
    local function list(name)
      return function()
        counts[name] = #assert(runs.list {}).data
      end
    end
    local inner = cqueues.new()
    inner:wrap(list "inner")
    loop(list "outer", function() assert(inner:loop(10)) end, list "beside")
    assert.same({ inner = 3, outer = 3, beside = 3 }, counts)
    client:close()
  end)

  it("serves two cqueues concurrently, neither of which waits for the other", function()
    local runs, client = new({ runs = 3, latency = 0.3 }, { timeout = 60 })
    local count, first, second = 0, cqueues.new(), cqueues.new()
    for _, controller in ipairs { first, second, first } do
      controller:wrap(function()
        for _ = 1, 2 do
          local page = assert(runs.list {})
          count = count + #page.data
        end
      end)
    end
    local began, busy = cqueues.monotime(), os.clock()
    loop(function() assert(first:loop()) end, function() assert(second:loop()) end)
    assert.equal(18, count)
    assert.is_true(os.clock() - busy < (cqueues.monotime() - began) / 2) -- it slept most of the time
    client:close()
  end)

  it("goes on after a cqueue that is not stepped any more, whichever call ends first", function()
    local runs, client = new({ runs = 3, latency = 0.3 }, { timeout = 60 })
    local left, kinds, counts = cqueues.new(), {}, {}
    for _ = 1, 4 do
      left:wrap(function() runs.list {} end)
    end
    assert(left:step(0.01))
    local function give_up()
      local _, _, err = runs.list({}, { timeout = 0.1, max_retries = 0 })
      kinds[#kinds + 1] = err.kind
    end
    local function list()
      local page = assert(runs.list {})
      counts[#counts + 1] = #page.data
    end
    loop(give_up, list)
    loop(list, give_up)
    assert.same({ "timeout", "timeout" }, kinds)
    assert.same({ 3, 3 }, counts)
    client:close()
  end)

  it("goes on after a cqueue was collected with calls under way", function()
    local runs, client = new({ runs = 3, fault = "stall", times = 1 }, { max_connections = 1 })
    local weak = setmetatable({}, { __mode = "k" })
    do
      local controller = cqueues.new()
      controller:wrap(function()
        weak[coroutine.running()] = true
        runs.list {}
      end)
      for _ = 1, 5 do assert(controller:step(0.02)) end
      weak[controller] = true
    end
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil((next(weak)))
    local count
    loop(function() count = #assert(runs.list({}, { timeout = 5 })).data end)
    assert.equal(3, count)
    client:close()
  end)

  it("serves successive cqueues over the same connection", function()
    local runs, client = new { runs = 3 }
    for _ = 1, 3 do
      loop(function() assert(runs.list {}) end)
    end
    assert.equal(1, client:stats().connections)
    client:close()
  end)

  it("without references is collected in the middle of a loop, and the loop and later calls go on", function()
    local base = server:scenario { runs = 3 }
    local count = 0
    local function work()
      for round = 1, 6 do
        local client = retab.new { api_key = "k", base_url = base, driver = "cqueues", max_retries = 0, timeout = 8 }
        local page = assert(client.workflows.experiments.runs.list {})
        count = count + #page.data
        client = nil -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        if round % 2 == 0 then cqueues.sleep(0) end
      end
    end
    loop(work, work, work)
    assert.equal(54, count)
  end)

  it("without references is collected with a cqueue in whose loop it waited", function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local runs, client = new { fault = "stall", times = 0 }
      local controller = cqueues.new()
      controller:wrap(function() runs.list {} end)
      for _ = 1, 3 do assert(controller:step(0.01)) end
      weak[client], weak[controller] = true, true
    end
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil((next(weak)))
    local runs, client = new { runs = 3 }
    loop(function() assert(runs.list {}) end)
    client:close()
  end)

  it("that is closed during a call, or after one, leaves nothing to wait for", function()
    for _, latency in ipairs { 0, 60 } do
      local runs, client = new({ latency = latency }, { timeout = 60 })
      local controller = loop(function() runs.list {} end, function()
        cqueues.sleep(0.05)
        client:close()
      end)
      assert.is_true(controller:empty())
    end
  end)
end)
