-- The documents of an experiment, each computed from the numbers of both.

local document = {}

local NAMES = { "invoice", "facture-é", "letter", "contract 7", "scan" }
local TYPES = { pdf = "application/pdf", png = "image/png", eml = "message/rfc822" }
local EXTENSIONS = { "pdf", "pdf", "png", "pdf", "eml" }

local function check(experiment, number)
  return (experiment * 40503 + number * 9973 + 12289) % 65536
end

function document.id(experiment, number)
  return ("expdoc_%04x%06x%04x"):format(experiment, number, check(experiment, number))
end

-- Returns the number of the experiment's document with this id, or nil.
function document.number(experiment, id)
  local hex = id:match("^expdoc_%x%x%x%x(%x%x%x%x%x%x)%x%x%x%x$")
  local number = hex and tonumber(hex, 16)
  if number and document.id(experiment, number) == id then return number end
end

function document.filename(number)
  return ("%s-%d.%s"):format(NAMES[number % #NAMES + 1], number + 1, EXTENSIONS[number % #EXTENSIONS + 1])
end

function document.mime_type(number)
  return TYPES[EXTENSIONS[number % #EXTENSIONS + 1]]
end

return document
