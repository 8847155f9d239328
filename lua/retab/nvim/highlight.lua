--- highlight.lua: the highlight groups. Each is linked to a standard group, unless something else defines it before.
local highlight = {}

local links = {
  RetabTitle = "Title",
  RetabNote = "Comment",
  RetabHeading = "Comment",
  RetabLabel = "Comment",
  RetabKey = "Special",
  RetabId = "Identifier",
  RetabScore = "Number",
  RetabBetter = "String",
  RetabWorse = "DiagnosticWarn",
  RetabAge = "Comment",
  RetabWaiting = "DiagnosticInfo",
  RetabProblem = "DiagnosticError",
  RetabPending = "Comment",
  RetabQueued = "Comment",
  RetabRunning = "DiagnosticInfo",
  RetabCompleted = "String",
  RetabError = "DiagnosticError",
  RetabCancelled = "DiagnosticWarn",
}

local of_status = {
  pending = "RetabPending", queued = "RetabQueued", running = "RetabRunning", completed = "RetabCompleted",
  error = "RetabError", cancelled = "RetabCancelled",
}

--- Defines the groups.
function highlight.define()
  for name, link in pairs(links) do vim.cmd(("highlight default link %s %s"):format(name, link)) end
end

--- @param status any
--- @return string|nil group nil for a status that this plugin does not know
function highlight.of_status(status)
  return of_status[status]
end

return highlight
