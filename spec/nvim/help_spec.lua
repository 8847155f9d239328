local editor = require "spec.nvim.editor"
local simulator = require "spec.simulator"

local function read(path)
  local file = assert(io.open(editor.root .. "/" .. path))
  local text = file:read "*a"
  file:close()
  return text
end

local help = read "doc/retab.txt"

describe("doc/retab.txt", function()
  it("has tags that :helptags takes, and links that lead somewhere", function()
    local directory = editor.install()
    local dead = editor.run([[
      vim.cmd("helptags " .. given.directory .. "/doc")
      local dead = {}
      local text = table.concat(vim.fn.readfile(given.directory .. "/doc/retab.txt"), "\n")
      for link in text:gmatch "|([^|%s]+)|" do
        if not pcall(vim.cmd, "help " .. link) then dead[#dead + 1] = link end
      end
      vim.cmd "help :Retab"
      assert(vim.api.nvim_get_current_line():find "%*:Retab%*")
      return dead
    ]], { directory = directory, given = { directory = directory } })
    editor.remove(directory)
    assert.same({}, dead)
  end)

  it("has commands and Lua code that run", function()
    local blocks = {}
    for block in help:gmatch " >\n\n(.-)\n<" do
      block = block:gsub("^    ", ""):gsub("\n    ", "\n"):gsub("exp_abc", "exp_0")
      if block:find "^vim%." or block:find "^local " or block:find "^:" then blocks[#blocks + 1] = block end
    end
    assert.is_true(#blocks >= 9)
    local printed = editor.on(simulator.shared():scenario { runs = 400 }, [[
      local printed = 0
      print = function(id) if id:find "^exprun_" then printed = printed + 1 end end
      for _, block in ipairs(given.blocks) do
        if block:find "^:" then
          vim.cmd(block:sub(2))
        else
          assert(loadstring(block))()
        end
        vim.env.RETAB_API_KEY, vim.g.retab = "k", nil
      end
      wait("the runs are printed", function() return printed == 5 end)
      return printed
    ]], { given = { blocks = blocks } })
    assert.equal(5, printed)
  end)

  it("has no line that is wider than 78 columns", function()
    for line in help:gmatch "[^\n]+" do
      assert.is_true(#line <= 78, line)
    end
  end)

  it("has a tag for each key, highlight group and setting of the plugin", function()
    local names = editor.on("http://127.0.0.1:1", [[
      vim.cmd "Retab runs"
      local names = {}
      for _, map in ipairs(vim.api.nvim_buf_get_keymap(0, "n")) do names[#names + 1] = "retab-" .. map.lhs end
      for _, group in ipairs(vim.fn.getcompletion("Retab", "highlight")) do names[#names + 1] = "hl-" .. group end
      for name in pairs((require("retab.nvim.settings").get())) do names[#names + 1] = "g:retab." .. name end
      return names
    ]], { globals = { retab = { experiment = "exp_1" } } })
    assert.equal(5 + 18 + 5, #names)
    for _, name in ipairs(names) do assert.is_truthy(help:find("*" .. name .. "*", 1, true), name) end
  end)

  it("names the groups as they are linked, and the defaults as they are", function()
    local result = editor.on("http://127.0.0.1:1", [[
      vim.cmd "Retab runs"
      local links = {}
      for _, group in ipairs(vim.fn.getcompletion("Retab", "highlight")) do
        links[group] = vim.fn.execute("highlight " .. group):match "links to (%S+)"
      end
      return { links = links, defaults = (require("retab.nvim.settings").get()) }
    ]])
    for group, link in pairs(result.links) do
      assert.equal(link, (help:match("%*hl%-" .. group .. "%*%s+(%S+)"):gsub("^|hl%-(.-)|$", "%1")))
    end
    for name, value in pairs(result.defaults) do
      local line = ("      %s = %s,"):format(name, type(value) == "table" and "{}" or value)
      assert.is_truthy(help:find(line, 1, true), line)
    end
  end)
end)
