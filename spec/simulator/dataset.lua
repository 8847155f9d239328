-- A set of experiment runs, each computed from its number and the seed alone: run 0 is the newest of the data, and runs
-- that requests create have the numbers -1, -2 and so on. Nothing but what requests changed is kept, so a million runs
-- cost no memory, and a filter needs a few operations on one hash for each run. run.lua knows the fields of a run.

local bit = require "bit"
local dates = require "spec.simulator.dates"
local experiments = require "spec.simulator.experiment"

local band, bxor, rshift, lshift, tobit = bit.band, bit.bxor, bit.rshift, bit.lshift, bit.tobit
local floor = math.floor

local dataset = {}
dataset.__index = dataset

local NEWEST = dates.span("2026-05-20T12:00:00Z")

-- Expands { choice, count } pairs into slots, so that a hash picks each choice with its share.
local function shares(choices)
  local slots, n = {}, 0
  for _, choice in ipairs(choices) do
    for _ = 1, choice[2] do
      slots[n], n = choice[1], n + 1
    end
  end
  return slots
end

-- The bits of one hash: 3 for the experiment, 6 for the status, 5 for the trigger.
dataset.statuses = { "pending", "queued", "running", "completed", "error", "cancelled" }
local STATUS = shares { { 4, 46 }, { 5, 6 }, { 3, 4 }, { 2, 3 }, { 1, 2 }, { 6, 3 } }

-- false stands for a trigger without a type.
dataset.triggers = { "api", "manual_run", "schedule", false }
local TRIGGER = shares { { 1, 21 }, { 2, 7 }, { 3, 3 }, { 4, 1 } }

-- Returns a hash of a number of at most 32 bits. The factors stay below 2^19, so that a product with 32 bits is exact
-- in a double and within what tobit takes.
local function scatter(k, salt)
  local x = bxor(k, salt)
  x = tobit(bxor(x, rshift(x, 15)) * 0x5bd1b)
  x = tobit(bxor(x, rshift(x, 13)) * 0x6c8e9)
  x = tobit(bxor(x, rshift(x, 16)) * 0x7feb3)
  return bxor(x, rshift(x, 15))
end

-- An id is a one-to-one scrambling of the number, within 24 bits, and a checksum. The upper half of the space is for
-- negative numbers.
local SPACE = 2 ^ 24
local FACTORS = { 0x9e3779, 0x85ebcb }

local function inverse(factor)
  local guess = factor
  for _ = 1, 5 do guess = guess * ((2 - factor * guess % SPACE) % SPACE) % SPACE end
  return guess
end

local INVERSES = { inverse(FACTORS[1]), inverse(FACTORS[2]) }

local function scramble(k, shift)
  local x = (k % SPACE * FACTORS[1] + shift) % SPACE
  return bxor(x, rshift(x, 12)) * FACTORS[2] % SPACE
end

local function unscramble(x, shift)
  x = x * INVERSES[2] % SPACE
  local k = (bxor(x, rshift(x, 12)) - shift) % SPACE * INVERSES[1] % SPACE
  return k < SPACE / 2 and k or k - SPACE
end

-- `options` is a scenario. `changes` is what its requests changed, or nil.
function dataset.new(options, changes)
  local salt = scatter(options.seed, 0x5ca1ab1e)
  return setmetatable({
    options = options, first = changes and -changes.created or 0, last = options.runs - 1,
    changed = changes and changes.runs, salt = salt, value_salt = scatter(salt, 1), check_salt = scatter(salt, 2),
    shift = band(scatter(salt, 3), 0xffffff),
  }, dataset)
end

-- Returns the part of a run's id that tells it from others.
function dataset:code(k)
  return string.format("%06x%08x", scramble(k, self.shift), scatter(k, self.check_salt) % 2 ^ 32)
end

function dataset:id(k)
  return "exprun_" .. self:code(k)
end

