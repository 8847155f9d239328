--- The headers of a response, from the lines of a header or from a table.
local headers = require "retab.headers"
local interpreter = require "spec.interpreter"

describe("headers.read", function()
  it("reads the lines of a header", function()
    assert.same({ ["content-type"] = "application/json; charset=utf-8", empty = "", ["x-time"] = "12:30", bare = "x" },
      headers.read "Content-Type: application/json; charset=utf-8 \t\r\nEmpty:\r\nX-TIME:12:30\r\nbare:   x\n")
    assert.same({}, headers.read "")
    assert.same({ a = "1" }, headers.read "no field\r\n: nameless\r\n : b\r\na \t : 1\r\n")
  end)

  it("joins a value that continues on the next line", function()
    assert.same({ long = "one two", b = "1" }, headers.read "Long: one\r\n\t  two\r\nb: 1\r\n")
  end)

  it("ends no line at a carriage return alone", function()
    assert.same({ a = "1 b: 2", c = "3" }, headers.read "a: 1\rb: 2\r\r\nc: 3\r\n")
  end)

  it("compares names in any case whatever the locale is", function()
    local directory, remove = interpreter.directory()
    os.execute(("localedef -i tr_TR -f UTF-8 --no-archive %s/tr_TR >%s/log 2>&1"):format(directory, directory))
    local output = interpreter.run([[
      if not os.setlocale "tr_TR" then return print "no locale" end
      local headers = require "retab.headers"
      print(headers.read("X-Request-ID: 1\r\n")["x-request-id"], headers.read({ ["X-ID"] = 2 })["x-id"])
    ]], { LOCPATH = directory })
    remove()
    if output == "no locale\n" then return pending "the locale tr_TR cannot be made" end
    assert.equal("1\t2\n", output)
  end)

  it("joins the values of a repeated name, in their order", function()
    local lines, values = {}, {}
    for index = 1, 60000 do lines[index], values[index] = ("a:%d\n"):format(index), tostring(index) end
    assert.same({ a = table.concat(values, ", "), b = "1, 2" },
      headers.read("b: 1\r\n" .. table.concat(lines) .. "B: 2\r\n"))
  end)

  it("reads long lines in linear time", function()
    local spaces = (" "):rep(200000)
    assert.same({}, headers.read(("\r"):rep(250000)))
    assert.same({}, headers.read(("x"):rep(250000) .. "\r\n" .. (" x"):rep(100000)))
    assert.same({}, headers.read(("x" .. (" "):rep(1000)):rep(250)))
    assert.same({ a = "", b = "x" .. spaces .. "y" },
      headers.read("a:" .. spaces .. "\r\nb: x" .. spaces .. "y" .. spaces .. "\r\n"))
  end)

  it("reads a table with names in any case, and values that are arrays", function()
    assert.same({ ["x-a"] = "1", ["x-b"] = "2, 3" }, headers.read { ["X-A"] = 1, ["x-B"] = { "2", "3" }, [1] = "x" })
    assert.same({}, headers.read(nil))
  end)
end)
