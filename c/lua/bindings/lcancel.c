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

/* Call the function below the stack's other values; return what it does. */
static int call_with(lua_State *L, conc_parker *self, uint32_t shield,
                     uint32_t deaf) {
  uint32_t shield_before = self->shield, deaf_before = self->deaf;
  self->shield = shield;
  self->deaf = deaf;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  self->shield = shield_before;
  self->deaf = deaf_before;
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/*
 * shield(fn, ...): call fn; what it waits for is not cut short by a
 * cancellation, which is raised at the first wait after.  Ctrl-C still ends it,
 * and callbacks are called in it.  Returns and raises what fn does.
 */
int lc_shield(lua_State *L) {
  lc_function(L, 1, "fn");
  conc_parker *self = lc_self(L);
  return call_with(L, self, self->shield + 1, self->deaf);
}

static int call_shielded(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  conc_parker *self = lc_self(L);
  return call_with(L, self, self->shield + 1, self->deaf + 1);
}

/*
 * shielded(fn): a function that calls fn(...), whose waits nothing cuts short,
 * and in which no instruction of Lua is outside of the shield.
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
  return call_with(L, self, self->shield - (self->shield > 0),
                   self->deaf - (self->deaf > 0));
}
