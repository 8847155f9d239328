-- One page of a list: its items, the cursors to both sides, and its JSON. Cursors are ids of items.
--
-- A list is { first, last, id(k), number(id), collect(limit, first, last, step), write(k, pieces, n) }. Its items have
-- numbers, the newest the least, and `first` and `last` bound those that the request asks for. `collect` returns the
-- numbers of up to `limit` items.

local json = require "spec.simulator.json"

local page = {}

-- Returns a `collect` for a list that has no filter.
function page.every(limit, first, last, step)
  local numbers = {}
  for k = first, last, step do
    if #numbers == limit then break end
    numbers[#numbers + 1] = k
  end
  return numbers
end

-- Returns up to `limit` numbers from `first` to `last`, and true if another follows.
local function collect(list, limit, first, last, step)
  local numbers = list.collect(limit + 1, first, last, step)
  local more = #numbers > limit
  numbers[limit + 1] = nil
  return numbers, more
end

local function exists(list, first, last, step)
  return (last - first) * step >= 0 and list.collect(1, first, last, step)[1] ~= nil
end

local function reverse(numbers)
  local reversed = {}
  for i = #numbers, 1, -1 do reversed[#reversed + 1] = numbers[i] end
  return reversed
end

-- Returns the number that is further along the step.
local function further(a, b, step)
  if step > 0 then return math.max(a, b) end
  return math.min(a, b)
end

-- A cursor with a suffix leads to the same place. An empty page needs a cursor that did not come before.
local ALIAS = "^(.-)%.(%d+)$"

function page.alias(cursor, n)
  return (cursor and (cursor:match(ALIAS) or cursor) or "start") .. "." .. n
end

local function number_of(list, cursor)
  if not cursor then return nil end
  return list.number(cursor:match(ALIAS) or cursor)
end

-- `asked` is { limit, order, after, before }. Returns { numbers, before, after }: the items, and the cursors or nil. An
-- unknown cursor is ignored.
function page.select(list, asked)
  local limit = asked.limit
  local first, last, step = list.first, list.last, 1
  if asked.order == "asc" then first, last, step = last, first, -1 end
  local after, before = number_of(list, asked.after), number_of(list, asked.before)
  local numbers, precede, follow
  if before then
    local start = further(before - step, last, -step)
    numbers, precede = collect(list, limit, start, first, -step)
    numbers = reverse(numbers)
    follow = exists(list, further(before, first, step), last, step)
  else
    local start = after and further(after + step, first, step) or first
    numbers, follow = collect(list, limit, start, last, step)
    precede = after and exists(list, further(after, last, -step), first, -step)
  end
  return {
    numbers = numbers,
    before = precede and numbers[1] and list.id(numbers[1]) or nil,
    after = follow and numbers[1] and list.id(numbers[#numbers]) or nil,
  }
end

function page.json(list, selected)
  local pieces, n = { '{"data":[' }, 1
  for i, k in ipairs(selected.numbers) do
    if i > 1 then
      n = n + 1
      pieces[n] = ","
    end
    n = list.write(k, pieces, n)
  end
  pieces[n + 1], pieces[n + 2] = '],"list_metadata":{"before":', json.optional(selected.before)
  pieces[n + 3], pieces[n + 4], pieces[n + 5] = ',"after":', json.optional(selected.after), "}}"
  return table.concat(pieces)
end

-- Returns the status and the body of a page. `edit(selected, asked, list)` may change it before it is written.
function page.response(list, asked, edit)
  local selected = page.select(list, asked)
  if edit then edit(selected, asked, list) end
  return 200, page.json(list, selected)
end

return page
