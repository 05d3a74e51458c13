/*
 * A callback is not run inside another, but for one that waits in conc: what it
 * waits for may be what the other gives.
 *
 * The registry has a table: address of a future -> {its userdata, functions}.
 * With the first function of a future the state's inbox is told to expect it;
 * the note that comes in says no more than that it is done.
 */

#include "lua/callback.h"

#include <stdio.h>

#include "core/inbox.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

static const char callbacks_key = 0;

/* Push the list of f, or nil. */
static void push_list(lua_State *L, const conc_future *f) {
  luaL_checkstack(L, 8, NULL);
  lc_pushtable(L, &callbacks_key, NULL);
  lua_rawgetp(L, -1, f);
  lua_remove(L, -2);
}

/* The list of f becomes what is on the top, which is popped. */
static void set_list(lua_State *L, const conc_future *f) {
  lc_pushtable(L, &callbacks_key, NULL);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, f);
  lua_pop(L, 1);
}

/* A message handler: the error with where it was. */
static int with_traceback(lua_State *L) {
  luaL_traceback(L, L, lc_totext(L, 1), 1);
  return 1;
}

/* Call the function on the top with the future at 'box'; pop it. */
static void call(lua_State *L, int box) {
  int at = lua_gettop(L);
  bool told = lc_was_stopped(L);
  lua_pushcfunction(L, with_traceback);
  lua_insert(L, at);
  lua_pushvalue(L, box);
  lc_open(L)->calling++;
  int status = lua_pcall(L, 1, 0, at);
  lc_open(L)->calling--;
  if (status != LUA_OK) {
    (void)fprintf(stderr, "conc: error in a done callback: %s\n",
                  lua_tostring(L, -1));
    lc_tell_again(L, told);
  }
  lua_settop(L, at - 1);
}

void lc_run_callbacks(lua_State *L, conc_future *f) {
  lc_state *S = lc_open(L);
  if (S->listed == 0)
    return;
  int top = lua_gettop(L);
  push_list(L, f);
  if (lua_istable(L, -1)) {
    int list = lua_gettop(L);
    lua_pushnil(L);
    set_list(L, f);
    S->listed--;
    lua_rawgeti(L, list, 1);
    for (lua_Integer i = 2; lua_rawgeti(L, list, i) != LUA_TNIL; i++)
      call(L, list + 1);
  }
  lua_settop(L, top);
}

/* Make sure that a note comes in for f, unless it is done. */
static void expect(lua_State *L, lc_state *S, conc_future *f) {
  apr_status_t st = APR_SUCCESS;
  if (S->self == NULL)
    lc_error(L, "conc: this state is closing");
  if (S->inbox == NULL)
    st = conc_inbox_new(&S->inbox, S->self);
  if (st == APR_SUCCESS)
    st = conc_inbox_expect(S->inbox, f);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
}

void lc_add_callback(lua_State *L, int idx, conc_future *f) {
  lc_state *S = lc_open(L);
  int fn = lua_gettop(L);
  idx = lua_absindex(L, idx);
  push_list(L, f);
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, fn);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  } else {
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, idx);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, fn);
    lua_rawseti(L, -2, 2);
    if (!conc_future_done(f))
      expect(L, S, f);
    set_list(L, f);
    S->listed++;
  }
  lua_settop(L, fn - 1);
  if (conc_future_done(f))
    lc_run_callbacks(L, f);
}

/* (future): its userdata, then its callbacks */
static int attend_to(lua_State *L) {
  lc_run_callbacks(L, lua_touserdata(L, 1));
  return 0;
}

void lc_done_callbacks(lua_State *L, conc_future *f) {
  if (lc_open(L)->listed == 0 || !lua_checkstack(L, 4))
    return;
  lua_pushcfunction(L, attend_to);
  lua_pushlightuserdata(L, f);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

bool lc_has_news(const lc_state *S) {
  /* Relaxed: what is missed is seen next time. */
  return S->calling == 0 &&
         (atomic_load_explicit(&S->self->asked, memory_order_relaxed) &
          CONC_ASKED_NOTES) != 0;
}

void lc_attend(lua_State *L, lc_state *S) {
  conc_future *f;
  if (!lua_checkstack(L, 4))
    return;
  while (conc_parker_answer(S->self, CONC_ASKED_NOTES) &&
         (f = conc_inbox_next(S->inbox)) != NULL) {
    lc_done_callbacks(L, f);
    conc_release(&f->obj);
  }
}
