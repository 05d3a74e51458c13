/***
A barrier: a fixed number of threads wait for each other, go on together, and
may do so again at once.
@classmod Barrier
*/

#include "core/barrier.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/parcel.h"

#include "ipc/sbarrier.h"
#include "lua/acquired.h"
#include "lua/state.h"
#include "lua/types.h"
#include "lua/wire.h"

/* ---- Of this process, or in shared memory ---- */

static conc_obj *check(lua_State *L) {
  return lc_check_kind(L, &conc_barrier_class, &conc_sbarrier_class.cls);
}

static inline conc_barrier *local(const conc_obj *o) {
  return o->cls == &conc_barrier_class ? (conc_barrier *)o : NULL;
}

static inline conc_sbarrier *shared(const conc_obj *o) {
  return (conc_sbarrier *)o;
}

/* A thread's part in a round: of the barrier 'b', which is of either kind. */
typedef struct arrival {
  conc_obj *b;
  conc_parker *self;
  union {
    conc_arrival local;
    conc_sarrival shared;
  } u;
} arrival;

static apr_status_t arrive(arrival *a) {
  return local(a->b)
           ? conc_barrier_arrive(local(a->b), &a->u.local, a->self)
           : conc_sbarrier_arrive(shared(a->b), &a->u.shared, a->self);
}

static bool is_last(const arrival *a) {
  return local(a->b) ? a->u.local.last : a->u.shared.last;
}

static uint32_t place_of(const arrival *a) {
  return local(a->b) ? a->u.local.place : a->u.shared.place;
}

static void quit(arrival *a) {
  if (local(a->b))
    conc_barrier_quit(local(a->b), &a->u.local, a->self);
  else
    conc_sbarrier_quit(shared(a->b), &a->u.shared);
}

static apr_status_t trip_round(arrival *a) {
  return local(a->b) ? conc_barrier_trip(local(a->b), &a->u.local)
                     : conc_sbarrier_trip(shared(a->b), &a->u.shared);
}

static apr_status_t await_others(arrival *a, conc_time deadline) {
  return local(a->b)
           ? conc_barrier_await(local(a->b), &a->u.local, a->self, deadline)
           : conc_sbarrier_await(shared(a->b), &a->u.shared, a->self, deadline);
}

/* ---- Waiting ---- */

/*
 * While a thread has an arrival on its C stack nothing may jump over it: what
 * can raise is called in protected mode, as a closure that has the state as its
 * upvalue like every method, and that is made before the arrival.
 */
static void push_protected(lua_State *L, lua_CFunction f) {
  lua_pushlightuserdata(L, lc_get(L));
  lua_pushcclosure(L, f, 1);
}

enum { HOOK = 3, ACTION }; /* where they are kept */

/* protected: let an interrupt have its say */
static int run_hook(lua_State *L) {
  lc_again(L, CONC_INTERRUPTED);
  return 0;
}

/* Copy a parcel's contents into *w, which frees them. */
static apr_status_t unwrap(conc_wire *w, conc_parcel *p) {
  size_t size = (size_t)p->size;
  w->data = conc_alloc(size + 1);
  w->shared = conc_alloc(((size_t)p->nrefs + 1) * sizeof(conc_proxy *));
  if (w->data == NULL || w->shared == NULL)
    return APR_ENOMEM;
  memcpy(w->data, conc_parcel_bytes(p), size);
  w->size = size;
  for (; w->nshared < p->nrefs; w->nshared++) {
    uint64_t at = atomic_load(&p->refs[w->nshared]);
    apr_status_t st = conc_shared_get(&w->shared[w->nshared], at);
    if (st != APR_SUCCESS)
      return st;
  }
  return APR_SUCCESS;
}

/* Push what is in the place, a parcel; returns how many values. */
static int push_parcel(lua_State *L, conc_ref *place) {
  conc_wire *w = lc_newwire(L);
  conc_proxy *p;
  apr_status_t st = conc_shared_get(&p, atomic_load(place));
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  st = p->obj.cls == &conc_parcel_class.cls ? unwrap(w, conc_parcel_of(p))
                                            : CONC_CORRUPT;
  conc_release(&p->obj);
  return st == APR_SUCCESS ? lc_unpack_wire(L, w, true) : lc_fail(L, st);
}

