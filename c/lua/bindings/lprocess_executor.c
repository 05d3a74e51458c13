/***
An executor whose workers are processes. What is submitted travels to one of them,
and its results come back; both must be values that can travel between processes.

    local ex <close> = futures.ProcessPoolExecutor(4)
    for i, prime in ex:map(is_prime, numbers) do print(numbers[i], prime) end

Methods and futures are those of ThreadPoolExecutor. A worker that dies takes with
it the one task that it ran, whose future fails with a WorkerDied, and is
replaced.
@classmod ProcessPoolExecutor

Reference: Python's concurrent.futures.ProcessPoolExecutor.
*/

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "lua/bindings/lexecutor.h"
#include "lua/bindings/lprocess.h"
#include "lua/failure.h"
#include "lua/keeper.h"
#include "lua/post.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"
#include "lua/worker.h"

/* ---- Submitting ---- */

/*
 * ex:submit_with({timeout =, retries =, name =}, fn, ...): a Future.  timeout:
 * seconds from the start of the task, after which its process is killed and the
 * future fails with a TimeoutError.  retries: how often it is run again when its
 * process died.  name: of the task, to be seen.
 */
static int submit_with(lua_State *L) {
  conc_executor *ex = lc_checkexecutor(L);
  lc_open_task_options(L);
  (void)lc_deadline(L, 2, "timeout");
  size_t len = 0;
  lc_post post = {.timeout = luaL_optnumber(L, 2, -1)};
  if (post.timeout > 1e9) /* as good as for ever */
    post.timeout = -1;
  post.retries = (uint32_t)lc_optinteger(L, 3, "retries", 0, 0, 1000000);
  if (!lua_isnil(L, 4) && lua_type(L, 4) != LUA_TSTRING)
    lc_argerror(L, 2, "name", "string expected, got %s", lc_nameof(L, 4));
  const char *name = lua_tolstring(L, 4, &len);
  post.len = len > CONC_SLOW_NAME ? CONC_SLOW_NAME : (uint32_t)len;
  lc_packing what = {.first = 5, .last = lua_gettop(L), .name = "fn"};
  conc_future *f = lc_newfuture(L, lc_get(L));
  lc_pack_options(L, &what, &post, name, f);
  lc_submit(L, ex->pool, f);
  return 1;
}

/* ---- The end ---- */

/* (message, text) */
static int pack_why(lua_State *L) {
  lc_pusherror(L, "BrokenProcessPool", lua_tostring(L, 2));
  lua_pushliteral(L, "");
  lc_pack_failure(L, -2, lua_touserdata(L, 1));
  return 0;
}

static int end_workers(lua_State *L, conc_pool_pace pace, const char *text) {
  conc_pool *p = lc_checkexecutor(L)->pool;
  conc_msg why = {0};
  lc_nomore(L, 1);
  lua_pushcfunction(L, pack_why);
  lua_pushlightuserdata(L, &why);
  lua_pushstring(L, text);
  lua_call(L, 2, 0);
  conc_pool_break(p, &why, true);
  conc_pool_hurry(p, pace);
  return 0;
}

/* ex:terminate_workers(): end them now; what is not done fails */
static int terminate_workers(lua_State *L) {
  return end_workers(L, CONC_HURRY, "the workers were terminated");
}

/* ex:kill_workers(): the same, and they cannot help it */
static int kill_workers(lua_State *L) {
  return end_workers(L, CONC_HASTE, "the workers were killed");
}

static const luaL_Reg methods[] = {{"submit", lc_submit_task},
                                   {"submit_with", submit_with},
                                   {"map", lc_map},
                                   {"starmap", lc_starmap},
                                   {"shutdown", lc_shut_down},
                                   {"terminate_workers", terminate_workers},
                                   {"kill_workers", kill_workers},
                                   {"max_workers", lc_max_workers},
                                   {"stats", lc_executor_stats},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", lc_close_executor},
                                       {NULL, NULL}};

const lc_type lc_process_executor_type = {
  &conc_process_executor_class, methods, metamethods, NULL, 0, false};

/* ---- Making ---- */

enum {
  MAX = 1,
  MP_CONTEXT,
  INITIALIZER,
  INITARGS,
  MAX_TASKS,
  ON_DEATH,
  IDLE,
  MAX_PENDING,
  OVERFLOW,
  MOST_WORKERS = 500
};

