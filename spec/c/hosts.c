/*
 * Hosts: programs that make Lua states themselves, and not as lua.c does.  With
 * some of the libraries, several at a time, in threads of their own, with
 * little memory, and closed while threads run.  CONC_SCALE shrinks the loops.
 * Runs in the root of the source tree.
 */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if !defined(_WIN32)
#include <sys/wait.h>
#endif
#include <unistd.h>

#include "base/object.h"
#include "check.h"
#include "include/conc.h"
#include "script.h"

/* The sanitizers' own allocators may be locked in a child of many threads. */
#if !defined(_WIN32) && !defined(__SANITIZE_ADDRESS__) &&                      \
  !defined(__SANITIZE_THREAD__)
#define CAN_FORK 1
#endif

enum { WATCHDOG = 300, HOSTS = 8 };

static double scale = 1;

static int scaled(int n) {
  int m = (int)(n * scale);
  return m < 1 ? 1 : m;
}

/* ---- States ---- */

static const luaL_Reg few[] = {
  {LUA_GNAME, luaopen_base}, {LUA_STRLIBNAME, luaopen_string}, {NULL, NULL}};

static const luaL_Reg some[] = {{LUA_GNAME, luaopen_base},
                                {LUA_LOADLIBNAME, luaopen_package},
                                {LUA_TABLIBNAME, luaopen_table},
                                {LUA_STRLIBNAME, luaopen_string},
                                {NULL, NULL}};

static const luaL_Reg all[] = {{LUA_GNAME, luaopen_base},
                               {LUA_LOADLIBNAME, luaopen_package},
                               {LUA_COLIBNAME, luaopen_coroutine},
                               {LUA_TABLIBNAME, luaopen_table},
                               {LUA_IOLIBNAME, luaopen_io},
                               {LUA_OSLIBNAME, luaopen_os},
                               {LUA_STRLIBNAME, luaopen_string},
                               {LUA_MATHLIBNAME, luaopen_math},
                               {LUA_UTF8LIBNAME, luaopen_utf8},
                               {LUA_DBLIBNAME, luaopen_debug},
                               {NULL, NULL}};

/* (libraries): open them, and conc.core as the global 'core'. */
static int open_all(lua_State *L) {
  const luaL_Reg *lib = lua_touserdata(L, 1);
  for (; lib->name != NULL; lib++) {
    luaL_requiref(L, lib->name, lib->func, 1);
    lua_pop(L, 1);
  }
  open_core(L);
  return 0;
}

static lua_State *host(const luaL_Reg *libs) {
  lua_State *L = luaL_newstate();
  CHECK(L != NULL);
  lua_pushcfunction(L, open_all);
  lua_pushlightuserdata(L, (void *)(uintptr_t)libs);
  CHECK(lua_pcall(L, 1, 0, 0) == LUA_OK);
  return L;
}

/* ---- Libraries ---- */

/* A worker has the libraries that its parent has, and no more. */
static void test_libraries(void) {
  static const char *const script =
    "local q = core.SimpleQueue()\n"
    "core.Thread{target = function(out)\n"
    "  for k in next, _G do out:put(k) end\n"
    "  out:put(false)\n"
    "end, args = {q}}:start():join()\n"
    "local there = {core = true}\n"
    "for k in function() return q:get() or nil end do there[k] = true end\n"
    "there.arg = nil\n"
    "for k in next, _G do assert(there[k], k) end\n"
    "for k in next, there do assert(_G[k] ~= nil, k) end\n";
  static const luaL_Reg *const sets[] = {few, some, all};
  for (int i = 0; i < 3; i++) {
    lua_State *L = host(sets[i]);
    /* The second time the state was made ahead. */
    run(L, script);
    run(L, script);
    lua_close(L);
  }
}

