--- runs.lua: a buffer that lists runs, and refreshes itself while a window shows it. All requests are sent in
--- coroutines, so the editor never waits. Unloading the buffer cancels them.
local connection = require "retab.nvim.connection"
local float = require "retab.nvim.float"
local highlight = require "retab.nvim.highlight"
local listing = require "retab.nvim.listing"
local problem = require "retab.nvim.problem"
local settings = require "retab.nvim.settings"
local sheet = require "retab.nvim.sheet"
local text = require "retab.nvim.text"

local runs = {}

local api = vim.api
local uv = vim.uv or vim.loop
local ages = api.nvim_create_namespace "retab-ages"

--- Seconds: what a page may take with its retries.
local longest = 30

--- Seconds between two looks at the ages where nothing is refreshed.
local idle_tick = 30

local ended = { completed = true, error = true, cancelled = true }

local View = {}
View.__index = View

--- Buffer -> its view.
local views = {}

local function notify(message, level)
  vim.notify(message, vim.log.levels[level or "INFO"], { title = "Retab" })
end

-- ---- what is shown ----

local function is_visible(self)
  return vim.fn.bufwinid(self.buffer) ~= -1
end

--- Returns the run in a line.
local function run_at(self, line)
  return self.runs and self.runs[line - self.above] or nil
end

--- Shows how old each run is, in virtual text.
local function draw_ages(self)
  api.nvim_buf_clear_namespace(self.buffer, ages, 0, -1)
  local now = os.time()
  for index, run in ipairs(self.runs or {}) do
    api.nvim_buf_set_extmark(self.buffer, ages, self.above + index - 1, 0, {
      virt_text = listing.beside(run, self.waits[run.id] or false, now), virt_text_pos = "eol", hl_mode = "combine",
    })
  end
end

--- Returns the id of the run that each window's cursor is on. At first, this is the first run.
local function runs_under_cursors(self)
  local ids = {}
  for _, window in ipairs(vim.fn.win_findbuf(self.buffer)) do
    local run = run_at(self, api.nvim_win_get_cursor(window)[1]) or (not self.placed and self.runs and self.runs[1])
    ids[window] = run and run.id or nil
  end
  return ids
end

local function move_cursors(self, ids)
  for index, run in ipairs(self.runs or {}) do
    for window, id in pairs(ids) do
      if run.id == id then
        api.nvim_win_set_cursor(window, { self.above + index, api.nvim_win_get_cursor(window)[2] })
        self.placed = true
      end
    end
  end
end

--- Wraps the lines that explain a problem, and not those of the table.
local function wrap(self)
  local wanted = not self.runs
  for _, window in ipairs(vim.fn.win_findbuf(self.buffer)) do
    if vim.wo[window].wrap ~= wanted then
      api.nvim_win_call(window, function() vim.cmd(wanted and "setlocal wrap" or "setlocal nowrap") end)
    end
  end
end

--- Shows what is known. The cursor of each window stays on its run.
--- @param found table|nil new { runs, more, pages }
local function draw(self, found)
  local ids = runs_under_cursors(self)
  if found then self.runs, self.more, self.loaded = found.runs, found.more, found.pages end
  if not self.placed then ids = runs_under_cursors(self) end
  local lines
  lines, self.above = listing.lines(self)
  sheet.show(self.buffer, lines)
  wrap(self)
  draw_ages(self)
  move_cursors(self, ids)
end

-- ---- refreshing ----

--- Returns the client of this buffer.
local function connect(self)
  if self.client then return self.client end
  local client, missing = connection.open()
  self.client = client
  if client then self.clients[client] = true end
  return client, missing
end

--- Requests the pages that are shown.
--- @return table|nil found { runs, more, pages: their number }
--- @return table|nil problem
local function fetch(self, client, limit)
  local pages = client.workflows.experiments.runs.pages(
    { experiment_id = self.experiment, limit = limit }, { max_pages = self.pages, deadline = longest })
  local found = { runs = {}, more = false, pages = 0 }
  while true do
    local page, _, err = pages:next()
    if err then return nil, problem.of(err) end
    if not page then return found end
    for _, run in ipairs(page.data) do
      if type(run) == "table" and type(run.id) == "string" then table.insert(found.runs, run) end
    end
    found.more, found.pages = page:has_more(), found.pages + 1
  end
end

--- Reports a mistake in the user's settings once.
local function check_settings(self)
  local chosen, mistake = settings.get()
  if mistake and mistake ~= self.mistake then notify(mistake, "WARN") end
  self.mistake = mistake
  return chosen
end

--- Requests the runs once more. At most one refresh is under way: one that is asked for meanwhile follows it.
local function refresh(self)
  if self.busy then
    self.again = true
    return
  end
  local chosen = check_settings(self)
  local client, missing = connect(self)
  if not client then
    self.problem = missing
    return draw(self)
  end
  self.busy = true
  client:spawn(function()
    local ok, found, failed = pcall(fetch, self, client, chosen.limit)
    self.busy = false
    if self.closed then return end
    if not ok then found, failed = nil, problem.from_message("The request is not possible", tostring(found)) end
    self.problem = failed
    if found then self.updated = os.time() end
    draw(self, found)
    if self.again then
      self.again = false
      refresh(self)
    end
  end)
end

--- Refreshes at the user's wish. After a failure it uses a new client: the key or the address may have changed.
function View:refresh()
  if self.problem and not self.busy then self.client = nil end
  refresh(self)
end

function View:load_more()
  if not self.runs then return notify "No runs are loaded yet." end
  if not self.more then return notify "These are all runs." end
  self.pages = self.loaded + 1
  draw(self)
  refresh(self)
end