/* The start method of mp_context, or NULL. */
static const char *check_context(lua_State *L) {
  static const char *const known[] = {"spawn", "forkserver"};
  if (lua_isnil(L, MP_CONTEXT))
    return NULL;
  if (!lua_istable(L, MP_CONTEXT) ||
      lua_getfield(L, MP_CONTEXT, "get_start_method") != LUA_TFUNCTION)
    lc_argerror(L, MP_CONTEXT, "mp_context",
                "what multiprocessing.get_context gives expected, got %s",
                lc_nameof(L, MP_CONTEXT));
  lua_call(L, 0, 1);
  const char *method = lua_tostring(L, -1);
  for (int i = 0; i < 2; i++)
    if (method != NULL && strcmp(method, known[i]) == 0)
      return known[i];
  lc_argerror(L, MP_CONTEXT, "mp_context", "has no start method");
  return NULL;
}

static bool check_on_death(lua_State *L) {
  const char *s = lua_tostring(L, ON_DEATH);
  if (lua_isnil(L, ON_DEATH) || (s != NULL && strcmp(s, "fail") == 0))
    return false;
  if (s == NULL || strcmp(s, "break") != 0)
    lc_argerror(L, ON_DEATH, "on_death", "'fail' or 'break' expected, got %s",
                luaL_tolstring(L, ON_DEATH, NULL));
  return true;
}

static conc_pool_conf check_conf(lua_State *L) {
  conc_pool_conf conf = {
    .run = lc_keeper_work, .interrupt = lc_keeper_interrupt, .processes = true};
  conf.max_workers = (size_t)lc_optinteger(
    L, MAX, "max_workers", (lua_Integer)conc_sys_cpus(), 1, MOST_WORKERS);
  conf.max_tasks = (uint64_t)lc_optinteger(L, MAX_TASKS, "max_tasks_per_child",
                                           0, 1, LUA_MAXINTEGER);
  conf.on_death = check_on_death(L);
  conf.idle = lc_check_idle(L, IDLE);
  conf.max_pending =
    (size_t)lc_optinteger(L, MAX_PENDING, "max_pending", 0, 1, LC_MOST_PENDING);
  conf.overflow = lc_check_overflow(L, OVERFLOW);
  conf.method = check_context(L);
  return conf;
}

static void pack_init(lua_State *L, conc_msg *m) {
  int top = lua_gettop(L);
  *m = (conc_msg){0};
  if (lc_push_init(L, INITIALIZER, INITARGS) > 0) {
    lc_packing what = {
      .first = top + 1, .last = lua_gettop(L), .name = "initializer"};
    lc_pack_post(L, &what, m);
  }
  lua_settop(L, top);
}

static void check_daemon(lua_State *L) {
  conc_process *self = conc_brood_relative(lc_brood(L), CONC_SELF);
  bool daemon = self != NULL && self->daemon;
  if (self != NULL)
    conc_release(&self->obj);
  if (daemon)
    lc_error(L, "daemonic processes may not have children");
}

static conc_obj *make(lua_State *L, conc_pool_conf *conf, const char *prefix) {
  conc_executor *ex;
  conf->prefix = conc_alloc(strlen(prefix) + 1);
  if (conf->prefix == NULL) {
    conc_msg_fini(&conf->init);
    lc_fail(L, APR_ENOMEM);
  }
  strcpy(conf->prefix, prefix);
  conf->env = conc_retain(lc_get(L)->env);
  apr_status_t st = conc_executor_new(&ex, lc_get(L)->root, conf);
  if (st == CONC_CLOSED)
    lc_error(L, "cannot make an executor: the state is closing");
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  return &ex->obj;
}

/*
 * ProcessPoolExecutor(max_workers) or {max_workers =, mp_context =,
 * initializer =, initargs = {}, max_tasks_per_child =,
 * on_death = "fail" | "break", idle_timeout =, max_pending =,
 * overflow = "block" | "error" | "caller"}
 */
int lc_process_executor(lua_State *L) {
  static const char *const names[] = {"max_workers",
                                      "mp_context",
                                      "initializer",
                                      "initargs",
                                      "max_tasks_per_child",
                                      "on_death",
                                      "idle_timeout",
                                      "max_pending",
                                      "overflow",
                                      NULL};
  lc_self(L);
  lc_options(L, names);
  conc_pool_conf conf = check_conf(L);
  check_daemon(L);
  const char *prefix = lua_pushfstring(
    L, "ProcessPoolExecutor-%I", (LUAI_UACINT)conc_root_count(lc_get(L)->root));
  lc_box *box = lc_newbox(L, &conc_process_executor_class);
  conf.arg = lc_libraries_arg(lc_libraries(L));
  conc_release(lc_worker_env(L)); /* made now: it may raise */
  pack_init(L, &conf.init);
  box->obj = make(L, &conf, prefix);
  return 1;
}
