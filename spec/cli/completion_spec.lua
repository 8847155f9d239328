--- retab-runs completion, in the shells themselves.
local tool = require "spec.cli.tool"

local function has(shell)
  local status = os.execute("command -v " .. shell .. " >/dev/null 2>&1")
  return status == true or status == 0
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

--- Programs that load the completion of a file, and print what completes a word.
local shells = {
  bash = [[bash -c 'source %s; COMP_WORDS=(retab-runs %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _retab-runs;
    printf "%%s\n" "${COMPREPLY[@]}"']],
  fish = [[fish -c 'source %s; complete -C "retab-runs %s"']],
}

for shell, command in pairs(shells) do
  describe("retab-runs completion " .. shell, function()
    local path = os.tmpname()
    tool.write(path, tool.run("", { "completion", shell }, { RETAB_API_KEY = "" }).stdout)
    local name = "completes verbs, options and their values"
    if has(shell) then
      it(name, function()
        assert.truthy(output_of(command:format(path, "wa")):find "^watch")
        assert.truthy(output_of(command:format(path, "list --sta")):find "^%-%-status")
        local statuses = output_of(command:format(path, "list --status c"))
        assert.truthy(statuses:find "completed" and statuses:find "cancelled")
      end)
    else
      pending(name .. ": " .. shell .. " is not installed")
    end
  end)
end

describe("retab-runs completion zsh", function()
  if has "zsh" then
    it("is bound to the command after eval", function()
      local path = os.tmpname()
      tool.write(path, "autoload -U compinit; compinit -u -D\n"
        .. tool.run("", { "completion", "zsh" }, { RETAB_API_KEY = "" }).stdout .. "\nprint $_comps[retab-runs]\n")
      assert.equal("_retab-runs\n", output_of("zsh -f " .. path .. " 2>&1"))
    end)
  else
    pending "is bound to the command after eval: zsh is not installed"
  end
end)
