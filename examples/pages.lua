-- Load pages at the same time.  LuaSocket blocks the thread that calls it, and
-- only that one.  The pages come from a small server in a thread of its own.

local futures = require "conc.futures"
local queue = require "conc.queue"
local threading = require "conc.threading"

-- Answer every request with a page as long as its path says.
local function serve(ports, over)
  local server = assert(require "socket".bind("127.0.0.1", 0))
  ports:put((select(2, server:getsockname())))
  server:settimeout(0.05)
  while not over:is_set() do
    local client = server:accept()
    if client then
      local page = ("x"):rep(tonumber(client:receive():match "/(%d+)"))
      repeat until client:receive() == "" -- the header ends
      client:send "HTTP/1.0 200 OK\r\n"
      client:send("Content-Length: " .. #page .. "\r\n\r\n" .. page)
      client:close()
    end
  end
  server:close()
end

-- Retrieve a single page and return its contents.
local function load_url(url, timeout)
  local http = require "socket.http"
  http.TIMEOUT = timeout
  local page, status = http.request(url)
  if status ~= 200 then error(status, 0) end
  return page
end

local ports, over = queue.Queue(), threading.Event()
local server = threading.Thread {target = serve, args = {ports, over}}:start()
local here = "http://127.0.0.1:" .. ports:get()
local URLS = {here .. "/5000", here .. "/123", here .. "/70000",
  "http://127.0.0.1:1/"} -- where nobody answers

do
  local executor <close> = futures.ThreadPoolExecutor {max_workers = 5}
  local future_to_url = {}
  for _, url in ipairs(URLS) do
    future_to_url[executor:submit(load_url, url, 60)] = url
  end
  for future in futures.as_completed(future_to_url) do
    local url = future_to_url[future]
    local ok, data = pcall(future.result, future)
    if ok then
      print(("%q page is %d bytes"):format(url, #data))
    else
      print(("%q generated an error: %s"):format(url, data))
    end
  end
end

over:set()
server:join()
