/*
 * conc.futures: ThreadPoolExecutor.  The map methods are in lmap.c.
 *
 * Reference: Python's concurrent.futures.ThreadPoolExecutor.
 */

#include "lua/lexecutor.h"

#include <string.h>

#include "base/mem.h"
#include "lua/state.h"
#include "lua/types.h"
#include "lua/worker.h"

/* ---- The worker ---- */

/* What a worker has at hand; lives outside of Lua's reach for errors. */
typedef struct worker {
  lc_state *state;
  conc_future *future;
  conc_msg task;
  conc_msg result;
} worker;

/* (worker): do the task, pack what it returns */
static int do_task(lua_State *L) {
  worker *w = lua_touserdata(L, 1);
  int n = lc_unpack_with(L, w->state, &w->task);
  conc_msg_fini(&w->task); /* its objects live here now */
  if (w->future->chunk) {
    lc_do_chunk(L, n, &w->result);
    return 0;
  }
  lua_call(L, n - 1, LUA_MULTRET);
  lc_pack(L, 2, lua_gettop(L), "result", &w->result);
  return 0;
}

/* (worker, error value): pack it with its traceback */
static int do_failure(lua_State *L) {
  worker *w = lua_touserdata(L, 1);
  lc_push_traceback(L);
  lc_pack(L, 2, 3, "error", &w->result);
  return 0;
}

/* The same for an error value that cannot travel: its text */
static int do_failure_text(lua_State *L) {
  worker *w = lua_touserdata(L, 1);
  luaL_tolstring(L, 2, NULL);
  lua_replace(L, 2);
  lc_push_traceback(L);
  lc_pack(L, 2, 3, "error", &w->result);
  return 0;
}

/* The error value on the top becomes w->result, one way or the other. */
static void keep_failure(lua_State *L, worker *w, const lua_CFunction ways[2]) {
  int err = lua_gettop(L);
  for (int i = 0; i < 2; i++) {
    lua_pushcfunction(L, ways[i]);
    lua_pushlightuserdata(L, w);
    lua_pushvalue(L, err);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK)
      return;
    lua_settop(L, err);
  }
}

static const lua_CFunction failure[] = {do_failure, do_failure_text};

static void run_task(lua_State *L, worker *w, conc_pool *p) {
  conc_future_state end = CONC_FUTURE_FINISHED;
  lua_pushcfunction(L, lc_traceback);
  lua_pushcfunction(L, do_task);
  lua_pushlightuserdata(L, w);
  if (lua_pcall(L, 1, 0, 1) != LUA_OK) {
    end = CONC_FUTURE_FAILED;
    keep_failure(L, w, failure);
  }
  conc_pool_done(p); /* before anybody submits more because of the result */
  conc_future_finish(w->future, end, &w->result);
  lua_settop(L, 0);
}

/* (pool): what the parent gives, then the user's initializer */
static int set_up(lua_State *L) {
  const conc_pool_conf *conf = lua_touserdata(L, 1);
  lc_worker_apply(L, conf->env);
  if (conf->init.size == 0)
    return 0;
  conc_msg init = conf->init; /* read only */
  int n = lc_unpack_copy(L, &init);
  lua_call(L, n - 1, 0);
  return 0;
}

/* (worker, error value): a BrokenThreadPool with that cause */
static int do_broken(lua_State *L) {
  worker *w = lua_touserdata(L, 1);
  lc_pusherror(L, "BrokenThreadPool", "the initializer of a worker failed");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "cause");
  lc_push_traceback(L);
  lc_pack(L, 3, 4, "error", &w->result);
  return 0;
}

/* The same with the text of a cause that cannot travel */
static int do_broken_text(lua_State *L) {
  luaL_tolstring(L, 2, NULL);
  lua_replace(L, 2);
  return do_broken(L);
}

static bool begin(lua_State *L, conc_pool *p) {
  static const lua_CFunction broken[] = {do_broken, do_broken_text};
  lua_pushcfunction(L, lc_traceback);
  lua_pushcfunction(L, set_up);
  lua_pushlightuserdata(L, (void *)conc_pool_conf_of(p));
  if (lua_pcall(L, 1, 0, 1) == LUA_OK) {
    lua_settop(L, 0);
    return true;
  }
  worker w = {.future = NULL};
  keep_failure(L, &w, broken);
  conc_pool_break(p, &w.result);
  return false;
}

