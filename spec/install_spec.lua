-- What `cmake --install` puts where, from the build that these specs run on.
local interpreter = require "spec.interpreter"

local build = os.getenv "BUILD" or "build"
local abi = _VERSION:match "%d%.%d"

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo exit $?"))
  local output, status = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
  pipe:close()
  assert.equal("0", status, output)
  return output
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

describe("cmake --install", function()
  local prefix, remove

  setup(function()
    prefix, remove = interpreter.directory()
    run(("cmake --install '%s' --prefix '%s/usr'"):format(build, prefix))
  end)

  teardown(function() remove() end)

  it("installs a library that needs no file of the checkout", function()
    local first = -1
    while arg[first - 1] do first = first - 1 end
    local output = run(([[cd / && env -u LUA_INIT LUA_PATH='%s/usr/share/lua/%s/?.lua;%s/usr/share/lua/%s/?/init.lua' \
      LUA_CPATH='%s/usr/lib/lua/%s/?.so' '%s' -e '
        local client = require("retab").new { api_key = "key" }
        print(client.workflows.experiments.runs.request({ experiment_id = "exp_abc" }).url)
        print(require("retab.curl").version)']]):format(prefix, abi, prefix, abi, prefix, abi, arg[first]))
    assert.truthy(output:find("/v1/workflows/experiments/runs?experiment_id=exp_abc", 1, true), output)
    assert.truthy(output:find("libcurl/", 1, true), output)
  end)

  it("installs for every Lua of the build", function()
    for built in run(("cd '%s/lua' && echo *"):format(build)):gmatch "%S+" do
      assert.is_true(exists(("%s/usr/lib/lua/%s/retab/core.so"):format(prefix, built)), built)
      assert.is_true(exists(("%s/usr/lib/lua/%s/retab/curl.so"):format(prefix, built)), built)
      assert.is_true(exists(("%s/usr/share/lua/%s/retab/init.lua"):format(prefix, built)), built)
    end
  end)

  it("installs a command line that finds the library, whatever the directory and the environment", function()
    local output = run(("cd / && env -u LUA_PATH -u LUA_CPATH '%s/usr/bin/retab-runs' --version"):format(prefix))
    assert.equal("retab-runs " .. require("retab")._VERSION, output:match "^(.-) %(")
  end)

  it("honours DESTDIR, which does not appear in the installed files", function()
    run(("DESTDIR='%s/stage' cmake --install '%s' --prefix /opt/retab"):format(prefix, build))
    assert.is_true(exists(prefix .. "/stage/opt/retab/share/lua/" .. abi .. "/retab/init.lua"))
    local tool = assert(io.open(prefix .. "/stage/opt/retab/bin/retab-runs"))
    local text = tool:read "*a"
    tool:close()
    assert.truthy(text:find("/opt/retab/share/lua/", 1, true))
    assert.falsy(text:find(prefix, 1, true))
  end)
end)

describe("A checkout that is built but not installed", function()
  it("has a command line that finds the library, whatever the directory and the environment", function()
    if run("pwd -P"):match "[^\n]*" .. "/build" ~= build and build ~= "build" then
      pending "it finds no other directory than build/"
    end
    local first = -1
    while arg[first - 1] do first = first - 1 end
    local output = run(("root=$PWD && cd / && env -u LUA_PATH -u LUA_CPATH '%s' \"$root/bin/retab-runs\" --version")
      :format(arg[first]))
    assert.equal("retab-runs " .. require("retab")._VERSION, output:match "^(.-) %(")
  end)
end)

describe("The Debian package", function()
  it("has the modules, the library and the command line, and depends on libcurl", function()
    for _, tool in ipairs { "dpkg-deb", "dpkg-shlibdeps", "file" } do
      local status = os.execute(("command -v %s >/dev/null"):format(tool))
      if status ~= true and status ~= 0 then pending(tool .. " is not installed") end
    end
    local directory, remove = interpreter.directory()
    run(("cd '%s' && cpack -G DEB -B '%s'"):format(build, directory))
    local contents = run(("dpkg-deb -c '%s'/*.deb"):format(directory))
    for _, path in ipairs { "lib/lua/%s/retab/core.so", "lib/lua/%s/retab/curl.so", "share/lua/%s/retab/init.lua" } do
      assert.truthy(contents:find("./usr/" .. path:format(abi), 1, true), contents)
    end
    assert.truthy(contents:find("./usr/bin/retab-runs", 1, true), contents)
    local control = run(("dpkg-deb -f '%s'/*.deb"):format(directory))
    assert.matches("\nDepends: [^\n]*libcurl", control)
    assert.matches("\nVersion: " .. require("retab")._VERSION:gsub("%.", "%%."), control)
    remove()
  end)
end)
