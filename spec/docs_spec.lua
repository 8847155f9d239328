local interpreter = require "spec.interpreter"
local simulator = require "spec.simulator"

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/docs_spec%.lua$")

--- Returns all Lua code of a page, and the number of its blocks.
local function code_of(page)
  local file = assert(io.open(root .. page))
  local text = file:read "*a"
  file:close()
  local blocks = {}
  for block in text:gmatch "\n```lua\n(.-)\n```" do blocks[#blocks + 1] = block end
  return table.concat(blocks, "\n"), #blocks
end

describe("docs/drivers.md", function()
  --- Returns the sorted lines that a program prints.
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

  it("has an example that runs as it says", function()
    local code, count = code_of "docs/drivers.md"
    assert.equal(3, count)
    assert.same(expected, lines_of(code))
  end)

  local has_copas, copas = pcall(require, "copas")
  if has_copas and copas.pause then
    it("has an example that runs under copas", function()
      local code = code_of "docs/drivers.md"
      local names = { add = "copas.addthread", sleep = "copas.pause", run = "copas.loop" }
      code = code:gsub("local loop, sleeping.-\nend\n\n?local curl", "local copas = require 'copas'\nlocal curl")
      code = code:gsub("loop%.(%l+)", names)
      assert.same(expected, lines_of(code))
    end)
  else
    pending "has an example that runs under copas: version 4 of copas is not installed"
  end
end)
