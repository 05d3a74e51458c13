#ifndef LC_CODE_H
#define LC_CODE_H

/* The code of Lua functions, as blobs. */

#include "core/blob.h"
#include "lua/lc.h"

/*
 * The code of the function on the top: closures of one function share it, and
 * this one is known by it from now on.  The reference belongs to the table of
 * known values.  NULL: no memory.
 */
conc_blob *lc_code_of(lua_State *L);

/* Push a new closure of that code; its upvalues are to be set. */
void lc_load_code(lua_State *L, conc_blob *code);

#endif
