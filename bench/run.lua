--- Runs the benchmarks, each in a process of its own, and prints a table. A run of all of them also writes
--- bench/results.md.
--- Usage: run.lua [NAME...]      only some of them: decode, walk ...

--- The benchmarks in order, each with the Luas that it runs under.
local benchmarks = {
  { "decode", "5.4", "jit" }, { "fields", "5.4" }, { "skip", "5.4" }, { "shapes", "5.4", "jit" }, { "walk", "5.4" },
  { "prefetch", "5.4" }, { "parallel", "5.4" }, { "memory", "5.4" }, { "start", "5.4" }, { "tool", "5.4" },
  { "allocations", "5.4" }, { "nginx", "5.4" },
}

local results = "bench/results.md"
local columns = { "work", "ours", "peer", "theirs", "ratio", "spread", "target", "met" }

local chosen = {}
for _, name in ipairs(arg) do chosen[name] = true end

local function first_line(command)
  local output = assert(io.popen(command .. " 2>&1"))
  local line = output:read("*l")
  output:close()
  return line or "?"
end

local function matching(path, pattern)
  local file = io.open(path)
  for line in file and file:lines() or function() end do
    local found = line:match(pattern)
    if found then
      file:close()
      return found
    end
  end
  return "?"
end

--- The machine and the versions that the figures depend on.
local function machine()
  local lines = {
    ("- %s, %s cores, Linux %s"):format(matching("/proc/cpuinfo", "^model name%s*:%s*(.+)$"),
      first_line "getconf _NPROCESSORS_ONLN", first_line("uname -r"):match("^[%d.]+")),
    "- " .. first_line "cc --version",
    ("- %s; %s"):format(first_line "lua5.4 -v", first_line "luajit -v"),
    "- " .. first_line "curl --version",
    "- " .. first_line "/usr/sbin/nginx -v",
  }
  for _, command in ipairs { "go version", "node --version", "python3 --version" } do
    local line = first_line(command)
    if not line:find "not found" then
      lines[#lines + 1] = "- " .. (command:match "^node" and "Node " or "") .. line
    end
  end
  local packages = io.popen "dpkg-query -W -f '${Package} ${Version}\\n' lua-cjson lua-socket lua-http lua-curl 2>&1"
  for line in packages:lines() do
    if not line:find "no packages found" then lines[#lines + 1] = "- " .. line end
  end
  packages:close()
  return lines
end

local function load()
  return matching("/proc/loadavg", "^(%S+)")
end

local rows, notes, seen_notes, failed = {}, {}, {}, {}

local function read(line)
  local kind, rest = line:match("^(%a+)\t(.*)$")
  if kind == "row" then
    local row = {}
    for value in (rest .. "\t"):gmatch("([^\t]*)\t") do row[#row + 1] = value end
    rows[#rows + 1] = row
  elseif kind == "note" and not seen_notes[rest] then
    seen_notes[rest] = true
    notes[#notes + 1] = rest
  end
end

--- Runs a benchmark and reads its rows.
local function run(name, version)
  io.stderr:write(("%s (%s)\n"):format(name, version))
  local output = assert(io.popen(("scripts/lua %s bench/%s.lua; echo status $?"):format(version, name)))
  for line in output:lines() do
    local status = line:match("^status (%d+)$")
    if not status then
      read(line)
    elseif status ~= "0" then
      failed[#failed + 1] = ("%s (%s)"):format(name, version)
    end
  end
  output:close()
end

--- Returns the number of characters of a UTF-8 text.
local function width(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

local function print_table()
  local widths = {}
  for column, title in ipairs(columns) do
    widths[column] = width(title)
    for _, row in ipairs(rows) do widths[column] = math.max(widths[column], width(row[column])) end
  end
  local function print_row(row)
    local cells = {}
    for column, value in ipairs(row) do cells[column] = value .. (" "):rep(widths[column] - width(value)) end
    print((table.concat(cells, "  "):gsub("%s+$", "")))
  end
  print_row(columns)
  for _, row in ipairs(rows) do print_row(row) end
end

local function write_results(summary, load_before)
  local file = assert(io.open(results, "w"))
  local function line(text) file:write(text, "\n") end
  line "# Results of the benchmarks\n"
  line "Written by `scripts/bench`. Times are medians of interleaved rounds; a ratio is ours / theirs, the median of"
  line "the ratios of each round, and the spread holds the middle half of them. Smaller is faster.\n"
  for _, fact in ipairs(machine()) do line(fact) end
  line(("- load when it began: %s\n"):format(load_before))
  line("| " .. table.concat(columns, " | ") .. " |")
  line("|" .. (" --- |"):rep(#columns))
  for _, row in ipairs(rows) do line("| " .. table.concat(row, " | ") .. " |") end
  line("")
  for _, note in ipairs(notes) do line("- " .. note) end
  line((notes[1] and "\n" or "") .. summary)
  file:close()
end

local load_before = load()
for _, benchmark in ipairs(benchmarks) do
  for index = 2, #benchmark do
    if not next(chosen) or chosen[benchmark[1]] then run(benchmark[1], benchmark[index]) end
  end
end

local targets, missed = 0, {}
for _, row in ipairs(rows) do
  if row[8] ~= "" then targets = targets + 1 end
  if row[8] == "NO" then missed[#missed + 1] = ("%s, beside %s"):format(row[1], row[3]) end
end
local summary = ("%d of %d targets are met."):format(targets - #missed, targets)
if missed[1] then summary = summary .. "\n\nMissed:\n- " .. table.concat(missed, "\n- ") end
for _, name in ipairs(failed) do summary = summary .. "\n\nThe benchmark " .. name .. " failed." end

print_table()
for _, note in ipairs(notes) do print(note) end
print("\n" .. summary)
if not next(chosen) then write_results(summary, load_before) end
os.exit(failed[1] and 1 or 0)
