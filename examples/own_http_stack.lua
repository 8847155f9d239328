-- Uses the library without its transport: the library builds the requests and reads the responses, and LuaSocket moves
-- the bytes. Any other HTTP client can use the same two functions. (For https, LuaSocket needs LuaSec.)
--
--     RETAB_API_KEY=... RETAB_API_BASE_URL=http://127.0.0.1:8080 lua examples/own_http_stack.lua exp_abc
local http = require "socket.http"
local ltn12 = require "ltn12"
local retab = require "retab"

local runs = retab.new().workflows.experiments.runs

local function fetch(params)
  local request = runs.request(params) -- { method, url, headers }
  local chunks = {}
  local ok, status, headers = http.request {
    method = request.method, url = request.url, headers = request.headers, redirect = false,
    sink = ltn12.sink.table(chunks),
  }
  if not ok then error("no response: " .. tostring(status)) end
  return runs.parse(status, headers, table.concat(chunks))
end

local params = { experiment_id = assert(arg[1], "which experiment?"), limit = 100 }
repeat
  local page, _, err = fetch(params)
  if err then error(tostring(err)) end
  for _, run in ipairs(page.data) do print(run.id, run.lifecycle.status) end
  params.after = page.list_metadata.after
until not params.after
