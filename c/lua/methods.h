#ifndef LC_METHODS_H
#define LC_METHODS_H

/*
 * The methods of conc's own objects by name, so that they travel: each state
 * has closures of its own for them.
 */

#include "lua/lc.h"

/* Push the method table of that class, or nothing and say false. */
bool lc_pushmethods(lua_State *L, const char *cls, size_t len);

/*
 * Push NUL class NUL method, the name of the C function at 'idx' (names.h).
 * False: it is no method of any class used here, and nothing is pushed.
 */
bool lc_pushmethodname(lua_State *L, int idx);

#endif
