-- What the build makes.
local interpreter = require "spec.interpreter"

local function output(command)
  local pipe = assert(io.popen(command .. " && echo done"))
  local text = pipe:read("*a")
  pipe:close()
  local whole = text:match("^(.*)done\n$")
  assert(whole, "failed: " .. command)
  return whole
end

local has_binutils = output("(command -v readelf && command -v nm) >/dev/null && echo yes || echo no") == "yes\n"
--- Sanitizers link libraries of their own, and are not built with the flags of a release.
local is_sanitized = os.getenv "ASAN_OPTIONS" ~= nil

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

local function needed(path)
  local libraries = {}
  for library in output("readelf -d '" .. path .. "'"):gmatch("%(NEEDED%).-%[(.-)%]") do
    libraries[#libraries + 1] = library
  end
  return libraries
end

local function symbols(path, option)
  local found = {}
  for kind, symbol in output(("nm -D %s '%s'"):format(option, path)):gmatch("(%a) (%S+)\n") do
    if kind ~= "A" then found[#found + 1] = symbol:match "^[^@]+" end
  end
  return found
end

local function any(list, pattern)
  for _, text in ipairs(list) do
    if text:find(pattern) then return true end
  end
  return false
end

local function describe_module(name, opener)
  local function path()
    if not has_binutils then pending "readelf and nm are not installed" end
    return shared_object(name)
  end

  it("exports only the function that opens it", function()
    assert.same({ opener }, symbols(path(), "--defined-only"))
  end)

  it("exports nothing else if it is compiled without flags", function()
    path()
    local directory, remove = interpreter.directory()
    local half = name:match "%.(.*)$"
    local build = os.getenv "BUILD" or "build"
    local headers = output(("grep -o -- '-isystem [^ ]*' '%s/compile_commands.json' | sort -u | tr '\\n' ' ' || :")
      :format(build))
    output(("cc -w -fPIC -shared %s -o '%s/module.so' csrc/%s/*.c"):format(headers, directory, half))
    local exported = symbols(directory .. "/module.so", "--defined-only")
    remove()
    assert.same({ opener }, exported)
  end)

  it("is linked with full RELRO, and its stack is protected", function()
    local module = path()
    if is_sanitized then pending "a sanitized build is not hardened" end
    assert.truthy(output("readelf -d '" .. module .. "'"):find("BIND_NOW", 1, true))
    assert.truthy(output("readelf -lW '" .. module .. "'"):find("GNU_RELRO", 1, true))
    assert.is_true(any(symbols(module, "--undefined-only"), "^__stack_chk_fail$"))
  end)
end

describe("retab.core's shared object", function()
  describe_module("retab.core", "luaopen_retab_core")

  it("does not need libcurl", function()
    if not has_binutils then pending "readelf is not installed" end
    local libraries = needed(shared_object "retab.core")
    assert.is_true(any(libraries, "^libc%."))
    assert.is_false(any(libraries, "curl"))
  end)

  it("loads where libcurl is not loaded", function()
    local maps = io.open "/proc/self/maps"
    if not maps then pending "this system has no /proc/self/maps" end
    maps:close()
    local libraries = interpreter.run "require 'retab.core' print(io.open('/proc/self/maps'):read('*a'))"
    assert.truthy(libraries:find("core.so", 1, true))
    assert.falsy(libraries:find("libcurl", 1, true))
  end)
end)

describe("retab.curl's shared object", function()
  describe_module("retab.curl", "luaopen_retab_curl")

  it("needs libcurl", function()
    if not has_binutils then pending "readelf is not installed" end
    assert.is_true(any(needed(shared_object "retab.curl"), "^libcurl"))
  end)
end)

describe("the compiler's flags of a release", function()
  it("fortify calls of the C library", function()
    local file = assert(io.open((os.getenv "BUILD" or "build") .. "/compile_commands.json"))
    local commands = file:read "*a"
    file:close()
    if is_sanitized then pending "a sanitized build is not hardened" end
    assert.truthy(commands:find("-D_FORTIFY_SOURCE=[23]"))
    assert.truthy(commands:find("-fstack-protector-strong", 1, true))
  end)
end)

describe("scripts/build", function()
  local directory, remove

  before_each(function() directory, remove = interpreter.directory() end)
  after_each(function() remove() end)

  --- What it says where the build in `directory` cannot be configured.
  local function failure(options)
    return output(("BUILD='%s' scripts/build %s 2>&1 || :"):format(directory, options or ""))
  end

  it("names the packages of the headers if no Lua has any", function()
    assert.truthy(failure("-DRETAB_ABIS=5.0"):gsub("%s+", " "):find("libluajit-5.1-dev", 1, true))
  end)

  it("says what to install if a tool or a library is missing", function()
    assert.truthy(failure("-DCMAKE_DISABLE_FIND_PACKAGE_CURL=ON"):find("scripts/setup build", 1, true))
  end)

  it("says what to do about the build of a checkout that was moved", function()
    output(("echo 'CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere' >'%s/CMakeCache.txt'"):format(directory))
    assert.truthy(failure():find("rm -r " .. directory, 1, true))
  end)

  it("says what to do if the directory of the build cannot be written", function()
    output(("rmdir '%s' && : >'%s'"):format(directory, directory))
    assert.truthy(failure():find("set the variable BUILD", 1, true))
  end)
end)

describe("the version", function()
  it("is defined only in csrc/version.h, which CMake and the library read", function()
    local file = assert(io.open "csrc/version.h")
    local version = file:read("*a"):match 'RETAB_VERSION "(.-)"'
    file:close()
    local cache = assert(io.open((os.getenv "BUILD" or "build") .. "/CMakeCache.txt"))
    assert.equal(version, cache:read("*a"):match "CMAKE_PROJECT_VERSION:STATIC=(%S+)")
    cache:close()
    assert.equal(version, require("retab")._VERSION)
  end)
end)
