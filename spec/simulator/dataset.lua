-- A set of experiment runs, each computed from its number and the seed alone: run 0 is the newest. Nothing is kept, so
-- a million runs cost no memory, and what a filter needs of a run is a few operations on one hash. How a run reads is
-- for run.lua to know.

local bit = require "bit"
local dates = require "spec.simulator.dates"

local band, bxor, lshift, rshift, tobit = bit.band, bit.bxor, bit.lshift, bit.rshift, bit.tobit
local floor = math.floor

local dataset = {}
dataset.__index = dataset

local NEWEST = dates.span("2026-05-20T12:00:00Z")

-- What the hash picks from, in the shares that the counts give. The bits of one hash: 3 for the experiment, 6 for the
-- status, 5 for the trigger.
local function shares(choices)
  local slots, n = {}, 0
  for _, choice in ipairs(choices) do
    for _ = 1, choice[2] do
      slots[n], n = choice[1], n + 1
    end
  end
  return slots
end

dataset.statuses = { "pending", "queued", "running", "completed", "error", "cancelled" }
local STATUS = shares { { 4, 46 }, { 5, 6 }, { 3, 4 }, { 2, 3 }, { 1, 2 }, { 6, 3 } }

dataset.triggers = { "api", "manual", "schedule", false }
local TRIGGER = shares { { 1, 21 }, { 2, 7 }, { 3, 3 }, { 4, 1 } }

-- An experiment tests one block of one workflow.
local BLOCKS = {
  [0] = { "extract-invoice", "extract", "Invoice fields" },
  { "classify-mail", "classifier", "Mail room" },
  { "split-bundle", "split", "Bundle" },
  { "each-receipt", "for_each", "Receipts" },
  { "extract-contract", "extract", "Contract terms" },
  { "extract-lines", "extract", "Line items" },
  { "wrk_-7Qm2xkd0", "classifier", "Façade" },
  { "split-pages", "split", "Pages" },
}

dataset.experiments = {}
for e = 0, 7 do
  local block = BLOCKS[e]
  dataset.experiments[e] = {
    experiment_id = "exp_" .. e,
    workflow_id = "wf_" .. e % 4,
    block_id = block[1], block_kind = block[2], block_name = block[3],
  }
end

-- A hash of a number that fits 32 bits. The factors stay below 2^19, so that a product of 32 bits is exact in a double
-- and within what tobit takes.
local function scatter(k, salt)
  local x = bxor(k, salt)
  x = tobit(bxor(x, rshift(x, 15)) * 0x5bd1b)
  x = tobit(bxor(x, rshift(x, 13)) * 0x6c8e9)
  x = tobit(bxor(x, rshift(x, 16)) * 0x7feb3)
  return bxor(x, rshift(x, 15))
end

-- An id is a one-to-one scrambling of the number, within 24 bits, and a checksum.
local SPACE = 2 ^ 24
local FACTORS = { 0x9e3779, 0x85ebcb }

local function inverse(factor)
  local guess = factor
  for _ = 1, 5 do guess = guess * ((2 - factor * guess % SPACE) % SPACE) % SPACE end
  return guess
end

local INVERSES = { inverse(FACTORS[1]), inverse(FACTORS[2]) }

local function scramble(k, shift)
  local x = (k * FACTORS[1] + shift) % SPACE
  return bxor(x, rshift(x, 12)) * FACTORS[2] % SPACE
end

local function unscramble(x, shift)
  x = x * INVERSES[2] % SPACE
  return (bxor(x, rshift(x, 12)) - shift) % SPACE * INVERSES[1] % SPACE
end

-- `options`: runs, seed, spacing, same, shape, as in a scenario.
function dataset.new(options)
  local salt = scatter(options.seed, 0x5ca1ab1e)
  return setmetatable({
    runs = options.runs, spacing = options.spacing, same = options.same, shape = options.shape,
    salt = salt, value_salt = scatter(salt, 1), check_salt = scatter(salt, 2), shift = band(scatter(salt, 3), 0xffffff),
  }, dataset)
end

function dataset:id(k)
  return string.format("exprun_%06x%08x", scramble(k, self.shift), scatter(k, self.check_salt) % 2 ^ 32)
end

-- The number of the run with this id; nil where there is none.
function dataset:number(id)
  local scrambled = id:match("^exprun_(%x%x%x%x%x%x)%x%x%x%x%x%x%x%x$")
  if not scrambled then return nil end
  local k = unscramble(tonumber(scrambled, 16), self.shift)
  if k < self.runs and self:id(k) == id then return k end
end

-- What a run's particulars derive from: its experiment's number, its status, its trigger or false, and two numbers
-- for everything else.
function dataset:traits(k)
  local h = scatter(k, self.salt)
  local status = dataset.statuses[STATUS[band(rshift(h, 3), 63)]]
  local trigger = dataset.triggers[TRIGGER[band(rshift(h, 9), 31)]]
  return band(h, 7), status, trigger, rshift(h, 14), band(scatter(k, self.value_salt), 0x7fffffff)
end

-- Seconds since 1970; never grows with k.
function dataset:created(k)
  return NEWEST - floor(k / self.same) * self.spacing
end

-- The least k whose creation is not later than the moment: `runs` where there is none.
function dataset:first_at_or_before(moment)
  local low, high = 0, self.runs
  -- Half a microsecond forgives what doubles lose in the arithmetic of fractions.
  moment = moment + 5e-7
  while low < high do
    local middle = floor((low + high) / 2)
    if self:created(middle) <= moment then high = middle else low = middle + 1 end
  end
  return low
end

-- Whether the masks let run k through. A mask has bit i set where choice i is wanted.
function dataset:matches(masks, k)
  local h = scatter(k, self.salt)
  return band(rshift(masks.experiments, band(h, 7)), rshift(masks.statuses, STATUS[band(rshift(h, 3), 63)]),
    rshift(masks.triggers, TRIGGER[band(rshift(h, 9), 31)]), 1) == 1
end

-- The numbers of up to `limit` runs that the masks let through, from `first` to `last` by `step`. One loop that always
-- counts up does it all, for that is what the JIT compiler is good at: it goes through a million runs in milliseconds.
function dataset:collect(masks, limit, first, last, step)
  local numbers, n = {}, 0
  for i = 0, (last - first) * step do
    local k = first + i * step
    if self:matches(masks, k) then
      n = n + 1
      numbers[n] = k
      if n == limit then break end
    end
  end
  return numbers
end

-- The masks that let everything through.
function dataset.all()
  return { experiments = 0xff, statuses = 0x7e, triggers = 0x1e }
end

-- A mask with the bits of the positions in `choices` that `wanted(choice)` accepts.
function dataset.mask(choices, wanted)
  local mask = 0
  for i, choice in pairs(choices) do
    if wanted(choice) then mask = mask + lshift(1, i) end
  end
  return mask
end

return dataset
