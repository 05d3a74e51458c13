/*
 * Futures that follow another one: f:next, f:catch, f:timeout.
 *
 * next and catch are done callbacks that resolve a promise, so their functions
 * run where callbacks run: in the state that called the method.  timeout needs
 * no state: the first of the end and an alarm resolves it.
 */

#include "lua/bindings/lfuture.h"

#include "base/mem.h"
#include "core/alarm.h"
#include "core/promise.h"
#include "core/root.h"
#include "lua/callback.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

static conc_future *check(lua_State *L) {
  return lc_check(L, 1, &conc_future_class);
}

/* ---- Passing on ---- */

/* 'to', which the caller has claimed, ends as 'from' has. */
static void pass_on(conc_future *from, conc_future *to) {
  conc_msg copy = {0};
  conc_future_state how = conc_future_is(from);
  conc_future_look(from);
  if (how != CONC_FUTURE_CANCELLED &&
      conc_msg_copy(&copy, &from->msg) != APR_SUCCESS)
    how = CONC_FUTURE_FAILED; /* with nothing to say */
  (void)conc_future_finish(to, how, &copy);
}

/* ---- next and catch ---- */

/* (function, from, to, catches): call it, end 'to' with what it returns */
static int call(lua_State *L) {
  conc_future *from = lua_touserdata(L, 2), *to = lua_touserdata(L, 3);
  bool catches = lua_toboolean(L, 4);
  lua_settop(L, 1);
  if (catches)
    lc_push_error_of(L, from);
  else
    (void)lc_unpack_copy(L, &from->msg);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  conc_msg m = {0};
  lc_pack(L, 1, lua_gettop(L), "result", &m);
  (void)conc_future_finish(to, CONC_FUTURE_FINISHED, &m);
  return 0;
}

/* 'to' fails with the error on the top. */
static void fail(lua_State *L, conc_future *to) {
  conc_msg m = {0};
  int err = lua_gettop(L);
  lc_push_traceback(L);
  lc_pack_failure(L, err, &m);
  (void)conc_future_finish(to, CONC_FUTURE_FAILED, &m);
}

enum { FN = 2, PROMISE, CATCHES };

/* The done callback of f.  Nothing may raise once the target is claimed. */
static int follow(lua_State *L) {
  conc_future *from = check(L);
  conc_promise *p = lc_check(L, lua_upvalueindex(PROMISE), &conc_promise_class);
  conc_future_state how = conc_future_is(from);
  bool catches = lua_toboolean(L, lua_upvalueindex(CATCHES));
  luaL_checkstack(L, 12, NULL);
  if (!conc_future_claim(p->future))
    return 0; /* it was cancelled */
  if ((how == CONC_FUTURE_FINISHED) == catches) {
    pass_on(from, p->future);
    return 0;
  }
  bool told = lc_was_stopped(L);
  lua_pushcfunction(L, lc_traceback);
  lua_pushcfunction(L, call);
  lua_pushvalue(L, lua_upvalueindex(FN));
  lua_pushlightuserdata(L, from);
  lua_pushlightuserdata(L, p->future);
  lua_pushboolean(L, catches);
  if (lua_pcall(L, 4, 0, 2) != LUA_OK) {
    fail(L, p->future);
    lc_tell_again(L, told);
  }
  return 0;
}

static int chain(lua_State *L, bool catches) {
  conc_future *f = check(L);
  lc_function(L, 2, "fn");
  lc_nomore(L, 2);
  conc_future *to = lc_newfuture(L, lc_get(L));
  lua_pushlightuserdata(L, lc_get(L));
  lua_pushvalue(L, 2);
  lc_push_promise(L, to);
  lua_pushboolean(L, catches);
  lua_pushcclosure(L, follow, CATCHES);
  lc_add_callback(L, 1, f);
  return 1;
}

/*
 * f:next(fn): a future of what fn returns when it is called with f's results;
 * when f fails or is cancelled, so is this one, and fn is not called.
 */
int lc_future_next(lua_State *L) { return chain(L, false); }

/*
 * f:catch(fn): a future of f's results or, when f fails or is cancelled, of
 * what fn returns when it is called with the error value.
 */
int lc_future_catch(lua_State *L) { return chain(L, true); }

/* ---- timeout ---- */

/*
 * Linked to the source until that is done; the alarm holds the target too.
 * Whoever of the two comes first claims the target.
 */
typedef struct relay {
  conc_link link;
  conc_future *from, *to; /* [c] a reference of 'to' */
  conc_clock *clock;      /* [c] */
  conc_alarm *alarm;      /* [c] a reference, or NULL */
} relay;

static void relay_free(relay *r) {
  if (r->alarm != NULL) {
    conc_clock_clear(r->clock, r->alarm);
    conc_release(&r->alarm->obj);
  }
  conc_release(&r->to->obj);
  conc_free(r);
}

/* The source is done. */
static void arrive(conc_link *l) {
  relay *r = (relay *)l;
  if (conc_future_claim(r->to))
    pass_on(r->from, r->to);
  relay_free(r);
}

static void ring(conc_alarm *a) {
  conc_future *to = (conc_future *)a->target;
  if (conc_future_claim(to))
    (void)conc_future_finish(to, CONC_FUTURE_FAILED, &a->msg);
}

/* Pack the TimeoutError that the future at 'idx' may end with. */
static void pack_timeout(lua_State *L, conc_msg *m) {
  lc_pusherror(L, "TimeoutError", "the future was not done in time");
  lua_pushliteral(L, "");
  lc_pack_failure(L, lua_gettop(L) - 1, m);
  lua_pop(L, 1);
}

static apr_status_t relay_new(relay **out, conc_future *from, conc_future *to,
                              conc_clock *clock) {
  relay *r = conc_alloc(sizeof *r);
  if (r == NULL)
    return APR_ENOMEM;
  *r = (relay){.link.run = arrive, .from = from, .to = to, .clock = clock};
  conc_retain(&to->obj);
  *out = r;
  return APR_SUCCESS;
}

/*
 * f:timeout(seconds): a future that ends as f does, or fails with a
 * TimeoutError after that time.  f itself goes on.
 */
int lc_future_timeout(lua_State *L) {
  conc_future *f = check(L);
  conc_clock *clock = conc_root_clock(lc_get(L)->root);
  relay *r = NULL;
  luaL_checkany(L, 2);
  conc_time at = lc_deadline(L, 2, "seconds");
  lc_nomore(L, 2);
  conc_future *to = lc_newfuture(L, lc_get(L));
  conc_msg m = {0};
  pack_timeout(L, &m);
  apr_status_t st = relay_new(&r, f, to, clock);
  if (st == APR_SUCCESS)
    st = conc_alarm_new(&r->alarm, &to->obj, ring, &m);
  if (st == APR_SUCCESS && at != CONC_FOREVER)
    st = conc_clock_set(clock, r->alarm, at);
  conc_msg_fini(&m);
  if (st != APR_SUCCESS) {
    if (r != NULL)
      relay_free(r);
    return lc_fail(L, st);
  }
  if (!conc_future_link(f, &r->link))
    arrive(&r->link);
  return 1;
}