/* protected: the action of the barrier at 1 */
static int run_action(lua_State *L) {
  conc_obj *b = check(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (local(b)) {
    conc_msg *action = conc_barrier_action(local(b));
    if (action->size == 0)
      return 0;
    lc_unpack_copy(L, action);
  } else {
    conc_ref *place = conc_sbarrier_action(shared(b));
    if (atomic_load(place) == 0 || push_parcel(L, place) != 1)
      return 0;
  }
  lua_call(L, 0, 0);
  return 0;
}

static apr_status_t trip(lua_State *L, arrival *a) {
  lua_pushvalue(L, ACTION);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    quit(a);
    lua_error(L);
  }
  return trip_round(a);
}

static apr_status_t await(lua_State *L, arrival *a, conc_time deadline) {
  apr_status_t st;
  lc_state *S = lc_get(L);
  while ((st = await_others(a, deadline)) == CONC_INTERRUPTED) {
    S->interrupted = true; /* a hook may raise in the call itself */
    lua_pushvalue(L, HOOK);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
      quit(a);
      lua_error(L);
    }
    S->interrupted = false;
  }
  return st;
}

static int fail(lua_State *L, apr_status_t st) {
  if (st == CONC_MISUSE)
    return lc_error(L, "cannot wait for a barrier in its own action");
  if (st == CONC_BROKEN)
    return lc_throw(L, "BrokenBarrierError", "the barrier is broken");
  if (APR_STATUS_IS_TIMEUP(st))
    return lc_throw(L, "BrokenBarrierError",
                    "timeout: the barrier is broken now");
  lc_again(L, st);
  return lc_fail(L, st);
}

static conc_time deadline_of(lua_State *L, const conc_obj *b) {
  if (!lua_isnoneornil(L, 2))
    return lc_deadline(L, 2, "timeout");
  return conc_after(local(b) ? conc_barrier_timeout(local(b))
                             : conc_sbarrier_timeout(shared(b)));
}

/***
Wait until as many threads do as the barrier is for. A thread that comes while
the action runs waits for the next round; nobody times out while it runs.
@function wait
@tparam[opt] number timeout seconds to wait for at most; by default the
barrier's
@treturn integer 1 to parties, each once, in the order of arrival
@raise BrokenBarrierError when the barrier is or gets broken or is reset, by
this thread's own timeout too; the last thread: what the action raised; a
cancellation or an interrupt. All these but a reset leave the barrier broken.
*/
static int barrier_wait(lua_State *L) {
  conc_obj *b = check(L);
  lc_nomore(L, 2);
  conc_time deadline = deadline_of(L, b);
  arrival a = {.b = b, .self = lc_self(L)};
  apr_status_t st;
  lua_settop(L, 2);
  push_protected(L, run_hook);
  push_protected(L, run_action);
  do
    st = arrive(&a);
  while (lc_again(L, st));
  if (st == APR_SUCCESS)
    st = is_last(&a) ? trip(L, &a) : await(L, &a, deadline);
  if (st != APR_SUCCESS)
    return fail(L, st);
  lua_pushinteger(L, (lua_Integer)place_of(&a));
  return 1;
}

/***
Begin afresh: those who wait get a BrokenBarrierError, those who come do not.
@function reset
*/
static int barrier_reset(lua_State *L) {
  conc_obj *b = check(L);
  lc_nomore(L, 1);
  if (local(b))
    conc_barrier_reset(local(b));
  else
    conc_sbarrier_reset(shared(b));
  return 0;
}

/***
Break it: those who wait and those who come get a BrokenBarrierError, until it
is reset.
@function abort
*/
static int barrier_abort(lua_State *L) {
  conc_obj *b = check(L);
  lc_nomore(L, 1);
  if (local(b))
    conc_barrier_abort(local(b));
  else
    conc_sbarrier_abort(shared(b));
  return 0;
}

/***
How many threads it is for.
@function parties
@treturn integer
*/
static int barrier_parties(lua_State *L) {
  conc_obj *b = check(L);
  lc_nomore(L, 1);
  lua_pushinteger(L,
                  (lua_Integer)(local(b) ? conc_barrier_parties(local(b))
                                         : conc_sbarrier_parties(shared(b))));
  return 1;
}

