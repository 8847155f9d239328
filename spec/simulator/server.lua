-- The program inside nginx: takes a request apart, writes it down, and hands it to the endpoint or to a fault.

local endpoint = require "spec.simulator.endpoint"
local faults = require "spec.simulator.faults"
local ffi = require "ffi"
local journal = require "spec.simulator.journal"
local json = require "spec.simulator.json"
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

-- Says on standard output that the ports are open. From then on the server lives no longer than the script that
-- started it, even where that one had no time to say goodbye.
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

-- `/s/SCENARIO/PATH?QUERY` → its three parts.
local function split(uri)
  local path, raw_query = uri, ""
  local mark = uri:find("?", 1, true)
  if mark then path, raw_query = uri:sub(1, mark - 1), uri:sub(mark + 1) end
  local text, rest = path:match("^/s/([^/]*)(.*)$")
  return text or "", rest or path, raw_query
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
    method = request.method, uri = uri, path = request.path, query = request.query, args = flat_args(request.query),
    headers = request.headers, protocol = ngx.var.server_protocol, request_id = "req_" .. ngx.var.request_id,
    connection = ngx.var.connection, time = ngx.req.start_time(),
  })
end

local function plain_headers()
  local headers = ngx.req.get_headers(0)
  return setmetatable(headers, nil)
end

function server.answer()
  local uri = ngx.var.request_uri
  local text, path, raw_query = split(uri)
  local options, problem = scenario_of(text)
  if not options then
    return reply.send { status = 400, body = '{"detail":' .. json.quote("simulator: " .. problem) .. "}" }
  end
  if path == "/_log" then
    return reply.send { body = journal.text(directory, options.id), type = "text/plain" }
  end

  local request = {
    method = ngx.req.get_method(), path = path, query = raw_query, headers = plain_headers(), options = options,
    count = counts:incr(options.id, 1, 0),
  }
  if options.log then record(request, uri) end
  if options.latency > 0 then ngx.sleep(options.latency) end
  if scenario.strikes(options, request.count) then return faults[options.fault](request, options) end
  local status, body, headers = endpoint.answer(request)
  reply.send { status = status, body = body, headers = headers }
end

return server
