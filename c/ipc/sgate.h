#ifndef CONC_SGATE_H
#define CONC_SGATE_H

/*
 * The gate of wait/gate.h in shared memory: where threads of any process wait
 * until something countable is there.  The thing itself is kept elsewhere and
 * asked for by a predicate; the gate costs the adder one load while nobody
 * sleeps.  All zeros is a gate.
 *
 * The rules of use:
 *  - the adder makes the predicate true by a seq_cst write, and then calls
 *    conc_sgate_notify, once for each thing;
 *  - a waiter that was told APR_SUCCESS tries to take.
 *
 * Any process may die at any moment: then a wake may be lost, and somebody may
 * go on sleeping although the predicate holds, but not for longer than a
 * second.  Nothing else is lost.
 */

#include <apr_errno.h>

#include "ipc/heap.h"
#include "wait/parker.h"

/* [a] atomic */
typedef struct conc_sgate {
  conc_word seq;             /* [a] what sleepers sleep on: a count, and ... */
  _Atomic uint64_t watchers; /* [a] see bell.h: members by number modulo 64 */
} conc_sgate;

/* ... two flags: there may be somebody to wake. */
enum { CONC_SGATE_SLEEPERS = 1, CONC_SGATE_WATCHED = 2, CONC_SGATE_STEP = 4 };

/*
 * Wait until ready(arg).  APR_SUCCESS says it was, a moment ago; otherwise
 * APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED.  ready must not block.
 */
apr_status_t conc_sgate_await(conc_sgate *g, bool (*ready)(const void *),
                              const void *arg, conc_parker *self,
                              conc_time deadline);

/* The rest of the two below. */
void conc_sgate_wake(conc_sgate *g, bool all);

/* One thing was added: let one waiter through. */
static inline void conc_sgate_notify(conc_sgate *g) {
  if ((atomic_load(&g->seq) & (CONC_SGATE_SLEEPERS | CONC_SGATE_WATCHED)) != 0)
    conc_sgate_wake(g, false);
}

/* Everything changed: let all waiters look. */
static inline void conc_sgate_notify_all(conc_sgate *g) {
  if ((atomic_load(&g->seq) & (CONC_SGATE_SLEEPERS | CONC_SGATE_WATCHED)) != 0)
    conc_sgate_wake(g, true);
}

/*
 * Ask for one ring of this process's bell (bell.h) at the next notify; who
 * asks looks at what it waits for afterwards.
 */
void conc_sgate_watch(conc_sgate *g);

#endif
