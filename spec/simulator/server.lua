-- The program inside nginx: takes a request apart, records it, and passes it to its endpoint or to a fault.

local endpoint = require "spec.simulator.endpoint"
local faults = require "spec.simulator.faults"
local ffi = require "ffi"
local journal = require "spec.simulator.journal"
local json = require "spec.simulator.json"
local key = require "spec.simulator.key"
local query = require "spec.simulator.query"
local reply = require "spec.simulator.reply"
local scenario = require "spec.simulator.scenario"

ffi.cdef "int getppid(void);"

local server = {}

local OWNER_CHECK_SECONDS = 1
local MAX_SCENARIOS = 512

local directory
local counts

-- Decoded scenarios by their text: a walk repeats its prefix thousands of times.
local scenarios, scenario_count = {}, 0

function server.init(where)
  directory = where
  counts = ngx.shared.counts
end

-- Prints on standard output that the ports are open. From then on the server ends with the script that started it, even
-- if that one is killed.
function server.ready()
  io.stdout:write("up\n")
  io.stdout:flush()
  local owner = ffi.C.getppid()
  ngx.timer.every(OWNER_CHECK_SECONDS, function()
    if ffi.C.getppid() ~= owner then os.exit(1) end
  end)
end

local function scenario_of(text)
  local known = scenarios[text]
  if known then return known end
  local options, problem = scenario.decode(text)
  if not options then return nil, problem end
  if scenario_count == MAX_SCENARIOS then scenarios, scenario_count = {}, 0 end
  scenarios[text], scenario_count = options, scenario_count + 1
  return options
end

-- Returns the three parts of `/s/SCENARIO/PATH?QUERY`.
local function split(uri)
  local path, query_text = uri, ""
  local mark = uri:find("?", 1, true)
  if mark then path, query_text = uri:sub(1, mark - 1), uri:sub(mark + 1) end
  local text, rest = path:match("^/s/([^/]*)(.*)$")
  return text or "", rest or path, query_text
end

local function flat_args(text)
  local args = query.split(text)
  for name, values in pairs(args) do
    if #values == 1 then args[name] = values[1] end
  end
  return args
end

local function record(request, uri)
  journal.append(directory, request.options.id, {
    method = request.method, uri = uri, path = request.path, query = request.query_text,
    args = flat_args(request.query_text), headers = request.headers, body = request.body or "",
    auth = key.kind(request.headers), protocol = ngx.var.server_protocol, request_id = "req_" .. ngx.var.request_id,
    connection = ngx.var.connection, time = ngx.req.start_time(),
  })
end

local function plain_headers()
  local headers = ngx.req.get_headers(0)
  return setmetatable(headers, nil)
end

-- Returns true if the scenario's fault applies to this request. A fault on one endpoint counts that one's requests.
local function is_struck(request)
  local options = request.options
  if not options.fault then return false end
  if not options.on then return scenario.strikes(options, request.count) end
  if not request.endpoint or request.endpoint.name ~= options.on then return false end
  return scenario.strikes(options, counts:incr(options.id .. "/" .. options.on, 1, 0))
end

local function read_body(method)
  if method == "GET" then return nil end
  ngx.req.read_body()
  return ngx.req.get_body_data()
end

function server.respond()
  local uri = ngx.var.request_uri
  local text, path, query_text = split(uri)
  local options, problem = scenario_of(text)
  if not options then
    return reply.send { status = 400, body = json.object("detail", json.quote("simulator: " .. problem)) }
  end
  if path == "/_log" then
    return reply.send { body = journal.text(directory, options.id), type = "text/plain" }
  end

  local method = ngx.req.get_method()
  local request = { method = method, path = path, query_text = query_text, headers = plain_headers(), options = options,
    count = counts:incr(options.id, 1, 0) }
  request.endpoint, request.id, request.methods = endpoint.find(method, path)
  local struck = is_struck(request)
  if not (struck and options.fault == "unread") then request.body = read_body(method) end
  if options.log then record(request, uri) end
  if options.latency > 0 then ngx.sleep(options.latency) end
  if struck then return faults.apply(request) end
  reply.send(endpoint.respond(request))
end

return server
