/*
 * Lua runs out of memory at any of its calls, in any state of the family: the
 * n-th allocation fails, once or for a while, for every n.  Whatever that
 * raises, nothing panics, hangs or is left behind.  (Memory of conc's own is
 * made to fail by the specs in Lua: helper.fail_each.)
 *
 * So do the allocations of the states that conc makes.  CONC_SCALE shrinks the
 * loops.  Runs in the root of the source tree.
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

#include "base/arena.h"
#include "base/mem.h"
#include "base/object.h"
#include "check.h"
#include "lua/worker.h"
#include "script.h"

enum { WATCHDOG = 600 };

static double scale = 1;

/* ---- Memory ---- */

/* Allocations until the first that fails, and how many fail then. */
static _Atomic long left, failures;

static bool fails(void) {
  if (atomic_load(&failures) <= 0 || atomic_fetch_sub(&left, 1) > 1)
    return false;
  /* Never below 0, also by who comes late. */
  long n = atomic_load(&failures);
  while (n > 0)
    if (atomic_compare_exchange_weak(&failures, &n, n - 1))
      return true;
  return false;
}

static void *allocate(void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  if (nsize == 0) {
    free(p);
    return NULL;
  }
  /* Lua relies on it that a block can be made smaller. */
  if ((p == NULL || nsize > osize) && fails())
    return NULL;
  return realloc(p, nsize);
}

static int panic(lua_State *L) {
  fprintf(stderr, "panic: %s\n", lua_tostring(L, -1));
  abort();
}

static void *allocate_worker(void *arena, void *p, size_t osize, size_t nsize) {
  if ((p == NULL || nsize > osize) && nsize != 0 && fails())
    return NULL;
  return conc_arena_alloc(arena, p, osize, nsize);
}

/* Finalizers that Lua had no memory to call.  It does not call them again, so
   what their objects stood for stays; it warns of each. */
static atomic_long lost;

static void warned(void *unused, const char *part, int more) {
  (void)unused;
  (void)more;
  if (strstr(part, "__gc") != NULL)
    atomic_fetch_add(&lost, 1);
}

static lua_State *new_state(void) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL)
    return NULL;
  lua_setwarnf(L, warned, NULL);
  lua_atpanic(L, panic);
  return L;
}

/* ---- States ---- */

/* Open everything, and conc.core as the global 'core'. */
static int open_all(lua_State *L) {
  luaL_openlibs(L);
  open_core(L);
  return 0;
}

static lua_State *host(void) {
  lua_State *L = new_state();
  CHECK(L != NULL);
  lua_pushcfunction(L, open_all);
  CHECK(lua_pcall(L, 0, 0, 0) == LUA_OK);
  return L;
}

/* ---- Scripts ---- */

