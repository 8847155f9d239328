std = "max"
cache = false
max_line_length = 120
exclude_files = { "build" }

files["lua/retab/init.lua"].read_globals = { "ngx", "vim" }
files["lua/retab/driver"].read_globals = { "ngx", "vim" }
files["lua/retab/nvim"].globals = { "vim" }
files["lua/retab/health.lua"].globals = { "vim" }
files["plugin"].globals = { "vim" }
files["spec"].std = "max+busted"
files["spec"].ignore = { "512" } -- a loop that is left at once is what some specs are about
files["spec/driver"].globals = { "ngx", "vim" }
files["spec/simulator"].std = "ngx_lua"
files["bench/walkers/allocations.lua"].read_globals = { "allocations" }
files["examples/openresty"].std = "ngx_lua"
files["examples/neovim"].globals = { "vim" }
