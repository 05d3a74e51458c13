/*
 * conc.futures: ThreadPoolExecutor.  The map methods are in lmap.c.
 *
 * Reference: Python's concurrent.futures.ThreadPoolExecutor.
 */

#include "lua/bindings/lexecutor.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "lua/await.h"
#include "lua/failure.h"
#include "lua/post.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"
#include "lua/worker.h"

/* ---- Submitting ---- */

conc_executor *lc_testexecutor(lua_State *L, int arg) {
  conc_obj *o = lc_testany(L, arg);
  return o != NULL && (o->cls == &conc_executor_class ||
                       o->cls == &conc_process_executor_class)
           ? (conc_executor *)o
           : NULL;
}

conc_executor *lc_checkexecutor(lua_State *L) {
  conc_executor *ex = lc_testexecutor(L, 1);
  return ex != NULL ? ex : lc_check(L, 1, &conc_executor_class);
}

static int refused(lua_State *L, conc_pool *p, apr_status_t st) {
  conc_msg *why = conc_pool_why(p);
  if (why != NULL) {
    lc_push_failure(L, why);
    lua_pop(L, 1);
    return lua_error(L);
  }
  if (st == CONC_CLOSED)
    return lc_error(L, "cannot schedule new futures after shutdown");
  if (st == CONC_MISUSE)
    return lc_error(L, "cannot start a thread: this process was forked "
                       "after conc had started threads");
  return lc_fail(L, st);
}

/* A place for f in an executor with max_pending; false: f was run here. */
static bool reserve(lua_State *L, conc_pool *p, conc_future *f) {
  while (!conc_pool_is_closed(p) && !conc_pool_reserve(p)) {
    switch (conc_pool_conf_of(p)->overflow) {
    case CONC_OVERFLOW_ERROR:
      lc_throw(L, "QueueFull", "%I tasks are pending already",
               (LUAI_UACINT)conc_pool_conf_of(p)->max_pending);
      break;
    case CONC_OVERFLOW_CALLER:
      if (conc_pool_conf_of(p)->processes && !lc_post_strip(f))
        lc_fail(L, APR_ENOMEM);
      lc_run_here(L, p, f);
      return false;
    case CONC_OVERFLOW_BLOCK: lc_await_room(L, p); break;
    }
  }
  return true;
}

void lc_submit(lua_State *L, conc_pool *p, conc_future *f) {
  if (conc_pool_conf_of(p)->max_pending != 0 && !reserve(L, p, f))
    return;
  apr_status_t st = CONC_CLOSED, hired = APR_SUCCESS;
  if (lc_get(L)->self != NULL)
    st = conc_pool_submit(p, f, &hired);
  if (hired != APR_SUCCESS && conc_pool_is_deserted(p)) {
    conc_msg why;
    lc_pack_status(L, hired, &why);
    conc_pool_fail_queued(p, &why);
  }
  if (st != APR_SUCCESS)
    refused(L, p, st);
}

void lc_pack_task(lua_State *L, lc_state *S, conc_pool *p, lc_packing *what,
                  conc_future *f) {
  conc_msg m;
  if (what->before == 0 &&
      lc_pack_light(L, S, what->first, what->last, &f->msg))
    return;
  if (conc_pool_conf_of(p)->processes)
    lc_pack_post(L, what, &m);
  else
    lc_pack_with(L, S, what, &m);
  f->msg = m;
}

/* Pack the values from 'first' on as the task of a new future, with 'before'
   values before the function; push the future. */
static conc_future *push_task(lua_State *L, conc_pool *p, int first,
                              int before) {
  int last = lua_gettop(L);
  lc_state *S = lc_get(L);
  conc_future *f = lc_newfuture(L, S);
  lc_packing what = {
    .first = first, .last = last, .name = "fn", .before = before};
  lc_pack_task(L, S, p, &what, f);
  return f;
}

/* ex:submit(fn, ...): a Future */
int lc_submit_task(lua_State *L) {
  conc_executor *ex = lc_checkexecutor(L);
  lc_function(L, 2, "fn");
  lc_submit(L, ex->pool, push_task(L, ex->pool, 2, 0));
  return 1;
}

void lc_open_task_options(lua_State *L) {
  static const char *const names[] = {"timeout", "retries", "name", NULL};
  if (lua_type(L, 2) != LUA_TTABLE)
    lc_argerror(L, 2, "options", "table expected, got %s", lc_nameof(L, 2));
  luaL_checkstack(L, 6, NULL);
  lc_check_options(L, 2, names);
  lc_function(L, 3, "fn");
  for (int i = 0; names[i] != NULL; i++)
    lua_getfield(L, 2, names[i]);
  lua_rotate(L, 3, 3);
  lua_remove(L, 2);
}

