local behaviour = require "spec.support.connection_behaviour"
local conc = require "conc"
local core = require "conc.core"
local helper = require "spec.helper"
local multiprocessing = require "conc.multiprocessing"
local queue = require "conc.queue"

local Client, Listener = multiprocessing.Client, multiprocessing.Listener

-- A listener and a client that are connected, and the listener's end.
local function pair(options, client_options)
  options = options or {}
  local listener = Listener(options)
  local conf = {address = listener:address(), authkey = options.authkey}
  for k, v in pairs(client_options or {}) do conf[k] = v end
  local finish = helper.thread(function(c)
    return require "conc.multiprocessing".Client(c)
  end, conf)
  local server = listener:accept(helper.patience)
  local client = finish()
  return server, client, setmetatable({listener = listener}, {
    __close = function()
      server:close()
      client:close()
      listener:close()
    end,
  })
end

local kinds = {
  AF_UNIX = not helper.windows and {family = "AF_UNIX"} or nil, -- Wine has none
  AF_INET = {address = "127.0.0.1:0"},
}

for kind, options in pairs(kinds) do
  describe("A Connection (" .. kind .. ")", function()
    behaviour.check(function()
      local server, client, scope = pair(options)
      scope.listener:close()
      return server, client
    end)
  end)

  describe("A Connection (" .. kind .. ")", function()
    local server, client, scope

    before_each(function()
      server, client, scope = pair(options)
    end)

    after_each(function()
      getmetatable(scope).__close()
      server, client, scope = nil, nil, nil
    end)

    it("carries values", function()
      local t = {1, "two", {three = 3.5}, false}
      t[5] = t
      assert.is_true(client:send(t))
      local got = server:recv()
      assert.equal("two", got[2])
      assert.equal(3.5, got[3].three)
      assert.equal(got, got[5])
      assert.is_true(server:send(nil))
      local value, err = client:recv()
      assert.is_nil(value)
      assert.is_nil(err)
    end)

    it("carries bytes, and keeps messages apart", function()
      client:send_bytes "abcdef"
      client:send_bytes ""
      client:send_bytes("abcdef", 2)
      client:send_bytes("abcdef", 2, 3)
      client:send_bytes("abcdef", -2)
      client:send_bytes("abcdef", 5, 4)
      for _, text in ipairs {"abcdef", "", "bcdef", "bc", "ef", ""} do
        assert.equal(text, server:recv_bytes())
      end
    end)

    it("carries messages larger than any buffer", function()
      local finish = helper.thread(function(c) return #c:recv() end, server)
      assert.is_true(client:send(("x"):rep(5000000)))
      assert.equal(5000000, finish())
    end)

    it("keeps what came when a receive ends early", function()
      assert.same({nil, "timeout"}, {server:recv(0)})
      assert.same({nil, "timeout"}, {server:recv(0.01)})
      client:send "late"
      assert.equal("late", server:recv(helper.patience))
    end)

    it("tells whether there is a message", function()
      assert.is_false(server:poll())
      assert.same({false, "timeout"}, {server:poll(0.01)})
      client:send(1)
      assert.is_true(server:poll(helper.patience))
      assert.is_true(server:poll())
      assert.equal(1, server:recv(0))
      client:close()
      assert.is_true(server:poll(math.huge))
    end)

    it("ends when the other side closes, after what was sent", function()
      client:send "last"
      client:close()
      assert.equal("last", server:recv())
      assert.same({nil, "closed"}, {server:recv()})
      assert.same({nil, "closed"}, {server:recv_bytes()})
      local ok, why
      for _ = 1, 100 do
        ok, why = server:send(("x"):rep(100000))
        if not ok then break end
      end
      assert.equal("closed", why)
    end)

    it("does not mix up values and bytes", function()
      client:send(1)
      client:send_bytes "b"
      assert.error_matches(function() server:recv_bytes() end,
        "the next message is a value: use recv")
      assert.equal(1, server:recv())
      assert.error_matches(function() server:recv() end,
        "the next message is bytes: use recv_bytes")
      assert.equal("b", server:recv_bytes())
    end)

    it("receives into an array", function()
      local a = core.Array("B", 6)
      client:send_bytes "abc"
      assert.equal(3, server:recv_bytes_into(a, 2))
      assert.same({0, 0, 97, 98, 99, 0}, a:slice(1, 6))
      client:send_bytes "too long"
      local ok, err = pcall(server.recv_bytes_into, server, a)
      assert.is_false(ok)
      assert.is_true(conc.Error.is(err, "BufferTooShort"))
      assert.equal("too long", err.bytes)
      assert.error_matches(function() server:recv_bytes_into(a, 7) end, "offset: must be at most 6")
    end)

    it("tells who waits that a message was longer than another one's maxlength", function()
      local started = require "conc.threading".Event()
      local finish = helper.thread(function(c, go)
        go:set()
        return pcall(c.recv_bytes, c, 4)
      end, server, started)
      started:wait()
      local second = helper.thread(function(c) return pcall(c.recv_bytes, c, 4) end, server)
      client:send_bytes "fives"
      local results = {{finish()}, {second()}}
      assert.is_false(results[1][1] and results[2][1])
      assert.is_false(server:readable())
      assert.is_false(server:closed())
    end)

    it("wakes who waits when it is closed", function()
      local finish = helper.thread(function(c) return c:recv() end, server)
      helper.eventually(function() return true end)
      core.sleep(0.02)
      server:close()
      local value, why = finish()
      assert.is_nil(value)
      assert.equal("closed", why)
      assert.is_true(server:closed())
      assert.error_matches(function() server:recv() end, "the connection is closed")
      assert.error_matches(function() server:send(1) end, "the connection is closed")
      server:close()
    end)

    it("is used by several threads at once", function()
      local n, each = 4, helper.scale(200)
      local ends = {}
      for i = 1, n do
        ends[i] = helper.thread(function(c, id, count)
          for k = 1, count do c:send {id, k} end
        end, client, i, each)
      end
      local seen = {}
      for _ = 1, n * each do
        local m = server:recv(helper.patience)
        assert.equal((seen[m[1]] or 0) + 1, m[2])
        seen[m[1]] = m[2]
      end
      for i = 1, n do ends[i]() end
    end)

    it("is closed at the end of its scope", function()
      do
        local c <close> = client -- luacheck: ignore 211
      end
      assert.is_true(client:closed())
    end)

    it("is a case of select", function()
      local q = queue.Queue()
      assert.same({nil, "timeout"}, {conc.select {server, q, timeout = 0.01}})
      client:send "hello"
      assert.same({1, "hello"}, {conc.select {server, q, timeout = helper.patience}})
      local finish = helper.thread(function(c)
        require "conc".sleep(0.02)
        c:send_bytes "b"
      end, client)
      assert.same({2, "b"}, {conc.select {q, server, timeout = helper.patience}})
      finish()
      client:close()
      assert.same({1, nil, "closed"}, {conc.select {server, q}})
    end)
  end)
end

describe("A Connection", function()
  it("refuses what cannot leave the process, with the path to it", function()
    local server, client, scope <close> = pair()
    assert.error_matches(function() client:send {lock = core.Lock()} end,
      "value.lock: a threading.Lock cannot leave the process")
    client:send "still works"
    assert.equal("still works", server:recv())
    assert.is_truthy(scope)
  end)

  it("takes only plain data from a stranger", function()
    local server, client, scope <close> = pair()
    local Class = {}
    Class.__index = Class
    local packer = {__conc_pack = function() return "os:getenv", "HOME" end}
    for _, value in ipairs {
      function() end, print, string, setmetatable({}, Class), setmetatable({}, packer),
      conc.Error.new("TimeoutError", "x"), {a = {b = print}},
    } do
      assert.is_true(client:send(value))
      local ok, err = pcall(server.recv, server)
      assert.is_false(ok)
      assert.matches("not plain data", tostring(err))
    end
    client:send {1, {2}, x = "y"}
    assert.same({1, {2}, x = "y"}, server:recv())
    assert.is_truthy(scope)
  end)

  it("takes everything from those it trusts", function()
    local server, client, scope <close> = pair {trusted = true}
    local n = 1
    client:send(function(x) n = n + x return n end)
    local f = server:recv()
    assert.equal(3, f(2))
    assert.equal(6, f(3))
    client:send(conc.Error.new("TimeoutError", "x"))
    assert.is_true(conc.Error.is(server:recv(), "TimeoutError"))
    assert.is_truthy(scope)
  end)

  it("keeps to a limit", function()
    local server, client, scope <close> = pair {max_message = 10}
    client:send_bytes "0123456789"
    assert.equal("0123456789", server:recv_bytes())
    client:send_bytes "0123456789a"
    assert.error_matches(function() server:recv_bytes() end, "too long")
    assert.same({nil, "closed"}, {server:recv_bytes()})
    assert.is_truthy(scope)
  end)

  it("goes from process to process", function()
    helper.needs_sodium()
    local listener <close> = Listener {authkey = "secret"}
    local p = multiprocessing.Process {
      target = function(address)
        local c <close> = require "conc.multiprocessing".Client {
          address = address, authkey = "secret",
        }
        c:send(c:recv() * 2)
      end,
      args = {listener:address()},
    }:start()
    local c <close> = listener:accept(helper.patience)
    c:send(21)
    assert.equal(42, c:recv())
    p:join()
    assert.equal(0, p:exitcode())
  end)

  it("ends a wait when the waiter is interrupted", function()
    local lines = helper.interrupted [[
      local mp = require "conc.multiprocessing"
      local l = mp.Listener()
      local t = threading.Thread{target = function(a)
        local c = require "conc.multiprocessing".Client(a)
        c:recv()
      end, args = {l:address()}, daemon = true}:start()
      local c = l:accept()
      interrupted(c.recv, c)
      c:close()
      l:close()
    ]]
    assert.same({"interrupted!"}, lines)
  end)

  it("refuses bad arguments", function()
    local server, client, scope <close> = pair()
    helper.refuses_timeouts(function(t) return server:recv(t) end)
    helper.refuses_timeouts(function(t) return server:poll(t) end)
    helper.refuses_timeouts(function(t) return server:recv_bytes(1, t) end)
    helper.refuses_timeouts(function(t) return scope.listener:accept(t) end)
    assert.error_matches(function() server:recv_bytes(-1) end, "maxlength: must be at least 0")
    assert.error_matches(function() server:send_bytes(1) end, "s: string expected, got number")
    helper.refuses_strangers(client, {
      send_bytes = 3, recv = 1, recv_bytes = 2, closed = 0, fileno = 0,
    })
  end)
end)

describe("A Listener", function()
  it("knows its address", function()
    local a <close> = Listener()
    assert.matches(helper.windows and "^localhost:%d+$" or "^/", a:address())
    local b <close> = Listener {family = "AF_INET"}
    assert.matches("^localhost:%d+$", b:address())
    local c <close> = Listener "127.0.0.1:0"
    assert.matches("^127%.0%.0%.1:%d+$", c:address())
    assert.is_true(c:fileno() > 2)
  end)

  it("leaves no name behind", function()
    helper.not_on_windows "Wine has no Unix sockets"
    local a = Listener()
    local path = a:address()
    a:close()
    a:close()
    assert.is_nil(io.open(path))
    assert.same({nil, "closed"}, {a:accept()})
  end)

  it("refuses an address in use", function()
    local a <close> = Listener "127.0.0.1:0"
    local ok, err = pcall(Listener, a:address())
    assert.is_false(ok)
    assert.matches("cannot listen on 127.0.0.1:%d+: Address [%l ]*in use", err)
    local b <close> = Listener()
    ok, err = pcall(Listener, b:address())
    assert.is_false(ok)
    assert.matches("in use", err)
    if not helper.windows then -- and it is still there
      assert.is_truthy(io.popen("ls " .. b:address()):read "a" ~= "")
    end
  end)

  it("waits until its deadline", function()
    local a <close> = Listener()
    assert.same({nil, "timeout"}, {a:accept(0)})
    assert.same({nil, "timeout"}, {a:accept(0.01)})
  end)

  it("wakes who accepts when it is closed", function()
    local a = Listener()
    local finish = helper.thread(function(l) return l:accept(1 << 30, false, 1) end, a.listener)
    core.sleep(0.02)
    a:close()
    local conn, why = finish()
    assert.is_nil(conn)
    assert.equal("closed", why)
  end)

  it("may have a name that is no file, on Linux", function()
    if not core.abstract() then return end
    local name = "@conc-spec-" .. math.random(1 << 40)
    local server, client, scope <close> = pair {address = name}
    assert.equal(name, scope.listener:address())
    assert.is_nil(scope.listener:last_accepted())
    client:send(1)
    assert.equal(1, server:recv())
    assert.is_nil(io.open(name))
    assert.is_false((pcall(Listener, name)))
    scope.listener:close()
    Listener(name):close()
  end)

  it("knows the address of its last client", function()
    local _, _, scope <close> = pair {address = "127.0.0.1:0"}
    assert.matches("^127%.0%.0%.1:%d+$", scope.listener:last_accepted())
    assert.not_equal(scope.listener:address(), scope.listener:last_accepted())
    local l <close> = Listener {address = "127.0.0.1:0"}
    assert.is_nil(l:last_accepted())
  end)

  it("refuses bad options", function()
    for _, case in ipairs {
      {{addres = "x"}, "unknown option 'addres'"},
      {{address = 1}, "address: string expected, got number"},
      {{authkey = 1}, "authkey: string expected, got number"},
      {{family = "AF_PIPE"}, "family: 'AF_UNIX' or 'AF_INET' expected"},
      {{address = "nohost", family = "AF_INET"}, "address: 'host:port' expected"},
      {{address = "localhost:65536"}, "address: 'host:port' expected"},
      {{address = "/tmp/a\0b"}, "address: must not contain a zero byte"},
      {{backlog = -1}, "backlog: integer >= 0 expected"},
      {{backlog = 1.5}, "backlog: integer >= 0 expected"},
      {{max_message = -1}, "max_message: integer >= 0 expected"},
    } do
      local ok, err = pcall(Listener, case[1])
      assert.is_false(ok)
      assert.is_truthy(err:find(case[2], 1, true), err)
    end
    assert.error_matches(function() Client {} end, "address: string expected, got nil")
    assert.error_matches(function() Client "/nonexistent/socket" end,
      "cannot connect to /nonexistent/socket: " .. (helper.windows and "" or "No such file"))
    assert.error_matches(function() Client(("/x"):rep(200)) end, "cannot connect to")
    assert.error_matches(function() Client "no.such.host.invalid:1" end, "no such host")
  end)
end)

describe("An authkey", function()
  local function attempt(listener_key, client_key)
    local listener <close> = Listener {authkey = listener_key}
    local finish = helper.thread(function(address, key)
      local new = require "conc.multiprocessing".Client
      local ok, err = pcall(new, {address = address, authkey = key})
      if ok then
        err:close()
        return true
      end
      return ok, err
    end, listener:address(), client_key)
    local ok, conn = pcall(listener.accept, listener, helper.patience)
    if ok then conn:close() end
    local client_ok, client_err = finish()
    return ok, conn, client_ok, client_err
  end

  it("lets those in who know it", function()
    helper.needs_sodium()
    for _, key in ipairs {"secret", "", ("k"):rep(1000), "\0\255"} do
      local ok, _, client_ok = attempt(key, key)
      assert.is_true(ok)
      assert.is_true(client_ok)
    end
  end)

  it("keeps the others out, on both sides", function()
    helper.needs_sodium()
    local ok, err, client_ok, client_err = attempt("secret", "guess")
    assert.is_false(ok)
    assert.is_true(conc.Error.is(err, "AuthenticationError"))
    assert.is_false(client_ok)
    assert.is_true(conc.Error.is(client_err, "AuthenticationError"))
    assert.matches("refused the key", client_err.message)
  end)

  it("is not said by who only pretends to know it", function()
    helper.needs_sodium()
    -- A listener that answers the client with its own words.
    local listener <close> = Listener()
    local finish = helper.thread(function(address)
      local new = require "conc.multiprocessing".Client
      local _, err = pcall(new, {address = address, authkey = "secret"})
      return err
    end, listener:address())
    local c <close> = listener:accept(helper.patience)
    c:send_bytes("conc 1 sha256 " .. ("n"):rep(32))
    local text = c:recv_bytes()
    assert.equal(64, #text)
    assert.is_nil(text:find("secret", 1, true))
    c:send_bytes("welcome" .. text:sub(33))
    assert.is_true(conc.Error.is(finish(), "AuthenticationError"))
  end)

  it("survives strangers", function()
    helper.needs_sodium()
    local listener <close> = Listener {authkey = "secret"}
    local function stranger(f)
      local finish = helper.thread(function(address, say)
        local c <close> = require "conc.multiprocessing".Client(address)
        say(c)
      end, listener:address(), f)
      local ok, err = pcall(listener.accept, listener, helper.patience)
      assert.is_false(ok)
      assert.is_true(conc.Error.is(err, "AuthenticationError"))
      finish()
    end
    stranger(helper.portable(function(c) c:recv_bytes() end)) -- hears, and goes
    stranger(helper.portable(function(c) c:send_bytes(("x"):rep(100000)) end))
    stranger(helper.portable(function(c) c:send_bytes "" end))
    stranger(helper.portable(function(c) c:send {1} end))
    stranger(helper.portable(function(c) c:close() end))
  end)

  -- A client that does everything right, in a thread.
  local function good(listener)
    return helper.thread(function(address)
      local options = {address = address, authkey = "secret"}
      local c <close> = require "conc.multiprocessing".Client(options)
      return c:recv()
    end, listener:address())
  end

  it("is waited for with nobody, so that who is mute holds up only itself", function()
    helper.needs_sodium()
    local listener <close> = Listener {authkey = "secret"}
    local mute <close> = Client(listener:address())
    assert.same({nil, "timeout"}, {listener:accept(0)})
    local half <close> = Client(listener:address())
    half:send_bytes "x" -- less than an answer is a wrong one
    local finish = good(listener)
    local conn
    repeat
      local ok, value = pcall(listener.accept, listener, helper.patience)
      conn = ok and value
      assert.is_true(ok or conc.Error.is(value, "AuthenticationError"))
    until ok
    conn:send "in"
    conn:close()
    assert.equal("in", finish())
    assert.same({nil, "timeout"}, {listener:accept(0.01)})
    mute:send_bytes "now"
    assert.error(function() listener:accept(helper.patience) end)
    listener:close()
    assert.same({nil, "closed"}, {listener:accept(0)})
  end)

  it("is waited for by wait, too", function()
    helper.needs_sodium()
    local listener <close> = Listener {authkey = "secret"}
    local other = multiprocessing.Event()
    local finish = good(listener)
    local conn
    repeat
      assert.same({listener}, multiprocessing.wait({other, listener}, helper.patience))
      conn = listener:accept(0)
    until conn
    conn:send "in"
    conn:close()
    finish()
    local mute <close> = Client(listener:address())
    assert.is_nil(listener:accept(0))
    assert.same({}, multiprocessing.wait({listener, other}, 0))
    other:set()
    assert.same({other}, multiprocessing.wait({listener, other}, helper.patience))
    mute:close()
    assert.same({listener, other}, multiprocessing.wait({listener, other}, helper.patience))
  end)

  it("is not asked of any number of strangers at a time", function()
    helper.needs_sodium()
    local listener <close> = Listener {authkey = "secret"}
    local eldest <close> = Client(listener:address())
    assert.is_nil(listener:accept(0))
    local crowd = {}
    for i = 1, 64 do
      crowd[i] = Client(listener:address())
      assert.is_nil(listener:accept(0))
    end
    assert.matches("^conc 1 sha256", eldest:recv_bytes(nil, helper.patience))
    assert.same({nil, "closed"}, {eldest:recv_bytes(nil, helper.patience)})
    local finish = good(listener)
    local conn <close> = listener:accept(helper.patience)
    conn:send "in"
    assert.equal("in", finish())
    for _, c in ipairs(crowd) do c:close() end
  end)

  it("is shown within the client's timeout", function()
    helper.needs_sodium()
    local listener <close> = Listener()
    local options = {address = listener:address(), authkey = "secret", timeout = 0.3}
    local ok, err = pcall(Client, options)
    assert.is_false(ok)
    assert.is_true(conc.Error.is(err, "AuthenticationError"))
    assert.matches("timeout", err.message)
    options.timeout = -1
    assert.error_matches(function() Client(options) end, "timeout: must not be negative")
  end)

  it("is digested as RFC 4231 says", function()
    helper.needs_sodium()
    local crypto = require "conc.core".crypto
    local function hex(s)
      return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      hex(crypto.hmac(("\x0b"):rep(20), "Hi There")))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      hex(crypto.hmac("Jefe", "what do ya want for nothing?")))
    assert.equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      hex(crypto.hmac(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First")))
    assert.equal(32, #crypto.random(32))
    assert.not_equal(crypto.random(32), crypto.random(32))
    assert.is_true(crypto.equal("a", "a"))
    assert.is_false(crypto.equal("a", "b"))
    assert.is_false(crypto.equal("a", "ab"))
  end)
end)

describe("multiprocessing.wait", function()
  it("gives those that are ready", function()
    local server, client, scope <close> = pair()
    local listener = scope.listener
    local p = multiprocessing.Process {target = function() require "conc".sleep(100) end}:start()
    assert.same({}, multiprocessing.wait({server, p, listener, p:sentinel()}, 0.01))
    client:send(1)
    local ready = multiprocessing.wait {server, p, listener}
    assert.equal(1, #ready)
    assert.equal(server, ready[1])
    assert.equal(1, server:recv())
    p:kill()
    ready = multiprocessing.wait({p:sentinel()}, helper.patience)
    assert.equal(p:sentinel(), ready[1])
    ready = multiprocessing.wait {server, p, listener, p:sentinel()}
    assert.equal(2, #ready)
    assert.equal(p, ready[1])
    local other = helper.thread(function(a) return require "conc.multiprocessing".Client(a) end,
      listener:address())
    ready = multiprocessing.wait({listener}, helper.patience)
    assert.equal(listener, ready[1])
    local c <close> = listener:accept()
    other():close()
    assert.equal(c, multiprocessing.wait({c}, helper.patience)[1])
    assert.same({nil, "closed"}, {c:recv()})
  end)

  it("takes descriptors", function()
    local server, client, scope <close> = pair()
    local fd = server:fileno()
    assert.same({}, multiprocessing.wait({fd}, 0))
    client:send(1)
    assert.same({fd}, multiprocessing.wait({fd}, helper.patience))
    assert.is_truthy(scope)
  end)

  it("refuses other things", function()
    assert.error_matches(function() multiprocessing.wait {print} end,
      "cannot wait for a function %(at 1%)")
    assert.error_matches(function() multiprocessing.wait(1) end, "list: table expected, got number")
    assert.error_matches(function() multiprocessing.wait {multiprocessing.Process()} end,
      "before it is started")
    helper.refuses_timeouts(function(t) return multiprocessing.wait({}, t) end)
  end)
end)

describe("A process", function()
  it("is a case of select", function()
    local p = multiprocessing.Process {target = function() require "conc".sleep(100) end}:start()
    assert.same({nil, "timeout"}, {conc.select {p, timeout = 0.01}})
    p:kill()
    local i, got = conc.select {queue.Queue(), p, timeout = helper.patience}
    assert.equal(2, i)
    assert.equal(p, got)
    assert.error_matches(function() conc.select {multiprocessing.Process()} end,
      "cannot join a process before it is started")
  end)
end)
