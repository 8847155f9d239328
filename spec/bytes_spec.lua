--- The body of an answer as it goes from retab.curl to retab.core without becoming a Lua string.
local core = require "retab.core"
local curl = require "retab.curl"
local simulator = require "spec.simulator"

local server = simulator.shared()

--- An answer of the simulator, with a page of so many runs, and the pool that it came from.
local function answer(runs, options)
  local pool = curl.pool { max_connections = 1 }
  local transfer = pool:send {
    url = server:scenario { runs = runs } .. "/v1/workflows/experiments/runs?limit=100",
    headers = { ["Api-Key"] = "k" },
    timeout = 20, connect_timeout = 10, expires = 20, max_body_bytes = 1e7, bytes = not (options and options.string),
  }
  while not transfer:done() do pool:wait(1) end
  return assert(transfer:result()), pool
end

describe("the body of an answer", function()
  it("is a string unless it is asked for as bytes", function()
    local body = answer(3, { string = true }).body
    assert.is_string(body)
    assert.equal(3, #core.envelope(body).data)
  end)

  it("is read where it is, has a length and is a string when that is wanted", function()
    local body = answer(3).body
    assert.is_userdata(body)
    assert.equal(#tostring(body), #body)
    assert.same(core.envelope(tostring(body)), (core.envelope(body)))
    body:close()
  end)

  it("outlives its transfer and its pool", function()
    local got, pool = answer(3)
    pool:close()
    collectgarbage()
    assert.equal(3, #core.envelope(got.body).data)
    got.body:close()
  end)

  it("is gone when it is closed, once or twice", function()
    local body = answer(3).body
    body:close()
    body:close()
    for _, use in ipairs { core.envelope, tostring, function() return #body end } do
      assert.error_matches(function() use(body) end, "the body is closed")
    end
  end)

  it("leaves its buffer to the next one", function()
    local first, pool = answer(100)
    first.body:close()
    local second = answer(2)
    assert.equal(2, #core.envelope(second.body).data)
    pool:close()
    second.body:close()
  end)

  it("can't be closed while it is read", function()
    -- LuaJIT itself crashes once in a hundred times, in its unwinder, where traces run and a finalizer's C call raises
    if rawget(_G, "jit") then require("jit").off() end
    local body = answer(100).body
    local reading, refused = false, 0
    local function rearm()
      local guard = newproxy and newproxy(true) or setmetatable({}, {})
      local metatable = { __gc = function()
        if reading then
          local ok, message = pcall(body.close, body)
          assert(not ok and message:find("the body is being read", 1, true))
          refused = refused + 1
        end
        rearm()
      end }
      if newproxy then getmetatable(guard).__gc = metatable.__gc else setmetatable(guard, metatable) end
    end
    rearm()
    local pause = collectgarbage("setpause", 20)
    for _ = 1, 200 do
      reading = true
      local page = core.envelope(body)
      reading = false
      assert.equal(100, #page.data)
    end
    collectgarbage("setpause", pause)
    if rawget(_G, "jit") then require("jit").on() end
    assert.is_true(refused > 0)
    body:close()
  end)
end)