-- Returns the number of the run with this code, or nil.
function dataset:decode(code)
  local scrambled = code:match("^(%x%x%x%x%x%x)%x%x%x%x%x%x%x%x$")
  if not scrambled then return nil end
  local k = unscramble(tonumber(scrambled, 16), self.shift)
  if k >= self.first and k <= self.last and self:code(k) == code then return k end
end

-- Returns the number of the run with this id, or nil.
function dataset:number(id)
  local code = id:match("^exprun_(%x+)$")
  return code and self:decode(code)
end

-- Returns what the particulars of a run derive from: its experiment's number, its status, its trigger or false, and two
-- numbers for everything else.
function dataset:traits(k)
  local h = scatter(k, self.salt)
  local e, status = band(h, 7), dataset.statuses[STATUS[band(rshift(h, 3), 63)]]
  local trigger = dataset.triggers[TRIGGER[band(rshift(h, 9), 31)]]
  local change = self.changed and self.changed[k]
  if change then
    e, status = change.experiment or e, change.status or status
    if change.trigger then trigger = change.trigger end
  end
  return e, status, trigger, rshift(h, 14), band(scatter(k, self.value_salt), 0x7fffffff)
end

-- Returns the time of creation in seconds since 1970; it never grows with k.
function dataset:created(k)
  return NEWEST - floor(k / self.options.same) * self.options.spacing
end

-- Returns the least k whose creation is not later than the moment, last + 1 if there is none.
function dataset:first_at_or_before(moment)
  local low, high = self.first, self.last + 1
  -- Half a microsecond forgives what doubles lose in the arithmetic of fractions.
  moment = moment + 5e-7
  while low < high do
    local middle = floor((low + high) / 2)
    if self:created(middle) <= moment then high = middle else low = middle + 1 end
  end
  return low
end

-- Returns a mask with bit i set for each choice i that `wanted(choice)` accepts.
local function mask_of(choices, wanted)
  local mask = 0
  for i, choice in pairs(choices) do
    if wanted(choice) then mask = mask + lshift(1, i) end
  end
  return mask
end

local BY_DATA = {}
for e = 0, experiments.RUN_BY_DATA - 1 do BY_DATA[e] = experiments.of(e) end

-- A filter is { experiment(one), status(name), trigger(type) }, each of which returns true for what may pass. This
-- compiles it to bit masks for the runs of the data.
function dataset.compile(filter)
  return {
    filter = filter, experiments = mask_of(BY_DATA, filter.experiment),
    statuses = mask_of(dataset.statuses, filter.status), triggers = mask_of(dataset.triggers, filter.trigger),
  }
end

function dataset:matches_changed(filter, k)
  local e, status, trigger = self:traits(k)
  return filter.experiment(experiments.of(e)) and filter.status(status) and filter.trigger(trigger)
end

-- Returns true if the filter, compiled, lets run k through.
function dataset:matches(compiled, k)
  if self.changed and self.changed[k] then return self:matches_changed(compiled.filter, k) end
  local h = scatter(k, self.salt)
  return band(rshift(compiled.experiments, band(h, 7)), rshift(compiled.statuses, STATUS[band(rshift(h, 3), 63)]),
    rshift(compiled.triggers, TRIGGER[band(rshift(h, 9), 31)]), 1) == 1
end

-- Returns the numbers of up to `limit` runs that pass, from `first` to `last` by `step`. It is one loop that always
-- counts up, for the JIT compiler handles that best: it goes through a million runs in milliseconds.
function dataset:collect(compiled, limit, first, last, step)
  local numbers, n = {}, 0
  for i = 0, (last - first) * step do
    local k = first + i * step
    if self:matches(compiled, k) then
      n = n + 1
      numbers[n] = k
      if n == limit then break end
    end
  end
  return numbers
end

local function anything() return true end

-- Returns the number of the newest run of an experiment from number `first` on, or nil. With `status`, of those.
function dataset:newest(e, first, status)
  local compiled = dataset.compile {
    experiment = function(one) return one.number == e end,
    status = function(name) return not status or name == status end,
    trigger = anything,
  }
  return self:collect(compiled, 1, first, self.last, 1)[1]
end

return dataset
