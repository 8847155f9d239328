--- Runs the examples for nginx and Neovim in their hosts.
local neovim = require "spec.driver.neovim"
local nginx = require "spec.driver.nginx"
local simulator = require "spec.simulator"
local socket = require "socket"

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/host_examples_spec%.lua$")
local upstream = simulator.shared()

local function read(path)
  local file = assert(io.open(root .. path))
  local text = file:read "*a"
  file:close()
  return text
end

--- Replaces a text that occurs exactly once.
local function replace(text, old, new)
  local from, to = text:find(old, 1, true)
  assert(from and not text:find(old, to, true), old)
  return text:sub(1, from - 1) .. new .. text:sub(to + 1)
end

local function wait_until(done, what)
  local ends = socket.gettime() + 20
  while not done() do
    assert(socket.gettime() < ends, "waited in vain until " .. what)
    socket.sleep(0.02)
  end
end

--- Starts the nginx of the example on a free port, for the API at `base_url`.
local function start_openresty(base_url, locations)
  local text = read "examples/openresty/nginx.conf"
  text = replace(text, "env RETAB_API_KEY;", 'env RETAB_API_KEY=k;')
  text = replace(text, "env RETAB_API_BASE_URL;", ('env "RETAB_API_BASE_URL=%s";'):format(base_url))
  text = replace(text, "env WATCH_SECONDS;", "env WATCH_SECONDS=0.05;")
  text = replace(text, "$prefix/../../build", "@BUILD@"):gsub("%$prefix/%.%./%.%.", "@ROOT@")
  text = replace(text, "$prefix/?.lua;", "@ROOT@/examples/openresty/?.lua;@ROOT@/?.lua;")
  text = replace(text, "lua_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;", "")
  text = replace(text, "error_log stderr notice;", "error_log error.log notice;")
  text = replace(text, "init_worker_by_lua_block {",
    'init_worker_by_lua_block { require("spec.driver.worker").hold(@OWNER@)')
  text = replace(text, "listen 127.0.0.1:8080;", "listen 127.0.0.1:@HTTP_PORT@; " .. (locations or ""))
  text = replace(text, "\nevents {\n}", "\nevents {}\ndaemon off;\nmaster_process off;")
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write("@MODULES@\n", text)
  file:close()
  local server = nginx.start(path)
  os.remove(path)
  return server
end

describe("examples/openresty", function()
  local server

  after_each(function() server:stop() end)

  it("lists runs as JSON, and refuses a request without an experiment", function()
    server = start_openresty((upstream:scenario { runs = 400 }))
    local cjson = require "cjson"
    local body, status = server:get("/runs", { experiment_id = "exp_0" })
    assert.equal(200, status, body)
    local runs = cjson.decode(body)
    assert.equal(20, #runs)
    assert.equal("string", type(runs[1].lifecycle.status))
    assert.is_nil(runs[1].experiment_id)
    body, status = server:get("/runs", { experiment_id = "exp_none" })
    assert.equal(200, status)
    assert.equal("[]\n", body)
    body, status = server:get "/runs"
    assert.equal(400, status)
    assert.is_truthy(cjson.decode(body).error:find("experiment_id", 1, true))
    assert.is_nil(server:logged():find("[error]", 1, true))
  end)

  it("reports what went wrong upstream", function()
    server = start_openresty((upstream:scenario { fault = "status", code = 403, times = 0 }))
    local body, status = server:get("/runs", { experiment_id = "exp_0" })
    assert.equal(502, status)
    assert.is_truthy(body:find('"kind":"permission"', 1, true), body)
  end)

  it("logs the runs that finish", function()
    -- an API whose only run is completed from its third request on
    server = start_openresty("http://127.0.0.1:@HTTP_PORT@", [[
      location = /v1/workflows/experiments/runs {
        default_type application/json;
        content_by_lua_block {
          ngx.print('{"data":[{"id":"exprun_7","lifecycle":{"status":"', (looks or 0) > 2 and "completed" or "running",
            '"}}],"list_metadata":{"before":null,"after":null}}')
        }
      }
      location = /v1/workflows/experiments/runs/exprun_7 {
        default_type application/json;
        content_by_lua_block {
          looks = (looks or 0) + 1
          ngx.print('{"id":"exprun_7","score":0.5,"lifecycle":{"status":"', looks > 2 and "completed" or "running",
            '"}}')
        }
      }
    ]])
    local text = ""
    wait_until(function()
      text = text .. server:logged()
      return text:find("experiment run exprun_7 finished: completed, score 0.5", 1, true)
    end, "the run has finished")
    socket.sleep(0.2)
    assert.is_nil(server:logged():find("finished", 1, true))
  end)
end)

describe("examples/neovim", function()
  it("shows the runs of an experiment in a buffer, and refreshes it", function()
    local result = neovim.run([[
      vim.env.RETAB_API_KEY, vim.env.RETAB_API_BASE_URL = "k", given.url
      vim.cmd("luafile " .. given.path)
      local function lines() return vim.api.nvim_buf_get_lines(0, 0, -1, true) end
      local function shows(text) return function() return lines()[1]:find(text) end end
      vim.cmd "RetabRuns exp_0"
      local waiting = lines()[1]
      vim.wait(5000, shows "validation error") -- the first response
      local failed = table.concat(lines(), "\n")
      vim.cmd "normal r"
      vim.wait(5000, shows "runs of exp_0")
      local listed, modifiable = lines(), vim.bo.modifiable
      local buffer = vim.api.nvim_get_current_buf()
      vim.cmd "normal r"
      vim.cmd "normal q" -- while a call is under way
      vim.wait(300, function() return false end)
      return { waiting = waiting, failed = failed, first = listed[1], second = listed[2], count = #listed,
        modifiable = modifiable, gone = not vim.api.nvim_buf_is_valid(buffer),
        messages = vim.api.nvim_exec("messages", true) }
    ]], {
      url = (upstream:scenario { runs = 2000, fault = "status", code = 422, latency = 0.05 }),
      path = root .. "examples/neovim/runs.lua",
    })
    assert.is_truthy(result.waiting:find("listing the runs of exp_0", 1, true))
    assert.is_truthy(result.failed:find("validation error", 1, true), result.failed)
    assert.equal("50 newest runs of exp_0", result.first)
    assert.is_truthy(result.second:find "^exprun_%x+ +%l+ +[%d.-]+  20", result.second)
    assert.equal(51, result.count)
    assert.is_false(result.modifiable)
    assert.is_true(result.gone)
    assert.equal("", result.messages)
  end)
end)
