-- What a user sees if a C module does not load.
local interpreter = require "spec.interpreter"

local build, abi
for template in package.cpath:gmatch "[^;]+" do
  local path = template:gsub("%?", "retab/core")
  local file = io.open(path)
  if file then
    file:close()
    build, abi = path:match "^(.*)/lua/([%d.]+)/retab/core%.so$"
    break
  end
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "*a"
  file:close()
  return bytes
end

describe("retab.native", function()
  local directory, remove

  before_each(function() directory, remove = interpreter.directory() end)
  after_each(function() remove() end)

  --- Puts a shared object where this Lua looks for a module of the build in `directory`.
  local function place(name, bytes)
    os.execute(("mkdir -p '%s/lua/%s/retab'"):format(directory, abi))
    local file = assert(io.open(("%s/lua/%s/retab/%s.so"):format(directory, abi, name), "wb"))
    file:write(bytes)
    file:close()
  end

  --- Evaluates a Lua expression in a process whose build is in `directory`, and returns the error that it raises. The
  --- process does not look at the places of an installation, where there may be one.
  local function failure(expression)
    local output, status = interpreter.run(
      ("local ok, why = pcall(function() return %s end) io.write(ok and 'it loads' or why)"):format(expression),
      { BUILD = directory, LUA_CPATH = directory .. "/none/?.so" }, true)
    assert.equal(0, status, output)
    return output
  end

  local function lines(text)
    return select(2, text:gsub("\n", "\n")) + 1
  end

  --- The modules of the builds for other versions of Lua.
  local function other_builds(name)
    local found = {}
    for _, other in ipairs { "5.1", "5.2", "5.3", "5.4", "5.5" } do
      local bytes = other ~= abi and read(("%s/lua/%s/retab/%s.so"):format(build, other, name))
      if bytes then found[other] = bytes end
    end
    return found
  end

  it("returns the modules", function()
    local native = require "retab.native"
    assert.equal(require "retab.core", native.core())
    assert.equal(require "retab.curl", native.curl())
  end)

  for _, name in ipairs { "core", "curl" } do
    describe("." .. name, function()
      it("says how to build a missing module", function()
        local message = failure(("require('retab.native').%s()"):format(name))
        assert.truthy(message:find("not built", 1, true), message)
        assert.truthy(message:find("scripts/build", 1, true), message)
        assert.truthy(message:find("luarocks --lua-version " .. abi .. " make", 1, true), message)
        assert.truthy(message:find("package.cpath", 1, true), message)
        assert.is_true(lines(message) <= 3, message)
      end)

      it("says that the module is built for another version of Lua", function()
        local builds = other_builds(name)
        if not next(builds) then pending "there is a build for this Lua only" end
        for other, bytes in pairs(builds) do
          place(name, bytes)
          local message = failure(("require('retab.native').%s()"):format(name))
          assert.truthy(message:find("built for another Lua", 1, true), other .. ": " .. message)
          assert.truthy(message:find("luarocks --lua-version " .. abi .. " make", 1, true), message)
          assert.is_true(lines(message) <= 3, message)
        end
      end)

      it("gives the reason of the loader if the file is broken", function()
        place(name, "no shared object")
        local message = failure(("require('retab.native').%s()"):format(name))
        assert.truthy(message:find("retab/" .. name .. ".so", 1, true), message)
        assert.is_true(lines(message) <= 3, message)
      end)
    end)
  end

  it("names the package of libcurl if the system has no libcurl", function()
    local bytes = read(("%s/lua/%s/retab/curl.so"):format(build, abi))
    local changed, count = bytes:gsub("libcurl%.so%.%d", "libcurl.so.0")
    if count == 0 then pending "the module does not name libcurl.so" end
    place("curl", changed)
    local message = failure "require('retab.native').curl()"
    assert.truthy(message:find("needs libcurl", 1, true), message)
    assert.truthy(message:find("apt-get install libcurl4", 1, true), message)
    assert.is_true(lines(message) <= 3, message)
  end)

  for name, field in pairs { core = "version", curl = "library" } do
    it("refuses a " .. name .. " of another version than the Lua files", function()
      local script = ([[(function()
        package.preload["retab.%s"] = function() return %s end
        require("retab.native").%s()
      end)()]])
      local message = failure(script:format(name, ("{ %s = '0.0.1' }"):format(field), name))
      assert.truthy(message:find("retab." .. name .. " has version 0.0.1", 1, true), message)
      assert.is_true(lines(message) <= 3, message)
      message = failure(script:format(name, "{}", name))
      assert.truthy(message:find("earlier", 1, true), message)
    end)
  end

  it("accepts false as curl, for a program with its own transport", function()
    assert.equal("it loads", failure [[(function()
      package.preload["retab.curl"] = function() return false end
      assert(require("retab.native").curl() == false)
    end)()]])
  end)

  it("has the version of csrc/version.h", function()
    assert.equal(read("csrc/version.h"):match '"(.-)"', require("retab.core").version)
    assert.equal(require("retab.core").version, require("retab.curl").library)
    assert.equal(require("retab.core").version, require("retab")._VERSION)
  end)

  it("reports a missing module at require 'retab'", function()
    local message = failure "require 'retab'"
    assert.truthy(message:find("^retab is not built for"), message)
    assert.is_true(lines(message) <= 3, message)
  end)
end)
