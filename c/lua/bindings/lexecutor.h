#ifndef LC_EXECUTOR_H
#define LC_EXECUTOR_H

/* What the executor's bindings share. */

#include "core/executor.h"
#include "lua/lc.h"

conc_executor *lc_checkexecutor(lua_State *L);
/* An executor of either kind at 'arg', or NULL. */
conc_executor *lc_testexecutor(lua_State *L, int arg);

/* Pack a task of that pool into f. */
void lc_pack_task(lua_State *L, lc_state *S, conc_pool *p, lc_packing *what,
                  conc_future *f);

/* Initializer and initargs, at those arguments, as values above the top; how
   many. */
int lc_push_init(lua_State *L, int initializer, int initargs);

/* The options of both kinds at 'arg': overflow; idle_timeout in ns, < 0: for
   ever; how large max_pending may be. */
conc_overflow lc_check_overflow(lua_State *L, int arg);
int64_t lc_check_idle(lua_State *L, int arg);
enum { LC_MOST_PENDING = 1000000000 };

/*
 * The error on the top (which is popped) has broken the pool: it becomes the
 * cause of a BrokenThreadPool or BrokenProcessPool with that text.  'told' as
 * in conc_pool_break.  False: it was broken before.
 */
bool lc_break_pool(lua_State *L, conc_pool *p, const char *text, bool told);

/* The error on the top (which is popped) is that of an initializer: break the
   pool, and tell it on stderr. */
void lc_init_failed(lua_State *L, conc_pool *p);

/* The error on the top (which is popped) as the cause of one of class 'cls' with
   that text; *why becomes that as a future's error. */
void lc_pack_broken(lua_State *L, const char *cls, const char *text,
                    conc_msg *why);

/* Methods of both kinds. */
int lc_submit_task(lua_State *L);
/* The options of submit_with at 2 become timeout, retries and name there. */
void lc_open_task_options(lua_State *L);
int lc_shut_down(lua_State *L);
int lc_close_executor(lua_State *L);
int lc_max_workers(lua_State *L);

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
