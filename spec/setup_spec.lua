-- What scripts/setup does and says, on a system whose programs are this spec's.
local interpreter = require "spec.interpreter"

local function read(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text
end

local for_root = "apt-get update && apt-get install --no-install-recommends build-essential cmake pkg-config"

describe("scripts/setup", function()
  local directory, remove

  local function program(name, text)
    local path = directory .. "/" .. name
    local file = assert(io.open(path, "w"))
    file:write("#!/bin/sh\n", text, "\n")
    file:close()
    os.execute("chmod +x '" .. path .. "'")
  end

  before_each(function()
    directory, remove = interpreter.directory()
    for _, name in ipairs { "sh", "env", "sed", "tr", "grep", "cat", "rm", "mktemp", "dirname" } do
      os.execute(('ln -s "$(command -v %s)" \'%s/%s\''):format(name, directory, name))
    end
    program("id", "echo 0")
    program("dpkg-query", "echo installed=liblua5.4-dev; echo installed=libcurl4-gnutls-dev; echo config-files=cmake")
    program("apt-cache", 'case $2 in luajit2) ;; *) echo "$2 | 1.0 | archive" ;; esac')
    program("apt-get", ('echo "$*" >>"%s/calls"'):format(directory))
    os.execute(("touch '%s/policy'"):format(directory))
  end)

  after_each(function() remove() end)

  --- Runs scripts/setup, and returns what it printed, its exit status, and the calls of apt-get.
  local function run(arguments)
    local policy = "\npolicy=" .. directory .. "/policy"
    program("setup", (read("scripts/setup"):gsub("\npolicy=[^\n]*", function() return policy end)))
    local pipe = io.popen(("PATH='%s' setup %s 2>&1 </dev/null; echo exit $?"):format(directory, arguments))
    local output, status = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
    pipe:close()
    return output, tonumber(status), read(directory .. "/calls")
  end

  local function lines(text)
    return select(2, text:gsub("\n", "\n"))
  end

  it("is silent if everything is installed", function()
    program("dpkg-query", [[for name; do case $name in -*|*=*) ;; *) echo "installed=$name" ;; esac; done]])
    assert.same({ "", 0, "" }, { run "" })
  end)

  it("installs what is missing, and lets apt-get remove nothing", function()
    local output, status, calls = run "build"
    assert.equal(0, status, output)
    local installs = 0
    for call in calls:gmatch "[^\n]*install[^\n]*" do
      assert.truthy(call:find("--no-remove", 1, true), call)
      assert.truthy(call:find("build-essential cmake pkg-config", 1, true), call)
      installs = installs + 1
    end
    assert.is_true(installs > 0)
    assert.truthy(output:find("installing 3 packages, and removing none: build-essential cmake pkg-config\n", 1, true))
  end)

  it("accepts another libcurl, and the LuaJIT that the archive has", function()
    local output, _, calls = run "build test"
    assert.falsy(calls:find("libcurl", 1, true))
    assert.truthy(calls:find(" luajit ", 1, true), output)
    assert.falsy(calls:find("luajit2", 1, true))
  end)

  it("shows a line for each stage instead of apt-get's output", function()
    program("apt-get", "echo 'Setting up something'")
    local output = run "build"
    assert.falsy(output:find("Setting up something", 1, true), output)
    assert.is_true(lines(output) <= 6, output)
  end)

  it("installs nothing and names the packages if some would be removed", function()
    program("apt-get", [[case "$*" in
      *-s\ install*) echo "Remv luajit [2.1] (luajit2)"; echo "Inst luajit2" ;;
      *install*) echo "E: Packages need to be removed but remove is disabled." ; exit 100 ;;
    esac]])
    local output, status = run "build"
    assert.equal(1, status)
    assert.truthy(output:find("nothing was installed, because that would remove luajit.", 1, true), output)
    assert.truthy(output:find("apt-get remove luajit", 1, true), output)
  end)

  it("says in one line that there is no network", function()
    program("apt-get", [[echo "E: Could not resolve 'deb.debian.org'"; case "$*" in *install*) exit 100 ;; esac]])
    local output, status = run "build"
    assert.equal(1, status)
    assert.truthy(output:find("cannot be reached", 1, true), output)
    assert.falsy(output:find("E: ", 1, true), output)
  end)

  it("shows apt-get's output if it fails otherwise", function()
    program("apt-get", [[case "$*" in *install*) echo "E: the disk is full"; exit 100 ;; esac]])
    local output, status = run "build"
    assert.equal(1, status)
    assert.truthy(output:find("E: the disk is full", 1, true), output)
  end)

  it("tells an ordinary user without sudo, in one line, what root has to do", function()
    program("id", "echo 1000")
    local output, status, calls = run "build"
    assert.equal(1, status)
    assert.equal(1, lines(output), output)
    assert.truthy(output:find(for_root, 1, true), output)
    assert.equal("", calls)
  end)

  it("does the same for a user whom sudo refuses", function()
    program("id", "echo 1000")
    program("sudo", "exit 1")
    local output, status, calls = run "build"
    assert.equal(1, status)
    assert.equal(1, lines(output), output)
    assert.truthy(output:find(for_root, 1, true), output)
    assert.equal("", calls)
  end)

  it("uses sudo for apt-get if it is not root", function()
    program("id", "echo 1000")
    program("sudo", ('echo "sudo $*" >>"%s/calls"; case $1 in -n) exit 0 ;; esac; exec "$@"'):format(directory))
    local output, status, calls = run "build"
    assert.equal(0, status, output)
    assert.truthy(calls:find("sudo env [^\n]*apt%-get [^\n]*install"), calls)
  end)

  it("says what is missing if there is no apt-get", function()
    os.remove(directory .. "/apt-get")
    local output, status = run "build"
    assert.equal(1, status)
    assert.equal(1, lines(output), output)
    assert.truthy(output:find("cc cmake make pkg-config curl-config", 1, true), output)
  end)
end)
