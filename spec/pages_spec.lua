--- README.md and the pages of docs/: each block of code runs, or configures the program that it is for; the output that
--- they show is real, and their links lead somewhere.
local nginx = require "spec.driver.nginx"
local pages = require "spec.pages"
local program = require "spec.program"
local session = require "spec.session"
local simulator = require "spec.simulator"

local server = simulator.shared()
local read = pages.read

--- Blocks that other specs run: page and kind -> the spec.
local run_elsewhere = {
  ["docs/drivers.md: lua"] = "spec/docs_spec.lua", -- the blocks of this page build on each other
  ["docs/embedding.md: lua mpv"] = "spec/embed_spec.lua",
  ["docs/embedding.md: lua pandoc"] = "spec/embed_spec.lua",
  ["docs/neovim.md: lua lazy.nvim"] = "spec/nvim/page_spec.lua",
  ["docs/neovim.md: lua neovim"] = "spec/nvim/page_spec.lua",
  ["docs/neovim.md: lua packer.nvim"] = "spec/nvim/page_spec.lua",
  ["docs/neovim.md: sh install"] = "spec/nvim/page_spec.lua",
  ["docs/neovim.md: vim"] = "spec/nvim/page_spec.lua",
  ["docs/reference.md: lua fragment"] = "spec/reference_spec.lua",
}

--- Commands that cannot run here -> the reason. Each stands for those that begin so.
local not_run = {
  ["git clone"] = "it needs the network",
  ["scripts/dashboard"] = "it does not end; spec/dashboard/script_spec.lua runs it",
  ["scripts/demo"] = "it installs packages; spec/demo_spec.lua runs the rest of it",
  ["scripts/test"] = "it runs this spec",
  ["npm ci"] = "it needs the registry of npm",
  ["RETAB_API_KEY=... ./start"] = "it does not end; spec/dashboard_spec.lua runs it",
}

