-- What scripts/demo does once everything is installed and built.
local interpreter = require "spec.interpreter"
local simulator = require "spec.simulator"

local function output_of(command)
  local pipe = assert(io.popen("{ " .. command .. "\n}; echo exit $?"))
  local output, status = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
  pipe:close()
  return output, tonumber(status)
end

describe("scripts/demo", function()
  local directory, remove

  -- A checkout whose scripts/setup and scripts/build have nothing left to do.
  setup(function()
    directory, remove = interpreter.directory()
    output_of(([[
      root=$PWD && cd '%s' && mkdir scripts && ln -s "$root"/lua "$root"/spec "$root"/bin . &&
      cp "$root"/scripts/demo "$root"/scripts/lua scripts && echo '#!/bin/sh' >scripts/setup &&
      echo '#!/bin/sh' >scripts/build && chmod +x scripts/setup scripts/build
    ]]):format(directory))
    local file = assert(io.open(directory .. "/first.lua", "w"))
    file:write [[
      local runs = require("retab").new().workflows.experiments.runs
      local page = assert(runs.list { experiment_id = "exp_0", limit = 2 })
      print(#page.data, ...)
      os.exit(tonumber((...)))
    ]]
    file:close()
  end)

  teardown(function() remove() end)

  --- Runs it with the build under test.
  --- @param from string|nil the directory to run it in, instead of that of its checkout
  local function demo(arguments, environment, from)
    return output_of(([[
      build=${BUILD:-build} && case $build in /*) ;; *) build=$PWD/$build ;; esac && cd '%s' &&
      env -u RETAB_API_KEY BUILD="$build" %s 2>'%s/errors' '%s/scripts/demo' %s
    ]]):format(from or directory, environment or "", directory, directory, arguments))
  end

  it("lists the runs of an experiment from the simulated API", function()
    local output, status = demo ""
    assert.equal(0, status)
    assert.truthy(select(2, output:gsub("exprun_%x+", "")) > 20, output)
  end)

  it("passes its arguments to the command line", function()
    local output = demo "--max-items 1"
    assert.equal(1, select(2, output:gsub("exprun_%x+", "")), output)
  end)

  it("runs another command, and exits with its status", function()
    local output, status = demo "create exp_0 --json"
    assert.equal(0, status)
    assert.truthy(output:find '^{"id":"exprun_%x+"')
    assert.equal(1, select(2, demo "get exprun_404"))
  end)

  it("starts a shell that has the command line", function()
    local output, status = demo("shell <<'END'\ncd / && retab-runs -o ids -n 3\nexit 7\nEND", "SHELL=sh")
    assert.truthy(output:find "^exprun_%x+\nexprun_%x+\nexprun_%x+\n$")
    assert.equal(7, status)
  end)

  it("runs a program with the simulated API, and exits with the program's status", function()
    assert.same({ "2\t0\tb c\n", 0 }, { demo "first.lua 0 'b c'" })
    assert.same({ "2\t3\n", 3 }, { demo "first.lua 3" })
    assert.equal(2, select(2, demo "missing.lua"))
  end)

  it("runs in the caller's directory", function()
    local elsewhere, remove_elsewhere = interpreter.directory()
    demo("--from-date 2026-01-01 --resume runs.jsonl", nil, elsewhere)
    assert.equal("runs.jsonl\n", output_of(("ls '%s'"):format(elsewhere)))
    output_of(("cp '%s/first.lua' '%s/own.lua'"):format(directory, elsewhere))
    assert.equal("2\t0\n", demo("own.lua 0", nil, elsewhere))
    remove_elsewhere()
  end)

  it("uses the API of the environment if there is a key", function()
    local base_url, id = simulator.shared():scenario { runs = 30, key = "mine" }
    local environment = ("RETAB_API_KEY=mine RETAB_API_BASE_URL='%s'"):format(base_url)
    assert.same({ "2\t0\n", 0 }, { demo("first.lua 0", environment) })
    assert.equal(0, select(2, demo("", environment)))
    assert.equal(2, #simulator.shared():requests(id))
  end)
end)
