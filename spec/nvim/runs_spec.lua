local cjson = require "cjson"
local editor = require "spec.nvim.editor"
local http = require "socket.http"
local simulator = require "spec.simulator"

local server = simulator.shared()
local path = "/v1/workflows/experiments/"

--- What the server sends, read without the library.
local function get(base_url, what)
  local parts = {}
  assert(http.request {
    url = base_url .. path .. what, headers = { ["Api-Key"] = "k" },
    sink = function(piece) parts[#parts + 1] = piece return 1 end,
  })
  return cjson.decode(table.concat(parts))
end

--- A scenario in which each list has these runs.
local function fixed(runs, more)
  local options = {
    fault = "body", on = "list", times = 0, type = "application/json",
    body = cjson.encode { data = runs, list_metadata = { before = cjson.null, after = cjson.null } },
  }
  for name, value in pairs(more or {}) do options[name] = value end
  return server:scenario(options)
end

local function a_run(fields)
  local run = {
    id = "exprun_1", experiment_id = "exp_1", block_id = "blk", block_type = "extract", n_consensus = 3, score = 0.5,
    lifecycle = { status = "completed" }, timing = { created_at = "2026-01-02T03:04:05Z", duration_ms = 65000 },
    total_document_count = 4, completed_document_count = 3, error_count = 1,
  }
  for name, value in pairs(fields or {}) do run[name] = value end
  return run
end

local function times(text, part)
  local count, at = 0, 1
  while true do
    local from, to = text:find(part, at, true)
    if not from then return count end
    count, at = count + 1, to + 1
  end
end

describe("the Neovim plugin", function()
  it("loads nothing at startup", function()
    local loaded = editor.run [[
      local names = {}
      for name in pairs(package.loaded) do
        if name:find "^retab" then names[#names + 1] = name end
      end
      return { names = names, command = vim.fn.exists ":Retab" }
    ]]
    assert.same({ names = {}, command = 2 }, loaded)
  end)

  it("makes the library available to other Lua code", function()
    local count = editor.on(server:scenario { runs = 3 }, [[
      return #require "retab".new().workflows.experiments.runs.list().data
    ]])
    assert.equal(3, count)
  end)

  it("says how to build it where it is not built", function()
    local directory = editor.install { "plugin", "lua" }
    local result = editor.run([[
      vim.cmd "Retab runs"
      wait_for "not built"
      return { text = all(), messages = messages() }
    ]], { directory = directory, env = { RETAB_API_KEY = "k" } })
    editor.remove(directory)
    assert.is_truthy(result.text:find("cd '" .. directory .. "' && scripts/build", 1, true), result.text)
    assert.equal("", result.messages)
  end)
end)

describe(":Retab", function()
  it("completes its subcommand and the experiments that are known", function()
    local result = editor.run([[
      vim.cmd "Retab runs exp_b"
      return { vim.fn.getcompletion("Retab ", "cmdline"), vim.fn.getcompletion("Retab runs exp", "cmdline"),
        vim.fn.getcompletion("Retab runs exp_b", "cmdline"), vim.fn.getcompletion("Retab x", "cmdline") }
    ]], { globals = { retab = { experiment = "exp_a" } } })
    assert.same({ { "runs" }, { "exp_a", "exp_b" }, { "exp_b" }, {} }, result)
  end)

  it("refuses another subcommand, or more arguments, in one line", function()
    local text = editor.run [[
      local notes = {}
      vim.notify = function(message) notes[#notes + 1] = message end
      vim.cmd "Retab list"
      vim.cmd "Retab runs a b"
      return notes
    ]]
    assert.same({ 'Retab has no subcommand "list". Try :Retab runs', "Usage: :Retab runs [experiment]" }, text)
  end)

  it("opens all runs, or those of the experiment of the settings", function()
    local script = [[
      vim.cmd "Retab"
      return vim.api.nvim_buf_get_name(0)
    ]]
    assert.equal("retab://runs", (editor.run(script)))
    assert.equal("retab://runs/exp_1", (editor.run(script, { globals = { retab = { experiment = "exp_1" } } })))
  end)

  it("opens another window where its modifiers ask for one", function()
    local result = editor.run [[
      vim.cmd "vertical Retab runs exp_1"
      vim.cmd "tab Retab runs exp_1"
      return { windows = #vim.api.nvim_list_wins(), tabs = #vim.api.nvim_list_tabpages(), buffers =
        #vim.tbl_filter(function(b) return vim.api.nvim_buf_get_name(b):find "^retab:" end, vim.api.nvim_list_bufs()) }
    ]]
    assert.same({ windows = 3, tabs = 2, buffers = 1 }, result)
  end)

  it("leaves a changed buffer in peace", function()
    local result = editor.run [[
      vim.api.nvim_buf_set_lines(0, 0, -1, true, { "mine" })
      local mine = vim.api.nvim_get_current_buf()
      vim.cmd "Retab runs"
      return { name = vim.api.nvim_buf_get_name(0), mine = lines(mine)[1], modified = vim.bo[mine].modified }
    ]]
    assert.same({ name = "retab://runs", mine = "mine", modified = true }, result)
  end)

  it("takes an experiment with any characters", function()
    local url, id = server:scenario { runs = 1 }
    editor.on(url, [[
      vim.cmd "Retab runs a/b%#\\|c?d*é"
      wait_for "This experiment has no runs."
    ]])
    assert.equal("a/b%#|c?d*é", server:requests(id)[1].args.experiment_id)
  end)
end)

describe("the list of runs", function()
  it("shows each run of the page in aligned columns", function()
    local url = server:scenario { runs = 2000 }
    local expected = get(url, "runs?experiment_id=exp_0&limit=50").data
    local result = editor.on(url, [[
      vim.cmd "Retab runs exp_0"
      local first = lines()[1]
      wait_for "L loads more"
      return { first = first, lines = lines(), modifiable = vim.bo.modifiable, filetype = vim.bo.filetype,
        cursor = vim.api.nvim_win_get_cursor(0)[1], messages = messages(), wraps = vim.wo.wrap }
    ]])
    assert.is_false(result.wraps)
    assert.is_truthy(result.first:find("Runs of exp_0   loading ...", 1, true))
    assert.is_truthy(result.lines[1]:find("Runs of exp_0   the newest 50, L loads more", 1, true))
    assert.equal(2 + 50, #result.lines)
    local at = assert(result.lines[2]:find("STATUS", 1, true))
    for index, run in ipairs(expected) do
      local line = result.lines[index + 2]
      assert.equal(run.id, line:match "^%S+")
      assert.equal(run.lifecycle.status, line:sub(at):match "^%S+")
      if type(run.score) == "number" then
        assert.is_truthy(line:find((" %.3f "):format(run.score), 1, true), line)
      end
      assert.is_truthy(line:find((" %d/%d "):format(run.completed_document_count, run.total_document_count), 1, true))
      assert.equal(#result.lines[3], #line) -- so that the ages are aligned
    end
    assert.same({ false, "retab", 3, "" }, { result.modifiable, result.filetype, result.cursor, result.messages })
  end)

  it("names the experiment and the block of each run, unless all runs are of one experiment", function()
    local url = server:scenario { runs = 20 }
    local expected = get(url, "runs?limit=50").data
    local result = editor.on(url, [[
      vim.cmd "Retab runs"
      wait_for "exprun_"
      local all = lines()
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      return { all = all, of_one = lines()[2] }
    ]])
    for index, run in ipairs(expected) do
      local pattern = "^%S+%s+(%S+)%s+%S+%s+(%S+)"
      assert.same({ run.experiment_id, run.block_type }, { result.all[index + 2]:match(pattern) })
    end
    assert.equal("RUN EXPERIMENT STATUS BLOCK SCORE DOCS FAILED TOOK", (result.all[2]:gsub("%s+", " ")))
    assert.equal("RUN STATUS SCORE DOCS FAILED TOOK", (result.of_one:gsub("%s+", " ")))
  end)

  it("highlights by status, in groups that are linked to standard ones", function()
    local runs = {}
    for index, status in ipairs { "pending", "queued", "running", "completed", "error", "cancelled", "new" } do
      runs[index] = a_run { id = "exprun_" .. index, lifecycle = { status = status } }
    end
    local result = editor.on(fixed(runs), [[
      vim.cmd "Retab runs exp_1"
      wait_for "exprun_7"
      local groups, links = {}, {}
      for number = 3, 9 do
        for _, mark in ipairs(marks(number)) do groups[mark[1] ] = mark[2] end
      end
      for _, group in pairs(groups) do
        links[group] = vim.fn.synIDattr(vim.fn.synIDtrans(vim.fn.hlID(group)), "name")
      end
      return { groups = groups, links = links }
    ]])
    local groups = result.groups
    assert.same({ "RetabPending", "RetabQueued", "RetabRunning", "RetabCompleted", "RetabError", "RetabCancelled" },
      { groups.pending, groups.queued, groups.running, groups.completed, groups.error, groups.cancelled })
    assert.is_nil(groups.new)
    assert.equal("RetabId", groups.exprun_1)
    for group, link in pairs(result.links) do assert.is_nil(link:find "^Retab", group) end
  end)

  it("leaves a group that the user has defined as it is, and has its own after another color scheme", function()
    local result = editor.run [[
      vim.cmd "highlight link RetabError Todo"
      vim.cmd "Retab runs"
      local mine = vim.fn.execute "highlight RetabError"
      vim.cmd "colorscheme desert"
      return { mine, vim.fn.execute "highlight RetabCompleted" }
    ]]
    assert.is_truthy(result[1]:find "links to Todo")
    assert.is_truthy(result[2]:find "links to String")
  end)

  it("tells the age of each run in virtual text", function()
    local runs = {}
    for index, seconds in ipairs { 0, 65, 3 * 60 + 5, 5 * 3600 + 5, 3 * 86400 + 5 } do
      runs[index] = a_run { id = "exprun_" .. index,
        timing = { created_at = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() + 60 - seconds) } }
    end
    runs[6] = a_run { id = "exprun_6", timing = {} }
    local result = editor.on(fixed(runs), [[
      local now = os.time
      os.time = function() return now() + 60 end
      vim.cmd "Retab runs exp_1"
      wait_for "exprun_6"
      local ages = {}
      for number = 3, 8 do
        for _, mark in ipairs(marks(number)) do
          if mark[2] == "RetabAge" then ages[number - 2] = mark[1] end
        end
      end
      return ages
    ]])
    assert.is_truthy(result[1] == "just now" or result[1]:find "^%d+ s ago$", result[1])
    assert.same({ "1 min ago", "3 min ago", "5 h ago", "3 days ago" }, { result[2], result[3], result[4], result[5] })
    assert.is_nil(result[6])
  end)

  it("shows names with control characters in one line, without them", function()
    local evil = "exp\n\r\0\27[31m\194\155\226\128\174x"
    local result = editor.on(fixed { a_run {
      id = "exprun_1\nq\27", experiment_id = evil, block_type = evil,
      lifecycle = { status = "run\nning", message = evil },
    } }, [[
      vim.cmd "Retab runs"
      wait_for "exprun_1"
      local list = lines()
      press "<CR>"
      wait_for "Metrics"
      press "w"
      local window = lines()
      press "q"
      press "w"
      return { list = list, window = window, messages = messages() }
    ]])
    assert.equal(3, #result.list)
    for _, line in ipairs(result.list) do assert.is_nil(line:find "[%c]", line) end
    for _, line in ipairs(result.window) do assert.is_nil(line:find "[%c]", line) end
    local text = table.concat(result.list, "\n")
    assert.is_nil(text:find("\194\155", 1, true))
    assert.is_nil(text:find("\226\128\174", 1, true))
    assert.is_truthy(text:find("exprun_1\239\191\189q", 1, true), text)
    assert.is_nil(result.messages:find("\27", 1, true))
  end)

  it("aligns wide characters, and cuts long names", function()
    local result = editor.on(fixed {
      a_run { id = "実験", block_type = ("é"):rep(100) }, a_run { id = "exprun_2" },
    }, [[
      vim.cmd "Retab runs"
      wait_for "exprun_2"
      local places = {}
      for number = 3, 4 do
        local line = lines()[number]
        places[number - 2] = vim.fn.strdisplaywidth(line:sub(1, line:find("completed", 1, true) - 1))
      end
      return { places = places, width = vim.fn.strdisplaywidth(lines()[3]), line = lines()[3] }
    ]])
    assert.equal(result.places[2], result.places[1])
    assert.is_true(result.width < 80)
    assert.is_truthy(result.line:find "é… ")
  end)

  it("shows runs of which little is known", function()
    local result = editor.on(fixed { { id = "exprun_1" }, { id = "exprun_2", lifecycle = "odd", timing = 7,
      score = "high", total_document_count = {}, error_count = {}, experiment_id = true } }, [[
      vim.cmd "Retab runs"
      wait_for "exprun_2"
      press "<CR>"
      wait_for "Metrics"
      press "q"
      press "w"
      return { list = lines(), messages = messages() }
    ]])
    assert.is_truthy(result.list[3]:find "^exprun_1  %-")
    assert.is_nil(result.messages:find "traceback")
  end)

  it("says that there are no runs", function()
    local text = editor.on(server:scenario { runs = 0 }, [[
      vim.cmd "Retab runs exp_0"
      wait_for "This experiment has no runs."
      press "<CR>"
      return messages()
    ]])
    assert.equal("There is no run in this line.", text)
  end)
end)

describe("a refresh", function()
  it("by r shows new runs, and the cursor stays on its run", function()
    local url = server:scenario { runs = 100, churn = "create", churn_runs = 3 }
    local result = editor.on(url, [[
      vim.cmd "Retab runs"
      wait_for "L loads more"
      vim.api.nvim_win_set_cursor(0, { 5, 4 })
      local before, seen = lines()[5], lines()[3]
      press "r"
      wait("new runs come", function() return lines()[3] ~= seen end)
      local cursor = vim.api.nvim_win_get_cursor(0)
      return { before = before, after = lines()[cursor[1] ], cursor = cursor }
    ]], { globals = { retab = { refresh = 0 } } })
    assert.equal(result.before, result.after)
    assert.same({ 8, 4 }, result.cursor)
  end)

  it("leaves the cursor where the user put it, above the runs too", function()
    local line = editor.on(server:scenario { runs = 100, churn = "create" }, [[
      vim.cmd "Retab runs"
      wait_for "L loads more"
      local seen = lines()[3]
      vim.api.nvim_win_set_cursor(0, { 1, 0 })
      press "r"
      wait("new runs come", function() return lines()[3] ~= seen end)
      return vim.api.nvim_win_get_cursor(0)[1]
    ]])
    assert.equal(1, line)
  end)

  --- Counts responses, from the first client on.
  local counting = [[
    local responses = 0
    local retab = require "retab"
    local new = retab.new
    retab.new = function(options)
      options.on_response = function() responses = responses + 1 end
      return new(options)
    end
  ]]

  it("comes by itself while the buffer is visible, and only then", function()
    local result = editor.on(server:scenario { runs = 10 }, counting .. [[
      local function count_hidden()
        pause(100) -- a request may be under way
        local before = responses
        pause(500) -- 25 intervals
        return responses - before
      end
      vim.cmd "Retab runs"
      wait("three responses came", function() return responses >= 3 end)
      vim.cmd "enew"
      local hidden = count_hidden()
      local before = responses
      vim.cmd "Retab runs"
      wait("it goes on", function() return responses >= before + 2 end)
      vim.cmd "tabnew" -- the window is in a tab page that is not shown
      return { hidden = hidden, in_another_tab = count_hidden() }
    ]], { globals = { retab = { refresh = 0.02 } } })
    assert.same({ hidden = 0, in_another_tab = 0 }, result)
  end)

  it("writes nothing where nothing has changed", function()
    local result = editor.on(server:scenario { runs = 10 }, counting .. [[
      vim.cmd "Retab runs"
      wait_for "10 runs"
      local before, ticks = responses, vim.b.changedtick
      wait("it comes again", function() return responses >= before + 3 end)
      return { before = ticks, after = vim.b.changedtick }
    ]], { globals = { retab = { refresh = 0.02 } } })
    assert.equal(result.before, result.after)
  end)

  it("does not come by itself where the interval is 0", function()
    local count = editor.on(server:scenario { runs = 10 }, counting .. [[
      vim.cmd "Retab runs"
      wait_for "10 runs"
      pause(300)
      return responses
    ]], { globals = { retab = { refresh = 0 } } })
    assert.equal(1, count)
  end)

  it("never blocks, and ten of them do not pile up", function()
    local url, id = server:scenario { runs = 10, latency = 1 }
    local title = editor.on(url, counting .. [[
      vim.cmd "Retab runs"
      pause(50) -- the first request is under way
      for _ = 1, 10 do press "r" end
      local title = lines()[1]
      wait("the second response comes", function() return responses == 2 end)
      pause(300)
      return title
    ]], { globals = { retab = { refresh = 0 } } })
    assert.is_truthy(title:find("loading", 1, true)) -- no key waited for a response
    assert.equal(2, #server:requests(id))
  end)

  it("that fails keeps the runs, and says so until one succeeds", function()
    local url = server:scenario { runs = 10, fault = "status", code = 422, at = 2 }
    local result = editor.on(url, [[
      vim.cmd "Retab runs"
      wait_for "10 runs"
      vim.api.nvim_win_set_cursor(0, { 4, 0 })
      local run = lines()[4]
      press "r"
      wait_for "Not refreshed since"
      local failed, on = lines(), vim.api.nvim_get_current_line()
      press "r"
      wait("it is gone", function() return not all():find "Not refreshed" end)
      return { run = run, failed = failed, on = on, count = #lines(), back_on = vim.api.nvim_get_current_line() }
    ]], { globals = { retab = { refresh = 0 } } })
    assert.is_truthy(result.failed[2]:find("Simulated failure", 1, true), result.failed[2])
    assert.equal(13, #result.failed)
    assert.equal(12, result.count)
    assert.equal(result.run, result.on)
    assert.equal(result.run, result.back_on)
  end)

  it("does not say that these are all runs where none are loaded", function()
    local result = editor.run([[
      vim.cmd "Retab runs"
      wait_for "RETAB_API_KEY"
      press "L"
      return messages()
    ]])
    assert.equal("No runs are loaded yet.", result)
  end)

  it("keeps the pages that L loaded", function()
    local url, id = server:scenario { runs = 130 }
    local result = editor.on(url, [[
      vim.cmd "Retab runs"
      wait_for "the newest 50, L loads more"
      for _ = 1, 5 do press "L" end
      local meanwhile = lines()[1]
      wait_for "the newest 100"
      pause(300) -- another refresh follows
      wait_for "the newest 100, L loads more"
      press "L"
      wait_for "130 runs"
      press "L"
      press "r"
      pause(200)
      return { meanwhile = meanwhile, count = #lines(), messages = messages() }
    ]], { globals = { retab = { refresh = 0 } } })
    assert.is_truthy(result.meanwhile:find("loading more", 1, true))
    assert.equal(132, result.count)
    assert.equal("These are all runs.", result.messages)
    for _, request in ipairs(server:requests(id)) do assert.equal("50", request.args.limit) end
  end)
end)

describe("the window of a run", function()
  it("shows the run and its metrics, and closes by q", function()
    local url = server:scenario { runs = 200 }
    local run
    for _, candidate in ipairs(get(url, "runs?experiment_id=exp_0&limit=50").data) do
      run = run or (candidate.lifecycle.status == "completed" and candidate)
    end
    local metrics = get(url, "metrics?run_id=" .. run.id)
    local result = editor.on(url, [[
      vim.cmd "Retab runs exp_0"
      wait_for(given.id)
      vim.fn.search(given.id)
      press "<CR>"
      local first = lines()
      wait_for "Documents, the lowest score first"
      local shown, groups = lines(), {}
      for number = 1, #shown do
        for _, mark in ipairs(marks(number)) do groups[mark[2] ] = true end
      end
      local config = vim.api.nvim_win_get_config(0)
      local buffer = vim.api.nvim_get_current_buf()
      press "q"
      return { first = first, shown = shown, groups = groups, relative = config.relative, height = config.height,
        floats = #floats(), gone = not vim.api.nvim_buf_is_valid(buffer), back = vim.api.nvim_buf_get_name(0),
        messages = messages() }
    ]], { given = { id = run.id } })
    local text = table.concat(result.shown, "\n")
    assert.equal(run.id .. "   r refreshes   q closes", result.first[1])
    assert.is_truthy(table.concat(result.first, "\n"):find("Loading", 1, true))
    assert.is_truthy(text:find("Workflow    " .. run.workflow_id, 1, true), text)
    assert.is_truthy(text:find(("Score       %.3f"):format(metrics.score), 1, true), text)
    local arrow = metrics.score > metrics.prior_score and "▲" or "▼"
    local change = math.abs(metrics.score - metrics.prior_score)
    assert.is_truthy(text:find(("%s %.3f against %.3f of %s"):format(arrow, change, metrics.prior_score,
      metrics.prior_run_id), 1, true), text)
    table.sort(metrics.documents, function(one, other) return one.score < other.score end)
    local last = 0
    for _, document in ipairs(metrics.documents) do
      local at = text:find(("%s +%.3f"):format(document.filename:gsub("%p", "%%%0"), document.score))
      assert.is_true(at and at > last, document.filename)
      last = at
    end
    for name in pairs(metrics.aggregate.likelihoods) do assert.is_truthy(text:find(name, 1, true), text) end
    assert.is_true(result.groups.RetabScore and result.groups.RetabLabel and result.groups.RetabCompleted)
    assert.same({ "editor", 0, true, "retab://runs/exp_0", "" },
      { result.relative, result.floats, result.gone, result.back, result.messages })
  end)

  it("shows why a run failed", function()
    local text = editor.on(fixed { a_run { lifecycle = { status = "error", message = "It broke", details = {
      message = "at page 3", error_code = "model_timeout", block_name = "Invoice", stack_trace = "one\ntwo" } } } }, [[
      vim.cmd "Retab runs exp_1"
      wait_for "exprun_1"
      press "<CR>"
      wait("the run is looked for", function() return not all():find "Loading" end)
      return all()
    ]])
    for _, part in ipairs { "It broke", "at page 3", "model_timeout", "Invoice", "  one\n  two" } do
      assert.is_truthy(text:find(part, 1, true), text)
    end
    assert.is_truthy(text:find("The server does not have it", 1, true), text) -- its metrics
  end)

  it("says that metrics are out of date, or missing", function()
    for kind, expected in pairs { stale = "The metrics are out of date", none = "no metrics" } do
      local text = editor.on(server:scenario { runs = 20, metrics = kind }, [[
        vim.cmd "Retab runs exp_0"
        wait_for "exprun_"
        press "<CR>"
        wait("metrics come", function() return not all():find "Loading" end)
        return all()
      ]])
      assert.is_truthy(text:find(expected, 1, true), text)
    end
  end)

  it("refreshes by r", function()
    local url, id = server:scenario { runs = 20 }
    editor.on(url, [[
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      press "<CR>"
      press "rr"
      wait("it has come", function() return not all():find "Loading" end)
      press "r"
      wait("it comes again", function() return not all():find "Loading" end)
    ]], { globals = { retab = { refresh = 0 } } })
    assert.equal(1 + 2 + 2, #server:requests(id))
  end)

  it("closes when another window is entered", function()
    local count = editor.on(server:scenario { runs = 20 }, [[
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      press "<CR>"
      local before = #floats()
      vim.cmd "wincmd p"
      wait("it closes", function() return #floats() < before end)
      press "?"
      return { #floats(), all() }
    ]])
    assert.equal(1, count[1])
    assert.is_truthy(count[2]:find("refreshes", 1, true))
  end)

  it("makes way for another list", function()
    local result = editor.on(server:scenario { runs = 20 }, [[
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      press "<CR>"
      wait_for "Metrics"
      vim.cmd "Retab runs exp_1"
      return { floats = #floats(), name = vim.api.nvim_buf_get_name(0) }
    ]])
    assert.same({ floats = 0, name = "retab://runs/exp_1" }, result)
  end)

  it("fits small screens", function()
    local config = editor.on(server:scenario { runs = 200 }, [[
      vim.o.columns, vim.o.lines = 30, 10
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      vim.fn.search "completed"
      press "<CR>"
      wait_for "Documents, the lowest"
      return vim.api.nvim_win_get_config(0)
    ]])
    assert.is_true(config.width + 2 <= 30)
    assert.is_true(config.height + 2 <= 10)
  end)
end)

describe("waiting for a run by w", function()
  --- Creates a run without the library.
  local function create(base_url)
    local parts = {}
    assert(http.request {
      url = base_url .. path .. "runs", method = "POST",
      source = require("ltn12").source.string '{"experiment_id":"exp_0"}',
      headers = { ["Api-Key"] = "k", ["Content-Type"] = "application/json", ["Content-Length"] = "25" },
      sink = function(piece) parts[#parts + 1] = piece return 1 end,
    })
    return cjson.decode(table.concat(parts)).id
  end

  it("notifies when it has ended, and shows that it waits until then", function()
    local url = server:scenario { runs = 20, outcome = "completed", score = 0.875, looks = 2 }
    local run = create(url)
    local result = editor.on(url, [[
      local notes = {}
      vim.notify = function(message, level) notes[#notes + 1] = { message, level } end
      vim.cmd "Retab runs exp_0"
      wait_for(given.run)
      press "w"
      local waiting = marks(3)
      press "w"
      wait("it has ended", function() return #notes == 3 end)
      wait("the list shows it", function() return lines()[3]:find "completed" end)
      return { waiting = waiting, notes = notes, after = marks(3) }
    ]], { given = { run = run }, globals = { retab = { refresh = 0 } } })
    assert.same({
      { run .. ": waiting until it ends", 2 }, { run .. ": already waiting", 2 },
      { run .. ": completed, score 0.875", 2 },
    }, result.notes)
    local function has(list, group)
      for _, mark in ipairs(list) do
        if mark[2] == group then return true end
      end
      return false
    end
    assert.is_true(has(result.waiting, "RetabWaiting"))
    assert.is_false(has(result.after, "RetabWaiting"))
  end)

  it("warns where it ended in an error, at once if it has ended already", function()
    local url, id = fixed {
      a_run { lifecycle = { status = "error", message = "No\npage" }, score = false },
      a_run { id = "exprun_2", lifecycle = { status = "cancelled", reason = 7 }, score = false },
    }
    local notes = editor.on(url, [[
      local notes = {}
      vim.notify = function(message, level) notes[#notes + 1] = { message, level } end
      vim.cmd "Retab runs exp_1"
      wait_for "exprun_2"
      press "wjw"
      return notes
    ]], { globals = { retab = { refresh = 0 } } })
    assert.same({ { "exprun_1: error: No\239\191\189page", 3 }, { "exprun_2: cancelled", 3 } }, notes)
    assert.equal(1, #server:requests(id)) -- the list
  end)

  it("ends with the reason where the server does not know the run", function()
    local url = fixed { a_run { lifecycle = { status = "running" } } }
    local text = editor.on(url, [[
      local last
      vim.notify = function(message, level) last = level == vim.log.levels.ERROR and message or nil end
      vim.cmd "Retab runs exp_1"
      wait_for "exprun_1"
      press "w"
      wait("it ends", function() return last end)
      return last
    ]])
    assert.is_truthy(text:find("exprun_1: The server does not have it", 1, true), text)
  end)
end)

describe("a problem", function()
  it("of a missing key says how to set it, and r tries again", function()
    local result = editor.run([[
      vim.env.RETAB_API_BASE_URL = given.url
      vim.cmd "Retab runs exp_0"
      wait_for "No API key is set"
      local text, messages = all(), messages()
      vim.env.RETAB_API_KEY = "k"
      press "r"
      wait_for "exprun_"
      return { text = text, messages = messages }
    ]], { given = { url = (server:scenario { runs = 20 }) } })
    assert.is_truthy(result.text:find("$RETAB_API_KEY", 1, true))
    assert.equal("", result.messages)
  end)

  it("of a key that is not accepted says so, and r uses the new one", function()
    local result = editor.on(server:scenario { runs = 20, key = "right" }, [[
      vim.cmd "Retab runs exp_0"
      wait_for "does not accept the API key"
      local text, messages = all(), messages()
      vim.env.RETAB_API_KEY = "right"
      press "r"
      wait_for "exprun_"
      return { text = text, messages = messages }
    ]])
    assert.is_truthy(result.text:find('g:retab.client.auth = "bearer"', 1, true), result.text)
    assert.equal("", result.messages)
  end)

  local expected = {
    ["The server cannot be reached"] = "http://127.0.0.1:1",
    ["The response is not one of the Retab API"] = (server:scenario { fault = "html", times = 0 }),
    ["The server refuses the request"] = (server:scenario { fault = "status", code = 422, times = 0 }),
    ["A setting is not valid"] = "http://example.com",
  }
  for title, url in pairs(expected) do
    it("is told in words, without a stack trace: " .. title, function()
      local result = editor.on(url, [[
        vim.cmd "Retab runs exp_0"
        wait_for "tries again"
        return { lines = lines(), messages = messages(), wraps = vim.wo.wrap }
      ]], { globals = { retab = { client = { max_retries = 0 } } } })
      local text = table.concat(result.lines, "\n")
      assert.is_true(result.wraps)
      assert.equal(title, result.lines[3])
      assert.is_nil(text:find "traceback")
      assert.is_nil(text:find "%.lua:%d")
      assert.equal("", result.messages)
    end)
  end

  it("of the settings is told once, and the defaults hold", function()
    local url, id = server:scenario { runs = 200 }
    local text = editor.on(url, [[
      vim.cmd "Retab runs"
      wait_for "the newest 50"
      press "r"
      pause(200)
      return messages()
    ]], { globals = { retab = { limit = 500 } } })
    assert.equal("g:retab.limit must be an integer from 1 to 100", text)
    assert.equal("50", server:requests(id)[1].args.limit)
  end)

  it("of an option of the client names it", function()
    local text = editor.on(server:scenario { runs = 1 }, [[
      vim.cmd "Retab runs"
      wait_for "A setting is not valid"
      return all()
    ]], { globals = { retab = { client = { timeuot = 5 } } } })
    assert.is_truthy(text:find("timeuot", 1, true), text)
  end)
end)

describe("the end", function()
  --- Counts the handles of libuv that are open.
  local counting = [[
    local made = {}
    for _, name in ipairs { "new_timer", "new_poll", "new_idle" } do
      local make = vim.loop[name]
      vim.loop[name] = function(...)
        made[#made + 1] = assert(make(...))
        return made[#made]
      end
    end
    local function handles()
      local count = 0
      for _, handle in ipairs(made) do count = count + (handle:is_closing() and 0 or 1) end
      return count
    end
  ]]

  it("of a buffer cancels its work", function()
    for _, command in ipairs { "bwipeout", "bdelete", "bunload" } do
      local result = editor.on(server:scenario { runs = 20, latency = 30 }, counting .. [[
        vim.cmd "new"
        vim.cmd "Retab runs"
        wait("a request is under way", function() return handles() >= 3 end)
        vim.cmd(given.command)
        local left = handles()
        pause(100)
        return { left = left, messages = messages() }
      ]], { given = { command = command } })
      assert.same({ left = 0, messages = "" }, result)
    end
  end)

  it("of a window cancels its work", function()
    local url = server:scenario { runs = 20, fault = "stall", on = "metrics", times = 0, bytes = 10 }
    local result = editor.on(url, counting .. [[
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      local before = handles()
      press "<CR>"
      wait("a request is under way", function() return handles() > before end)
      press "q"
      local left = handles() - before
      pause(100)
      return { left = left, messages = messages() }
    ]], { globals = { retab = { refresh = 0 } } })
    assert.same({ left = 0, messages = "" }, result)
  end)

  it("of the editor is clean while requests are under way", function()
    local began = os.time()
    local _, output, status = editor.on(server:scenario { runs = 20, latency = 30, fault = "empty" }, [[
      vim.cmd "Retab runs exp_0"
      vim.cmd "Retab runs exp_1"
      pause(100)
      press "r"
    ]])
    assert.equal("", output)
    assert.equal(0, status)
    assert.is_true(os.time() - began < 20)
  end)

  it("of a buffer is not the end of the list: :edit and the buffer's name open it again", function()
    local url, id = server:scenario { runs = 200 }
    local result = editor.on(url, [[
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      vim.cmd "edit"
      wait_for "exprun_"
      vim.cmd "bwipeout"
      vim.cmd "edit retab://runs/exp_0"
      wait_for "exprun_"
      press "?"
      return { all(), messages() }
    ]], { globals = { retab = { refresh = 0 } } })
    assert.is_truthy(result[1]:find("loads more", 1, true))
    assert.equal("", result[2])
    assert.equal(3, #server:requests(id))
  end)
end)

describe("the help by ?", function()
  it("names each key, and closes by q", function()
    local result = editor.on(server:scenario { runs = 20 }, [[
      vim.cmd "Retab runs exp_0"
      wait_for "exprun_"
      local mapped = vim.tbl_map(function(map) return map.lhs end, vim.api.nvim_buf_get_keymap(0, "n"))
      press "?"
      local help = all()
      press "q"
      return { mapped = mapped, help = help, floats = #floats() }
    ]])
    assert.equal(5, #result.mapped)
    for _, key in ipairs(result.mapped) do assert.equal(1, times("\n" .. result.help, "\n" .. key .. " "), key) end
    assert.equal(0, result.floats)
  end)
end)
