rockspec_format = "3.0"
package = "retab"
version = "0.2.0-1"
source = {
  url = "git+https://github.com/retab-dev/retab-lua",
  tag = "v0.2.0",
}
description = {
  summary = "Lists the experiment runs of Retab, page by page, from any Lua",
  detailed = [[
A client of the Retab API for Lua 5.1 to 5.5 and LuaJIT: a C core that turns bytes into pages, libcurl to move
the bytes, and a thin Lua layer that retries, follows the cursors and waits as its host does.]],
  license = "MIT",
  homepage = "https://github.com/retab-dev/retab-lua",
}
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.1, < 5.6",
  "argparse >= 0.7", -- for bin/retab-runs
}
-- The builtin type leaves its object files among the sources, and says nothing useful if libcurl's headers are missing.
build = {
  type = "command",
  install_command = [[CC="$(CC)" CFLAGS="$(CFLAGS)" LIBFLAG="$(LIBFLAG)" LUA_INCDIR="$(LUA_INCDIR)" \
    LIBDIR="$(LIBDIR)" LUADIR="$(LUADIR)" sh rockspec/install]],
  install = {
    bin = { "bin/retab-runs" },
  },
}