/*
 * ex:submit_with({timeout =, retries =, name =}, fn, ...): a Future.  timeout:
 * seconds from the start of the task, after which it is stopped and the future
 * fails with a TimeoutError.  retries: how often it is run again when its
 * worker died, which a thread does not.  name: of the task, to be seen.
 */
static int submit_with(lua_State *L) {
  conc_executor *ex = lc_checkexecutor(L);
  lc_open_task_options(L);
  (void)lc_deadline(L, 2, "timeout");
  (void)lc_optinteger(L, 3, "retries", 0, 0, 1000000);
  if (!lua_isnil(L, 4) && lua_type(L, 4) != LUA_TSTRING)
    lc_argerror(L, 2, "name", "string expected, got %s", lc_nameof(L, 4));
  lua_remove(L, 3);
  conc_future *f = push_task(L, ex->pool, 2, 2);
  f->kind = LC_TASK_OPTIONS;
  lc_submit(L, ex->pool, f);
  return 1;
}

/* ---- The end ---- */

static int do_shutdown(lua_State *L, conc_pool *p, bool wait, bool cancel) {
  apr_status_t st = APR_SUCCESS;
  lc_state *S = lc_get(L);
  if (wait && S->pooled != NULL && S->pooled->pool == p)
    return lc_error(L, "cannot wait for an executor in a task of its own");
  conc_pool_shutdown(p, cancel);
  if (!wait || S->self == NULL)
    return 0;
  do
    st = conc_pool_join(p, lc_self(L), CONC_FOREVER);
  while (lc_again(L, st));
  return 0;
}

/* ex:shutdown{wait = true, cancel_futures = false} */
int lc_shut_down(lua_State *L) {
  static const char *const names[] = {"wait", "cancel_futures", NULL};
  conc_executor *ex = lc_checkexecutor(L);
  lc_options_at(L, 2, names);
  bool wait = lc_optboolean(L, 2, "wait", true);
  return do_shutdown(L, ex->pool, wait,
                     lc_optboolean(L, 3, "cancel_futures", false));
}

/*
 * Leaving the scope of a <close> variable: shutdown{wait = true}.  When Ctrl-C
 * ends the scope, its tasks are not waited for, but ended too, and so is what
 * the error meets on its further way.
 */
int lc_close_executor(lua_State *L) {
  conc_pool *p = lc_checkexecutor(L)->pool;
  lc_state *S = lc_get(L);
  bool interrupted = S->interrupted && !lua_isnoneornil(L, 2);
  if (interrupted) {
    conc_pool_shutdown(p, true);
    conc_pool_hurry(p, CONC_HURRY);
  }
  (void)do_shutdown(L, p, true, interrupted);
  S->interrupted = interrupted;
  return 0;
}

/* ex:max_workers() */
int lc_max_workers(lua_State *L) {
  const conc_pool_conf *conf = conc_pool_conf_of(lc_checkexecutor(L)->pool);
  lc_nomore(L, 1);
  lua_pushinteger(L, (lua_Integer)conf->max_workers);
  return 1;
}

static const luaL_Reg methods[] = {{"submit", lc_submit_task},
                                   {"submit_with", submit_with},
                                   {"map", lc_map},
                                   {"starmap", lc_starmap},
                                   {"shutdown", lc_shut_down},
                                   {"max_workers", lc_max_workers},
                                   {"stats", lc_executor_stats},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", lc_close_executor},
                                       {NULL, NULL}};

const lc_type lc_executor_type = {
  &conc_executor_class, methods, metamethods, NULL, 0, false};

/* ---- Making ---- */

enum {
  MAX = 1,
  PREFIX,
  INITIALIZER,
  INITARGS,
  MAX_TASKS,
  IDLE,
  MAX_PENDING,
  OVERFLOW,
  MOST_WORKERS = 10000
};

static const char *check_prefix(lua_State *L, const lc_state *S) {
  if (lua_isnil(L, PREFIX))
    return lua_pushfstring(L, "ThreadPoolExecutor-%I",
                           (LUAI_UACINT)conc_root_count(S->root));
  if (lua_type(L, PREFIX) != LUA_TSTRING)
    lc_argerror(L, PREFIX, "thread_name_prefix", "string expected, got %s",
                lc_nameof(L, PREFIX));
  return lua_tostring(L, PREFIX);
}

