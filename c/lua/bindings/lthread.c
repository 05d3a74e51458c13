/*
 * conc.threading: Thread and what knows of threads.
 *
 * Reference: Python's threading module (3.14).
 */

#include <stdio.h>
#include <string.h>

#include "lua/bindings/lthread.h"
#include "lua/state.h"
#include "lua/types.h"
#include "lua/worker.h"

static conc_thread *check(lua_State *L) {
  return lc_check(L, 1, &conc_thread_class);
}

/* ---- Running ---- */

/* (thread): the body of every Thread */
static int body(lua_State *L) {
  conc_thread *t = lua_touserdata(L, 1);
  lc_worker_apply(L, t->env);
  int n = lc_unpack_copy(L, &t->job);
  conc_msg_fini(&t->job); /* its objects live here now */
  lua_call(L, n - 1, 0);
  return 0;
}

static void run(conc_thread *t, void *prepared) {
  lua_State *L = lc_worker_open(t, prepared);
  if (L == NULL) {
    (void)fprintf(stderr, "uncaught error in thread: not enough memory\n");
    return;
  }
  lua_pushcfunction(L, lc_traceback);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 1) != LUA_OK)
    lthread_uncaught(L, t);
  conc_msg_fini(&t->job);
  lc_worker_close(L);
}

/* ---- Making ---- */

enum { TARGET = 1, ARGS, NAME, DAEMON, STACK };

/* Pack target and args into *m. */
static void pack_job(lua_State *L, conc_msg *m) {
  int top = lua_gettop(L);
  int n = lua_isnil(L, ARGS) ? 0 : lc_countargs(L, ARGS, 1, "args");
  luaL_checkstack(L, n + 10, "too many args");
  lua_pushvalue(L, TARGET);
  for (int i = 1; i <= n; i++)
    lua_geti(L, ARGS, i);
  lc_pack(L, top + 1, top + 1 + n, "target", m);
  lua_settop(L, top);
}

/* The name at 'idx', which errors call argument 'arg'. */
static const char *check_name(lua_State *L, int idx, int arg) {
  size_t len;
  if (lua_type(L, idx) != LUA_TSTRING)
    lc_argerror(L, arg, "name", "string expected, got %s", lc_nameof(L, idx));
  const char *name = lua_tolstring(L, idx, &len);
  if (strlen(name) != len)
    lc_argerror(L, arg, "name", "must not hold a zero byte");
  return name;
}

static const char *default_name(lua_State *L, const lc_state *S) {
  return lua_pushfstring(L, "Thread-%I", (LUAI_UACINT)conc_root_count(S->root));
}

/* Lua code may need as much (see carrier.c). */
enum { LEAST_STACK = 32 << 10, LUA_STACK = 2 << 20 };
static const lua_Integer MOST_STACK = (lua_Integer)1 << 40;

size_t lthread_stack(lua_State *L, const lc_state *S, int idx) {
  lua_Integer n = lc_optinteger(
    L, idx, "stack_size", (lua_Integer)conc_root_stack(S->root), 0, MOST_STACK);
  if (n != 0 && n < LEAST_STACK)
    lc_argerror(L, idx, "stack_size", "must be 0 or at least %d", LEAST_STACK);
  return n == 0 ? 0 : (size_t)(n < LUA_STACK ? LUA_STACK : n);
}

/*
 * Thread{target =, args = {}, name =, daemon =, stack_size =}.  Refuses what
 * cannot travel here, in the caller.
 */
int lc_thread(lua_State *L) {
  static const char *const names[] = {"target", "args",       "name",
                                      "daemon", "stack_size", NULL};
  lc_state *S = lc_get(L);
  conc_thread *t;
  conc_msg m;
  lc_self(L);
  lc_options(L, names);
  lc_function(L, TARGET, "target");
  bool daemon = lc_optboolean(L, DAEMON, "daemon", S->thread->daemon);
  size_t stack = lthread_stack(L, S, STACK);
  const char *name = lua_isnil(L, NAME) ? "" : check_name(L, NAME, 1);
  if (*name == '\0')
    name = default_name(L, S);
  lc_box *box = lc_newbox(L, &conc_thread_class);
  apr_status_t st = conc_thread_new(&t, S->root, name, daemon);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &t->obj;
  t->stack = stack;
  t->run = run;
  t->arg = lc_libraries_arg(lc_libraries(L));
  t->env = lc_worker_env(L);
  pack_job(L, &m);
  t->job = m;
  return 1;
}

/* ---- Methods ---- */

