/* The embedding interface: see include/conc.h. */

#include "include/conc.h"

#include "lua/state.h"

void conc_set_close_limit(lua_State *L, double seconds) {
  lc_open(L)->close_limit = seconds;
}

void conc_set_state_opener(lua_State *L, lua_CFunction opener) {
  conc_root_set_opener(lc_open(L)->root, (conc_opener)opener);
}
