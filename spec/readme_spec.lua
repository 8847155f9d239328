--- README.md says what is so: its blocks run, its output is real, its tables are complete.
local program = require "spec.program"
local simulator = require "spec.simulator"

local server = simulator.shared()

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local readme = read "README.md"

--- The fenced blocks of a language, each with the line that it begins at.
local function blocks_of(language)
  local blocks = {}
  for start, block in readme:gmatch("()\n```" .. language .. "\n(.-\n)```\n") do
    local _, line = readme:sub(1, start):gsub("\n", "")
    blocks[#blocks + 1] = { line = line + 1, text = block }
  end
  return blocks
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

--- The names in the first column of a section's tables.
local function names_in(section)
  local text = assert((readme .. "\n## "):match("\n## " .. section:gsub("%p", "%%%0") .. "\n(.-)\n## "), section)
  local names = {}
  for row in text:gmatch("\n| (`[^|]*) |") do
    for name in row:gmatch("`([%l_]+)`") do names[#names + 1] = name end
  end
  return set_of(names)
end

--- The names that a declaration in the sources begins its lines with.
local function declared(path, variable)
  local names = {}
  for name in read(path):match("local " .. variable .. " = [^\n]*({\n.-\n)}"):gmatch('\n  { "([%l_]+)",') do
    names[#names + 1] = name
  end
  return names
end

local function join(...)
  local joined = {}
  for _, list in ipairs { ... } do
    for _, name in ipairs(list) do joined[#joined + 1] = name end
  end
  return set_of(joined)
end

describe("README.md", function()
  local blocks = blocks_of "lua"

  it("has examples", function() assert.is_true(#blocks >= 5) end)

  for _, block in ipairs(blocks) do
    it(("has a block at line %d that runs"):format(block.line), function()
      local base_url, id = server:scenario { runs = 400 }
      local result = program.run_source(block.text, {}, { RETAB_API_KEY = "key", RETAB_API_BASE_URL = base_url })
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
      assert.truthy(result.stdout:find("exprun_", 1, true))
      for _, request in ipairs(server:requests(id)) do assert.equal("key", request.headers["api-key"]) end
    end)
  end

  it("shows what the command line prints", function()
    local block = blocks_of("console")[1].text
    local command, output = block:match("^%$ retab%-runs ([^\n]*)\n(.*)$")
    local arguments = {}
    for argument in command:gmatch("%S+") do arguments[#arguments + 1] = argument end
    local result = program.run("bin/retab-runs", arguments,
      { RETAB_API_KEY = "key", RETAB_API_BASE_URL = server:scenario(), COLUMNS = 80 })
    assert.equal(output, result.stdout .. result.stderr)
  end)

  it("tells of every option and parameter, and of no other", function()
    assert.same(set_of(declared("lua/retab/init.lua", "client_options")), names_in "retab.new(options)")
    local filters = {}
    for index, entry in ipairs(require("retab.runs").params) do filters[index] = entry[1] end
    local walk = declared("lua/retab/list.lua", "walk_options")
    assert.same(join(filters, declared("lua/retab/list.lua", "paging_params"),
      declared("lua/retab/list.lua", "call_options"), walk), names_in "Parameters")
  end)

  it("tells of every kind of error, and of no other", function()
    local kinds = {}
    local alias = read("lua/retab/types.lua"):match("@alias retab%.ErrorKind\n(.-)\n\n")
    for kind in alias:gmatch('%-%-%-| "([%l_]+)"') do kinds[#kinds + 1] = kind end
    assert.same(set_of(kinds), names_in "Errors")
  end)

  it("links to files that are there", function()
    for target in readme:gmatch("%]%(([^)]+)%)") do
      if not target:find("^https:") then
        local file = io.open(target)
        assert(file, target)
        file:close()
      end
    end
  end)

  it("is as fast as the benchmarks found it", function()
    local found = {}
    for line in io.lines "bench/results.md" do
      local work, peer, ratio = line:match "^| ([^|]+) | [^|]+ | ([^|]+) | [^|]+ | (%d+%.%d+) |"
      if work then found[work:gsub(" %(%d+ requests%)", "") .. " | " .. peer] = tonumber(ratio) end
    end
    local section, rows = readme:match "\n## How fast\n(.-)\n## ", 0
    for row, ratio in section:gmatch "\n| ([^|]+ | [^|]+) | (%d+%.%d+) |" do
      rows = rows + 1
      assert(found[row], row .. " is no row of bench/results.md")
      assert.is_true(math.abs(found[row] - tonumber(ratio)) <= 0.05, row)
    end
    assert.is_true(rows >= 8)
    local missed = select(2, read("bench/results.md"):gsub("| NO |", ""))
    assert.equal(missed, tonumber(section:match "(%d+) of its targets are missed"))
  end)
end)
