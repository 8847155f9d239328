--- The driver of specs that need no network: five functions over a script of responses, and a clock that moves only
--- when somebody waits. It records what is done to it.
---
---     local driver = scripted.new { scripted.status(503), scripted.page { "run_1" } }
---     local client = retab.new { api_key = "secret", driver = driver }
---
--- A script is an array of responses, one per request (a request past its end fails the spec), or a function
--- (request, number) -> response, called when the response is due. A response is { status, headers, body }, or
--- { failure = the error that await returns after nil }. With `takes = seconds`, the clock moves on while the response
--- is awaited, as far as the timeouts of the request allow.
local scripted = {}

--- @param script table|function
--- @param settings table|nil yields: await and sleep suspend the coroutine that calls them, until it is resumed;
---   ready: the driver has the function `ready`, which returns true (`ready = n`: for the first n requests);
---   now: what the clock shows first
--- @return table driver the functions of a driver, and `sent` (requests in order), `log` ("send 1", "await 1",
---   "cancel 1", "sleep"), `cancelled` (numbers of requests), `slept` (seconds), `clock`
function scripted.new(script, settings)
  settings = settings or {}
  local driver = { sent = {}, log = {}, cancelled = {}, slept = {}, clock = settings.now or 1780000000 }

  local function note(...) driver.log[#driver.log + 1] = table.concat({ ... }, " ") end

  local function pause(what)
    if settings.yields then coroutine.yield(what) end
  end

  function driver.send(request)
    local number = #driver.sent + 1
    driver.sent[number] = request
    note("send", number)
    return { number = number, request = request, since = driver.clock }
  end

  function driver.await(ticket)
    note("await", ticket.number)
    assert(not ticket.awaited, "a ticket is awaited twice")
    ticket.awaited = true
    pause("await")
    if ticket.cancelled then return nil, { kind = "cancelled", message = "the request was cancelled" } end
    local response = type(script) == "function" and script(ticket.request, ticket.number) or
      type(script) == "table" and script[ticket.number]
    assert(response, "the script has no response to request " .. ticket.number)
    local allowed = math.min(ticket.request.timeout, ticket.request.expires or math.huge)
    driver.clock = math.max(driver.clock, ticket.since + math.min(response.takes or 0, allowed))
    if (response.takes or 0) > allowed then return nil, { kind = "timeout", message = "no response in time" } end
    if response.status then
      return { status = response.status, headers = response.headers or {}, body = response.body or "" }
    end
    return nil, response.failure
  end

  function driver.cancel(ticket)
    note("cancel", ticket.number)
    ticket.cancelled = true
    driver.cancelled[#driver.cancelled + 1] = ticket.number
  end

  function driver.sleep(seconds)
    note("sleep")
    driver.slept[#driver.slept + 1] = seconds
    driver.clock = driver.clock + seconds
    pause("sleep")
  end

  function driver.now()
    return driver.clock
  end

  if settings.ready then
    function driver.ready(ticket)
      return settings.ready == true or ticket.number <= settings.ready
    end
  end

  return driver
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(char) return ("\\u%04x"):format(char:byte()) end) .. '"'
end

local function nullable(text)
  return text and quote(text) or "null"
end

--- A response that is a page of runs with these ids.
--- @param ids string[]
--- @param cursors table|nil after, before; strings
function scripted.page(ids, cursors)
  local runs = {}
  for index, id in ipairs(ids) do
    runs[index] = ('{"id":%s,"lifecycle":{"status":"completed"},"score":0.5,"note":null}'):format(quote(id))
  end
  return {
    status = 200, headers = { ["content-type"] = "application/json", ["x-request-id"] = "req_of_page" },
    body = ('{"data":[%s],"list_metadata":{"before":%s,"after":%s}}'):format(table.concat(runs, ","),
      nullable(cursors and cursors.before), nullable(cursors and cursors.after)),
  }
end

--- A response of status 200 with this body.
--- @param body string JSON
--- @param headers table|nil
function scripted.json(body, headers)
  local sent = { ["content-type"] = "application/json" }
  for name, value in pairs(headers or {}) do sent[name] = value end
  return { status = 200, headers = sent, body = body }
end

--- A response with this status, and headers if there are any. Its body names the status unless one is given.
function scripted.status(status, headers, body)
  return { status = status, headers = headers, body = body or ('{"detail":"this is a %d"}'):format(status) }
end

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- The query of a request as a table. A name that comes twice fails the spec.
function scripted.query(request)
  local args = {}
  for name, value in (request.url:match("%?(.*)$") or ""):gmatch("([^&=]*)=([^&]*)") do
    assert(args[decode(name)] == nil, "a parameter is sent twice")
    args[decode(name)] = decode(value)
  end
  return args
end

--- A script that serves the runs "run_1" to "run_N" as the API does: cursors are ids, `limit` is obeyed.
--- @param count number
--- @param change function|nil (page, request, number) -> response or nil; it may change { first, last, after, before }
---   of a page before that is sent, or return another response
function scripted.runs(count, change)
  return function(request, number)
    local args = scripted.query(request)
    local first = (tonumber((args.after or "run_0"):match("^run_(%d+)")) or 0) + 1
    local page = { first = first, last = math.min(count, first + (tonumber(args.limit) or 20) - 1) }
    if change then
      local response = change(page, request, number)
      if response then return response end
    end
    local ids = {}
    for index = page.first, page.last do ids[#ids + 1] = "run_" .. index end
    local after = page.after
    if after == nil and page.last < count then after = "run_" .. page.last end
    return scripted.page(ids, { after = after or nil, before = page.before })
  end
end

--- The number of times that a generated case is tried. `RETAB_SPEC_QUICK=1` makes it a twentieth, for runs under slow
--- tools.
function scripted.times(count)
  return os.getenv "RETAB_SPEC_QUICK" == "1" and math.ceil(count / 20) or count
end

return scripted
