#ifndef LC_COROUTINES_H
#define LC_COROUTINES_H

#include <lua.h>

/*
 * In a worker: coroutine.resume and coroutine.wrap tell which coroutine runs,
 * so that it can be reached there (interrupt.h).
 */
void lc_watch_coroutines(lua_State *L);

#endif
