#ifndef LC_EXECUTOR_H
#define LC_EXECUTOR_H

/* What the executor's bindings share. */

#include "core/executor.h"
#include "lua/lc.h"

conc_executor *lc_checkexecutor(lua_State *L);

/*
 * Submit f with its task; waits for room first when the executor has
 * max_pending, or does what its overflow says.  Raises what submit raises; f
 * will never run then.
 */
void lc_submit(lua_State *L, conc_pool *p, conc_future *f);

/* The life of a worker, and how one is asked to stop (lexecutor_worker.c). */
void lc_pool_work(conc_worker *w, void *prepared);
void lc_pool_interrupt(conc_worker *w);

/* ex:stats() (lexecutor_stats.c) */
int lc_executor_stats(lua_State *L);

/* ex:map and ex:starmap (lmap.c) */
int lc_map(lua_State *L);
int lc_starmap(lua_State *L);

/*
 * In a worker: the n values of a chunk are on the stack, at 2 and above: do
 * them, pack all results.
 */
void lc_do_chunk(lua_State *L, int n, conc_msg *result);

#endif
