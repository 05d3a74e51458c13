#ifndef LC_ERRORS_H
#define LC_ERRORS_H

#include "lua/lc.h"

/* Push conc.Error, which is also the metatable of every Error. */
void lc_push_error_class(lua_State *L);

#endif
