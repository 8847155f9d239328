--- The body of a response on its way from retab.curl to retab.core, without a copy as a Lua string.
local core = require "retab.core"
local curl = require "retab.curl"
local garbage = require "spec.garbage"
local listener = require "spec.listener"
local simulator = require "spec.simulator"
local task = require "retab.task"

local server = simulator.shared()

--- Requests a page of so many runs, and waits for it.
local function fetch(pool, runs, as_string)
  local transfer = pool:send {
    url = server:scenario { runs = runs } .. "/v1/workflows/experiments/runs?limit=100",
    headers = { ["Api-Key"] = "k" },
    timeout = 20, connect_timeout = 10, expires = 20, max_body_bytes = 1e7, bytes = not as_string,
  }
  while not transfer:done() do pool:wait(1) end
  return transfer
end

--- Returns the response with such a page, and its pool.
local function respond(runs, as_string)
  local pool = curl.pool { max_connections = 1 }
  return assert(fetch(pool, runs, as_string):result()), pool
end

describe("the body of a response", function()
  it("is a string unless bytes are requested", function()
    local body = respond(3, true).body
    assert.is_string(body)
    assert.equal(3, #core.envelope(body).data)
  end)

  it("is decoded without a copy, has a length, and can be converted to a string", function()
    local body = respond(3).body
    assert.is_userdata(body)
    assert.equal(#tostring(body), #body)
    assert.same(core.envelope(tostring(body)), (core.envelope(body)))
    body:close()
  end)

  it("outlives its transfer and its pool", function()
    local got, pool = respond(3)
    pool:close()
    collectgarbage()
    assert.equal(3, #core.envelope(got.body).data)
    got.body:close()
  end)

  it("cannot be used after it was closed, once or twice", function()
    local body = respond(3).body
    body:close()
    body:close()
    for _, use in ipairs { core.envelope, tostring, function() return #body end } do
      assert.error_matches(function() use(body) end, "the body is closed")
    end
  end)

  it("keeps its bytes until it is closed, and then leaves its buffer to the next response", function()
    local first, pool = respond(100)
    local second = assert(fetch(pool, 2):result())
    assert.equal(100, #core.envelope(first.body).data)
    first.body:close()
    local third = assert(fetch(pool, 3):result())
    assert.equal(2, #core.envelope(second.body).data)
    assert.equal(3, #core.envelope(third.body).data)
    second.body:close()
    third.body:close()
    pool:close()
  end)

  it("is complete if a finalizer closes the pool while the result is built", function()
    local fields = {} -- so many that the collector runs between them
    for index = 1, 3000 do fields[index] = ("X-%d: %d\r\n"):format(index, index) end
    local server_of_fields = listener.open(function(peer)
      peer:head()
      peer:send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" .. table.concat(fields) .. "\r\nbody")
    end)
    local pool, inside, closed = nil, false, 0
    local function rearm()
      task.on_collect(function()
        if inside then
          pool:close()
          closed = closed + 1
        end
        if closed < 4 then rearm() end
      end)
    end
    rearm()
    local restore = garbage.hurry(10, 1000)
    for round = 1, 400 do
      pool = curl.pool { max_connections = 1 }
      local transfer = pool:send {
        url = server_of_fields.url, headers = {}, timeout = 20, connect_timeout = 10, expires = 20,
        max_body_bytes = 100, bytes = round % 2 == 0,
      }
      server_of_fields:poll_until(function()
        pool:step()
        return transfer:done()
      end)
      inside = true
      local got, problem = transfer:result()
      inside = false
      assert.equal("body", got and tostring(got.body) or problem.kind == "cancelled" and "body")
      assert.equal(got and "3000", got and got.headers["x-3000"])
      if closed >= 4 then break end
    end
    restore()
    assert.is_true(closed >= 4)
    server_of_fields:close()
  end)

  it("that is closed while it is read is closed when the reading ends", function()
    -- LuaJIT itself crashes at times where a finalizer runs at the exit of a trace
    local jit = rawget(_G, "jit")
    if jit then jit.off() end
    local pool = curl.pool { max_connections = 1 }
    local reading, closed = nil, 0
    local function rearm()
      task.on_collect(function()
        if reading then
          reading:close()
          closed = closed + 1
        end
        rearm()
      end)
    end
    rearm()
    local restore = garbage.hurry(20)
    for _ = 1, 200 do
      local body, before = assert(fetch(pool, 100):result()).body, closed
      reading = body
      local page = core.envelope(body)
      reading = nil
      assert.equal(100, #page.data)
      if closed > before then
        assert.error_matches(function() core.envelope(body) end, "the body is closed")
      end
      body:close()
      if closed >= 3 then break end
    end
    restore()
    if jit then jit.on() end
    assert.is_true(closed >= 3)
    pool:close()
  end)
end)
