-- One page of a data set: which runs it holds, whether more stand on either side, and its JSON. Cursors are run ids.

local json = require "spec.simulator.json"
local run = require "spec.simulator.run"

local page = {}

-- The numbers of the first and the last run within the dates, in the order asked, and the step from one to the next.
local function bounds(set, asked)
  local first, last = 0, set.runs - 1
  if asked.latest < math.huge then first = set:first_at_or_before(asked.latest) end
  -- Runs created strictly before the earliest moment are out: one microsecond earlier is the first of those.
  if asked.earliest > -math.huge then last = set:first_at_or_before(asked.earliest - 1e-6) - 1 end
  if asked.order == "asc" then return last, first, -1 end
  return first, last, 1
end

-- Up to `limit` matches from `first` to `last`, and whether another follows.
local function collect(set, masks, limit, first, last, step)
  local numbers = set:collect(masks, limit + 1, first, last, step)
  local more = #numbers > limit
  numbers[limit + 1] = nil
  return numbers, more
end

-- Whether any run from `first` to `last` matches. The first one, where a walk's cursor stands, mostly does.
local function exists(set, masks, first, last, step)
  if (last - first) * step < 0 then return false end
  return set:matches(masks, first) or set:collect(masks, 1, first, last, step)[1] ~= nil
end

local function reverse(numbers)
  local reversed = {}
  for i = #numbers, 1, -1 do reversed[#reversed + 1] = numbers[i] end
  return reversed
end

-- The further of two numbers along the step.
local function further(a, b, step)
  if step > 0 then return math.max(a, b) end
  return math.min(a, b)
end

-- A cursor under another name leads to the same place: an empty page needs one that did not come before.
local ALIAS = "^(.-)%.(%d+)$"

function page.alias(cursor, n)
  return (cursor and (cursor:match(ALIAS) or cursor) or "start") .. "." .. n
end

local function number_of(set, cursor)
  if not cursor then return nil end
  return set:number(cursor:match(ALIAS) or cursor)
end

-- What `query.check` returned → { numbers, before, after }: the runs, and the cursors or nil. A cursor that no run has
-- counts as none.
function page.select(set, asked)
  local masks, limit = asked.masks, asked.limit
  local first, last, step = bounds(set, asked)
  local after, before = number_of(set, asked.after), number_of(set, asked.before)
  local numbers, precede, follow
  if before then
    local start = further(before - step, last, -step)
    numbers, precede = collect(set, masks, limit, start, first, -step)
    numbers = reverse(numbers)
    follow = exists(set, masks, further(before, first, step), last, step)
  else
    local start = after and further(after + step, first, step) or first
    numbers, follow = collect(set, masks, limit, start, last, step)
    precede = after and exists(set, masks, further(after, last, -step), first, -step)
  end
  return {
    numbers = numbers,
    before = precede and numbers[1] and set:id(numbers[1]) or nil,
    after = follow and numbers[1] and set:id(numbers[#numbers]) or nil,
  }
end

local function cursor_json(cursor)
  return cursor and json.quote(cursor) or "null"
end

function page.json(set, selected)
  local pieces, n = { '{"data":[' }, 1
  for i, k in ipairs(selected.numbers) do
    if i > 1 then
      n = n + 1
      pieces[n] = ","
    end
    n = run.write(set, k, pieces, n)
  end
  pieces[n + 1], pieces[n + 2] = '],"list_metadata":{"before":', cursor_json(selected.before)
  pieces[n + 3], pieces[n + 4], pieces[n + 5] = ',"after":', cursor_json(selected.after), "}}"
  return table.concat(pieces)
end

return page
