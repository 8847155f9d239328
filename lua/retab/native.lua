--- Loads the two C modules. If one does not load, the error says in a few lines what is wrong and what to do. This file
--- does not know what the modules do.
---
---     local core = require("retab.native").core()
local native = {}

--- The version of the Lua files. Both C modules must have the same version: that of csrc/version.h.
local version = "0.2.0"

local lua = rawget(_G, "jit") and "LuaJIT" or _VERSION
--- The version of Lua as build directories and LuaRocks have it. That of LuaJIT is 5.1.
local abi = _VERSION:match "%d+%.%d+"

local build_command = ("run scripts/build in the checkout of retab, or luarocks --lua-version %s make."):format(abi)
--- Without its headers, scripts/build leaves out a version of Lua.
local how_to_build = ("Install the headers of Lua %s (Debian: liblua%s-dev), then %s")
  :format(abi, abi == "5.1" and "5.1-0" or abi, build_command)

local function not_found(name)
  return ([[
retab is not built for %s: %s was not found on package.cpath.
%s
If it is built, put it on package.cpath: package.cpath = "DIRECTORY/lua/%s/?.so;" .. package.cpath]])
    :format(lua, name, how_to_build, abi)
end

local function another_lua(name, path)
  return ([[
%s is built for another Lua than %s, or this program does not export its Lua (docs/embedding.md).
%s
If it is built, put that build first on package.cpath: package.cpath = "DIRECTORY/lua/%s/?.so;" .. package.cpath]])
    :format(path or name, lua, how_to_build, abi)
end

local function no_libcurl(name, reason)
  return ([[
%s needs libcurl, which is not installed: %s
Install it: apt-get install libcurl4 (Debian, Ubuntu), dnf install libcurl (Fedora), apk add libcurl (Alpine).]])
    :format(name, reason)
end

local function another_version(name, found)
  return ([[
The Lua files of retab have version %s, but %s has version %s.
Build again after each update: %s
If that does not help, there are two installations: remove one of them from package.path or package.cpath.]])
    :format(version, name, found or "0.1.0 or earlier", build_command)
end

--- Returns true if the message is Lua's own about a module that was not found: it lists all paths.
local function is_not_found(message, name)
  return message:find("module '" .. name .. "' not found", 1, true) ~= nil
end

--- Returns true if the reason is that the module is for another Lua, in the words of the dynamic loader (glibc, musl,
--- macOS) or of luaL_checkversion.
local function is_for_another_lua(reason)
  local symbol = reason:find "undefined symbol: luaL?_" or reason:find "luaL?_%w+: symbol not found"
    or reason:find "ymbol not found[^\n]*_luaL?_"
  return symbol or reason:find "version mismatch" or reason:find "multiple Lua VMs" or reason:find "numeric types"
end

--- Returns true if the reason is that libcurl was not found, in the words of the dynamic loader.
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

--- Loads a module, whose `field` is the version of this library.
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

--- Returns the module `retab.curl`, and loads libcurl with it.
--- @return table|false curl false in a program that declares that it has no libcurl:
---   package.preload["retab.curl"] = function() return false end
--- Raises a string of at most three lines if it does not load, or has another version than the Lua files.
function native.curl()
  return load("retab.curl", "library") -- its `version` is that of libcurl
end

--- Returns the module `retab.curl` for a driver that needs it.
--- @return table curl
--- Raises as native.curl does, and if the program has no libcurl.
function native.transport()
  local curl = native.curl()
  if not curl then
    error("this program has no libcurl (retab.curl): pass retab.new the option 'driver', a transport of your own", 0)
  end
  return curl
end

return native
