--- The option base_url: which URLs are allowed, and how they are normalized, seen through retab.new.
local retab = require "retab"
local scripted = require "spec.scripted_driver"

local path = "/v1/workflows/experiments/runs"

local function base_of(base_url, options)
  options = options or {}
  options.api_key, options.base_url = "sk_test", base_url
  local url = retab.new(options).workflows.experiments.runs.request({}).url
  assert.equal(path, url:sub(-#path))
  return url:sub(1, -#path - 1)
end

--- Checks that the URL is refused by a message with `word` that names the option and points at this file.
local function refuse(base_url, word, options)
  local ok, message = pcall(base_of, base_url, options)
  assert.is_false(ok, tostring(base_url))
  assert.matches("url_spec.lua:%d+: ", message)
  assert.matches("base_url", message)
  assert(message:find(word, 1, true), ("%q is not in the message: %s"):format(word, message))
end

describe("base_url", function()
  it("is used unchanged if there is nothing to normalize", function()
    for _, base in ipairs {
      "https://api.retab.com", "https://localhost", "https://api.example.com:8443", "https://10.0.0.1",
      "https://[2001:db8::1]", "https://[2001:db8::1]:444", "https://my_host.example", "https://x",
    } do
      assert.equal(base, base_of(base))
    end
  end)

  it("loses trailing slashes and a version at its end", function()
    for _, ending in ipairs { "", "/", "//", "/v1", "/v1/", "/v2", "/v12/", "/v1//" } do
      assert.equal("https://api.example.com", base_of("https://api.example.com" .. ending))
      assert.equal("https://api.example.com:8443", base_of("https://api.example.com:8443" .. ending))
    end
  end)

  it("keeps a path prefix", function()
    for _, ending in ipairs { "", "/", "/v1", "/v1/" } do
      assert.equal("https://h.example/proxy/retab", base_of("https://h.example/proxy/retab" .. ending))
    end
    for _, prefix in ipairs { "/v1x", "/xv1", "/v", "/v1/x", "/vv1", "/V-1", "/a%20b", "/a.b~c" } do
      assert.equal("https://h.example" .. prefix, base_of("https://h.example" .. prefix))
    end
  end)

  it("is written with its scheme and host in lower case, and its path unchanged", function()
    assert.equal("https://api.example.com/Proxy", base_of "HTTPS://API.Example.COM/Proxy")
    assert.equal("http://localhost", base_of "Http://LOCALHOST/")
  end)

  it("can be plain http to this machine", function()
    for _, host in ipairs { "localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "127.1.2.3:65535", "[::1]",
      "[::1]:8080" } do
      assert.equal("http://" .. host, base_of("http://" .. host))
    end
  end)

  it("raises for plain http to any other machine, unless allow_http is true", function()
    for _, host in ipairs {
      "api.retab.com", "example.com:8080", "127.0.0.1.example.com", "localhost.example.com", "notlocalhost",
      "128.0.0.1", "10.0.0.1", "[::2]", "0.0.0.0", "1270.0.0.1", "127.0.0.256", "x.localhost.com", "[2001:db8::1]:80",
    } do
      refuse("http://" .. host, "http")
      assert.equal("http://" .. host, base_of("http://" .. host, { allow_http = true }))
      refuse("http://" .. host, "http", { allow_http = false })
    end
  end)

  it("raises without a scheme", function()
    for _, base in ipairs { "api.retab.com", "//api.retab.com", "/v1", "api.retab.com/v1", "https:api.retab.com",
      "https:/x", "localhost:8080", "://x",
      "x" } do
      refuse(base, "scheme")
    end
  end)

  it("raises for a scheme other than https and http", function()
    for _, scheme in ipairs { "ftp", "file", "ws", "httpss", "gopher", "unix", "h2" } do
      refuse(scheme .. "://api.retab.com", "scheme")
      refuse(scheme .. "://localhost", "scheme", { allow_http = true })
    end
  end)

  it("raises for user information", function()
    for _, user in ipairs { "me@", "me:secret@", "@", ":@", "127.0.0.1@", "a@b@" } do
      refuse("https://" .. user .. "api.retab.com", "user information")
      refuse("http://" .. user .. "localhost", "user information")
    end
    refuse("http://localhost@evil.example", "user information")
  end)

  it("does not quote a URL that it refuses", function()
    for _, base in ipairs {
      "https://me:hunter2@api.retab.com", "https://api.retab.com?key=hunter2", "https://hunter2:x", "hunter2",
      "hunter2://api.retab.com", "http://hunter2", "https://api.retab.com/ hunter2",
    } do
      local _, message = pcall(base_of, base)
      assert.is_nil(message:find("hunter2", 1, true), message)
    end
  end)

  it("raises for a query or a fragment", function()
    refuse("https://api.retab.com?x=1", "query")
    refuse("https://api.retab.com/v1?x=1", "query")
    refuse("https://api.retab.com/?", "query")
    refuse("https://api.retab.com#x", "fragment")
    refuse("https://api.retab.com/v1#", "fragment")
  end)

  it("raises without a valid host", function()
    for _, base in ipairs { "https://", "https:///v1", "https://:443", "https://a b", "https://a,b", "https://[::1",
      "https://::1", "https://a:b", "https://[x]", "https://a:1:2", "https://%61", "https://a\\b" } do
      refuse(base, "")
    end
  end)

  it("raises for a port out of range", function()
    refuse("https://h:0", "port")
    refuse("https://h:65536", "port")
    refuse("https://h:99999999999999999999", "port")
    assert.equal("https://h:65535", base_of "https://h:65535")
  end)

  it("raises for a space or a control character", function()
    for _, char in ipairs { " ", "\n", "\r", "\t", "\0", "\127", "\31" } do
      refuse("https://api.retab.com" .. char, "control character")
      refuse("https://api" .. char .. ".retab.com", "control character")
      refuse("https://api.retab.com/x" .. char .. "y", "control character")
      refuse(char .. "https://api.retab.com", "")
    end
  end)

  it("raises for anything but a string that is not empty", function()
    refuse("", "")
    refuse(5, "")
    refuse({}, "")
    refuse(true, "")
  end)
end)

describe("Plain http to this machine", function()
  --- Returns true if the driver is told to use no proxy at all.
  local function is_direct(options)
    local driver = scripted.new { scripted.page {} }
    options.api_key, options.driver = "sk_test", driver
    assert(retab.new(options).workflows.experiments.runs.list {})
    return driver.sent[1].direct or false
  end

  it("never uses the environment's proxy, which would read the key", function()
    for _, base in ipairs { "http://localhost", "http://127.0.0.1:8080/prefix", "http://[::1]:80" } do
      assert.is_true(is_direct { base_url = base })
      assert.is_true(is_direct { base_url = base, allow_http = true })
      assert.is_true(is_direct { base_url = base, proxy = "http://proxy.example" })
    end
  end)

  it("uses a proxy if both proxy and allow_http are given", function()
    assert.is_false(is_direct { base_url = "http://localhost", proxy = "http://proxy.example", allow_http = true })
  end)

  it("is the only kind of request that does not use the environment's proxy", function()
    assert.is_false(is_direct { base_url = "https://api.example.com" })
    assert.is_false(is_direct { base_url = "https://localhost" })
    assert.is_false(is_direct { base_url = "http://api.example.com", allow_http = true })
  end)
end)
