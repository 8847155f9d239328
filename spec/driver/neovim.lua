--- Runs a script in a headless Neovim without the user's settings, whose LuaJIT finds the modules of the build.
local neovim = {}

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/driver/neovim%.lua$")

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function absolute(path)
  return path:find("^/") and path or root .. path
end

--- Returns the Lua source of a value: text, numbers, booleans, and tables of them.
local function dump(value)
  if type(value) ~= "table" then return type(value) == "string" and ("%q"):format(value) or tostring(value) end
  local parts = {}
  for key, item in pairs(value) do parts[#parts + 1] = ("[%s]=%s"):format(dump(key), dump(item)) end
  return "{" .. table.concat(parts, ",") .. "}"
end

neovim.dump = dump

--- The Neovim that the specs run. RETAB_NVIM names another one than that of the system.
neovim.program = quote(os.getenv "RETAB_NVIM" or "nvim")

--- Runs a script, which finds `given` in the global of that name, and then exits Neovim with :qall.
--- @param script string Lua
--- @param given table|nil
--- @return any result what the script returned
--- @return string output of Neovim, with its messages
--- @return number status
function neovim.run(script, given)
  local path, result_path = os.tmpname(), os.tmpname()
  local build = absolute(os.getenv "BUILD" or "build")
  local file = assert(io.open(path, "w"))
  file:write(([[
package.path = %q .. package.path
package.cpath = %q .. package.cpath
given = %s
local function main()
%s
end
local ok, result = xpcall(main, debug.traceback)
local file = assert(io.open(%q, "w"))
file:write("return ", ok and require "spec.driver.neovim".dump(result) or ("error(%%q, 0)"):format(result))
file:close()
vim.cmd "qall!"
]]):format(("%slua/?.lua;%slua/?/init.lua;%s?.lua;%s?/init.lua;"):format(root, root, root, root),
    build .. "/lua/5.1/?.so;", dump(given or {}), script, result_path))
  file:close()
  local command = "env -u LUA_PATH -u LUA_CPATH timeout 100 %s --headless -u NONE -i NONE -n -c %s 2>&1"
  local pipe = io.popen(command:format(neovim.program, quote("luafile " .. path)) .. "; echo status $?")
  local output, status = pipe:read "*a":match "^(.*)status (%d+)\n$"
  pipe:close()
  local chunk = assert(loadfile(result_path))
  os.remove(path)
  os.remove(result_path)
  local ok, result = pcall(chunk)
  if not ok then error(tostring(result) .. "\n" .. output, 2) end
  return result, output, tonumber(status)
end

return neovim