/* A library that is opened later is there in threads that start later. */
static void test_late_library(void) {
  lua_State *L = host(few);
  static const char *const script =
    "local q = core.SimpleQueue()\n"
    "core.Thread{target = function(out) out:put(math ~= nil) end,\n"
    "  args = {q}}:start():join()\n"
    "return q:get()";
  for (int i = 0; i < 4; i++) {
    if (i == 2) {
      luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
      lua_settop(L, 0);
    }
    CHECK(luaL_dostring(L, script) == LUA_OK);
    CHECK(lua_toboolean(L, -1) == (i >= 2));
    lua_settop(L, 0);
  }
  lua_close(L);
}

/* ---- Several roots ---- */

/* Two states of one process know nothing of each other. */
static void test_two_roots(void) {
  lua_State *a = host(all), *b = host(all);
  static const char *const begin =
    "conc = require 'conc'\n"
    "q, back = conc.queue.SimpleQueue(), conc.queue.SimpleQueue()\n"
    "t = conc.threading.Thread{target = function(from, to)\n"
    "  for x in from:items() do to:put(x + 1) end\n"
    "end, args = {q, back}}:start()\n"
    "assert(conc.threading.active_count() == 2)\n";
  static const char *const work =
    "for i = 1, 100 do q:put(i); assert(back:get() == i + 1) end\n";
  run(a, begin);
  run(b, begin);
  run(a, work);
  run(b, work);
  run(a, "q:put(nil)");
  lua_close(a);
  run(b, work);
  a = host(some);
  run(a, begin);
  run(b, "q:put(nil) t:join() assert(conc.threading.active_count() == 1)");
  lua_close(b);
  run(a, work);
  run(a, "q:put(nil)");
  lua_close(a);
}

static void *one_host(void *arg) {
  (void)arg;
  lua_State *L = host(all);
  run(L, "local conc = require 'conc'\n"
         "local ex <close> = conc.futures.ThreadPoolExecutor(2)\n"
         "local f = ex:submit(function(x) return x + 1 end, 41)\n"
         "local t = conc.threading.Thread{target = function() end}:start()\n"
         "assert(f:result() == 42)\n"
         "assert(t:join())");
  lua_close(L);
  return NULL;
}

/* Many threads of a host open the module at one time. */
static void test_many_hosts(void) {
  for (int round = scaled(20); round > 0; round--) {
    pthread_t threads[HOSTS];
    for (int i = 0; i < HOSTS; i++)
      CHECK(pthread_create(&threads[i], NULL, one_host, NULL) == 0);
    for (int i = 0; i < HOSTS; i++)
      CHECK(pthread_join(threads[i], NULL) == 0);
  }
}

static void *look(void *arg) {
  lua_State *L = arg;
  run(L, "local th = require 'conc.threading'\n"
         "local me = th.current_thread()\n"
         "assert(rawequal(me, th.current_thread()))\n"
         "assert(me ~= th.main_thread() and me:daemon() and me:is_alive())\n"
         "assert(me:name():find '^Dummy%-%d+$')\n"
         "assert(me:native_id() == th.get_native_id())\n"
         "assert(me:ident() == th.get_ident() and me:ident() ~= 0)\n"
         "assert(not pcall(me.join, me))\n"
         "assert(not pcall(me.start, me))\n"
         "local found = 0\n"
         "for _, t in ipairs(th.enumerate()) do\n"
         "  if t == me then found = found + 1 end\n"
         "end\n"
         "assert(found == 1)\n"
         "local t = th.Thread{target = function() end}:start()\n"
         "assert(t:join())");
  return NULL;
}

/* A host may use its state in another of its threads: that is a dummy. */
static void test_foreign_thread(void) {
  lua_State *L = host(all);
  pthread_t thread;
  run(L, "local th = require 'conc.threading'\n"
         "assert(th.current_thread() == th.main_thread())");
  CHECK(pthread_create(&thread, NULL, look, L) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  run(L, "local th = require 'conc.threading'\n"
         "assert(th.current_thread() == th.main_thread())");
  lua_close(L);
}

/* ---- The end ---- */

static _Atomic int ended;

static int told(lua_State *L) {
  (void)L;
  ended++;
  return 0;
}

static _Atomic bool let_go;

static int busy(lua_State *L) {
  lua_pushboolean(L, !let_go);
  return 1;
}

static int open_tell(lua_State *L) {
  lua_pushcfunction(L, told);
  return 1;
}

static int open_busy(lua_State *L) {
  lua_pushcfunction(L, busy);
  return 1;
}

static lua_State *host_with_tell(void) {
  lua_State *L = host(all);
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, open_tell);
  lua_setfield(L, -2, "tell");
  lua_pushcfunction(L, open_busy);
  lua_setfield(L, -2, "busy");
  lua_settop(L, 0);
  ended = 0;
  return L;
}

