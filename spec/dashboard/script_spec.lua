--- scripts/dashboard, once everything is installed and built: what it serves, and how it stops.
local dashboards = require "spec.dashboard.server"
local http = require "socket.http"
local interpreter = require "spec.interpreter"
local simulator = require "spec.simulator"
local socket = require "socket"

local quote, capture = dashboards.quote, dashboards.capture

local Script = {}
Script.__index = Script

--- Starts the script in a group of processes of its own, as an interactive shell does.
--- @param directory string a checkout
--- @param arguments string|nil
--- @param environment string|nil words for env
local function start(directory, arguments, environment)
  local command = ("set -m; cd %s; env -u RETAB_API_KEY BUILD=$PWD/build TMPDIR=$PWD/tmp %s scripts/dashboard %s "
    .. "2>errors & echo $!; wait $!; echo status $?"):format(quote(directory), environment or "", arguments or "")
  local pipe = io.popen("bash -c " .. quote(command) .. " 2>/dev/null") -- bash reports how jobs end
  return setmetatable({ directory = directory, pipe = pipe, group = pipe:read "*l" }, Script)
end

--- Returns what it says to a person.
function Script:errors()
  return capture("cat " .. quote(self.directory .. "/errors"))
end

--- Waits until it listens, and returns the page.
function Script:page()
  self.url = self.pipe:read "*l"
  assert(self.url:find "^http://127%.0%.0%.1:%d+/$", self.url .. "\n" .. self:errors())
  local body, status = http.request(self.url)
  assert.equal(200, status)
  return body
end

--- Sends a signal to the script, or to its whole group, as a terminal does for ^C. Waits for its end.
--- @return number status
function Script:stop(signal, is_for_all)
  os.execute(("kill -%s %s%s"):format(signal, is_for_all and "-" or "", self.group))
  return self:finish()
end

function Script:finish()
  local status = tonumber(self.pipe:read("*a"):match "status (%d+)")
  self.pipe:close()
  return status
end

--- Nothing of it is left: no process, no port, no file.
function Script:is_gone()
  assert.equal("gone", capture(("kill -0 -%s 2>/dev/null || echo gone"):format(self.group)))
  assert.equal("", capture("ls " .. quote(self.directory .. "/tmp")))
  if self.url then assert.is_nil((socket.connect("127.0.0.1", tonumber(self.url:match ":(%d+)/")))) end
end

describe("scripts/dashboard", function()
  local directory, remove, script

  -- A checkout whose scripts/setup, scripts/build and npm have nothing left to do.
  setup(function()
    directory, remove = interpreter.directory()
    local output = capture(([[
      cd %s && mkdir -p scripts tmp build/dashboard/node_modules/uplot/dist && ln -s %slua %sspec %sexamples . &&
      ln -s %s/lua build/lua && cp %sscripts/dashboard %sscripts/lua scripts &&
      touch build/dashboard/node_modules/uplot/dist/uPlot.iife.min.js build/dashboard/node_modules/.package-lock.json &&
      echo '#!/bin/sh' >scripts/setup && echo '#!/bin/sh' >scripts/build && chmod +x scripts/setup scripts/build
    ]]):gsub("%%s/lua", quote(dashboards.build) .. "/lua"):gsub("cd %%s", "cd " .. quote(directory))
      :gsub("%%s", quote(dashboards.root)) .. " 2>&1")
    assert.equal("", output)
  end)

  after_each(function()
    if script then os.execute(("kill -KILL -%s 2>/dev/null"):format(script.group)) end
    script = nil
  end)

  teardown(function() remove() end)

  it("serves the runs of the simulator on a free port, and a run that is under way", function()
    script = start(directory)
    local body = script:page()
    assert.equal(20, select(2, body:gsub('<tr data%-key="exprun_', "")))
    local newest = body:match '<tr data%-key="exprun_.-</tr>'
    assert.truthy(newest:find "pending" or newest:find "queued" or newest:find "running", newest)
    local other = start(directory)
    other:page()
    assert.not_equal(script.url, other.url)
    other:stop "TERM"
    script:stop "TERM"
  end)

  local endings = {
    { "^C", "INT", true, 130 }, { "SIGTERM", "TERM", false, 143 }, { "SIGHUP of its terminal", "HUP", true, 129 },
  }
  for _, ending in ipairs(endings) do
    it(("stops at %s, and leaves nothing"):format(ending[1]), function()
      script = start(directory)
      script:page()
      local began = socket.gettime()
      assert.equal(ending[4], script:stop(ending[2], ending[3]))
      assert.is_true(socket.gettime() - began < 25) -- nginx looks for old connections every 30 s
      script:is_gone()
      assert.truthy(script:errors():find "%^C stops it:$", script:errors())
    end)
  end

  it("uses the API of the environment if there is a key, and starts no simulator", function()
    local base_url, id = simulator.shared():scenario { runs = 3, key = "mine" }
    script = start(directory, "", "RETAB_API_KEY=mine RETAB_API_BASE_URL=" .. quote(base_url))
    local body = script:page()
    assert.equal(3, select(2, body:gsub('<tr data%-key="exprun_', "")))
    assert.equal(1, #simulator.shared():requests(id))
    assert.equal(143, script:stop "TERM")
    script:is_gone()
  end)

  it("says that a port is taken, and leaves nothing", function()
    local taken = assert(socket.bind("127.0.0.1", 0))
    script = start(directory, tostring(select(2, taken:getsockname())))
    assert.equal(1, script:finish())
    script:is_gone()
    assert.truthy(script:errors():find("Address already in use", 1, true), script:errors())
    taken:close()
  end)
end)
