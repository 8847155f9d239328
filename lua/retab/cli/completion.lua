--- completion.lua: the verb `completion`: what lets a shell complete the verbs, options and their values. argparse
--- writes it. What is added here: without a verb the words are those of `list`; names of columns follow each other with
--- commas; only --resume takes the name of a file.
local arguments = require "retab.cli.arguments"
local terminal = require "retab.cli.terminal"

local completion = {}

local scripts = {}

--- Fills a template: VERBS are those of the tool.
local function fill(template)
  return (template:gsub("VERBS", table.concat(arguments.verbs, " ")))
end

-- ---- bash ----

local bash_end = [=[
# Completes as if the verb list stood where there is none.
_retab-runs_or_list() {
    local -a words=() verbs=()
    local word last= place=1 before=
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do # Bash splits a word at : and =
        case $last$word in
            \:*) words[${#words[@]}-1]+=$word ;;
            =) words+=("") ;;
            =*) words[${#words[@]}-1]=$word ;;
            *) words+=("$word") ;;
        esac
        case $word in :|=) last=$word ;; *) last= ;; esac
    done
    local COMP_CWORD=$((${#words[@]} - 1))
    local cur=${words[COMP_CWORD]} prev=${words[COMP_CWORD-1]}
    while ((place < COMP_CWORD)); do
        case ${words[place]} in
            --base-url|--auth|--timeout) ((place += 2)) ;;
            -q|--quiet|--debug) ((place += 1)) ;;
            *) break ;;
        esac
    done
    if ((place == COMP_CWORD)) && [[ $cur != -* ]]; then verbs=($(compgen -W "VERBS" -- "$cur")); fi
    case $prev in
        --columns) before=${cur%"${cur##*,}"}; compopt -o nospace 2>/dev/null ;;
        --resume) compopt -o filenames 2>/dev/null ;;
    esac
    words[COMP_CWORD]=${cur#"$before"}
    if ((place == COMP_CWORD)) && [[ -z $cur ]]; then words[COMP_CWORD]=-; fi
    if [[ ${words[place]} == -* ]]; then
        words=("${words[@]:0:place}" list "${words[@]:place}")
        COMP_CWORD=$((COMP_CWORD + 1))
    fi
    local -a COMP_WORDS=("${words[@]}")
    COMPREPLY=()
    _retab-runs
    COMPREPLY=("${verbs[@]}" "${COMPREPLY[@]/#/$before}")
}

complete -F _retab-runs_or_list retab-runs
]=]

function scripts.bash(script)
  script = script:gsub("\ncomplete %-F [^\n]*\n$", function() return "\n" .. fill(bash_end) end)
  return (script:gsub("( +[%-|%l]+%)\n +)(COMPREPLY=%(%$%(compgen %-f [^\n]*)", function(option, files)
    return option .. (option:find("--resume", 1, true) and files or "COMPREPLY=()")
  end))
end

-- ---- zsh ----

-- argparse's script is a file of fpath, which calls its function; eval is to work too
local zsh_end = [=[

# Completes as if the verb list stood where there is none.
_retab-runs_or_list() {
  local place=2
  while (( place < CURRENT )); do
    case $words[place] in
      --base-url|--auth|--timeout) (( place += 2 )) ;;
      -q|--quiet|--debug) (( place += 1 )) ;;
      *) break ;;
    esac
  done
  local found=1
  if (( place == CURRENT )) && [[ $words[place] != -* ]]; then _retab-runs && found=0; fi
  if [[ $words[place] == -* || $place == $CURRENT && -z $words[place] ]]; then
    words=("${(@)words[1,place-1]}" list "${(@)words[place,-1]}")
    (( CURRENT += 1 ))
  elif (( ! found )); then
    return 0
  fi
  _retab-runs || return found
}

compdef _retab-runs_or_list retab-runs
if [ "$funcstack[1]" = "_retab-runs" ]; then _retab-runs_or_list "$@"; fi
]=]

function scripts.zsh(script)
  script = script:gsub("\n_retab%-runs\n*$", function() return zsh_end end)
  return (script:gsub("[^\n]+", function(line)
    if line:find("--columns[", 1, true) then
      line = line:gsub(": :%((.*)%)\"$", ': : _values -s , column %1"')
    elseif not line:find("--resume[", 1, true) then
      line = line:gsub(": :_files\"", ': : "')
    end
    if not line:find "%]: :.*\"$" then return line end
    return (line:gsub('^( +"%-%-[%l-]+)', "%1="):gsub("^( +{%-%l)(,%-%-[%l-]+)", "%1+%2=")) -- takes --status=error too
  end))
end

-- ---- fish ----

local fish_end = [=[

# The verb; list where an option stands in its place.
function __fish_retab-runs_print_command
    set -l words (commandline -poc)
    while set -e words[1]; and set -q words[1]
        switch $words[1]
            case --base-url --auth --timeout
                set -e words[1]
            case -q --quiet --debug
            case '-*'
                echo list
                return
            case '*'
                string join ' ' -- $words
                return
        end
    end
    echo
end

function __fish_retab-runs_seen_command
    set -l command (__fish_retab-runs_print_command)
    test -n "$command"; or set command list
    string match -q "$argv*" -- $command
end

# Names after the commas of a word.
function __fish_retab-runs_names
    set -l before (commandline -ct | string replace -r '[^,=]*$' '' | string replace -r '^--[^=]*=' '')
    printf '%s\n' $before$argv
end

complete -c retab-runs -f
complete -c retab-runs -n '__fish_retab-runs_using_command' -a '(complete -C "retab-runs list --")'
]=]

function scripts.fish(script)
  return (script:gsub("[^\n]+", function(line)
    if line:find(" -l columns ", 1, true) then
      return (line:gsub("%-xa '([^']*)'", "-xa '(__fish_retab-runs_names %1)'"))
    elseif line:find(" -l resume ", 1, true) then
      return (line:gsub(" %-r ", " -rF "))
    end
    return (line:gsub("^(complete.*) %-r ", "%1 -x "))
  end)) .. fish_end
end

--- Prints the script for a shell.
--- @param shell "bash"|"zsh"|"fish"
function completion.run(shell)
  local parser = arguments.parser(nil, true)
  terminal.write(scripts[shell](parser["get_" .. shell .. "_complete"](parser)))
end

return completion
