#ifndef LC_PROCESS_H
#define LC_PROCESS_H

#include "ipc/process.h"
#include "lua/lc.h"

/* The brood of the caller's family; raises. */
conc_brood *lc_brood(lua_State *L);

/* The end of the family's processes, when its root has closed. */
void lc_brood_close(lc_state *S, conc_parker *self, conc_time deadline,
                    int64_t grace);

/* Functions of conc.core for lua/conc/multiprocessing.lua and its parts. */
extern const luaL_Reg lc_process_functions[];
/* ... for lua/conc/process_worker.lua, in conc.core.child. */
extern const luaL_Reg lc_serve_functions[];
/* ... for lua/conc/child.lua. */
extern const luaL_Reg lc_child_functions[];

#endif
