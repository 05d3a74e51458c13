/*
 * What wait, as_completed and groups stand on: conc.core.watch(sequence of
 * futures), which tells the positions of those that are done, one by one.
 */

#include "core/watch.h"
#include "lua/await.h"
#include "lua/callback.h"
#include "lua/types.h"

static conc_watch *check(lua_State *L) {
  return lc_check(L, 1, &conc_watch_class);
}

/* watch(sequence of futures) */
int lc_new_watch(lua_State *L) {
  conc_watch *w;
  luaL_checktype(L, 1, LUA_TTABLE);
  lc_nomore(L, 1);
  size_t n = (size_t)lua_rawlen(L, 1);
  lc_box *box = lc_newbox(L, &conc_watch_class);
  if (conc_watch_new(&w) != APR_SUCCESS)
    return lc_fail(L, APR_ENOMEM);
  box->obj = (conc_obj *)w;
  if (conc_watch_reserve(w, n) != APR_SUCCESS)
    return lc_fail(L, APR_ENOMEM);
  for (size_t i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i);
    conc_watch_add(w, lc_check(L, -1, &conc_future_class), i);
    lua_pop(L, 1);
  }
  return 1;
}

/* failed(future): has it ended by an error of its task? */
int lc_failed(lua_State *L) {
  const conc_future *f = lc_check(L, 1, &conc_future_class);
  lua_pushboolean(L, conc_future_is(f) == CONC_FUTURE_FAILED);
  return 1;
}

/*
 * w:next([timeout]): the position of one that is done and was not told yet;
 * nil: all were told; nil and "timeout"
 */
static int next(lua_State *L) {
  conc_watch *w = check(L);
  size_t number;
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  apr_status_t st = lc_await_watch(L, w, deadline);
  if (st != APR_SUCCESS)
    return lc_outcome(L, st);
  conc_future *f = conc_watch_next(w, &number);
  if (f == NULL) {
    lua_pushnil(L);
    return 1;
  }
  lc_done_callbacks(L, f);
  conc_release(&f->obj);
  lua_pushinteger(L, (lua_Integer)number);
  return 1;
}

/* w:stop(): leave the futures alone */
static int stop(lua_State *L) {
  conc_watch *w = check(L);
  lc_nomore(L, 1);
  conc_watch_stop(w);
  return 0;
}

/* leaving the scope of a <close> variable, with or without an error */
static int close_watch(lua_State *L) {
  conc_watch_stop(check(L));
  return 0;
}

static void drop(conc_obj *o) { conc_watch_stop((conc_watch *)o); }

static const luaL_Reg methods[] = {
  {"next", next}, {"stop", stop}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", close_watch}, {NULL, NULL}};

const lc_type lc_watch_type = {
  &conc_watch_class, methods, metamethods, drop, 0, false};