/* The end of a state waits for the threads that are no daemons. */
static void test_close_joins(void) {
  for (int round = scaled(50); round > 0; round--) {
    lua_State *L = host_with_tell();
    run(L, "for i = 1, 4 do\n"
           "  core.Thread{target = function(core)\n"
           "    core.sleep(0.01)\n"
           "    require 'tell'()\n"
           "  end, args = {core}}:start()\n"
           "end");
    lua_close(L);
    CHECK(ended == 4);
  }
}

/* ... also for those that these start meanwhile. */
static void test_close_joins_grandchildren(void) {
  lua_State *L = host_with_tell();
  run(L, "local go = core.Event()\n"
         "core.Thread{target = function(core, e)\n"
         "  core.Thread{target = function(ev) ev:wait() require 'tell'() end,\n"
         "    args = {e}}:start()\n"
         "  core.sleep(0.02)\n"
         "  e:set()\n"
         "  require 'tell'()\n"
         "end, args = {core, go}}:start()\n"
         "core.sleep(0.01)");
  lua_close(L);
  CHECK(ended == 2);
}

/* Waiting daemons are woken: their <close> variables run, no hook is called. */
static void test_close_wakes_daemons(void) {
  for (int round = scaled(20); round > 0; round--) {
    lua_State *L = host_with_tell();
    run(L, "local th = require 'conc.threading'\n"
           "th.excepthook = function() require 'tell'() end\n"
           "local q, ready = core.SimpleQueue(), core.SimpleQueue()\n"
           "local lock = th.Lock()\n"
           "lock:acquire()\n"
           "local waits = {\n"
           "  function(from) from:get() end,\n"
           "  function(_, l) l:acquire() end,\n"
           "  function() require 'conc'.sleep(1e9) end,\n"
           "  function() require 'conc.threading'.Event():wait() end,\n"
           "}\n"
           "for i = 1, 4 do\n"
           "  th.Thread{daemon = true, target = function(wait, from, l, r)\n"
           "    local tell = require 'tell'\n"
           "    local _ <close> = setmetatable({}, {__close = tell})\n"
           "    r:put(true)\n"
           "    wait(from, l)\n"
           "  end, args = {waits[i], q, lock, ready}}:start()\n"
           "end\n"
           "for _ = 1, 4 do ready:get() end");
    lua_close(L);
    CHECK(ended == 4);
  }
}

/* An executor with tasks that wait does not keep a state from ending. */
static void test_close_with_executor(void) {
  lua_State *L = host(all);
  run(L, "local conc = require 'conc'\n"
         "ex = conc.futures.ThreadPoolExecutor(2)\n"
         "for i = 1, 10 do ex:submit(function(x) return x end, i) end");
  lua_close(L);
}

