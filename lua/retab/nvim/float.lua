--- float.lua: a floating window in the middle of the screen, as large as its lines need. `q` and Escape close it, and
--- leaving it does so too. It knows nothing of runs.
local sheet = require "retab.nvim.sheet"

local float = {}

local api = vim.api
local widest = 100 -- cells; longer lines are wrapped

local Float = {}
Float.__index = Float

--- Returns the place of a window for these lines.
local function place_of(lines)
  local widths = sheet.widths(lines)
  local width = math.max(1, math.min(math.max(1, unpack(widths)), widest, vim.o.columns - 4))
  local height = 0
  for _, used in ipairs(widths) do height = height + math.max(1, math.ceil(used / width)) end
  height = math.max(1, math.min(height, vim.o.lines - vim.o.cmdheight - 4))
  return {
    relative = "editor", width = width, height = height, col = math.floor((vim.o.columns - width - 2) / 2),
    row = math.max(0, math.floor((vim.o.lines - vim.o.cmdheight - height - 3) / 2)),
  }
end

--- Returns true until it is closed.
function Float:is_open()
  return not self.closed and api.nvim_win_is_valid(self.window) and api.nvim_buf_is_valid(self.buffer)
end

--- Shows other lines.
function Float:show(lines)
  if not self:is_open() then return end
  sheet.show(self.buffer, lines)
  api.nvim_win_set_config(self.window, place_of(lines))
end

function Float:map(key, action, description)
  vim.keymap.set("n", key, action, { buffer = self.buffer, nowait = true, silent = true, desc = description })
end

function Float:close()
  if self.closed then return end
  self.closed = true
  if self.on_close then self.on_close() end
  if api.nvim_win_is_valid(self.window) then api.nvim_win_close(self.window, true) end
end

--- Opens a window and enters it.
--- @param lines table[] of a sheet
--- @param on_close function|nil is called once, when the window is closed by whatever means
--- @return table float
function float.open(lines, on_close)
  local self = setmetatable({ on_close = on_close, closed = false }, Float)
  self.buffer = api.nvim_create_buf(false, true)
  vim.bo[self.buffer].bufhidden = "wipe"
  vim.bo[self.buffer].undolevels = -1
  sheet.show(self.buffer, lines)
  local place = place_of(lines)
  place.style, place.border = "minimal", "rounded"
  self.window = api.nvim_open_win(self.buffer, true, place)
  vim.cmd "setlocal wrap linebreak breakindent breakindentopt=shift:2"
  vim.bo[self.buffer].filetype = "retab-float"
  self:map("q", function() self:close() end, "Closes the window")
  self:map("<Esc>", function() self:close() end, "Closes the window")
  api.nvim_create_autocmd("WinLeave", {
    buffer = self.buffer,
    callback = function() vim.schedule(function() self:close() end) end, -- a window cannot be closed while it is left
  })
  api.nvim_create_autocmd("BufWipeout", { buffer = self.buffer, callback = function() self:close() end })
  return self
end

return float
