--- Commands that a reader of the documentation types: they run one after another in one shell, in a directory that has
--- the files of the project and nothing else. What they write there is removed.
local interpreter = require "spec.interpreter"
local program = require "spec.program"

local session = {}

local separator = "\30"

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

--- What a shell reads before the commands.
local preludes = { bash = "set -e\n", zsh = "set -e\nautoload -U compinit\ncompinit -u -D\n", fish = "" }

--- Runs commands, until one fails.
--- @param commands string[]
--- @param environment table<string, string>
--- @param around table|nil `shell`: bash, zsh or fish; `in_terminal`: it has 80 columns
--- @return string[] outputs of the commands that were begun
--- @return number status
function session.run(commands, environment, around)
  around = around or {}
  local shell = around.shell or "bash"
  local directory, remove = interpreter.directory()
  local words = { "env -i", "PATH=" .. quote(directory .. "/bin") .. ':"$PATH"', "LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1",
    "HOME=" .. quote(directory .. "/work"), "BUILD=" .. quote(os.getenv "BUILD" or "build") }
  for name, value in pairs(environment) do words[#words + 1] = quote(name .. "=" .. value) end
  os.execute(([[root=$PWD && mkdir %s/bin %s/work && cd %s/work && ln -s "$root"/* .]]):gsub("%%s", quote(directory)))
  write(directory .. "/bin/retab-runs", ('#!/bin/sh\ncd %s/work && exec scripts/lua %s bin/retab-runs "$@"\n')
    :format(directory, program.version))
  os.execute("chmod +x " .. quote(directory .. "/bin/retab-runs"))
  local parts = { preludes[shell] }
  for index, command in ipairs(commands) do parts[index + 1] = ("printf '\\036'\n%s\n"):format(command) end
  write(directory .. "/commands", table.concat(parts))
  words[#words + 1] = shell .. " " .. quote(directory .. "/commands")
  local command = table.concat(words, " ") .. " 2>&1"
  if around.in_terminal then
    command = "script --quiet --return --command " .. quote("stty cols 80 rows 24; " .. command) .. " /dev/null"
  end
  local pipe = io.popen(("cd %s && %s </dev/null; echo %s$?"):format(quote(directory .. "/work"), command, separator))
  local text = pipe:read("*a"):gsub("\r\n", "\n")
  pipe:close()
  remove()
  local outputs = {}
  for output in text:gmatch(separator .. "([^" .. separator .. "]*)") do outputs[#outputs + 1] = output end
  return outputs, tonumber(table.remove(outputs))
end

return session
