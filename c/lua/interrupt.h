#ifndef LC_INTERRUPT_H
#define LC_INTERRUPT_H

/*
 * What other threads want of one that runs Lua.  It looks at that itself, so
 * nobody touches its values: in its waits, where its parker polls, and between
 * two instructions of a running program, by a hook that is set for one call.
 *
 *  - A cancellation (conc_thread_interrupt) ends a wait with CONC_CANCELLED, or
 *    the running code with the CancelledError that the wait would have raised;
 *    once.  A shielded parker postpones it.
 *
 *    What an acquire has just returned is in nobody's hands yet: a "local held
 *    <close>" closes it from the next instruction on.  So the cancellation waits
 *    for LC_GRACE instructions more, one for that and one for the return of a
 *    function around the acquire; not longer, or a loop that is nothing but
 *    acquires could not be cancelled.
 *
 *  - A question (conc_parker_ask) is answered: what does it wait for, what does
 *    it run.
 *
 * It is reached in the coroutine that runs, as far as that is known: those that
 * coroutine.resume and wrap run, and those in which tasks are nested.  Out of
 * reach are C functions, and a host's state, whose hook is the host's: they are
 * reached in waits only.
 */

#include <lua.h>
#include <stdbool.h>

#include "sys/sys.h"

struct lc_state;

enum { LC_GRACE = 2 };

/*
 * The hook is ours from a nudge until it has been called once; meanwhile the
 * state's own one is kept here, and is called as well.
 *   [l] lock, a leaf   [a] atomic   [c] constant while the state is open
 */
typedef struct lc_interrupt {
  conc_word lock;
  _Atomic(lua_State *) body; /* [a] the coroutine that runs */
  lua_Hook hook;             /* [l] the state's own */
  int mask;                  /* [l] */
  int count;                 /* [l] */
  conc_word visited;         /* [a] another thread is setting the hook */
  lua_Alloc alloc;           /* [c] the state's own */
  void *ud;                  /* [c] */
} lc_interrupt;

/*
 * The thread that runs the state can be reached from now on; until close, after
 * which nobody touches the state any more.
 */
void lc_interrupt_open(struct lc_state *S);
void lc_interrupt_close(struct lc_state *S);

/* L's allocator, and its data, as they are without us in between. */
lua_Alloc lc_interrupt_alloc(lua_State *L, void **ud);

/*
 * Another coroutine runs from now on, and ends: enter returns which one ran
 * before, for leave.  Both are called in L, which ran before, and raise what
 * was asked for meanwhile.
 */
lua_State *lc_interrupt_enter(lua_State *L, struct lc_state *S, lua_State *co);
void lc_interrupt_leave(lua_State *L, struct lc_state *S, lua_State *outer);
/* The same when nothing may be raised. */
lua_State *lc_interrupt_switch(struct lc_state *S, lua_State *co);

#endif
