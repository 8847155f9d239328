--- The program inside the nginx of nginx.conf. A spec requests /NAME?..., which runs the function pages.NAME.
local ffi = require "ffi"

ffi.cdef [[
  int getppid(void);
  int kill(int pid, int signal);
]]

local worker = {}

--- The functions that print responses, by the name in the URL.
local pages = {}

local directory, owner
local messages = ngx.shared.messages
local owner_check_seconds = 1

--- Tries to list runs in the current phase, and stores the outcome.
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

--- Reports that the port is open. From then on, nginx ends when the process that started it ends.
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

--- Prints the outcome of a phase.
function worker.tell(phase)
  ngx.print(messages:get(phase or ngx.var.uri:match("[^/]*$")) or "nothing")
end

function worker.content()
  local name = ngx.var.uri:match("[^/]*$")
  local ok, message = xpcall(pages[name], function(problem) return debug.traceback(tostring(problem)) end,
    ngx.req.get_uri_args(0))
  if not ok then
    ngx.status = 500
    ngx.print(message)
  end
end

function pages.tell(args)
  worker.tell(args.phase)
end

function pages.driver(args)
  messages:set("driver", args.driver)
end

--- The hosts of the contract, by driver.
local hosts = {}

--- Runs a case of the contract.
function pages.case(args)
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

--- Clients that all requests of the worker share, by driver and URL.
local clients = {}

local function shared_client(args)
  local key = args.driver .. args.url
  clients[key] = clients[key] or require "retab".new {
    api_key = "k", base_url = args.url, driver = args.driver, max_connections = tonumber(args.max_connections),
    max_retries = 0,
  }
  return clients[key]
end

function pages.list(args)
  local page = assert(shared_client(args).workflows.experiments.runs.list { limit = tonumber(args.limit) })
  ngx.print(#page.data, " ", page.data[1].id)
end

function pages.stats(args)
  local stats = shared_client(args):stats()
  ngx.print(stats.requests, " ", stats.connections)
end

--- Lists in a timer, and in a function that the timer spawns.
function pages.timer(args)
  local client = shared_client(args)
  assert(ngx.timer.at(0, function()
    local page, message = client.workflows.experiments.runs.list {}
    messages:set(args.key, page and #page.data or message)
    client:spawn(function()
      messages:set(args.key .. "_spawned", #assert(client.workflows.experiments.runs.list {}).data)
    end)
  end))
end

--- Lists with a retry that has no delay.
function pages.retries(args)
  local client = require "retab".new { api_key = "k", base_url = args.url, driver = args.driver, max_retries = 1 }
  ngx.print(#assert(client.workflows.experiments.runs.list {}).data)
end

--- Kills every other light thread in the middle of its call. Prints the sum of what the rest has listed.
function pages.kills(args)
  local runs = shared_client(args).workflows.experiments.runs
  local threads, listed = {}, 0
  for index = 1, 6 do
    threads[index] = ngx.thread.spawn(function()
      local count = #assert(runs.list { limit = index }).data
      listed = listed + count
    end)
  end
  ngx.sleep(0.05)
  for index = 1, 6, 2 do assert(ngx.thread.kill(threads[index])) end
  for index = 2, 6, 2 do assert(ngx.thread.wait(threads[index])) end
  ngx.print(listed)
end

--- Kills a light thread whose call uses the only connection. The connection is free when the thread is collected.
function pages.kill_frees(args)
  local client = require "retab".new {
    api_key = "k", base_url = args.url, driver = args.driver, max_connections = 1, max_retries = 0, timeout = 50,
  }
  local runs = client.workflows.experiments.runs
  local thread = ngx.thread.spawn(function() runs.list {} end)
  ngx.sleep(0.1) -- the simulator never responds: this call does not end before its timeout
  assert(ngx.thread.kill(thread))
  thread = nil -- luacheck: ignore 311
  local page
  ngx.thread.spawn(function() page = assert(runs.list { limit = 3 }) end)
  local ends = ngx.now() + 20
  while not page and ngx.now() < ends do
    collectgarbage()
    ngx.sleep(0.01)
  end
  ngx.print(page and #page.data or "the connection is still taken")
end

--- Ends its request while one of its light threads waits.
function pages.exits(args)
  ngx.thread.spawn(function() shared_client(args).workflows.experiments.runs.list {} end)
  ngx.sleep(0.02)
  ngx.print "exits"
  ngx.exit(200)
end

function pages.descriptors()
  collectgarbage()
  collectgarbage()
  local listing = io.popen("ls /proc/" .. ngx.worker.pid() .. "/fd | wc -l")
  local count = listing:read "*n"
  listing:close()
  ngx.print(ngx.worker.pid(), " ", count)
end

return worker
