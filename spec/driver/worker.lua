--- The program inside the nginx of nginx.conf: what the specs ask for over HTTP. /NAME?... runs the function NAME.
local ffi = require "ffi"

ffi.cdef [[
  int getppid(void);
  int kill(int pid, int signal);
]]

local worker = {}
local asked = {}

--- What lua-resty-http wants of other libraries, which are OpenResty's and not Debian's: only client certificates
--- need it.
for _, name in ipairs { "string", "openssl.x509.chain", "openssl.x509", "openssl.pkey" } do
  name = "resty." .. name
  if not package.searchpath(name, package.path) then package.loaded[name] = {} end
end

local directory, owner
local messages = ngx.shared.messages
local owner_check_seconds = 1

--- Lists, which is nowhere allowed but where light threads may wait, and keeps what comes of it.
function worker.try(phase)
  local retab = require "retab"
  local client = retab.new {
    api_key = "k", base_url = "http://127.0.0.1:1", driver = messages:get "driver", max_retries = 0,
  }
  local ok, message, explanation = pcall(client.workflows.experiments.runs.list, {})
  messages:set(phase or ngx.get_phase(), ok and "waited: " .. tostring(explanation) or tostring(message))
end

function worker.init(where, pid)
  directory, owner = where, pid
  worker.try "init"
end

--- Says that the port is open; from then on nginx lives no longer than what started it.
function worker.hold(pid)
  io.stdout:write("up\n")
  io.stdout:flush()
  local parent = ffi.C.getppid() -- the owner itself, or the master process
  ngx.timer.every(owner_check_seconds, function()
    if ffi.C.kill(pid, 0) == 0 then return end
    if parent ~= pid and ffi.C.getppid() == parent then ffi.C.kill(parent, 15) end
    os.exit(1)
  end)
end

function worker.init_worker()
  worker.try "init_worker"
  worker.hold(owner)
end

--- What was kept of a phase.
function worker.tell(phase)
  ngx.print(messages:get(phase or ngx.var.uri:match("[^/]*$")) or "nothing")
end

function worker.content()
  local name = ngx.var.uri:match("[^/]*$")
  local ok, message = xpcall(asked[name], function(problem) return debug.traceback(tostring(problem)) end,
    ngx.req.get_uri_args(0))
  if not ok then
    ngx.status = 500
    ngx.print(message)
  end
end

function asked.tell(args)
  worker.tell(args.phase)
end

--- Whether a module is there.
function asked.has(args)
  ngx.print(tostring((pcall(require, args.name))))
end

function asked.driver(args)
  messages:set("driver", args.driver)
end

--- Runs a case of the contract.
local hosts = {}

function asked.case(args)
  local host = hosts[args.driver]
  if not host then
    host = require "spec.driver.host".ngx(args.driver, directory .. "/error.log")
    host.url, host.tls_url, host.directory, host.prefix = args.url, args.tls_url, args.directory, args.prefix
    hosts[args.driver] = host
  end
  host.number = args.number
  host.run(function() require "spec.driver.contract".cases[tonumber(args.number)].run(host) end)
  ngx.print "passed"
end

--- One client of the worker, shared by all its requests.
local clients = {}

local function shared_client(args)
  local key = args.driver .. args.url
  clients[key] = clients[key] or require "retab".new {
    api_key = "k", base_url = args.url, driver = args.driver, max_connections = tonumber(args.max_connections),
    max_retries = 0,
  }
  return clients[key]
end

function asked.list(args)
  local page = assert(shared_client(args).workflows.experiments.runs.list { limit = tonumber(args.limit) })
  ngx.print(#page.data, " ", page.data[1].id)
end

function asked.stats(args)
  local stats = shared_client(args):stats()
  ngx.print(stats.requests, " ", stats.connections)
end

--- Lists in a timer, and in a function spawned from one.
function asked.timer(args)
  local client = shared_client(args)
  assert(ngx.timer.at(0, function()
    local page, message = client.workflows.experiments.runs.list {}
    messages:set(args.key, page and #page.data or message)
    client:spawn(function()
      messages:set(args.key .. "_spawned", #assert(client.workflows.experiments.runs.list {}).data)
    end)
  end))
end

--- How long a list takes beside the upstream's own time.
function asked.latencies(args)
  local runs, took = shared_client(args).workflows.experiments.runs, {}
  local socket = require "socket" -- its clock is finer than nginx's
  for index = 1, tonumber(args.count) do
    local began = socket.gettime()
    assert(runs.list { limit = 1 })
    took[index] = socket.gettime() - began
  end
  table.sort(took)
  ngx.print(took[math.ceil(#took / 2)], " ", took[#took])
end

function asked.driver_of_host()
  local client = require "retab".new { api_key = "k", base_url = "http://127.0.0.1:1", max_retries = 0 }
  client.workflows.experiments.runs.list {}
  local loaded = {}
  for name in pairs(package.loaded) do
    if name:find "^retab%.driver%." or name == "retab.curl" then loaded[#loaded + 1] = name end
  end
  table.sort(loaded)
  ngx.print(table.concat(loaded, " "))
end

function asked.descriptors()
  collectgarbage()
  collectgarbage()
  local listing = io.popen("ls /proc/" .. ngx.worker.pid() .. "/fd | wc -l")
  local count = listing:read "*n"
  listing:close()
  ngx.print(ngx.worker.pid(), " ", count)
end

return worker
