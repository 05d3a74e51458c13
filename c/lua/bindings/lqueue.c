/*
 * conc.queue: Queue, LifoQueue, PriorityQueue, SimpleQueue.
 *
 * Reference: Python's queue module (3.13), with outcomes returned.
 */

#include <math.h>

#include "core/queue.h"
#include "lua/priority.h"
#include "lua/state.h"
#include "lua/types.h"

static inline conc_queue *check(lua_State *L) {
  const lc_box *b = lc_isbox(L, 1);
  const conc_obj *o = b == NULL ? NULL : lc_content(b);
  if (o == NULL ||
      (o->cls != &conc_queue_fifo && o->cls != &conc_queue_simple &&
       o->cls != &conc_queue_lifo && o->cls != &conc_queue_priority))
    lc_typeerror(L, 1, &conc_queue_fifo);
  return (conc_queue *)b->obj;
}

/* A SimpleQueue has no such methods, so it must not get them by a detour. */
static conc_queue *check_tracked(lua_State *L) {
  conc_queue *q = check(L);
  if (((conc_obj *)q)->cls == &conc_queue_simple)
    lc_typeerror(L, 1, &conc_queue_fifo);
  return q;
}

/* ---- Priorities ---- */

/*
 * The priority at 'idx', which may be nil: then the item at 2 is its own.
 * A string is copied only when the queue is about to get it.  To the caller it
 * was argument 'arg'.
 */
static void check_priority(lua_State *L, int idx, int arg) {
  if (lua_isnoneornil(L, idx)) {
    int type = lua_type(L, 2);
    if (type != LUA_TNUMBER && type != LUA_TSTRING)
      lc_argerror(L, arg, "priority",
                  "needed, since the item is a %s and not a number or a string",
                  lc_nameof(L, 2));
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
  }
  int type = lua_type(L, idx);
  if (type != LUA_TNUMBER && type != LUA_TSTRING)
    lc_argerror(L, arg, "priority", "number or string expected, got %s",
                lc_nameof(L, idx));
  if (type == LUA_TNUMBER && isnan(lua_tonumber(L, idx)))
    lc_argerror(L, arg, "priority", "must not be NaN");
}

/* ---- Putting ---- */

/* Push *m with the priority at 'prio' (0: none).  lc_self was asked before. */
static apr_status_t push(lua_State *L, conc_queue *q, conc_msg *m, int prio,
                         conc_time deadline) {
  conc_parker *self = lc_get(L)->self;
  if (prio == 0)
    return conc_queue_push(q, m, NULL, self, deadline);
  conc_priority p;
  apr_status_t st = lc_make_priority(L, prio, &p);
  if (st != APR_SUCCESS)
    return st;
  st = conc_queue_push(q, m, &p, self, deadline);
  conc_priority_fini(&p);
  return st;
}

static int put(lua_State *L, conc_queue *q, conc_time deadline, int prio) {
  conc_msg m;
  lc_self(L);
  lc_pack_one(L, 2, "item", &m);
  apr_status_t st = push(L, q, &m, prio, CONC_NOW);
  if (APR_STATUS_IS_TIMEUP(st) && deadline != CONC_NOW) {
    conc_msg *own = lc_pushmsg(L, &m);
    do
      st = push(L, q, own, prio, deadline);
    while (lc_again(L, st));
  }
  conc_msg_fini(&m);
  return lc_outcome(L, st);
}

/* q:put(item [, timeout]): true, or nil and "timeout" or "closed" */
static int fifo_put(lua_State *L) {
  conc_queue *q = check(L);
  if (lua_gettop(L) == 2)
    return put(L, q, CONC_FOREVER, 0);
  conc_time deadline = lc_deadline(L, 3, "timeout");
  lc_any(L, 2, "item");
  lc_nomore(L, 3);
  return put(L, q, deadline, 0);
}

/* q:put(item [, timeout [, priority]]) */
static int priority_put(lua_State *L) {
  conc_queue *q = lc_check(L, 1, &conc_queue_priority);
  conc_time deadline = lc_deadline(L, 3, "timeout");
  lc_any(L, 2, "item");
  lc_nomore(L, 4);
  check_priority(L, 4, 4);
  return put(L, q, deadline, 4);
}

