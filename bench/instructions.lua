--- Counts instructions under callgrind, which are the same on every run where times are not: of decoding a page, and of
--- one list over a scripted transport (request built, answer read, page parsed). Compares them with the recorded ones.
--- Usage: instructions.lua check|record BUILD [COMPILER]
---   check   fails where a count is more than 3 % above the recorded one; says where there is nothing to compare with
---   record  writes the counts down
local documents = require "bench.documents"

local tolerance = 0.03

local recorded = "bench/instructions.txt"

--- As CTest's SKIP_RETURN_CODE has it.
local skipped = 77

--- How often each is done. The difference of two counts leaves out the start.
local few, many = 5, 15

--- Lua hashes with another seed in every process, which makes two in a hundred: the median of so many is steady.
local processes = 5

local decode = [[
local core = require "retab.core"
for _ = 1, tonumber(arg[1]) do core.decode(text) end
]]

local decode_fields = [[
local core = require "retab.core"
local options = { fields = { "data.id", "data.lifecycle.status", "data.score" } }
for _ = 1, tonumber(arg[1]) do core.decode(text, options) end
]]

local list = [[
local retab = require "retab"
local answer = { status = 200, headers = { ["content-type"] = "application/json" }, body = text }
local driver = { send = function() return {} end, await = function() return answer end, cancel = function() end,
  sleep = function() end, now = function() return 0 end }
local runs = retab.new { api_key = "bench", driver = driver }.workflows.experiments.runs
local params = { experiment_id = "exp_abc", status = "completed", from_date = "2026-05-01", limit = 100 }
for _ = 1, tonumber(arg[1]) do assert(runs.list(params)) end
]]

local works = { { "decode", decode }, { "decode-fields", decode_fields }, { "list", list } }

local mode, build, compiler = arg[1], arg[2], arg[3]

local function read_file(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

local function cached(name)
  return (read_file(build .. "/CMakeCache.txt") or ""):match("\n" .. name .. ":%a+=([^\n]*)")
end

local function first_line(command)
  local output = assert(io.popen(command .. " 2>&1"))
  local line = output:read("*l")
  output:close()
  return line
end

--- What the counts depend on, in a line.
local function toolchain()
  local flags = ("%s %s"):format(cached "CMAKE_C_FLAGS" or "", cached "CMAKE_C_FLAGS_RELEASE" or "")
  return ("%s; %s; %s; %s; %s"):format(compiler or first_line((cached "CMAKE_C_COMPILER" or "cc") .. " --version"),
    cached "CMAKE_BUILD_TYPE" ~= "" and cached "CMAKE_BUILD_TYPE" or "Release", (flags:gsub("^%s+", "")),
    first_line "uname -m", first_line("lua5.4 -v"):match("^Lua [%d.]+"))
end

--- The instructions that a script takes.
local function count(path, times)
  local output = assert(io.popen(("valgrind --tool=callgrind --callgrind-out-file=/dev/null lua5.4 %s %d 2>&1")
    :format(path, times)))
  local text = output:read("*a")
  output:close()
  return tonumber((assert(text:match("Collected : (%d+)"), text)))
end

--- The instructions that one time takes.
local function measure(source)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  -- The collector is stopped and stepped by nobody: when it runs is not the decoder's doing.
  file:write(('collectgarbage("stop") local text = %q\n'):format(documents.page(1)), source)
  file:close()
  local counts, start = {}, count(path, few)
  for index = 1, processes do counts[index] = (count(path, many) - start) // (many - few) end
  os.remove(path)
  table.sort(counts)
  return counts[(processes + 1) // 2]
end

--- The recorded counts, and what they were counted with.
local function read_recorded()
  local counts = {}
  local text = read_file(recorded) or ""
  for name, value in text:gmatch("\n([%w-]+) (%d+)") do counts[name] = tonumber(value) end
  return counts, text:match("\nwith ([^\n]+)")
end

local function write_recorded(counts, with)
  local file = assert(io.open(recorded, "w"))
  file:write "# Instructions of one time each, by callgrind: scripts/bench record writes them, scripts/test compares.\n"
  file:write("with ", with, "\n")
  for _, work in ipairs(works) do file:write(("%s %d\n"):format(work[1], counts[work[1]])) end
  file:close()
end

if not first_line "command -v valgrind" then
  print "valgrind is not installed: nothing is counted"
  os.exit(skipped)
end

local with = toolchain()
local before, before_with = read_recorded()
if mode == "check" and with ~= before_with then
  print(("the counts were recorded with %s; this is %s: nothing to compare"):format(before_with or "nothing", with))
  os.exit(skipped)
end

local counts, failed = {}, false
for _, work in ipairs(works) do
  local name = work[1]
  counts[name] = measure(work[2])
  local change = before[name] and counts[name] / before[name] - 1
  print(("%-14s %9d %s"):format(name, counts[name],
    change and ("%+.2f %% of the recorded %d"):format(change * 100, before[name]) or "not recorded"))
  if mode == "check" and (not change or change > tolerance) then failed = true end
  if mode == "check" and change and change < -tolerance then
    print "  an improvement: scripts/bench record keeps it"
  end
end
if mode == "record" then write_recorded(counts, with) end
if failed then
  print(("more than %d %% above what was recorded: find out why, or record it (scripts/bench record)"):format(
    tolerance * 100))
end
os.exit(failed and 1 or 0)
