#ifndef CONC_BARRIER_H
#define CONC_BARRIER_H

/*
 * A barrier: a fixed number of threads wait for each other, go on together, and
 * may do so again at once.  Who waits belongs to a round; a round ends by being
 * full, or broken.
 */

#include <apr_errno.h>
#include <stdbool.h>

#include "base/msg.h"
#include "core/line.h"
#include "wait/parker.h"

typedef struct conc_barrier conc_barrier;

extern const conc_class conc_barrier_class;

/*
 * For parties > 0 threads, who by default wait 'timeout' seconds.  'action' is
 * what the last one of a round does; the barrier takes the message over, and
 * only keeps it.  After APR_ENOMEM it is still the caller's.
 */
apr_status_t conc_barrier_new(conc_barrier **out, uint32_t parties,
                              conc_msg *action, double timeout);

uint32_t conc_barrier_parties(const conc_barrier *b);
double conc_barrier_timeout(const conc_barrier *b);
conc_msg *conc_barrier_action(conc_barrier *b); /* read only */

/* One thread's part in a round; lives on its stack. */
typedef struct conc_arrival {
  conc_turn turn;
  uint32_t round;
  uint32_t place; /* 1 .. parties, once the round has ended well */
  bool last;      /* the round is full */
} conc_arrival;

/*
 * Join the round.  While the action of a full one runs, first wait for the end
 * of that, however long.
 *
 * APR_SUCCESS: a->last says what the caller must do: if set, the action and
 * then conc_barrier_trip or conc_barrier_quit; else conc_barrier_await.
 * CONC_BROKEN, CONC_CANCELLED, CONC_INTERRUPTED: nothing was done.
 * CONC_MISUSE: the caller is running the action.
 */
apr_status_t conc_barrier_arrive(conc_barrier *b, conc_arrival *a,
                                 conc_parker *self);

/*
 * Wait for the others.  A deadline, a cancellation breaks the barrier, but a
 * deadline does nothing once the round is full.
 *
 * APR_SUCCESS: all have come.  CONC_BROKEN: somebody broke or reset it.
 * APR_TIMEUP, CONC_CANCELLED: this thread broke it.  CONC_INTERRUPTED: it is
 * still in the round: await again, or quit.
 */
apr_status_t conc_barrier_await(conc_barrier *b, conc_arrival *a,
                                conc_parker *self, conc_time deadline);

/* Let the others go on.  CONC_BROKEN: they were told otherwise meanwhile. */
apr_status_t conc_barrier_trip(conc_barrier *b, const conc_arrival *a);

/* Break the barrier, if the round has not ended.  'a' is done with. */
void conc_barrier_quit(conc_barrier *b, conc_arrival *a, conc_parker *self);

/* Break it: waits end with CONC_BROKEN, now and until a reset. */
void conc_barrier_abort(conc_barrier *b);

/* Begin afresh: those who wait get CONC_BROKEN, those who come do not. */
void conc_barrier_reset(conc_barrier *b);

/* Threads in the round; is it broken; both a moment ago. */
uint32_t conc_barrier_waiting(conc_barrier *b);
bool conc_barrier_broken(conc_barrier *b);

#endif
