--- Runs a script in a headless Neovim that has the plugin and nothing else: an installation of it, in a directory of
--- its own, whose C modules are those of the build under test.
local neovim = require "spec.driver.neovim"

local editor = {}

local here = debug.getinfo(1, "S").source:match("^@(.*)spec/nvim/editor%.lua$")

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function output_of(command)
  local pipe = io.popen(command)
  local text = pipe:read "*a"
  pipe:close()
  return (text:gsub("\n$", ""))
end

local root = output_of("cd " .. quote(here == "" and "." or here) .. " && pwd")

--- What the environment of this process would change.
local strange = {
  "LUA_PATH", "LUA_CPATH", "RETAB_API_KEY", "RETAB_API_BASE_URL", "RETAB_BASE_URL", "RETAB_AUTH", "RETAB_DEBUG",
  "http_proxy", "https_proxy", "all_proxy",
}

--- Installs the plugin into a new directory.
--- @param parts string[]|nil of the checkout; default: all that the plugin needs, and the build
--- @return string directory remove it with editor.remove
function editor.install(parts)
  local directory = output_of "mktemp -d"
  local build = os.getenv "BUILD" or "build"
  if not build:find "^/" then build = root .. "/" .. build end
  for _, part in ipairs(parts or { "plugin", "lua", "doc", "scripts", "build" }) do
    local from = part == "build" and build or root .. "/" .. part
    local command = part == "build" and "ln -s" or "cp -r" -- Neovim finds the plugin where a link leads
    os.execute(("%s %s %s"):format(command, quote(from), quote(directory .. "/" .. part)))
  end
  return directory
end

function editor.remove(directory)
  os.execute("rm -rf " .. quote(directory))
end

--- What every script may call.
local prelude = [[
  local function lines(buffer) return vim.api.nvim_buf_get_lines(buffer or 0, 0, -1, true) end
  local function all(buffer) return table.concat(lines(buffer), "\n") end
  local function messages() return vim.api.nvim_exec("messages", true) end
  local function wait(what, done)
    if not vim.wait(20000, done, 5) then error("waited in vain until " .. what .. "\n" .. all() .. messages(), 2) end
  end
  local function wait_for(text)
    wait("it shows " .. text, function() return all():find(text, 1, true) end)
  end
  local function pause(milliseconds) vim.wait(milliseconds, function() return false end) end
  local function press(keys)
    vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, false, true), "mx", false)
  end
  --- The highlights and virtual texts of a line, from 1: { text, group }.
  local function marks(number, buffer)
    buffer = buffer or vim.api.nvim_get_current_buf()
    local line, found = lines(buffer)[number], {}
    for name, namespace in pairs(vim.api.nvim_get_namespaces()) do
      if name:find "^retab" then
        local all_of_line = { { number - 1, 0 }, { number - 1, -1 } }
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(buffer, namespace, all_of_line[1], all_of_line[2],
          { details = true })) do
          local details = mark[4]
          for _, chunk in ipairs(details.virt_text or {}) do found[#found + 1] = { chunk[1], chunk[2] } end
          if details.hl_group then found[#found + 1] = { line:sub(mark[3] + 1, details.end_col), details.hl_group } end
        end
      end
    end
    return found
  end
  local function floats()
    return vim.tbl_filter(function(window)
      return vim.api.nvim_win_get_config(window).relative ~= ""
    end, vim.api.nvim_list_wins())
  end
]]

--- Runs a script, which finds `given` in the global of that name, and then exits Neovim with :qall.
--- @param script string Lua
--- @param around table { env: variables; directory: an installation, default a new one; ui: a command before nvim;
---   given: a table; globals: vim.g }
--- @return any result what the script returned
--- @return string output of Neovim, with its messages
--- @return number status
function editor.run(script, around)
  around = around or {}
  local directory = around.directory or editor.install()
  local path, result_path = os.tmpname(), os.tmpname()
  local file = assert(io.open(path, "w"))
  local given = neovim.dump(around.given or {})
  file:write(("given = %s\nlocal function main()\n%s\n%s\nend\n"):format(given, prelude, script))
  file:write(([[
local ok, result = xpcall(main, debug.traceback)
local file = assert(io.open(%q, "w"))
package.path = %q
file:write("return ", ok and require "spec.driver.neovim".dump(result) or ("error(%%q, 0)"):format(result))
file:close()
vim.cmd "qall!"
]]):format(result_path, root .. "/?.lua"))
  file:close()
  local words = { "env" }
  for _, name in ipairs(strange) do words[#words + 1] = "-u " .. name end
  for name, value in pairs(around.env or {}) do words[#words + 1] = quote(name .. "=" .. value) end
  words[#words + 1] = ("timeout 100 %s --headless -u NONE -i NONE -n"):format(neovim.program)
  words[#words + 1] = "--cmd " .. quote("set runtimepath^=" .. directory)
  for name, value in pairs(around.globals or {}) do
    words[#words + 1] = "--cmd " .. quote(("lua vim.g[%q] = %s"):format(name, neovim.dump(value)))
  end
  words[#words + 1] = "-c " .. quote "runtime plugin/retab.lua" -- -u NONE loads no plugins
  words[#words + 1] = "-c " .. quote("luafile " .. path)
  local pipe = io.popen(table.concat(words, " ") .. " 2>&1; echo status $?")
  local output, status = pipe:read "*a":match "^(.*)status (%d+)\n$"
  pipe:close()
  if not around.directory then editor.remove(directory) end
  local chunk = assert(loadfile(result_path))
  os.remove(path)
  os.remove(result_path)
  local ok, result = pcall(chunk)
  if not ok then error(tostring(result) .. "\n" .. output, 2) end
  return result, output, tonumber(status)
end

--- Runs a script with the key "k" for the API at an address.
function editor.on(base_url, script, around)
  around = around or {}
  around.env = around.env or { RETAB_API_KEY = "k", RETAB_API_BASE_URL = base_url }
  return editor.run(script, around)
end

editor.root, editor.quote, editor.output_of = root, quote, output_of

return editor
