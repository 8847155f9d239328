-- Experiment runs in HAProxy: a service that lists the newest ones. HAProxy goes on serving while a call waits, because
-- the driver below sleeps with HAProxy's own function. haproxy.cfg loads this file.
-- luacheck: read globals core
local curl = require "retab.curl"
local retab = require "retab"

local tick = 1 -- milliseconds between two looks at a transfer

local function new_driver(settings)
  local pool = curl.pool(settings)
  local driver = {}

  function driver.send(request) return pool:send(request) end

  function driver.await(transfer)
    while not transfer:done() do
      core.msleep(tick)
      pool:step()
    end
    return transfer:result()
  end

  function driver.cancel(transfer) transfer:cancel() end

  function driver.sleep(seconds) core.msleep(math.max(tick, math.ceil(seconds * 1000))) end

  function driver.now()
    local now = core.now()
    return now.sec + now.usec / 1e6
  end

  return driver
end

local client -- one for all requests, which share its connections

core.register_service("runs", "http", function(applet)
  client = client or retab.new { driver = new_driver { max_connections = 8 } }
  local page, message = client.workflows.experiments.runs.list({ limit = 20 }, { deadline = 10 })
  local lines = {}
  for index, run in ipairs(page and page.data or {}) do lines[index] = run.id .. " " .. run.lifecycle.status end
  local body = (page and table.concat(lines, "\n") or message) .. "\n"
  applet:set_status(page and 200 or 502)
  applet:add_header("content-type", "text/plain")
  applet:add_header("content-length", tostring(#body))
  applet:start_response()
  applet:send(body)
end)
