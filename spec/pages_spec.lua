--- README.md and the pages of docs/: their Lua blocks run, the output that they show is real, and their links lead
--- somewhere. (docs/drivers.md, whose blocks build on each other, has a spec of its own: docs_spec.lua.)
local program = require "spec.program"
local simulator = require "spec.simulator"

local server = simulator.shared()

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local pages = { "README.md", "CONTRIBUTING.md", "CHANGELOG.md" }
local listing = io.popen "ls docs/*.md"
for path in listing:lines() do pages[#pages + 1] = path end
listing:close()

--- The fenced blocks of a page, in order: { line, kind (what follows the fence), text, output (of the next block, where
--- that is of kind `text`) }.
local function blocks_of(path)
  local blocks = {}
  for start, kind, text in ("\n" .. read(path)):gmatch("()\n```([^\n]+)\n(.-\n)```") do
    local _, line = ("\n" .. read(path)):sub(1, start):gsub("\n", "")
    if kind == "text" and blocks[1] and blocks[#blocks].kind == "lua" then blocks[#blocks].output = text end
    blocks[#blocks + 1] = { line = line, kind = kind, text = text }
  end
  return blocks
end

--- Runs a block as a program, against a simulated API.
local function run(text)
  local base_url, id = server:scenario { runs = 400 }
  local result = program.run_source(text, {}, { RETAB_API_KEY = "key", RETAB_API_BASE_URL = base_url })
  return result, server:requests(id)
end

for _, path in ipairs(pages) do
  describe(path, function()
    for _, block in ipairs(path ~= "docs/drivers.md" and blocks_of(path) or {}) do
      if block.kind == "lua" then
        it(("has a program at line %d that runs"):format(block.line), function()
          local result, requests = run(block.text)
          assert.equal("", result.stderr)
          assert.equal(0, result.status)
          assert.is_true(#requests == 0 or requests[1].headers["api-key"] == "key")
          if block.output then assert.equal(block.output, result.stdout) end
        end)
      elseif block.kind:find "^lua" then
        it(("has a block at line %d for another host that is Lua"):format(block.line), function()
          assert((loadstring or load)(block.text)) -- luacheck: ignore 113
        end)
      end
    end

    it("links to files that are there", function()
      local directory = path:match "^(.*/)[^/]*$" or ""
      for target in read(path):gmatch("%]%(([^)#]+)[^)]*%)") do
        if not target:find "^https?:" then
          local file = io.open(directory .. target)
          assert(file, path .. ": " .. target)
          file:close()
        end
      end
    end)
  end)
end

--- The names in the first column of the tables of a section.
local function names_in(path, section)
  local text = assert((read(path) .. "\n## "):match("\n## " .. section:gsub("%p", "%%%0") .. "\n(.-)\n## "), section)
  local names = {}
  for row in text:gmatch("\n| (`[^|]*) |") do
    for name in row:gmatch("`([%l_]+)`") do names[name] = true end
  end
  return names
end

--- The fields that a class of types.lua has.
local function fields_of(...)
  local names = {}
  for _, class in ipairs { ... } do
    local text = assert(read("lua/retab/types.lua"):match("@class retab%." .. class .. "[^\n]*\n(.-)\n\n"), class)
    for name in text:gmatch("%-%-%-@field ([%l_]+)") do names[name] = true end
  end
  return names
end

describe("The tables of docs", function()
  it("have every option and parameter, and no other", function()
    assert.same(fields_of "Options", names_in("docs/scripts.md", "retab.new(options)"))
    assert.same(fields_of("RunParams", "CallOptions", "WalkOptions"), names_in("docs/scripts.md", "Parameters of runs"))
  end)

  it("have every kind of error, and no other", function()
    local kinds = {}
    local alias = read("lua/retab/types.lua"):match("@alias retab%.ErrorKind\n(.-)\n\n")
    for kind in alias:gmatch('%-%-%-| *"([%l_]+)"') do kinds[kind] = true end
    local documented = {}
    for row in read("docs/errors.md"):gmatch("\n| (`[^|]*) |") do
      for name in row:gmatch("`([%l_]+)`") do documented[name] = true end
    end
    assert.same(kinds, documented)
  end)
end)

describe("The figures of docs/performance.md", function()
  it("are those of bench/results.md", function()
    local found = {}
    for line in io.lines "bench/results.md" do
      local work, peer, ratio = line:match "^| ([^|]+) | [^|]+ | ([^|]+) | [^|]+ | (%d+%.%d+) |"
      if work then found[work:gsub(" %(%d+ requests%)", "") .. " | " .. peer] = tonumber(ratio) end
    end
    local rows = 0
    for row, ratio in read("docs/performance.md"):gmatch "\n| ([^|]+ | [^|]+) | (%d+%.%d+) |" do
      rows = rows + 1
      assert(found[row], row .. " is no row of bench/results.md")
      assert.is_true(math.abs(found[row] - tonumber(ratio)) <= 0.006, row)
    end
    assert.is_true(rows > 0)
  end)
end)

