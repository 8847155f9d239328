--- What the next request of a walk is, when the walk is over, and that a loop is found in time.
local core = require "retab.core"

--- Walks over the cursors that `cursor_after(n)` gives with page n; the number of requests until it ends, and how.
local function walk(cursor_after, most, start)
  local cursor = core.cursor(start)
  for request = 1, most do
    local state = cursor:advance(cursor_after(request))
    if state ~= "next" then return request, state end
    if cursor:after() ~= cursor_after(request) then error "the next request is not the page's" end
  end
  return most, "next"
end

describe("A cursor", function()
  it("asks for the first page without `after`", function()
    assert.is_nil(core.cursor():after())
    assert.is_nil(core.cursor(nil):after())
  end)

  it("begins behind the run that it is given", function()
    assert.equal("run_5", core.cursor("run_5"):after())
  end)

  it("goes on to what came with the page", function()
    local cursor = core.cursor()
    for index = 1, 5 do
      assert.equal("next", cursor:advance("run_" .. index))
      assert.equal("run_" .. index, cursor:after())
    end
  end)

  it("stops when after is null, and when it is empty", function()
    assert.equal("over", core.cursor():advance(nil))
    assert.equal("over", core.cursor():advance())
    assert.equal("over", core.cursor():advance "")
    local cursor = core.cursor "run_1"
    assert.equal("next", cursor:advance "run_2")
    assert.equal("over", cursor:advance "")
  end)

  it("finds a server that gives the same cursor again", function()
    local requests, state = walk(function() return "same" end, 100)
    assert.equal("loop", state)
    assert.is_true(requests <= 9)
    requests, state = walk(function() return "same" end, 100, "same")
    assert.equal("loop", state)
    assert.equal(1, requests)
  end)

  it("finds a loop of any length, behind a lead-in of any length, within 3 x (lead-in + cycle) + 6 requests", function()
    local lengths = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 129, 1000 }
    for _, lead_in in ipairs(lengths) do
      for _, cycle in ipairs(lengths) do
        if cycle > 0 then
          local function cursor_after(request)
            return "run_" .. (request <= lead_in and request or lead_in + 1 + (request - lead_in - 1) % cycle)
          end
          local most = 3 * (lead_in + cycle) + 6
          local requests, state = walk(cursor_after, most)
          assert.equal("loop", state, ("lead-in %d, cycle %d"):format(lead_in, cycle))
          assert.is_true(requests > lead_in + cycle, "found before there was one")
          -- where the walk starts at a cursor of the cycle
          assert.equal("loop", (select(2, walk(cursor_after, most, "run_" .. lead_in + 1))))
        end
      end
    end
  end)

  it("takes no walk without a loop for one", function()
    local requests, state = walk(function(request) return request <= 20000 and "run_" .. request or nil end, 30000)
    assert.equal("over", state)
    assert.equal(20001, requests)
  end)

  it("compares every byte", function()
    local cursor = core.cursor "a"
    for _, after in ipairs { "a\0", "a\0b", "a\0c", "A", "aa", "b", "\0", "a ", "\255", "a\0b\0" } do
      assert.equal("next", cursor:advance(after))
      assert.equal(after, cursor:after())
    end
    for _, after in ipairs { "run_1", "run", "" } do
      assert.equal(after == "" and "over" or "next", (core.cursor("run_10"):advance(after)))
    end
    cursor = core.cursor "x\0y"
    assert.equal("loop", cursor:advance "x\0y")
  end)

  it("keeps a long one whole", function()
    local long = ("0123456789"):rep(10000)
    local cursor = core.cursor(long)
    assert.equal(long, cursor:after())
    assert.equal("next", cursor:advance(long .. "x"))
    assert.equal("next", cursor:advance "short")
    assert.equal("short", cursor:after())
  end)

  it("is where it was after a loop is found", function()
    local cursor = core.cursor "a"
    assert.equal("loop", cursor:advance "a")
    assert.equal("a", cursor:after())
    assert.equal("next", cursor:advance "b")
  end)

  it("raises for what is no string, and for what is no cursor", function()
    local cursor = core.cursor()
    assert.has_error(function() cursor:advance {} end)
    assert.has_error(function() cursor:advance(true) end)
    assert.has_error(function() core.cursor {} end)
    assert.has_error(function() cursor.advance({}, "a") end)
    assert.has_error(function() cursor.after(io.stdout) end)
    assert.has_error(function() cursor.after() end)
  end)
end)
