/*
 * conc.multiprocessing: Queue, JoinableQueue, SimpleQueue.  Their methods are
 * those of lqueue.c.
 *
 * Reference: Python's multiprocessing.Queue (3.14), with the interface of its
 * queue module and outcomes returned.
 */

#include "ipc/ring_cases.h"
#include "ipc/squeue.h"
#include "lua/cargo.h"
#include "lua/selectable.h"
#include "lua/types.h"

static inline conc_squeue *check(lua_State *L) {
  const lc_box *b = lc_isbox(L, 1);
  const conc_obj *o = b == NULL ? NULL : lc_content(b);
  if (o == NULL ||
      (o->cls != &conc_squeue_class.cls && o->cls != &conc_ssimple_class.cls &&
       o->cls != &conc_sjoinable_class.cls))
    lc_typeerror(L, 1, &conc_squeue_class.cls);
  return (conc_squeue *)b->obj;
}

static conc_squeue *check_only(lua_State *L) {
  conc_squeue *q = check(L);
  lc_nomore(L, 1);
  return q;
}

/* A SimpleQueue has no such methods, so it must not get them by a detour. */
static conc_squeue *check_tracked(lua_State *L) {
  conc_squeue *q = check(L);
  if (q->proxy.obj.cls == &conc_ssimple_class.cls)
    lc_typeerror(L, 1, &conc_squeue_class.cls);
  return q;
}

/* ---- Putting and getting ---- */

static int put_until(lua_State *L, conc_squeue *q, conc_time deadline) {
  return lc_cargo_outcome(
    L, lc_cargo_send(L, conc_squeue_of(q), 2, "item", deadline));
}

/* q:put(item [, timeout]): true, or nil and "timeout" or "closed" */
static int put(lua_State *L) {
  conc_squeue *q = check(L);
  if (lua_gettop(L) == 2)
    return put_until(L, q, CONC_FOREVER);
  conc_time deadline = lc_deadline(L, 3, "timeout");
  lc_any(L, 2, "item");
  lc_nomore(L, 3);
  return put_until(L, q, deadline);
}

/* q:put_nowait(item) */
static int put_nowait(lua_State *L) {
  conc_squeue *q = check(L);
  lc_any(L, 2, "item");
  lc_nomore(L, 2);
  return put_until(L, q, CONC_NOW);
}

static apr_status_t take(lua_State *L, conc_squeue *q, conc_item *item,
                         conc_time deadline) {
  return lc_cargo_take(L, conc_squeue_of(q), item, LC_CARGO_VALUES, deadline);
}

static int get_until(lua_State *L, conc_squeue *q, conc_time deadline) {
  conc_item item;
  apr_status_t st = take(L, q, &item, deadline);
  return st == APR_SUCCESS ? lc_cargo_push(L, &item) : lc_cargo_outcome(L, st);
}

