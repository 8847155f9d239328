--- command.lua: the command :Retab, its completion, and the names of its buffers: retab://runs/EXPERIMENT.
local settings = require "retab.nvim.settings"

local command = {}

--- Modifiers of a command that ask for another window.
local splits = { "vertical", "tab", "aboveleft", "leftabove", "belowright", "rightbelow", "topleft", "botright" }

local function complain(message)
  vim.notify(message, vim.log.levels.ERROR, { title = "Retab" })
end

local function asks_for_window(modifiers)
  for _, name in ipairs(splits) do
    if modifiers:find(name, 1, true) then return true end
  end
  return false
end

-- ---- names of buffers ----

--- An id may have characters that mean something in a file's name.
local function encode(id)
  return (id:gsub("[^%w_.-]", function(char) return ("%%%02X"):format(char:byte()) end))
end

local function decode(text)
  return (text:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

--- Fills the buffer of a name.
--- @param buffer integer
--- @param name string
function command.read(buffer, name)
  local experiment = name:match "^retab://runs/(.+)$"
  if not experiment and not name:match "^retab://runs/?$" then
    return complain(("%s: only retab://runs and retab://runs/EXPERIMENT have a meaning"):format(name))
  end
  require("retab.nvim.runs").attach(buffer, experiment and decode(experiment))
end

-- ---- subcommands ----

local subcommands = {}

function subcommands.runs(arguments, modifiers)
  if #arguments > 1 then return complain "Usage: :Retab runs [experiment]" end
  local experiment = arguments[1] or settings.get().experiment
  if vim.bo.filetype == "retab-float" then vim.cmd "close" end -- a list does not belong into it
  local name = experiment and "retab://runs/" .. encode(experiment) or "retab://runs"
  local open = asks_for_window(modifiers) and "split" or "hide edit"
  vim.cmd(("%s %s %s"):format(modifiers, open, vim.fn.fnameescape(name)))
end

--- Runs the command.
--- @param given table of nvim_create_user_command
function command.run(given)
  local arguments = vim.deepcopy(given.fargs)
  local name = table.remove(arguments, 1) or "runs"
  local subcommand = subcommands[name]
  if not subcommand then return complain(("Retab has no subcommand %q. Try :Retab runs"):format(name)) end
  subcommand(arguments, given.mods or "")
end

--- Returns the experiments that are known here: the user's, and those of open buffers.
local function experiments()
  local names, seen = {}, {}
  local function add(name)
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  add(settings.get().experiment)
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    local encoded = vim.api.nvim_buf_get_name(buffer):match "^retab://runs/(.+)$"
    add(encoded and decode(encoded))
  end
  return names
end

--- Completes a subcommand and its argument.
--- @param lead string what is being typed
--- @param line string the whole command
--- @param position integer of the cursor, in bytes
--- @return string[] candidates
function command.complete(lead, line, position)
  local words = vim.split(vim.trim(line:sub(1, position)), "%s+")
  local number = #words - (lead == "" and 0 or 1) -- of complete words, the command's own among them
  while words[1] and not words[1]:find "^%u" do -- modifiers, such as :vertical
    table.remove(words, 1)
    number = number - 1
  end
  local candidates = {}
  if number == 1 then
    candidates = vim.tbl_keys(subcommands)
  elseif number == 2 and words[2] == "runs" then
    candidates = experiments()
  end
  return vim.tbl_filter(function(candidate) return vim.startswith(candidate, lead) end, candidates)
end

return command
