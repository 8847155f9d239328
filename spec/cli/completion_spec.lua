--- retab-runs completion, in the shells themselves.
local shell = require "spec.cli.shell"

--- A command line, and what completes its last word, in any order.
local cases = {
  ["retab-runs "] = { "list", "get", "watch", "results", "metrics", "create", "cancel", "completion", "--status",
    "--from-date" },
  ["retab-runs -"] = { "-e", "-q", "--status", "--all" },
  ["retab-runs --st"] = { "--status" },
  ["retab-runs --ch"] = { "--chart" },
  ["retab-runs -e exp_abc --ord"] = { "--order" },
  ["retab-runs -q wa"] = { "watch" },
  ["retab-runs --base-url http://127.0.0.1:80 --sta"] = { "--status" },
  ["retab-runs list --exclude-s"] = { "--exclude-status" },
  ["retab-runs completion "] = { "bash", "zsh", "fish" },
  ["retab-runs --status "] = { "pending", "queued", "running", "completed", "error", "cancelled" },
  ["retab-runs -s c"] = { "completed", "cancelled" },
  ["retab-runs -e exp_abc --order "] = { "asc", "desc" },
  ["retab-runs -o "] = { "table", "json", "jsonl", "csv", "ids" },
  ["retab-runs get exprun_1 -o "] = { "table", "json" },
  ["retab-runs metrics exprun_1 --view by"] = { "by_document", "by_target" },
  ["retab-runs --columns st"] = { "started_at", "status" },
  ["retab-runs --columns id,sta"] = { "started_at", "status" },
  ["retab-runs --sort workflow_"] = { "workflow_id", "workflow_version_id" },
  ["retab-runs results exprun_1 --columns art"] = { "artifact_id" },
  ["retab-runs --resume spec/cli/comp"] = { "completion_spec.lua" },
}

--- Command lines whose last word must not be completed with these.
local wrong = {
  ["retab-runs get exprun_1 --s"] = { "--status", "--sort" },
  ["retab-runs get "] = { "README.md", "list" },
  ["retab-runs --experiment-id "] = { "README.md", "list" },
  ["retab-runs -e exp_abc "] = { "watch", "README.md" },
  ["retab-runs completion b"] = { "zsh" },
}

local function has_word(candidates, word)
  return (" " .. candidates:gsub("[%s,/]", "  ") .. " "):find(" " .. word .. " ", 1, true) ~= nil
end

--- @param candidates_of function
local function check(candidates_of)
  for words, expected in pairs(cases) do
    local candidates = candidates_of(words)
    for _, word in ipairs(expected) do
      assert(has_word(candidates, word), ("%q is not completed with %s but with:\n%s"):format(words, word, candidates))
    end
  end
  for words, refused in pairs(wrong) do
    local candidates = candidates_of(words)
    for _, word in ipairs(refused) do
      assert(not has_word(candidates, word), ("%q is completed with %s:\n%s"):format(words, word, candidates))
    end
  end
end

for _, name in ipairs { "bash", "zsh" } do
  describe("retab-runs completion " .. name, function()
    local what = "completes verbs, the options of list without a verb, and their values"
    if not shell.has(name) then return pending(("%s: %s is not installed"):format(what, name)) end
    if not shell.has "tmux" then return pending(what .. ": tmux is not installed") end
    local function completes(is_autoloaded)
      local started = shell.start(name, is_autoloaded)
      finally(function() started:stop() end)
      check(function(words) return started:candidates(words) end)
    end
    it(what, function() completes(false) end)
    if name == "zsh" then it(what .. ", from a file of fpath", function() completes(true) end) end
  end)
end

describe("retab-runs completion fish", function()
  local what = "completes verbs, the options of list without a verb, and their values"
  if not shell.has "fish" then return pending(what .. ": fish is not installed") end
  it(what, function()
    check(shell.fish)
  end)
end)
