/*
 * conc.futures: Future.
 *
 * Reference: Python's concurrent.futures.Future.
 */

#include "core/future.h"
#include "lua/types.h"
#include "wait/lot.h"

static conc_future *check(lua_State *L) {
  return lc_check(L, 1, &conc_future_class);
}

static apr_status_t await(lua_State *L, conc_future *f, conc_time deadline) {
  apr_status_t st;
  do
    st = conc_future_wait(f, lc_self(L), deadline);
  while (lc_again(L, st));
  return st;
}

/*
 * f:result([timeout]): what the task returned.  Raises the task's error value
 * as it was, CancelledError, or TimeoutError (which does not cancel).
 */
static int result(lua_State *L) {
  conc_future *f = check(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  if (await(L, f, deadline) != APR_SUCCESS)
    return lc_throw(L, "TimeoutError", "the future is not done");
  if (conc_future_is(f) == CONC_FUTURE_CANCELLED)
    return lc_throw(L, "CancelledError", "the future was cancelled");
  int n = lc_unpack_copy(L, &f->result);
  if (conc_future_is(f) == CONC_FUTURE_FINISHED)
    return n;
  lua_settop(L, -n); /* the error value, without its traceback */
  return lua_error(L);
}

/* Push error value and traceback of a failed future. */
static void push_failure(lua_State *L, conc_future *f) {
  int top = lua_gettop(L);
  lc_unpack_copy(L, &f->result);
  lua_settop(L, top + 2);
}

/*
 * f:exception([timeout]): the error value, nil when there is none, or nil and
 * "timeout"; of a cancelled future a CancelledError.
 */
static int exception(lua_State *L) {
  conc_future *f = check(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  apr_status_t st = await(L, f, deadline);
  if (st != APR_SUCCESS)
    return lc_outcome(L, st);
  switch (conc_future_is(f)) {
  case CONC_FUTURE_FAILED:
    push_failure(L, f);
    lua_pop(L, 1);
    return 1;
  case CONC_FUTURE_CANCELLED:
    lc_pusherror(L, "CancelledError", "the future was cancelled");
    return 1;
  default: lua_pushnil(L); return 1;
  }
}

/* f:traceback([timeout]): of the task's error, from where it was raised */
static int traceback(lua_State *L) {
  conc_future *f = check(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  apr_status_t st = await(L, f, deadline);
  if (st != APR_SUCCESS)
    return lc_outcome(L, st);
  if (conc_future_is(f) == CONC_FUTURE_FAILED)
    push_failure(L, f);
  else
    lua_pushnil(L);
  return 1;
}

/* f:cancel(): true when the task will not run, false when it did or does */
static int cancel(lua_State *L) {
  conc_future *f = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_future_cancel(f));
  return 1;
}

static int is_cancelled(lua_State *L) {
  conc_future *f = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_future_is(f) == CONC_FUTURE_CANCELLED);
  return 1;
}

static int is_running(lua_State *L) {
  conc_future *f = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_future_is(f) == CONC_FUTURE_RUNNING);
  return 1;
}

static int is_done(lua_State *L) {
  conc_future *f = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_future_done(f));
  return 1;
}

static int to_string(lua_State *L) {
  static const char *const states[] = {"pending", "running", "cancelled",
                                       "finished", "failed"};
  conc_future *f = check(L);
  lua_pushfstring(L, "Future(%s): %p", states[conc_future_is(f)], (void *)f);
  return 1;
}

static const luaL_Reg methods[] = {
  {"result", result},          {"exception", exception},
  {"traceback", traceback},    {"cancel", cancel},
  {"cancelled", is_cancelled}, {"running", is_running},
  {"done", is_done},           {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", to_string}, {NULL, NULL}};

const lc_type lc_future_type = {
  &conc_future_class, methods, metamethods, NULL, 1, true};

/* ---- Making them ---- */

static void drop_row(conc_obj *o) { conc_row_drop((conc_row *)o); }

const lc_type lc_row_type = {&conc_row_class, NULL, NULL, drop_row, 0, false};

static const char row_key = 0;

/*
 * Push the box of the row that new futures come from.  Only futures keep their
 * row; this state knows it by a weak table.
 */
static conc_row *push_row(lua_State *L) {
  lc_pushobjects(L);
  lua_rawgetp(L, -1, &row_key);
  conc_row *r = (conc_row *)lc_test(L, -1, &conc_row_class);
  if (r == NULL) {
    lua_pop(L, 1);
    lc_box *box = lc_newbox(L, &conc_row_class);
    if (conc_row_new(&r) != APR_SUCCESS)
      lc_fail(L, APR_ENOMEM);
    box->obj = (conc_obj *)r;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, &row_key);
  }
  lua_remove(L, -2);
  return r;
}

/* Forget the row, which has given out all it had; pops its box. */
static void forget_row(lua_State *L) {
  lua_pop(L, 1);
  lc_pushobjects(L);
  lua_pushnil(L);
  lua_rawsetp(L, -2, &row_key);
  lua_pop(L, 1);
}

conc_future *lc_newfuture(lua_State *L) {
  luaL_checkstack(L, 10, NULL);
  conc_row *r = push_row(L);
  conc_future *f = conc_row_next(r);
  if (f == NULL) {
    forget_row(L);
    r = push_row(L);
    f = conc_row_next(r);
  }
  lc_newowned(L, &f->obj, -1);
  lua_remove(L, -2);
  return f;
}

/* ---- Waiting for several ---- */

/* Sleep until the word of one of the futures moves on from what it is. */
static apr_status_t sleep_on(lua_State *L, lua_Integer n, conc_time deadline) {
  conc_waiter *list = lua_newuserdatauv(L, (size_t)n * sizeof *list, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    conc_future *f = (conc_future *)lc_test(L, -1, &conc_future_class);
    lua_pop(L, 1);
    list[i] = (conc_waiter){.word = &f->word};
    if (!conc_future_prepare(f, &list[i].expected))
      return APR_SUCCESS;
  }
  size_t which;
  return conc_wait_any(list, (size_t)n, &which, lc_self(L), deadline);
}

/* The first future of the sequence at 1 that is done, or 0. */
static lua_Integer find_done(lua_State *L, lua_Integer n) {
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, i);
    conc_future *f = lc_check(L, -1, &conc_future_class);
    lua_pop(L, 1);
    if (conc_future_done(f))
      return i;
  }
  return 0;
}

/*
 * first_done(sequence of futures [, timeout]): the index of one that is done,
 * or nil and "timeout"
 */
int lc_first_done(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1), i;
  apr_status_t st = APR_SUCCESS;
  lua_settop(L, 2);
  while ((i = find_done(L, n)) == 0) {
    st = deadline == CONC_NOW ? APR_TIMEUP : sleep_on(L, n, deadline);
    lua_settop(L, 2);
    if (APR_STATUS_IS_TIMEUP(st) && find_done(L, n) == 0)
      return lc_outcome(L, st);
    (void)lc_again(L, st);
  }
  lua_pushinteger(L, i);
  return 1;
}
