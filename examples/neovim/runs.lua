-- A buffer that lists experiment runs and refreshes itself. While a call waits, the editor goes on.
--
--     :luafile examples/neovim/runs.lua
--     :RetabRuns exp_abc          r refreshes, q closes
local retab = require "retab"

local api = vim.api
local refresh_seconds = 10

local client -- created for the first request; it is closed when Neovim exits

local function draw(buffer, lines)
  if not api.nvim_buf_is_valid(buffer) then return end -- the user has closed it
  vim.bo[buffer].modifiable = true
  api.nvim_buf_set_lines(buffer, 0, -1, true, lines)
  vim.bo[buffer].modifiable = false
end

local function line_of(run)
  local score = run.score and ("%.3f"):format(run.score) or "-"
  return ("%-24s %-10s %6s  %s"):format(run.id, run.lifecycle.status, score, run.timing.created_at or "")
end

local function refresh(buffer, experiment)
  client = client or retab.new()
  client:spawn(function()
    local page, _, err = client.workflows.experiments.runs.list({ experiment_id = experiment, limit = 50 })
    if not page then return draw(buffer, vim.split(tostring(err), "\n")) end
    local lines = { #page.data .. (page:has_more() and " newest" or "") .. " runs of " .. experiment }
    for _, run in ipairs(page.data) do lines[#lines + 1] = line_of(run) end
    draw(buffer, lines)
  end)
end

local function open(experiment)
  local buffer = api.nvim_create_buf(true, true)
  api.nvim_buf_set_name(buffer, "retab://" .. experiment .. "/" .. buffer)
  vim.bo[buffer].bufhidden = "wipe"
  draw(buffer, { "listing the runs of " .. experiment .. " ..." })
  api.nvim_set_current_buf(buffer)

  local function again() refresh(buffer, experiment) end
  local timer = (vim.uv or vim.loop).new_timer()
  timer:start(refresh_seconds * 1000, refresh_seconds * 1000, vim.schedule_wrap(again))
  api.nvim_create_autocmd("BufWipeout", { buffer = buffer, callback = function() timer:close() end })
  vim.keymap.set("n", "r", again, { buffer = buffer })
  vim.keymap.set("n", "q", "<Cmd>bwipeout!<CR>", { buffer = buffer })
  again()
end

api.nvim_create_user_command("RetabRuns", function(command) open(command.args) end, { nargs = 1 })