static void work(conc_thread *t, lua_State *L) {
  conc_pool *p = conc_pool_of(t);
  worker w = {.state = lc_open(L)};
  if (!begin(L, p))
    return;
  while (conc_pool_take(p, &w.task, t->parker)) {
    conc_obj **first = conc_msg_refs(&w.task);
    w.future = (conc_future *)*first;
    *first = NULL; /* ours, the task may go before it */
    if (conc_future_start(w.future))
      run_task(L, &w, p);
    else
      conc_pool_done(p);
    conc_msg_fini(&w.task);
    conc_release(&w.future->obj);
  }
}

static void run(conc_thread *t, void *prepared) {
  static const unsigned char nomem[] = "\x11\x71not enough memory";
  conc_pool *p = conc_pool_of(t);
  t->arg = conc_pool_conf_of(p)->arg; /* lc_worker_open looks there */
  lua_State *L = lc_worker_open(t, prepared);
  t->arg = p;
  if (L == NULL) {
    conc_msg why;
    (void)conc_msg_make(&why, nomem, sizeof nomem - 1, NULL, 0);
    conc_pool_break(p, &why);
    return;
  }
  work(t, L);
  lua_close(L);
}

/* ---- Submitting ---- */

conc_executor *lc_checkexecutor(lua_State *L) {
  return lc_check(L, 1, &conc_executor_class);
}

static int refused(lua_State *L, conc_pool *p, apr_status_t st) {
  conc_msg *why = conc_pool_why(p);
  if (why != NULL) {
    int top = lua_gettop(L);
    lc_unpack_copy(L, why);
    lua_settop(L, top + 1);
    return lua_error(L);
  }
  if (st == CONC_CLOSED)
    return luaL_error(L, "cannot schedule new futures after shutdown");
  if (st == CONC_MISUSE)
    return luaL_error(L, "cannot start a thread: this process was forked "
                         "after conc had started threads");
  return lc_fail(L, st);
}

void lc_submit(lua_State *L, conc_pool *p, conc_msg *m) {
  conc_parker *self = lc_get(L)->self;
  apr_status_t st = self == NULL ? CONC_CLOSED : conc_pool_submit(p, m, self);
  if (st != APR_SUCCESS) {
    conc_msg_fini(m);
    refused(L, p, st);
  }
}

/* ex:submit(fn, ...): a Future */
static int submit(lua_State *L) {
  conc_executor *ex = lc_checkexecutor(L);
  conc_msg m;
  lc_function(L, 2, "fn");
  int last = lua_gettop(L);
  conc_future *f = lc_newfuture(L);
  lc_packing what = {.first = 2, .last = last, .name = "fn", .extra = &f->obj};
  lc_pack_with(L, lc_get(L), &what, &m);
  lc_submit(L, ex->pool, &m);
  return 1;
}

/* ---- The end ---- */

static int do_shutdown(lua_State *L, conc_pool *p, bool wait, bool cancel) {
  apr_status_t st = APR_SUCCESS;
  lc_state *S = lc_get(L);
  if (wait && S->worker && S->thread->arg == p)
    return luaL_error(L, "cannot wait for an executor in a task of its own");
  conc_pool_shutdown(p, cancel);
  if (!wait || S->self == NULL)
    return 0;
  do
    st = conc_pool_join(p, lc_self(L), CONC_FOREVER);
  while (lc_again(L, st));
  return 0;
}

/* ex:shutdown{wait = true, cancel_futures = false} */
static int shut_down(lua_State *L) {
  static const char *const names[] = {"wait", "cancel_futures", NULL};
  conc_executor *ex = lc_checkexecutor(L);
  lc_options_at(L, 2, names);
  bool wait = lc_optboolean(L, 2, "wait", true);
  return do_shutdown(L, ex->pool, wait,
                     lc_optboolean(L, 3, "cancel_futures", false));
}

/* leaving the scope of a <close> variable: shutdown{wait = true} */
static int close_executor(lua_State *L) {
  return do_shutdown(L, lc_checkexecutor(L)->pool, true, false);
}

