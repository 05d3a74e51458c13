/*
 * conc.futures: Future.
 *
 * Reference: Python's concurrent.futures.Future.
 */

#include "lua/lfuture.h"

#include "lua/await.h"
#include "lua/callback.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/types.h"

/* Entering conc: callbacks that are due run now. */
static conc_future *check(lua_State *L) {
  conc_future *f = lc_check(L, 1, &conc_future_class);
  if (lc_get(L)->self != NULL)
    (void)lc_self(L);
  return f;
}

static conc_future *check_alone(lua_State *L) {
  conc_future *f = check(L);
  lc_nomore(L, 1);
  return f;
}

/*
 * f:result([timeout]): what the task returned.  Raises the task's error value
 * as it was, CancelledError, or TimeoutError (which does not cancel).
 */
static int result(lua_State *L) {
  conc_future *f = lc_check(L, 1, &conc_future_class);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  if (lc_await_future(L, f, deadline) != APR_SUCCESS)
    return lc_throw(L, "TimeoutError", "the future is not done");
  if (conc_future_is(f) == CONC_FUTURE_FINISHED)
    return lc_unpack_copy(L, &f->msg);
  lc_push_error_of(L, f);
  return lua_error(L);
}

/*
 * f:exception([timeout]): the error value, nil when there is none, or nil and
 * "timeout"; of a cancelled future a CancelledError.
 */
static int exception(lua_State *L) {
  conc_future *f = lc_check(L, 1, &conc_future_class);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  apr_status_t st = lc_await_future(L, f, deadline);
  if (st != APR_SUCCESS)
    return lc_outcome(L, st);
  if (conc_future_is(f) == CONC_FUTURE_FINISHED)
    lua_pushnil(L);
  else
    lc_push_error_of(L, f);
  return 1;
}

/* f:traceback([timeout]): of the task's error, from where it was raised */
static int traceback(lua_State *L) {
  conc_future *f = lc_check(L, 1, &conc_future_class);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  apr_status_t st = lc_await_future(L, f, deadline);
  if (st != APR_SUCCESS)
    return lc_outcome(L, st);
  conc_future_look(f);
  if (conc_future_is(f) == CONC_FUTURE_FAILED)
    lc_push_failure(L, &f->msg);
  else
    lua_pushnil(L);
  return 1;
}

/*
 * f:cancel{running = false}: true when the task will not run, false when it
 * did or does.  With 'running' also true when it was running and is asked to
 * stop; the future is done when it has.
 */
static int cancel(lua_State *L) {
  static const char *const names[] = {"running", NULL};
  conc_future *f = check(L);
  if (!lua_isnoneornil(L, 2))
    lc_table(L, 2, "options");
  lc_options_at(L, 2, names);
  bool running = lc_optboolean(L, 2, "running", false);
  lua_pushboolean(L, running ? conc_future_stop(f, CONC_ASK_CANCEL)
                             : conc_future_cancel(f));
  return 1;
}

static int is_cancelled(lua_State *L) {
  conc_future *f = check_alone(L);
  lua_pushboolean(L, conc_future_is(f) == CONC_FUTURE_CANCELLED);
  return 1;
}

static int is_running(lua_State *L) {
  conc_future *f = check_alone(L);
  lua_pushboolean(L, conc_future_is(f) == CONC_FUTURE_RUNNING);
  return 1;
}

static int is_done(lua_State *L) {
  lua_pushboolean(L, conc_future_done(check_alone(L)));
  return 1;
}

/*
 * f:add_done_callback(fn): call fn(f) once, in this state, when the future is
 * done: at once if it is, else when this state next calls conc or waits there.
 * In the order of adding; errors are told on stderr.  Returns f.
 */
static int add_done_callback(lua_State *L) {
  conc_future *f = check(L);
  lc_function(L, 2, "fn");
  lc_nomore(L, 2);
  lc_add_callback(L, 1, f);
  lua_settop(L, 1);
  return 1;
}

static int to_string(lua_State *L) {
  static const char *const states[] = {"pending", "running", "cancelled",
                                       "finished", "failed"};
  conc_future *f = lc_check(L, 1, &conc_future_class);
  lua_pushfstring(L, "Future(%s): %p", states[conc_future_is(f)], (void *)f);
  return 1;
}

static const luaL_Reg methods[] = {{"result", result},
                                   {"exception", exception},
                                   {"traceback", traceback},
                                   {"cancel", cancel},
                                   {"cancelled", is_cancelled},
                                   {"running", is_running},
                                   {"done", is_done},
                                   {"add_done_callback", add_done_callback},
                                   {"next", lc_future_next},
                                   {"catch", lc_future_catch},
                                   {"timeout", lc_future_timeout},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", to_string}, {NULL, NULL}};

const lc_type lc_future_type = {
  &conc_future_class, methods, metamethods, NULL, 1, true};

/* ---- Making them ---- */

static void drop_row(conc_obj *o) { conc_row_drop((conc_row *)o); }

const lc_type lc_row_type = {&conc_row_class, NULL, NULL, drop_row, 0, false};

static const char row_key = 0;

/*
 * Push the box of the row that new futures come from; the table of objects is
 * on the top.  Only futures keep their row; this state knows it by that table,
 * which is weak.
 */
static conc_row *push_row(lua_State *L) {
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
  return r;
}

/* Another one instead of the row on the top, which has given out all it had. */
static conc_row *push_next_row(lua_State *L) {
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_rawsetp(L, -2, &row_key);
  return push_row(L);
}

conc_future *lc_newfuture(lua_State *L) {
  luaL_checkstack(L, 10, NULL);
  lc_pushobjects(L);
  conc_future *f = conc_row_next(push_row(L));
  if (f == NULL)
    f = conc_row_next(push_next_row(L));
  lc_newowned(L, &f->obj, -1);
  lua_replace(L, -3); /* objects, row, future: the last one stays */
  lua_pop(L, 1);
  return f;
}
