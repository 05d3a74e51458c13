#ifndef LC_FUTURE_H
#define LC_FUTURE_H

/* The methods of Future that give another future (lfuture_chain.c). */

#include "core/future.h"
#include "lua/lc.h"

int lc_future_next(lua_State *L);
int lc_future_catch(lua_State *L);
int lc_future_timeout(lua_State *L);

#endif