--- Refreshes after each interval in which the buffer is visible.
local function start_timer(self)
  local interval = settings.get().refresh
  self.timer:start(math.ceil((interval > 0 and interval or idle_tick) * 1000), 0, vim.schedule_wrap(function()
    if self.closed then return end
    if is_visible(self) then
      draw_ages(self)
      if interval > 0 and not self.busy then refresh(self) end
    end
    start_timer(self)
  end))
end

--- A window shows the buffer: refreshes it, unless that was done a moment ago.
local function enter(self)
  vim.cmd "setlocal nonumber norelativenumber signcolumn=no cursorline linebreak breakindent"
  wrap(self)
  local interval = settings.get().refresh
  if self.updated and interval > 0 and os.time() - self.updated >= interval and not self.busy then refresh(self) end
end

-- ---- one run ----

--- Returns the run that the cursor is on, and reports where there is none.
function View:run_under_cursor()
  local run = run_at(self, api.nvim_win_get_cursor(0)[1])
  if not run then notify "There is no run in this line." end
  return run
end

function View:open_run()
  local run = self:run_under_cursor()
  if run then require("retab.nvim.run").open(run, self) end
end

local function tell_outcome(run)
  local status, why = run.lifecycle.status, run.lifecycle.message or run.lifecycle.reason
  local more = type(why) == "string" and ": " .. text.clean(why) or ""
  if type(run.score) == "number" then more = (", score %.3f"):format(run.score) end
  notify(("%s: %s%s"):format(text.clean(run.id), text.clean(status), more), status == "completed" and "INFO" or "WARN")
end

--- Waits until the run under the cursor has ended, and notifies.
function View:wait()
  local run = self:run_under_cursor()
  if not run then return end
  local name = text.clean(run.id)
  if type(run.lifecycle) == "table" and ended[run.lifecycle.status] then return tell_outcome(run) end
  if self.waits[run.id] then return notify(name .. ": already waiting") end
  local client, missing = connect(self)
  if not client then return notify(problem.line(missing), "ERROR") end
  self.waits[run.id] = true
  draw_ages(self)
  notify(name .. ": waiting until it ends")
  client:spawn(function()
    local last, _, err = client.workflows.experiments.runs.wait(run.id, { deadline = settings.get().wait })
    if self.closed then return end
    self.waits[run.id] = nil
    draw_ages(self)
    if not last then return notify(("%s: %s"):format(name, problem.line(problem.of(err))), "ERROR") end
    tell_outcome(last)
    if is_visible(self) then refresh(self) end
  end)
end

-- ---- keys ----

local keys = {
  { "<CR>", "shows the run and its metrics", View.open_run },
  { "r", "refreshes", View.refresh },
  { "w", "waits until the run has ended, and notifies", View.wait },
  { "L", "loads more runs", View.load_more },
  { "?", "shows this help" },
  { "q", "closes a floating window" },
}

local function open_help()
  local lines = { { { "Keys", "RetabTitle" } } }
  for _, key in ipairs(keys) do lines[#lines + 1] = { { ("%-6s"):format(key[1]), "RetabKey" }, { key[2] } } end
  local interval = settings.get().refresh
  local note = interval > 0 and ("The list refreshes every %g s while it is visible."):format(interval)
    or "The list does not refresh by itself."
  vim.list_extend(lines, { {}, { { note, "RetabNote" } } })
  vim.list_extend(lines, { { { ":help retab", "RetabKey" }, { " has the rest.", "RetabNote" } } })
  float.open(lines)
end

local function map(self)
  for _, key in ipairs(keys) do
    local action = key[3] and function() key[3](self) end or (key[1] == "?" and open_help)
    if action then
      vim.keymap.set("n", key[1], action,
        { buffer = self.buffer, nowait = true, silent = true, desc = "Retab: " .. key[2] })
    end
  end
end

-- ---- a buffer's life ----

--- Cancels all that is under way. The buffer is gone, or is about to be filled again.
local function close(self)
  if self.closed then return end
  self.closed = true
  if views[self.buffer] == self then views[self.buffer] = nil end
  self.timer:close()
  for client in pairs(self.clients) do client:close() end
  if self.spare then self.spare:close() end
end

local function watch(self)
  local group = api.nvim_create_augroup("retab-" .. self.buffer, {})
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, buffer = self.buffer, callback = callback })
  end
  on({ "BufUnload", "BufWipeout" }, function() close(self) end)
  on("BufWinEnter", function() enter(self) end)
end

--- Fills a buffer with runs, and keeps them up to date.
--- @param buffer integer
--- @param experiment string|nil its runs; nil: all runs
function runs.attach(buffer, experiment)
  if views[buffer] then close(views[buffer]) end
  highlight.define()
  local self = setmetatable({
    buffer = buffer, experiment = experiment,
    runs = nil, more = false, -- the server has more than these
    pages = 1, loaded = 0, -- pages that are wanted; those that are there
    above = 0, -- lines above the first run
    placed = false, -- the cursor was put on a run
    problem = nil, -- of the last refresh
    updated = nil, -- epoch seconds of the last success
    busy = false, again = false, -- a refresh is under way; another one follows
    client = nil, clients = {}, -- the one in use; a set of all of them, which are closed with the buffer
    spare = nil, -- a client for the window of a run
    timer = uv.new_timer(),
    waits = {}, -- a set of ids of runs
    closed = false,
  }, View)
  views[buffer] = self
  local options = vim.bo[buffer]
  options.buftype, options.bufhidden, options.swapfile, options.undolevels = "nofile", "hide", false, -1
  draw(self)
  options.modifiable, options.filetype = false, "retab"
  map(self)
  watch(self)
  start_timer(self)
  vim.schedule(function() -- the screen is drawn first: the first client loads libcurl
    if not self.closed then refresh(self) end
  end)
end

return runs
