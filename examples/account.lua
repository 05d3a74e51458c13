-- Two threads draw 800 each from an account that holds 1000.  The lock lets one
-- at a time look at the balance and change it, so only one of them can.

local conc = require "conc"
local threading = require "conc.threading"

local lock = threading.Lock()

-- Every thread has a Lua state of its own, and tables are copied on the way
-- there.  A Dict is the same one in all threads.
local function Account(balance)
  return threading.Dict {balance = balance or 1000}
end

local function say(word, account)
  print(("%s\tthread name = %s\tbalance = %d"):format(word,
    threading.current_thread():name(), account.balance))
end

-- acquire and release
local function draw_1(account, amount)
  lock:acquire()
  if account.balance >= amount then
    conc.sleep(0.1)
    account.balance = account.balance - amount
    say("Success!", account)
  else
    say("Fail!", account)
  end
  lock:release()
end

-- held until the end of the scope, also when an error ends it
local function draw_2(account, amount)
  local held <close> = lock:acquire()
  if account.balance >= amount then
    conc.sleep(0.1)
    account.balance = account.balance - amount
    say("Success!", account)
  else
    say("Fail!", account)
  end
end

for _, draw in ipairs {draw_1, draw_2} do
  local account = Account(1000)
  local args = {account, 800}
  local t1 = threading.Thread {target = draw, args = args, name = "t1"}
  local t2 = threading.Thread {target = draw, args = args, name = "t2"}
  t1:start()
  t2:start()
  t1:join()
  t2:join()
  assert(account.balance == 200)
end