#if defined(CAN_FORK)
/* A host that forks: the child has none of the threads, is told so, and ends. */
static void test_fork(void) {
  lua_State *L = host(all);
  run(L, "local conc = require 'conc'\n"
         "go = conc.threading.Event()\n"
         "ex = conc.futures.ThreadPoolExecutor(2)\n"
         "ex:submit(function() end):result()\n"
         "core.Thread{target = function() end}:start():join()\n"
         "t = core.Thread{target = function(e) e:wait() end, args = {go}}\n"
         "t:start()");
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(WATCHDOG);
    run(L, "local function fails(f)\n"
           "  local ok, e = pcall(f)\n"
           "  assert(not ok and e:find 'forked', e)\n"
           "end\n"
           "fails(function() core.Thread{target = print}:start() end)\n"
           "fails(function() t:join() end)\n"
           "fails(function() ex:submit(print) end)\n"
           "local q, l = core.Queue(), core.Lock()\n"
           "do local held <close> = l:acquire() end\n"
           "q:put(1)\n"
           "assert(q:get() == 1 and select(2, q:get(0.01)) == 'timeout')\n"
           "do local scope <close> = ex end");
    lua_close(L);
    /* What threads held that are not here is nobody's: no check of leaks. */
    (void)execlp("true", "true", (char *)NULL);
    _exit(1);
  }
  int status = -1;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
  run(L, "go:set() t:join() assert(ex:submit(math.max, 1, 5):result() == 5)");
  lua_close(L);
}
#endif

#if defined(CAN_FORK)
/* Forks while other threads are inside of conc's locks: no child waits. */
static void test_fork_busy(void) {
  lua_State *L = host(all);
  run(L, "local conc = require 'conc'\n"
         "stop = conc.threading.Event()\n"
         "q = conc.queue.Queue(1)\n"
         "ex = conc.futures.ThreadPoolExecutor(2)\n"
         "threads = {}\n"
         "local function busy(stop, q, ex, Thread)\n"
         "  while not stop:is_set() do\n"
         "    Thread{target = function() end}:start():join()\n"
         "    q:put(1) q:get() stop:wait(0)\n"
         "    ex:submit(function() end):result()\n"
         "  end\n"
         "end\n"
         "for i = 1, 3 do\n"
         "  threads[i] = core.Thread{target = busy, args = {stop, q, ex, "
         "core.Thread}}\n"
         "  threads[i]:start()\n"
         "end");
  fflush(stdout);
  for (int i = 0; i < 200 * scale; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      alarm(WATCHDOG);
      run(L, "assert(not pcall(function() core.Thread{}:start() end))\n"
             "assert(#core.enumerate() >= 1)\n"
             "local l, e = core.Lock(), core.Event()\n"
             "do local held <close> = l:acquire() end\n"
             "e:set() e:wait()\n"
             "assert(not e:clear() and not e:wait(0.001))");
      lua_close(L);
      (void)execlp("true", "true", (char *)NULL);
      _exit(1);
    }
    int status = -1;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
  }
  run(L, "stop:set() for i = 1, 3 do threads[i]:join() end");
  lua_close(L);
}

/* What a host's child drops of shared memory is still there for the host. */
static void test_fork_shared(void) {
  lua_State *L = host(all);
  run(L, "shared = core.shared\n"
         "q, l = shared.Queue(), shared.Lock()\n"
         "q:put {'first', q}");
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(WATCHDOG);
    run(L, "local ok, e = pcall(shared.Queue)\n"
           "assert(not ok and tostring(e):find 'forked', e)\n"
           "l = nil\n"
           "collectgarbage()");
    lua_close(L);
    _exit(0);
  }
  int status = -1;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
  run(L, "assert(l:acquire(0))\n"
         "l:release()\n"
         "for i = 1, 1000 do shared.Queue():put(i) end\n"
         "local t = q:get(0)\n"
         "assert(t[1] == 'first' and t[2] == q)");
  lua_close(L);
}
#endif

/* A daemon that never looks up is left behind; the state ends all the same. */
static void test_close_abandons(void) {
  lua_State *L = host_with_tell();
  let_go = false;
  run(L, "local ready = core.SimpleQueue()\n"
         "core.Thread{daemon = true, target = function(q)\n"
         "  local busy = require 'busy'\n"
         "  q:put(true)\n"
         "  while busy() do end\n"
         "  require 'tell'()\n"
         "end, args = {ready}}:start()\n"
         "ready:get()");
  lua_close(L);
  CHECK(ended == 0);
  one_host(NULL); /* nobody else is disturbed */
  let_go = true;
}

/* ---- Hooks ---- */

