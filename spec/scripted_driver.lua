--- The driver of specs that need no network: five functions over a script of answers and a clock that only moves when
--- somebody waits. It writes down what was done to it.
---
---     local driver = scripted.new { scripted.status(503), scripted.page { "run_1" } }
---     local client = retab.new { api_key = "secret", driver = driver }
---
--- A script is an array of answers, one per request (a request beyond its end fails the spec), or a function
--- (request, number) -> answer, called when the answer is due. An answer is { status, headers, body }, or
--- { failure = what await returns behind nil }; with `takes = seconds` the clock moves on while it is awaited, up to
--- what the request allows.
local scripted = {}

--- @param script table|function
--- @param settings table|nil yields: await and sleep suspend the coroutine that they are called in, until it is
---   resumed; ready: whether there is a sixth function that says so of answers (`ready = n`: of the first n requests);
---   now: where the clock begins
--- @return table driver with `sent` (requests in order), `log` ("send 1", "await 1", "cancel 1", "sleep"), `cancelled`
---   (request numbers), `slept` (seconds) and `clock` beside the driver's functions
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
    assert(not ticket.awaited, "a ticket was awaited twice")
    ticket.awaited = true
    pause("await")
    if ticket.cancelled then return nil, { kind = "cancelled", message = "the request was cancelled" } end
    local answer = type(script) == "function" and script(ticket.request, ticket.number) or
      type(script) == "table" and script[ticket.number]
    assert(answer, "the script has no answer to request " .. ticket.number)
    local allowed = math.min(ticket.request.timeout, ticket.request.expires or math.huge)
    driver.clock = math.max(driver.clock, ticket.since + math.min(answer.takes or 0, allowed))
    if (answer.takes or 0) > allowed then return nil, { kind = "timeout", message = "no answer in time" } end
    if answer.status then
      return { status = answer.status, headers = answer.headers or {}, body = answer.body or "" }
    end
    return nil, answer.failure
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

--- The answer that is a page of runs with these ids.
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

--- The answer with this status, an error body that names it, and maybe headers.
function scripted.status(status, headers, body)
  return { status = status, headers = headers, body = body or ('{"detail":"this is a %d"}'):format(status) }
end

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- The query of a request as a table; a name that comes twice fails the spec.
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
--- @param change function|nil (page, request, number) -> answer or nil; may change { first, last, after, before } of a
---   page before it is sent, or answer otherwise
function scripted.runs(count, change)
  return function(request, number)
    local args = scripted.query(request)
    local first = (tonumber((args.after or "run_0"):match("^run_(%d+)")) or 0) + 1
    local page = { first = first, last = math.min(count, first + (tonumber(args.limit) or 20) - 1) }
    if change then
      local answer = change(page, request, number)
      if answer then return answer end
    end
    local ids = {}
    for index = page.first, page.last do ids[#ids + 1] = "run_" .. index end
    local after = page.after
    if after == nil and page.last < count then after = "run_" .. page.last end
    return scripted.page(ids, { after = after or nil, before = page.before })
  end
end

--- How often a generated case is tried: `RETAB_SPEC_QUICK=1` makes that a twentieth, for runs under slow tools.
function scripted.times(count)
  return os.getenv "RETAB_SPEC_QUICK" == "1" and math.ceil(count / 20) or count
end

return scripted
