-- Writes the results of a run as CSV (RFC 4180), one row per document, in constant memory.
--
--     RETAB_API_KEY=... lua examples/results_to_csv.lua exprun_1 >results.csv
local retab = require "retab"

local run_id = assert(arg[1], "which run?")
local client = retab.new()

local columns = { "id", "document_id", "filename", "status", "duration_ms", "message" }

-- A field that has a comma, a quote or a line break is quoted.
local function field(value)
  local text = value == nil and "" or tostring(value)
  return text:find '[,"\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

local function write_row(row)
  local fields = {}
  for index, name in ipairs(columns) do fields[index] = field(row[name]) end
  assert(io.write(table.concat(fields, ","), "\r\n"))
end

local function filename_of(result)
  for _, handle in pairs(result.handle_inputs or {}) do
    if handle.type == "file" then return handle.document.filename end
  end
end

local header = {}
for _, name in ipairs(columns) do header[name] = name end
write_row(header)
for result in client.workflows.experiments.results.iter { run_id = run_id, order = "asc" } do
  write_row { id = result.id, document_id = result.document_id, filename = filename_of(result),
    status = result.lifecycle.status, duration_ms = result.timing.duration_ms, message = result.lifecycle.message }
end
client:close()
