#ifndef LC_AWAIT_H
#define LC_AWAIT_H

/*
 * Waiting for what tasks bring about.  A task may wait for others of its own
 * executor: then the worker runs those meanwhile, one inside the other, so that
 * a task never waits for what only its own worker could do.
 */

#include "core/watch.h"
#include "lua/lc.h"

/*
 * What is waited for.  In a worker the wait runs tasks of its executor: first
 * those that 'claim' says are waited for, then, if the wait has no deadline,
 * any other.
 */
typedef struct lc_goal {
  void *arg;
  bool (*ready)(const void *arg);
  /* Fill in word and expected; false: it is ready. */
  bool (*prepare)(void *arg, conc_waiter *w);
  /* A future that is waited for and that w has started, or NULL. */
  conc_future *(*claim)(void *arg, conc_worker *w);
  conc_future *wanted; /* the only future that is waited for, or NULL */
  conc_pool *room;     /* the pool whose room is waited for, or NULL */
} lc_goal;

/* Wait until the goal is ready: APR_SUCCESS or APR_TIMEUP; raises. */
apr_status_t lc_await(lua_State *L, const lc_goal *g, conc_time deadline);

/*
 * The same in pieces, for waits of other kinds.  The pool whose tasks the caller
 * may run while it waits, or NULL; run one, true: it did (raises); the wait is
 * over: others are told of tasks that it was told of.
 */
conc_pool *lc_helped(lua_State *L);
bool lc_help(lua_State *L, const lc_goal *g, bool any);
void lc_helped_enough(lua_State *L);

/* ... until that future is done. */
apr_status_t lc_await_future(lua_State *L, conc_future *f, conc_time deadline);

/* ... until one that is watched is done, or none is left to be told. */
apr_status_t lc_await_watch(lua_State *L, conc_watch *w, conc_time deadline);

/* ... until there may be room in the pool, or it is closed. */
void lc_await_room(lua_State *L, conc_pool *p);

#endif
