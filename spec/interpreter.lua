--- Other processes of the Lua that this is, for what can't be seen or set from within: the environment, what a first
--- `require` loads.
local interpreter = {}

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/interpreter%.lua$")

interpreter.version = rawget(_G, "jit") and "jit" or _VERSION:match("%d%.%d")

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Starts a script, which runs beside this process.
--- @param script string Lua source
--- @param environment table|nil names and values; false takes a name out
--- @param errors boolean|nil whether standard error counts as output
--- @return table process for interpreter.finish
function interpreter.start(script, environment, errors)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local words = { "env" }
  for name, value in pairs(environment or {}) do
    if not value then table.insert(words, 2, "-u " .. quote(name)) end
  end
  for name, value in pairs(environment or {}) do
    if value then words[#words + 1] = quote(name .. "=" .. value) end
  end
  words[#words + 1] = ("%s %s %s%s; echo exit $?"):format(quote(root .. "scripts/lua"), interpreter.version,
    quote(path), errors and " 2>&1" or "")
  return { output = assert(io.popen(table.concat(words, " "))), path = path }
end

--- Waits for the end of a script; gives what it printed on standard output, and its exit status.
--- @return string output
--- @return number status
function interpreter.finish(process)
  local output = process.output:read "*a"
  process.output:close()
  os.remove(process.path)
  local printed, status = output:match("^(.*)exit (%d+)\n$")
  return printed, tonumber(status)
end

--- Runs a script to its end.
function interpreter.run(script, environment, errors)
  return interpreter.finish(interpreter.start(script, environment, errors))
end

--- A new, empty directory; the second value removes it with all that is in it.
function interpreter.directory()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir " .. quote(path)))
  return path, function() os.execute("rm -rf " .. quote(path)) end
end

return interpreter
