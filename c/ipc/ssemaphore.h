#ifndef CONC_SSEMAPHORE_H
#define CONC_SSEMAPHORE_H

/*
 * The semaphores of core/semaphore.h in shared memory.
 *
 * A process that dies, or has no handle of the semaphore any more, gives back the
 * permits that it had taken and not given, and the next acquire is told.  Where any process gives a permit that it has
 * not taken, the permits are signals from one to another: from then on they
 * belong to nobody, and what a dead process had taken stays taken.
 */

#include "core/semaphore.h"
#include "ipc/sgate.h"
#include "ipc/shared.h"
#include "ipc/txn.h"

/*
 * The object.  Invariant: value <= most; unless 'loose', value and all that the
 * stakes of processes hold are what there was at first.
 *   [c] constant once published   [l] under 'txn'   [a] atomic
 */
typedef struct conc_ssemaphore_word {
  conc_txn txn;
  conc_ref value;     /* [a] written as [l] */
  conc_ref loose;     /* [l] 1: permits belong to nobody */
  conc_ref abandoned; /* [l] 1: the next to acquire has to be told */
  uint32_t most;      /* [c] */
  conc_sgate gate;
} conc_ssemaphore_word;

/* What a process has of a semaphore: an object in its ledger.  [l] as above */
typedef struct conc_stake {
  conc_ref owner; /* [c] a place: the semaphore */
  conc_ref held;  /* [l] permits */
} conc_stake;

typedef struct conc_ssemaphore {
  conc_proxy proxy;
  conc_ref *stake; /* [c] a place */
} conc_ssemaphore;

extern const conc_shared_class conc_ssemaphore_class, conc_sbounded_class,
  conc_stake_class;

/* 'cls' is one of the first two; value <= CONC_SEMAPHORE_MAX. */
apr_status_t conc_ssemaphore_new(conc_ssemaphore **out,
                                 const conc_shared_class *cls, uint32_t value);

static inline conc_ssemaphore_word *
conc_ssemaphore_at(const conc_ssemaphore *s) {
  return s->proxy.at;
}

/*
 * As in core/semaphore.h, where CONC_ABANDONED is a permit, too: a process has
 * died that had some.  A try without a permit is APR_EAGAIN.
 */
apr_status_t conc_ssemaphore_try(conc_ssemaphore *s);
apr_status_t conc_ssemaphore_acquire(conc_ssemaphore *s, conc_parker *self,
                                     conc_time deadline);
apr_status_t conc_ssemaphore_release(conc_ssemaphore *s, uint32_t n);

static inline uint32_t conc_ssemaphore_value(const conc_ssemaphore *s) {
  return (uint32_t)atomic_load(&conc_ssemaphore_at(s)->value);
}

#endif
