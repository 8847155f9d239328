--- Loads the two C modules. If one does not load, the error says in a few lines what is wrong and what to do. It must
--- not know what the modules offer.
---
---     local core = require("retab.native").core()
local native = {}

--- The version of the Lua files. Both C modules must have the same one, from csrc/version.h.
local version = "0.2.0"

local lua = rawget(_G, "jit") and "LuaJIT" or _VERSION
--- The version of the ABI, which names the build directory and is what LuaRocks takes.
local abi = _VERSION:match "%d+%.%d+"

local function how_to_build()
  return ("Run scripts/build in the checkout of retab, or luarocks --lua-version %s make."):format(abi)
end

local function not_found(name)
  return ([[
retab is not built for %s: %s was not found on package.cpath.
%s
If it is built, put it on package.cpath: package.cpath = "DIRECTORY/lua/%s/?.so;" .. package.cpath]])
    :format(lua, name, how_to_build(), abi)
end

local function another_lua(name, path)
  return ([[
%s is built for another Lua than %s, or this program does not export its Lua (docs/embedding.md).
%s
If it is built, put that build first on package.cpath: package.cpath = "DIRECTORY/lua/%s/?.so;" .. package.cpath]])
    :format(path or name, lua, how_to_build(), abi)
end

local function no_libcurl(name, reason)
  return ([[
%s needs libcurl, which is not installed: %s
Install it: apt-get install libcurl4 (Debian, Ubuntu), dnf install libcurl (Fedora), apk add libcurl (Alpine).]])
    :format(name, reason)
end

local function another_version(name, found)
  return ([[
The Lua files of retab have version %s, but %s has version %s: they are from two installations.
%s
Then remove the other one from package.path or package.cpath.]])
    :format(version, name, found or "0.1.0 or earlier", how_to_build())
end

--- Lua's own message that a module was not found starts so, and goes on with every path.
local function is_not_found(message, name)
  return message:find("module '" .. name .. "' not found", 1, true) ~= nil
end

--- Returns true if the loader or the module itself found that it is not for this Lua. The words are those of glibc,
--- musl and macOS, and of luaL_checkversion.
local function is_for_another_lua(reason)
  local symbol = reason:find "undefined symbol: luaL?_" or reason:find "luaL?_%w+: symbol not found"
    or reason:find "ymbol not found[^\n]*_luaL?_"
  return symbol or reason:find "version mismatch" or reason:find "multiple Lua VMs" or reason:find "numeric types"
end

--- Returns true if the loader did not find libcurl, in the words of glibc, musl and macOS.
local function is_without_libcurl(reason)
  return reason:find "libcurl[^\n]*cannot open shared object" or reason:find "loading shared library libcurl"
    or reason:find "Library not loaded[^\n]*libcurl"
end

local function explain(name, message)
  if is_not_found(message, name) then return not_found(name) end
  local path, reason = message:match "^error loading module '.-' from file '(.-)':%s*(.*)$"
  reason = (reason or message):match "[^\n]*"
  if is_for_another_lua(reason) then return another_lua(name, path) end
  if is_without_libcurl(reason) then return no_libcurl(name, reason) end
  return ("%s does not load: %s"):format(path or name, reason)
end

--- Loads a module. `field` is where it has the version of this library.
local function load(name, field)
  local ok, module = pcall(require, name)
  if not ok then error(explain(name, tostring(module)), 0) end
  if module and module[field] ~= version then error(another_version(name, module[field]), 0) end
  return module
end

--- Returns the module `retab.core`.
--- @return table core
--- Raises a string of at most three lines if it does not load, or has another version than the Lua files.
function native.core()
  return load("retab.core", "version")
end

--- Returns the module `retab.curl`, and loads libcurl with it. A program that has a transport of its own and no libcurl
--- has `require "retab.curl"` return false: package.preload["retab.curl"] = function() return false end.
--- @return table|false curl
--- Raises a string of at most three lines if it does not load, or has another version than the Lua files.
function native.curl()
  return load("retab.curl", "library") -- its `version` is that of libcurl
end

--- The same for a driver that needs it.
--- @return table curl
--- Raises also where the program has no libcurl.
function native.transport()
  local curl = native.curl()
  if not curl then
    error("this program has no libcurl (retab.curl): pass retab.new the option 'driver', a transport of your own", 0)
  end
  return curl
end

return native