/* q:get([timeout]): item, or nil and "timeout" or "closed" */
static int get(lua_State *L) {
  conc_squeue *q = check(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  return get_until(L, q, deadline);
}

static int get_nowait(lua_State *L) {
  return get_until(L, check_only(L), CONC_NOW);
}

static int next_item(lua_State *L) {
  conc_item item;
  conc_squeue *q = (conc_squeue *)lc_testany(L, lua_upvalueindex(2));
  if (q == NULL)
    return lc_error(L, "the queue is closed");
  apr_status_t st = take(L, q, &item, CONC_FOREVER);
  if (st == APR_SUCCESS)
    return lc_cargo_push(L, &item);
  return st == CONC_CLOSED ? 0 : lc_cargo_outcome(L, st);
}

/* for item in q:items() do: ends when the queue is closed, or at a nil item */
static int items(lua_State *L) {
  (void)check_only(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_item, 2);
  return 1;
}

/* ---- Looking ---- */

static int qsize(lua_State *L) {
  conc_squeue *q = check_only(L);
  lua_pushinteger(L, (lua_Integer)conc_ring_len(conc_squeue_of(q)));
  return 1;
}

static int empty(lua_State *L) {
  conc_squeue *q = check_only(L);
  lua_pushboolean(L, conc_ring_len(conc_squeue_of(q)) == 0);
  return 1;
}

static int full(lua_State *L) {
  const conc_ring *r = conc_squeue_of(check_only(L));
  lua_pushboolean(L, r->capacity != 0 && conc_ring_len(r) >= r->capacity);
  return 1;
}

/* q:maxsize(): 0 when there is no bound */
static int maxsize(lua_State *L) {
  conc_squeue *q = check_only(L);
  lua_pushinteger(L, (lua_Integer)conc_squeue_of(q)->capacity);
  return 1;
}

/* ---- Tasks and the end ---- */

/* q:task_done(): raises when it is called more often than put */
static int task_done(lua_State *L) {
  conc_squeue *q = check_tracked(L);
  lc_nomore(L, 1);
  if (conc_squeue_task_done(q) != APR_SUCCESS)
    return lc_error(L, "task_done was called more often than put");
  return 0;
}

/* q:join([timeout]): true when every item put was marked, or nil, "timeout" */
static int join(lua_State *L) {
  conc_squeue *q = check_tracked(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  lc_nomore(L, 2);
  do
    st = conc_squeue_join(q, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_outcome(L, st);
}

/* q:shutdown{immediate = false}: for all who have the queue */
static int shut_down(lua_State *L) {
  static const char *const names[] = {"immediate", NULL};
  conc_squeue *q = check_tracked(L);
  lc_options_at(L, 2, names);
  conc_squeue_shutdown(q, lc_optboolean(L, 2, "immediate", false));
  return 0;
}

static int is_shutdown(lua_State *L) {
  lua_pushboolean(L, conc_squeue_is_shutdown(check_only(L)));
  return 1;
}

/* q:close(): this state does not need it any more; may be called again */
static int close_handle(lua_State *L) {
  lc_nomore(L, 1);
  lc_box *b = lc_isbox(L, 1);
  if (b != NULL && b->obj == NULL)
    return 0;
  conc_obj *o = &check(L)->proxy.obj;
  b->obj = NULL;
  conc_release(o);
  return 0;
}

/* q:join_thread(), q:cancel_join_thread(): there is no thread: put puts */
static int no_thread(lua_State *L) {
  const lc_box *b = lc_isbox(L, 1);
  if (b == NULL || b->obj != NULL)
    (void)check(L);
  lc_nomore(L, 1);
  return 0;
}

static const luaL_Reg methods[] = {{"put", put},
                                   {"get", get},
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
                                   {"close", close_handle},
                                   {"join_thread", no_thread},
                                   {"cancel_join_thread", no_thread},
                                   {NULL, NULL}};

static const luaL_Reg simple_methods[] = {{"put", put_nowait},
                                          {"get", get},
                                          {"put_nowait", put_nowait},
                                          {"get_nowait", get_nowait},
                                          {"items", items},
                                          {"qsize", qsize},
                                          {"empty", empty},
                                          {"close", close_handle},
                                          {NULL, NULL}};

const lc_type lc_squeue_type = {.cls = &conc_squeue_class.cls,
                                .methods = methods};
const lc_type lc_sjoinable_type = {.cls = &conc_sjoinable_class.cls,
                                   .methods = methods};
const lc_type lc_ssimple_type = {.cls = &conc_ssimple_class.cls,
                                 .methods = simple_methods};

static int new_queue(lua_State *L, const conc_shared_class *cls) {
  static const char *const names[] = {"maxsize", NULL};
  static const char *const none[] = {NULL};
  conc_squeue *q;
  lc_options(L, cls == &conc_ssimple_class ? none : names);
  lua_Integer n =
    lc_optinteger(L, 1, "maxsize", 0, LUA_MININTEGER, LUA_MAXINTEGER);
  lc_box *box = lc_newbox(L, &cls->cls);
  apr_status_t st = conc_squeue_new(&q, cls, n < 0 ? 0 : (uint64_t)n);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &q->proxy.obj;
  return 1;
}

int lc_squeue(lua_State *L) { return new_queue(L, &conc_squeue_class); }
int lc_sjoinable(lua_State *L) { return new_queue(L, &conc_sjoinable_class); }
int lc_ssimple(lua_State *L) { return new_queue(L, &conc_ssimple_class); }

/* ---- As cases of select ---- */

static void make_pop(lua_State *L, int number, conc_obj *o, conc_case *c) {
  (void)L;
  (void)number;
  conc_case_ring_pop(c, o, conc_squeue_of((conc_squeue *)o));
}

static void make_push(lua_State *L, int number, int idx, conc_obj *o,
                      conc_case *c) {
  conc_case_ring_push(c, o, conc_squeue_of((conc_squeue *)o));
  lc_make_ring_push(L, number, idx, c);
}

const lc_selectable lc_squeue_selectable = {&conc_squeue_class.cls, make_pop,
                                            make_push, lc_give_cargo},
                    lc_sjoinable_selectable = {&conc_sjoinable_class.cls,
                                               make_pop, make_push,
                                               lc_give_cargo},
                    lc_ssimple_selectable = {&conc_ssimple_class.cls, make_pop,
                                             make_push, lc_give_cargo};
