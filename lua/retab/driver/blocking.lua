--- The driver of plain scripts: a wait is a wait of the whole process. While one request is waited for, all
--- others that were sent go on too.
local curl = require "retab.curl"
local task = require "retab.task"

local blocking = {}

local forever = 1e9

--- @param settings table max_connections, ca_file, ca_path, proxy
--- @return retab.Driver
function blocking.new(settings)
  local pool = curl.pool(settings)
  local epoch = os.time() - curl.clock()
  local driver = {}

  function driver.send(request)
    return pool:send(request)
  end

  function driver.await(transfer)
    while not transfer:done() do pool:wait(forever) end
    return transfer:result()
  end

  --- Waits until one of them is done.
  function driver.await_any(transfers)
    while true do
      for _, transfer in ipairs(transfers) do
        if transfer:done() then return end
      end
      pool:wait(forever)
    end
  end

  function driver.cancel(transfer)
    transfer:cancel()
  end

  function driver.now()
    return epoch + curl.clock()
  end

  function driver.sleep(seconds)
    local ends = curl.clock() + seconds
    repeat
      pool:wait(math.max(0, ends - curl.clock()))
    until curl.clock() >= ends
  end

  function driver.ready(transfer)
    pool:step()
    return transfer:done()
  end

  --- Runs `f` at once, to its end unless it yields; what it raises is reported.
  function driver.spawn(f, ...)
    return task.spawn(nil, f, ...)
  end

  function driver.connections()
    return pool:connections()
  end

  function driver.close()
    pool:close()
  end

  return driver
end

return blocking