/* A hook as a host sets it to be called once. */
static void call_once(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  lua_getglobal(L, "hook");
  CHECK(lua_pcall(L, 0, 0, 0) == LUA_OK);
}

/* Until the host has come to its wait; loops are made shorter where everything
   takes longer. */
static void let_it_wait(void) {
  double us = 20000 / scale;
  usleep(us < 500000 ? (useconds_t)us : 500000);
}

static void *set_hook(void *L) {
  let_it_wait();
  lua_sethook(L, call_once, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  return NULL;
}

/* What it does to the object that is waited for ends the wait, every time. */
static void test_hooks(void) {
  static const char *const waits[] = {
    "local q = core.Queue() hook = function() q:shutdown() end\n"
    "assert(select(2, q:get()) == 'closed')",
    "local q = core.Queue(1) q:put(1) hook = function() q:shutdown() end\n"
    "assert(select(2, q:put(2)) == 'closed')",
    "local q = core.Queue() hook = function() q:put(q) end\n"
    "assert(q:get() == q)",
    "local e = core.Event() hook = function() e:set() e:clear() end\n"
    "assert(e:wait())",
    "local l = core.Lock() l:acquire() hook = function() l:release() end\n"
    "coroutine.wrap(function() assert(l:acquire() == l) end)()",
    "local p = core.Promise() hook = function() p:set_result(5) end\n"
    "assert(p:future():result() == 5)",
  };
  lua_State *L = host(all);
  run(L, "core.detect_deadlocks(false)");
  for (size_t i = 0; i < 2 * sizeof waits / sizeof *waits; i++) {
    pthread_t t;
    CHECK(pthread_create(&t, NULL, set_hook, L) == 0);
    run(L, waits[i / 2]);
    CHECK(pthread_join(t, NULL) == 0);
    CHECK(lua_gethook(L) == NULL);
  }
  lua_close(L);
}

static void give_up(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  (void)luaL_error(L, "too long");
}

static void *limit(void *co) {
  let_it_wait();
  lua_sethook(co, give_up, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  return NULL;
}

/* A host that runs each script in a coroutine, and sets its hook on that. */
static void test_own_hooks(void) {
  lua_State *L = host(all);
  run(L, "core.detect_deadlocks(false)");
  for (int i = 0; i < 6; i++) {
    pthread_t t;
    int results;
    lua_State *co = lua_newthread(L);
    CHECK(luaL_loadstring(co, "core.Queue():get()") == LUA_OK);
    CHECK(pthread_create(&t, NULL, limit, co) == 0);
    CHECK(lua_resume(co, L, 0, &results) == LUA_ERRRUN);
    CHECK(strstr(lua_tostring(co, -1), "too long") != NULL);
    CHECK(pthread_join(t, NULL) == 0);
    lua_pop(L, 1);
  }
  lua_close(L);
}

/* Whatever was made is gone in the end. */
static void settle(void) {
  while (conc_obj_count() != 0)
    usleep(1000);
}

/* ---- Memory ---- */

static long budget; /* allocations until one fails; < 0: none does */

static void *allocate(void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  if (nsize == 0) {
    free(p);
    return NULL;
  }
  if ((p == NULL || nsize > osize) && budget >= 0 && budget-- == 0)
    return NULL;
  return realloc(p, nsize);
}

static const char *const task =
  "local conc = require 'conc'\n"
  "local th, queue = conc.threading, conc.queue\n"
  "local Class = {}\n"
  "Class.__index = Class\n"
  "function Class.get(o) return o.x end\n"
  "local q, lock = queue.SimpleQueue(), th.Lock()\n"
  "q:put{1, 'two', {3}, x = lock, f = function() return q end}\n"
  "assert(q:get().x == lock)\n"
  "q:put(setmetatable({x = 5}, Class))\n"
  "assert(q:get():get() == 5)\n"
  "q:put(setmetatable({}, {__conc_pack = function() return 'math:max', 1 "
  "end}))\n"
  "assert(q:get() == 1)\n"
  "do local held <close> = lock:acquire() end\n"
  "local data = th.Local(function(l) l.x = 1 end)\n"
  "assert(data.x == 1)\n"
  "local t = th.Thread{target = function(out, o) out:put(o:get()) end,\n"
  "  args = {q, setmetatable({x = 7}, Class)}}:start()\n"
  "assert(t:join() and q:get(0) == 7)\n"
  "assert(th.current_thread() == th.enumerate()[1])\n"
  "assert(not conc.sendable(coroutine.create(print)))\n"
  "local d = th.Dict{a = 1}\n"
  "d.b = {d.a}\n"
  "assert(d.b[1] == 1)\n";

/* ---- A host that does not wait ---- */

static atomic_int items;

static int count_item(lua_State *L) {
  atomic_fetch_add(&items, 1);
  lua_settop(L, 0);
  return 0;
}

static int add_counter(lua_State *L) {
  lua_register(L, "count_item", count_item);
  return 0;
}

/* A chunk of a map whose first item is cancelled does not go on with others. */
static void test_close_limit(void) {
  lua_State *L = host(all);
  conc_set_state_opener(L, add_counter);
  conc_set_close_limit(L, 0.01);
  run(L, "local items = {}\n"
         "for i = 1, 100 do items[i] = i end\n"
         "local began = core.Semaphore(0)\n"
         "ex = require 'conc.futures'.ThreadPoolExecutor(1)\n"
         "ex:map(function()\n"
         "  count_item()\n"
         "  began:release()\n"
         "  require 'conc'.sleep(100)\n"
         "end, items, {chunksize = 100})\n"
         "began:acquire()");
  lua_close(L);
  CHECK(atomic_load(&items) == 1);
}

/* ---- Little memory ---- */

static int protected_task(lua_State *L) {
  lua_pushcfunction(L, open_all);
  lua_pushlightuserdata(L, (void *)(uintptr_t)all);
  lua_call(L, 1, 0);
  if (luaL_dostring(L, task) != LUA_OK)
    lua_error(L);
  return 0;
}

/* The n-th allocation of the host's state fails: an error, never a crash. */
static bool survives(long n) {
  budget = n;
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL)
    return false;
  lua_pushcfunction(L, protected_task);
  int status = lua_pcall(L, 0, 0, 0);
  bool failed = budget < 0;
  if (status != LUA_OK && !failed) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
  }
  budget = -1;
  lua_close(L);
  return status == LUA_OK && !failed;
}

