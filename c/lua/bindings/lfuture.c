/*
 * conc.futures: Future.
 *
 * Reference: Python's concurrent.futures.Future.
 */

#include "lua/bindings/lfuture.h"

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
    return lc_unpack_result(L, &f->msg);
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

/*
 * What new futures of a state are made of is in a table that 'rows' of the
 * state names in the registry.  Its values are weak: only futures keep their
 * row, and the registry has the metatable elsewhere.
 */
enum { ROW = 1, METATABLE };

static void push_rows(lua_State *L, lc_state *S) {
  static const char key = 0;
  if (S->rows != 0) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, S->rows);
    return;
  }
  lc_pushtable(L, &key, "v");
  lc_pushmetatable(L, &lc_future_type);
  lua_rawseti(L, -2, METATABLE);
  lua_pushvalue(L, -1);
  S->rows = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Push the box of a new row, which the table below it has from now on. */
static lc_box *push_new_row(lua_State *L) {
  conc_row *r;
  lc_box *box = lc_newbox(L, &conc_row_class);
  if (conc_row_new(&r) != APR_SUCCESS)
    lc_fail(L, APR_ENOMEM);
  box->obj = (conc_obj *)r;
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, ROW);
  return box;
}

/* Push the box of the row that the next future, *f, is in. */
static lc_box *push_row(lua_State *L, conc_future **f) {
  lua_rawgeti(L, -1, ROW);
  lc_box *box = lua_touserdata(L, -1);
  *f = NULL;
  if (box != NULL && box->obj != NULL) /* at the end it may be finalized */
    *f = conc_row_next((conc_row *)box->obj);
  if (*f == NULL) {
    lua_pop(L, 1);
    box = push_new_row(L);
    *f = conc_row_next((conc_row *)box->obj);
  }
  return box;
}

/* As lc_newowned does, with less looking up. */
conc_future *lc_newfuture(lua_State *L, lc_state *S) {
  conc_future *f;
  luaL_checkstack(L, 10, NULL);
  lc_box *b = lc_pushbox(L, 1);
  push_rows(L, S);
  b->owner = push_row(L, &f);
  b->obj = &f->obj;
  lua_setiuservalue(L, -3, 1);
  lua_rawgeti(L, -1, METATABLE);
  lua_setmetatable(L, -3);
  lua_pop(L, 1);
  return f;
}
