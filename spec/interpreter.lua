--- Other processes of the Lua that this is, for what can't be seen or set from within: the environment, what a first
--- `require` loads.
local interpreter = {}

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/interpreter%.lua$")

interpreter.version = rawget(_G, "jit") and "jit" or _VERSION:match("%d%.%d")

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a script; gives what it prints on standard output, and its exit status.
--- @param script string Lua source
--- @param environment table|nil names and values; false takes a name out
--- @return string output
--- @return number status
function interpreter.run(script, environment)
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
  words[#words + 1] = ("%s %s %s; echo exit $?"):format(quote(root .. "scripts/lua"), interpreter.version, quote(path))
  local process = assert(io.popen(table.concat(words, " ")))
  local output = process:read "*a"
  process:close()
  os.remove(path)
  local printed, status = output:match("^(.*)exit (%d+)\n$")
  return printed, tonumber(status)
end

--- A new, empty directory; the second value removes it with all that is in it.
function interpreter.directory()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir " .. quote(path)))
  return path, function() os.execute("rm -rf " .. quote(path)) end
end

return interpreter
