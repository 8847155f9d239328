local http1 = require "retab.driver.http1"
local scripted_socket = require "spec.driver.scripted_socket"

describe("HTTP/1.1 on a cosocket", function()
  --- Reads a response from texts that arrive one by one.
  local function read(texts, max_body_bytes)
    return http1.read(scripted_socket.new(type(texts) == "table" and texts or { texts }), max_body_bytes or 1000)
  end

  --- Calls `check` with a response as a whole, and byte by byte.
  local function both_ways(text, check)
    check(text)
    local bytes = {}
    for index = 1, #text do bytes[index] = text:sub(index, index) end
    check(bytes)
  end

  local function assert_failure(kind, texts)
    local response, err = read(texts)
    assert.is_nil(response)
    assert.equal(kind, err.kind)
    assert.equal("string", type(err.message))
    return err
  end

  local ok = "HTTP/1.1 200 OK\r\n"

  it("writes the request line, the headers and the host", function()
    local socket = scripted_socket.new {}
    assert(http1.write(socket, { method = "GET", headers = { ["Api-Key"] = "k" } }, "/v1?limit=1", "localhost:80"))
    assert.equal("GET /v1?limit=1 HTTP/1.1\r\nApi-Key: k\r\nHost: localhost:80\r\n\r\n", table.concat(socket.sent))
  end)

  it("writes a body with its length, whatever length the caller gave", function()
    local socket = scripted_socket.new {}
    local headers = { ["content-length"] = "1", ["Transfer-Encoding"] = "chunked", host = "elsewhere" }
    assert(http1.write(socket, { method = "POST", headers = headers, body = '{"a":1}' }, "/", "localhost"))
    assert.equal('POST / HTTP/1.1\r\nhost: elsewhere\r\nContent-Length: 7\r\n\r\n{"a":1}', table.concat(socket.sent))
  end)

  it("writes the length 0 of a POST without a body", function()
    local socket = scripted_socket.new {}
    assert(http1.write(socket, { method = "POST", headers = {} }, "/", "localhost"))
    assert.equal("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", table.concat(socket.sent))
  end)

  it("reads a body of a known length", function()
    both_ways(ok .. "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello", function(texts)
      local response, reusable = read(texts)
      assert.same({ status = 200, body = "hello",
        headers = { ["content-type"] = "text/plain", ["content-length"] = "5" } }, response)
      assert.is_true(reusable)
    end)
  end)

  it("reads chunks, their extensions and trailers", function()
    local chunks = "5;a=b\r\nhello\r\n00A\r\n, world!!!\r\n0\r\nX: 1\r\nY: 2\r\n\r\n"
    both_ways(ok .. "Transfer-Encoding: chunked\r\n\r\n" .. chunks, function(texts)
      local response, reusable = read(texts)
      assert.equal("hello, world!!!", response.body)
      assert.is_true(reusable)
    end)
    assert.equal("", read(ok .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").body)
  end)

  it("joins thousands of tiny chunks", function()
    local chunks = ("1\r\nx\r\n"):rep(5000) .. "0\r\n\r\n"
    local response = read(ok .. "Transfer-Encoding: chunked\r\n\r\n" .. chunks, 5000)
    assert.equal(("x"):rep(5000), response.body)
  end)

  it("reads to the end of the connection if there is no length", function()
    both_ways(ok .. "\r\nhello", function(texts)
      local response, reusable = read(texts)
      assert.equal("hello", response.body)
      assert.is_false(reusable)
    end)
  end)

  it("reads no body of a status that has none", function()
    local head = "Content-Length: 5\r\n\r\n"
    assert.equal("", read("HTTP/1.1 204 No Content\r\n" .. head).body)
    assert.equal("", read("HTTP/1.1 304 Not Modified\r\n" .. head).body)
  end)

  it("skips interim responses", function()
    both_ways("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" .. ok
      .. "Content-Length: 2\r\n\r\n{}", function(texts)
        local response = read(texts)
        assert.equal(200, response.status)
        assert.equal("{}", response.body)
        assert.is_nil(response.headers["x-early"])
      end)
  end)

  it("reports a connection as reusable only if the server keeps it", function()
    local body = "Content-Length: 0\r\n\r\n"
    for head, expected in pairs {
      [ok .. body] = true, [ok .. "Connection: Close\r\n" .. body] = false, ["HTTP/1.0 200 OK\r\n" .. body] = false,
    } do
      local _, reusable = read(head)
      assert.equal(expected, reusable)
    end
  end)

  it("joins repeated headers, whatever their case, and folded lines", function()
    local headers = read(ok .. "X-A: 1 \r\nx-a:\t2\r\nX-B: one\r\n  two\r\nX-C:\r\nContent-Length: 0\r\n\r\n").headers
    assert.same({ ["x-a"] = "1, 2", ["x-b"] = "one two", ["x-c"] = "", ["content-length"] = "0" }, headers)
  end)

  it("reads headers of the largest size in linear time", function()
    local began = os.clock()
    assert(read(ok .. "Content-Length: 0\r\n" .. ("a:\r\n"):rep(60000) .. "\r\n"))
    assert(read(ok .. "Content-Length: 0\r\nX:" .. (" "):rep(250000) .. "x" .. "\r\n\r\n"))
    assert(read(ok .. "Content-Length: 0\r\nX:" .. (" "):rep(250000) .. "\r\n\r\n"))
    assert.is_true(os.clock() - began < 10) -- quadratic: minutes
  end)

  it("stops at a header of more than 256 KiB", function()
    local socket = scripted_socket.new { ok .. "X: ", function() return ("x"):rep(1000) end }
    setmetatable(socket.script, { __index = function(script) return script[2] end })
    local _, err = http1.read(socket, 1000)
    assert.equal("too_large", err.kind)
    assert.is_true(socket.at < 300)
    assert_failure("too_large", ok .. ("X: 1234567890\r\n"):rep(20000) .. "\r\n")
    assert_failure("too_large", ("HTTP/1.1 100 Continue\r\n\r\n"):rep(20000) .. ok .. "Content-Length: 0\r\n\r\n")
    assert_failure("too_large", ok .. "Transfer-Encoding: chunked\r\n\r\n0\r\n" .. ("X: 1234567890\r\n"):rep(20000))
    assert(read(ok .. "Content-Length: 0\r\nX: " .. ("x"):rep(262000) .. "\r\n\r\n"))
  end)

  it("reads no more of a body than max_body_bytes", function()
    local whole = ("x"):rep(1000)
    assert.equal(whole, read(ok .. "Content-Length: 1000\r\n\r\n" .. whole).body)
    assert.equal(whole, read(ok .. "\r\n" .. whole).body)
    assert.equal(whole, read(ok .. "Transfer-Encoding: chunked\r\n\r\n3E8\r\n" .. whole .. "\r\n0\r\n\r\n").body)
    assert_failure("too_large", ok .. "Content-Length: 1001\r\n\r\n")
    assert_failure("too_large", ok .. "Content-Length: " .. ("9"):rep(400) .. "\r\n\r\n")
    assert_failure("too_large", ok .. "\r\n" .. whole .. "x")
    assert_failure("too_large", ok .. "Transfer-Encoding: chunked\r\n\r\n3E8\r\n" .. whole .. "\r\n1\r\nx\r\n0\r\n\r\n")
    assert_failure("too_large", ok .. "Transfer-Encoding: chunked\r\n\r\n" .. ("F"):rep(300) .. "\r\n")
  end)

  it("reports a connection that breaks anywhere", function()
    local whole = ok .. "Content-Length: 5\r\n\r\nhello"
    for length = 0, #whole - 1 do assert_failure("connection", whole:sub(1, length)) end
    whole = ok .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    for length = #ok, #whole - 1 do assert_failure("connection", whole:sub(1, length)) end
    assert_failure("connection", { problem = "connection reset by peer" })
    assert_failure("timeout", { ok, problem = "timeout" })
  end)

  it("marks the error if the server sent nothing", function()
    assert.is_true(assert_failure("connection", {}).silent)
    assert.is_falsy(assert_failure("connection", "H").silent)
    assert.is_falsy(assert_failure("timeout", { problem = "timeout" }).silent)
    local broken = scripted_socket.new { unsent = "broken pipe" }
    local _, err = http1.write(broken, { method = "GET", headers = {} }, "/", "localhost")
    assert.is_true(err.silent)
  end)

  it("refuses what is not HTTP/1.1", function()
    assert_failure("connection", "SSH-2.0-OpenSSH_9.2\r\n")
    assert_failure("connection", "HTTP/2 200\r\n\r\n")
    assert_failure("connection", "HTTP/1.1 OK\r\n\r\n")
    assert_failure("connection", ok .. "Content-Length: -1\r\n\r\n")
    assert_failure("connection", ok .. "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
    assert_failure("connection", ok .. "Transfer-Encoding: gzip, chunked\r\n\r\n")
    for _, chunks in ipairs { "hello", "\r\n", "5\r\nhello!!\r\n", ("0"):rep(5000) .. "\r\n" } do
      assert_failure("connection", ok .. "Transfer-Encoding: chunked\r\n\r\n" .. chunks .. "\r\n0\r\n\r\n")
    end
    assert_failure("decode", ok .. "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n")
  end)

  it("reads the status of a proxy's response to CONNECT, and no byte after it", function()
    local socket = scripted_socket.new { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Established\r\nX: 1\r\n\r\nTLS" }
    assert.equal(200, http1.read_status(socket))
    assert.equal("TLS", socket:receive(3))
    local status, err = http1.read_status(scripted_socket.new {})
    assert.is_nil(status)
    assert.equal("connection", err.kind)
  end)
end)
