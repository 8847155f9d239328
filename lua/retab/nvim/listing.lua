--- listing.lua: runs as lines of a sheet, one line per run, and their ages. It sends nothing.
local age = require "retab.nvim.age"
local highlight = require "retab.nvim.highlight"
local problem = require "retab.nvim.problem"
local sheet = require "retab.nvim.sheet"

local listing = {}

local function status_of(run)
  return type(run.lifecycle) == "table" and run.lifecycle.status or nil
end

--- Returns a chunk for a scalar value; false where there is none.
local function chunk(value, group)
  return value ~= nil and type(value) ~= "table" and { tostring(value), group }
end

local function score_of(run)
  return type(run.score) == "number" and ("%.3f"):format(run.score) or nil
end

--- Returns how many documents are completed, such as "3/14".
local function documents_of(run)
  local completed, total = run.completed_document_count, run.total_document_count or run.document_count
  if type(total) ~= "number" then return nil end
  return ("%s/%d"):format(type(completed) == "number" and ("%d"):format(completed) or "-", total)
end

--- The last one is aligned to the right, so that the ages after it are aligned too.
local columns = {
  { title = "RUN", of = function(run) return chunk(run.id, "RetabId") end },
  { title = "EXPERIMENT", of = function(run) return chunk(run.experiment_id) end, is_known = "experiment" },
  { title = "STATUS", most = 12, of = function(run)
    return chunk(status_of(run), highlight.of_status(status_of(run)))
  end },
  { title = "BLOCK", most = 12, of = function(run) return chunk(run.block_type or run.block_kind) end,
    is_known = "experiment" }, -- an experiment is about one block
  { title = "SCORE", right = true, of = function(run) return chunk(score_of(run), "RetabScore") end },
  { title = "DOCS", right = true, of = function(run) return chunk(documents_of(run)) end },
  { title = "FAILED", right = true, of = function(run)
    return run.error_count ~= 0 and chunk(run.error_count, "RetabWorse")
  end },
  { title = "TOOK", right = true, of = function(run)
    return chunk(type(run.timing) == "table" and age.duration(run.timing.duration_ms) or nil)
  end },
}

--- The columns that are not the same for all runs.
local function columns_of(view)
  return vim.tbl_filter(function(column) return not view[column.is_known] end, columns)
end

local function title_of(view)
  local note
  if not view.runs then
    note = view.problem and "" or "loading ..."
  elseif view.more then
    note = ("the newest %d, %s"):format(#view.runs, view.pages > view.loaded and "loading more ..." or "L loads more")
  else
    note = #view.runs == 1 and "1 run" or ("%d runs"):format(#view.runs)
  end
  return {
    { view.experiment and "Runs of " .. view.experiment or "Runs", "RetabTitle" },
    { note ~= "" and "   " .. note or "", "RetabNote" },
    { "   ? helps", "RetabNote" },
  }
end

--- Returns the lines of a list.
--- @param view table runs, more, pages, loaded, experiment, problem, updated: see runs.lua
--- @return table[] lines
--- @return integer above the number of lines above the first run
function listing.lines(view)
  local lines = { title_of(view) }
  if view.problem and view.runs then
    lines[2] = { { ("Not refreshed since %s. %s"):format(os.date("%H:%M:%S", view.updated),
      problem.line(view.problem)), "RetabProblem" } }
  elseif view.problem then
    lines[2] = {}
    vim.list_extend(lines, problem.lines(view.problem))
    vim.list_extend(lines, { {}, { { "r", "RetabKey" }, { " tries again", "RetabNote" } } })
  end
  if not view.runs then return lines, #lines end
  if not view.runs[1] then
    vim.list_extend(lines, { {}, { { view.experiment and "This experiment has no runs." or "There are no runs." } } })
    return lines, #lines
  end
  local shown, rows = columns_of(view), {}
  for index, run in ipairs(view.runs) do
    rows[index] = {}
    for position, column in ipairs(shown) do rows[index][position] = column.of(run) end
  end
  vim.list_extend(lines, sheet.align(shown, rows))
  return lines, #lines - #rows
end

--- Returns the virtual text beside a run: its age, and that the user waits for it.
--- @param run retab.Run
--- @param is_awaited boolean
--- @param now number epoch seconds
--- @return table[] chunks
function listing.beside(run, is_awaited, now)
  local passed = age.of(type(run.timing) == "table" and run.timing.created_at or nil, now)
  local chunks = { { " " } } -- Neovim adds another space
  if passed then chunks[2] = { passed, "RetabAge" } end
  if is_awaited then vim.list_extend(chunks, { { passed and " " or "" }, { "waiting", "RetabWaiting" } }) end
  return chunks
end

return listing
