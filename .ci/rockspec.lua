-- Rockspecs cannot glob: write the lists of files in conc-scm-1.rockspec from
-- the tree, or with --check say whether they are right.

local FILE = "conc-scm-1.rockspec"
local OPEN = "-- from here to the next rule: written by .ci/rockspec.lua\n"
local CLOSE = "-- ----\n"

local function find(where)
  local found = {}
  local list <close> = assert(io.popen("find " .. where .. " | LC_ALL=C sort"))
  for path in list:lines() do found[#found + 1] = path end
  return found
end

-- c/sys has linux*.c, posix*.c and windows*.c; the rest is for every Unix.
local common, unix, linux, posix, windows = {}, {}, {}, {}, {}
for _, path in ipairs(find "c -name '*.c'") do
  if path:find "^c/sys/windows" then
    windows[#windows + 1] = path
  elseif not path:find "^c/sys/" then
    common[#common + 1] = path
  elseif path:find "^c/sys/linux" then
    linux[#linux + 1] = path
  elseif path:find "^c/sys/posix" then
    posix[#posix + 1] = path
  else
    unix[#unix + 1] = path
  end
end

local function quoted(list)
  local lines = {}
  for i, s in ipairs(list) do lines[i] = ("  %q,\n"):format(s) end
  return table.concat(lines)
end

local modules = {}
for _, path in ipairs(find "lua -name '*.lua'") do
  local name = path:sub(5, -5):gsub("/", "."):gsub("%.init$", "")
  modules[#modules + 1] = ("  [%q] = %q,\n"):format(name, path)
end

local lists = "local common = {\n" .. quoted(common) .. "}\n" ..
  "local unix = {\n" .. quoted(unix) .. "}\n" ..
  "local linux = {\n" .. quoted(linux) .. "}\n" ..
  "local posix = {\n" .. quoted(posix) .. "}\n" ..
  "local windows = {\n" .. quoted(windows) .. "}\n" ..
  "local modules = {\n" .. table.concat(modules) .. "}\n"

local function read(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

-- Write the text to the file, or with --check only say that it is not there.
local function keep(path, text)
  if read(path) == text then return end
  if arg[1] == "--check" then
    print(path .. " is stale: run lua5.4 .ci/rockspec.lua")
    os.exit(false)
  end
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
  print(path .. " written")
end

local text = assert(read(FILE))
local _, from = assert(text:find(OPEN, 1, true))
local to = assert(text:find(CLOSE, from, true))
text = text:sub(1, from) .. lists .. text:sub(to)
keep(FILE, text)

-- That of the coming release, whose tag is its version; after a release the
-- version goes up, and the old file is not touched any more.
local version = assert(read "c/lua/module.c":match '#define VERSION "([^"]+)"')
keep(("rockspecs/conc-%s-1.rockspec"):format(version), (text
  :gsub('version = "scm%-1"', ('version = "%s-1"'):format(version))
  :gsub('(source = {url = [^}]+)}', ('%%1, tag = "v%s"}'):format(version))))
