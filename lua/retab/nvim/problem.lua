--- problem.lua: what went wrong, and what to do about it, in the words of a user of Neovim. A problem is
--- { title, reason, advice, request_id }; the last three may be nil.
local text = require "retab.nvim.text"

local problem = {}

local set_key = 'Set it with :let $RETAB_API_KEY = "...", or before you start Neovim.'

--- Kind of an error -> { title, advice }.
local known = {
  authentication = { "The server does not accept the API key",
    'Set another key with :let $RETAB_API_KEY = "...", or try the other way to send it: g:retab.client.auth = "%s".' },
  permission = { "The API key is not allowed to do this", "Check the workspace that the key belongs to." },
  not_found = { "The server does not have it",
    "Check the id, and that the key belongs to the organization that owns it." },
  validation = { "The server refuses the request", "Check the id of the experiment." },
  rate_limit = { "The server receives too many requests", "Wait a little; g:retab.refresh sets the pause." },
  server = { "The server failed", "Try again later." },
  connection = { "The server cannot be reached", "Check the network, $RETAB_API_BASE_URL and the proxy." },
  timeout = { "The server did not respond in time", "Check the network, or try again later." },
  tls = { "The server's certificate cannot be verified", "Check g:retab.client.ca_file, or $SSL_CERT_FILE." },
  decode = { "The response is not one of the Retab API", "Check $RETAB_API_BASE_URL." },
}

--- The problem of an error object of the library.
--- @param err retab.Error
--- @return table
function problem.of(err)
  local entry = known[err.kind] or { "The request failed" }
  local advice = entry[2]
  if err.kind == "authentication" then
    advice = advice:format(tostring(err.hint):find('"api-key"', 1, true) and "api-key" or "bearer")
  end
  return { title = entry[1], reason = err.message, advice = advice, request_id = err.request_id }
end

--- The problem that no API key is set.
--- @return table
function problem.no_key()
  return { title = "No API key is set", reason = "The variable RETAB_API_KEY is empty.", advice = set_key }
end

--- The problem of an error message, such as that of a module that does not load.
--- @param title string
--- @param message string
--- @param advice string|nil
--- @return table
function problem.from_message(title, message, advice)
  return { title = title, reason = (message:gsub("^%S+:%d+: ", "")), advice = advice }
end

--- Returns a problem as lines of a sheet.
--- @param self table
--- @return table[] lines
function problem.lines(self)
  local lines = { { { self.title, "RetabProblem" } } }
  for line in (self.reason or ""):gmatch "[^\n]+" do lines[#lines + 1] = { { "  " .. text.clean(line) } } end
  if self.advice then
    for line in self.advice:gmatch "[^\n]+" do lines[#lines + 1] = { { "  " .. line, "RetabNote" } } end
  end
  if self.request_id then lines[#lines + 1] = { { "  request id " .. self.request_id, "RetabNote" } } end
  return lines
end

--- Returns a problem in one line.
--- @param self table
--- @return string
function problem.line(self)
  return self.reason and ("%s: %s"):format(self.title, text.clean(self.reason)) or self.title
end

return problem
