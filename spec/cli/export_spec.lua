--- retab-runs --resume FILE: an export that is killed at any byte and started again is complete, and has no row twice.
local program = require "spec.program"
local tool = require "spec.cli.tool"

local retab_runs, server = tool.run, tool.server
local formats = { "jsonl", "csv" }

--- A command to run another one under, which kills it with SIGKILL as soon as a file has so many bytes.
local killer = [[sh -c 'path=$1 bytes=$2; shift 2; "$@" & child=$!
  while kill -0 $child 2>/dev/null && [ "$(cat "$path" 2>/dev/null | wc -c)" -lt "$bytes" ]; do :; done
  kill -9 $child 2>/dev/null; wait $child' sh '%s' %.0f]]

local function export(base_url, path, format, more)
  local arguments = { "--resume", path, "-o", format }
  for _, argument in ipairs(more or {}) do arguments[#arguments + 1] = argument end
  return retab_runs(base_url, arguments)
end

describe("retab-runs --resume", function()
  local path

  before_each(function() path = tool.new_path "'s file" end)
  after_each(function() os.remove(path) end)

  for _, format in ipairs(formats) do
    it("exports what the same list prints, as " .. format, function()
      local base_url = server:scenario { runs = 450 }
      local result = export(base_url, path, format)
      assert.equal(0, result.status)
      assert.equal("", result.stdout)
      assert.equal(retab_runs(base_url, { "--all", "-o", format }).stdout, tool.read(path))
    end)

    it("goes on after the last whole row of a file that ends at any byte, as " .. format, function()
      local base_url = server:scenario { runs = 30 }
      export(base_url, path, format)
      local whole = tool.read(path)
      math.randomseed(os.time())
      local places = { 0, 1, #whole - 1, #whole, whole:find("\n", 1, true), whole:find("\n", 1, true) - 1 }
      for _ = 1, 12 do places[#places + 1] = math.random(0, #whole) end
      for _, place in ipairs(places) do
        tool.write(path, whole:sub(1, place))
        local result = export(base_url, path, format)
        assert.equal(0, result.status, result.stderr)
        assert.equal(whole, tool.read(path), ("cut at byte %d"):format(place))
      end
    end)

    it("is complete after it was killed while it walked, as " .. format, function()
      local base_url = server:scenario { runs = 1500, latency = 0.02 }
      local expected = retab_runs(base_url, { "--all", "-o", format }).stdout
      local kills = 0
      for attempt = 1, 8 do
        -- it is killed once the file is as long as this; the last attempt may end
        local target = attempt < 8 and math.random((attempt - 1) * 100, attempt * 100) / 800 * #expected or math.huge
        local result = retab_runs(base_url, { "--resume", path, "-o", format, "-q" }, {},
          { under = killer:format((path:gsub("'", "'\\''")), math.min(target, 1e9)) })
        if result.status == 137 then kills = kills + 1 end
        local text = tool.read(path) or ""
        assert.equal(expected:sub(1, #text), text)
      end
      assert.is_true(kills > 0)
      assert.equal(expected, tool.read(path))
    end)
  end

  it("does not take a line break in a cell for the end of a row", function()
    local rows = '{"id":"a","block_id":"x\\ny"},{"id":"b,\\"\\n","block_id":"z"}'
    local base_url = tool.answering(tool.envelope(rows))
    export(base_url, path, "csv", { "--columns", "block_id,id" })
    local whole = tool.read(path)
    assert.equal('block_id,id\r\n"x\ny",a\r\nz,"b,""\n"\r\n', whole)
    tool.write(path, whole:sub(1, -2))
    local id
    base_url, id = server:scenario { runs = 0 }
    export(base_url, path, "csv", { "--columns", "block_id,id" })
    assert.equal("a", server:requests(id)[1].args.after)
    tool.write(path, whole)
    export(base_url, path, "csv", { "--columns", "block_id,id" })
    assert.equal('b,"\n', server:requests(id)[2].args.after)
  end)

  it("counts the rows that the file has towards --max-items", function()
    local base_url, id = server:scenario { runs = 300 }
    export(base_url, path, "jsonl", { "-n", 40 })
    export(base_url, path, "jsonl", { "-n", 50 })
    assert.equal(50, #program.lines(tool.read(path)))
    local count = #server:requests(id)
    assert.equal(0, export(base_url, path, "jsonl", { "-n", 50 }).status)
    assert.equal(count, #server:requests(id))
  end)

  it("is csv where the name of the file says so", function()
    path = path .. ".csv"
    retab_runs(server:scenario { runs = 2 }, { "--resume", path })
    assert.equal("id,status,", tool.read(path):sub(1, 10))
  end)

  it("goes on after a failure when it is typed again", function()
    local options = { runs = 300, fault = "status", code = 418, at = 3 }
    local base_url = server:scenario(options)
    local result = export(base_url, path, "jsonl")
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("to go on: type the same command again", 1, true))
    assert.equal(0, export(base_url, path, "jsonl").status)
    assert.equal(300, #program.lines(tool.read(path)))
  end)

  it("refuses what would lose or repeat rows", function()
    local base_url, id = server:scenario()
    for message, arguments in pairs {
      ["an age does not: give --from-date 20"] = { "--from-date", "7d" },
      ["leave out --after"] = { "--after", "exprun_1" },
      ["--parallel does not go with --resume"] = { "--parallel", 2, "--from-date", "2026-01-01" },
      ["--resume exports jsonl or csv, not table"] = { "-o", "table" },
      ["--resume needs the column id"] = { "-o", "csv", "--columns", "score" },
      ["--sort does not go with --resume"] = { "--sort", "score" },
    } do
      local words = { "--resume", path }
      for _, word in ipairs(arguments) do words[#words + 1] = word end
      local result = retab_runs(base_url, words)
      assert.equal(2, result.status)
      assert.truthy(result.stderr:find(message, 1, true), result.stderr)
    end
    assert.same({}, server:requests(id))
    assert.is_nil(tool.read(path))
  end)

  it("does not touch a file with other columns, with a last row that has no id, or with something else", function()
    local base_url = server:scenario()
    for text, format in pairs {
      ["id,score\r\na,1\r\n"] = "csv", ["{}\n"] = "jsonl", ["no json\n"] = "jsonl", ["no line break"] = "jsonl",
      ["no header"] = "csv", ['{"name":"settings"}'] = "jsonl",
    } do
      tool.write(path, text)
      assert.equal(2, export(base_url, path, format).status)
      assert.equal(text, tool.read(path))
    end
  end)

  it("does not write rows twice where the server begins again, since it does not know the last row", function()
    for _, format in ipairs(formats) do
      local base_url = tool.answering(tool.envelope('{"id":"a,\\"\\n"}', '{"id":"b"}'))
      assert.equal(0, export(base_url, path, format).status)
      local whole = tool.read(path)
      local result = export(base_url, path, format)
      assert.equal(1, result.status)
      assert.truthy(result.stderr:find("does not know the run of the last row", 1, true), result.stderr)
      assert.equal(whole, tool.read(path))
      os.remove(path)
    end
  end)

  it("is 1 where the file cannot be written", function()
    local result = retab_runs(server:scenario(), { "--resume", "/nowhere/runs.jsonl" })
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find "^retab%-runs: ")
  end)
end)
