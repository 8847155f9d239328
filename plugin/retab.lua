-- The Neovim plugin: the command :Retab, and what `require "retab"` needs. Nothing else of it is loaded at startup.
if vim.g.loaded_retab then return end
vim.g.loaded_retab = 1

-- scripts/build leaves the C modules in the plugin's own directory.
local root = vim.fn.fnamemodify(debug.getinfo(1, "S").source:sub(2), ":p:h:h")
package.cpath = root .. "/build/lua/5.1/?.so;" .. package.cpath

vim.api.nvim_create_user_command("Retab", function(command) require("retab.nvim.command").run(command) end, {
  nargs = "*",
  bar = true,
  complete = function(...) return require("retab.nvim.command").complete(...) end,
  desc = "Shows experiment runs",
})

vim.api.nvim_create_autocmd("BufReadCmd", {
  group = vim.api.nvim_create_augroup("retab", {}),
  pattern = "retab://*",
  callback = function(event) require("retab.nvim.command").read(event.buf, event.match) end,
  desc = "Fills a buffer with experiment runs",
})
