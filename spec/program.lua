--- Runs programs of this project as processes, with the Lua that runs the specs, and returns what they print and how
--- they end.
local program = {}

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/program%.lua$")

--- The version, as scripts/lua expects it.
program.version = rawget(_G, "jit") and "jit" or _VERSION:match("%d%.%d")

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function contents(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  os.remove(path)
  return text
end

--- Variables of the environment that would change what a program does.
local strange = {
  "COLUMNS", "RETAB_API_KEY", "RETAB_API_BASE_URL", "RETAB_BASE_URL", "RETAB_AUTH", "RETAB_DEBUG", "SSL_CERT_FILE",
  "SSL_CERT_DIR", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
}

--- Runs a script of the project to its end, with an empty standard input.
--- @param path string from the project's directory, or an absolute one
--- @param arguments table|nil
--- @param environment table|nil names and values
--- @param around table|nil `under`: a command to run it under; `into`: one that reads its standard output
--- @return table result { stdout, stderr, status }
function program.run(path, arguments, environment, around)
  around = around or {}
  local words = { around.under or "", "env" }
  for _, name in ipairs(strange) do words[#words + 1] = "-u " .. name end
  for name, value in pairs(environment or {}) do words[#words + 1] = quote(name .. "=" .. value) end
  words[#words + 1] = quote("scripts/lua")
  words[#words + 1] = program.version
  words[#words + 1] = quote(path)
  for _, argument in ipairs(arguments or {}) do words[#words + 1] = quote(argument) end
  local stdout, stderr, status = os.tmpname(), os.tmpname(), os.tmpname()
  os.execute(("cd %s && { %s 2>%s </dev/null; echo $? >%s; } %s >%s"):format(quote(root == "" and "." or root),
    table.concat(words, " "), stderr, status, around.into and "| " .. around.into or "", stdout))
  return { stdout = contents(stdout), stderr = contents(stderr), status = tonumber(contents(status)) }
end

--- Runs Lua source as a script.
function program.run_source(source, arguments, environment)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(source)
  file:close()
  local result = program.run(path, arguments, environment)
  os.remove(path)
  return result
end

--- @param text string
--- @return string[] lines
function program.lines(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

return program
