#ifndef LC_FLAT_H
#define LC_FLAT_H

/*
 * The short way for small flat tables: plain data, keys that are numbers or
 * short strings, values that are scalars.  Most messages are such; they need no
 * frames and no memory of what was met.  The bytes are those of the long way.
 */

#include "lua/lc.h"

/*
 * Pack the value at 'idx' if it is such a table.  False: it is not, or it is
 * too large, and nothing has happened.  Raises when memory runs out.
 */
bool lc_flat_pack(lua_State *L, lc_state *S, int idx, conc_msg *m);

/* Push such a table from an inline message; false: something else is in it. */
bool lc_flat_unpack(lua_State *L, const conc_msg *m);

#endif
