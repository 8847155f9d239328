--- connection.lua: clients of the library, by the user's settings. What is missing becomes a problem.
local problem = require "retab.nvim.problem"
local settings = require "retab.nvim.settings"

local connection = {}

local root = vim.fn.fnamemodify(debug.getinfo(1, "S").source:sub(2), ":p:h:h:h:h")

--- Seconds: what a user waits for at most. It is shorter than the library's own.
local default_timeout = 20

local function is_built()
  return package.searchpath == nil or package.searchpath("retab.core", package.cpath) ~= nil
end

--- Loads the library.
--- @return table|nil retab
--- @return table|nil problem
function connection.library()
  local ok, library = pcall(require, "retab")
  if ok then return library end
  if is_built() then
    return nil, problem.from_message("The C modules of retab do not load", tostring(library),
      "Then restart Neovim. :checkhealth retab says more.")
  end
  return nil, {
    title = "The plugin is not built", reason = ("Its C modules are not in %s/build/lua/5.1."):format(root),
    advice = ("Build them: cd %s && scripts/build -DRETAB_ABIS=5.1\n"):format(vim.fn.shellescape(root))
      .. "It needs a C compiler, CMake, pkg-config, and the headers of libcurl and LuaJIT: see :help retab-install.",
  }
end

--- Returns true if an API key is set, in the environment or by the settings.
function connection.has_key()
  return (os.getenv "RETAB_API_KEY" or "") ~= "" or settings.get().client.api_key ~= nil
end

--- Creates a client. It sends nothing.
--- @param more table|nil options that win over the user's
--- @return retab.Client|nil client
--- @return table|nil problem
function connection.open(more)
  local library, missing = connection.library()
  if not library then return nil, missing end
  local options = vim.tbl_extend("force", { timeout = default_timeout }, settings.get().client, more or {})
  if not options.api_key and not connection.has_key() then return nil, problem.no_key() end
  local ok, client = pcall(library.new, options)
  if not ok then return nil, problem.from_message("A setting is not valid", tostring(client)) end
  return client
end

return connection
