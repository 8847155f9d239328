-- What the build makes, and what the rock would install.

local function output(command)
  local pipe = assert(io.popen(command .. " && echo done"))
  local text = pipe:read("*a")
  pipe:close()
  local whole = text:match("^(.*)done\n$")
  assert(whole, "failed: " .. command)
  return whole
end

-- Where this interpreter finds a C module.
local function shared_object(module)
  for template in package.cpath:gmatch("[^;]+") do
    local path = template:gsub("%?", (module:gsub("%.", "/")))
    local file = io.open(path)
    if file then
      file:close()
      return path
    end
  end
  error(module .. " is not on package.cpath")
end

local function needed(module)
  local libraries = {}
  for library in output("readelf -d '" .. shared_object(module) .. "'"):gmatch("%(NEEDED%).-%[(.-)%]") do
    libraries[#libraries + 1] = library
  end
  return libraries
end

local function exported(module)
  local symbols = {}
  for kind, symbol in output("nm -D --defined-only '" .. shared_object(module) .. "'"):gmatch("%x+ (%a) (%S+)\n") do
    if kind ~= "A" then symbols[#symbols + 1] = symbol end
  end
  return symbols
end

local function any(list, pattern)
  for _, text in ipairs(list) do
    if text:find(pattern) then return true end
  end
  return false
end

describe("retab.core's shared object", function()
  it("does not need libcurl", function()
    local libraries = needed "retab.core"
    assert.is_true(any(libraries, "^libc%."))
    assert.is_false(any(libraries, "curl"))
  end)

  it("exports the function that opens it and nothing else", function()
    assert.same({ "luaopen_retab_core" }, exported "retab.core")
  end)

  it("loads where libcurl is not loaded", function()
    local first = -1
    while arg[first - 1] do first = first - 1 end
    local libraries = output(("'%s' -e 'require [[retab.core]] print(io.open([[/proc/self/maps]]):read([[*a]]))'")
      :format(arg[first]))
    assert.truthy(libraries:find("core.so", 1, true))
    assert.falsy(libraries:find("libcurl", 1, true))
  end)
end)

describe("retab.curl's shared object", function()
  it("needs libcurl", function()
    assert.is_true(any(needed "retab.curl", "^libcurl"))
  end)

  it("exports the function that opens it and nothing else", function()
    assert.same({ "luaopen_retab_curl" }, exported "retab.curl")
  end)
end)

describe("the rockspec", function()
  local rock = {}
  local chunk = assert(loadfile("rockspec/retab-scm-1.rockspec"))
  if setfenv then setfenv(chunk, rock) else debug.setupvalue(chunk, 1, rock) end
  chunk()

  local function lines(command)
    local list = {}
    for line in output(command):gmatch("[^\n]+") do list[#list + 1] = line end
    table.sort(list)
    return list
  end

  it("lists every Lua file, each under the name that it is required by", function()
    local expected, listed = {}, {}
    for _, path in ipairs(lines "find lua/retab -name '*.lua'") do
      expected[path:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")] = path
    end
    for module, source in pairs(rock.build.modules) do
      if type(source) == "string" then listed[module] = source end
    end
    assert.same(expected, listed)
  end)

  it("builds every C file", function()
    local listed = {}
    for _, module in pairs(rock.build.modules) do
      for _, source in ipairs(type(module) == "table" and module.sources or {}) do listed[#listed + 1] = source end
    end
    table.sort(listed)
    assert.same(lines "find csrc -name '*.c'", listed)
  end)

  it("installs every command", function()
    assert.same(lines "find bin -type f", rock.build.install.bin)
  end)
end)