/* What is done once in a state, and what is done with little memory. */
static const struct {
  const char *name, *before, *script;
} scripts[] = {
  {"queues", "",
   "local q, pq = core.Queue(2), core.PriorityQueue()\n"
   "q:put{1, 'two', {x = {}}, print}\n"
   "q:put(('long'):rep(100)) q:put({1}, 0.0001)\n"
   "assert(q:get()[2] == 'two') q:get()\n"
   "q:put(function() return q end) q:get()()\n"
   "q:put(setmetatable({}, {__conc_pack = function()\n"
   "  return 'math:max', 1 end}))\n"
   "for x in q:items() do break end\n"
   "pq:put({}, nil, ('p'):rep(50)) pq:put({q}, nil, 1)\n"
   "pq:get() local _, _, p = pq:get()\n"
   "core.select{pq, q, timeout = 0}\n"
   "pq:put({q}, nil, ('p'):rep(60))\n"
   "core.select{pq, {pq, put = {q}, priority = ('x'):rep(70)}}"},
  {"cells", "d, a = core.Dict{}, core.Array('i', 3)",
   "local D = core.dict\n"
   "D.clear(d)\n"
   "d.x = {d, {}, ('long'):rep(100)} d[d] = {} d[1.5] = ('s'):rep(99)\n"
   "for k, v in pairs(d) do D.get(d, k) end\n"
   "D.update(d, 'y', function(t) return {t, a} end)\n"
   "D.cas(d, 'z', nil, {a}) D.cas(d, 'w', d.w, ('w'):rep(60))\n"
   "D.pop(d, 'x') D.snapshot(d) D.keys(d) D.setdefault(d, 'u', {d})\n"
   "a:set_slice(1, {1, 2, 3}) a:frombytes(a:tobytes())\n"
   "a:copy():get_lock() core.Value('d', 1):update(math.sin)\n"
   "D.clear(d)"},
  {"locks", "",
   "local l, r = core.Lock(), core.RLock()\n"
   "local c = core.Condition(r)\n"
   "local b = core.Barrier(1, function() return {} end)\n"
   "do local h <close> = l:acquire() local g <close> = c:acquire()\n"
   "  c:wait(0) c:wait_for(function() return {} end) end\n"
   "b:wait() b:abort() pcall(b.wait, b)\n"
   "local loc = core.Local(function(o, t) o.t = t end, {{l}})\n"
   "assert(loc.t[1] == l) core.sendable(coroutine.create(print))"},
  {"threads", "th = require 'conc.threading'",
   "local q = core.SimpleQueue()\n"
   "th.excepthook = function() end\n"
   "local t = core.Thread{name = 'n', args = {q, {}, ('a'):rep(100)},\n"
   "  target = function(out, ...) out:put{...} error{} end}:start()\n"
   "t:join() q:get(0)\n"
   "th.enumerate() th.main_thread() tostring(t) core.dump()"},
  {"tasks", "futures = require 'conc.futures'",
   "local ex <close> = futures.ThreadPoolExecutor(2)\n"
   "local C = setmetatable({}, {__index = table}) C.__index = C\n"
   "local f = ex:submit(function(...) return {...}, ('r'):rep(99) end,\n"
   "  {}, setmetatable({}, C))\n"
   "local g = ex:submit(function() error{('e'):rep(99)} end)\n"
   "local h = ex:submit_with({timeout = 5, name = 'h'}, function() end)\n"
   "local called = f:add_done_callback(function(x) return {x} end)\n"
   "local n = f:next(function(t) return {t} end)\n"
   "local k = g:catch(function(e) return {e} end):timeout(9)\n"
   "futures.wait({f, g, h}, 20)\n"
   "for x in futures.as_completed({f, g, h}, 20) do x:exception() end\n"
   "k:exception(0.1) n:exception(0.1) pcall(g.result, g) g:traceback()\n"
   "ex:stats() tostring(f)"},
  {"maps", "futures = require 'conc.futures'",
   "local ex <close> = futures.ThreadPoolExecutor(2)\n"
   "for i, x, y in ex:map(function(x) return {x}, x end, {1, 2, 3}) do end\n"
   "local i = 0\n"
   "for i, x in ex:map(function(x) return {x} end, function()\n"
   "  i = i + 1 return i < 9 and {i} or nil end, {unordered = true}) do end\n"
   "pcall(function() for i, x in ex:starmap(function(a, b) error{a, b} end,\n"
   "  {{1, 2}, {3, 4}}, {chunksize = 1}) do end end)"},
  {"groups", "futures = require 'conc.futures'",
   "local ex <close> = futures.ThreadPoolExecutor(2)\n"
   "local p = futures.Promise()\n"
   "do local g <close> = futures.TaskGroup(ex, {policy = 'collect'})\n"
   "  g:submit(function() return {} end) g:submit(error, {}) end\n"
   "p:set_result({}, ('x'):rep(99)) p:future():result()\n"
   "p = futures.Promise() p:set_exception{('x'):rep(99)}\n"
   "p:future():exception()\n"
   "pcall(function() return futures.all{p:future()}:result() end)\n"
   "p = futures.Promise()"},
  {"initializers", "futures = require 'conc.futures'",
   "local ex <close> = futures.ThreadPoolExecutor{max_workers = 1,\n"
   "  initializer = function() error{('i'):rep(99)} end}\n"
   "local f = ex:submit(print)\n"
   "f:exception(20) pcall(ex.submit, ex, print)"},
  {"shared", "mp = require 'conc.multiprocessing'",
   "local q, l, v = mp.Queue(), mp.Lock(), mp.Value('i', 1)\n"
   "q:put{l, v, ('s'):rep(99), function() return l end}\n"
   "local t = q:get() t[4]()\n"
   "do local h <close> = t[1]:acquire() end\n"
   "local a, b = mp.Pipe() a:send{q, ('p'):rep(99)} b:recv()\n"
   "a:send_bytes('bytes') b:recv_bytes()\n"
   "local s <close> = mp.SharedMemory{create = true, size = 100}\n"
   "s:write(0, 'x') s:read(0, 9)\n"
   "local bar = mp.Barrier(1, function() return {} end) bar:wait()\n"
   "core.select{q, b, timeout = 0}"},
};

