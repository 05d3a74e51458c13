/* multiprocessing.wait, and processes as cases of select. */

#include <string.h>

#include "core/event.h"
#include "core/future.h"
#include "core/thread.h"
#include "ipc/cases.h"
#include "ipc/ring_cases.h"
#include "ipc/spipe.h"
#include "ipc/squeue.h"
#include "ipc/sync_cases.h"
#include "lua/bindings/lprocess.h"
#include "lua/selectable.h"
#include "lua/types.h"

static void check_started(lua_State *L, int number, const conc_process *p) {
  if (p->foreign)
    lc_badcase(L, number, "cannot join a process that is no child");
  if (atomic_load(&p->stage) == CONC_PROCESS_NEW)
    lc_badcase(L, number, "cannot join a process before it is started");
}

static void make_process(lua_State *L, int number, conc_obj *o, conc_case *c) {
  check_started(L, number, (conc_process *)o);
  conc_case_process(c, (conc_process *)o);
}

const lc_selectable lc_process_selectable = {&conc_process_class, make_process,
                                             NULL, NULL};

/* What is waited for must become ready without being taken. */
static bool make_of_object(lua_State *L, int number, conc_obj *o,
                           conc_case *c) {
  if (o->cls == &conc_process_class)
    make_process(L, number, o, c);
  else if (o->cls == &conc_conn_class)
    conc_case_readable(c, (conc_conn *)o);
  else if (o->cls == &conc_listener_class)
    conc_case_acceptable(c, (conc_listener *)o);
  else if (o->cls == &conc_spipe_end_class.cls &&
           conc_spipe_in((conc_spipe_end *)o) != NULL)
    conc_case_ring_ready(c, o, ((conc_spipe_end *)o)->in);
  else if (o->cls == &conc_squeue_class.cls ||
           o->cls == &conc_sjoinable_class.cls ||
           o->cls == &conc_ssimple_class.cls)
    conc_case_ring_ready(c, o, conc_squeue_of((conc_squeue *)o));
  else if (o->cls == &conc_sevent_class.cls)
    conc_case_sevent(c, (conc_sevent *)o);
  else if (o->cls == &conc_event_class || o->cls == &conc_thread_class ||
           o->cls == &conc_future_class)
    return conc_case_of(c, o, lc_self(L));
  else
    return false;
  return true;
}

/* A descriptor's number, or what a method of the object says. */
static bool descriptor(lua_State *L, int idx, lua_Integer *fd) {
  static const char *const names[] = {"fileno", "getfd"};
  if (lua_isinteger(L, idx)) {
    *fd = lua_tointeger(L, idx);
    return *fd >= 0;
  }
  int type = lua_type(L, idx);
  if (type != LUA_TTABLE && type != LUA_TUSERDATA)
    return false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (type == LUA_TUSERDATA &&
        luaL_getmetafield(L, idx, "__index") == LUA_TNIL)
      return false;
    if (type == LUA_TUSERDATA)
      lua_pop(L, 1);
    if (lua_getfield(L, idx, names[i]) == LUA_TFUNCTION) {
      lua_pushvalue(L, idx);
      lua_call(L, 1, 1);
      bool ok = lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0;
      *fd = lua_tointeger(L, -1);
      lua_pop(L, 1);
      return ok;
    }
    lua_pop(L, 1);
  }
  return false;
}

/* The i-th of the list at 1. */
static void make(lua_State *L, int i, conc_case *c) {
  lua_Integer fd;
  lua_rawgeti(L, 1, i);
  int idx = lua_gettop(L);
  conc_obj *o = lc_testany(L, idx);
  if (o != NULL && make_of_object(L, i, o, c))
    lua_pop(L, 1);
  else if (o == NULL && descriptor(L, idx, &fd))
    lua_pop(L, 1), conc_case_handle(c, (conc_handle)fd);
  else
    lc_badarg(L, 1,
              lua_pushfstring(L, "list: cannot wait for a %s (at %d)",
                              lc_nameof(L, idx), i));
}

/* wait(list [, timeout]): a sequence of those that are ready */
static int wait_for(lua_State *L) {
  if (lua_type(L, 1) != LUA_TTABLE)
    lc_argerror(L, 1, "list", "table expected, got %s", lc_nameof(L, 1));
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  lua_settop(L, 2);
  size_t n = (size_t)lua_rawlen(L, 1);
  if (n == 0 && deadline == CONC_FOREVER)
    return lc_badarg(L, 1, "list: empty, and no timeout: this would not end");
  if (n > INT16_MAX)
    return lc_badarg(L, 1, "list: too long");
  char *block =
    lua_newuserdatauv(L, n * (sizeof(conc_case) + sizeof(conc_waiter)) + 1, 0);
  conc_selection s = {.cases = (conc_case *)(void *)block, .n = n};
  s.waiters = (conc_waiter *)(void *)(block + n * sizeof(conc_case));
  memset(block, 0, n * sizeof(conc_case));
  for (size_t i = 0; i < n; i++)
    make(L, (int)i + 1, &s.cases[i]);
  apr_status_t st;
  do
    st = conc_select(&s, lc_self(L), deadline);
  while (lc_again(L, st));
  if (st != APR_SUCCESS && st != CONC_CLOSED && !APR_STATUS_IS_TIMEUP(st))
    return lc_fail(L, st);
  lua_newtable(L);
  lua_Integer found = 0;
  for (size_t i = 0; i < n; i++) {
    if (!s.cases[i].cls->ready(&s.cases[i]))
      continue;
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    lua_rawseti(L, -2, ++found);
  }
  return 1;
}

const luaL_Reg lc_wait_functions[] = {{"wait", wait_for}, {NULL, NULL}};
