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
