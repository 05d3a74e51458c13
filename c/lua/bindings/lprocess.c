/*
 * conc.multiprocessing: Process; lprocesses.c has what holds for all of them.
 *
 * Reference: Python's multiprocessing module (3.14).
 */

#include "lua/bindings/lprocess.h"

#include <string.h>

#include "base/status.h"
#include "ipc/heap.h"
#include "lua/state.h"
#include "lua/types.h"
#include "lua/wire.h"
#include "sys/apr.h"

static conc_process *check(lua_State *L) {
  conc_process *p = lc_check(L, 1, &conc_process_class);
  if (conc_process_closed(p))
    lc_error(L, "the process object is closed");
  return p;
}

static conc_process *check_only(lua_State *L) {
  conc_process *p = check(L);
  lc_nomore(L, 1);
  return p;
}

/* ---- Making ---- */

static void push_name(lua_State *L, conc_process *p) {
  char name[256];
  conc_process_name(p, name, sizeof name);
  lua_pushstring(L, name);
}

enum { TARGET = 1, ARGS, NAME, DAEMON, KEEP };

static const char *const methods_of_start[] = {"spawn", "forkserver", NULL};

/* The start method: of this constructor, or the program's. */
static bool is_forked(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  if (lua_isnil(L, -1))
    lc_push_note(L, CONC_NOTE_METHOD);
  const char *s = lua_tostring(L, -1);
  bool forked = s != NULL && strcmp(s, methods_of_start[1]) == 0;
  return forked;
}

static const char *check_name(lua_State *L, int idx, int arg) {
  size_t len;
  if (lua_type(L, idx) != LUA_TSTRING)
    lc_argerror(L, arg, "name", "string expected, got %s", lc_nameof(L, idx));
  const char *name = lua_tolstring(L, idx, &len);
  if (strlen(name) != len)
    lc_argerror(L, arg, "name", "must not hold a zero byte");
  return name;
}

/* "Process-3", in a child of that one "Process-3:1". */
static const char *default_name(lua_State *L, conc_brood *b) {
  conc_process *parent = conc_brood_relative(b, CONC_PARENT);
  lua_Integer n = (lua_Integer)conc_brood_count(b);
  if (parent == NULL)
    return lua_pushfstring(L, "Process-%I", (LUAI_UACINT)n);
  conc_release(&parent->obj);
  conc_process *self = lc_self_process(L);
  lc_push(L, &self->obj);
  conc_release(&self->obj);
  push_name(L, self);
  return lua_pushfstring(L, "%s:%I", lua_tostring(L, -1), (LUAI_UACINT)n);
}

static bool own_daemon(lua_State *L) {
  conc_process *self = lc_self_process(L);
  bool daemon = self->daemon;
  conc_release(&self->obj);
  return daemon;
}

/* Pack target and args into *m. */
static void pack_job(lua_State *L, conc_msg *m) {
  int top = lua_gettop(L);
  int n = lua_isnil(L, ARGS) ? 0 : lc_countargs(L, ARGS, 1, "args");
  luaL_checkstack(L, n + 10, "too many args");
  lua_pushvalue(L, TARGET);
  for (int i = 1; i <= n; i++)
    lua_geti(L, ARGS, i);
  const lc_packing r = {
    .first = top + 1, .last = top + 1 + n, .name = "target", .wire = true};
  lc_pack_with(L, lc_open(L), &r, m);
  lua_settop(L, top);
}

/*
 * Process{target =, args = {}, name =, daemon =, keep_stderr =}.  Refuses what
 * cannot travel here, in the caller.  Upvalue 2: the start method, or nil.
 */
static int new_process(lua_State *L) {
  static const char *const names[] = {"target", "args",        "name",
                                      "daemon", "keep_stderr", NULL};
  conc_process *p;
  conc_msg m;
  lc_options(L, names);
  if (!lua_isnil(L, TARGET) || !lua_isnil(L, ARGS))
    lc_function(L, TARGET, "target");
  conc_brood *b = lc_brood(L);
  bool daemon = lc_optboolean(L, DAEMON, "daemon", own_daemon(L));
  bool keep = lc_optboolean(L, KEEP, "keep_stderr", false);
  bool forked = is_forked(L);
  const char *name = lua_isnil(L, NAME) ? "" : check_name(L, NAME, 1);
  if (*name == '\0')
    name = default_name(L, b);
  lc_box *box = lc_newbox(L, &conc_process_class);
  apr_status_t st = conc_process_new(&p, b, name, daemon);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &p->obj;
  p->forked = forked;
  p->keep_error = keep;
  pack_job(L, &m);
  p->job = m;
  conc_wire *w = lc_pushwire(L, &p->job, "target"); /* would it go? */
  conc_wire_fini(w);
  lua_pop(L, 1);
  return 1;
}

