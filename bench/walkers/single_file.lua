--- The walk that users write by hand: lua-cjson, and a loop that follows `after`.
local cjson = require "cjson"

local path = "/v1/workflows/experiments/runs?limit=100"

--- @param open function base_url -> fetch (url -> body), close
return function(open)
  return function(base_url, on_page)
    local fetch, close = open(base_url)
    local count, last, after = 0, "", nil
    repeat
      local body = fetch(base_url .. path .. (after and "&after=" .. after or ""))
      local page = cjson.decode(body)
      for _, run in ipairs(page.data) do
        count = count + 1
        last = run.id
      end
      if on_page then on_page() end
      after = page.list_metadata.after
    until after == cjson.null or after == ""
    close()
    return count, last
  end
end