/* q:put_nowait(item) */
static int put_nowait(lua_State *L) {
  conc_queue *q = check(L);
  lc_any(L, 2, "item");
  lc_nomore(L, 2);
  return put(L, q, CONC_NOW, 0);
}

/* q:put_nowait(item [, priority]) */
static int priority_put_nowait(lua_State *L) {
  conc_queue *q = lc_check(L, 1, &conc_queue_priority);
  lc_any(L, 2, "item");
  lc_nomore(L, 3);
  lua_settop(L, 3);
  lua_pushnil(L);
  lua_insert(L, 3);
  check_priority(L, 4, 3);
  return put(L, q, CONC_NOW, 4);
}

/* SimpleQueue: q:put(item [, timeout]) never waits; the timeout is there for
   programs that were written for a Queue */
static int simple_put(lua_State *L) {
  conc_queue *q = check(L);
  (void)lc_deadline(L, 3, "timeout");
  lc_any(L, 2, "item");
  lc_nomore(L, 3);
  return put(L, q, CONC_NOW, 0);
}

/* ---- Getting ---- */

static apr_status_t pop(lua_State *L, conc_queue *q, conc_msg *m,
                        conc_priority *p, conc_time deadline) {
  conc_parker *self = lc_self(L);
  apr_status_t st;
  do
    st = conc_queue_pop(q, m, p, self, deadline);
  while (st != APR_SUCCESS && lc_again(L, st));
  return st;
}

static int get(lua_State *L, conc_queue *q, conc_time deadline) {
  conc_msg m;
  apr_status_t st = pop(L, q, &m, NULL, deadline);
  return st == APR_SUCCESS ? lc_unpack(L, &m) : lc_outcome(L, st);
}

/* q:get([timeout]): item, or nil and "timeout" or "closed" */
static int fifo_get(lua_State *L) {
  conc_queue *q = check(L);
  if (lua_gettop(L) == 1)
    return get(L, q, CONC_FOREVER);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  return get(L, q, deadline);
}

static int get_nowait(lua_State *L) {
  conc_queue *q = check(L);
  lc_nomore(L, 1);
  return get(L, q, CONC_NOW);
}

static int get_with_priority(lua_State *L, conc_time deadline) {
  conc_queue *q = lc_check(L, 1, &conc_queue_priority);
  conc_msg m;
  conc_priority p;
  apr_status_t st = pop(L, q, &m, &p, deadline);
  if (st != APR_SUCCESS)
    return lc_outcome(L, st);
  if (!lc_push_priority(L, &p)) {
    conc_msg_fini(&m);
    return lua_error(L);
  }
  int prio = lua_gettop(L);
  lc_unpack(L, &m);
  lua_pushnil(L);
  lua_pushvalue(L, prio);
  return 3;
}

/* q:get([timeout]): item, nil, priority */
static int priority_get(lua_State *L) {
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  return get_with_priority(L, deadline);
}

static int priority_get_nowait(lua_State *L) {
  lc_nomore(L, 1);
  return get_with_priority(L, CONC_NOW);
}

static int next_item(lua_State *L) {
  conc_obj *o = lc_testany(L, lua_upvalueindex(2));
  conc_msg m;
  apr_status_t st = pop(L, (conc_queue *)o, &m, NULL, CONC_FOREVER);
  if (st == APR_SUCCESS)
    return lc_unpack(L, &m);
  return st == CONC_CLOSED ? 0 : lc_outcome(L, st);
}

/* for item in q:items() do: ends when the queue is closed, or at a nil item */
static int items(lua_State *L) {
  check(L);
  lc_nomore(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_item, 2);
  return 1;
}

/* ---- Looking ---- */

static int qsize(lua_State *L) {
  conc_queue *q = check(L);
  lc_nomore(L, 1);
  lua_pushinteger(L, (lua_Integer)conc_queue_len(q));
  return 1;
}

static int empty(lua_State *L) {
  conc_queue *q = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_queue_len(q) == 0);
  return 1;
}

static int full(lua_State *L) {
  conc_queue *q = check(L);
  size_t capacity = conc_queue_capacity(q);
  lc_nomore(L, 1);
  lua_pushboolean(L, capacity != 0 && conc_queue_len(q) >= capacity);
  return 1;
}

