#ifndef LC_MODULE_H
#define LC_MODULE_H

#include "include/conc.h" /* declares luaopen_conc_core */

#define LC_EXPORT CONC_API

/* The same for a child process, which waits with APR until it needs some. */
int lc_open_core(lua_State *L);

#endif
