--- A walk with this library.
local retab = require "retab"

return function(base_url, on_page, options)
  local client = retab.new { api_key = "bench", base_url = base_url, allow_http = true }
  local runs = client.workflows.experiments.runs
  local count, last, pages_seen = 0, "", 0
  local params, walk_options = {}, {}
  for name, value in pairs(options) do
    if name == "parallel" or name == "prefetch" or name == "max_items" then
      walk_options[name] = tonumber(value)
    else
      params[name] = value
    end
  end
  if not on_page then
    for run in runs.iter(params, walk_options) do
      count = count + 1
      last = run.id
    end
  else
    for page in runs.pages(params, walk_options) do
      count = count + #page.data
      last = page.data[#page.data].id
      pages_seen = pages_seen + 1
      on_page()
    end
  end
  client:close()
  return count, last
end