--- Returns the entry of `not_run` for a command.
local function why_not(command)
  for beginning in pairs(not_run) do
    if (command.text .. " "):sub(1, #beginning + 1) == beginning .. " " then return beginning end
  end
end

local function succeeds(command)
  local status = os.execute(command .. " >/dev/null 2>&1")
  return status == true or status == 0
end

--- A simulated API, as variables of the environment.
local function an_api(options)
  local base_url, id = server:scenario(options)
  return { RETAB_API_KEY = "key", RETAB_API_BASE_URL = base_url }, id
end

--- The names of the pages stand for those of the reader. The simulator knows others.
local function simulated(text)
  return (text:gsub("exp_abc", "exp_0"):gsub("wf_abc123", "wf_0"))
end

local run = {}

function run.lua(block)
  local environment, id = an_api { runs = 400 }
  local result = program.run_source(block.text, {}, environment)
  assert.equal("", result.stderr)
  assert.equal(0, result.status)
  local requests = server:requests(id)
  assert.is_true(#requests == 0 or requests[1].headers["api-key"] == "key")
  if block.output then assert.equal(block.output .. "\n", result.stdout) end
end

--- A program that its page places in DIR. It finds the library without package paths in the environment.
run["lua fragment"] = function(block)
  local abi, build = _VERSION:match "%d%.%d", os.getenv "BUILD" or "build"
  local pipe = io.popen "pwd"
  local root = pipe:read "*l"
  pipe:close()
  if not build:find "^/" then build = root .. "/" .. build end
  local text = block.text:gsub("DIR/build", build):gsub("DIR", root):gsub("/lua/5%.%d/", "/lua/" .. abi .. "/")
  local path, first = os.tmpname(), -1
  while arg[first - 1] do first = first - 1 end
  local file = assert(io.open(path, "w"))
  file:write(text, "\nprint(retab._VERSION)\n")
  file:close()
  pipe = io.popen(("cd / && env -u LUA_PATH -u LUA_CPATH -u LUA_INIT '%s' %s 2>&1"):format(arg[first], path))
  local output = pipe:read "*a"
  pipe:close()
  os.remove(path)
  assert.equal(require("retab")._VERSION .. "\n", output)
end

local server_of_page = [[
@MODULES@
daemon off;
master_process off;
user @USER@;
pid nginx.pid;
error_log error.log warn;
env "RETAB_API_BASE_URL=%s";
%s
events {
}
http {
  access_log off;
  client_body_temp_path temp/body;
  proxy_temp_path temp/proxy;
  fastcgi_temp_path temp/fastcgi;
  uwsgi_temp_path temp/uwsgi;
  scgi_temp_path temp/scgi;
%s
  init_worker_by_lua_block {
    package.path = package.path .. ";@ROOT@/?.lua"
    require("spec.driver.worker").hold(@OWNER@)
  }
  server {
    listen 127.0.0.1:@HTTP_PORT@;
    location = / {
      content_by_lua_block {
        local loaded = package.loaded
        loaded.of_page = loaded.of_page or dofile "%s"
        loaded.of_page.list_runs()
      }
    }
  }
}
]]

--- Starts an nginx that is configured as the page says.
--- @param configuration string the directives of the page
--- @param source string a module that has `list_runs`
local function start_nginx(configuration, source)
  local environment = an_api { runs = 400 }
  local main = {}
  configuration = configuration:gsub("/opt/retab%-lua/build", "@BUILD@"):gsub("/opt/retab%-lua", "@ROOT@")
  configuration = configuration:gsub("(env RETAB_API_KEY);[^\n]*", function(directive)
    main[1] = directive .. "=key;"
    return ""
  end)
  local module, template = os.tmpname(), os.tmpname()
  for path, text in pairs { [module] = source,
    [template] = server_of_page:format(environment.RETAB_API_BASE_URL, main[1], configuration, module) } do
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end
  local ok, started = pcall(nginx.start, template)
  os.remove(template)
  finally(function()
    if ok then started:stop() end
    os.remove(module)
  end)
  assert(ok, started)
  return started
end

local function block_of(page, kind)
  for _, block in ipairs(pages.blocks(page)) do
    if block.kind == kind then return block end
  end
end

--- The two blocks of the page work together: the configuration, and the module that it finds.
function run.nginx(block)
  local bundle = block.text:match "lua_ssl_trusted_certificate ([^;]+);"
  if bundle and not succeeds("test -f " .. bundle) then pending(bundle .. " is not installed") end
  local started = start_nginx(block.text, block_of(block.page, "lua openresty").text)
  local body, status = started:get "/"
  assert.equal(200, status)
  assert.equal(10, select(2, body:gsub("exprun_%x+ %l+\n", "")))
  assert.equal("", started:logged())
end
run["lua openresty"] = function(block) run.nginx(assert(block_of(block.page, "nginx"))) end

--- Returns the shell that a command is for.
local function shell_of(command)
  return command.text:match "^[^#]*retab%-runs completion (%l+)" or "bash"
end

--- Runs the commands of a block that are for one shell.
local function run_commands(block, shell)
  if not succeeds("command -v " .. shell) then pending(shell .. " is not installed") end
  if block.text:find "pkg%-config" and not succeeds "pkg-config lua5.4 libcurl" then
    pending "the headers of Lua 5.4 or libcurl are not installed"
  end
  -- The runs of the simulator do not change, except for those that were created.
  local follows = block.text:find "watch" ~= nil
  local environment = an_api(follows and { runs = 0, advance = "time", lasts = 0.5 } or { runs = 400, looks = 1 })
  local commands, texts = {}, {}
  if follows then commands[1], texts[1] = {}, "retab-runs create exp_0" end
  for _, command in ipairs(pages.commands(block)) do
    if not why_not(command) and shell_of(command) == shell then
      table.insert(commands, command)
      table.insert(texts, simulated(command.text))
    end
  end
  local outputs, status = session.run(texts, environment, { shell = shell, in_terminal = block.kind == "console" })
  assert.equal(0, status, outputs[#outputs])
  assert.equal(#commands, #outputs)
  for index, command in ipairs(commands) do
    if command.output then assert.equal(command.output, outputs[index]) end
  end
end

describe("The blocks of code", function()
  --- Page and kind, and the commands: those that were met.
  local met = {}

  for _, path in ipairs(pages.paths) do
    for _, block in ipairs(pages.blocks(path)) do
      local place = ("%s:%d"):format(path, block.line)
      met[path .. ": " .. block.kind] = true
      if block.kind == "sh" or block.kind == "console" then
        local shells = {}
        for _, command in ipairs(pages.commands(block)) do
          local shell, reason = shell_of(command), why_not(command)
          if reason then
            met[reason] = true
          elseif not shells[shell] then
            shells[shell] = true
            it(("at %s has commands for %s that run"):format(place, shell), function() run_commands(block, shell) end)
          end
        end
      elseif run[block.kind] and not run_elsewhere[path .. ": " .. block.kind] then
        it(("at %s (%s) runs"):format(place, block.kind), function() run[block.kind](block) end)
      elseif block.kind ~= "text" then
        it(("at %s (%s) is run by another spec"):format(place, block.kind), function()
          assert.not_equal("", block.kind, "indented code, or a fence without a language")
          local spec = assert(run_elsewhere[path .. ": " .. block.kind], "no spec runs it")
          assert.truthy(read(spec):find(path, 1, true), spec .. " does not name the page")
        end)
      end
    end
  end

  it("that are not run here, or run elsewhere, are on the pages", function()
    for name in pairs(run_elsewhere) do assert(met[name], name) end
    for command in pairs(not_run) do assert(met[command], command) end
  end)
end)

local linking = { "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md" }
for _, path in ipairs(pages.paths) do table.insert(linking, path) end
for _, path in ipairs(linking) do
  describe(path, function()
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

  it("are those of its picture", function()
    local result = program.run("bench/picture.lua", { "-" })
    assert.equal("", result.stderr)
    assert.is_true(result.stdout == read "docs/performance.svg", "run scripts/pictures bars")
  end)
end)