/* ---- Running out ---- */

/* Run the script with the n-th allocation failing, and 'more' after it; false:
   none has. */
static bool survives(lua_State *L, const char *script, long n, long more) {
  CHECK(luaL_loadstring(L, script) == LUA_OK);
  atomic_store(&left, n);
  atomic_store(&failures, more);
  int status = lua_pcall(L, 0, 0, 0);
  bool failed = atomic_exchange(&failures, 0) < more;
  if (status != LUA_OK && !failed) {
    fprintf(stderr, "%s\nin: %s\n", luaL_tolstring(L, -1, NULL), script);
    abort();
  }
  lua_settop(L, 0);
  return !failed;
}

/* How many are to be there, at last. */
static void expect_objects(int64_t n) {
  for (int k = 0; conc_obj_count() > n; k++) {
    CHECK(k < 5000); /* something is left */
    usleep(1000);
  }
}

static void exhaust(size_t i, long more) {
  int64_t before = conc_obj_count();
  lua_State *L = host();
  run(L, scripts[i].before);
  long step = (long)(1 / scale);
  CHECK(survives(L, scripts[i].script, 1, 0));
  for (long n = 1; !survives(L, scripts[i].script, n, more); n += step) {
    if (n % 16 == 0)
      lua_gc(L, LUA_GCCOLLECT);
  }
  CHECK(survives(L, scripts[i].script, 1, 0)); /* all is well again */
  lua_close(L);
  if (atomic_exchange(&lost, 0) == 0)
    expect_objects(before);
}

/* The module is opened after a failure as if there had been none. */
static const char *const opened =
  "local q = core.SimpleQueue()\n"
  "core.Thread{target = function(out) out:put(1) end, args = {q}}\n"
  "  :start():join()\n"
  "assert(q:get(0) == 1 and core.stats().threads == 0)";

/* The n-th allocation of that kind fails; false: none has. */
static bool opens(bool own, unsigned n) {
  lua_State *L = new_state();
  CHECK(L != NULL);
  luaL_openlibs(L);
  lua_pushcfunction(L, open_all);
  if (own) {
    conc_mem_fail(n, false);
  } else {
    atomic_store(&left, (long)n);
    atomic_store(&failures, 1);
  }
  bool failed = lua_pcall(L, 0, 0, 0) != LUA_OK;
  conc_mem_fail(0, false);
  atomic_store(&failures, 0);
  lua_settop(L, 0);
  if (failed) {
    lua_pushcfunction(L, open_all);
    CHECK(lua_pcall(L, 0, 0, 0) == LUA_OK);
  }
  run(L, opened);
  lua_close(L);
  return failed;
}

static void *allocate_ten(void *arg) {
  unsigned *got = arg;
  for (int i = 0; i < 10; i++) {
    void *p = conc_alloc(8);
    *got += p != NULL;
    conc_free(p);
  }
  return NULL;
}

/* A thread counts down to its own failure, unless it asks for any. */
static void whose_failure(void) {
  for (int everywhere = 0; everywhere < 2; everywhere++) {
    pthread_t other;
    unsigned theirs = 0, mine = 0;
    conc_mem_fail(5, everywhere);
    CHECK(pthread_create(&other, NULL, allocate_ten, &theirs) == 0);
    pthread_join(other, NULL);
    CHECK(theirs == (everywhere ? 9 : 10));
    allocate_ten(&mine);
    CHECK(mine == (everywhere ? 10 : 9));
    CHECK(conc_mem_fail(0, false) == 0);
  }
}

int main(int argc, char **argv) {
  lc_worker_alloc = allocate_worker;
  const char *s = getenv("CONC_SCALE");
  scale = s == NULL || atof(s) <= 0 || atof(s) > 1 ? 1 : atof(s);
  watchdog(WATCHDOG);
  whose_failure();
  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
    if (argc > 1 && strcmp(argv[1], scripts[i].name) != 0)
      continue;
    exhaust(i, 1);
    exhaust(i, 50);
  }
  for (int own = 0; own < 2; own++)
    for (unsigned n = 1; opens(own, n);)
      n++;
  return 0;
}
