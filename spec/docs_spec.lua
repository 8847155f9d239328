local interpreter = require "spec.interpreter"
local simulator = require "spec.simulator"

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/docs_spec%.lua$")

--- The Lua of a page, all of it.
local function code_of(page)
  local file = assert(io.open(root .. page))
  local text = file:read "*a"
  file:close()
  local blocks = {}
  for block in text:gmatch "\n```lua\n(.-)\n```" do blocks[#blocks + 1] = block end
  return table.concat(blocks, "\n"), #blocks
end

describe("docs/drivers.md", function()
  --- What its program prints, in any order.
  local function lines_of(code)
    local server = simulator.shared()
    local output, status = interpreter.run(code, {
      RETAB_API_KEY = "k", RETAB_API_BASE_URL = (server:scenario { runs = 100, latency = 0.1 }),
    })
    assert.equal(0, status, output)
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.sort(lines)
    return lines
  end

  local expected = { "1 runs", "2 runs", "3 runs", "the loop went on" }

  it("has a driver that works", function()
    local code, count = code_of "docs/drivers.md"
    assert.equal(3, count)
    assert.same(expected, lines_of(code))
  end)

  local has_copas, copas = pcall(require, "copas")
  if has_copas and copas.pause then
    it("is right about copas", function()
      local code = code_of "docs/drivers.md"
      local names = { add = "copas.addthread", sleep = "copas.pause", run = "copas.loop" }
      code = code:gsub("local loop, sleeping.-\nend\n\n?local curl", "local copas = require 'copas'\nlocal curl")
      code = code:gsub("loop%.(%l+)", names)
      assert.same(expected, lines_of(code))
    end)
  else
    pending "is not tried with copas: version 4 of it is not there"
  end
end)
