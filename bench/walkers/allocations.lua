--- Walks, and prints the calls of the C heap per page: the least, the most, and those of the first page.
--- Runs in bench/allocations.c. Argument: a base URL.
local base_url = ...
local core = require "retab.core"
local retab = require "retab"

local function account(name)
  local self = { name = name, first = nil, least = math.huge, most = 0 }
  function self.add(calls)
    if not self.first then
      self.first = calls
      return
    end
    self.least, self.most = math.min(self.least, calls), math.max(self.most, calls)
  end
  function self.tell() print(("%s %d %d %d"):format(self.name, self.least, self.most, self.first)) end
  return self
end

--- Calls of the C heap during a call of the decoder are its own.
local decoder = account "decoder"
local decoded = 0
local envelope = core.envelope
function core.envelope(...)
  local before = allocations()
  local page, message = envelope(...)
  local calls = allocations() - before
  decoder.add(calls)
  decoded = decoded + calls
  return page, message
end

local ours, libcurl = account "ours", account "libcurl"
local client = retab.new { api_key = "bench", base_url = base_url }
local ours_before, libcurl_before = allocations()
for _ in client.workflows.experiments.runs.pages {} do
  local ours_now, libcurl_now = allocations()
  ours.add(ours_now - ours_before - decoded)
  libcurl.add(libcurl_now - libcurl_before)
  ours_before, libcurl_before = allocations()
  decoded = 0
end
client:close()
decoder.tell()
ours.tell()
libcurl.tell()
