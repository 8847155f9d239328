-- The scores of a completed run, in ten-thousandths: one for each document and target. The score of a document or of a
-- target is the exact mean of its own ones, and the run's score is the exact mean of its documents' and its targets'.

local scores = {}
scores.__index = scores

local floor = math.floor

-- `facts` is what run.facts returned for a completed run.
function scores.new(facts)
  -- Both deviations together never leave the range from 0 to 1.
  local room = floor(math.min(facts.score, 10000 - facts.score) / 2)
  return setmetatable({ run = facts.score, v = facts.v, room = room, documents = facts.total,
    targets = #facts.experiment.targets }, scores)
end

-- Returns a deviation for item i of `count`, counted from 0. Items come in pairs whose deviations cancel each other.
local function deviation(i, count, seed, room)
  if i == count - 1 and count % 2 == 1 then return 0 end
  local size = (seed + floor(i / 2) * 7919) % (room + 1)
  return i % 2 == 0 and size or -size
end

-- `d` counts from 0. Returns nil if the run has no such document.
function scores:document(d)
  if d >= self.documents then return nil end
  return self.run + deviation(d, self.documents, self.v, self.room)
end

-- `index` counts from 1.
function scores:target(index)
  return self.run + deviation(index - 1, self.targets, floor(self.v / 7), self.room)
end

function scores:cell(d, index)
  local document = self:document(d)
  return document and document + self:target(index) - self.run
end

return scores