/* process_maker([method]): a constructor of processes */
int lc_process_maker(lua_State *L) {
  lua_settop(L, 1);
  lua_pushlightuserdata(L, lc_open(L));
  lua_insert(L, 1);
  lua_pushcclosure(L, new_process, 2);
  return 1;
}

/* ---- Starting ---- */

static const char LAUNCH[] = "conc.launch";

/*
 * Ask conc.launch (name, daemon, forked) for the program, its code, the job
 * and the server's job or nil.
 */
static void ask_launch(lua_State *L, conc_process *p) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LAUNCH) != LUA_TFUNCTION) {
    lua_getglobal(L, "require");
    lua_pushstring(L, LAUNCH);
    lua_call(L, 1, 1);
  }
  push_name(L, p);
  lua_pushboolean(L, p->daemon);
  lua_pushboolean(L, p->forked);
  lua_call(L, 3, 4);
}

static int start_failed(lua_State *L, conc_process *p, apr_status_t st) {
  char text[120];
  if (st == CONC_MISUSE)
    return lc_error(L, "processes can only be started once");
  if (st == CONC_CLOSED)
    return lc_error(L, "cannot start a process: the state is closing");
  if (st == APR_EOF)
    return lc_error(L, "cannot start a process: the fork server died");
  if (APR_STATUS_IS_ENOMEM(st) || st == CONC_CANCELLED || st == CONC_EXHAUSTED)
    return lc_fail(L, st);
  push_name(L, p);
  return lc_error(L, "cannot start process '%s': %s", lua_tostring(L, -1),
                  conc_sys_strerror(st, text, sizeof text));
}

/* p:start(): returns p */
static int start(lua_State *L) {
  conc_process *p = check_only(L);
  if (p->foreign || atomic_load(&p->stage) != CONC_PROCESS_NEW)
    return lc_error(L, "processes can only be started once");
  if (own_daemon(L))
    return lc_error(L, "daemonic processes may not have children");
  ask_launch(L, p);
  int at = lua_gettop(L) - 3; /* program, code, job, server's */
  push_name(L, p);
  conc_process_how how = {.program = luaL_checkstring(L, at),
                          .code = luaL_checkstring(L, at + 1),
                          .name = lua_tostring(L, -1)};
  how.job = lc_pack_wire(L, at + 2, at + 2, "package");
  if (!lua_isnil(L, at + 3))
    how.server = lc_pack_wire(L, at + 3, at + 3, "package");
  conc_wire *args = lc_pushwire(L, &p->job, "target");
  how.args = args;
  lc_remember(L, 1); /* active_children gives this userdata */
  apr_status_t st = conc_process_start(p, &how, lc_self(L));
  if (st == CONC_INTERRUPTED || st == CONC_CANCELLED)
    (void)lc_again(L, st);
  if (st != APR_SUCCESS)
    return start_failed(L, p, st);
  conc_wire_fini(args); /* the child has it: an end of a pipe is not here */
  conc_msg_fini(&p->job);
  lua_settop(L, 1);
  return 1;
}

/* ---- Methods ---- */

/* A child that was started; raises. */
static conc_process *check_child(lua_State *L, const char *what) {
  conc_process *p = check(L);
  if (p->foreign)
    lc_error(L, "cannot %s a process that is no child", what);
  if (atomic_load(&p->stage) == CONC_PROCESS_NEW)
    lc_error(L, "cannot %s a process before it is started", what);
  if (conc_process_left(p))
    lc_error(L,
             "cannot %s a child of the process that this one was forked "
             "from",
             what);
  return p;
}

/* p:join([timeout]): true, or nil and "timeout" */
static int join(lua_State *L) {
  conc_process *p = check(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  lc_nomore(L, 2);
  if (p->foreign && p->pid == conc_sys_pid())
    return lc_error(L, "cannot join the current process");
  if (!p->foreign)
    (void)check_child(L, "join");
  do
    st = conc_process_join(p, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_outcome(L, st);
}

static int name(lua_State *L) {
  push_name(L, check_only(L));
  return 1;
}

/* p:set_name(name); a running child keeps what it was told at its start */
static int set_name(lua_State *L) {
  conc_process *p = check(L);
  lc_nomore(L, 2);
  apr_status_t st = conc_process_set_name(p, check_name(L, 2, 2));
  return st == APR_SUCCESS ? 0 : lc_fail(L, st);
}

/* Push a function of conc.authkey. */
static void push_authkey(lua_State *L, const char *function) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "conc.authkey");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, function);
}

/* p:authkey(): the key that the processes of a program share */
static int authkey(lua_State *L) {
  (void)check_only(L);
  push_authkey(L, "get");
  lua_call(L, 0, 1);
  return 1;
}

/* p:set_authkey(key), of the current process */
static int set_authkey(lua_State *L) {
  const conc_process *p = check(L);
  lc_nomore(L, 2);
  (void)lc_string(L, 2, "key", NULL);
  if (!p->foreign || p->pid != conc_sys_pid())
    return lc_error(L, "cannot set the key of another process");
  push_authkey(L, "set");
  lua_pushvalue(L, 2);
  lua_call(L, 1, 0);
  return 0;
}

