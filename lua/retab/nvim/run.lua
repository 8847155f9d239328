--- run.lua: a floating window with one run and its metrics. Closing it cancels its requests.
local connection = require "retab.nvim.connection"
local detail = require "retab.nvim.detail"
local float = require "retab.nvim.float"
local problem = require "retab.nvim.problem"

local run = {}

--- Seconds: what a request may take with its retries.
local longest = 30

local Window = {}
Window.__index = Window

local function show(self)
  if self.float:is_open() then self.float:show(detail.lines(self.run, self.found, os.time())) end
end

--- Requests the run and its metrics at the same time.
local function load(self)
  if self.left > 0 then return end
  self.found = {}
  if not self.client then
    self.client, self.found.problem = connection.open()
    if not self.client then return show(self) end
  end
  self.left = 2
  local function arrive()
    self.left = self.left - 1
    show(self)
  end
  local experiments = self.client.workflows.experiments
  self.client:spawn(function()
    -- where this fails, the run that the list has is shown on
    self.run = experiments.runs.get(self.run.id, { deadline = longest }) or self.run
    arrive()
  end)
  self.client:spawn(function()
    local metrics, _, err = experiments.metrics.get({ run_id = self.run.id }, { deadline = longest })
    self.found.metrics, self.found.problem = metrics, err and problem.of(err)
    arrive()
  end)
end

local function close(self)
  if not self.client then return end
  local list = self.list
  if self.left > 0 or self.found.problem or list.closed or list.spare then
    self.client:close()
  else
    list.spare = self.client -- its connections serve the next window
  end
end

--- Opens the window.
--- @param known retab.Run what is known of the run already
--- @param list table `spare`: a client that no window uses, or nil; the list closes it; `closed`: the list is gone
function run.open(known, list)
  local self = setmetatable({
    run = known,
    list = list,
    found = {}, -- metrics or a problem
    left = 0, -- requests under way
    client = list.spare,
  }, Window)
  list.spare = nil
  self.float = float.open(detail.lines(known, self.found, os.time()), function() close(self) end)
  self.float:map("r", function() load(self) end, "Retab: refreshes")
  load(self)
end

return run
