local in_nginx = require "spec.driver.in_nginx"

local server = in_nginx.start()
if server:get("/has", { name = "resty.http" }) == "true" then
  in_nginx.describe("resty", server)
else
  server:stop()
  describe("the driver resty in nginx", function()
    pending "is not tested here: lua-resty-http was not found (RETAB_RESTY_PATH names a directory with resty/http.lua)"
  end)
end
