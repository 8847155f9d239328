--- examples/embed: the program is built as its first comment says, and runs scripts against the simulator.
local interpreter = require "spec.interpreter"
local program = require "spec.program"
local simulator = require "spec.simulator"
local socket = require "socket"

local server = simulator.shared()

local function succeeds(command)
  local status = os.execute(command .. " >/dev/null 2>&1")
  return status == true or status == 0
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local guide = read "docs/embedding.md"

--- Returns the command of the first comment of sandbox.c, with another output.
local function build_command(output)
  local text = read "examples/embed/sandbox.c"
  local commands = text:match("\n( %*     cc .-\n) %*\n"):gsub("^ %*     ", ""):gsub("\n %*     ", "\n")
  assert.is_truthy(guide:find(commands, 1, true), "docs/embedding.md has other commands")
  local command = commands:match("^(cc .-)\nRETAB"):gsub("\\\n +", "")
  return (command:gsub("^cc %-o sandbox", function() return "cc -O0 -Wall -Wextra -Werror -o " .. output end))
end

describe("examples/embed", function()
  local directory, remove, sandbox

  setup(function()
    if not succeeds "pkg-config lua5.4 libcurl" then return end
    directory, remove = interpreter.directory()
    sandbox = directory .. "/sandbox"
    local command = build_command(sandbox)
    local pipe = io.popen(command .. " 2>&1")
    local output = pipe:read "*a"
    pipe:close()
    assert.equal("", output, command)
  end)

  teardown(function()
    if remove then remove() end
  end)

  --- Runs a script in the sandbox; a source is Lua, anything else a path.
  --- @return table result { stdout, stderr, status, lines }
  local function run(script, options, ...)
    if not sandbox then pending "the headers of Lua 5.4 or libcurl are not installed" end
    local path = script:find "%.lua$" and script
    if not path then
      path = directory .. "/script.lua"
      local file = assert(io.open(path, "w"))
      file:write(script)
      file:close()
    end
    local words = { "RETAB_API_KEY=key", ("RETAB_API_BASE_URL='%s'"):format((server:scenario(options))), sandbox, "lua",
      path, ... }
    local result = {}
    local command = ("%s >%s/stdout 2>%s/stderr; echo $?"):format(table.concat(words, " "), directory, directory)
    local pipe = io.popen(command)
    result.status = pipe:read "*n"
    pipe:close()
    for _, name in ipairs { "stdout", "stderr" } do result[name] = read(directory .. "/" .. name) end
    result.lines = program.lines(result.stdout)
    return result
  end

  it("lists every run of an experiment", function()
    local options = { runs = 2000, id = "embed" }
    local result = run("examples/embed/runs.lua", options, "exp_0")
    assert.same({ 0, "" }, { result.status, result.stderr })
    local requests = server:requests "embed"
    assert.equal(math.ceil(#result.lines / 100), #requests)
    assert.is_true(#requests > 2)
    assert.equal("key", requests[1].headers["api-key"])
    for _, line in ipairs(result.lines) do assert.truthy(line:find "^exprun_%x+\t%l+\t") end
  end)

  it("shows the error object if the API fails", function()
    local result = run("examples/embed/runs.lua", { fault = "status", code = 403 }, "exp_0")
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("retab: permission error", 1, true), result.stderr)
  end)

  it("gives scripts no io, os or debug, and no access to files", function()
    local result = run([[
      for _, name in ipairs { "io", "os", "debug", "package", "dofile", "loadfile" } do
        print(name, _G[name], (pcall(require, name)))
      end
      print(load "\27Lua", (pcall(require, "posix")), #require("retab")._VERSION > 0)
    ]], {})
    assert.equal("", result.stderr)
    for index, name in ipairs { "io", "os", "debug", "package", "dofile", "loadfile" } do
      assert.equal(name .. "\tnil\tfalse", result.lines[index])
    end
    assert.truthy(result.lines[7]:find "^nil.*\tfalse\ttrue$", result.lines[7])
  end)

  it("passes all arguments to the script, and survives an error that cannot be shown", function()
    local words = {}
    for index = 1, 60 do words[index] = "word" .. index end
    local result = run([[print(select("#", ...), (select(-1, ...)))]], {}, (table.unpack or unpack)(words))
    assert.equal("62\tword60\n", result.stdout)
    result = run([[error(setmetatable({}, { __tostring = function() error "no" end }))]], {})
    assert.equal(1, result.status)
  end)

  it("explains what `create` needs, and waits for a run without it", function()
    local result = run([[
      local api_key, base_url = ...
      local runs = require("retab").new({ api_key = api_key, base_url = base_url }).workflows.experiments.runs
      print(select(2, pcall(runs.create, { experiment_id = "exp_0" })))
      local run = runs.list({ status = "completed", limit = 1 }).data[1]
      print(runs.wait(run).id == run.id)
    ]], {})
    assert.equal("", result.stderr)
    assert.truthy(result.lines[1]:find("lua-cjson", 1, true), result.stdout) -- the program does not carry it
    assert.equal("true", result.lines[2])
  end)

  it("raises an error if a script takes too much memory, and can be used afterwards", function()
    local result = run([[
      local api_key, base_url = ...
      local kept = {}
      local ok, message = pcall(function() while true do kept[#kept + 1] = ("x"):rep(2 ^ 20) .. #kept end end)
      local megabytes = #kept
      kept = nil
      local client = require("retab").new { api_key = api_key, base_url = base_url }
      print(ok, message, megabytes > 32 and megabytes < 64, #client.workflows.experiments.runs.list().data)
    ]], {})
    assert.same({ 0, "" }, { result.status, result.stderr })
    assert.equal("false\tnot enough memory\ttrue\t20\n", result.stdout)
    result = run([[local all = {} while true do all[#all + 1] = { #all } end]], {})
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("not enough memory", 1, true))
  end)
end)

describe("examples/embed/haproxy", function()
  local directory, remove, pid

  after_each(function()
    if pid then os.execute("kill " .. pid .. " 2>/dev/null") end
    if remove then remove() end
  end)

  --- Starts HAProxy on a socket in a directory of its own; `timeout` ends it if this process is killed.
  local function start(options)
    if not succeeds "haproxy -vv | grep -q 'Lua 5.3'" then pending "HAProxy with Lua 5.3 is not installed" end
    directory, remove = interpreter.directory()
    local configuration = read("examples/embed/haproxy.cfg"):gsub("127.0.0.1:8080\n", "unix@" .. directory .. "/http\n")
    configuration = configuration:gsub("%.%./%.%./build", function() return os.getenv "BUILD" or "build" end)
    configuration = configuration:gsub("%.%./%.%./", ""):gsub("lua%-load ", "%0examples/embed/")
    local file = assert(io.open(directory .. "/haproxy.cfg", "w"))
    file:write(configuration)
    file:close()
    local pipe = io.popen(("RETAB_API_KEY=key RETAB_API_BASE_URL='%s' timeout 60 haproxy -db -f %s/haproxy.cfg "
      .. ">%s/log 2>&1 & echo $!"):format((server:scenario(options)), directory, directory))
    pid = pipe:read "*n"
    pipe:close()
  end

  --- Connects as soon as HAProxy listens, and sends a request.
  local function connect()
    local ends = socket.gettime() + 20
    while true do
      local connection = require "socket.unix"()
      if connection:connect(directory .. "/http") then
        connection:send "GET / HTTP/1.0\r\n\r\n"
        return connection
      end
      connection:close()
      if socket.gettime() > ends then error("HAProxy does not listen: " .. read(directory .. "/log")) end
      socket.sleep(0.02)
    end
  end

  it("lists runs, for several clients at a time", function()
    start { runs = 400, id = "haproxy", latency = 1 }
    local connections = {}
    for index = 1, 4 do connections[index] = connect() end
    for _, connection in ipairs(connections) do
      local response = connection:receive "*a"
      assert.truthy(response:find "^HTTP/1.%d 200 ", response)
      assert.equal(20, select(2, response:gsub("exprun_%x+ %l+\n", "")))
    end
    -- The requests were under way together: the last one arrived before the first one had its response.
    local requests = server:requests "haproxy"
    assert.equal(4, #requests)
    assert.is_true(requests[4].time - requests[1].time < 1)
  end)

  it("reports a failure", function()
    start { fault = "status", code = 403 }
    local response = connect():receive "*a"
    assert.truthy(response:find "^HTTP/1.%d 502 ", response)
    assert.truthy(response:find("Simulated failure", 1, true), response)
  end)
end)

describe("docs/embedding.md", function()
  --- Runs a block of the page in the program that it is for, and returns what this prints. `last` is a line that
  --- is added to the block.
  local function run(kind, version, command, input, last)
    local linked = ("ldd $(command -v %s) | grep -q liblua%s"):format(kind, version)
    if not succeeds(linked) then pending(("%s with Lua %s is not installed"):format(kind, version)) end
    local directory, remove = interpreter.directory()
    local text = assert(guide:match("\n```lua " .. kind .. "\n(.-)\n```"))
    text = text:gsub("DIR/build", function() return os.getenv "BUILD" or "build" end):gsub("DIR/", "")
    local file = assert(io.open(directory .. "/runs.lua", "w"))
    file:write((text:gsub("exp_abc", "exp_0")), "\n", last or "", "\n")
    file:close()
    local pipe = io.popen(("printf '%s' | RETAB_API_KEY=key RETAB_API_BASE_URL='%s' timeout 60 %s%s/runs.lua 2>&1")
      :format(input, (server:scenario { runs = 400 }), command, directory))
    local output = pipe:read "*a"
    pipe:close()
    remove()
    return output
  end

  it("has a filter for pandoc that lists runs", function()
    local output = run("pandoc", "5.3", "pandoc --to=plain --lua-filter=", "Runs:\n\n```runs\nexp_0\n```\n")
    assert.equal(5, select(2, output:gsub("%-   exprun_%x+ %l+\n", "")), output)
  end)

  it("has a script for mpv that lists runs", function()
    local output = run("mpv", "5.2", "mpv --no-config --vo=null --ao=null --idle --script=", "", 'mp.command "quit"')
    assert.equal(20, select(2, output:gsub("%[runs%] exprun_%x+ %l+", "")), output)
  end)
end)
