--- health.lua: what :checkhealth retab reports. It waits for the server for a few seconds at most, and the key appears
--- nowhere.
local health = {}

local longest = 5 -- seconds to wait for the server

--- Neovim renamed these functions twice.
local function reporter()
  local new = vim.health or {}
  local old = not new.start and not new.report_start and require "health" or {}
  local report = {}
  for _, name in ipairs { "start", "ok", "info", "warn", "error" } do
    report[name] = new[name] or new["report_" .. name] or old["report_" .. name]
  end
  return report
end

local function check_modules(report)
  local connection = require "retab.nvim.connection"
  local library, missing = connection.library()
  if not library then
    report.error(("%s: %s"):format(missing.title, missing.reason), vim.split(missing.advice, "\n"))
    return false
  end
  local path = package.searchpath("retab.core", package.cpath)
  report.ok(("retab %s for the ABI of Lua %s: %s"):format(library._VERSION, _VERSION:match "%d+%.%d+", path))
  report.ok(package.loaded["retab.curl"].version)
  return true
end

local function check_settings(report)
  local _, mistake = require("retab.nvim.settings").get()
  if mistake then
    report.error(mistake, { ":help retab-settings" })
  else
    report.ok "g:retab is valid, or not set"
  end
end

local function check_key(report)
  local has_key = require("retab.nvim.connection").has_key()
  if has_key then
    report.ok "An API key is set"
  else
    local missing = require("retab.nvim.problem").no_key()
    report.warn(("%s: %s"):format(missing.title, missing.reason), { missing.advice })
  end
  return has_key
end

--- Reports what a request for one run came to.
local function report_outcome(report, address, has_key, err)
  if not err then
    report.ok(("%s responds, and accepts the key"):format(address))
  elseif err.kind == "authentication" and not has_key then
    report.ok(("%s responds"):format(address))
  else
    local found = require("retab.nvim.problem").of(err)
    report.error(("%s: %s: %s"):format(address, found.title, found.reason), { found.advice })
  end
end

local function check_server(report, has_key)
  local more = { max_retries = 0, timeout = longest }
  if not has_key then more.api_key = "none" end -- any response shows that the server is there
  local client, missing = require("retab.nvim.connection").open(more)
  if not client then return report.error(("%s: %s"):format(missing.title, missing.reason)) end
  local address = tostring(client):match "%((.-)%)"
  local done, failed = false, nil
  client:spawn(function()
    local _, _, err = client.workflows.experiments.runs.list({ limit = 1 }, { deadline = longest })
    done, failed = true, err
  end)
  vim.wait((longest + 1) * 1000, function() return done end, 20)
  client:close()
  if not done then return report.error(("%s: no response within %d s"):format(address, longest)) end
  report_outcome(report, address, has_key, failed)
end

function health.check()
  local report = reporter()
  report.start "retab: the library"
  vim.cmd "runtime plugin/retab.lua" -- where plugins are not loaded
  local is_loaded = check_modules(report)
  report.start "retab: the settings"
  check_settings(report)
  local has_key = check_key(report)
  if not is_loaded then return end
  report.start "retab: the server"
  check_server(report, has_key)
end

return health