/* q:maxsize(): 0 when there is no bound */
static int maxsize(lua_State *L) {
  conc_queue *q = check(L);
  lc_nomore(L, 1);
  lua_pushinteger(L, (lua_Integer)conc_queue_capacity(q));
  return 1;
}

/* ---- Tasks and the end ---- */

/* q:task_done(): raises when it is called more often than put */
static int task_done(lua_State *L) {
  conc_queue *q = check_tracked(L);
  lc_nomore(L, 1);
  if (conc_queue_task_done(q) != APR_SUCCESS)
    return lc_error(L, "task_done was called more often than put");
  return 0;
}

/* q:join([timeout]): true when every item put was marked, or nil, "timeout" */
static int join(lua_State *L) {
  conc_queue *q = check_tracked(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  lc_nomore(L, 2);
  do
    st = conc_queue_join(q, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_outcome(L, st);
}

/* q:shutdown{immediate = false} */
static int shut_down(lua_State *L) {
  static const char *const names[] = {"immediate", NULL};
  conc_queue *q = check_tracked(L);
  lc_options_at(L, 2, names);
  conc_queue_shutdown(q, lc_optboolean(L, 2, "immediate", false));
  return 0;
}

static int is_shutdown(lua_State *L) {
  conc_queue *q = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_queue_is_shutdown(q));
  return 1;
}

static const luaL_Reg methods[] = {{"put", fifo_put},
                                   {"get", fifo_get},
                                   {"put_nowait", put_nowait},
                                   {"get_nowait", get_nowait},
                                   {"items", items},
                                   {"qsize", qsize},
                                   {"empty", empty},
                                   {"full", full},
                                   {"maxsize", maxsize},
                                   {"task_done", task_done},
                                   {"join", join},
                                   {"shutdown", shut_down},
                                   {"is_shutdown", is_shutdown},
                                   {NULL, NULL}};

static const luaL_Reg priority_methods[] = {{"put", priority_put},
                                            {"get", priority_get},
                                            {"put_nowait", priority_put_nowait},
                                            {"get_nowait", priority_get_nowait},
                                            {"items", items},
                                            {"qsize", qsize},
                                            {"empty", empty},
                                            {"full", full},
                                            {"maxsize", maxsize},
                                            {"task_done", task_done},
                                            {"join", join},
                                            {"shutdown", shut_down},
                                            {"is_shutdown", is_shutdown},
                                            {NULL, NULL}};

static const luaL_Reg simple_methods[] = {
  {"put", simple_put},        {"get", fifo_get}, {"put_nowait", put_nowait},
  {"get_nowait", get_nowait}, {"items", items},  {"qsize", qsize},
  {"empty", empty},           {NULL, NULL}};

const lc_type lc_fifo_type = {&conc_queue_fifo, methods, NULL, NULL, 0, false};
const lc_type lc_lifo_type = {&conc_queue_lifo, methods, NULL, NULL, 0, false};
const lc_type lc_priority_type = {
  &conc_queue_priority, priority_methods, NULL, NULL, 0, false};
const lc_type lc_simple_type = {
  &conc_queue_simple, simple_methods, NULL, NULL, 0, false};

static int new_queue(lua_State *L, const conc_class *cls,
                     conc_queue_kind kind) {
  static const char *const names[] = {"maxsize", NULL};
  static const char *const none[] = {NULL};
  conc_queue *q;
  lc_options(L, kind == CONC_QUEUE_SIMPLE ? none : names);
  lua_Integer n =
    lc_optinteger(L, 1, "maxsize", 0, LUA_MININTEGER, LUA_MAXINTEGER);
  lc_box *box = lc_newbox(L, cls);
  apr_status_t st = conc_queue_new(&q, kind, n < 0 ? 0 : (size_t)n);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = (conc_obj *)q;
  return 1;
}

int lc_fifo(lua_State *L) {
  return new_queue(L, &conc_queue_fifo, CONC_QUEUE_FIFO);
}

int lc_lifo(lua_State *L) {
  return new_queue(L, &conc_queue_lifo, CONC_QUEUE_LIFO);
}

int lc_priority(lua_State *L) {
  return new_queue(L, &conc_queue_priority, CONC_QUEUE_PRIORITY);
}

int lc_simple(lua_State *L) {
  return new_queue(L, &conc_queue_simple, CONC_QUEUE_SIMPLE);
}
