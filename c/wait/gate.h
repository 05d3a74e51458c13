#ifndef CONC_GATE_H
#define CONC_GATE_H

/*
 * A gate is where threads wait until something countable is there: items in a
 * queue, room in it, permits.  Whoever adds one lets one thread through.  It
 * is an event count: the thing itself is kept elsewhere and asked for by a
 * predicate, and the gate costs the adder one load while nobody sleeps.
 *
 * The rules of use:
 *  - the adder makes the predicate true with a seq_cst write or under a mutex
 *    that the predicate's reader passes, and then calls conc_gate_notify;
 *  - a waiter that was told APR_SUCCESS tries to take.  When it took and there
 *    is still something left, it calls conc_gate_notify for the next one.
 */

#include <apr_errno.h>

#include "base/object.h"
#include "wait/lot.h"

typedef struct conc_gate {
  conc_word seq;      /* [a] what sleepers sleep on; every notify changes it */
  conc_word sleepers; /* [a] registered, and not yet chosen by a notify */
  char apart[CONC_LINE]; /* a waiter that only looks leaves the adder's line */
  conc_word spinners;    /* [a] looking, or about to look once more */
  char end[CONC_LINE];
} conc_gate;

/*
 * Wait until ready(arg).  APR_SUCCESS says it was, a moment ago; otherwise
 * APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED.  ready must not block.
 */
apr_status_t conc_gate_await(conc_gate *g, bool (*ready)(const void *),
                             const void *arg, conc_parker *self,
                             conc_time deadline);

/*
 * For a wait on several things.  enter fills in *w for conc_wait_any; ask the
 * predicate after it.  Who entered leaves, once; 'chosen' says that
 * conc_wait_any returned APR_SUCCESS for this waiter.  A chosen one that then
 * takes something else calls conc_gate_notify if the predicate still holds:
 * the wake was meant for somebody who takes.
 */
void conc_gate_enter(conc_gate *g, conc_waiter *w);
void conc_gate_leave(conc_gate *g, bool chosen);

void conc_gate_wake_one(conc_gate *g);
void conc_gate_wake_all(conc_gate *g);

/* One thing was added: let one waiter through, if any needs to be told. */
static inline void conc_gate_notify(conc_gate *g) {
  if (atomic_load(&g->sleepers) != 0 && atomic_load(&g->spinners) == 0)
    conc_gate_wake_one(g);
}

/* Everything changed: let all waiters look. */
static inline void conc_gate_notify_all(conc_gate *g) {
  if (atomic_load(&g->sleepers) != 0)
    conc_gate_wake_all(g);
}

#endif