/***
How many threads wait for the others, a moment ago.
@function n_waiting
@treturn integer
*/
static int barrier_n_waiting(lua_State *L) {
  conc_obj *b = check(L);
  lc_nomore(L, 1);
  lua_pushinteger(L,
                  (lua_Integer)(local(b) ? conc_barrier_waiting(local(b))
                                         : conc_sbarrier_waiting(shared(b))));
  return 1;
}

/***
Is it broken?
@function broken
@treturn boolean
*/
static int barrier_broken(lua_State *L) {
  conc_obj *b = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, (local(b) ? conc_barrier_broken(local(b))
                               : conc_sbarrier_broken(shared(b))));
  return 1;
}

static const luaL_Reg methods[] = {{"wait", barrier_wait},
                                   {"reset", barrier_reset},
                                   {"abort", barrier_abort},
                                   {"parties", barrier_parties},
                                   {"n_waiting", barrier_n_waiting},
                                   {"broken", barrier_broken},
                                   {NULL, NULL}};

const lc_type lc_barrier_type = {.cls = &conc_barrier_class,
                                 .methods = methods};
const lc_type lc_sbarrier_type = {.cls = &conc_sbarrier_class.cls,
                                  .methods = methods};

static double opt_timeout(lua_State *L, int arg) {
  (void)lc_deadline(L, arg, "timeout");
  return lua_isnoneornil(L, arg) ? HUGE_VAL : lua_tonumber(L, arg);
}

static void opt_action(lua_State *L, int arg, conc_msg *action) {
  if (lua_isnoneornil(L, arg))
    return;
  lc_function(L, arg, "action");
  lc_pack(L, arg, arg, "action", action);
}

/***
Make a barrier.
@function Barrier
@tparam integer parties how many threads wait for each other
@tparam[opt] function action called in each round by the thread that came last,
before all go on: a copy of it, as it is now
@tparam[opt] number timeout seconds, for waits that have none of their own
@raise on arguments that make no sense; on an action that cannot travel
@usage Barrier(3)
Barrier{parties = 3, action = print, timeout = 10}
*/
int lc_barrier(lua_State *L) {
  static const char *const names[] = {"parties", "action", "timeout", NULL};
  conc_msg action = {0};
  conc_barrier *b;
  lc_options(L, names);
  uint32_t parties = (uint32_t)lc_integer(L, 1, "parties", 1, INT32_MAX - 1);
  double timeout = opt_timeout(L, 3);
  lc_box *box = lc_newbox(L, &conc_barrier_class);
  opt_action(L, 2, &action); /* from here on nothing raises before 'fini' */
  apr_status_t st = conc_barrier_new(&b, parties, &action, timeout);
  if (st != APR_SUCCESS) {
    conc_msg_fini(&action);
    return lc_fail(L, st);
  }
  box->obj = (conc_obj *)b;
  return 1;
}

/* Keep the action at 'arg' as bytes in a place. */
static void wrap_action(lua_State *L, int arg, conc_ref *place) {
  conc_proxy *proxy;
  if (lua_isnoneornil(L, arg))
    return;
  lc_function(L, arg, "action");
  const conc_wire *w = lc_pack_wire(L, arg, arg, "action");
  apr_status_t st = conc_parcel_new(&proxy, w->size, w->nshared);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  conc_parcel *p = conc_parcel_of(proxy);
  memcpy(conc_parcel_bytes(p), w->data, w->size);
  for (uint32_t i = 0; i < w->nshared; i++)
    conc_shared_put(&p->refs[i], w->shared[i]);
  conc_shared_publish(proxy);
  conc_shared_put(place, proxy);
  conc_release(&proxy->obj);
}

/* Barrier(parties [, action [, timeout]]) of conc.multiprocessing */
int lc_sbarrier(lua_State *L) {
  static const char *const names[] = {"parties", "action", "timeout", NULL};
  conc_sbarrier *b;
  lc_options(L, names);
  uint32_t parties = (uint32_t)lc_integer(L, 1, "parties", 1, INT32_MAX - 1);
  double timeout = opt_timeout(L, 3);
  lc_box *box = lc_newbox(L, &conc_sbarrier_class.cls);
  apr_status_t st = conc_sbarrier_new(&b, parties, timeout);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = (conc_obj *)b;
  wrap_action(L, 2, conc_sbarrier_action(b));
  lua_pushvalue(L, 4); /* the box */
  return 1;
}