static void test_memory(void) {
  /* Each 7th, of some 10 000; to begin elsewhere each time finds the others. */
  long step = scale < 7 ? (long)(7 / scale) : 1;
  long n = (long)((unsigned long)time(NULL) % (unsigned long)step);
  while (!survives(n))
    n += step;
  CHECK(n > 500);
}

/* hosts [test]: all tests, or the one of that name. */
int main(int argc, char **argv) {
  const char *s = getenv("CONC_SCALE");
  if (s != NULL && atof(s) > 0)
    scale = atof(s);
  setvbuf(stdout, NULL, _IONBF, 0);
  watchdog(WATCHDOG);
  static const struct {
    const char *name;
    void (*test)(void);
  } tests[] = {
    {"libraries", test_libraries},
    {"a late library", test_late_library},
    {"two roots", test_two_roots},
    {"many hosts at once", test_many_hosts},
    {"a foreign thread", test_foreign_thread},
    {"close joins", test_close_joins},
    {"close joins grandchildren", test_close_joins_grandchildren},
    {"close wakes daemons", test_close_wakes_daemons},
    {"close with an executor", test_close_with_executor},
    {"close with a limit", test_close_limit},
#if defined(CAN_FORK)
    {"fork", test_fork},
    {"fork_busy", test_fork_busy},
    {"fork_shared", test_fork_shared},
#endif
    {"hooks", test_hooks},
    {"own hooks", test_own_hooks},
    {"memory", test_memory},
    {"close abandons", test_close_abandons}
  };
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
      continue;
    printf("%s\n", tests[i].name);
    tests[i].test();
    settle();
  }
  return 0;
}
