/* What a task has to do with its own cancellation: conc.cancelled, shield. */

#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

/* cancelled(): is the running task, or thread, asked to stop? */
int lc_task_cancelled(lua_State *L) {
  lc_state *S = lc_get(L);
  lc_nomore(L, 0);
  lua_pushboolean(L, lc_is_asked(S) || lc_was_stopped(L) ||
                       (S->self != NULL && atomic_load(&S->self->cancel) != 0));
  return 1;
}

/*
 * shield(fn, ...): call fn; what it waits for is not cut short by a
 * cancellation, which is raised at the first wait after.  Returns and raises
 * what fn does.
 */
int lc_shield(lua_State *L) {
  lc_function(L, 1, "fn");
  conc_parker *self = lc_self(L);
  self->shield++;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  self->shield--;
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static int call_shielded(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  return lc_shield(L);
}

/*
 * shielded(fn): a function that is `shield(fn, ...)`, in which no instruction of
 * Lua is outside of the shield.
 */
int lc_shielded(lua_State *L) {
  lc_function(L, 1, "fn");
  lua_settop(L, 1);
  lua_pushlightuserdata(L, lc_open(L));
  lua_insert(L, 1);
  lua_pushcclosure(L, call_shielded, 2);
  return 1;
}

/* exposed(fn, ...): call fn with one shield less */
int lc_exposed(lua_State *L) {
  conc_parker *self = lc_self(L);
  bool less = self->shield > 0;
  self->shield -= less;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  self->shield += less;
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}
