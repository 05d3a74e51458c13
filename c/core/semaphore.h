#ifndef CONC_SEMAPHORE_H
#define CONC_SEMAPHORE_H

/*
 * A semaphore: a count of permits that threads take and give.  A bounded one
 * never has more than it began with.
 */

#include <apr_errno.h>

#include "base/object.h"
#include "base/status.h"
#include "wait/gate.h"

enum { CONC_SEMAPHORE_MAX = INT32_MAX };

/*
 * Invariant: value <= most.
 *   [c] constant after new   [a] atomic
 */
typedef struct conc_semaphore {
  conc_obj obj;
  uint32_t most;   /* [c] */
  conc_word value; /* [a] permits left */
  conc_gate gate;  /* those who wait for one */
} conc_semaphore;

extern const conc_class conc_semaphore_class, conc_bounded_class;

/* 'cls' is one of the two; value <= CONC_SEMAPHORE_MAX. */
apr_status_t conc_semaphore_new(conc_semaphore **out, const conc_class *cls,
                                uint32_t value);

/* Take a permit if there is one. */
static inline bool conc_semaphore_try(conc_semaphore *s) {
  uint32_t v = atomic_load(&s->value);
  while (v != 0)
    if (atomic_compare_exchange_weak(&s->value, &v, v - 1))
      return true;
  return false;
}

/*
 * Take a permit, waiting for one until 'deadline'.  APR_SUCCESS; APR_TIMEUP,
 * CONC_CANCELLED, CONC_INTERRUPTED: none was taken.
 */
apr_status_t conc_semaphore_acquire(conc_semaphore *s, conc_parker *self,
                                    conc_time deadline);

/*
 * Give n permits.  CONC_MISUSE: there would be more than the semaphore may
 * have; nothing was done.
 */
apr_status_t conc_semaphore_release(conc_semaphore *s, uint32_t n);

static inline uint32_t conc_semaphore_value(const conc_semaphore *s) {
  return atomic_load(&s->value);
}

#endif
