local simulator = require "spec.simulator"
local terminal = require "spec.nvim.terminal"

describe("the Neovim plugin in a terminal", function()
  if not terminal.is_available() then
    pending "shows runs: tmux is not installed"
    return
  end

  it("shows runs and their ages, a run in a window, and notifications", function()
    local url = simulator.shared():scenario { runs = 200 }
    local editor = terminal.start(url, { "set shortmess+=I" }, 110, 30)
    finally(function() editor:stop() end)
    editor:press(":Retab runs exp_0", "Enter")
    local screen = editor:wait_for "ago"
    assert.is_truthy(screen:find "Runs of exp_0   %d+ runs   %? helps")
    assert.is_truthy(screen:find "\nexprun_%x+  %l+ +[%d.-]+ +%d+/%d+ [^\n]* %d+ %l+ ago")
    editor:press("/completed", "Enter", "Enter")
    screen = editor:wait_for "Metrics"
    assert.is_truthy(screen:find("╭", 1, true))
    editor:press("q", "w")
    screen = editor:wait_for ": completed, score"
    assert.is_nil(screen:find("╭", 1, true))
    editor:press("?")
    editor:wait_for "loads more runs"
    editor:press("Escape", ":qall", "Enter")
    local ends = os.time() + 20
    while editor:is_running() and os.time() < ends do os.execute "sleep 0.05" end
    assert.is_false(editor:is_running())
  end)
end)
