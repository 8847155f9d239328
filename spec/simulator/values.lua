-- What a block reads in a document: a value for each of its experiment's targets, as JSON.

local json = require "spec.simulator.json"

local values = {}

local SUPPLIERS = { "Müller & Söhne", "ACME", "東京商事", "O'Neill \"Freight\"" }

local READERS = {
  number = function(d) return json.quote(("INV-%05d"):format(d * 37 % 100000)) end,
  date = function(d)
    return d % 7 == 6 and json.null or json.quote(("2026-%02d-%02d"):format(d % 12 + 1, d % 28 + 1))
  end,
  ["supplier.name"] = function(d) return json.quote(SUPPLIERS[d % #SUPPLIERS + 1]) end,
  total = function(d) return ("%.2f"):format(19.9 + d * 12.35) end,
  ["lines[*].total"] = function(d) return json.array { ("%.2f"):format(d + 0.5), ("%d"):format(d * 2 + 19) } end,
  ["items[*].merchant"] = function(d) return json.array { json.quote(SUPPLIERS[d % #SUPPLIERS + 1]) } end,
  ["items[*].amount"] = function(d) return json.array { ("%d"):format(d + 3) } end,
}

-- Returns the number of the label that a document has among `count`.
function values.label(d, count)
  return d % count + 1
end

-- Returns the JSON of a target's value in document d. A label's value is true in the documents that have it.
function values.of(experiment, index, d)
  local read = READERS[experiment.targets[index]]
  if read then return read(d) end
  return tostring(values.label(d, #experiment.targets) == index)
end

-- Returns the value of a vote against the consensus, of the same type.
function values.other(experiment, index, d)
  local read = READERS[experiment.targets[index]]
  if read then return read(d + 1) end
  return tostring(values.label(d, #experiment.targets) ~= index)
end

-- Returns the JSON of the block's whole output for document d.
function values.output(experiment, d)
  local targets = experiment.targets
  if not READERS[targets[1]] then
    return json.object("label", json.quote(targets[values.label(d, #targets)]))
  end
  local members = {}
  for index, target in ipairs(targets) do
    members[2 * index - 1], members[2 * index] = target, values.of(experiment, index, d)
  end
  return json.object(unpack(members))
end

return values