/* Pack threading.excepthook into the thread, if a script has set one. */
static void take_hook(lua_State *L, conc_thread *t) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "conc.threading") == LUA_TTABLE) {
    lua_getfield(L, -1, "excepthook");
    if (lua_isfunction(L, -1) && lua_tocfunction(L, -1) != lc_excepthook) {
      conc_msg m;
      lc_pack(L, lua_gettop(L), lua_gettop(L), "excepthook", &m);
      conc_msg_fini(&t->hook);
      t->hook = m;
    }
  }
}

static int start_failed(lua_State *L, conc_thread *t, apr_status_t st) {
  if (st == CONC_MISUSE && atomic_load(&t->stage) != CONC_THREAD_NEW)
    return lc_error(L, "threads can only be started once");
  if (st == CONC_MISUSE)
    return lc_error(L, "cannot start a thread: this process was forked "
                       "after conc had started threads");
  if (st == CONC_CLOSED)
    return lc_error(L, "cannot start a thread: the state is closing");
  return lc_fail(L, st);
}

/* t:start(): returns t */
static int start(lua_State *L) {
  conc_thread *t = check(L);
  lc_nomore(L, 1);
  if (t->foreign || atomic_load(&t->stage) != CONC_THREAD_NEW)
    return lc_error(L, "threads can only be started once");
  take_hook(L, t);
  lc_remember(L, 1); /* enumerate and the like give this userdata */
  apr_status_t st = conc_thread_start(t);
  if (st != APR_SUCCESS)
    return start_failed(L, t, st);
  lua_settop(L, 1);
  return 1;
}

/* t:join([timeout]): true, or nil and "timeout" */
static int join(lua_State *L) {
  conc_thread *t = check(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  lc_nomore(L, 2);
  if (t == lc_get(L)->thread)
    return lc_error(L, "cannot join the current thread");
  if (t->foreign)
    return lc_error(L, "cannot join a thread that conc did not start");
  if (atomic_load(&t->stage) == CONC_THREAD_NEW)
    return lc_error(L, "cannot join a thread before it is started");
  if (conc_thread_alive(t) && conc_root_forked(t->root))
    return lc_error(L, "cannot join a thread of the process that this one "
                       "was forked from");
  do
    st = conc_thread_join(t, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_outcome(L, st);
}

/* The thread that is the only argument. */
static conc_thread *check_only(lua_State *L) {
  conc_thread *t = check(L);
  lc_nomore(L, 1);
  return t;
}

static int name(lua_State *L) {
  lthread_push_name(L, check_only(L));
  return 1;
}

/* t:set_name(name); a running thread's name in the OS stays */
static int set_name(lua_State *L) {
  conc_thread *t = check(L);
  lc_nomore(L, 2);
  const char *s = check_name(L, 2, 2);
  apr_status_t st = conc_thread_set_name(t, s);
  if (st == APR_SUCCESS && t == lc_get(L)->thread && !t->foreign)
    conc_sys_name_thread(s);
  return st == APR_SUCCESS ? 0 : lc_fail(L, st);
}

static int is_daemon(lua_State *L) {
  lua_pushboolean(L, check_only(L)->daemon);
  return 1;
}

static int set_daemon(lua_State *L) {
  conc_thread *t = check(L);
  lc_nomore(L, 2);
  bool daemon = lc_boolean(L, 2, "daemon");
  if (conc_thread_set_daemon(t, daemon) != APR_SUCCESS)
    return lc_error(L, "cannot set daemon: the thread was started");
  return 0;
}

static int ident(lua_State *L) {
  conc_thread *t = check_only(L);
  if (atomic_load(&t->stage) == CONC_THREAD_NEW)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)t->ident);
  return 1;
}

static int native_id(lua_State *L) {
  uint64_t id = conc_thread_native(check_only(L), lc_self(L));
  if (id == 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

static int is_alive(lua_State *L) {
  lua_pushboolean(L, conc_thread_alive(check_only(L)));
  return 1;
}

static int to_string(lua_State *L) {
  static const char *const stages[] = {"initial", "started", "stopped"};
  conc_thread *t = check(L);
  lthread_push_name(L, t);
  lua_pushfstring(L, "Thread(%s, %s%s)", lua_tostring(L, -1),
                  stages[atomic_load(&t->stage)], t->daemon ? ", daemon" : "");
  return 1;
}

static const luaL_Reg methods[] = {
  {"start", start},       {"join", join},
  {"name", name},         {"set_name", set_name},
  {"daemon", is_daemon},  {"set_daemon", set_daemon},
  {"ident", ident},       {"native_id", native_id},
  {"is_alive", is_alive}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", to_string}, {NULL, NULL}};

const lc_type lc_thread_type = {
  &conc_thread_class, methods, metamethods, NULL, 0, false};
