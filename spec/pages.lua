--- The pages of the documentation as data: their blocks of code, and the commands in these.
local pages = {}

--- The pages that have blocks of code.
pages.paths = { "README.md" }
local listing = io.popen "ls docs/*.md"
for path in listing:lines() do table.insert(pages.paths, path) end
listing:close()

--- Returns the contents of a file of the project.
function pages.read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

--- Returns the blocks of a page, in order.
--- @param path string
--- @return table[] blocks { page, line: of its first line, kind: what follows the fence, text, output: the next block,
--- where that is of the kind `text` }. Code that is indented instead of fenced has the kind "".
function pages.blocks(path)
  local blocks, block, fenced, number, before = {}, nil, false, 0, ""
  for line in (pages.read(path) .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local kind = line:match "^```(.*)$"
    if kind and fenced then
      fenced, block = false, nil
    elseif kind then
      fenced, block = true, { page = path, line = number + 1, kind = kind, lines = {} }
    elseif not fenced then
      local is_code = line:find "^    " and (block or before == "")
      block = is_code and (block or { page = path, line = number, kind = "", lines = {} }) or nil
    end
    if block and not kind then table.insert(block.lines, line) end
    if block and blocks[#blocks] ~= block then table.insert(blocks, block) end
    before = line
  end
  for index, one in ipairs(blocks) do
    one.text = table.concat(one.lines, "\n")
    if one.kind == "text" and index > 1 then blocks[index - 1].output = one.text end
  end
  return blocks
end

--- Returns the commands of a block of the kind `sh`, or `console`, where each follows `$ ` and its output follows it.
--- @param block table
--- @return table[] commands { text: without a comment at its end, output: nil where the page shows none }
function pages.commands(block)
  local commands, continues = {}, false
  for _, line in ipairs(block.lines) do
    local command = line
    if block.kind == "console" and not continues then command = line:match "^%$ (.*)$" end
    local last = commands[#commands]
    if not command then
      last.output = (last.output or "") .. line .. "\n"
    elseif continues then
      last.text = last.text .. "\n" .. command
    else
      table.insert(commands, { text = (command:gsub("%s+#.*$", "")) })
    end
    continues = command ~= nil and command:find "\\$" ~= nil
  end
  return commands
end

return pages
