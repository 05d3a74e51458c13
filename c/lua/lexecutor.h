#ifndef LC_EXECUTOR_H
#define LC_EXECUTOR_H

/* What the executor's bindings share. */

#include "core/executor.h"
#include "lua/lc.h"

conc_executor *lc_checkexecutor(lua_State *L);

/* Queue *m, which is freed or taken over; raises what submit raises. */
void lc_submit(lua_State *L, conc_pool *p, conc_msg *m);

/* ex:map and ex:starmap (lmap.c) */
int lc_map(lua_State *L);
int lc_starmap(lua_State *L);

/*
 * In a worker: the n values of a chunk are on the stack, at 2 and above: do
 * them, pack all results.
 */
void lc_do_chunk(lua_State *L, int n, conc_msg *result);

#endif
