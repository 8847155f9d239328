local in_nginx = require "spec.driver.in_nginx"

in_nginx.describe("ngx", in_nginx.start())
