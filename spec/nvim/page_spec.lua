--- docs/neovim.md: its blocks run in Neovim, and its shell commands install the plugin.
local editor = require "spec.nvim.editor"
local neovim = require "spec.driver.neovim"
local simulator = require "spec.simulator"

local server = simulator.shared()

local function read(path)
  local file = assert(io.open(editor.root .. "/" .. path))
  local text = file:read "*a"
  file:close()
  return text
end

local page = read "docs/neovim.md"

local function blocks_of(kind)
  local blocks = {}
  for text in page:gmatch("\n```" .. kind:gsub("%p", "%%%0") .. "\n(.-)\n```") do blocks[#blocks + 1] = text end
  return blocks
end

describe("docs/neovim.md", function()
  it("has blocks for Neovim that run", function()
    local blocks = blocks_of "lua neovim"
    assert.equal(4, #blocks)
    local outputs = {}
    for index, block in ipairs(blocks) do
      outputs[index] = editor.on(server:scenario { runs = 400 }, [[
        assert(loadstring(given.block))()
        wait("requests end", function() return vim.fn.getqflist({ winid = 0 }).winid ~= 0 or messages() ~= ""
          or vim.g.retab end)
        pause(200)
        if vim.g.retab then vim.cmd "Retab" wait_for "exprun_" end
        local items = vim.fn.getqflist()
        return { messages = messages(), items = #items, text = items[1] and items[1].text }
      ]], { given = { block = block } })
    end
    assert.equal("", outputs[1].messages)
    assert.is_truthy(outputs[2].messages:find "^exprun_%x+ %l+\nexprun_%x+ %l+\n")
    assert.is_truthy(outputs[3].messages:find "^%d+%.%d+%.%d+$")
    assert.is_true(outputs[4].items > 0)
    assert.is_truthy(outputs[4].text:find "^exprun_%x+ %u")
  end)

  it("has a command that shows the runs of an experiment", function()
    local block = assert(blocks_of("vim")[1]):gsub("exp_abc", "exp_0")
    local text = editor.on(server:scenario { runs = 400 }, [[
      vim.cmd(given.block)
      wait_for "exprun_"
      return all()
    ]], { given = { block = block } })
    assert.is_truthy(text:find "^Runs of exp_0 ", text)
  end)

  it("has an entry for lazy.nvim and one for packer.nvim, whose command builds the modules of the plugin", function()
    local entries = {}
    local lazy = assert((loadstring or load)(blocks_of("lua lazy.nvim")[1]))() -- luacheck: ignore 113
    rawset(_G, "use", function(entry) entries[#entries + 1] = entry end)
    assert((loadstring or load)(blocks_of("lua packer.nvim")[1]))() -- luacheck: ignore 113
    rawset(_G, "use", nil)
    assert.equal("retab-dev/retab-lua", lazy[1])
    assert.equal(lazy[1], entries[1][1])
    assert.equal(lazy.build, entries[1].run)
    assert.is_truthy(blocks_of("sh install")[1]:find("\n" .. lazy.build, 1, true))
    assert.is_truthy(read "doc/retab.txt":find(lazy.build, 1, true))
  end)

  it("has commands that install the plugin where Neovim finds it", function()
    local home = editor.output_of "mktemp -d"
    finally(function() editor.remove(home) end)
    local commands = blocks_of("sh install")[1]
    -- the files as they are here stand in for the repository
    commands = commands:gsub("git clone %S+ (%S+)", function(target)
      return ("mkdir -p %s && (cd %s && git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t %s)")
        :format(target, editor.quote(editor.root), target)
    end)
    local output = editor.output_of(("HOME=%s sh -ec %s 2>&1 && echo done"):format(home,
      editor.quote("unset BUILD\n" .. commands)))
    assert.is_truthy(output:find "done$", output)
    local text = editor.output_of((
      "env -u XDG_DATA_HOME -u XDG_CONFIG_HOME HOME=%s RETAB_API_KEY=k RETAB_API_BASE_URL=%s "
      .. "timeout 60 %s --headless -i NONE -c 'Retab runs exp_0' -c %s -c 'qall!' 2>&1"):format(home,
      editor.quote((server:scenario { runs = 50 })), neovim.program, editor.quote(
        "lua vim.wait(20000, function() return vim.fn.line '$' > 2 end) print(vim.fn.getline(1))")))
    assert.is_truthy(text:find("Runs of exp_0   %d+ runs"), text)
  end)
end)
