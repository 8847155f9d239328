rockspec_format = "3.0"
package = "retab"
version = "scm-1"
source = {
  url = "git+https://github.com/retab-dev/retab-lua",
}
description = {
  summary = "Lists the experiment runs of Retab, page by page, from any Lua",
  detailed = [[
A client of the Retab API for Lua 5.1, LuaJIT, 5.3 and 5.4: a C core that turns bytes into pages, libcurl to move
the bytes, and a thin Lua layer that retries, walks the cursor pages and waits as its host does.]],
  license = "MIT",
  homepage = "https://github.com/retab-dev/retab-lua",
}
dependencies = {
  "lua >= 5.1, < 5.5",
  "argparse >= 0.7", -- of bin/retab-runs
}
build = {
  type = "builtin",
  modules = {
    ["retab.core"] = {
      sources = {
        "csrc/core/cursor.c",
        "csrc/core/envelope.c",
        "csrc/core/fields.c",
        "csrc/core/constructor.c",
        "csrc/core/place.c",
        "csrc/core/json.c",
        "csrc/core/module.c",
        "csrc/core/number.c",
        "csrc/core/query.c",
        "csrc/core/text.c",
      },
      libraries = { "m" },
    },
    ["retab.curl"] = {
      sources = { "csrc/curl/watch.c", "csrc/curl/http.c", "csrc/curl/module.c", "csrc/curl/pool.c" },
      libraries = { "curl", "dl" },
    },
    ["retab.call"] = "lua/retab/call.lua",
    ["retab.cli.grid"] = "lua/retab/cli/grid.lua",
    ["retab.cli.lines"] = "lua/retab/cli/lines.lua",
    ["retab.cli.text"] = "lua/retab/cli/text.lua",
    ["retab.dates"] = "lua/retab/dates.lua",
    ["retab.driver.blocking"] = "lua/retab/driver/blocking.lua",
    ["retab.driver.cqueues"] = "lua/retab/driver/cqueues.lua",
    ["retab.driver.luv"] = "lua/retab/driver/luv.lua",
    ["retab.driver.ngx"] = "lua/retab/driver/ngx.lua",
    ["retab.driver.phases"] = "lua/retab/driver/phases.lua",
    ["retab.driver.resty"] = "lua/retab/driver/resty.lua",
    ["retab.error"] = "lua/retab/error.lua",
    retab = "lua/retab/init.lua",
    ["retab.list"] = "lua/retab/list.lua",
    ["retab.pager"] = "lua/retab/pager.lua",
    ["retab.parallel"] = "lua/retab/parallel.lua",
    ["retab.params"] = "lua/retab/params.lua",
    ["retab.retry"] = "lua/retab/retry.lua",
    ["retab.runs"] = "lua/retab/runs.lua",
    ["retab.task"] = "lua/retab/task.lua",
    ["retab.types"] = "lua/retab/types.lua",
    ["retab.url"] = "lua/retab/url.lua",
    ["retab.window"] = "lua/retab/window.lua",
  },
  install = {
    bin = { "bin/retab-runs" },
  },
}
