/* The cases of conc.select that core knows, and their twins in ipc. */

#include "lua/selectable.h"

#include <math.h>

#include "core/event.h"
#include "core/future.h"
#include "core/lock.h"
#include "core/rlock.h"
#include "core/semaphore.h"
#include "core/thread.h"
#include "ipc/sync_cases.h"
#include "lua/priority.h"

int lc_badcase(lua_State *L, int number, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  lc_where(L);
  lua_pushfstring(L, "bad case %d: ", number);
  lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  lua_concat(L, 3);
  return lua_error(L);
}

static void make(lua_State *L, int number, conc_obj *o, conc_case *c) {
  (void)number;
  (void)conc_case_of(c, o, lc_self(L));
}

static int give_true(lua_State *L, int idx, conc_case *c) {
  (void)idx;
  (void)c;
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- Threads ---- */

static void make_thread(lua_State *L, int number, conc_obj *o, conc_case *c) {
  const conc_thread *t = (const conc_thread *)o;
  if (t->foreign)
    lc_badcase(L, number, "cannot join a thread that conc did not start");
  if (atomic_load(&t->stage) == CONC_THREAD_NEW)
    lc_badcase(L, number, "cannot join a thread before it is started");
  make(L, number, o, c);
}

/* ---- Queues ---- */

static void make_pop(lua_State *L, int number, conc_obj *o, conc_case *c) {
  (void)L;
  (void)number;
  conc_case_pop(c, (conc_queue *)o);
}

static void make_push(lua_State *L, int number, int idx, conc_obj *o,
                      conc_case *c) {
  conc_case_push(c, (conc_queue *)o);
  lua_getfield(L, idx, "put");
  const char *name = lua_pushfstring(L, "bad case %d: put", number);
  lc_pack(L, lua_gettop(L) - 1, lua_gettop(L) - 1, name, &c->msg);
  lua_pop(L, 2);
}

static void make_priority_push(lua_State *L, int number, int idx, conc_obj *o,
                               conc_case *c) {
  make_push(L, number, idx, o, c);
  if (lua_getfield(L, idx, "priority") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_getfield(L, idx, "put");
  }
  int type = lua_type(L, -1);
  if (type != LUA_TNUMBER && type != LUA_TSTRING)
    lc_badcase(L, number, "priority: number or string expected, got %s",
               lc_nameof(L, -1));
  if (type == LUA_TNUMBER && isnan(lua_tonumber(L, -1)))
    lc_badcase(L, number, "priority: must not be NaN");
  if (lc_make_priority(L, -1, &c->prio) != APR_SUCCESS) {
    c->prio = (conc_priority){.type = CONC_PRIO_INT};
    lc_fail(L, APR_ENOMEM);
  }
  lua_pop(L, 1);
}

static int give_item(lua_State *L, int idx, conc_case *c) {
  (void)idx;
  return lc_unpack(L, &c->msg);
}

/* As get does: the item, nil, its priority. */
static int give_item_and_priority(lua_State *L, int idx, conc_case *c) {
  (void)idx;
  if (!lc_push_priority(L, &c->prio))
    return lua_error(L);
  int prio = lua_gettop(L);
  lc_unpack(L, &c->msg);
  lua_pushnil(L);
  lua_pushvalue(L, prio);
  return 3;
}

/* ---- Of conc.multiprocessing ---- */

static void make_shared(lua_State *L, int number, conc_obj *o, conc_case *c) {
  (void)number;
  if (o->cls == &conc_sevent_class.cls)
    conc_case_sevent(c, (conc_sevent *)o);
  else if (o->cls == &conc_slock_class.cls)
    conc_case_slock(c, (conc_slock *)o);
  else if (o->cls == &conc_srlock_class.cls)
    conc_case_srlock(c, (conc_srlock *)o, lc_self(L));
  else
    conc_case_ssemaphore(c, (conc_ssemaphore *)o);
}

/* As acquire does: the lock, and perhaps a word. */
static int give_lock(lua_State *L, int idx, conc_case *c) {
  lua_pushvalue(L, idx);
  if (c->seen == 0)
    return 1;
  lua_pushliteral(L, "abandoned");
  return 2;
}

static const lc_selectable
  sevent = {&conc_sevent_class.cls, make_shared, NULL, give_true},
  slock = {&conc_slock_class.cls, make_shared, NULL, give_lock},
  srlock = {&conc_srlock_class.cls, make_shared, NULL, give_lock},
  ssemaphore = {&conc_ssemaphore_class.cls, make_shared, NULL, give_lock},
  sbounded = {&conc_sbounded_class.cls, make_shared, NULL, give_lock},
  future = {&conc_future_class, make, NULL, NULL},
  thread = {&conc_thread_class, make_thread, NULL, NULL},
  event = {&conc_event_class, make, NULL, give_true},
  lock = {&conc_lock_class, make, NULL, NULL},
  rlock = {&conc_rlock_class, make, NULL, NULL},
  semaphore = {&conc_semaphore_class, make, NULL, NULL},
  bounded = {&conc_bounded_class, make, NULL, NULL},
  fifo = {&conc_queue_fifo, make_pop, make_push, give_item},
  lifo = {&conc_queue_lifo, make_pop, make_push, give_item},
  simple = {&conc_queue_simple, make_pop, make_push, give_item},
  priority = {&conc_queue_priority, make_pop, make_priority_push,
              give_item_and_priority};

const lc_selectable *const lc_selectables[] = {&fifo,
                                               &future,
                                               &event,
                                               &lock,
                                               &simple,
                                               &thread,
                                               &semaphore,
                                               &bounded,
                                               &rlock,
                                               &lifo,
                                               &priority,
                                               &lc_process_selectable,
                                               &lc_conn_selectable,
                                               &lc_squeue_selectable,
                                               &lc_sjoinable_selectable,
                                               &lc_ssimple_selectable,
                                               &lc_pipe_selectable,
                                               &sevent,
                                               &slock,
                                               &srlock,
                                               &ssemaphore,
                                               &sbounded,
                                               NULL};