/* ex:max_workers() */
static int max_workers(lua_State *L) {
  const conc_pool_conf *conf = conc_pool_conf_of(lc_checkexecutor(L)->pool);
  lc_nomore(L, 1);
  lua_pushinteger(L, (lua_Integer)conf->max_workers);
  return 1;
}

static const luaL_Reg methods[] = {
  {"submit", submit},           {"map", lc_map},
  {"starmap", lc_starmap},      {"shutdown", shut_down},
  {"max_workers", max_workers}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", close_executor},
                                       {NULL, NULL}};

const lc_type lc_executor_type = {
  &conc_executor_class, methods, metamethods, NULL, 0, false};

/* ---- Making ---- */

enum { MAX = 1, PREFIX, INITIALIZER, INITARGS, MOST_WORKERS = 10000 };

static const char *check_prefix(lua_State *L, const lc_state *S) {
  if (lua_isnil(L, PREFIX))
    return lua_pushfstring(L, "ThreadPoolExecutor-%I",
                           (LUAI_UACINT)conc_root_count(S->root));
  if (lua_type(L, PREFIX) != LUA_TSTRING)
    lc_argerror(L, PREFIX, "thread_name_prefix", "string expected, got %s",
                lc_nameof(L, PREFIX));
  return lua_tostring(L, PREFIX);
}

/* Pack initializer and initargs into *m. */
static void pack_init(lua_State *L, conc_msg *m) {
  int top = lua_gettop(L);
  *m = (conc_msg){0};
  if (!lua_isnil(L, INITARGS) && !lua_istable(L, INITARGS))
    lc_argerror(L, INITARGS, "initargs", "table expected, got %s",
                lc_nameof(L, INITARGS));
  if (lua_isnil(L, INITIALIZER))
    return;
  lc_function(L, INITIALIZER, "initializer");
  lua_pushvalue(L, INITIALIZER);
  if (!lua_isnil(L, INITARGS)) {
    lua_getfield(L, INITARGS, "n");
    lua_Integer n = lua_isinteger(L, -1) ? lua_tointeger(L, -1)
                                         : (lua_Integer)lua_rawlen(L, INITARGS);
    lua_pop(L, 1);
    if (n < 0 || n > 10000)
      lc_argerror(L, INITARGS, "initargs", "0 to 10000 of them expected");
    luaL_checkstack(L, (int)n + 10, "too many initargs");
    for (lua_Integer i = 1; i <= n; i++)
      lua_geti(L, INITARGS, i);
  }
  lc_pack(L, top + 1, lua_gettop(L), "initializer", m);
  lua_settop(L, top);
}

/*
 * ThreadPoolExecutor(max_workers) or {max_workers =, thread_name_prefix =,
 * initializer =, initargs = {}}
 */
int lc_executor(lua_State *L) {
  static const char *const names[] = {"max_workers", "thread_name_prefix",
                                      "initializer", "initargs", NULL};
  lc_state *S = lc_get(L);
  conc_executor *ex;
  lc_self(L);
  lc_options(L, names);
  lua_Integer max = lc_optinteger(
    L, MAX, "max_workers", (lua_Integer)conc_sys_cpus(), 1, MOST_WORKERS);
  const char *prefix = check_prefix(L, S);
  lc_box *box = lc_newbox(L, &conc_executor_class);
  conc_pool_conf conf = {.max_workers = (size_t)max, .run = run};
  conf.arg = lc_libraries_arg(lc_libraries(L));
  conc_release(lc_worker_env(L)); /* made now: it may raise */
  pack_init(L, &conf.init);
  conf.prefix = conc_alloc(strlen(prefix) + 1);
  if (conf.prefix == NULL) {
    conc_msg_fini(&conf.init);
    return lc_fail(L, APR_ENOMEM);
  }
  strcpy(conf.prefix, prefix);
  conf.env = conc_retain(S->env);
  apr_status_t st = conc_executor_new(&ex, S->root, &conf);
  if (st != APR_SUCCESS)
    return st == CONC_CLOSED
             ? luaL_error(L, "cannot make an executor: the state is closing")
             : lc_fail(L, st);
  box->obj = &ex->obj;
  return 1;
}
