-- Prints the id of every run of an experiment. After a failure, a second start resumes where the first one stopped: a
-- file holds the cursor.
--
--     RETAB_API_KEY=... lua examples/resume.lua exp_abc cursor.txt >>ids.txt
local retab = require "retab"

local experiment, path = arg[1], arg[2]
if not path then error "usage: resume.lua EXPERIMENT CURSOR_FILE" end

local function load_cursor()
  local file = io.open(path)
  if not file then return nil end
  local cursor = file:read "*l"
  file:close()
  return cursor
end

local function save_cursor(cursor)
  local file = assert(io.open(path, "w"))
  assert(file:write(cursor, "\n"))
  assert(file:close())
end

local runs = retab.new().workflows.experiments.runs
local it = runs.iter { experiment_id = experiment, after = load_cursor() }

while true do
  local run, _, err = it:next() -- a `for` loop would raise the failure; this returns it
  if err then
    if it.cursor then save_cursor(it.cursor) end -- the id of the last run that was printed
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  if not run then break end
  print(run.id)
end
os.remove(path)
