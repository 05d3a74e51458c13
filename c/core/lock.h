#ifndef CONC_LOCK_H
#define CONC_LOCK_H

/*
 * A lock: one thread at a time.  It has no owner: any thread may release it,
 * and a thread that acquires it twice waits for itself.
 */

#include "base/object.h"
#include "core/latch.h"

typedef struct conc_lock {
  conc_obj obj;
  conc_word latch; /* [a] */
} conc_lock;

extern const conc_class conc_lock_class;

apr_status_t conc_lock_new(conc_lock **out);

/* APR_SUCCESS, APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED. */
static inline apr_status_t conc_lock_acquire(conc_lock *l, conc_parker *self,
                                             conc_time deadline) {
  return conc_latch_acquire(&l->latch, self, deadline);
}

/* CONC_MISUSE: it is free, and stays so. */
static inline apr_status_t conc_lock_release(conc_lock *l) {
  return conc_latch_release(&l->latch);
}

static inline bool conc_lock_locked(const conc_lock *l) {
  return conc_latch_held(&l->latch);
}

#endif
