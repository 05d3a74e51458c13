-- The layers of c/: a folder includes itself and those before it in this list.
-- Only the first one sees the operating system, only the last one Lua.

local order = {"sys", "base", "wait", "core", "ipc", "lua"}

-- The embedding interface stands by itself and is for these.
local include_for = {include = true, core = true, lua = true}

local system_headers = {
  "^sys/", "^linux/", "^mach/", "^unistd%.h$", "^pthread%.h$", "^sched%.h$",
  "^signal%.h$", "^time%.h$", "^threads%.h$", "^dlfcn%.h$", "^fcntl%.h$",
  "^poll%.h$", "^semaphore%.h$", "^spawn%.h$", "^process%.h$", "^io%.h$",
  "^[wW]in", "^synchapi%.h$", "^tlhelp32%.h$",
}
local lua_headers = {"^lua%.h$", "^luaconf%.h$", "^lauxlib%.h$", "^lualib%.h$"}

-- What Linux has and other Unixes lack, or some of them.  In c/sys it is for
-- linux*.c; elsewhere it stands in a part that is compiled under a condition.
local linux_only = {
  "[<\"]linux/", "sys/epoll", "sys/eventfd", "sys/prctl", "sys/syscall", "sys/auxv",
  "%f[%w]epoll_%w", "eventfd", "pidfd", "%f[%w]futex", "SYS_%w", "memfd_%w", "gettid%f[%W]",
  "prctl%f[%W]", "getauxval", "pipe2%f[%W]", "accept4", "dup3%f[%W]", "SOCK_NONBLOCK",
  "F_OFD_", "sem_timedwait", "sched_getaffinity", "pthread_setname_np", "close_range",
  "posix_fallocate", "mremap", "MADV_%w", "signalfd", "timerfd", "/proc/", "/dev/shm",
  "sys/cgroup", "clock_nanosleep", "pthread_condattr_setclock", "mkostemp", "SO_PEERCRED",
}

local rank = {}
for i, layer in ipairs(order) do rank[layer] = i end

local function exists(path)
  local f = io.open(path)
  return f ~= nil and f:close()
end

local function matches(header, patterns)
  for _, pattern in ipairs(patterns) do
    if header:find(pattern) then return true end
  end
  return false
end

-- May a file of 'layer' include 'header'?  If not, why.
local function verdict(layer, quote, header)
  if quote == '"' then
    if exists("c/" .. layer .. "/" .. header) then return true end
    local other = header:match("^(%w+)/")
    if other == "include" or exists("c/include/" .. header) then
      return include_for[layer], "c/include is for c/core and c/lua"
    elseif rank[other] and exists("c/" .. header) then
      return rank[layer] and rank[other] <= rank[layer],
        "c/" .. layer .. " stands before c/" .. other
    end
  end
  if matches(header, lua_headers) then
    return layer == "lua" or layer == "include",
      "only c/lua sees Lua"
  elseif matches(header, system_headers) then
    return layer == "sys", "only c/sys sees the operating system"
  end
  return true
end

local bad, files = 0, 0

-- Words of Linux in a file for every Unix, outside of #if.
local function check_words(path)
  local depth, number = 0, 0
  for line in io.lines(path) do
    number = number + 1
    line = line:gsub("/%*.-%*/", ""):gsub("^%s*%*.*", ""):gsub("/%*.*", "")
    if line:find "^%s*#%s*if" then depth = depth + 1 end
    if line:find "^%s*#%s*endif" then depth = depth - 1 end
    for _, word in ipairs(depth == 0 and linux_only or {}) do
      if line:find(word) then
        bad = bad + 1
        print(("%s:%d: '%s' is not on every Unix"):format(path, number, line:match(word)))
      end
    end
  end
end

local function check(path)
  local layer, number = path:match("^c/(%w+)/"), 0
  if not rank[layer] and layer ~= "include" then
    bad = bad + 1
    print(path .. ": no such layer")
    return
  end
  if not path:find "^c/sys/linux" then check_words(path) end
  for line in io.lines(path) do
    number = number + 1
    local quote, header = line:match('^%s*#%s*include%s*(["<])([^">]+)')
    if header then
      local ok, why = verdict(layer, quote, header)
      if not ok then
        bad = bad + 1
        print(("%s:%d: %s: %s"):format(path, number, header, why))
      end
    end
  end
end

local list <close> = assert(io.popen("find c -name '*.[ch]' | LC_ALL=C sort"))
for path in list:lines() do
  files = files + 1
  check(path)
end

print(("layers: %d files, %d violations"):format(files, bad))
os.exit(bad == 0)
