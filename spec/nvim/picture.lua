--- Makes docs/neovim.png: the plugin in a terminal, drawn by Chromium. Usage: scripts/pictures
local editor = require "spec.nvim.editor"
local simulator = require "spec.simulator"
local terminal = require "spec.nvim.terminal"

local columns, short, tall = 106, 20, 36
local cell_height, margin = 18, 16 -- pixels

--- The colors of the picture. Neovim 0.7 has none that suit a page.
local colors = {
  Normal = "guifg=#d8dee9 guibg=#242933", NormalFloat = "guifg=#d8dee9 guibg=#1d222b",
  FloatBorder = "guifg=#6b788f guibg=#1d222b", CursorLine = "gui=NONE guibg=#323a48", Title = "gui=bold guifg=#eceff4",
  Comment = "guifg=#8a94a8", Identifier = "guifg=#81a1c1", Number = "guifg=#d08770", String = "guifg=#a3be8c",
  Special = "guifg=#ebcb8b", DiagnosticError = "guifg=#ef7d88", DiagnosticWarn = "guifg=#ebcb8b",
  DiagnosticInfo = "guifg=#88c0d0", StatusLine = "gui=NONE guifg=#d8dee9 guibg=#3b4252", EndOfBuffer = "guifg=#242933",
}

local function commands()
  local list = {
    "set termguicolors background=dark fillchars=eob:\\ ",
    "set laststatus=0 noruler noshowcmd nohlsearch shortmess+=IF",
  }
  for group, color in pairs(colors) do list[#list + 1] = ("highlight %s %s"):format(group, color) end
  -- the newest run of the simulator was created shortly before
  list[#list + 1] = "lua os.time = function() return 1779278760 end"
  return list
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

--- Returns the CSS of the attributes that a sequence of SGR sets.
local function apply(style, codes)
  local numbers = {}
  for code in (codes == "" and "0" or codes):gmatch "%d+" do numbers[#numbers + 1] = tonumber(code) end
  local index = 1
  while numbers[index] do
    local code = numbers[index]
    if code == 0 then
      for name in pairs(style) do style[name] = nil end
    elseif code == 1 then
      style["font-weight"] = "bold"
    elseif (code == 38 or code == 48) and numbers[index + 1] == 2 then
      style[code == 38 and "color" or "background"] = ("#%02x%02x%02x"):format(numbers[index + 2], numbers[index + 3],
        numbers[index + 4])
      index = index + 4
    elseif code == 39 then
      style.color = nil
    elseif code == 49 then
      style.background = nil
    end
    index = index + 1
  end
end

--- Returns a screen with SGR sequences as HTML.
local function html_of(screen)
  local parts, style = {}, {}
  for text, codes in (screen .. "\27[m"):gmatch "([^\27]*)\27%[([%d;:]*)m" do
    local css = {}
    for name, value in pairs(style) do css[#css + 1] = name .. ":" .. value end
    parts[#parts + 1] = ('<span style="%s">%s</span>'):format(table.concat(css, ";"), (text:gsub("[&<>]", entities)))
    apply(style, codes)
  end
  return "<pre>" .. table.concat(parts) .. "</pre>"
end

local function draw(screens, target)
  local html, height = {}, 0
  for index, screen in ipairs(screens) do
    html[index] = html_of(screen.text)
    height = height + screen.rows * cell_height + 2 * margin
  end
  local path = os.tmpname()
  local file = assert(io.open(path .. ".html", "w"))
  file:write(([[<!DOCTYPE html><meta charset="utf-8"><style>
    body { margin: 0; background: #fff }
    pre { margin: 0 0 %dpx; padding: %dpx; background: #242933; color: #d8dee9; border-radius: 8px;
      font: 15px/%dpx "DejaVu Sans Mono", monospace }
  </style>]]):format(margin, margin, cell_height), table.concat(html))
  file:close()
  local width = math.ceil(columns * 9.03) + 2 * margin
  local command = "chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=%d,%d "
    .. "--screenshot=%s file://%s.html 2>&1; echo $?"
  height = height + (#screens - 1) * margin
  local output = editor.output_of(command:format(width, height, editor.quote(target), path))
  assert(output:find "\n0$", output)
  os.remove(path)
  os.remove(path .. ".html")
end

local vim = terminal.start(simulator.shared():scenario { runs = 200 }, commands(), columns, short)
vim:press(":Retab runs exp_0", "Enter")
vim:wait_for "min ago"
vim:press("/running", "Enter", "w", "gg", "jj")
vim:wait_for "waiting until"
vim:press(":echo", "Enter")
vim:wait_for " waiting"
local list = vim:screen(true)
vim:resize(columns, tall)
vim:press("/completed", "Enter", "Enter")
vim:wait_for "Documents, the lowest score first"
vim:press(":echo", "Enter")
local window = vim:screen(true)
vim:stop()
draw({ { text = list, rows = short }, { text = window, rows = tall } }, editor.root .. "/docs/neovim.png")
