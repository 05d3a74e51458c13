#ifndef LC_PROCESS_H
#define LC_PROCESS_H

#include "ipc/brood.h"
#include "lua/lc.h"

/* The brood of the caller's family; raises. */
conc_brood *lc_brood(lua_State *L);

/* The end of the family's processes, when its root has closed. */
void lc_brood_close(lc_state *S, conc_parker *self, conc_time deadline,
                    int64_t grace);

/* This process, as one more of them, retained; made when first asked for. */
conc_process *lc_self_process(lua_State *L);

/* Push the note as a string, or nil. */
void lc_push_note(lua_State *L, conc_note which);

/* process_maker([method]): a constructor of processes */
int lc_process_maker(lua_State *L);

/* Functions of conc.core for lua/conc/multiprocessing.lua and its parts. */
extern const luaL_Reg lc_process_functions[];
/* ... for lua/conc/process_worker.lua, in conc.core.child. */
extern const luaL_Reg lc_serve_functions[];

/* set_note(which, text | nil [, keep]): a text of the program */
int lc_set_note(lua_State *L);

#endif
