--- Another process with the interpreter of this one, for what shows only at the end of a process or in its environment.
local child = {}

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function interpreter()
  local index = 0
  while arg and arg[index - 1] do index = index - 1 end
  return index < 0 and arg[index] or jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
end

--- Starts a child.
--- @param code string Lua
--- @param environment table|nil variables; false takes one away
--- @return file output standard output and errors, whose last line is "status N"
function child.start(code, environment)
  local parts = { "env" }
  for name, value in pairs(environment or {}) do
    if value == false then table.insert(parts, 2, "-u " .. name) end
  end
  for name, value in pairs(environment or {}) do
    if value then parts[#parts + 1] = quote(name .. "=" .. value) end
  end
  parts[#parts + 1] = interpreter()
  parts[#parts + 1] = "-e " .. quote(code)
  return assert(io.popen(table.concat(parts, " ") .. " 2>&1; echo status $?", "r"))
end

--- What a child wrote, and its exit status.
function child.finish(output)
  local text = output:read("*a")
  output:close()
  local written, status = text:match("^(.*)status (%d+)\n$")
  return written, tonumber(status)
end

--- Runs a child to its end.
function child.run(code, environment)
  return child.finish(child.start(code, environment))
end

return child
