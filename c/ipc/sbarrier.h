#ifndef CONC_SBARRIER_H
#define CONC_SBARRIER_H

/*
 * The barrier of core/barrier.h in shared memory.  A process that dies while
 * one of its threads waits for the others, or runs the action, breaks it.
 */

#include "base/msg.h"
#include "ipc/sgate.h"
#include "ipc/sline.h"

typedef struct conc_sbarrier conc_sbarrier;

extern const conc_shared_class conc_sbarrier_class;

/* For parties > 0 threads, who by default wait 'timeout' seconds. */
apr_status_t conc_sbarrier_new(conc_sbarrier **out, uint32_t parties,
                               double timeout);

uint32_t conc_sbarrier_parties(const conc_sbarrier *b);
double conc_sbarrier_timeout(const conc_sbarrier *b);

/* A place, which is empty at first, for what the last one of a round does: the
   layer above fills it in before others see the barrier. */
conc_ref *conc_sbarrier_action(conc_sbarrier *b);

/* One thread's part in a round. */
typedef struct conc_sarrival {
  conc_ref *turn; /* in the ledger; NULL: not in line */
  uint64_t round;
  uint32_t place; /* 1 .. parties, once the round has ended well */
  bool last;      /* the round is full */
} conc_sarrival;

/*
 * As in core/barrier.h.  arrive may also fail with CONC_EXHAUSTED.  After an
 * APR_SUCCESS of arrive one of trip, quit or await (other than with
 * CONC_INTERRUPTED) ends the arrival.
 */
apr_status_t conc_sbarrier_arrive(conc_sbarrier *b, conc_sarrival *a,
                                  conc_parker *self);
apr_status_t conc_sbarrier_await(conc_sbarrier *b, conc_sarrival *a,
                                 conc_parker *self, conc_time deadline);
apr_status_t conc_sbarrier_trip(conc_sbarrier *b, conc_sarrival *a);
void conc_sbarrier_quit(conc_sbarrier *b, conc_sarrival *a);
void conc_sbarrier_abort(conc_sbarrier *b);
void conc_sbarrier_reset(conc_sbarrier *b);
uint32_t conc_sbarrier_waiting(conc_sbarrier *b);
bool conc_sbarrier_broken(conc_sbarrier *b);

/* For sline.c: whoever waits with t has died.  Ends the line's txn. */
void conc_sbarrier_lose(conc_sline *line, conc_sturn *t);

#endif
