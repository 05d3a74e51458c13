/*
 * conc.futures: Promise, the other end of a future for those who resolve it by
 * hand.  It travels, so that any thread can.
 *
 * Reference: what Python's Future has for executors.
 */

#include "core/promise.h"
#include "lua/failure.h"
#include "lua/types.h"

static conc_promise *check(lua_State *L) {
  return lc_check(L, 1, &conc_promise_class);
}

void lc_push_promise(lua_State *L, conc_future *f) {
  lc_box *box = lc_newbox(L, &conc_promise_class);
  conc_promise *p;
  if (conc_promise_new(&p, f) != APR_SUCCESS)
    lc_fail(L, APR_ENOMEM);
  box->obj = &p->obj;
}

/* futures.Promise(): of a new, pending future */
int lc_promise(lua_State *L) {
  lc_nomore(L, 0);
  lc_push_promise(L, lc_newfuture(L, lc_get(L)));
  return 1;
}

/* p:future(): its future */
static int future(lua_State *L) {
  conc_promise *p = check(L);
  lc_nomore(L, 1);
  lc_push(L, &p->future->obj);
  return 1;
}

static int invalid(lua_State *L, conc_future *f) {
  static const char *const states[] = {"pending", "running", "cancelled",
                                       "finished", "failed"};
  return lc_throw(L, "InvalidStateError", "the future is %s already",
                  states[conc_future_is(f)]);
}

/*
 * p:set_running_or_notify_cancel(): true, the future cannot be cancelled any
 * more; false, it was cancelled.  Raises InvalidStateError when it is running
 * or done.
 */
static int set_running(lua_State *L) {
  conc_future *f = check(L)->future;
  lc_nomore(L, 1);
  bool started = conc_future_start(f, NULL);
  if (!started && conc_future_is(f) != CONC_FUTURE_CANCELLED)
    return invalid(L, f);
  lua_pushboolean(L, started);
  return 1;
}

static int resolve(lua_State *L, conc_future *f, conc_future_state how,
                   conc_msg *m) {
  if (!conc_future_claim(f)) {
    conc_msg_fini(m);
    return invalid(L, f);
  }
  (void)conc_future_finish(f, how, m);
  return 0;
}

/* p:set_result(...): raises InvalidStateError when the future is done */
static int set_result(lua_State *L) {
  conc_future *f = check(L)->future;
  conc_msg m = {0};
  if (conc_future_done(f))
    return invalid(L, f);
  lc_pack(L, 2, lua_gettop(L), "result", &m);
  return resolve(L, f, CONC_FUTURE_FINISHED, &m);
}

/* p:set_exception(e): any value; the same */
static int set_exception(lua_State *L) {
  conc_future *f = check(L)->future;
  conc_msg m = {0};
  luaL_checkany(L, 2);
  lc_nomore(L, 2);
  if (conc_future_done(f))
    return invalid(L, f);
  lc_pack(L, 2, 2, "error", &m); /* raises if it cannot travel */
  conc_msg_fini(&m);
  lua_pushliteral(L, "");
  lc_pack_failure(L, 2, &m);
  return resolve(L, f, CONC_FUTURE_FAILED, &m);
}

static const luaL_Reg methods[] = {
  {"future", future},
  {"set_running_or_notify_cancel", set_running},
  {"set_result", set_result},
  {"set_exception", set_exception},
  {NULL, NULL}};

const lc_type lc_promise_type = {
  &conc_promise_class, methods, NULL, NULL, 0, false};