static int is_daemon(lua_State *L) {
  lua_pushboolean(L, check_only(L)->daemon);
  return 1;
}

static int set_daemon(lua_State *L) {
  conc_process *p = check(L);
  lc_nomore(L, 2);
  bool daemon = lc_boolean(L, 2, "daemon");
  if (conc_process_set_daemon(p, daemon) != APR_SUCCESS)
    return lc_error(L, "cannot set daemon: the process was started");
  return 0;
}

/* p:pid(): its number in the system, nil before start */
static int pid(lua_State *L) {
  conc_process *p = check_only(L);
  if (atomic_load(&p->stage) < CONC_PROCESS_STARTED)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)p->pid);
  return 1;
}

static int is_alive(lua_State *L) {
  lua_pushboolean(L, conc_process_alive(check_only(L)));
  return 1;
}

/* p:exitcode(): nil while it runs, N, or -signal */
static int exitcode(lua_State *L) {
  conc_process *p = check_only(L);
  if (atomic_load(&p->stage) != CONC_PROCESS_DONE)
    lua_pushnil(L);
  else
    lua_pushinteger(L, p->end.signal != 0 ? -p->end.signal : p->end.code);
  return 1;
}

/* p:signal(): the name of the signal that ended it, or nil */
static int signal_name(lua_State *L) {
  conc_process *p = check_only(L);
  int number = atomic_load(&p->stage) == CONC_PROCESS_DONE ? p->end.signal : 0;
  const char *s = conc_sys_signal_name(number);
  if (number == 0)
    lua_pushnil(L);
  else if (s != NULL)
    lua_pushstring(L, s);
  else
    lua_pushfstring(L, "signal %d", number);
  return 1;
}

static int signal_child(lua_State *L, const char *what, conc_sys_signal s) {
  conc_process *p = check_child(L, what);
  lc_nomore(L, 1);
  apr_status_t st = conc_process_signal(p, s);
  return st == APR_SUCCESS ? 0 : lc_fail(L, st);
}

static int interrupt(lua_State *L) {
  return signal_child(L, "interrupt", CONC_INTERRUPT);
}

static int terminate(lua_State *L) {
  return signal_child(L, "terminate", CONC_TERMINATE);
}

static int kill_child(lua_State *L) {
  return signal_child(L, "kill", CONC_KILL);
}

/* p:stderr(): the end of what it wrote there, or nil when that is not kept */
static int kept_error(lua_State *L) {
  char bytes[CONC_TAIL_BYTES];
  const conc_process *p = check_only(L);
  if (atomic_load(&p->stage) < CONC_PROCESS_STARTED || p->tail == NULL) {
    lua_pushnil(L);
    return 1;
  }
  size_t n = conc_tail_read(p->tail, bytes);
  lua_pushlstring(L, bytes, n);
  return 1;
}

/* p:sentinel(): an Event that is set when the process has ended */
static int sentinel(lua_State *L) {
  lc_nomore(L, 1);
  lc_push(L, &check_child(L, "watch")->ended->obj);
  return 1;
}

/* p:close(): no more use of it */
static int close_process(lua_State *L) {
  conc_process *p = lc_check(L, 1, &conc_process_class);
  lc_nomore(L, 2); /* __close has the error as well */
  if (p->foreign || conc_process_close(p) != APR_SUCCESS)
    return lc_error(L, "cannot close a process while it runs");
  return 0;
}

static int to_string(lua_State *L) {
  conc_process *p = lc_check(L, 1, &conc_process_class);
  uint32_t stage = atomic_load(&p->stage);
  push_name(L, p);
  lua_pushfstring(L, "Process(%s, %s%s)", lua_tostring(L, -1),
                  stage == CONC_PROCESS_NEW    ? "initial"
                  : stage == CONC_PROCESS_DONE ? "stopped"
                                               : "started",
                  p->daemon ? ", daemon" : "");
  return 1;
}

static const luaL_Reg methods[] = {{"start", start},
                                   {"join", join},
                                   {"name", name},
                                   {"set_name", set_name},
                                   {"daemon", is_daemon},
                                   {"set_daemon", set_daemon},
                                   {"pid", pid},
                                   {"ident", pid},
                                   {"is_alive", is_alive},
                                   {"exitcode", exitcode},
                                   {"signal", signal_name},
                                   {"interrupt", interrupt},
                                   {"terminate", terminate},
                                   {"kill", kill_child},
                                   {"stderr", kept_error},
                                   {"sentinel", sentinel},
                                   {"authkey", authkey},
                                   {"set_authkey", set_authkey},
                                   {"close", close_process},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", to_string}, {NULL, NULL}};

const lc_type lc_process_type = {
  &conc_process_class, methods, metamethods, NULL, 0, false};