int lc_push_init(lua_State *L, int initializer, int initargs) {
  int top = lua_gettop(L);
  int n = lua_isnil(L, initargs)
            ? 0
            : lc_countargs(L, initargs, initargs, "initargs");
  if (lua_isnil(L, initializer))
    return 0;
  lc_function(L, initializer, "initializer");
  lua_pushvalue(L, initializer);
  luaL_checkstack(L, n + 10, "too many initargs");
  for (int i = 1; i <= n; i++)
    lua_geti(L, initargs, i);
  return lua_gettop(L) - top;
}

/* Pack initializer and initargs into *m. */
static void pack_init(lua_State *L, conc_msg *m) {
  int top = lua_gettop(L);
  *m = (conc_msg){0};
  if (lc_push_init(L, INITIALIZER, INITARGS) > 0)
    lc_pack(L, top + 1, lua_gettop(L), "initializer", m);
  lua_settop(L, top);
}

conc_overflow lc_check_overflow(lua_State *L, int arg) {
  static const char *const names[] = {"block", "error", "caller"};
  if (lua_isnil(L, arg))
    return CONC_OVERFLOW_BLOCK;
  for (int i = 0; i < 3 && lua_type(L, arg) == LUA_TSTRING; i++)
    if (strcmp(names[i], lua_tostring(L, arg)) == 0)
      return (conc_overflow)i;
  lc_argerror(L, arg, "overflow",
              "'block', 'error' or 'caller' expected, got %s",
              luaL_tolstring(L, arg, NULL));
  return CONC_OVERFLOW_BLOCK;
}

int64_t lc_check_idle(lua_State *L, int arg) {
  static const double YEAR = 365.25 * 86400;
  conc_time deadline = lc_deadline(L, arg, "idle_timeout");
  if (deadline == CONC_FOREVER || lua_tonumber(L, arg) > 100 * YEAR)
    return -1;
  return (int64_t)(lua_tonumber(L, arg) * 1e9);
}

/* The numbers of a configuration. */
static conc_pool_conf check_conf(lua_State *L) {
  conc_pool_conf conf = {.run = lc_pool_work, .interrupt = lc_pool_interrupt};
  conf.max_workers = (size_t)lc_optinteger(
    L, MAX, "max_workers", (lua_Integer)conc_sys_cpus(), 1, MOST_WORKERS);
  conf.max_tasks = (uint64_t)lc_optinteger(L, MAX_TASKS, "max_tasks_per_worker",
                                           0, 1, LUA_MAXINTEGER);
  conf.idle = lc_check_idle(L, IDLE);
  conf.max_pending =
    (size_t)lc_optinteger(L, MAX_PENDING, "max_pending", 0, 1, LC_MOST_PENDING);
  conf.overflow = lc_check_overflow(L, OVERFLOW);
  return conf;
}

/* Make it; *conf is used up. */
static conc_executor *make(lua_State *L, conc_pool_conf *conf) {
  conc_executor *ex;
  apr_status_t st = conc_executor_new(&ex, lc_get(L)->root, conf);
  if (st == CONC_CLOSED)
    lc_error(L, "cannot make an executor: the state is closing");
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  return ex;
}

/*
 * ThreadPoolExecutor(max_workers) or {max_workers =, thread_name_prefix =,
 * initializer =, initargs = {}, max_tasks_per_worker =, idle_timeout =,
 * max_pending =, overflow = "block" | "error" | "caller"}
 */
int lc_executor(lua_State *L) {
  static const char *const names[] = {"max_workers",
                                      "thread_name_prefix",
                                      "initializer",
                                      "initargs",
                                      "max_tasks_per_worker",
                                      "idle_timeout",
                                      "max_pending",
                                      "overflow",
                                      NULL};
  lc_state *S = lc_get(L);
  lc_self(L);
  lc_options(L, names);
  conc_pool_conf conf = check_conf(L);
  const char *prefix = check_prefix(L, S);
  lc_box *box = lc_newbox(L, &conc_executor_class);
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
  box->obj = &make(L, &conf)->obj;
  return 1;
}

/*
 * shared(): the executor that all of the family share, made when it is first
 * asked for
 */
int lc_shared_executor(lua_State *L) {
  lc_state *S = lc_get(L);
  lc_nomore(L, 0);
  lc_self(L);
  lc_box *box = lc_newbox(L, &conc_executor_class);
  box->obj = conc_root_shared(S->root);
  if (box->obj != NULL)
    return 1;
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, lc_executor, 1);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "conc");
  lua_setfield(L, -2, "thread_name_prefix");
  lua_call(L, 1, 1);
  if (conc_root_share(S->root, lc_testany(L, -1)))
    return 1;
  box->obj = conc_root_shared(S->root); /* somebody was faster */
  if (box->obj == NULL)
    return lc_error(L, "conc: this state is closing");
  lua_pop(L, 1);
  return 1;
}
